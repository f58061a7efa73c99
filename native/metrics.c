// SPDX-License-Identifier: Apache-2.0
// metrics: see metrics.h. A pool of points, claimed once by compare-and-swap and never given back before a reset;
// finding one is a walk over those in use (a dozen, 256 at worst). Values are relaxed atomics,
// so that a histogram that is read while it is written may be one measurement apart from its sum. 60 KB of zero pages,
// touched as points appear. metrics_reset is called when no other thread writes (start, or the child of a fork).
#include "metrics.h"
#include "otlp.h"
#include "otlp_wire.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#define BUCKETS_MAX 16u
#define TAIL_BYTES 128u // of a request, behind its metrics
#define POINTS 256u     // of all metrics together; then everything new goes to the overflow points

enum kind { COUNTER, UP_DOWN, HISTOGRAM };

struct instrument {
    const char *name;
    const char *unit;
    const char *description;
    enum kind kind;
    uint32_t label_count;
    const char *labels[METRICS_LABELS]; // keys
    const double *bounds;               // of a histogram
    uint32_t bound_count;               // < BUCKETS_MAX
};

static const double pause_bounds[] = {.00001, .0001, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5};
static const double lag_bounds[] = {.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10};
#define BOUNDS(array) .bounds = (array), .bound_count = sizeof(array) / sizeof *(array)
#define GENERATION .label_count = 1, .labels = {"cpython.gc.generation"}
_Static_assert(sizeof pause_bounds / sizeof *pause_bounds < BUCKETS_MAX, "one bucket more than bounds");
_Static_assert(sizeof lag_bounds / sizeof *lag_bounds < BUCKETS_MAX, "one bucket more than bounds");

static const struct instrument instruments[METRIC_COUNT] = {
    [METRIC_GC_COLLECTIONS] = {"cpython.gc.collections", "{collection}",
                               "The number of times a generation was collected since interpreter start.", COUNTER,
                               GENERATION},
    [METRIC_GC_COLLECTED_OBJECTS] = {"cpython.gc.collected_objects", "{object}",
                                     "The total number of objects collected inside a generation.", COUNTER, GENERATION},
    [METRIC_GC_UNCOLLECTABLE] = {"cpython.gc.uncollectable_objects", "{object}",
                                 "The total number of objects found to be uncollectable inside a generation.", COUNTER,
                                 GENERATION},
    [METRIC_GC_PAUSE] = {"pillion.gc.pause", "s", "How long each garbage collection held the interpreter.", HISTOGRAM,
                         GENERATION, BOUNDS(pause_bounds)},
    [METRIC_THREAD_COUNT] = {"pillion.thread.count", "{thread}", "Python threads.", UP_DOWN},
    [METRIC_EVENTLOOP_LAG] = {"pillion.eventloop.lag", "s", "How much later than asked an event loop ran a callback.",
                              HISTOGRAM, BOUNDS(lag_bounds)},
};

enum point_state { FREE = 0, CLAIMED = 1, READY = 2 };

struct label {
    bool is_text;
    uint32_t bytes;
    int64_t integer;
    char text[METRICS_TEXT_LIMIT];
};

struct point {
    _Atomic uint32_t state; // enum point_state
    uint32_t metric;        // enum metric_id
    bool overflow;          // stands for all label sets beyond the limit
    struct label labels[METRICS_LABELS];
    _Atomic int64_t value;                 // counter, up-down counter
    _Atomic uint64_t sum_bits;             // a double
    _Atomic uint64_t buckets[BUCKETS_MAX]; // of a histogram
};

static struct point points[POINTS];
static struct point overflow_points[METRIC_COUNT];
static _Atomic uint32_t points_used[METRIC_COUNT]; // without the overflow
static _Atomic uint64_t started_ns;

