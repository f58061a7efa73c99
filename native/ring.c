// SPDX-License-Identifier: Apache-2.0
// ring: the hot path. To reserve is to change the empty word under the tail into BUSY with a length, by
// compare-and-swap, and then to move the tail; whoever finds the word taken moves the tail for the one who took it. So
// a producer that is killed or stalled at any instruction leaves a chain that can be walked, and nobody ever waits for
// anybody. A full segment ends with a LINK word to a free slot. Generations tell a recycled segment from the one a slow
// thread remembers. No allocation, no system call (but ring_options.wake at a full segment), no lock.
#include "ring_layout.h"
#include <stdlib.h>
#include <string.h>

#define TRIES 10000 // far above what contention costs; a bound all the same

static _Atomic uint64_t kept_aside[RING_COUNTERS]; // counted while there was no ring

uint64_t ring_word(uint32_t generation, uint32_t kind, uint32_t state, uint32_t length) {
    return (uint64_t)(generation & 0xffff) << 48 | (uint64_t)kind << 40 | (uint64_t)state << 32 | length;
}

uint64_t ring_pack(struct ring_position position) {
    return (uint64_t)(position.generation & 0xffff) << 48 | (uint64_t)position.slot << 32 | position.offset;
}

struct ring_position ring_unpack(uint64_t packed) {
    return (struct ring_position){(uint32_t)(packed >> 48), (uint32_t)(packed >> 32) & 0xffff, (uint32_t)packed};
}

uint32_t ring_stride(uint32_t length) {
    return 8 + ((length + 7) & ~7u);
}

static _Atomic uint64_t *word_at(const struct ring *ring, struct ring_position at) {
    return (_Atomic uint64_t *)(ring->segments + (size_t)at.slot * RING_SEGMENT_BYTES + at.offset);
}

static uint32_t generation_of(const struct ring *ring, uint32_t slot) {
    return atomic_load_explicit(&ring->file->generations[slot], memory_order_relaxed) & 0xffff;
}

static void move_tail(struct ring *ring, struct ring_position from, struct ring_position to) {
    uint64_t expected = ring_pack(from);
    atomic_compare_exchange_strong_explicit(&ring->file->tail, &expected, ring_pack(to), memory_order_acq_rel,
                                            memory_order_relaxed);
}

// Moves the tail past a word that somebody took. A stale position is harmless: the tail never holds it again.
static void help(struct ring *ring, struct ring_position at, uint64_t word) {
    uint32_t length = (uint32_t)word;
    struct ring_position next = {at.generation, at.slot, at.offset};
    if (((word >> 40) & 0xff) == RING_LINK) {
        if (length >= ring->segments_max)
            return;
        next = (struct ring_position){generation_of(ring, length), length, 0};
    } else if (length <= RING_RECORD_LIMIT) {
        next.offset += ring_stride(length);
    }
    move_tail(ring, at, next);
}

// Ends the tail's segment with a link to a free one. FULL: there is none.
static enum status link_segment(struct ring *ring, struct ring_position at) {
    struct ring_file *file = ring->file;
    uint64_t bits = atomic_load_explicit(&file->free_slots, memory_order_relaxed);
    do {
        if (bits == 0)
            return STATUS_FULL;
    } while (!atomic_compare_exchange_weak_explicit(&file->free_slots, &bits, bits & (bits - 1), memory_order_acquire,
                                                    memory_order_relaxed));
    uint32_t slot = (uint32_t)__builtin_ctzll(bits);
    struct ring_position next = {generation_of(ring, slot), slot, 0};
    uint64_t expected = ring_word(at.generation, 0, RING_EMPTY, 0);
    if (atomic_compare_exchange_strong_explicit(word_at(ring, at), &expected,
                                                ring_word(at.generation, RING_LINK, RING_COMMITTED, slot),
                                                memory_order_acq_rel, memory_order_relaxed))
        move_tail(ring, at, next);
    else
        atomic_fetch_or_explicit(&file->free_slots, (uint64_t)1 << slot, memory_order_release);
    return STATUS_OK;
}

// Takes the word at the tail. False: it was too late. A thread that slept through a whole recycling of the segment may
// hit eight bytes of a payload that look like the empty word: the slot's generation betrays it, and the bytes are put
// back.
static bool take(struct ring *ring, struct ring_position at, uint64_t busy, uint32_t stride) {
    uint64_t empty = ring_word(at.generation, 0, RING_EMPTY, 0);
    _Atomic uint64_t *word = word_at(ring, at);
    uint64_t expected = empty;
    if (!atomic_compare_exchange_strong_explicit(word, &expected, busy, memory_order_acq_rel, memory_order_relaxed))
        return false;
    if (__builtin_expect(generation_of(ring, at.slot) != at.generation, 0)) {
        expected = busy;
        atomic_compare_exchange_strong(word, &expected, empty);
        return false;
    }
    move_tail(ring, at, (struct ring_position){at.generation, at.slot, at.offset + stride});
    return true;
}

