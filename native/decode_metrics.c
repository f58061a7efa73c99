// SPDX-License-Identifier: Apache-2.0
// decode_metrics: one Metric message to a row for each of its data points.
//
// What has no column of its own is JSON in `detail`, see decode_detail.h. Left out and counted: a
// point whose time is past the year 2262, or with an attribute that is nested too deep, for a point without it would
// be another series. Metric.metadata is not kept.
#include "decode_detail.h"
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
    uint64_t time_ns;
    uint64_t start_ns;
    uint32_t flags;
};

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

static enum status point_put_detail(struct point *point) {
    struct buffer *out = put_text_begin(point->table, POINT_DETAIL);
    size_t begin = out->bytes;
    uint32_t exemplars = layouts[point->metric->kind].exemplars;
    enum status status = detail_add(point->decode, out, point->metric->kind, point->message, exemplars);
    if (status == STATUS_OK && out->bytes != begin)
        put_text_end(point->table, POINT_DETAIL);
    return status;
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
    status = point_put_detail(&point);
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
