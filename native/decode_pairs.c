// SPDX-License-Identifier: Apache-2.0
// decode_pairs: see the header.
#include "decode_pairs.h"
#include <stdlib.h>
#include <string.h>

#define SLOTS (2u * PAIRS_LIMIT) // a power of two, at most half full
#define QUADRATIC 16             // up to so many pairs, comparing all is the fastest

struct pairs_mark pairs_begin(const struct pairs *pairs) {
    return (struct pairs_mark){pairs->count, pairs->names.bytes};
}

static struct pair *pairs_push(struct pairs *pairs) {
    if (pairs->count == pairs->capacity) {
        size_t capacity = pairs->capacity ? pairs->capacity * 2 : 64;
        struct pair *items = realloc(pairs->items, capacity * sizeof *items);
        if (!items)
            return NULL;
        pairs->items = items;
        pairs->capacity = capacity;
    }
    return &pairs->items[pairs->count++];
}

enum status pairs_add(struct pairs *pairs, struct pairs_mark mark, struct slice message, uint32_t *dropped) {
    struct pair pair = {.key = {(const uint8_t *)"", 0}};
    struct wire wire = wire_of(message);
    struct wire_field field;
    while (wire_next(&wire, &field)) {
        if (field.tag == WIRE_TAG(1, WIRE_BYTES))
            pair.key = field.bytes;
        else if (field.tag == WIRE_TAG(2, WIRE_BYTES))
            pair.value = field.bytes;
    }
    if (wire.bad)
        return STATUS_BAD_INPUT;
    if (pairs->count - mark.first == PAIRS_LIMIT) {
        *dropped += *dropped < UINT32_MAX;
        return STATUS_OK;
    }
    if (!text_is_valid(pair.key)) {
        pair.name = pairs->names.bytes;
        text_add(&pairs->names, pair.key);
        pair.key = (struct slice){NULL, pairs->names.bytes - pair.name};
    }
    struct pair *to = pairs_push(pairs);
    if (!to || pairs->names.failed) {
        pairs->failed = true;
        return STATUS_NO_MEMORY;
    }
    *to = pair;
    return STATUS_OK;
}

struct slice pairs_key(const struct pairs *pairs, const struct pair *pair) {
    return pair->key.at ? pair->key : (struct slice){pairs->names.data + pair->name, pair->key.bytes};
}

static bool slice_equal(struct slice a, struct slice b) {
    return a.bytes == b.bytes && memcmp(a.at, b.at, a.bytes) == 0;
}

// The index among `kept` pairs of the one with this key, or `kept`.
static size_t pairs_find(const struct pairs *pairs, size_t first, size_t kept, struct slice key) {
    for (size_t i = 0; i < kept; i++)
        if (slice_equal(pairs_key(pairs, &pairs->items[first + i]), key))
            return i;
    return kept;
}

static uint64_t pairs_hash(uint64_t seed, struct slice key) {
    uint64_t hash = seed ^ key.bytes;
    for (size_t i = 0; i < key.bytes; i += 8) {
        uint64_t word = 0;
        memcpy(&word, key.at + i, key.bytes - i < 8 ? key.bytes - i : 8);
        hash = (hash ^ word) * (seed | 1);
        hash ^= hash >> 29;
    }
    return hash ^ hash >> 32;
}

// The same by the hash table, which learns the key when it is new (as index `kept`).
static size_t pairs_find_slot(struct pairs *pairs, size_t first, size_t kept, struct slice key) {
    for (uint64_t slot = pairs_hash(pairs->seed, key);; slot++) {
        uint32_t *entry = &pairs->slots[slot & (SLOTS - 1)];
        if (*entry == 0) {
            *entry = (uint32_t)kept + 1;
            return kept;
        }
        if (slice_equal(pairs_key(pairs, &pairs->items[first + *entry - 1]), key))
            return *entry - 1;
    }
}

void pairs_unique(struct pairs *pairs, struct pairs_mark mark) {
    size_t count = pairs->count - mark.first, kept = 0;
    bool table = count > QUADRATIC;
    if (table) {
        if (!pairs->slots)
            pairs->slots = malloc(SLOTS * sizeof *pairs->slots);
        if (pairs->slots)
            memset(pairs->slots, 0, SLOTS * sizeof *pairs->slots);
        else
            table = false; // slower, not wrong
    }
    for (size_t i = 0; i < count; i++) {
        struct pair pair = pairs->items[mark.first + i];
        struct slice key = pairs_key(pairs, &pair);
        size_t at = table ? pairs_find_slot(pairs, mark.first, kept, key) : pairs_find(pairs, mark.first, kept, key);
        pairs->items[mark.first + at] = pair;
        kept += at == kept;
    }
    pairs->count = mark.first + kept;
}

void pairs_end(struct pairs *pairs, struct pairs_mark mark) {
    pairs->count = mark.first;
    buffer_cut(&pairs->names, mark.names);
}

void pairs_free(struct pairs *pairs) {
    free(pairs->items);
    free(pairs->slots);
    buffer_free(&pairs->names);
    *pairs = (struct pairs){0};
}
