// SPDX-License-Identifier: Apache-2.0
// decode_spans: one Span message to one row; its events and links as JSON text.
//
// Left out and counted: a span whose ids or times make no sense. A link without valid ids is left out of its span and
// counted in dropped_links. An end before the start is a duration of 0.
#include "decode_json.h"
#include "decode_state.h"
#include <string.h>

enum {
    SPAN_TRACE_ID,
    SPAN_ID,
    SPAN_PARENT_ID,
    SPAN_TRACESTATE,
    SPAN_FLAGS,
    SPAN_NAME,
    SPAN_KIND,
    SPAN_START,
    SPAN_DURATION,
    SPAN_STATUS,
    SPAN_MESSAGE,
    SPAN_SERVICE,
    SPAN_RESOURCE,
    SPAN_SCOPE,
    SPAN_ATTRIBUTES,
    SPAN_EVENTS,
    SPAN_LINKS,
    SPAN_DROPPED_ATTRIBUTES,
    SPAN_DROPPED_EVENTS,
    SPAN_DROPPED_LINKS,
    SPAN_COLUMNS
};
const struct table_spec decode_spans_spec = {"spans",
                                             SPAN_COLUMNS,
                                             {{"trace_id", COLUMN_ID16},
                                              {"span_id", COLUMN_ID8},
                                              {"parent_id", COLUMN_ID8},
                                              {"tracestate", COLUMN_TEXT},
                                              {"flags", COLUMN_U32},
                                              {"name", COLUMN_TEXT},
                                              {"kind", COLUMN_U8},
                                              {"start_ns", COLUMN_I64},
                                              {"duration_ns", COLUMN_I64},
                                              {"status", COLUMN_U8},
                                              {"status_message", COLUMN_TEXT},
                                              {"service", COLUMN_TEXT},
                                              {"resource_id", COLUMN_U64},
                                              {"scope_id", COLUMN_U64},
                                              {"entries", COLUMN_PAIRS},
                                              {"events", COLUMN_TEXT},
                                              {"links", COLUMN_TEXT},
                                              {"dropped_attributes", COLUMN_U32},
                                              {"dropped_events", COLUMN_U32},
                                              {"dropped_links", COLUMN_U32}}};

// The plain fields of one span. Slices are Borrowed from the body.
struct span_fields {
    struct slice trace_id, span_id, parent_id, tracestate, name, message;
    uint64_t start_ns, end_ns;
    uint32_t flags, dropped_attributes, dropped_events, dropped_links;
    uint32_t bad_links;
    uint8_t kind, status;
};

static bool id_is_zero(struct slice id) {
    uint8_t any = 0;
    for (size_t i = 0; i < id.bytes; i++)
        any |= id.at[i];
    return any == 0;
}

static bool id_is_valid(struct slice id, size_t bytes) {
    return id.bytes == bytes && !id_is_zero(id);
}

static enum status span_add_event(struct decode *decode, struct slice message) {
    struct buffer *out = put_text_begin(&decode->tables[DECODE_ITEMS], SPAN_EVENTS);
    struct pairs_mark mark = pairs_begin(&decode->pairs);
    struct wire wire = wire_of(message);
    struct wire_field field;
    struct slice name = {0};
    uint64_t time_ns = 0;
    uint32_t dropped = 0, over = 0;
    enum status status = STATUS_OK;
    while (status == STATUS_OK && wire_next(&wire, &field)) {
        if (field.tag == WIRE_TAG(1, WIRE_FIXED64))
            time_ns = field.value;
        else if (field.tag == WIRE_TAG(2, WIRE_BYTES))
            name = field.bytes;
        else if (field.tag == WIRE_TAG(3, WIRE_BYTES))
            status = pairs_add(&decode->pairs, mark, field.bytes, &over);
        else if (field.tag == WIRE_TAG(4, WIRE_VARINT))
            dropped = (uint32_t)field.value;
    }
    if (status != STATUS_OK || wire.bad)
        return wire.bad ? STATUS_BAD_INPUT : status;
    buffer_add_text(out, "{\"time_ns\":");
    text_add_uint(out, time_ns);
    buffer_add_text(out, ",\"name\":");
    text_add_string(out, name);
    status = decode_add_attributes(decode, out, mark, dropped + over);
    buffer_add(out, "}", 1);
    return status;
}