enum status ring_reserve(struct ring *ring, enum ring_kind kind, uint32_t bytes, uint8_t **out) {
    uint32_t stride = ring_stride(bytes);
    bool linked = false;
    if (bytes > RING_RECORD_LIMIT)
        return STATUS_TOO_LARGE;
    enum status status = STATUS_FULL;
    for (int tries = 0; tries < TRIES; tries++) {
        struct ring_position at = ring_unpack(atomic_load_explicit(&ring->file->tail, memory_order_acquire));
        uint64_t word = atomic_load_explicit(word_at(ring, at), memory_order_acquire);
        if (word != ring_word(at.generation, 0, RING_EMPTY, 0)) {
            if (word >> 48 == at.generation)
                help(ring, at, word);
            continue;
        }
        if (at.offset + stride > RING_SEGMENT_BYTES - 8) {
            if (link_segment(ring, at) != STATUS_OK)
                break;
            linked = true;
            continue;
        }
        if (take(ring, at, ring_word(at.generation, kind, RING_BUSY, bytes), stride)) {
            *out = (uint8_t *)word_at(ring, at) + 8;
            status = STATUS_OK;
            break;
        }
    }
    if ((linked || status != STATUS_OK) && ring->wake != NULL)
        ring->wake(ring->wake_self);
    return status;
}

void ring_commit(uint8_t *reserved) {
    _Atomic uint64_t *word = (_Atomic uint64_t *)(reserved - 8);
    uint64_t busy = atomic_load_explicit(word, memory_order_relaxed);
    uint64_t states = (uint64_t)(RING_BUSY ^ RING_COMMITTED) << 32;
    atomic_store_explicit(word, busy ^ states, memory_order_release);
}

#if defined(__SANITIZE_THREAD__)
#define COPY_BY_WORDS 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define COPY_BY_WORDS 1
#endif
#endif

// A slow thread may still look at a word of a recycled segment (and then finds that it is too late): for the thread
// sanitizer that is a race with a plain copy, so that one build copies by atomic bytes.
static void copy(uint8_t *to, const void *from, uint32_t bytes) {
#ifdef COPY_BY_WORDS
    for (uint32_t i = 0; i < bytes; i++)
        atomic_store_explicit((_Atomic uint8_t *)(to + i), ((const uint8_t *)from)[i], memory_order_relaxed);
#else
    memcpy(to, from, bytes);
#endif
}

enum status ring_push(struct ring *ring, enum ring_kind kind, const void *head, uint32_t head_bytes, const void *body,
                      uint32_t body_bytes) {
    uint8_t *room = NULL;
    if (ring == NULL) {
        ring_count(NULL, RING_DROPPED_NO_RING, 1);
        return STATUS_FULL;
    }
    if (atomic_load_explicit(&ring->file->strings_bytes, memory_order_relaxed) != intern_own().bytes)
        ring_sync_strings(ring);
    enum status status =
        body_bytes > RING_RECORD_LIMIT ? STATUS_TOO_LARGE : ring_reserve(ring, kind, head_bytes + body_bytes, &room);
    if (status != STATUS_OK) {
        ring_count(ring, status == STATUS_FULL ? RING_DROPPED_FULL : RING_DROPPED_TOO_LARGE, 1);
        return status;
    }
    copy(room, head, head_bytes);
    if (body_bytes != 0)
        copy(room + head_bytes, body, body_bytes);
    ring_commit(room);
    return STATUS_OK;
}

void ring_count(struct ring *ring, enum ring_counter counter, uint64_t n) {
    _Atomic uint64_t *counters = ring != NULL ? ring->file->counters : kept_aside;
    atomic_fetch_add_explicit(&counters[counter], n, memory_order_relaxed);
}

uint64_t ring_counter(const struct ring *ring, enum ring_counter counter) {
    const _Atomic uint64_t *counters = ring != NULL ? ring->file->counters : kept_aside;
    return atomic_load_explicit(&counters[counter], memory_order_relaxed);
}

void ring_adopt_counts(struct ring *ring) {
    for (unsigned i = 0; i < RING_COUNTERS; i++)
        ring_count(ring, i, atomic_exchange_explicit(&kept_aside[i], 0, memory_order_relaxed));
}

void ring_forget(struct ring *ring) {
    for (unsigned i = 0; i < RING_COUNTERS; i++)
        atomic_store_explicit(&kept_aside[i], 0, memory_order_relaxed);
    free(ring);
}

// Threads may copy the same words at the same time: they store the same bytes. The length is published last.
void ring_sync_strings(struct ring *ring) {
    struct intern_view own = intern_own();
    _Atomic uint32_t *published = &ring->file->strings_bytes;
    uint32_t have = atomic_load_explicit(published, memory_order_relaxed);
    uint8_t *to = (uint8_t *)ring->file + RING_STRINGS_AT;
    for (uint32_t at = have; at < own.bytes; at += 4) {
        uint32_t word;
        memcpy(&word, own.base + at, 4);
        atomic_store_explicit((_Atomic uint32_t *)(to + at), word, memory_order_relaxed);
    }
    while (have < own.bytes && !atomic_compare_exchange_weak_explicit(published, &have, own.bytes, memory_order_release,
                                                                      memory_order_relaxed))
        ;
}

uint32_t ring_intern(struct ring *ring, const char *text, size_t bytes) {
    uint32_t id = intern_text(text, bytes);
    if (ring != NULL && atomic_load_explicit(&ring->file->strings_bytes, memory_order_relaxed) < intern_own().bytes)
        ring_sync_strings(ring);
    return id;
}
