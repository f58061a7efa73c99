// SPDX-License-Identifier: Apache-2.0
// decode_metrics: one Metric message to a row for each of its data points.
//
// What has no column of its own (bounds, buckets, quantiles, exemplars) is JSON in `detail`. Left out and counted: a
// point whose time is past the year 2262, or with an attribute that is nested too deep, for a point without it would
// be another series. Metric.metadata is not kept.
#include "decode_json.h"
#include "decode_state.h"

enum {
    POINT_TIME,
    POINT_START,
    POINT_RESOURCE,
    POINT_SCOPE,
    POINT_NAME,
    POINT_DESCRIPTION,
    POINT_UNIT,
    POINT_KIND,
    POINT_TEMPORALITY,
    POINT_MONOTONIC,
    POINT_ATTRIBUTES,
    POINT_FLAGS,
    POINT_DOUBLE,
    POINT_INT,
    POINT_COUNT,
    POINT_SUM,
    POINT_MIN,
    POINT_MAX,
    POINT_DETAIL,
    POINT_COLUMNS
};
const struct table_spec decode_points_spec = {"points",
                                              POINT_COLUMNS,
                                              {{"time_ns", COLUMN_I64},
                                               {"start_ns", COLUMN_I64},
                                               {"resource_id", COLUMN_U64},
                                               {"scope_id", COLUMN_U64},
                                               {"name", COLUMN_TEXT},
                                               {"description", COLUMN_TEXT},
                                               {"unit", COLUMN_TEXT},
                                               {"kind", COLUMN_U8},
                                               {"temporality", COLUMN_U8},
                                               {"monotonic", COLUMN_U8},
                                               {"attributes", COLUMN_MAP},
                                               {"flags", COLUMN_U32},
                                               {"value_double", COLUMN_F64},
                                               {"value_int", COLUMN_I64},
                                               {"count", COLUMN_U64},
                                               {"sum", COLUMN_F64},
                                               {"min", COLUMN_F64},
                                               {"max", COLUMN_F64},
                                               {"detail", COLUMN_TEXT}}};

enum metric_kind { METRIC_NONE, METRIC_GAUGE, METRIC_SUM, METRIC_HISTOGRAM, METRIC_EXPONENTIAL, METRIC_SUMMARY };

struct metric {
    struct slice name, description, unit; // Borrowed from the body, like `data`
    struct slice data;                    // the Gauge, Sum, … message
    enum metric_kind kind;
    uint8_t temporality;
    bool monotonic;
};

// Where the kinds of data points keep what they have in common: tags, 0 where a kind has no such field.
struct point_layout {
    uint32_t attributes, exemplars, flags, min, max;
};
static const struct point_layout layouts[] = {
    [METRIC_GAUGE] = {WIRE_TAG(7, WIRE_BYTES), WIRE_TAG(5, WIRE_BYTES), WIRE_TAG(8, WIRE_VARINT), 0, 0},
    [METRIC_SUM] = {WIRE_TAG(7, WIRE_BYTES), WIRE_TAG(5, WIRE_BYTES), WIRE_TAG(8, WIRE_VARINT), 0, 0},
    [METRIC_HISTOGRAM] = {WIRE_TAG(9, WIRE_BYTES), WIRE_TAG(8, WIRE_BYTES), WIRE_TAG(10, WIRE_VARINT),
                          WIRE_TAG(11, WIRE_FIXED64), WIRE_TAG(12, WIRE_FIXED64)},
    [METRIC_EXPONENTIAL] = {WIRE_TAG(1, WIRE_BYTES), WIRE_TAG(11, WIRE_BYTES), WIRE_TAG(10, WIRE_VARINT),
                            WIRE_TAG(12, WIRE_FIXED64), WIRE_TAG(13, WIRE_FIXED64)},
    [METRIC_SUMMARY] = {WIRE_TAG(7, WIRE_BYTES), 0, WIRE_TAG(8, WIRE_VARINT), 0, 0},
};