// One link. *bad counts a link that names no span; nothing is written of it.
static enum status span_add_link(struct decode *decode, struct slice message, uint32_t *bad) {
    struct buffer *out = put_text_begin(&decode->tables[DECODE_ITEMS], SPAN_LINKS);
    struct pairs_mark mark = pairs_begin(&decode->pairs);
    struct wire wire = wire_of(message);
    struct wire_field field;
    struct slice trace_id = {0}, span_id = {0}, tracestate = {0};
    uint32_t dropped = 0, over = 0, flags = 0;
    enum status status = STATUS_OK;
    while (status == STATUS_OK && wire_next(&wire, &field)) {
        switch (field.tag) {
        case WIRE_TAG(1, WIRE_BYTES):
            trace_id = field.bytes;
            break;
        case WIRE_TAG(2, WIRE_BYTES):
            span_id = field.bytes;
            break;
        case WIRE_TAG(3, WIRE_BYTES):
            tracestate = field.bytes;
            break;
        case WIRE_TAG(4, WIRE_BYTES):
            status = pairs_add(&decode->pairs, mark, field.bytes, &over);
            break;
        case WIRE_TAG(5, WIRE_VARINT):
            dropped = (uint32_t)field.value;
            break;
        case WIRE_TAG(6, WIRE_FIXED32):
            flags = (uint32_t)field.value;
            break;
        }
    }
    if (status != STATUS_OK || wire.bad)
        return wire.bad ? STATUS_BAD_INPUT : status;
    if (!id_is_valid(trace_id, 16) || !id_is_valid(span_id, 8)) {
        pairs_end(&decode->pairs, mark);
        ++*bad;
        return STATUS_OK;
    }
    buffer_add_text(out, "{\"trace_id\":");
    text_add_hex(out, trace_id);
    buffer_add_text(out, ",\"span_id\":");
    text_add_hex(out, span_id);
    if (tracestate.bytes) {
        buffer_add_text(out, ",\"tracestate\":");
        text_add_string(out, tracestate);
    }
    if (flags) {
        buffer_add_text(out, ",\"flags\":");
        text_add_uint(out, flags);
    }
    status = decode_add_attributes(decode, out, mark, dropped + over);
    buffer_add(out, "}", 1);
    return status;
}

static enum status span_read_status(struct slice message, struct span_fields *span) {
    struct wire wire = wire_of(message);
    struct wire_field field;
    while (wire_next(&wire, &field)) {
        if (field.tag == WIRE_TAG(2, WIRE_BYTES))
            span->message = field.bytes;
        else if (field.tag == WIRE_TAG(3, WIRE_VARINT))
            span->status = field.value <= 2 ? (uint8_t)field.value : 0;
    }
    return wire.bad ? STATUS_BAD_INPUT : STATUS_OK;
}

// Opens or goes on with the JSON list in a text column, and adds to it what `add` writes: an event or a link.
static enum status span_add_item(struct decode *decode, struct slice message, struct span_fields *span, size_t column,
                                 size_t *first) {
    struct buffer *out = put_text_begin(&decode->tables[DECODE_ITEMS], column);
    uint32_t bad = 0;
    if (*first == SIZE_MAX)
        *first = out->bytes;
    buffer_add_text(out, out->bytes == *first ? "[" : ",");
    enum status status = column == SPAN_EVENTS ? span_add_event(decode, message) : span_add_link(decode, message, &bad);
    if (bad)
        buffer_cut(out, out->bytes - 1); // its bracket or comma
    span->bad_links += bad;
    return status;
}

static void span_end_items(struct decode *decode, size_t column, size_t first) {
    struct buffer *out = put_text_begin(&decode->tables[DECODE_ITEMS], column);
    if (first == SIZE_MAX || (out->bytes == first && !out->failed))
        return; // none: NULL
    buffer_add(out, "]", 1);
    put_text_end(&decode->tables[DECODE_ITEMS], column);
}

static void span_read_plain(const struct wire_field *field, struct span_fields *span) {
    switch (field->tag) {
    case WIRE_TAG(1, WIRE_BYTES):
        span->trace_id = field->bytes;
        break;
    case WIRE_TAG(2, WIRE_BYTES):
        span->span_id = field->bytes;
        break;
    case WIRE_TAG(3, WIRE_BYTES):
        span->tracestate = field->bytes;
        break;
    case WIRE_TAG(4, WIRE_BYTES):
        span->parent_id = field->bytes;
        break;
    case WIRE_TAG(5, WIRE_BYTES):
        span->name = field->bytes;
        break;
    case WIRE_TAG(6, WIRE_VARINT):
        span->kind = field->value <= 5 ? (uint8_t)field->value : 0;
        break;
    case WIRE_TAG(7, WIRE_FIXED64):
        span->start_ns = field->value;
        break;
    case WIRE_TAG(8, WIRE_FIXED64):
        span->end_ns = field->value;
        break;
    case WIRE_TAG(10, WIRE_VARINT):
        span->dropped_attributes = (uint32_t)field->value;
        break;
    case WIRE_TAG(12, WIRE_VARINT):
        span->dropped_events = (uint32_t)field->value;
        break;
    case WIRE_TAG(14, WIRE_VARINT):
        span->dropped_links = (uint32_t)field->value;
        break;
    case WIRE_TAG(16, WIRE_FIXED32):
        span->flags = (uint32_t)field->value;
        break;
    }
}

