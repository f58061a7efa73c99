// SPDX-License-Identifier: Apache-2.0
// Many producers, one consumer, a million records through three segments: none is lost, none comes twice, each
// producer's records keep their order, and nobody ever waits for a lock. Meant for ThreadSanitizer as well.
#include "check.h"
#include "ring_layout.h"
#include <pthread.h>
#include <sched.h>
#include <string.h>

CHECK_MAIN;

#define PRODUCERS 4u
#define RECORDS 125000u // of each, in each of two rounds

struct record {
    uint32_t producer;
    uint32_t number;
    uint64_t check;
};

static struct ring *ring;
static _Atomic uint32_t producing;
static _Atomic uint64_t refused;

static uint64_t check_of(uint32_t producer, uint32_t number) {
    return ((uint64_t)producer << 32 | number) * 0x9e3779b97f4a7c15u;
}

static void *produce(void *which) {
    uint32_t producer = (uint32_t)(uintptr_t)which;
    uint8_t padding[64] = {0}; // zeros look like the empty words of a fresh segment
    for (uint32_t number = 0; number < RECORDS; number++) {
        struct record record = {producer, number, check_of(producer, number)};
        // Full drops; this producer insists, so that every record must arrive.
        while (ring_push(ring, RING_SPAN, &record, sizeof record, padding, number % 61) != STATUS_OK) {
            atomic_fetch_add(&refused, 1);
            sched_yield();
        }
    }
    atomic_fetch_sub(&producing, 1);
    return NULL;
}

static uint32_t expected[PRODUCERS];

// Takes what is there; true if there was something.
static bool consume(void) {
    struct ring_cursor cursor = ring_cursor(ring);
    struct ring_entry entry;
    uint32_t taken = 0;
    while (taken < 5000 && ring_next(&cursor, &entry)) {
        struct record record;
        REQUIRE(entry.kind == RING_SPAN && entry.length >= sizeof record);
        memcpy(&record, entry.bytes, sizeof record);
        REQUIRE(record.producer < PRODUCERS);
        REQUIRE(record.check == check_of(record.producer, record.number));
        REQUIRE(record.number == expected[record.producer]);
        REQUIRE(entry.length == sizeof record + record.number % 61);
        for (uint32_t i = sizeof record; i < entry.length; i++)
            REQUIRE(entry.bytes[i] == 0);
        expected[record.producer]++;
        taken++;
    }
    ring_release(ring, &cursor);
    return taken != 0;
}

static void run_round(uint64_t limit_bytes) {
    pthread_t threads[PRODUCERS];
    struct ring_options options = {.limit_bytes = limit_bytes};
    memset(expected, 0, sizeof expected);
    refused = 0;
    REQUIRE(ring_create(&ring, &options) == STATUS_OK);
    producing = PRODUCERS;
    for (uintptr_t i = 0; i < PRODUCERS; i++)
        REQUIRE(pthread_create(&threads[i], NULL, produce, (void *)i) == 0);
    for (unsigned turn = 0;; turn++) {
        bool last = producing == 0;
        if (turn % 16 == 0)
            (void)!ring_grow(ring); // FULL when there is no more to have
        else if (turn % 16 == 8)
            ring_shrink(ring);
        if (!consume()) {
            if (last)
                break;
            sched_yield();
        }
    }
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        pthread_join(threads[i], NULL);
        CHECK(expected[i] == RECORDS);
    }
    CHECK(ring_counter(ring, RING_DROPPED_FULL) == refused);
    ring_destroy(ring);
}

static void no_record_is_lost_or_doubled(void) {
    run_round(1);
}

static void no_record_is_lost_or_doubled_while_the_ring_grows_and_shrinks(void) {
    run_round(4u << 20);
}

static void *count_flights(void *unused) {
    struct span_record head = {.start_ns = 1};
    (void)unused;
    for (int i = 0; i < 20000; i++) {
        int32_t token = ring_flight_begin(ring, &head, "name", 4, "detail", 6);
        CHECK(token >= 0);
        ring_flight_end(ring, token);
        ring_count(ring, RING_RECORDED, 1);
    }
    return NULL;
}

static void flights_and_counters_bear_many_threads(void) {
    pthread_t threads[PRODUCERS];
    struct ring_options options = {.limit_bytes = 1};
    REQUIRE(ring_create(&ring, &options) == STATUS_OK);
    for (uintptr_t i = 0; i < PRODUCERS; i++)
        REQUIRE(pthread_create(&threads[i], NULL, count_flights, NULL) == 0);
    for (uint32_t i = 0; i < PRODUCERS; i++)
        pthread_join(threads[i], NULL);
    CHECK(ring_counter(ring, RING_RECORDED) == PRODUCERS * 20000);
    CHECK(ring_counter(ring, RING_FLIGHTS) == PRODUCERS * 20000);
    for (int i = 0; i < 4; i++)
        CHECK(ring->file->flights[i] == 0);
    ring_destroy(ring);
}

int main(void) {
    RUN(no_record_is_lost_or_doubled);
    RUN(no_record_is_lost_or_doubled_while_the_ring_grows_and_shrinks);
    RUN(flights_and_counters_bear_many_threads);
    return REPORT();
}
