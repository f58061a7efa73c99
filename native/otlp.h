// SPDX-License-Identifier: Apache-2.0
// otlp: records to OTLP protobuf bytes. Pure: no I/O, no allocation; caller-owned memory in and out. Records are
// treated as foreign bytes (a ring may be another process's): anything that makes no sense is skipped and counted, text
// that is not UTF-8 gets U+FFFD. Two passes, the first one measures, so that every length is known before it is
// written.
#ifndef PILLION_OTLP_H
#define PILLION_OTLP_H

#include "ring.h"
#include "span.h"
#include "status.h"
#include <stddef.h>
#include <stdint.h>

#define OTLP_TRACES_PATH "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
#define OTLP_METRICS_PATH "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
#define OTLP_SCHEMA_URL "https://opentelemetry.io/schemas/1.44.0"
#define OTLP_BYTES_LIMIT (3584u * 1024u) // a request; many servers stop at 4 MiB
#define OTLP_SPANS_LIMIT 2048u           // a request
#define OTLP_SCOPES_LIMIT 64u            // a request; a batch ends before one more

// Room for one batch being built. Owned by the caller, needs no initialisation, may be reused. Large, but only touched
// as far as a batch goes: take it from malloc.
struct otlp_scratch {
    struct {
        uint32_t at;    // of the encoded Span message with its head, in `encoded`
        uint32_t bytes; // of it
        uint32_t scope; // index into scopes
    } spans[OTLP_SPANS_LIMIT];
    struct {
        uint32_t id;
        uint32_t bytes; // of the encoded ScopeSpans message
    } scopes[OTLP_SCOPES_LIMIT];
    uint8_t encoded[OTLP_BYTES_LIMIT]; // spans in the order of the ring
};

struct otlp_result {
    size_t bytes;     // of the request; 0: nothing to send (the cursor may have moved over skipped ones)
    uint32_t spans;   // in the request
    uint32_t skipped; // records that could not be encoded: count them as RING_DROPPED_BAD
};

// Encodes what lies at the cursor, up to the limits and `capacity`, as one ExportTraceServiceRequest grouped by scope,
// and moves the cursor behind the last record taken. Release the ring up to the cursor when the request was
// acknowledged.
void otlp_encode_spans(struct otlp_scratch *scratch, struct ring_cursor *cursor, uint8_t *out, size_t capacity,
                       struct otlp_result *result);

// A protobuf Resource from the span's own attributes (span_set on a span that is never ended). TOO_LARGE: over
// capacity.
MUST_USE enum status otlp_encode_resource(const struct span *attributes, uint8_t *out, size_t capacity, size_t *bytes);

#endif
