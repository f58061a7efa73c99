// SPDX-License-Identifier: Apache-2.0
// otlp_span: see otlp_span.h. Records may be foreign: otlp_record_ok looks at every length first, the rest relies on
// it. Loops are bounded by the record's bytes, arrays don't nest.
#include "otlp_span.h"
#include <string.h>

struct item {
    struct span_item head;
    const uint8_t *payload; // Borrowed from the record
};

static uint32_t padded(uint32_t bytes) {
    return (bytes + 3) & ~3u;
}

// Takes the item at *at and moves behind it. False: the end, or nothing that fits.
static bool next_item(const uint8_t *items, uint32_t bytes, uint32_t *at, struct item *out) {
    if (bytes - *at < sizeof out->head)
        return false;
    memcpy(&out->head, items + *at, sizeof out->head);
    uint32_t left = bytes - *at - (uint32_t)sizeof out->head;
    if (out->head.bytes > left || padded(out->head.bytes) > left)
        return false;
    out->payload = items + *at + sizeof out->head;
    *at += (uint32_t)sizeof out->head + padded(out->head.bytes);
    return true;
}

static bool value_ok(uint32_t type, const uint8_t *value, uint32_t bytes) {
    if (type == SPAN_STRING || type == SPAN_BYTES)
        return true;
    if (type == SPAN_EMPTY)
        return bytes == 0;
    if (type != SPAN_ARRAY)
        return type >= SPAN_BOOL && type <= SPAN_DOUBLE && bytes == 8;
    for (uint32_t at = 0; at < bytes;) {
        uint32_t head[2];
        if (bytes - at < 8)
            return false;
        memcpy(head, value + at, 8);
        at += 8;
        if (head[1] > bytes - at || padded(head[1]) > bytes - at || head[0] == SPAN_ARRAY ||
            !value_ok(head[0], value + at, head[1]))
            return false;
        at += padded(head[1]);
    }
    return true;
}

// Where the value begins behind an inline key; UINT32_MAX: the key does not fit.
static uint32_t value_at(const struct item *item) {
    uint32_t key_bytes;
    if (!item->head.inline_key)
        return 0;
    if (item->head.bytes < 4)
        return UINT32_MAX;
    memcpy(&key_bytes, item->payload, 4);
    uint32_t left = item->head.bytes - 4;
    return key_bytes > left || padded(key_bytes) > left ? UINT32_MAX : 4 + padded(key_bytes);
}

static bool item_ok(const struct item *item) {
    uint32_t at;
    switch (item->head.tag) {
    case SPAN_ITEM_ATTRIBUTE:
        at = value_at(item);
        return at != UINT32_MAX && value_ok(item->head.type, item->payload + at, item->head.bytes - at);
    case SPAN_ITEM_EVENT:
        return item->head.bytes >= 12;
    case SPAN_ITEM_LINK:
        return item->head.bytes >= 32;
    default:
        return item->head.tag < SPAN_ITEM_EVENT;
    }
}

bool otlp_record_ok(const uint8_t *record, uint32_t bytes) {
    struct span_record head;
    struct item item;
    uint32_t at = 0;
    if (bytes < sizeof head)
        return false;
    memcpy(&head, record, sizeof head);
    if (head.items_bytes != bytes - sizeof head || head.end_ns < head.start_ns || head.kind > SPAN_CONSUMER ||
        head.status > SPAN_STATUS_ERROR)
        return false;
    while (next_item(record + sizeof head, head.items_bytes, &at, &item))
        if (!item_ok(&item))
            return false;
    return at == head.items_bytes;
}

static void put_any(struct wire_sink *sink, uint32_t field, uint32_t type, const uint8_t *value, uint32_t bytes);

static void put_array(struct wire_sink *sink, const uint8_t *value, uint32_t bytes) {
    size_t begun = wire_begin(sink, 5, 1);
    for (uint32_t at = 0; at < bytes;) {
        uint32_t head[2];
        memcpy(head, value + at, 8);
        put_any(sink, 1, head[0], value + at + 8, head[1]);
        at += 8 + padded(head[1]);
    }
    wire_end(sink, begun, 1);
}

