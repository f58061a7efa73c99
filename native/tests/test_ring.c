// SPDX-License-Identifier: Apache-2.0
// One producer, one consumer, one thread: what goes in comes out, full and too large are counted, growth, flights,
// strings.
#include "check.h"
#include "ring_layout.h"
#include <pthread.h>
#include <string.h>

CHECK_MAIN;

static struct ring *make(uint64_t limit_bytes) {
    struct ring *ring;
    struct ring_options options = {
        .resource = (const uint8_t *)"resource", .resource_bytes = 8, .limit_bytes = limit_bytes};
    REQUIRE(ring_create(&ring, &options) == STATUS_OK);
    return ring;
}

// A record of any size whose bytes follow from its number.
static enum status push(struct ring *ring, uint32_t number, uint32_t bytes) {
    static uint8_t body[RING_RECORD_LIMIT + 64];
    for (uint32_t i = 0; i < bytes; i++)
        body[i] = (uint8_t)(number * 31 + i);
    return ring_push(ring, RING_SPAN, &number, sizeof number, body, bytes);
}

static bool is(const struct ring_entry *entry, uint32_t number, uint32_t bytes) {
    uint32_t found;
    if (entry->kind != RING_SPAN || entry->length != sizeof found + bytes)
        return false;
    memcpy(&found, entry->bytes, sizeof found);
    for (uint32_t i = 0; i < bytes; i++)
        if (entry->bytes[sizeof found + i] != (uint8_t)(number * 31 + i))
            return false;
    return found == number;
}

static uint32_t drain(struct ring *ring) {
    struct ring_cursor cursor = ring_cursor(ring);
    struct ring_entry entry;
    uint32_t count = 0;
    while (ring_next(&cursor, &entry))
        count++;
    ring_release(ring, &cursor);
    return count;
}

static void a_cursor_knows_strings_that_came_after_it(void) {
    struct ring *ring = make(0);
    struct ring_cursor cursor = ring_cursor(ring);
    uint32_t id = ring_intern(ring, "came.later", 10), bytes = 0;
    const char *text = NULL;
    CHECK(push(ring, id, 0) == STATUS_OK);
    struct ring_entry entry;
    CHECK(ring_next(&cursor, &entry) && is(&entry, id, 0));
    CHECK(intern_get(&cursor.view->strings, id, &text, &bytes) && bytes == 10 && memcmp(text, "came.later", 10) == 0);
    ring_destroy(ring);
}

static void records_come_out_as_they_went_in(void) {
    struct ring *ring = make(0);
    struct ring_entry entry;
    CHECK(!ring_is_shared(ring) && ring_path(ring)[0] == '\0' && !ring_pending(ring));
    for (uint32_t i = 0; i < 300; i++)
        CHECK(push(ring, i, i * 7 % 1500) == STATUS_OK);
    CHECK(ring_pending(ring));
    struct ring_cursor cursor = ring_cursor(ring);
    for (uint32_t i = 0; i < 300; i++)
        CHECK(ring_next(&cursor, &entry) && is(&entry, i, i * 7 % 1500));
    CHECK(!ring_next(&cursor, &entry));
    struct ring_cursor again = ring_cursor(ring); // nothing was released yet
    CHECK(ring_next(&again, &entry) && is(&entry, 0, 0));
    ring_release(ring, &cursor);
    CHECK(!ring_pending(ring));
    again = ring_cursor(ring);
    CHECK(!ring_next(&again, &entry));
    ring_destroy(ring);
}

static void full_ring_drops_newest_and_counts(void) {
    struct ring *ring = make(1);
    struct ring_entry entry;
    uint32_t kept = 0;
    while (push(ring, kept, 1000) == STATUS_OK)
        kept++;
    CHECK(kept > 700 && kept < 790); // three segments of 256 KiB
    for (int i = 0; i < 9; i++)
        CHECK(push(ring, 999999, 1000) == STATUS_FULL);
    CHECK(ring_counter(ring, RING_DROPPED_FULL) == 10);
    struct ring_cursor cursor = ring_cursor(ring);
    for (uint32_t i = 0; i < kept; i++)
        CHECK(ring_next(&cursor, &entry) && is(&entry, i, 1000));
    CHECK(!ring_next(&cursor, &entry));
    ring_release(ring, &cursor);
    CHECK(push(ring, 1, 1000) == STATUS_OK && drain(ring) == 1);
    ring_destroy(ring);
}

static void a_ring_goes_round_for_ever(void) {
    struct ring *ring = make(1);
    struct ring_entry entry;
    for (uint32_t round = 0; round < 400; round++) {
        for (uint32_t i = 0; i < 50; i++)
            CHECK(push(ring, round * 50 + i, (round * 50 + i) % 5000) == STATUS_OK);
        struct ring_cursor cursor = ring_cursor(ring);
        for (uint32_t i = 0; i < 50; i++)
            CHECK(ring_next(&cursor, &entry) && is(&entry, round * 50 + i, (round * 50 + i) % 5000));
        CHECK(!ring_next(&cursor, &entry));
        ring_release(ring, &cursor);
    }
    CHECK(ring_counter(ring, RING_DROPPED_FULL) == 0);
    uint32_t most = 0;
    for (uint32_t slot = 0; slot < RING_SEGMENTS_FIRST; slot++)
        most += ring->file->generations[slot];
    CHECK(most > 100);
    ring_destroy(ring);
}

