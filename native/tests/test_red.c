// SPDX-License-Identifier: Apache-2.0
// test_red: notes, series and their limit; threads that make the same series at the same time lose no measurement.
#include "check.h"
#include "red.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>

CHECK_MAIN;

#define THREADS 4
#define ROUNDS 20000
#define ROUTES 40

static struct red_note server(const char *route, int status) {
    struct red_note note;
    red_note_begin(&note, RED_HTTP_SERVER, 7);
    red_note_text(&note, RED_METHOD, "GET", 3);
    red_note_text(&note, RED_ROUTE, route, strlen(route));
    red_note_integer(&note, RED_STATUS, status);
    return note;
}

static void equal_sets_are_one_series_in_whatever_order_they_were_set(void) {
    struct red_note one = server("/a", 200), other;
    red_note_begin(&other, RED_HTTP_SERVER, 9);
    red_note_integer(&other, RED_STATUS, 500);
    red_note_text(&other, RED_ROUTE, "/a long one", 11);
    red_note_text(&other, RED_METHOD, "GET", 3);
    red_note_integer(&other, RED_STATUS, 200);
    red_note_text(&other, RED_ROUTE, "/a", 2);
    red_note_text(&other, RED_SYSTEM, "sqlite", 6); // no attribute of this metric
    CHECK(red_series(&one) == red_series(&other));
    red_note_text(&other, RED_STATUS, "200", 3); // a text isn't a number
    CHECK(red_series(&one) != red_series(&other));
    struct red_note db;
    red_note_begin(&db, RED_DB_CLIENT, 0);
    struct red_note client;
    red_note_begin(&client, RED_HTTP_CLIENT, 0);
    CHECK(red_series(&db) != red_series(&client));
}

static void note_made_from_a_series_leads_back_to_it(void) {
    struct red_note note = server("/back/<id>", 404), again;
    red_note_text(&note, RED_ERROR, "KeyError", 8);
    struct red_series *series = red_series(&note);
    red_note_of(series, &again);
    CHECK(red_series(&again) == series);
}

static void long_texts_are_cut_between_characters_and_never_beyond_the_note(void) {
    char text[600];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = i % 2 ? '\xa9' : '\xc3'; // é
    struct red_note note;
    red_note_begin(&note, RED_DB_CLIENT, 0);
    red_note_text(&note, RED_SUMMARY, text, sizeof text);
    CHECK(note.values[RED_SUMMARY].text.bytes == RED_TEXT_LIMIT - 1);
    for (int i = 0; i < 50; i++) { // longer each time, so never over what was there
        red_note_text(&note, RED_ERROR, text, (size_t)i * 4);
        red_note_text(&note, RED_ADDRESS, text, (size_t)i * 5);
    }
    CHECK(note.used <= RED_NOTE_BYTES);
    red_note_text(&note, RED_COLLECTION, NULL, 0);
    CHECK(red_series(&note) == red_series(&note));
}

static void measurements_fall_into_their_buckets(void) {
    struct red_note note = server("/buckets", 200);
    struct red_series *series = red_series(&note);
    red_record(series, 0);
    red_record(series, 5000000); // a bound belongs to the bucket below it
    red_record(series, 5000001);
    red_record(series, 10000000001u); // more than the last bound
    CHECK(series->buckets[0] == 2 && series->buckets[1] == 1 && series->buckets[14] == 1);
    CHECK(series->sum_ns == 10010000002u && red_count(series) == 4);
}

static void more_sets_than_allowed_meet_in_the_overflow(void) {
    char route[32];
    uint64_t counted = 0;
    red_reset();
    for (unsigned i = 0; i < 5000; i++) {
        struct red_note note;
        red_note_begin(&note, RED_DB_CLIENT, 0);
        red_note_text(&note, RED_COLLECTION, route, (size_t)snprintf(route, sizeof route, "table%u", i));
        red_record(red_series(&note), 1);
    }
    for (const struct red_series *series = red_latest(); series != NULL; series = series->next)
        counted += red_count(series);
    CHECK(counted <= RED_SETS_LIMIT - 1 && counted >= RED_SETS_LIMIT - 10);
    CHECK(counted + red_count(red_overflow(RED_DB_CLIENT)) == 5000);
    CHECK(red_points() == counted + 1);
    struct red_note note = server("/another metric has room", 200);
    CHECK(red_series(&note) != red_overflow(RED_HTTP_SERVER));
    red_reset();
    CHECK(red_points() == 0);
}

static void *requests(void *unused) {
    (void)unused;
    char route[32];
    for (int i = 0; i < ROUNDS; i++) {
        snprintf(route, sizeof route, "/thread/%d", i % ROUTES);
        struct red_note note = server(route, 200);
        red_record(red_series(&note), (uint64_t)i);
    }
    return NULL;
}

static void threads_that_meet_lose_nothing_and_make_no_series_twice(void) {
    pthread_t threads[THREADS];
    uint64_t counted = 0, series_count = 0;
    red_reset();
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, requests, NULL) == 0);
    size_t seen = 0;
    for (int i = 0; i < 1000; i++) // what the sender's thread does meanwhile
        seen += red_points();
    CHECK(seen <= 1000u * ROUTES);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (const struct red_series *series = red_latest(); series != NULL; series = series->next) {
        series_count += red_count(series) != 0;
        counted += red_count(series);
    }
    CHECK(series_count == ROUTES && counted == (uint64_t)THREADS * ROUNDS);
}

int main(void) {
    RUN(equal_sets_are_one_series_in_whatever_order_they_were_set);
    RUN(note_made_from_a_series_leads_back_to_it);
    RUN(long_texts_are_cut_between_characters_and_never_beyond_the_note);
    RUN(measurements_fall_into_their_buckets);
    RUN(more_sets_than_allowed_meet_in_the_overflow);
    RUN(threads_that_meet_lose_nothing_and_make_no_series_twice);
    return REPORT();
}