// An AnyValue in `field`.
static void put_any(struct wire_sink *sink, uint32_t field, uint32_t type, const uint8_t *value, uint32_t bytes) {
    size_t begun = wire_begin(sink, field, 1);
    uint64_t number = 0;
    if (bytes >= 8)
        memcpy(&number, value, 8);
    switch (type) {
    case SPAN_STRING:
        wire_text(sink, 1, (const char *)value, bytes);
        break;
    case SPAN_BOOL:
        wire_varint(sink, 2, number != 0);
        break;
    case SPAN_INT:
        wire_varint(sink, 3, number);
        break;
    case SPAN_DOUBLE:
        wire_fixed64(sink, 4, number);
        break;
    case SPAN_BYTES:
        wire_bytes(sink, 7, value, bytes);
        break;
    case SPAN_ARRAY:
        put_array(sink, value, bytes);
        break;
    default:
        break;
    }
    wire_end(sink, begun, 1);
}

// One KeyValue in `field`. A key that the table of strings doesn't know takes the attribute with it.
static void put_attribute(struct wire_sink *sink, const struct intern_view *strings, const struct item *item,
                          uint32_t field) {
    const char *key = (const char *)item->payload + 4;
    uint32_t key_bytes, at = value_at(item);
    if (item->head.inline_key)
        memcpy(&key_bytes, item->payload, 4);
    else if (!intern_get(strings, item->head.key_id, &key, &key_bytes))
        return;
    size_t begun = wire_begin(sink, field, 1);
    wire_text(sink, 1, key, key_bytes);
    put_any(sink, 2, item->head.type, item->payload + at, item->head.bytes - at);
    wire_end(sink, begun, 1);
}

void otlp_put_attributes(struct wire_sink *sink, const struct intern_view *strings, const uint8_t *items,
                         uint32_t bytes, uint32_t field) {
    struct item item;
    for (uint32_t at = 0; next_item(items, bytes, &at, &item);)
        if (item.head.tag == SPAN_ITEM_ATTRIBUTE && item.head.owner == 0)
            put_attribute(sink, strings, &item, field);
}

// What follows an event or link, up to the next one: its attributes.
static void put_owned(struct wire_sink *sink, const struct intern_view *strings, const uint8_t *items, uint32_t bytes,
                      uint32_t at, uint32_t field) {
    struct item item;
    while (next_item(items, bytes, &at, &item) && item.head.tag != SPAN_ITEM_EVENT && item.head.tag != SPAN_ITEM_LINK)
        if (item.head.tag == SPAN_ITEM_ATTRIBUTE && item.head.owner == 1)
            put_attribute(sink, strings, &item, field);
}

static void put_event(struct wire_sink *sink, const struct intern_view *strings, const struct item *event,
                      const uint8_t *items, uint32_t bytes, uint32_t at) {
    const char *name = (const char *)event->payload + 12;
    uint32_t name_bytes = event->head.bytes - 12, dropped;
    uint64_t time_ns;
    if (event->head.key_id != 0 && !intern_get(strings, event->head.key_id, &name, &name_bytes))
        name_bytes = 0;
    memcpy(&time_ns, event->payload, 8);
    memcpy(&dropped, event->payload + 8, 4);
    size_t begun = wire_begin(sink, 11, 1);
    wire_fixed64(sink, 1, time_ns);
    wire_text(sink, 2, name, name_bytes);
    put_owned(sink, strings, items, bytes, at, 3);
    if (dropped != 0)
        wire_varint(sink, 4, dropped);
    wire_end(sink, begun, 1);
}

