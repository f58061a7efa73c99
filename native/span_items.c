// SPDX-License-Identifier: Apache-2.0
// span_items: see span_items.h. The first 640 bytes lie in the span itself; a larger span moves to memory from malloc.
#include "span_items.h"
#include <stdlib.h>
#include <string.h>

static uint32_t padded(uint32_t bytes) {
    return (bytes + 3) & ~3u;
}

static struct span_item *item_at(const struct span *span, uint32_t offset) {
    return (struct span_item *)(span->items + offset);
}

static uint32_t next_of(const struct span *span, uint32_t offset) {
    return offset + (uint32_t)sizeof(struct span_item) + padded(item_at(span, offset)->bytes);
}

static bool grow(struct span *span, uint32_t needed) {
    uint32_t capacity = span->items_capacity;
    while (capacity < needed)
        capacity *= 2;
    uint8_t *items = realloc(span->items == span->small ? NULL : span->items, capacity);
    if (items == NULL)
        return false;
    if (span->items == span->small)
        memcpy(items, span->small, span->items_bytes);
    span->items = items;
    span->items_capacity = capacity;
    return true;
}

uint8_t *items_room(struct span *span, uint32_t bytes) {
    uint32_t at = span->items_bytes, needed = at + bytes;
    if (needed > SPAN_ITEMS_LIMIT || (needed > span->items_capacity && !grow(span, needed)))
        return NULL;
    span->items_bytes = needed;
    return span->items + at;
}

struct span_item *items_add(struct span *span, enum span_item_tag tag, uint32_t bytes) {
    if (bytes > SPAN_ITEMS_LIMIT)
        return NULL;
    struct span_item *item = (struct span_item *)items_room(span, (uint32_t)sizeof *item + padded(bytes));
    if (item == NULL)
        return NULL;
    *item = (struct span_item){.tag = (uint8_t)tag, .bytes = bytes};
    if (bytes % 4 != 0) // the padding is sent to nobody, but it lies in shared memory
        memset((uint8_t *)(item + 1) + (bytes & ~3u), 0, 4);
    return item;
}

struct span_item *items_find(const struct span *span, enum span_item_tag tag, uint32_t from) {
    for (uint32_t at = from; at < span->items_bytes; at = next_of(span, at))
        if (item_at(span, at)->tag == tag)
            return item_at(span, at);
    return NULL;
}

bool items_set_text(struct span *span, enum span_item_tag tag, const char *text, uint32_t bytes) {
    if (bytes == 0)
        text = ""; // NULL will do for who has nothing to say
    struct span_item *old = items_find(span, tag, 0);
    if (old != NULL)
        old->tag = SPAN_ITEM_DEAD;
    if (old == NULL || padded(old->bytes) != padded(bytes)) {
        struct span_item *item = items_add(span, tag, bytes);
        if (item == NULL)
            return false;
        memcpy(item + 1, text, bytes);
        return true;
    }
    old->tag = (uint8_t)tag;
    old->bytes = bytes;
    memcpy(old + 1, text, bytes);
    return true;
}

// How many bytes of a text are its first characters.
static uint32_t cut(const char *text, uint32_t bytes, uint32_t chars) {
    if (bytes <= chars)
        return bytes;
    for (uint32_t at = 0; at < bytes; at++)
        if (((uint8_t)text[at] & 0xc0) != 0x80 && chars-- == 0)
            return at;
    return bytes;
}

static uint32_t single_bytes(const struct span_value *value, uint32_t limit) {
    switch (value->type) {
    case SPAN_STRING:
        return cut(value->text, value->bytes, limit);
    case SPAN_BYTES:
        return value->bytes < limit ? value->bytes : limit;
    case SPAN_ARRAY: // arrays don't nest
    case SPAN_EMPTY:
        return 0;
    default:
        return 8;
    }
}

static void write_single(uint8_t *to, const struct span_value *value, uint32_t bytes) {
    if (value->type == SPAN_STRING || value->type == SPAN_BYTES) {
        if (bytes != 0)
            memcpy(to, value->text, bytes);
    } else if (value->type == SPAN_DOUBLE) {
        memcpy(to, &value->real, 8);
    } else if (bytes == 8) {
        memcpy(to, &value->integer, 8);
    }
}

// Payload bytes of a value; UINT32_MAX: more than can ever fit.
static uint32_t value_bytes(const struct span_value *value, uint32_t limit) {
    if (value->type != SPAN_ARRAY)
        return single_bytes(value, limit);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < value->count && sum <= SPAN_ITEMS_LIMIT; i++)
        sum += 8 + (uint64_t)padded(single_bytes(&value->items[i], limit));
    return sum <= SPAN_ITEMS_LIMIT ? (uint32_t)sum : UINT32_MAX;
}

static void write_value(uint8_t *to, const struct span_value *value, uint32_t bytes, uint32_t limit) {
    if (value->type != SPAN_ARRAY) {
        write_single(to, value, bytes);
        return;
    }
    for (uint32_t i = 0; i < value->count; i++) {
        uint32_t head[2] = {(uint32_t)value->items[i].type, single_bytes(&value->items[i], limit)};
        memcpy(to, head, 8);
        memset(to + 8 + (head[1] & ~3u), 0, head[1] % 4 != 0 ? 4 : 0);
        write_single(to + 8, &value->items[i], head[1]);
        to += 8 + padded(head[1]);
    }
}

