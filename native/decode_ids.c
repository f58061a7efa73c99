// SPDX-License-Identifier: Apache-2.0
// decode_ids: see the header. The hash is FNV-1a over 64 bits with a last mixing, fixed for ever: ids lie in files.
#include "decode_ids.h"
#include <stdlib.h>
#include <string.h>

static uint64_t ids_mix(uint64_t hash, struct slice bytes) {
    for (size_t i = 0; i < bytes.bytes; i++)
        hash = (hash ^ bytes.at[i]) * 0x100000001b3ull;
    return (hash ^ bytes.bytes) * 0x100000001b3ull; // the length parts this slice from the next
}

uint64_t ids_hash(struct slice message, struct slice schema_url) {
    uint64_t hash = ids_mix(ids_mix(0xcbf29ce484222325ull, message), schema_url);
    hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccdull;
    hash ^= hash >> 33;
    return hash ? hash : 1;
}

static uint64_t *ids_slot(const struct ids *ids, uint64_t id) {
    uint64_t at = (id ^ id >> 31) * ids->seed;
    for (at ^= at >> 32;; at++) {
        uint64_t *slot = &ids->slots[at & (ids->capacity - 1)];
        if (*slot == 0 || *slot == id)
            return slot;
    }
}

static enum status ids_grow(struct ids *ids) {
    struct ids old = *ids;
    ids->capacity = old.capacity ? old.capacity * 2 : 64;
    ids->slots = calloc(ids->capacity, sizeof *ids->slots);
    if (!ids->slots) {
        *ids = old;
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < old.capacity; i++)
        if (old.slots[i])
            *ids_slot(ids, old.slots[i]) = old.slots[i];
    free(old.slots);
    return STATUS_OK;
}

enum status ids_add(struct ids *ids, uint64_t id, bool *added) {
    if (ids->count * 2 >= ids->capacity && ids_grow(ids) != STATUS_OK)
        return STATUS_NO_MEMORY;
    uint64_t *slot = ids_slot(ids, id);
    *added = *slot == 0;
    ids->count += *added;
    *slot = id;
    return STATUS_OK;
}

void ids_clear(struct ids *ids) {
    if (ids->count)
        memset(ids->slots, 0, ids->capacity * sizeof *ids->slots);
    ids->count = 0;
}

void ids_free(struct ids *ids) {
    free(ids->slots);
    ids->slots = NULL;
    ids->capacity = ids->count = 0;
}
