// SPDX-License-Identifier: Apache-2.0
// ring_flight: the table of requests in flight, 256 of them, so that a reader can say what a dead process was doing. An
// entry is claimed by a bit and written by one thread; a reader takes only entries whose state says they are whole.
#include "ring_layout.h"
#include <string.h>

static struct ring_flight *flight_at(struct ring *ring, uint32_t slot) {
    return (struct ring_flight *)((uint8_t *)ring->file + RING_FLIGHTS_AT) + slot;
}

// A free entry, now ours, or -1.
static int claim(struct ring *ring) {
    for (unsigned i = 0; i < RING_FLIGHT_SLOTS / 64; i++) {
        _Atomic uint64_t *word = &ring->file->flights[i];
        uint64_t taken = atomic_load_explicit(word, memory_order_relaxed);
        while (taken != UINT64_MAX) {
            uint64_t bit = ~taken & (taken + 1);
            if (atomic_compare_exchange_weak_explicit(word, &taken, taken | bit, memory_order_acquire,
                                                      memory_order_relaxed))
                return (int)(i * 64) + __builtin_ctzll(bit);
        }
    }
    return -1;
}

static uint16_t put(char *to, size_t room, const char *text, size_t bytes) {
    if (bytes > room)
        bytes = room;
    if (bytes != 0)
        memcpy(to, text, bytes);
    return (uint16_t)bytes;
}

int32_t ring_flight_begin(struct ring *ring, const struct span_record *head, const char *name, size_t name_bytes,
                          const char *detail, size_t detail_bytes) {
    if (ring == NULL)
        return -1;
    int slot = claim(ring);
    ring_count(ring, slot < 0 ? RING_FLIGHTS_MISSED : RING_FLIGHTS, 1);
    if (slot < 0)
        return -1;
    struct ring_flight *flight = flight_at(ring, (uint32_t)slot);
    atomic_store_explicit(&flight->state, RING_FLIGHT_WRITING, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    flight->head = *head;
    flight->name_bytes = put(flight->name, sizeof flight->name, name, name_bytes);
    flight->detail_bytes = put(flight->detail, sizeof flight->detail, detail, detail_bytes);
    atomic_store_explicit(&flight->state, RING_FLIGHT_SET, memory_order_release);
    return (int32_t)(ring->serial << 8 | (uint32_t)slot);
}

static bool is_ours(const struct ring *ring, int32_t token) {
    return ring != NULL && token >= 0 && (uint32_t)token >> 8 == ring->serial;
}

// The entry, not to be read until rewritten; NULL: none of ours.
static struct ring_flight *rewrite(struct ring *ring, int32_t token) {
    if (!is_ours(ring, token))
        return NULL;
    struct ring_flight *flight = flight_at(ring, (uint32_t)token & 0xff);
    atomic_store_explicit(&flight->state, RING_FLIGHT_WRITING, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    return flight;
}

static void rewritten(struct ring_flight *flight) {
    atomic_store_explicit(&flight->state, RING_FLIGHT_SET, memory_order_release);
}

void ring_flight_name(struct ring *ring, int32_t token, uint32_t name_id, const char *name, size_t name_bytes) {
    struct ring_flight *flight = rewrite(ring, token);
    if (flight == NULL)
        return;
    flight->head.name_id = name_id;
    flight->name_bytes = put(flight->name, sizeof flight->name, name, name_id != 0 ? 0 : name_bytes);
    rewritten(flight);
}

void ring_flight_detail(struct ring *ring, int32_t token, const char *detail, size_t detail_bytes) {
    struct ring_flight *flight = rewrite(ring, token);
    if (flight == NULL)
        return;
    flight->detail_bytes = put(flight->detail, sizeof flight->detail, detail, detail_bytes);
    rewritten(flight);
}

void ring_flight_end(struct ring *ring, int32_t token) {
    if (!is_ours(ring, token))
        return;
    uint32_t slot = (uint32_t)token & 0xff;
    atomic_store_explicit(&flight_at(ring, slot)->state, RING_FLIGHT_FREE, memory_order_relaxed);
    atomic_fetch_and_explicit(&ring->file->flights[slot / 64], ~((uint64_t)1 << slot % 64), memory_order_release);
}