// The text of an item's key, wherever it lies.
static bool key_text(const struct span_item *item, const char **text, uint32_t *bytes) {
    if (!item->inline_key) {
        struct intern_view own = intern_own();
        return intern_get(&own, item->key_id, text, bytes);
    }
    memcpy(bytes, item + 1, 4);
    *text = (const char *)(item + 1) + 4;
    return true;
}

static bool same_key(const struct span_item *item, struct span_text key) {
    const char *text;
    uint32_t bytes;
    if (key.id != 0 && !item->inline_key)
        return item->key_id == key.id;
    if (key.id != 0) {
        struct intern_view own = intern_own();
        if (!intern_get(&own, key.id, &key.text, &key.bytes))
            return false;
    }
    return key_text(item, &text, &bytes) && bytes == key.bytes && memcmp(text, key.text, bytes) == 0;
}

static struct span_item *find_key(const struct span *span, uint8_t owner, uint32_t from, struct span_text key) {
    for (uint32_t at = from; at < span->items_bytes; at = next_of(span, at)) {
        struct span_item *item = item_at(span, at);
        if (item->tag == SPAN_ITEM_ATTRIBUTE && item->owner == owner && same_key(item, key))
            return item;
    }
    return NULL;
}

// Nearly always false for a new key, so that most attributes are set without a search. Marks it as seen.
static bool may_be_set(struct span *span, struct span_text key) {
    uint64_t bit = key.id != 0 ? (uint64_t)1 << ((key.id ^ key.id >> 6) & 63) : UINT64_MAX;
    bool seen = (span->keys_seen & bit) != 0;
    span->keys_seen |= bit;
    return seen;
}

static void write_attribute(struct span_item *item, struct span_text key, const struct span_value *value,
                            uint32_t key_bytes, uint32_t limit) {
    uint8_t *payload = (uint8_t *)(item + 1);
    item->type = (uint8_t)value->type;
    item->inline_key = key_bytes != 0;
    item->key_id = key.id;
    if (key_bytes != 0) {
        memcpy(payload, &key.bytes, 4);
        memset(payload + key_bytes - 4, 0, 4);
        memcpy(payload + 4, key.text, key.bytes);
    }
    write_value(payload + key_bytes, value, item->bytes - key_bytes, limit);
}

// Nearly every attribute: an interned key for the first time, and one value.
static enum items_set set_new(struct span *span, uint32_t key_id, const struct span_value *value, uint32_t limit) {
    uint32_t bytes = single_bytes(value, limit);
    if (bytes > SPAN_ITEMS_LIMIT)
        return ITEMS_DROPPED;
    struct span_item *item = (struct span_item *)items_room(span, (uint32_t)sizeof *item + padded(bytes));
    if (item == NULL)
        return ITEMS_DROPPED;
    *item = (struct span_item){SPAN_ITEM_ATTRIBUTE, (uint8_t)value->type, 0, 0, key_id, bytes};
    if (bytes % 4 != 0)
        memset((uint8_t *)(item + 1) + (bytes & ~3u), 0, 4);
    write_single((uint8_t *)(item + 1), value, bytes);
    return ITEMS_ADDED;
}

enum items_set items_set(struct span *span, uint8_t owner, uint32_t from, struct span_text key,
                         const struct span_value *value, bool full) {
    uint32_t limit = span->unlimited ? UINT32_MAX
                     : owner == 0    ? span_limits.value_chars
                                     : span_limits.other_value_chars;
    bool seen = owner != 0 || may_be_set(span, key);
    if (!seen && !full && key.id != 0 && value->type != SPAN_ARRAY)
        return set_new(span, key.id, value, limit);
    if (key.id == 0 && key.bytes == 0)
        key.text = "";
    struct span_item *old = seen ? find_key(span, owner, from, key) : NULL;
    uint32_t body_bytes = value_bytes(value, limit);
    if ((old == NULL && full) || body_bytes > SPAN_ITEMS_LIMIT || (key.id == 0 && key.bytes > SPAN_ITEMS_LIMIT))
        return ITEMS_DROPPED;
    uint32_t key_bytes = key.id != 0 ? 0 : 4 + padded(key.bytes);
    uint32_t bytes = key_bytes + body_bytes;
    if (old != NULL && padded(old->bytes) == padded(bytes)) {
        old->bytes = bytes;
        memset((uint8_t *)(old + 1) + (bytes & ~3u), 0, bytes % 4 != 0 ? 4 : 0);
        write_attribute(old, key, value, key_bytes, limit);
        return ITEMS_REPLACED;
    }
    uint32_t old_at = old != NULL ? (uint32_t)((uint8_t *)old - span->items) : SPAN_NONE;
    struct span_item *item = items_add(span, SPAN_ITEM_ATTRIBUTE, bytes);
    if (item == NULL)
        return ITEMS_DROPPED; // an older value stays
    item->owner = owner;
    write_attribute(item, key, value, key_bytes, limit);
    if (old_at == SPAN_NONE)
        return ITEMS_ADDED;
    item_at(span, old_at)->tag = SPAN_ITEM_DEAD;
    return ITEMS_REPLACED;
}
