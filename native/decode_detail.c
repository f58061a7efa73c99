// SPDX-License-Identifier: Apache-2.0
// decode_detail: see the header. The message was walked once already, for its columns; each list is one more walk.
#include "decode_detail.h"
#include "decode_json.h"

// A detail while it is written.
struct detail {
    struct decode *decode;
    struct buffer *out;
    size_t begin;         // where it begins in `out`
    struct slice message; // Borrowed from the body.
};

// The object is opened by its first key.
static void detail_key(struct detail *detail, const char *key) {
    buffer_add_text(detail->out, detail->out->bytes == detail->begin ? "{\"" : ",\"");
    buffer_add_text(detail->out, key);
    buffer_add_text(detail->out, "\":");
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

static enum status detail_exemplar(struct detail *detail, struct slice message) {
    struct pairs *pairs = &detail->decode->pairs;
    struct pairs_mark mark = pairs_begin(pairs);
    struct buffer *out = detail->out;
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
    status = decode_add_attributes(detail->decode, out, mark, dropped);
    buffer_add(out, "}", 1);
    return status;
}

static enum status detail_quantile(struct detail *detail, struct slice message) {
    struct wire wire = wire_of(message);
    struct wire_field field;
    uint64_t quantile = 0, value = 0;
    while (wire_next(&wire, &field)) {
        if (field.tag == WIRE_TAG(1, WIRE_FIXED64))
            quantile = field.value;
        else if (field.tag == WIRE_TAG(2, WIRE_FIXED64))
            value = field.value;
    }
    buffer_add_text(detail->out, "{\"quantile\":");
    text_add_double(detail->out, json_double_of(quantile));
    buffer_add_text(detail->out, ",\"value\":");
    text_add_double(detail->out, json_double_of(value));
    buffer_add(detail->out, "}", 1);
    return wire.bad ? STATUS_BAD_INPUT : STATUS_OK;
}

// Each message with that tag, written by `add`, as `"key":[…]`; nothing when there is none.
static enum status detail_messages(struct detail *detail, const char *key, uint32_t tag,
                                   enum status (*add)(struct detail *, struct slice)) {
    struct wire wire = wire_of(detail->message);
    struct wire_field field;
    bool begun = false;
    while (wire_next(&wire, &field)) {
        if (field.tag != tag)
            continue;
        if (!begun)
            detail_key(detail, key);
        buffer_add(detail->out, begun ? "," : "[", 1);
        begun = true;
        enum status status = add(detail, field.bytes);
        if (status != STATUS_OK)
            return status;
    }
    if (begun)
        buffer_add(detail->out, "]", 1);
    return wire.bad ? STATUS_BAD_INPUT : STATUS_OK;
}

static enum status detail_histogram(struct detail *detail) {
    detail_key(detail, "bounds");
    enum status status = detail_numbers(detail->out, detail->message, 7, WIRE_FIXED64, true);
    if (status != STATUS_OK)
        return status;
    detail_key(detail, "buckets");
    return detail_numbers(detail->out, detail->message, 6, WIRE_FIXED64, false);
}

// The positive or negative buckets of an exponential histogram.
static enum status detail_side(struct detail *detail, const char *key, struct slice side) {
    struct wire wire = wire_of(side);
    struct wire_field field;
    int64_t offset = 0;
    while (wire_next(&wire, &field))
        if (field.tag == WIRE_TAG(1, WIRE_VARINT))
            offset = zigzag(field.value);
    detail_key(detail, key);
    buffer_add_text(detail->out, "{\"offset\":");
    text_add_int(detail->out, offset);
    buffer_add_text(detail->out, ",\"buckets\":");
    enum status status = detail_numbers(detail->out, side, 2, WIRE_VARINT, false);
    buffer_add(detail->out, "}", 1);
    return status;
}

static enum status detail_exponential(struct detail *detail) {
    struct wire wire = wire_of(detail->message);
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
    detail_key(detail, "scale");
    text_add_int(detail->out, zigzag(scale));
    detail_key(detail, "zero_count");
    text_add_uint(detail->out, zero_count);
    detail_key(detail, "zero_threshold");
    text_add_double(detail->out, json_double_of(zero_threshold));
    enum status status = detail_side(detail, "positive", positive);
    return status == STATUS_OK ? detail_side(detail, "negative", negative) : status;
}

enum status detail_add(struct decode *decode, struct buffer *out, enum metric_kind kind, struct slice message,
                       uint32_t exemplars) {
    struct detail detail = {decode, out, out->bytes, message};
    enum status status = STATUS_OK;
    if (kind == METRIC_HISTOGRAM)
        status = detail_histogram(&detail);
    else if (kind == METRIC_EXPONENTIAL)
        status = detail_exponential(&detail);
    else if (kind == METRIC_SUMMARY)
        status = detail_messages(&detail, "quantiles", WIRE_TAG(6, WIRE_BYTES), detail_quantile);
    if (status == STATUS_OK && exemplars)
        status = detail_messages(&detail, "exemplars", exemplars, detail_exemplar);
    if (status == STATUS_OK && out->bytes != detail.begin)
        buffer_add(out, "}", 1);
    return status;
}