static void put_link(struct wire_sink *sink, const struct intern_view *strings, const struct item *link,
                     const uint8_t *items, uint32_t bytes, uint32_t at) {
    uint32_t flags, dropped;
    memcpy(&flags, link->payload + 24, 4);
    memcpy(&dropped, link->payload + 28, 4);
    size_t begun = wire_begin(sink, 13, 1);
    wire_bytes(sink, 1, link->payload, 16);
    wire_bytes(sink, 2, link->payload + 16, 8);
    if (link->head.bytes > 32)
        wire_text(sink, 3, (const char *)link->payload + 32, link->head.bytes - 32);
    put_owned(sink, strings, items, bytes, at, 4);
    if (dropped != 0)
        wire_varint(sink, 5, dropped);
    wire_fixed32(sink, 6, flags);
    wire_end(sink, begun, 1);
}

static void put_events_and_links(struct wire_sink *sink, const struct intern_view *strings, const uint8_t *items,
                                 uint32_t bytes) {
    struct item item;
    for (uint32_t at = 0; next_item(items, bytes, &at, &item);) {
        if (item.head.tag == SPAN_ITEM_EVENT)
            put_event(sink, strings, &item, items, bytes, at);
        else if (item.head.tag == SPAN_ITEM_LINK)
            put_link(sink, strings, &item, items, bytes, at);
    }
}

// The one item with this tag, as text; empty if there is none.
static void find_text(const uint8_t *items, uint32_t bytes, enum span_item_tag tag, const char **text,
                      uint32_t *text_bytes) {
    struct item item;
    *text = "";
    *text_bytes = 0;
    for (uint32_t at = 0; next_item(items, bytes, &at, &item);) {
        if (item.head.tag != tag)
            continue;
        *text = (const char *)item.payload;
        *text_bytes = item.head.bytes;
        return;
    }
}

static void put_status(struct wire_sink *sink, const struct span_record *head, const uint8_t *items) {
    const char *message;
    uint32_t bytes;
    if (head->status == SPAN_STATUS_UNSET)
        return;
    find_text(items, head->items_bytes, SPAN_ITEM_MESSAGE, &message, &bytes);
    size_t begun = wire_begin(sink, 15, 1);
    if (bytes != 0)
        wire_text(sink, 2, message, bytes);
    wire_varint(sink, 3, head->status);
    wire_end(sink, begun, 1);
}

static void put_dropped(struct wire_sink *sink, uint32_t field, uint32_t count) {
    if (count != 0)
        wire_varint(sink, field, count);
}

void otlp_put_span(struct wire_sink *sink, const struct intern_view *strings, const uint8_t *record) {
    static const uint8_t no_parent[8];
    struct span_record head;
    const uint8_t *items = record + sizeof head;
    const char *text;
    uint32_t bytes;
    memcpy(&head, record, sizeof head);
    wire_bytes(sink, 1, head.trace_id, 16);
    wire_bytes(sink, 2, head.span_id, 8);
    find_text(items, head.items_bytes, SPAN_ITEM_TRACESTATE, &text, &bytes);
    if (bytes != 0)
        wire_text(sink, 3, text, bytes);
    if (memcmp(head.parent_id, no_parent, 8) != 0)
        wire_bytes(sink, 4, head.parent_id, 8);
    if (head.name_id == 0 || !intern_get(strings, head.name_id, &text, &bytes))
        find_text(items, head.items_bytes, SPAN_ITEM_NAME, &text, &bytes);
    wire_text(sink, 5, text, bytes);
    wire_varint(sink, 6, head.kind);
    wire_fixed64(sink, 7, head.start_ns);
    wire_fixed64(sink, 8, head.end_ns);
    otlp_put_attributes(sink, strings, items, head.items_bytes, 9);
    put_dropped(sink, 10, head.dropped_attributes);
    if (head.events != 0 || head.links != 0)
        put_events_and_links(sink, strings, items, head.items_bytes);
    put_dropped(sink, 12, head.dropped_events);
    put_dropped(sink, 14, head.dropped_links);
    put_status(sink, &head, items);
    wire_fixed32(sink, 16, head.flags);
}
