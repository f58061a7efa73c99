// SPDX-License-Identifier: Apache-2.0
// ring_walk: the consumer's side. A cursor walks the chain from the head and stops where nothing is committed yet; it
// checks every number it reads, because the same code walks the copy of a foreign ring (ring_reader.c), and it is
// bounded: a chain can't be longer than the number of segments. One thread at a time.
#include "ring_layout.h"
#include <string.h>

struct ring_cursor ring_cursor(struct ring *ring) {
    struct ring_position head = ring_unpack(atomic_load_explicit(&ring->file->head, memory_order_acquire));
    ring->view.segment_count = atomic_load_explicit(&ring->file->segment_count, memory_order_acquire);
    // The whole table, not what is published now: the cursor will meet records that are committed after this, whose
    // strings were interned after this. A string is published before the record that names it is committed.
    ring->view.strings = (struct intern_view){intern_own().base, INTERN_BYTES};
    return (struct ring_cursor){
        .view = &ring->view, .slot = head.slot, .offset = head.offset, .generation = head.generation};
}

static uint32_t generation_of(const struct ring_view *view, uint32_t slot) {
    const _Atomic uint32_t *generations = view->generations;
    return atomic_load_explicit(&generations[slot], memory_order_relaxed) & 0xffff;
}

// Follows a link, whose length is the next slot. False: there is no such slot, or too many links were followed.
static bool follow(struct ring_cursor *cursor, uint32_t slot) {
    // The walker of a live ring may find a segment that was added after the cursor was made.
    if (slot >= cursor->view->segment_count || ++cursor->hops > cursor->view->segment_count)
        return false;
    cursor->slot = slot;
    cursor->offset = 0;
    cursor->generation = generation_of(cursor->view, slot);
    return true;
}

enum step { STEP_END, STEP_ON, STEP_RECORD };

// Over one word: a link, a record that was never committed (both ON), or a record.
static enum step step(struct ring_cursor *cursor, struct ring_entry *out) {
    const struct ring_view *view = cursor->view;
    if (cursor->slot >= view->segment_count || cursor->offset > RING_SEGMENT_BYTES - 8 || cursor->offset % 8 != 0)
        return STEP_END;
    const uint8_t *at = view->segments + (size_t)cursor->slot * RING_SEGMENT_BYTES + cursor->offset;
    uint64_t word = atomic_load_explicit((const _Atomic uint64_t *)at, memory_order_acquire);
    uint32_t kind = (word >> 40) & 0xff, state = (word >> 32) & 0xff, length = (uint32_t)word;
    if (word >> 48 != cursor->generation || (state != RING_BUSY && state != RING_COMMITTED))
        return STEP_END;
    if (kind == RING_LINK)
        return follow(cursor, length) ? STEP_ON : STEP_END;
    if (length > RING_RECORD_LIMIT || cursor->offset + ring_stride(length) > RING_SEGMENT_BYTES - 8)
        return STEP_END;
    if (state == RING_BUSY && !view->dead)
        return STEP_END;
    cursor->offset += ring_stride(length);
    if (state == RING_BUSY) {
        cursor->skipped++;
        return STEP_ON;
    }
    *out = (struct ring_entry){.kind = (enum ring_kind)kind, .bytes = at + 8, .length = length};
    return STEP_RECORD;
}

bool ring_next(struct ring_cursor *cursor, struct ring_entry *out) {
    enum step taken;
    do
        taken = step(cursor, out);
    while (taken == STEP_ON);
    return taken == STEP_RECORD;
}

uint64_t ring_cursor_at(const struct ring_cursor *cursor) {
    return ring_pack((struct ring_position){cursor->generation, cursor->slot, cursor->offset});
}

bool ring_cursor_seek(struct ring_cursor *cursor, uint64_t position) {
    struct ring_entry entry;
    while (ring_cursor_at(cursor) != position)
        if (step(cursor, &entry) == STEP_END)
            return false;
    return true;
}

