// SPDX-License-Identifier: Apache-2.0
// clock: see clock.h. The kernel slews both clocks alike, so the anchor only changes when the wall clock is stepped.
// Any thread; two threads that renew at once store nearly the same value, and either is right.
#include "clock.h"
#include <stdatomic.h>
#include <time.h>

#define ANCHOR_LIFE_NS 1000000000u
#define ANCHOR_GAP_NS 5000u // three reads take 60 ns
#define ANCHOR_TRIES 5

static _Atomic uint64_t anchor_offset_ns;  // realtime - monotonic, modulo 2^64; 0: not known yet
static _Atomic uint64_t anchor_renewed_ns; // monotonic

static uint64_t read_ns(clockid_t clock) {
    struct timespec now = {0};
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t clock_mono_ns(void) {
    return read_ns(CLOCK_MONOTONIC);
}

// Reads monotonic on both sides of realtime and takes the middle; once more if the thread was interrupted in between.
void clock_anchor(void) {
    uint64_t best_gap = UINT64_MAX, offset = 0, after = 0;
    for (int tries = 0; tries < ANCHOR_TRIES && best_gap > ANCHOR_GAP_NS; tries++) {
        uint64_t before = read_ns(CLOCK_MONOTONIC);
        uint64_t real = read_ns(CLOCK_REALTIME);
        after = read_ns(CLOCK_MONOTONIC);
        if (after - before < best_gap) {
            best_gap = after - before;
            offset = real - (before + best_gap / 2);
        }
    }
    atomic_store_explicit(&anchor_offset_ns, offset, memory_order_relaxed);
    atomic_store_explicit(&anchor_renewed_ns, after, memory_order_relaxed);
}

uint64_t clock_real_of(uint64_t mono_ns) {
    uint64_t renewed = atomic_load_explicit(&anchor_renewed_ns, memory_order_relaxed);
    if (renewed == 0 || (int64_t)(mono_ns - renewed) > (int64_t)ANCHOR_LIFE_NS)
        clock_anchor();
    return mono_ns + atomic_load_explicit(&anchor_offset_ns, memory_order_relaxed);
}

uint64_t clock_real_ns(void) {
    return clock_real_of(clock_mono_ns());
}

uint32_t clock_coarse_s(void) {
    struct timespec now = {0};
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return (uint32_t)now.tv_sec;
}
