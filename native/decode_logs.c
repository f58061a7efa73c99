// SPDX-License-Identifier: Apache-2.0
// decode_logs: one LogRecord message to one row.
//
// A trace or span id of a wrong length, or all zero, means that the record belongs to no trace, as OTLP says: it is
// NULL. Left out and counted: a record whose time is past the year 2262.
#include "decode_json.h"
#include "decode_state.h"

enum {
    LOG_TIME,
    LOG_OBSERVED,
    LOG_SEVERITY,
    LOG_SEVERITY_TEXT,
    LOG_BODY,
    LOG_EVENT,
    LOG_TRACE_ID,
    LOG_SPAN_ID,
    LOG_FLAGS,
    LOG_RESOURCE,
    LOG_SCOPE,
    LOG_ATTRIBUTES,
    LOG_DROPPED,
    LOG_COLUMNS
};
const struct table_spec decode_logs_spec = {"logs",
                                            LOG_COLUMNS,
                                            {{"time_ns", COLUMN_I64},
                                             {"observed_ns", COLUMN_I64},
                                             {"severity", COLUMN_U8},
                                             {"severity_text", COLUMN_TEXT},
                                             {"body", COLUMN_TEXT},
                                             {"event_name", COLUMN_TEXT},
                                             {"trace_id", COLUMN_ID16},
                                             {"span_id", COLUMN_ID8},
                                             {"flags", COLUMN_U32},
                                             {"resource_id", COLUMN_U64},
                                             {"scope_id", COLUMN_U64},
                                             {"attributes", COLUMN_MAP},
                                             {"dropped", COLUMN_U32}}};

// The plain fields of one record. Slices are Borrowed from the body.
struct log_fields {
    uint64_t time_ns, observed_ns;
    struct slice severity_text, body, trace_id, span_id, event_name;
    uint32_t flags, dropped;
    uint8_t severity;
};

static enum status log_read(struct decode *decode, struct slice message, struct log_fields *log) {
    struct pairs_mark mark = pairs_begin(&decode->pairs);
    struct wire wire = wire_of(message);
    struct wire_field field;
    uint32_t over = 0;
    enum status status = STATUS_OK;
    while (status == STATUS_OK && wire_next(&wire, &field)) {
        switch (field.tag) {
        case WIRE_TAG(1, WIRE_FIXED64):
            log->time_ns = field.value;
            break;
        case WIRE_TAG(2, WIRE_VARINT):
            log->severity = field.value <= 24 ? (uint8_t)field.value : 0;
            break;
        case WIRE_TAG(3, WIRE_BYTES):
            log->severity_text = field.bytes;
            break;
        case WIRE_TAG(5, WIRE_BYTES):
            log->body = field.bytes;
            break;
        case WIRE_TAG(6, WIRE_BYTES):
            status = pairs_add(&decode->pairs, mark, field.bytes, &over);
            break;
        case WIRE_TAG(7, WIRE_VARINT):
            log->dropped = (uint32_t)field.value;
            break;
        case WIRE_TAG(8, WIRE_FIXED32):
            log->flags = (uint32_t)field.value;
            break;
        case WIRE_TAG(9, WIRE_BYTES):
            log->trace_id = field.bytes;
            break;
        case WIRE_TAG(10, WIRE_BYTES):
            log->span_id = field.bytes;
            break;
        case WIRE_TAG(11, WIRE_FIXED64):
            log->observed_ns = field.value;
            break;
        case WIRE_TAG(12, WIRE_BYTES):
            log->event_name = field.bytes;
            break;
        }
    }
    log->dropped += over;
    return wire.bad ? STATUS_BAD_INPUT : status;
}

static void log_put_id(struct table *table, size_t column, struct slice id, size_t bytes) {
    uint8_t any = 0;
    for (size_t i = 0; i < id.bytes; i++)
        any |= id.at[i];
    if (any && id.bytes == bytes)
        put_id(table, column, id.at);
}

static enum status log_put(struct decode *decode, struct table *table, const struct log_fields *log) {
    enum status status = STATUS_OK;
    put_i64(table, LOG_TIME, (int64_t)log->time_ns);
    put_i64(table, LOG_OBSERVED, (int64_t)log->observed_ns);
    put_u8(table, LOG_SEVERITY, log->severity);
    put_text(table, LOG_SEVERITY_TEXT, log->severity_text);
    if (log->body.at) {
        struct buffer *out = put_text_begin(table, LOG_BODY);
        status = json_add_value(out, &decode->pairs, log->body);
        if (status != STATUS_OK)
            return status;
        put_text_end(table, LOG_BODY);
    }
    put_text(table, LOG_EVENT, log->event_name);
    log_put_id(table, LOG_TRACE_ID, log->trace_id, 16);
    log_put_id(table, LOG_SPAN_ID, log->span_id, 8);
    put_u32(table, LOG_FLAGS, log->flags);
    put_u64(table, LOG_RESOURCE, decode->resource_id);
    put_u64(table, LOG_SCOPE, decode->scope_id);
    return STATUS_OK;
}

enum status decode_log(struct decode *decode, struct slice message) {
    struct table *table = &decode->tables[DECODE_ITEMS];
    struct pairs_mark mark = pairs_begin(&decode->pairs);
    struct log_fields log = {0};
    enum status status = table_begin_row(table);
    if (status == STATUS_OK)
        status = log_read(decode, message, &log);
    if (status != STATUS_OK)
        return status;
    bool late = log.time_ns > INT64_MAX || log.observed_ns > INT64_MAX;
    if (!late)
        status = log_put(decode, table, &log);
    if (late || status == STATUS_TOO_LARGE) {
        pairs_end(&decode->pairs, mark);
        decode_reject(decode, late ? DECODE_BAD_TIME : DECODE_TOO_DEEP);
        return STATUS_OK;
    }
    if (status == STATUS_OK)
        status = decode_put_attributes(decode, table, LOG_ATTRIBUTES, mark, &log.dropped);
    if (status != STATUS_OK)
        return status;
    put_u32(table, LOG_DROPPED, log.dropped);
    return decode_accept(decode);
}