// A data point while it is read.
struct point {
    struct decode *decode;
    struct table *table;
    const struct metric *metric;
    struct slice message;   // Borrowed from the body.
    struct pairs_mark mark; // its attributes
    struct buffer *detail;  // the column's own text
    size_t begin;           // where this point's detail begins in it
    uint64_t time_ns;
    uint64_t start_ns;
    uint32_t flags;
};

// --- detail: a JSON object that is opened by its first key

static void detail_key(struct point *point, const char *key) {
    buffer_add_text(point->detail, point->detail->bytes == point->begin ? "{\"" : ",\"");
    buffer_add_text(point->detail, key);
    buffer_add_text(point->detail, "\":");
}

// A list of numbers while it is written.
struct numbers {
    struct buffer *out;
    bool real;  // doubles, else unsigned integers
    bool begun; // the bracket is there
};

static void numbers_add(struct numbers *numbers, uint64_t value) {
    buffer_add(numbers->out, numbers->begun ? "," : "[", 1);
    numbers->begun = true;
    if (numbers->real)
        text_add_double(numbers->out, json_double_of(value));
    else
        text_add_uint(numbers->out, value);
}

// Writes a repeated number as `[…]`, packed or not.
static enum status detail_numbers(struct buffer *out, struct slice message, uint32_t number, enum wire_type type,
                                  bool real) {
    struct numbers numbers = {out, real, false};
    struct wire wire = wire_of(message);
    struct wire_field field;
    while (wire_next(&wire, &field)) {
        if (field.tag == WIRE_TAG(number, type))
            numbers_add(&numbers, field.value);
        if (field.tag != WIRE_TAG(number, WIRE_BYTES))
            continue;
        struct wire packed = wire_of(field.bytes);
        uint64_t value;
        while (wire_next_packed(&packed, type, &value))
            numbers_add(&numbers, value);
        if (packed.bad)
            return STATUS_BAD_INPUT;
    }
    buffer_add_text(out, numbers.begun ? "]" : "[]");
    return wire.bad ? STATUS_BAD_INPUT : STATUS_OK;
}

