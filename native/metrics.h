// SPDX-License-Identifier: Apache-2.0
// metrics: a small registry of runtime metrics in process memory, written with relaxed atomics from any thread without
// a lock, encoded by the sender as one ExportMetricsServiceRequest (cumulative since metrics_reset). The instruments
// are a static table in metrics.c; points appear with their first value. A metric with more than METRICS_POINTS_LIMIT
// attribute sets puts the rest into one point with otel.metric.overflow=true. A fork's child calls metrics_reset: it
// starts at zero.
#ifndef PILLION_METRICS_H
#define PILLION_METRICS_H

#include "red_encode.h"
#include "status.h"
#include <stddef.h>
#include <stdint.h>

enum metric_id {
    METRIC_GC_COLLECTIONS,       // cpython.gc.collections          counter, label: generation
    METRIC_GC_COLLECTED_OBJECTS, // cpython.gc.collected_objects    counter, label: generation
    METRIC_GC_UNCOLLECTABLE,     // cpython.gc.uncollectable_objects counter, label: generation
    METRIC_GC_PAUSE,             // pillion.gc.pause                histogram s, label: generation
    METRIC_THREAD_COUNT,         // pillion.thread.count            up-down counter
    METRIC_EVENTLOOP_LAG,        // pillion.eventloop.lag           histogram s
    METRIC_COUNT
};

#define METRICS_LABELS 2u
#define METRICS_POINTS_LIMIT 64u // attribute sets a metric, the overflow one not counted
#define METRICS_TEXT_LIMIT 64u   // bytes of a text label; longer ones are cut

// The value of one label; its key is part of the instrument.
struct metric_label {
    const char *text; // Borrowed, copied; NULL: the integer counts
    uint32_t bytes;
    int64_t integer;
};

// `labels` holds as many as the instrument has; NULL if it has none.
void metrics_add(enum metric_id id, const struct metric_label *labels, int64_t value);   // counter: adds
void metrics_set(enum metric_id id, const struct metric_label *labels, int64_t value);   // gauge, up-down counter: is
void metrics_record(enum metric_id id, const struct metric_label *labels, double value); // histogram: one measurement

// Where the next request begins. All zero: at the first one.
struct metrics_cursor {
    bool has_begun; // the registry is written, which is a part of the first request
    struct red_cursor red;
};

// The registry and the histograms of red.c as of now_ns, as requests of at most `capacity` bytes: call it with the same
// cursor until `bytes` is 0. `point_count`: in this request. TOO_LARGE: over capacity (never cut in the middle).
MUST_USE enum status metrics_encode(const uint8_t *resource, uint32_t resource_bytes, uint64_t now_ns,
                                    struct metrics_cursor *cursor, uint8_t *out, size_t capacity, size_t *bytes,
                                    size_t *point_count);
size_t metrics_points(void);           // points that exist, those of red.c among them
void metrics_reset(uint64_t start_ns); // forgets everything; start_ns becomes the start time of what follows

#endif