// Reads the message: attributes onto the stack of pairs, events and links into their columns, the rest into *span.
static enum status span_read(struct decode *decode, struct slice message, struct span_fields *span) {
    struct pairs_mark mark = pairs_begin(&decode->pairs);
    size_t events = SIZE_MAX, links = SIZE_MAX;
    struct wire wire = wire_of(message);
    struct wire_field field;
    uint32_t over = 0;
    enum status status = STATUS_OK;
    while (status == STATUS_OK && wire_next(&wire, &field)) {
        if (field.tag == WIRE_TAG(9, WIRE_BYTES))
            status = pairs_add(&decode->pairs, mark, field.bytes, &over);
        else if (field.tag == WIRE_TAG(11, WIRE_BYTES))
            status = span_add_item(decode, field.bytes, span, SPAN_EVENTS, &events);
        else if (field.tag == WIRE_TAG(13, WIRE_BYTES))
            status = span_add_item(decode, field.bytes, span, SPAN_LINKS, &links);
        else if (field.tag == WIRE_TAG(15, WIRE_BYTES))
            status = span_read_status(field.bytes, span);
        else
            span_read_plain(&field, span);
    }
    span_end_items(decode, SPAN_EVENTS, events);
    span_end_items(decode, SPAN_LINKS, links);
    span->dropped_attributes += over;
    return wire.bad ? STATUS_BAD_INPUT : status;
}

static void span_put(struct decode *decode, const struct span_fields *span) {
    struct table *table = &decode->tables[DECODE_ITEMS];
    put_id(table, SPAN_TRACE_ID, span->trace_id.at);
    put_id(table, SPAN_ID, span->span_id.at);
    if (span->parent_id.bytes && !id_is_zero(span->parent_id))
        put_id(table, SPAN_PARENT_ID, span->parent_id.at);
    put_text(table, SPAN_TRACESTATE, span->tracestate);
    put_u32(table, SPAN_FLAGS, span->flags);
    put_text(table, SPAN_NAME, span->name);
    put_u8(table, SPAN_KIND, span->kind);
    put_i64(table, SPAN_START, (int64_t)span->start_ns);
    put_i64(table, SPAN_DURATION, span->end_ns > span->start_ns ? (int64_t)(span->end_ns - span->start_ns) : 0);
    put_u8(table, SPAN_STATUS, span->status);
    put_text(table, SPAN_MESSAGE, span->message);
    put_text(table, SPAN_SERVICE, decode->service);
    put_u64(table, SPAN_RESOURCE, decode->resource_id);
    put_u64(table, SPAN_SCOPE, decode->scope_id);
    put_u32(table, SPAN_DROPPED_EVENTS, span->dropped_events);
    put_u32(table, SPAN_DROPPED_LINKS, span->dropped_links + span->bad_links);
}

enum status decode_span(struct decode *decode, struct slice message) {
    struct table *table = &decode->tables[DECODE_ITEMS];
    struct pairs_mark mark = pairs_begin(&decode->pairs);
    struct span_fields span = {0};
    enum status status = table_begin_row(table);
    if (status == STATUS_OK)
        status = span_read(decode, message, &span);
    if (status != STATUS_OK)
        return status;
    bool ids = id_is_valid(span.trace_id, 16) && id_is_valid(span.span_id, 8);
    if (!ids || (span.parent_id.bytes != 0 && span.parent_id.bytes != 8) || span.start_ns > INT64_MAX ||
        span.end_ns > INT64_MAX) {
        pairs_end(&decode->pairs, mark);
        decode_reject(decode, span.start_ns > INT64_MAX || span.end_ns > INT64_MAX ? DECODE_BAD_TIME : DECODE_BAD_ID);
        return STATUS_OK;
    }
    span_put(decode, &span);
    status = decode_put_attributes(decode, table, SPAN_ATTRIBUTES, mark, &span.dropped_attributes);
    if (status != STATUS_OK)
        return status;
    put_u32(table, SPAN_DROPPED_ATTRIBUTES, span.dropped_attributes);
    return decode_accept(decode);
}