static struct label label_from(const struct metric_label *from) {
    struct label label = {.is_text = from->text != NULL, .integer = from->text != NULL ? 0 : from->integer};
    if (from->text == NULL)
        return label;
    label.bytes = from->bytes;
    if (label.bytes > METRICS_TEXT_LIMIT) // never inside a character
        for (label.bytes = METRICS_TEXT_LIMIT; label.bytes > 0 && ((uint8_t)from->text[label.bytes] & 0xc0) == 0x80;)
            label.bytes--;
    memcpy(label.text, from->text, label.bytes);
    return label;
}

static bool same_labels(const struct point *point, const struct label *labels) {
    return memcmp(point->labels, labels, sizeof point->labels) == 0;
}

static struct point *overflow_of(enum metric_id id) {
    struct point *point = &overflow_points[id];
    uint32_t state = FREE;
    if (atomic_compare_exchange_strong(&point->state, &state, CLAIMED)) {
        point->metric = id;
        point->overflow = true;
        atomic_store_explicit(&point->state, READY, memory_order_release);
    }
    return point;
}

// Reserves a place among the metric's points; false: it has enough of them.
static bool may_add(enum metric_id id) {
    uint32_t used = atomic_load_explicit(&points_used[id], memory_order_relaxed);
    while (used < METRICS_POINTS_LIMIT)
        if (atomic_compare_exchange_weak(&points_used[id], &used, used + 1))
            return true;
    return false;
}

// The point of this metric with these labels, made if need be. Two threads that make the same one at the same time may
// make two: both are exported, and their sum is right.
static struct point *point_of(enum metric_id id, const struct metric_label *from) {
    struct label labels[METRICS_LABELS];
    memset(labels, 0, sizeof labels);
    for (uint32_t i = 0; i < instruments[id].label_count && from != NULL; i++)
        labels[i] = label_from(&from[i]);
    for (uint32_t i = 0; i < POINTS; i++) {
        struct point *point = &points[i];
        uint32_t state = atomic_load_explicit(&point->state, memory_order_acquire);
        if (state == READY && point->metric == id && same_labels(point, labels))
            return point;
        if (state != FREE)
            continue;
        if (!may_add(id))
            return overflow_of(id);
        if (!atomic_compare_exchange_strong(&point->state, &state, CLAIMED)) {
            atomic_fetch_sub(&points_used[id], 1);
            continue;
        }
        point->metric = id;
        memcpy(point->labels, labels, sizeof labels);
        atomic_store_explicit(&point->state, READY, memory_order_release);
        return point;
    }
    return overflow_of(id);
}

void metrics_add(enum metric_id id, const struct metric_label *labels, int64_t value) {
    atomic_fetch_add_explicit(&point_of(id, labels)->value, value, memory_order_relaxed);
}

void metrics_set(enum metric_id id, const struct metric_label *labels, int64_t value) {
    atomic_store_explicit(&point_of(id, labels)->value, value, memory_order_relaxed);
}

void metrics_record(enum metric_id id, const struct metric_label *labels, double value) {
    const struct instrument *instrument = &instruments[id];
    struct point *point = point_of(id, labels);
    uint32_t bucket = 0;
    if (!(value >= 0)) // also not a number
        return;
    while (bucket < instrument->bound_count && value > instrument->bounds[bucket])
        bucket++;
    atomic_fetch_add_explicit(&point->buckets[bucket], 1, memory_order_relaxed);
    uint64_t before = atomic_load_explicit(&point->sum_bits, memory_order_relaxed), after;
    do {
        double sum;
        memcpy(&sum, &before, 8);
        sum += value;
        memcpy(&after, &sum, 8);
    } while (!atomic_compare_exchange_weak_explicit(&point->sum_bits, &before, after, memory_order_relaxed,
                                                    memory_order_relaxed));
}