// The tail has left it: see leave.
void ring_refill(struct ring *ring, uint32_t slot) {
    struct ring_file *file = ring->file;
    uint32_t generation = (atomic_load_explicit(&file->generations[slot], memory_order_relaxed) + 1) & 0xffff;
    uint64_t empty = ring_word(generation, 0, RING_EMPTY, 0);
    _Atomic uint64_t *words = (_Atomic uint64_t *)(ring->segments + (size_t)slot * RING_SEGMENT_BYTES);
    atomic_store_explicit(&file->generations[slot], generation, memory_order_seq_cst);
    for (uint32_t i = 0; i < RING_SEGMENT_BYTES / 8; i++)
        atomic_store_explicit(&words[i], empty, memory_order_relaxed);
    atomic_fetch_or_explicit(&file->free_slots, (uint64_t)1 << slot, memory_order_release);
}

// Moves the tail out of the slot if its producer has linked on and not come to do it.
static void leave(struct ring *ring, uint32_t slot, struct ring_position to) {
    uint64_t tail = atomic_load_explicit(&ring->file->tail, memory_order_acquire);
    if (ring_unpack(tail).slot == slot)
        atomic_compare_exchange_strong(&ring->file->tail, &tail, ring_pack(to));
}

// The slot that a finished segment links to.
static uint32_t next_slot(const struct ring *ring, uint32_t slot, uint32_t offset) {
    const uint8_t *segment = ring->segments + (size_t)slot * RING_SEGMENT_BYTES;
    while (offset <= RING_SEGMENT_BYTES - 8) {
        uint64_t word = atomic_load_explicit((const _Atomic uint64_t *)(segment + offset), memory_order_acquire);
        if (((word >> 40) & 0xff) == RING_LINK)
            return (uint32_t)word < ring->segments_max ? (uint32_t)word : RING_SEGMENTS_MAX;
        offset += ring_stride((uint32_t)word & 0x3ffff);
    }
    return RING_SEGMENTS_MAX;
}

void ring_release(struct ring *ring, const struct ring_cursor *cursor) {
    struct ring_position head = ring_unpack(atomic_load_explicit(&ring->file->head, memory_order_relaxed));
    struct ring_position to = {cursor->generation, cursor->slot, cursor->offset};
    // The head goes first: should the process die now, a reader begins behind what is being emptied.
    atomic_store_explicit(&ring->file->head, ring_pack(to), memory_order_release);
    while (head.slot != to.slot && head.slot < ring->segments_max) {
        uint32_t next = next_slot(ring, head.slot, head.offset);
        if (next >= ring->segments_max)
            return; // can't be; better lose a segment than a record
        leave(ring, head.slot, (struct ring_position){generation_of(&ring->view, next), next, 0});
        ring_refill(ring, head.slot);
        head = (struct ring_position){0, next, 0};
    }
}

bool ring_pending(struct ring *ring) {
    uint64_t head = atomic_load_explicit(&ring->file->head, memory_order_acquire);
    return head != atomic_load_explicit(&ring->file->tail, memory_order_acquire);
}

bool ring_wants_growth(struct ring *ring) {
    uint64_t bits = atomic_load_explicit(&ring->file->free_slots, memory_order_relaxed);
    uint32_t count = ring_segments(ring);
    return count < ring->segments_max && (uint32_t)__builtin_popcountll(bits) * 4 < count;
}

static const char *const counter_names[RING_COUNTERS] = {
    [RING_RECORDED] = "recorded",
    [RING_SENT] = "sent",
    [RING_REJECTED] = "rejected",
    [RING_DROPPED_FULL] = "dropped_full",
    [RING_DROPPED_TOO_LARGE] = "dropped_too_large",
    [RING_DROPPED_NO_RING] = "dropped_no_ring",
    [RING_DROPPED_BAD] = "dropped_bad",
    [RING_FLIGHTS] = "flights",
    [RING_FLIGHTS_MISSED] = "flights_missed",
    [RING_GROWN] = "grown",
};

const char *ring_counter_name(unsigned counter) {
    return counter < RING_COUNTERS ? counter_names[counter] : NULL;
}