static void the_largest_record_fits_and_one_byte_more_is_counted(void) {
    struct ring *ring = make(0);
    struct ring_entry entry;
    CHECK(push(ring, 7, RING_RECORD_LIMIT - 4) == STATUS_OK);
    CHECK(push(ring, 8, RING_RECORD_LIMIT - 4) == STATUS_OK);
    CHECK(push(ring, 9, RING_RECORD_LIMIT - 3) == STATUS_TOO_LARGE);
    CHECK(ring_push(ring, RING_SPAN, "head", 4, "", UINT32_MAX) == STATUS_TOO_LARGE);
    CHECK(ring_counter(ring, RING_DROPPED_TOO_LARGE) == 2);
    struct ring_cursor cursor = ring_cursor(ring);
    CHECK(ring_next(&cursor, &entry) && is(&entry, 7, RING_RECORD_LIMIT - 4));
    CHECK(ring_next(&cursor, &entry) && is(&entry, 8, RING_RECORD_LIMIT - 4));
    ring_destroy(ring);
}

static int woken;

static void wake(void *self) {
    (void)self;
    woken++;
}

static void a_ring_grows_to_its_limit_and_asks_for_it(void) {
    struct ring *ring;
    struct ring_options options = {.limit_bytes = 4u << 20, .wake = wake};
    REQUIRE(ring_create(&ring, &options) == STATUS_OK);
    uint32_t kept = 0, last = 0;
    CHECK(!ring_wants_growth(ring));
    for (; last < 100 && woken < 1; last++)
        CHECK(push(ring, kept++, 20000) == STATUS_OK);
    CHECK(woken == 1); // a segment was full
    while (ring_counter(ring, RING_DROPPED_FULL) == 0) {
        if (ring_wants_growth(ring))
            CHECK(ring_grow(ring) == STATUS_OK);
        kept += push(ring, kept, 20000) == STATUS_OK;
    }
    CHECK(kept * 20000u > (3u << 20) && kept * 20000u < (4u << 20));
    CHECK(!ring_wants_growth(ring) && ring_grow(ring) == STATUS_FULL);
    CHECK(drain(ring) == kept && push(ring, 1, 1) == STATUS_OK && drain(ring) == 1);
    ring_destroy(ring);
}

static void a_ring_that_shrank_grows_again(void) {
    struct ring *ring = make(4u << 20);
    struct ring_entry entry;
    for (uint32_t round = 0; round < 5; round++) {
        uint32_t kept = 0;
        while (ring_grow(ring) == STATUS_OK)
            ;
        while (push(ring, kept, 20000) == STATUS_OK)
            kept++;
        CHECK(kept * 20000u > (3u << 20));
        ring_shrink(ring); // nothing is free
        struct ring_cursor cursor = ring_cursor(ring);
        for (uint32_t i = 0; i < kept; i++)
            CHECK(ring_next(&cursor, &entry) && is(&entry, i, 20000));
        ring_release(ring, &cursor);
        ring_shrink(ring);
        CHECK(ring_segments(ring) == RING_SEGMENTS_FIRST);
        for (uint32_t i = 0; i < 30; i++) // goes on in what is left
            CHECK(push(ring, i, 5000) == STATUS_OK);
        CHECK(drain(ring) == 30);
        ring_shrink(ring);
    }
    ring_destroy(ring);
}

static void an_uncommitted_record_stops_the_consumer_and_a_reader_of_the_dead_passes_it(void) {
    struct ring *ring = make(0);
    struct ring_entry entry;
    uint8_t *room;
    CHECK(push(ring, 1, 10) == STATUS_OK);
    REQUIRE(ring_reserve(ring, RING_SPAN, 14, &room) == STATUS_OK);
    CHECK((uintptr_t)room % 8 == 0);
    CHECK(push(ring, 3, 10) == STATUS_OK);
    struct ring_cursor cursor = ring_cursor(ring);
    CHECK(ring_next(&cursor, &entry) && is(&entry, 1, 10));
    CHECK(!ring_next(&cursor, &entry) && cursor.skipped == 0);
    ring->view.dead = true;
    struct ring_cursor dead = ring_cursor(ring);
    CHECK(ring_next(&dead, &entry) && ring_next(&dead, &entry) && is(&entry, 3, 10) && dead.skipped == 1);
    ring->view.dead = false;
    memset(room, 0, 14);
    memcpy(room, &(uint32_t){0}, 4);
    ring_commit(room);
    CHECK(ring_next(&cursor, &entry) && entry.length == 14);
    CHECK(ring_next(&cursor, &entry) && is(&entry, 3, 10));
    ring_destroy(ring);
}

