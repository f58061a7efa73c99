// SPDX-License-Identifier: Apache-2.0
// tool_metrics: fills the registry of runtime metrics as the test in Python expects it (argument: what), and writes the
// request to standard output.
#include "metrics.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START_NS 1000000000u
#define NOW_NS 9000000000u

static struct metric_label number(int64_t integer) {
    return (struct metric_label){.integer = integer};
}

static void usual(void) {
    for (int64_t generation = 0; generation < 3; generation++) {
        struct metric_label label = number(generation);
        metrics_add(METRIC_GC_COLLECTIONS, &label, 100 >> generation);
        metrics_add(METRIC_GC_COLLECTIONS, &label, 1);
        metrics_add(METRIC_GC_COLLECTED_OBJECTS, &label, 1000 * generation);
        metrics_record(METRIC_GC_PAUSE, &label, .0002);
        metrics_record(METRIC_GC_PAUSE, &label, .0005); // a bound belongs to the bucket below it
        metrics_record(METRIC_GC_PAUSE, &label, 1e9);
        metrics_record(METRIC_GC_PAUSE, &label, -1.0); // no measurement
        metrics_record(METRIC_GC_PAUSE, &label, __builtin_nan(""));
    }
    metrics_set(METRIC_THREAD_COUNT, NULL, 7);
    metrics_set(METRIC_THREAD_COUNT, NULL, 5);
}

static void too_many(void) {
    for (int64_t i = 0; i < 1000; i++) {
        struct metric_label label = number(i);
        metrics_add(METRIC_GC_COLLECTIONS, &label, 1);
    }
    metrics_record(METRIC_EVENTLOOP_LAG, NULL, .001);
}

static void texts(void) {
    char longer[] = "0123456789012345678901234567890123456789012345678901234567890\xe4\xb8\x96\xe4\xb8\x96";
    struct metric_label label = {.text = "full", .bytes = 4};
    metrics_add(METRIC_GC_COLLECTIONS, &label, 1);
    metrics_add(METRIC_GC_COLLECTIONS, &label, 1);
    label = (struct metric_label){.text = longer, .bytes = (uint32_t)strlen(longer)};
    metrics_add(METRIC_GC_COLLECTIONS, &label, 5);
}

// 1,500 routes, one request each, and one call to a database that failed.
static void requests(void) {
    char route[64];
    struct red_note note;
    for (unsigned i = 0; i < 1500; i++) {
        red_note_begin(&note, RED_HTTP_SERVER, 0);
        red_note_text(&note, RED_METHOD, "GET", 3);
        red_note_text(&note, RED_ROUTE, route, (size_t)snprintf(route, sizeof route, "/route/%u/<id>", i));
        red_note_integer(&note, RED_STATUS, 200);
        red_record(red_series(&note), 20000000);
    }
    red_note_begin(&note, RED_DB_CLIENT, 0);
    red_note_text(&note, RED_SYSTEM, "sqlite", 6);
    red_note_text(&note, RED_ERROR, "sqlite3.Error", 13);
    red_record(red_series(&note), 500000);
    for (unsigned i = 0; i < 2100; i++) {
        red_note_begin(&note, RED_HTTP_CLIENT, 0);
        red_note_integer(&note, RED_PORT, i);
        red_record(red_series(&note), 1);
    }
}

int main(int count, char **arguments) {
    static const uint8_t resource[] = "\x0a\x13\x0a\x0cservice.name\x12\x03\x0a\x01s";
    const char *what = count > 1 ? arguments[1] : "";
    size_t capacity = count > 2 ? (size_t)atoi(arguments[2]) : 1 << 20, bytes = 0, points = 0;
    uint8_t *out = malloc(capacity); // exactly: the sanitizer sees what is written behind
    metrics_reset(5);
    too_many();
    metrics_reset(START_NS); // a fork's child
    if (strcmp(what, "usual") == 0)
        usual();
    else if (strcmp(what, "too_many") == 0)
        too_many();
    else if (strcmp(what, "texts") == 0)
        texts();
    else if (strcmp(what, "requests") == 0)
        requests();
    struct metrics_cursor cursor = {0};
    enum status status;
    size_t all_points = 0;
    do { // each of several requests has its length before it
        status = metrics_encode(resource, sizeof resource - 1, NOW_NS, &cursor, out, capacity, &bytes, &points);
        all_points += points;
        if (strcmp(what, "requests") == 0 && bytes != 0)
            printf("%zu\n", bytes);
        fwrite(out, 1, bytes, stdout);
    } while (status == STATUS_OK && bytes != 0);
    fprintf(stderr, "%zu", status == STATUS_OK && all_points != metrics_points() ? 0 : metrics_points());
    free(out);
    return (int)status;
}
