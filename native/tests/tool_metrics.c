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

int main(int count, char **arguments) {
    static const uint8_t resource[] = "\x0a\x13\x0a\x0cservice.name\x12\x03\x0a\x01s";
    const char *what = count > 1 ? arguments[1] : "";
    size_t capacity = count > 2 ? (size_t)atoi(arguments[2]) : 1 << 20, bytes = 0;
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
    enum status status = metrics_encode(resource, sizeof resource - 1, NOW_NS, out, capacity, &bytes);
    fwrite(out, 1, bytes, stdout);
    fprintf(stderr, "%zu", metrics_points());
    free(out);
    return (int)status;
}