// The position a producer remembered from before its segment was recycled is of no use to it.
static void a_segment_in_its_next_generation_refuses_late_comers(void) {
    struct ring *ring = make(1);
    uint64_t old_tail = ring->file->tail;
    for (int i = 0; i < 40; i++) {
        CHECK(push(ring, 1, 100000) == STATUS_OK);
        drain(ring);
    }
    struct ring_position now = ring_unpack(ring->file->tail);
    CHECK(now.generation > 0);
    uint64_t expected = old_tail;
    CHECK(!atomic_compare_exchange_strong(&ring->file->tail, &expected, old_tail + 8));
    CHECK(push(ring, 2, 100) == STATUS_OK && drain(ring) == 1);
    ring_destroy(ring);
}

static void counts_without_a_ring_are_kept_for_the_next_one(void) {
    CHECK(ring_push(NULL, RING_SPAN, "x", 1, NULL, 0) == STATUS_FULL);
    ring_count(NULL, RING_RECORDED, 3);
    CHECK(ring_counter(NULL, RING_DROPPED_NO_RING) == 1);
    struct ring *ring = make(0);
    CHECK(ring_counter(ring, RING_RECORDED) == 3 && ring_counter(ring, RING_DROPPED_NO_RING) == 1);
    CHECK(ring_counter(NULL, RING_RECORDED) == 0);
    ring_destroy(ring);
}

static void strings_reach_the_ring_whenever_they_are_interned(void) {
    uint32_t before = ring_intern(NULL, "before the ring", 15), after;
    struct ring *ring = make(0);
    after = ring_intern(ring, "after the ring", 14);
    uint32_t between = ring_intern(NULL, "between two records", 19);
    CHECK(push(ring, 1, 1) == STATUS_OK); // brings what is missing along
    struct intern_view view = {(uint8_t *)ring->file + RING_STRINGS_AT, ring->file->strings_bytes};
    const char *text;
    uint32_t bytes;
    CHECK(intern_get(&view, before, &text, &bytes) && memcmp(text, "before the ring", 15) == 0);
    CHECK(intern_get(&view, after, &text, &bytes) && memcmp(text, "after the ring", 14) == 0);
    CHECK(intern_get(&view, between, &text, &bytes) && memcmp(text, "between two records", 19) == 0);
    ring_destroy(ring);
}

static void requests_in_flight_are_listed_until_they_end(void) {
    struct ring *ring = make(0), *other = make(0);
    struct span_record head = {.start_ns = 5};
    int32_t tokens[RING_FLIGHT_SLOTS];
    const struct ring_flight *flights = (const struct ring_flight *)((uint8_t *)ring->file + RING_FLIGHTS_AT);
    char longer[300];
    memset(longer, 'x', sizeof longer);
    for (uint32_t i = 0; i < RING_FLIGHT_SLOTS; i++)
        CHECK((tokens[i] = ring_flight_begin(ring, &head, "GET /", 5, longer, sizeof longer)) >= 0);
    CHECK(ring_flight_begin(ring, &head, "GET /", 5, "", 0) == -1);
    CHECK(ring_counter(ring, RING_FLIGHTS_MISSED) == 1 && ring_counter(ring, RING_FLIGHTS) == RING_FLIGHT_SLOTS);
    CHECK(flights[200].state == RING_FLIGHT_SET && flights[200].name_bytes == 5 && flights[200].detail_bytes == 104);
    ring_flight_end(other, tokens[3]); // another ring's token does nothing
    CHECK(flights[3].state == RING_FLIGHT_SET);
    ring_flight_end(ring, tokens[3]);
    CHECK(flights[3].state == RING_FLIGHT_FREE);
    CHECK(ring_flight_begin(ring, &head, "again", 5, "", 0) == tokens[3]);
    ring_flight_end(ring, -1);
    ring_flight_end(NULL, tokens[0]);
    CHECK(ring_flight_begin(NULL, &head, "", 0, "", 0) == -1);
    ring_destroy(ring);
    ring_destroy(other);
}

int main(void) {
    RUN(a_cursor_knows_strings_that_came_after_it);
    RUN(records_come_out_as_they_went_in);
    RUN(full_ring_drops_newest_and_counts);
    RUN(a_ring_goes_round_for_ever);
    RUN(the_largest_record_fits_and_one_byte_more_is_counted);
    RUN(a_ring_grows_to_its_limit_and_asks_for_it);
    RUN(a_ring_that_shrank_grows_again);
    RUN(an_uncommitted_record_stops_the_consumer_and_a_reader_of_the_dead_passes_it);
    RUN(a_segment_in_its_next_generation_refuses_late_comers);
    RUN(counts_without_a_ring_are_kept_for_the_next_one);
    RUN(strings_reach_the_ring_whenever_they_are_interned);
    RUN(requests_in_flight_are_listed_until_they_end);
    return REPORT();
}
