// SPDX-License-Identifier: Apache-2.0
// intern: see intern.h. One inserter at a time (a flag that is tried, never waited for); readers follow the published
// length and ids, both stored with release. About 100 KB of zero pages that are touched as the table grows.
#include "intern.h"
#include <stdatomic.h>
#include <string.h>

#define SLOTS 8192u // > the number of entries that fit (a power of two); an entry takes at least 4 bytes, mostly 20

static uint8_t table[INTERN_BYTES] __attribute__((aligned(8)));
static _Atomic uint32_t published; // bytes of `table` in use
static _Atomic uint32_t slots[SLOTS];
static _Atomic uint32_t entries;
static atomic_flag inserting = ATOMIC_FLAG_INIT;

static uint32_t hash_of(const char *text, size_t bytes) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ (uint8_t)text[i]) * 0x100000001b3u;
    return (uint32_t)(hash ^ (hash >> 32));
}

static bool same(uint32_t id, const char *text, size_t bytes) {
    const uint8_t *entry = table + (size_t)(id - 1) * 4;
    uint16_t length;
    memcpy(&length, entry, 2);
    return length == bytes && memcmp(entry + 2, text, bytes) == 0;
}

// The id of the text, or 0 with the slot where it would go.
static uint32_t find(const char *text, size_t bytes, uint32_t *slot) {
    uint32_t at = hash_of(text, bytes) & (SLOTS - 1);
    for (uint32_t tried = 0; tried < SLOTS; tried++, at = (at + 1) & (SLOTS - 1)) {
        uint32_t id = atomic_load_explicit(&slots[at], memory_order_acquire);
        if (id != 0 && !same(id, text, bytes))
            continue;
        *slot = at;
        return id;
    }
    *slot = SLOTS;
    return 0;
}

static uint32_t insert(const char *text, size_t bytes) {
    uint32_t slot, id = find(text, bytes, &slot); // once more: somebody may have been faster
    uint32_t used = atomic_load_explicit(&published, memory_order_relaxed);
    uint32_t needed = ((uint32_t)bytes + 2 + 3) & ~3u;
    uint32_t count = atomic_load_explicit(&entries, memory_order_relaxed);
    if (id != 0 || slot == SLOTS || needed > INTERN_BYTES - used || count >= SLOTS / 4 * 3)
        return id;
    uint16_t length = (uint16_t)bytes;
    memcpy(table + used, &length, 2);
    memcpy(table + used + 2, text, bytes);
    id = used / 4 + 1;
    atomic_store_explicit(&published, used + needed, memory_order_release);
    atomic_store_explicit(&entries, count + 1, memory_order_relaxed);
    atomic_store_explicit(&slots[slot], id, memory_order_release);
    return id;
}

uint32_t intern_text(const char *text, size_t bytes) {
    uint32_t slot;
    if (bytes == 0)
        text = "";
    if (bytes > INTERN_TEXT_LIMIT)
        return 0;
    uint32_t id = find(text, bytes, &slot);
    if (id != 0 || atomic_flag_test_and_set_explicit(&inserting, memory_order_acquire))
        return id;
    id = insert(text, bytes);
    atomic_flag_clear_explicit(&inserting, memory_order_release);
    return id;
}

struct intern_view intern_own(void) {
    return (struct intern_view){table, atomic_load_explicit(&published, memory_order_acquire)};
}

bool intern_get(const struct intern_view *view, uint32_t id, const char **text, uint32_t *bytes) {
    uint64_t at = (uint64_t)(id - 1) * 4;
    uint16_t length;
    if (id == 0 || view->bytes < 2 || at > view->bytes - 2)
        return false;
    memcpy(&length, view->base + at, 2);
    if (length > view->bytes - at - 2)
        return false;
    *text = (const char *)view->base + at + 2;
    *bytes = length;
    return true;
}

void intern_child_after_fork(void) {
    atomic_flag_clear(&inserting);
}