static void put_label(struct wire_sink *sink, uint32_t field, const char *key, const struct label *label) {
    size_t begun = wire_begin(sink, field, 1);
    wire_text(sink, 1, key, strlen(key));
    size_t value = wire_begin(sink, 2, 1);
    if (label->is_text)
        wire_text(sink, 1, label->text, label->bytes);
    else
        wire_varint(sink, 3, (uint64_t)label->integer);
    wire_end(sink, value, 1);
    wire_end(sink, begun, 1);
}

static void put_labels(struct wire_sink *sink, uint32_t field, const struct point *point) {
    const struct instrument *instrument = &instruments[point->metric];
    for (uint32_t i = 0; i < instrument->label_count && !point->overflow; i++)
        put_label(sink, field, instrument->labels[i], &point->labels[i]);
    if (!point->overflow)
        return;
    size_t begun = wire_begin(sink, field, 1);
    wire_text(sink, 1, "otel.metric.overflow", 20);
    size_t value = wire_begin(sink, 2, 1);
    wire_varint(sink, 2, 1);
    wire_end(sink, value, 1);
    wire_end(sink, begun, 1);
}

static void put_number(struct wire_sink *sink, const struct point *point, uint64_t now_ns) {
    size_t begun = wire_begin(sink, 1, 1);
    wire_fixed64(sink, 2, atomic_load_explicit(&started_ns, memory_order_relaxed));
    wire_fixed64(sink, 3, now_ns);
    wire_fixed64(sink, 6, (uint64_t)atomic_load_explicit(&point->value, memory_order_relaxed));
    put_labels(sink, 7, point);
    wire_end(sink, begun, 1);
}

static void put_histogram(struct wire_sink *sink, const struct point *point, uint64_t now_ns) {
    const struct instrument *instrument = &instruments[point->metric];
    uint64_t counts[BUCKETS_MAX], total = 0;
    uint64_t sum_bits = atomic_load_explicit(&point->sum_bits, memory_order_relaxed);
    for (uint32_t i = 0; i <= instrument->bound_count; i++)
        total += counts[i] = atomic_load_explicit(&point->buckets[i], memory_order_relaxed);
    size_t begun = wire_begin(sink, 1, 2);
    wire_fixed64(sink, 2, atomic_load_explicit(&started_ns, memory_order_relaxed));
    wire_fixed64(sink, 3, now_ns);
    wire_fixed64(sink, 4, total);
    wire_fixed64(sink, 5, sum_bits);
    wire_bytes(sink, 6, counts, (instrument->bound_count + 1) * sizeof *counts);
    wire_bytes(sink, 7, instrument->bounds, instrument->bound_count * sizeof *instrument->bounds);
    put_labels(sink, 9, point);
    wire_end(sink, begun, 2);
}

static uint32_t put_points(struct wire_sink *sink, uint32_t id, uint64_t now_ns) {
    uint32_t count = 0;
    for (uint32_t i = 0; i <= POINTS; i++) {
        const struct point *point = i < POINTS ? &points[i] : &overflow_points[id];
        if (atomic_load_explicit(&point->state, memory_order_acquire) != READY || point->metric != id)
            continue;
        count++;
        if (instruments[id].kind == HISTOGRAM)
            put_histogram(sink, point, now_ns);
        else
            put_number(sink, point, now_ns);
    }
    return count;
}

// One Metric, or nothing when it has no point.
static uint32_t put_metric(struct wire_sink *sink, uint32_t id, uint64_t now_ns) {
    const struct instrument *instrument = &instruments[id];
    size_t before = sink->bytes;
    size_t begun = wire_begin(sink, 2, 2);
    wire_text(sink, 1, instrument->name, strlen(instrument->name));
    wire_text(sink, 2, instrument->description, strlen(instrument->description));
    wire_text(sink, 3, instrument->unit, strlen(instrument->unit));
    size_t data = wire_begin(sink, instrument->kind == HISTOGRAM ? 9 : 7, 2);
    uint32_t count = put_points(sink, id, now_ns);
    wire_varint(sink, 2, 2); // cumulative
    if (instrument->kind == COUNTER)
        wire_varint(sink, 3, 1); // monotonic
    wire_end(sink, data, 2);
    wire_end(sink, begun, 2);
    if (count == 0)
        sink->bytes = before;
    return count;
}

