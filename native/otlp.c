// SPDX-License-Identifier: Apache-2.0
// otlp: see otlp.h. First pass: walk the ring, check and measure each record, note its scope, stop at a limit. Second
// pass: write ResourceSpans with one ScopeSpans for each scope. Runs on the sender's thread, or in a reader.
#include "otlp.h"
#include "otlp_span.h"
#include "otlp_wire.h"
#include <string.h>

#define HEADS_BYTES 24u // of ResourceSpans and ScopeSpans around a batch: tags and lengths, at most

struct batch {
    struct otlp_scratch *scratch;
    const struct ring_view *view;
    uint32_t spans;
    uint32_t scopes;
    size_t estimate; // of the request's bytes, never too low
};

// "name\0version", the version being optional. Unknown ids and 0 are pillion itself.
static void put_scope(struct wire_sink *sink, const struct intern_view *strings, uint32_t id) {
    const char *name;
    uint32_t bytes;
    if (!intern_get(strings, id, &name, &bytes)) {
        name = "pillion";
        bytes = 7;
    }
    const char *zero = memchr(name, 0, bytes);
    uint32_t name_bytes = zero != NULL ? (uint32_t)(zero - name) : bytes;
    wire_field_text(sink, 1, name, name_bytes);
    if (bytes > name_bytes + 1)
        wire_field_text(sink, 2, name + name_bytes + 1, bytes - name_bytes - 1);
}

// Our own hooks follow the semantic conventions of one version; the application's scopes are its own affair.
static bool has_schema(const struct intern_view *strings, uint32_t id) {
    const char *name;
    uint32_t bytes;
    return !intern_get(strings, id, &name, &bytes) || (bytes >= 7 && memcmp(name, "pillion", 7) == 0);
}

static void put_scope_and_schema(struct wire_sink *sink, const struct intern_view *strings, uint32_t id) {
    struct wire_sink count = {0};
    put_scope(&count, strings, id);
    wire_message(sink, 1, count.bytes);
    put_scope(sink, strings, id);
    if (has_schema(strings, id))
        wire_field_bytes(sink, 3, OTLP_SCHEMA_URL, sizeof OTLP_SCHEMA_URL - 1);
}

// Index of the scope; OTLP_SCOPES_LIMIT: one too many. *added tells what a new one costs.
static uint32_t scope_index(struct batch *batch, uint32_t id, size_t *added) {
    struct wire_sink count = {0};
    *added = 0;
    for (uint32_t i = 0; i < batch->scopes; i++)
        if (batch->scratch->scopes[i].id == id)
            return i;
    if (batch->scopes == OTLP_SCOPES_LIMIT)
        return OTLP_SCOPES_LIMIT;
    put_scope_and_schema(&count, &batch->view->strings, id);
    batch->scratch->scopes[batch->scopes].id = id;
    batch->scratch->scopes[batch->scopes].bytes = (uint32_t)count.bytes;
    *added = count.bytes + HEADS_BYTES;
    return batch->scopes;
}

enum taken { TAKEN, LEFT, REFUSED };

// Adds one record to the batch, or leaves it to the next one, or refuses it for good.
static enum taken take(struct batch *batch, const struct ring_entry *entry, size_t capacity) {
    struct wire_sink count = {0};
    struct span_record head;
    size_t scope_cost;
    if (entry->kind != RING_SPAN || !otlp_record_ok(entry->bytes, entry->length))
        return REFUSED;
    memcpy(&head, entry->bytes, sizeof head);
    otlp_put_span(&count, &batch->view->strings, entry->bytes);
    uint32_t scope = scope_index(batch, head.scope_id, &scope_cost);
    size_t cost = wire_frame(2, count.bytes) + scope_cost;
    if (scope == OTLP_SCOPES_LIMIT)
        return LEFT;
    if (batch->estimate + cost > capacity)
        return batch->spans == 0 ? REFUSED : LEFT;
    batch->estimate += cost;
    batch->scopes += scope == batch->scopes;
    batch->scratch->scopes[scope].bytes += (uint32_t)wire_frame(2, count.bytes);
    batch->scratch->spans[batch->spans].record = entry->bytes;
    batch->scratch->spans[batch->spans].bytes = (uint32_t)count.bytes;
    batch->scratch->spans[batch->spans].scope = scope;
    batch->spans++;
    return TAKEN;
}

static void put_scope_spans(struct wire_sink *sink, const struct batch *batch, uint32_t scope) {
    const struct otlp_scratch *scratch = batch->scratch;
    wire_message(sink, 2, scratch->scopes[scope].bytes);
    put_scope_and_schema(sink, &batch->view->strings, scratch->scopes[scope].id);
    for (uint32_t i = 0; i < batch->spans; i++) {
        if (scratch->spans[i].scope != scope)
            continue;
        wire_message(sink, 2, scratch->spans[i].bytes);
        otlp_put_span(sink, &batch->view->strings, scratch->spans[i].record);
    }
}

static size_t put_request(uint8_t *out, const struct batch *batch) {
    struct wire_sink sink = {.to = out};
    const struct ring_view *view = batch->view;
    size_t bytes = wire_frame(1, view->resource_bytes) + wire_frame(3, sizeof OTLP_SCHEMA_URL - 1);
    for (uint32_t i = 0; i < batch->scopes; i++)
        bytes += wire_frame(2, batch->scratch->scopes[i].bytes);
    wire_message(&sink, 1, bytes);
    wire_field_bytes(&sink, 1, view->resource, view->resource_bytes);
    for (uint32_t i = 0; i < batch->scopes; i++)
        put_scope_spans(&sink, batch, i);
    wire_field_bytes(&sink, 3, OTLP_SCHEMA_URL, sizeof OTLP_SCHEMA_URL - 1);
    return sink.bytes;
}

void otlp_encode_spans(struct otlp_scratch *scratch, struct ring_cursor *cursor, uint8_t *out, size_t capacity,
                       struct otlp_result *result) {
    struct batch batch = {.scratch = scratch, .view = cursor->view};
    struct ring_entry entry;
    memset(result, 0, sizeof *result);
    if (capacity > OTLP_BYTES_LIMIT)
        capacity = OTLP_BYTES_LIMIT;
    batch.estimate = HEADS_BYTES + wire_frame(1, batch.view->resource_bytes) + wire_frame(3, sizeof OTLP_SCHEMA_URL);
    while (batch.spans < OTLP_SPANS_LIMIT) {
        struct ring_cursor before = *cursor;
        if (!ring_next(cursor, &entry))
            break;
        enum taken taken = take(&batch, &entry, capacity);
        result->skipped += taken == REFUSED;
        if (taken == LEFT) {
            *cursor = before;
            break;
        }
    }
    result->spans = batch.spans;
    if (batch.spans != 0)
        result->bytes = put_request(out, &batch);
}

enum status otlp_encode_resource(const struct span *attributes, uint8_t *out, size_t capacity, size_t *bytes) {
    struct intern_view strings = intern_own();
    struct wire_sink sink = {0};
    *bytes = 0;
    otlp_put_attributes(&sink, &strings, attributes->items, attributes->items_bytes, 1);
    if (sink.bytes > capacity)
        return STATUS_TOO_LARGE;
    sink = (struct wire_sink){.to = out};
    otlp_put_attributes(&sink, &strings, attributes->items, attributes->items_bytes, 1);
    *bytes = sink.bytes;
    return STATUS_OK;
}
