// SPDX-License-Identifier: Apache-2.0
// otlp: see otlp.h. Spans are encoded one after the other as they lie in the ring, into the scratch; then the request
// is put together from them, one ScopeSpans for each scope. Runs on the sender's thread, or in a reader.
#include "otlp.h"
#include "otlp_span.h"
#include "otlp_wire.h"
#include <string.h>

#define HEADS_BYTES 32u   // around a message: tags, lengths, and the slack that a sink wants at its end
#define SCOPE_BYTES 4096u // of an InstrumentationScope: an interned text, at worst three times as long in UTF-8

struct batch {
    struct otlp_scratch *scratch; // Borrowed
    const struct ring_view *view; // Borrowed
    struct wire_sink encoded;     // over scratch->encoded
    uint32_t spans;
    uint32_t scopes;
    size_t heads; // what the request takes around the spans, never too low
};

// The next part of "name\0version\0schema URL"; the last two may be missing.
static uint32_t next_part(const char **text, uint32_t *bytes, const char **out) {
    const char *zero = memchr(*text, 0, *bytes);
    uint32_t length = zero != NULL ? (uint32_t)(zero - *text) : *bytes;
    uint32_t step = zero != NULL ? length + 1 : length;
    *out = *text;
    *text += step;
    *bytes -= step;
    return length;
}

// Unknown ids and 0 are pillion itself. Our own hooks follow one version of the semantic conventions; what the
// application's scopes follow is what they say.
static void put_scope(struct wire_sink *sink, const struct intern_view *strings, uint32_t id) {
    const char *text = "pillion", *name, *version;
    uint32_t bytes = 7;
    (void)intern_get(strings, id, &text, &bytes);
    uint32_t name_bytes = next_part(&text, &bytes, &name);
    uint32_t version_bytes = next_part(&text, &bytes, &version);
    size_t begun = wire_begin(sink, 1, 1);
    wire_text(sink, 1, name, name_bytes);
    if (version_bytes > 0)
        wire_text(sink, 2, version, version_bytes);
    wire_end(sink, begun, 1);
    if (bytes > 0)
        wire_text(sink, 3, text, bytes);
    else if (name_bytes >= 7 && memcmp(name, "pillion", 7) == 0)
        wire_bytes(sink, 3, OTLP_SCHEMA_URL, sizeof OTLP_SCHEMA_URL - 1);
}

// Index of the scope, a new one included; OTLP_SCOPES_LIMIT: one too many.
static uint32_t scope_index(struct batch *batch, uint32_t id) {
    const char *name;
    uint32_t bytes;
    if (!intern_get(&batch->view->strings, id, &name, &bytes) || bytes > INTERN_TEXT_LIMIT)
        id = 0;
    for (uint32_t i = 0; i < batch->scopes; i++)
        if (batch->scratch->scopes[i].id == id)
            return i;
    if (batch->scopes == OTLP_SCOPES_LIMIT)
        return OTLP_SCOPES_LIMIT;
    uint8_t room[SCOPE_BYTES];
    struct wire_sink sink = {.to = room, .capacity = sizeof room};
    put_scope(&sink, &batch->view->strings, id);
    batch->scratch->scopes[batch->scopes].id = id;
    batch->scratch->scopes[batch->scopes].bytes = (uint32_t)sink.bytes;
    batch->heads += sink.bytes + HEADS_BYTES;
    return batch->scopes++;
}

enum taken { TAKEN, LEFT, REFUSED, PASSED };

