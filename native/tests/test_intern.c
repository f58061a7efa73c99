// SPDX-License-Identifier: Apache-2.0
// Interned strings: the same text gives the same id in every thread, and a full table says so by 0.
#include "check.h"
#include "intern.h"
#include <pthread.h>
#include <string.h>

CHECK_MAIN;

#define THREADS 4
#define NAMES 200

static bool is(uint32_t id, const char *expected) {
    struct intern_view own = intern_own();
    const char *text;
    uint32_t bytes;
    return intern_get(&own, id, &text, &bytes) && bytes == strlen(expected) && memcmp(text, expected, bytes) == 0;
}

static void the_same_text_has_the_same_id(void) {
    uint32_t first = intern_text("http.route", 10), second = intern_text("db.system.name", 14);
    CHECK(first != 0 && second != 0 && first != second);
    CHECK(intern_text("http.route", 10) == first);
    CHECK(is(first, "http.route") && is(second, "db.system.name"));
    CHECK(is(intern_text("", 0), ""));
    CHECK(intern_text("http.rout", 9) != first);
}

static void ids_outside_the_table_are_refused(void) {
    struct intern_view own = intern_own();
    const char *text;
    uint32_t bytes;
    CHECK(!intern_get(&own, 0, &text, &bytes));
    CHECK(!intern_get(&own, own.bytes / 4 + 1, &text, &bytes));
    CHECK(!intern_get(&own, UINT32_MAX, &text, &bytes));
    static const uint8_t lies[8] = {0xff, 0xff, 'a', 'b', 6, 0, 'c', 'd'};
    struct intern_view foreign = {lies, sizeof lies};
    CHECK(!intern_get(&foreign, 1, &text, &bytes)); // longer than the table
    CHECK(!intern_get(&foreign, 2, &text, &bytes));
    struct intern_view empty = {lies, 0};
    CHECK(!intern_get(&empty, 1, &text, &bytes));
}

static uint32_t found[THREADS][NAMES];

static void *intern_all(void *which) {
    for (int i = 0; i < NAMES; i++) {
        char text[32];
        int bytes = snprintf(text, sizeof text, "thread.name.%d", i);
        // 0: another thread was inserting; the text itself would be carried. It must work sooner or later.
        for (int tries = 0; tries < 1000000 && found[(long)which][i] == 0; tries++)
            found[(long)which][i] = intern_text(text, (size_t)bytes);
    }
    return NULL;
}

static void threads_agree_about_ids(void) {
    pthread_t threads[THREADS];
    for (long i = 0; i < THREADS; i++)
        REQUIRE(pthread_create(&threads[i], NULL, intern_all, (void *)i) == 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < NAMES; i++) {
        char text[32];
        snprintf(text, sizeof text, "thread.name.%d", i);
        for (int thread = 0; thread < THREADS; thread++)
            CHECK(found[thread][i] == found[0][i] && is(found[thread][i], text));
    }
}

static void a_full_table_takes_nothing_more_and_keeps_what_it_has(void) {
    char text[64];
    uint32_t last = 1, first = intern_text("http.route", 10);
    CHECK(intern_text(text, INTERN_TEXT_LIMIT + 1) == 0);
    for (int i = 0; i < 10000 && last != 0; i++)
        last = intern_text(text, (size_t)snprintf(text, sizeof text, "some.rather.long.attribute.name.%d", i));
    CHECK(last == 0);
    CHECK(intern_own().bytes <= INTERN_BYTES);
    CHECK(intern_text("http.route", 10) == first && is(first, "http.route"));
}

int main(void) {
    RUN(the_same_text_has_the_same_id);
    RUN(ids_outside_the_table_are_refused);
    RUN(threads_agree_about_ids);
    RUN(a_full_table_takes_nothing_more_and_keeps_what_it_has);
    return REPORT();
}