// ScopeMetrics of the registry.
static uint32_t put_registry(struct wire_sink *sink, uint64_t now_ns) {
    uint32_t count = 0;
    size_t before = sink->bytes;
    size_t scope_metrics = wire_begin(sink, 2, 3);
    size_t scope = wire_begin(sink, 1, 1);
    wire_text(sink, 1, "pillion.runtime", 15);
    wire_end(sink, scope, 1);
    for (uint32_t id = 0; id < METRIC_COUNT; id++)
        count += put_metric(sink, id, now_ns);
    wire_bytes(sink, 3, OTLP_SCHEMA_URL, sizeof OTLP_SCHEMA_URL - 1);
    wire_end(sink, scope_metrics, 3);
    if (count == 0 && !sink->full)
        sink->bytes = before;
    return count;
}

enum status metrics_encode(const uint8_t *resource, uint32_t resource_bytes, uint64_t now_ns,
                           struct metrics_cursor *cursor, uint8_t *out, size_t capacity, size_t *bytes,
                           size_t *point_count) {
    // What stands at the end of the request is kept free from the beginning.
    struct wire_sink sink = {.to = out, .capacity = capacity > TAIL_BYTES ? capacity - TAIL_BYTES : 0};
    uint32_t count = 0;
    size_t request = wire_begin(&sink, 1, 3);
    wire_bytes(&sink, 1, resource, resource_bytes);
    if (!cursor->has_begun)
        count = put_registry(&sink, now_ns);
    cursor->has_begun = true;
    if (!sink.full)
        count += red_encode(&sink, &cursor->red, atomic_load_explicit(&started_ns, memory_order_relaxed), now_ns);
    sink.capacity = capacity;
    wire_bytes(&sink, 3, OTLP_SCHEMA_URL, sizeof OTLP_SCHEMA_URL - 1);
    wire_end(&sink, request, 3);
    bool stuck = count == 0 && cursor->red.metric < RED_METRICS;
    *bytes = count != 0 && !sink.full ? sink.bytes : 0;
    *point_count = *bytes != 0 ? count : 0;
    return sink.full || stuck ? STATUS_TOO_LARGE : STATUS_OK;
}

size_t metrics_points(void) {
    size_t count = 0;
    for (uint32_t i = 0; i < POINTS && atomic_load_explicit(&points[i].state, memory_order_acquire) != FREE; i++)
        count++;
    for (uint32_t id = 0; id < METRIC_COUNT; id++)
        count += atomic_load_explicit(&overflow_points[id].state, memory_order_acquire) == READY;
    return count + red_points();
}

static void forget(struct point *point) {
    atomic_store_explicit(&point->state, FREE, memory_order_relaxed);
    atomic_store_explicit(&point->value, 0, memory_order_relaxed);
    atomic_store_explicit(&point->sum_bits, 0, memory_order_relaxed);
    for (uint32_t bucket = 0; bucket < BUCKETS_MAX; bucket++)
        atomic_store_explicit(&point->buckets[bucket], 0, memory_order_relaxed);
}

// Touches only what is in use: this runs in the child of every fork.
void metrics_reset(uint64_t start_ns) {
    for (uint32_t i = 0; i < POINTS && atomic_load_explicit(&points[i].state, memory_order_relaxed) != FREE; i++)
        forget(&points[i]);
    for (uint32_t id = 0; id < METRIC_COUNT; id++) {
        if (atomic_load_explicit(&overflow_points[id].state, memory_order_relaxed) != FREE)
            forget(&overflow_points[id]);
        atomic_store_explicit(&points_used[id], 0, memory_order_relaxed);
    }
    atomic_store_explicit(&started_ns, start_ns, memory_order_relaxed);
    red_reset();
}