static int64_t zigzag(uint64_t value) {
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

static enum status detail_exemplar(struct point *point, struct slice message) {
    struct pairs *pairs = &point->decode->pairs;
    struct pairs_mark mark = pairs_begin(pairs);
    struct buffer *out = point->detail;
    struct wire wire = wire_of(message);
    struct wire_field field;
    struct slice trace_id = {0}, span_id = {0};
    uint64_t time_ns = 0, number = 0;
    uint32_t dropped = 0, tag = 0;
    enum status status = STATUS_OK;
    while (status == STATUS_OK && wire_next(&wire, &field)) {
        if (field.tag == WIRE_TAG(2, WIRE_FIXED64)) {
            time_ns = field.value;
        } else if (field.tag == WIRE_TAG(3, WIRE_FIXED64) || field.tag == WIRE_TAG(6, WIRE_FIXED64)) {
            number = field.value;
            tag = field.tag;
        } else if (field.tag == WIRE_TAG(4, WIRE_BYTES)) {
            span_id = field.bytes;
        } else if (field.tag == WIRE_TAG(5, WIRE_BYTES)) {
            trace_id = field.bytes;
        } else if (field.tag == WIRE_TAG(7, WIRE_BYTES)) {
            status = pairs_add(pairs, mark, field.bytes, &dropped);
        }
    }
    if (status != STATUS_OK || wire.bad)
        return wire.bad ? STATUS_BAD_INPUT : status;
    buffer_add_text(out, "{\"time_ns\":");
    text_add_uint(out, time_ns);
    buffer_add_text(out, ",\"value\":");
    if (tag == WIRE_TAG(3, WIRE_FIXED64))
        text_add_double(out, json_double_of(number));
    else
        text_add_int(out, (int64_t)number);
    if (trace_id.bytes == 16 && span_id.bytes == 8) {
        buffer_add_text(out, ",\"trace_id\":");
        text_add_hex(out, trace_id);
        buffer_add_text(out, ",\"span_id\":");
        text_add_hex(out, span_id);
    }
    status = decode_add_attributes(point->decode, out, mark, dropped);
    buffer_add(out, "}", 1);
    return status;
}

static enum status detail_quantile(struct point *point, struct slice message) {
    struct wire wire = wire_of(message);
    struct wire_field field;
    uint64_t quantile = 0, value = 0;
    while (wire_next(&wire, &field)) {
        if (field.tag == WIRE_TAG(1, WIRE_FIXED64))
            quantile = field.value;
        else if (field.tag == WIRE_TAG(2, WIRE_FIXED64))
            value = field.value;
    }
    buffer_add_text(point->detail, "{\"quantile\":");
    text_add_double(point->detail, json_double_of(quantile));
    buffer_add_text(point->detail, ",\"value\":");
    text_add_double(point->detail, json_double_of(value));
    buffer_add(point->detail, "}", 1);
    return wire.bad ? STATUS_BAD_INPUT : STATUS_OK;
}

// Each message with that tag, written by `add`, as `"key":[…]`; nothing when there is none.
static enum status detail_messages(struct point *point, const char *key, uint32_t tag,
                                   enum status (*add)(struct point *, struct slice)) {
    struct wire wire = wire_of(point->message);
    struct wire_field field;
    bool begun = false;
    while (wire_next(&wire, &field)) {
        if (field.tag != tag)
            continue;
        if (!begun)
            detail_key(point, key);
        buffer_add(point->detail, begun ? "," : "[", 1);
        begun = true;
        enum status status = add(point, field.bytes);
        if (status != STATUS_OK)
            return status;
    }
    if (begun)
        buffer_add(point->detail, "]", 1);
    return wire.bad ? STATUS_BAD_INPUT : STATUS_OK;
}

static enum status detail_histogram(struct point *point) {
    detail_key(point, "bounds");
    enum status status = detail_numbers(point->detail, point->message, 7, WIRE_FIXED64, true);
    if (status != STATUS_OK)
        return status;
    detail_key(point, "buckets");
    return detail_numbers(point->detail, point->message, 6, WIRE_FIXED64, false);
}

// The positive or negative buckets of an exponential histogram.
static enum status detail_side(struct point *point, const char *key, struct slice side) {
    struct wire wire = wire_of(side);
    struct wire_field field;
    int64_t offset = 0;
    while (wire_next(&wire, &field))
        if (field.tag == WIRE_TAG(1, WIRE_VARINT))
            offset = zigzag(field.value);
    detail_key(point, key);
    buffer_add_text(point->detail, "{\"offset\":");
    text_add_int(point->detail, offset);
    buffer_add_text(point->detail, ",\"buckets\":");
    enum status status = detail_numbers(point->detail, side, 2, WIRE_VARINT, false);
    buffer_add(point->detail, "}", 1);
    return status;
}

static enum status detail_exponential(struct point *point) {
    struct wire wire = wire_of(point->message);
    struct wire_field field;
    struct slice positive = {0}, negative = {0};
    uint64_t scale = 0, zero_count = 0, zero_threshold = 0;
    while (wire_next(&wire, &field)) {
        if (field.tag == WIRE_TAG(6, WIRE_VARINT))
            scale = field.value;
        else if (field.tag == WIRE_TAG(7, WIRE_FIXED64))
            zero_count = field.value;
        else if (field.tag == WIRE_TAG(8, WIRE_BYTES))
            positive = field.bytes;
        else if (field.tag == WIRE_TAG(9, WIRE_BYTES))
            negative = field.bytes;
        else if (field.tag == WIRE_TAG(14, WIRE_FIXED64))
            zero_threshold = field.value;
    }
    detail_key(point, "scale");
    text_add_int(point->detail, zigzag(scale));
    detail_key(point, "zero_count");
    text_add_uint(point->detail, zero_count);
    detail_key(point, "zero_threshold");
    text_add_double(point->detail, json_double_of(zero_threshold));
    enum status status = detail_side(point, "positive", positive);
    return status == STATUS_OK ? detail_side(point, "negative", negative) : status;
}

static enum status point_detail(struct point *point) {
    enum status status = STATUS_OK;
    point->detail = put_text_begin(point->table, POINT_DETAIL);
    point->begin = point->detail->bytes;
    if (point->metric->kind == METRIC_HISTOGRAM)
        status = detail_histogram(point);
    else if (point->metric->kind == METRIC_EXPONENTIAL)
        status = detail_exponential(point);
    else if (point->metric->kind == METRIC_SUMMARY)
        status = detail_messages(point, "quantiles", WIRE_TAG(6, WIRE_BYTES), detail_quantile);
    uint32_t exemplars = layouts[point->metric->kind].exemplars;
    if (status == STATUS_OK && exemplars)
        status = detail_messages(point, "exemplars", exemplars, detail_exemplar);
    if (status == STATUS_OK && point->detail->bytes != point->begin) {
        buffer_add(point->detail, "}", 1);
        put_text_end(point->table, POINT_DETAIL);
    }
    return status;
}

// --- the row

// A field that only numbers, or only the others, have.
static void point_put_value(struct point *point, const struct wire_field *field) {
    bool number = point->metric->kind <= METRIC_SUM;
    const struct point_layout *layout = &layouts[point->metric->kind];
    if (number && field->tag == WIRE_TAG(4, WIRE_FIXED64))
        put_f64(point->table, POINT_DOUBLE, json_double_of(field->value));
    else if (number && field->tag == WIRE_TAG(6, WIRE_FIXED64))
        put_i64(point->table, POINT_INT, (int64_t)field->value);
    else if (!number && field->tag == WIRE_TAG(4, WIRE_FIXED64))
        put_u64(point->table, POINT_COUNT, field->value);
    else if (!number && field->tag == WIRE_TAG(5, WIRE_FIXED64))
        put_f64(point->table, POINT_SUM, json_double_of(field->value));
    else if (field->tag == layout->min)
        put_f64(point->table, POINT_MIN, json_double_of(field->value));
    else if (field->tag == layout->max)
        put_f64(point->table, POINT_MAX, json_double_of(field->value));
}

static enum status point_read(struct point *point) {
    const struct point_layout *layout = &layouts[point->metric->kind];
    struct wire wire = wire_of(point->message);
    struct wire_field field;
    uint32_t dropped = 0;
    enum status status = STATUS_OK;
    if (point->metric->kind > METRIC_SUM)
        put_u64(point->table, POINT_COUNT, 0);
    if (point->metric->kind == METRIC_SUMMARY)
        put_f64(point->table, POINT_SUM, 0);
    while (status == STATUS_OK && wire_next(&wire, &field)) {
        if (field.tag == WIRE_TAG(2, WIRE_FIXED64))
            point->start_ns = field.value;
        else if (field.tag == WIRE_TAG(3, WIRE_FIXED64))
            point->time_ns = field.value;
        else if (field.tag == layout->flags)
            point->flags = (uint32_t)field.value;
        else if (field.tag == layout->attributes)
            status = pairs_add(&point->decode->pairs, point->mark, field.bytes, &dropped);
        else
            point_put_value(point, &field);
    }
    if (wire.bad || status != STATUS_OK)
        return wire.bad ? STATUS_BAD_INPUT : status;
    status = decode_put_attributes(point->decode, point->table, POINT_ATTRIBUTES, point->mark, &dropped);
    return status == STATUS_OK && dropped ? STATUS_TOO_LARGE : status;
}

static void point_put(struct point *point) {
    const struct metric *metric = point->metric;
    struct table *table = point->table;
    put_i64(table, POINT_TIME, (int64_t)point->time_ns);
    put_i64(table, POINT_START, (int64_t)point->start_ns);
    put_u64(table, POINT_RESOURCE, point->decode->resource_id);
    put_u64(table, POINT_SCOPE, point->decode->scope_id);
    put_text(table, POINT_NAME, metric->name);
    put_text(table, POINT_DESCRIPTION, metric->description);
    put_text(table, POINT_UNIT, metric->unit);
    put_u8(table, POINT_KIND, (uint8_t)metric->kind);
    put_u8(table, POINT_TEMPORALITY, metric->temporality);
    put_u8(table, POINT_MONOTONIC, metric->monotonic);
    put_u32(table, POINT_FLAGS, point->flags);
}

static enum status decode_point(struct decode *decode, const struct metric *metric, struct slice message) {
    struct point point = {.decode = decode,
                          .table = &decode->tables[DECODE_ITEMS],
                          .metric = metric,
                          .message = message,
                          .mark = pairs_begin(&decode->pairs)};
    enum status status = table_begin_row(point.table);
    if (status == STATUS_OK)
        status = point_read(&point);
    if (status == STATUS_OK && (point.time_ns > INT64_MAX || point.start_ns > INT64_MAX)) {
        decode_reject(decode, DECODE_BAD_TIME);
        return STATUS_OK;
    }
    if (status == STATUS_TOO_LARGE) {
        decode_reject(decode, DECODE_TOO_DEEP);
        return STATUS_OK;
    }
    if (status != STATUS_OK)
        return status;
    point_put(&point);
    status = point_detail(&point);
    return status == STATUS_OK ? decode_accept(decode) : status;
}

// --- the metric around it

// Reads what the Gauge, Sum, … message says of all its points.
static enum status metric_read_data(struct metric *metric) {
    struct wire wire = wire_of(metric->data);
    struct wire_field field;
    bool has = metric->kind == METRIC_SUM || metric->kind == METRIC_HISTOGRAM || metric->kind == METRIC_EXPONENTIAL;
    while (wire_next(&wire, &field)) {
        if (has && field.tag == WIRE_TAG(2, WIRE_VARINT))
            metric->temporality = field.value <= 2 ? (uint8_t)field.value : 0;
        else if (metric->kind == METRIC_SUM && field.tag == WIRE_TAG(3, WIRE_VARINT))
            metric->monotonic = field.value != 0;
    }
    return wire.bad ? STATUS_BAD_INPUT : STATUS_OK;
}

static enum metric_kind metric_kind_of(uint32_t tag) {
    switch (tag) {
    case WIRE_TAG(5, WIRE_BYTES):
        return METRIC_GAUGE;
    case WIRE_TAG(7, WIRE_BYTES):
        return METRIC_SUM;
    case WIRE_TAG(9, WIRE_BYTES):
        return METRIC_HISTOGRAM;
    case WIRE_TAG(10, WIRE_BYTES):
        return METRIC_EXPONENTIAL;
    case WIRE_TAG(11, WIRE_BYTES):
        return METRIC_SUMMARY;
    default:
        return METRIC_NONE;
    }
}

enum status decode_metric(struct decode *decode, struct slice message) {
    struct metric metric = {0};
    struct wire wire = wire_of(message);
    struct wire_field field;
    while (wire_next(&wire, &field)) {
        if (field.tag == WIRE_TAG(1, WIRE_BYTES)) {
            metric.name = field.bytes;
        } else if (field.tag == WIRE_TAG(2, WIRE_BYTES)) {
            metric.description = field.bytes;
        } else if (field.tag == WIRE_TAG(3, WIRE_BYTES)) {
            metric.unit = field.bytes;
        } else if (metric_kind_of(field.tag) != METRIC_NONE) {
            metric.kind = metric_kind_of(field.tag);
            metric.data = field.bytes;
        }
    }
    enum status status = wire.bad ? STATUS_BAD_INPUT : metric_read_data(&metric);
    wire = wire_of(metric.data);
    while (status == STATUS_OK && wire_next(&wire, &field))
        if (field.tag == WIRE_TAG(1, WIRE_BYTES))
            status = decode_point(decode, &metric, field.bytes);
    return status;
}
