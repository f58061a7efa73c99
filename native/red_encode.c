// SPDX-License-Identifier: Apache-2.0
// red_encode: see red_encode.h. Runs on the sender's thread, or at the end of the process on the one that ends it; the
// application's threads go on counting meanwhile, so a sum may be one measurement ahead of its buckets.
#include "red_encode.h"
#include "otlp.h"
#include <string.h>

#define POINT_BYTES 1024u // a point without its texts, with what is around it, at most

static void put_attributes(struct wire_sink *sink, const struct red_series *series) {
    for (uint32_t at = 1; at < series->key_bytes; at += 2u + series->key[at + 1]) {
        const char *name = red_key_name((enum red_key)(series->key[at] >> 1));
        size_t begun = wire_begin(sink, 9, 2);
        wire_text(sink, 1, name, strlen(name));
        size_t value = wire_begin(sink, 2, 2);
        if (series->key[at] & 1) {
            wire_text(sink, 1, (const char *)series->key + at + 2, series->key[at + 1]);
        } else {
            uint64_t integer;
            memcpy(&integer, series->key + at + 2, 8);
            wire_varint(sink, 3, integer);
        }
        wire_end(sink, value, 2);
        wire_end(sink, begun, 2);
    }
    if (series->key_bytes != 0)
        return;
    size_t begun = wire_begin(sink, 9, 1);
    wire_text(sink, 1, "otel.metric.overflow", 20);
    size_t value = wire_begin(sink, 2, 1);
    wire_varint(sink, 2, 1);
    wire_end(sink, value, 1);
    wire_end(sink, begun, 1);
}

// One HistogramDataPoint; false: it has counted nothing.
static bool put_point(struct wire_sink *sink, const struct red_series *series, uint64_t start_ns, uint64_t now_ns) {
    const struct red_instrument *instrument = red_instrument((enum red_metric)series->metric);
    uint64_t counts[RED_BUCKETS_MAX], total = 0;
    uint64_t sum_ns = atomic_load_explicit(&series->sum_ns, memory_order_relaxed);
    for (uint32_t i = 0; i <= instrument->bound_count; i++)
        total += counts[i] = atomic_load_explicit(&series->buckets[i], memory_order_relaxed);
    if (total == 0)
        return false;
    size_t begun = wire_begin(sink, 1, 2);
    wire_fixed64(sink, 2, start_ns);
    wire_fixed64(sink, 3, now_ns);
    wire_fixed64(sink, 4, total);
    wire_double(sink, 5, (double)sum_ns / 1e9);
    wire_bytes(sink, 6, counts, (instrument->bound_count + 1) * sizeof *counts);
    wire_bytes(sink, 7, instrument->bounds, instrument->bound_count * sizeof *instrument->bounds);
    put_attributes(sink, series);
    wire_end(sink, begun, 2);
    return true;
}

// The metric's next series at the cursor, which moves behind it; NULL: it has no more.
static const struct red_series *next_of(struct red_cursor *cursor, const struct red_series **after) {
    const struct red_series *at = cursor->at != NULL ? cursor->at : red_latest();
    const struct red_series *overflow = red_overflow((enum red_metric)cursor->metric);
    while (at != NULL && at != overflow && at->metric != cursor->metric)
        at = at->next;
    if (at == NULL)
        at = overflow;
    *after = at == overflow ? NULL : at->next != NULL ? at->next : overflow;
    return at;
}

// As many points of the cursor's metric as fit. *more: the metric has others.
static uint32_t put_points(struct wire_sink *sink, struct red_cursor *cursor, uint64_t start_ns, uint64_t now_ns,
                           bool *more) {
    uint32_t count = 0;
    for (;;) {
        const struct red_series *after, *series = next_of(cursor, &after);
        cursor->at = series;
        *more = true;
        if (sink->full || sink->capacity - sink->bytes < POINT_BYTES + series->key_bytes)
            return count;
        count += put_point(sink, series, start_ns, now_ns);
        *more = after != NULL;
        cursor->at = after;
        if (after == NULL)
            return count;
    }
}

static uint32_t put_metric(struct wire_sink *sink, struct red_cursor *cursor, uint64_t start_ns, uint64_t now_ns,
                           bool *more) {
    const struct red_instrument *instrument = red_instrument((enum red_metric)cursor->metric);
    size_t before = sink->bytes;
    size_t begun = wire_begin(sink, 2, 3);
    wire_text(sink, 1, instrument->name, strlen(instrument->name));
    wire_text(sink, 2, instrument->description, strlen(instrument->description));
    wire_text(sink, 3, "s", 1);
    size_t data = wire_begin(sink, 9, 3);
    uint32_t count = put_points(sink, cursor, start_ns, now_ns, more);
    wire_varint(sink, 2, 2); // cumulative
    wire_end(sink, data, 3);
    wire_end(sink, begun, 3);
    if (count == 0)
        sink->bytes = before;
    return count;
}

uint32_t red_encode(struct wire_sink *sink, struct red_cursor *cursor, uint64_t start_ns, uint64_t now_ns) {
    uint32_t count = 0;
    bool more = false;
    size_t before = sink->bytes;
    if (sink->capacity - sink->bytes < 2 * POINT_BYTES)
        return 0;
    size_t scope_metrics = wire_begin(sink, 2, 3);
    size_t scope = wire_begin(sink, 1, 1);
    wire_text(sink, 1, "pillion.requests", 16);
    wire_end(sink, scope, 1);
    if (cursor->metric == RED_NONE)
        cursor->metric = RED_NONE + 1;
    while (cursor->metric < RED_METRICS && !more && sink->capacity - sink->bytes >= 2 * POINT_BYTES) {
        count += put_metric(sink, cursor, start_ns, now_ns, &more);
        if (!more)
            *cursor = (struct red_cursor){.metric = cursor->metric + 1};
    }
    wire_bytes(sink, 3, OTLP_SCHEMA_URL, sizeof OTLP_SCHEMA_URL - 1);
    wire_end(sink, scope_metrics, 3);
    if (count == 0 && !sink->full)
        sink->bytes = before;
    return count;
}