// Adds one record to the batch, leaves it to the next one, refuses it for good, or passes over what is no span.
static enum taken take(struct batch *batch, const struct ring_entry *entry, size_t capacity) {
    struct span_record head;
    size_t at = batch->encoded.bytes, heads = batch->heads;
    uint32_t scopes = batch->scopes;
    if (entry->kind == RING_METRICS)
        return PASSED;
    if (entry->kind != RING_SPAN || !otlp_record_ok(entry->bytes, entry->length))
        return REFUSED;
    memcpy(&head, entry->bytes, sizeof head);
    uint32_t scope = scope_index(batch, head.scope_id);
    if (scope == OTLP_SCOPES_LIMIT)
        return LEFT;
    size_t begun = wire_begin(&batch->encoded, 2, 2);
    otlp_put_span(&batch->encoded, &batch->view->strings, entry->bytes);
    wire_end(&batch->encoded, begun, 2);
    if (batch->encoded.full || batch->encoded.bytes + batch->heads > capacity) {
        batch->encoded.bytes = at;
        batch->encoded.full = false;
        batch->scopes = scopes;
        batch->heads = heads;
        return batch->spans == 0 ? REFUSED : LEFT;
    }
    uint32_t bytes = (uint32_t)(batch->encoded.bytes - at);
    batch->scratch->scopes[scope].bytes += bytes;
    batch->scratch->spans[batch->spans].at = (uint32_t)at;
    batch->scratch->spans[batch->spans].bytes = bytes;
    batch->scratch->spans[batch->spans].scope = scope;
    batch->spans++;
    return TAKEN;
}

static void put_scope_spans(struct wire_sink *sink, const struct batch *batch, uint32_t scope) {
    const struct otlp_scratch *scratch = batch->scratch;
    wire_head(sink, 2, scratch->scopes[scope].bytes);
    put_scope(sink, &batch->view->strings, scratch->scopes[scope].id);
    for (uint32_t i = 0; i < batch->spans; i++)
        if (scratch->spans[i].scope == scope)
            wire_raw(sink, scratch->encoded + scratch->spans[i].at, scratch->spans[i].bytes);
}

static size_t put_request(uint8_t *out, size_t capacity, const struct batch *batch) {
    struct wire_sink sink = {.to = out, .capacity = capacity};
    const struct ring_view *view = batch->view;
    size_t bytes = wire_framed(1, view->resource_bytes) + wire_framed(3, sizeof OTLP_SCHEMA_URL - 1);
    for (uint32_t i = 0; i < batch->scopes; i++)
        bytes += wire_framed(2, batch->scratch->scopes[i].bytes);
    wire_head(&sink, 1, bytes);
    wire_bytes(&sink, 1, view->resource, view->resource_bytes);
    for (uint32_t i = 0; i < batch->scopes; i++)
        put_scope_spans(&sink, batch, i);
    wire_bytes(&sink, 3, OTLP_SCHEMA_URL, sizeof OTLP_SCHEMA_URL - 1);
    return sink.full ? 0 : sink.bytes;
}

void otlp_encode_spans(struct otlp_scratch *scratch, struct ring_cursor *cursor, uint8_t *out, size_t capacity,
                       struct otlp_result *result) {
    struct batch batch = {.scratch = scratch, .view = cursor->view};
    struct ring_entry entry;
    memset(result, 0, sizeof *result);
    if (capacity > OTLP_BYTES_LIMIT)
        capacity = OTLP_BYTES_LIMIT;
    batch.encoded = (struct wire_sink){.to = scratch->encoded, .capacity = sizeof scratch->encoded};
    batch.heads = 2 * HEADS_BYTES + wire_framed(1, batch.view->resource_bytes) + sizeof OTLP_SCHEMA_URL;
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
        result->bytes = put_request(out, capacity, &batch);
}

enum status otlp_encode_resource(const struct span *attributes, uint8_t *out, size_t capacity, size_t *bytes) {
    struct intern_view strings = intern_own();
    struct wire_sink sink = {.to = out, .capacity = capacity};
    otlp_put_attributes(&sink, &strings, attributes->items, attributes->items_bytes, 1);
    *bytes = sink.full ? 0 : sink.bytes;
    return sink.full ? STATUS_TOO_LARGE : STATUS_OK;
}
