// SPDX-License-Identifier: Apache-2.0
// decode_json: see the header.
#include "decode_json.h"
#include <string.h>

// An array or a key-value list that is being written.
struct frame {
    struct wire items;      // of an array: its values that are still to come
    struct pairs_mark mark; // of a list: its pairs lie in `pairs` from here to the end of the stack of pairs
    size_t next;            // of a list: index of the pair that comes next
    bool list;              // {"kvlist":{…}} and not […]
    bool begun;             // a comma is due before the next one
};

// One AnyValue, taken apart: the last field of the oneof wins.
struct any {
    uint32_t tag; // 0: empty
    uint64_t value;
    struct slice bytes;
};

static enum status any_read(struct slice message, struct any *out) {
    struct wire wire = wire_of(message);
    struct wire_field field;
    *out = (struct any){0};
    while (wire_next(&wire, &field)) {
        switch (field.tag) {
        case WIRE_TAG(1, WIRE_BYTES):
        case WIRE_TAG(2, WIRE_VARINT):
        case WIRE_TAG(3, WIRE_VARINT):
        case WIRE_TAG(4, WIRE_FIXED64):
        case WIRE_TAG(5, WIRE_BYTES):
        case WIRE_TAG(6, WIRE_BYTES):
        case WIRE_TAG(7, WIRE_BYTES):
            *out = (struct any){field.tag, field.value, field.bytes};
        }
    }
    return wire.bad ? STATUS_BAD_INPUT : STATUS_OK;
}

double json_double_of(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void json_add_scalar(struct buffer *out, const struct any *any) {
    switch (any->tag) {
    case WIRE_TAG(1, WIRE_BYTES):
        text_add_string(out, any->bytes);
        break;
    case WIRE_TAG(2, WIRE_VARINT):
        buffer_add_text(out, any->value ? "true" : "false");
        break;
    case WIRE_TAG(3, WIRE_VARINT):
        text_add_int(out, (int64_t)any->value);
        break;
    case WIRE_TAG(4, WIRE_FIXED64):
        text_add_double(out, json_double_of(any->value));
        break;
    case WIRE_TAG(7, WIRE_BYTES):
        text_add_bytes(out, any->bytes);
        break;
    default:
        buffer_add_text(out, "null");
    }
}

// Opens the array or list that `any` is, as a new frame.
static enum status frame_open(struct frame *frame, struct buffer *out, struct pairs *pairs, const struct any *any) {
    *frame = (struct frame){.list = any->tag == WIRE_TAG(6, WIRE_BYTES)};
    if (!frame->list) {
        frame->items = wire_of(any->bytes);
        buffer_add(out, "[", 1);
        return STATUS_OK;
    }
    buffer_add_text(out, "{\"kvlist\":{");
    frame->mark = pairs_begin(pairs);
    frame->next = frame->mark.first;
    struct wire wire = wire_of(any->bytes);
    struct wire_field field;
    uint32_t dropped = 0; // over PAIRS_LIMIT inside one value: no place to count it
    while (wire_next(&wire, &field)) {
        if (field.tag != WIRE_TAG(1, WIRE_BYTES))
            continue;
        enum status status = pairs_add(pairs, frame->mark, field.bytes, &dropped);
        if (status != STATUS_OK)
            return status;
    }
    pairs_unique(pairs, frame->mark);
    return wire.bad ? STATUS_BAD_INPUT : STATUS_OK;
}

// Writes the comma and the key that come before the frame's next value; false: it has none left, and is closed.
static bool frame_next(struct frame *frame, struct buffer *out, struct pairs *pairs, struct slice *value) {
    if (frame->list) {
        if (frame->next == pairs->count) {
            buffer_add(out, "}}", 2);
            pairs_end(pairs, frame->mark);
            return false;
        }
        const struct pair *pair = &pairs->items[frame->next++];
        *value = pair->value;
        if (frame->begun)
            buffer_add(out, ",", 1);
        text_add_string(out, pairs_key(pairs, pair));
        buffer_add(out, ":", 1);
    } else {
        struct wire_field field;
        do {
            if (!wire_next(&frame->items, &field)) {
                buffer_add(out, "]", 1);
                return false;
            }
        } while (field.tag != WIRE_TAG(1, WIRE_BYTES));
        *value = field.bytes;
        if (frame->begun)
            buffer_add(out, ",", 1);
    }
    frame->begun = true;
    return true;
}

// The nested part of json_add_value: `any` is an array or a list.
static enum status json_add_nested(struct buffer *out, struct pairs *pairs, struct any any) {
    struct frame frames[JSON_DEPTH];
    size_t depth = 0;
    enum status status = frame_open(&frames[depth++], out, pairs, &any);
    while (status == STATUS_OK && depth > 0) {
        struct frame *frame = &frames[depth - 1];
        struct slice value;
        if (!frame_next(frame, out, pairs, &value)) {
            if (frame->items.bad)
                return STATUS_BAD_INPUT;
            depth--;
            continue;
        }
        status = any_read(value, &any);
        if (status != STATUS_OK)
            return status;
        bool nested = any.tag == WIRE_TAG(5, WIRE_BYTES) || any.tag == WIRE_TAG(6, WIRE_BYTES);
        if (!nested)
            json_add_scalar(out, &any);
        else if (depth == JSON_DEPTH)
            return STATUS_TOO_LARGE;
        else
            status = frame_open(&frames[depth++], out, pairs, &any);
    }
    return status;
}

enum status json_add_value(struct buffer *out, struct pairs *pairs, struct slice message) {
    struct any any;
    enum status status = any_read(message, &any);
    if (status != STATUS_OK)
        return status;
    if (any.tag != WIRE_TAG(5, WIRE_BYTES) && any.tag != WIRE_TAG(6, WIRE_BYTES)) {
        json_add_scalar(out, &any);
        return STATUS_OK;
    }
    struct pairs_mark mark = pairs_begin(pairs);
    size_t before = out->bytes;
    status = json_add_nested(out, pairs, any);
    if (status != STATUS_OK) {
        pairs_end(pairs, mark);
        buffer_cut(out, before);
    }
    return status;
}

enum status json_add_pairs(struct buffer *out, struct pairs *pairs, struct pairs_mark mark, uint32_t *dropped) {
    size_t end = pairs->count;
    bool begun = false;
    buffer_add(out, "{", 1);
    for (size_t i = mark.first; i < end; i++) {
        struct pair pair = pairs->items[i]; // a copy: the array may move while a list is written
        size_t before = out->bytes;
        if (begun)
            buffer_add(out, ",", 1);
        text_add_string(out, pairs_key(pairs, &pair));
        buffer_add(out, ":", 1);
        enum status status = json_add_value(out, pairs, pair.value);
        if (status == STATUS_TOO_LARGE) {
            buffer_cut(out, before);
            *dropped += *dropped < UINT32_MAX;
            continue;
        }
        if (status != STATUS_OK)
            return status;
        begun = true;
    }
    buffer_add(out, "}", 1);
    return STATUS_OK;
}

bool json_is_string(struct slice message, struct slice *out) {
    struct any any;
    if (any_read(message, &any) != STATUS_OK || any.tag != WIRE_TAG(1, WIRE_BYTES))
        return false;
    *out = any.bytes;
    return true;
}

bool json_is_int(struct slice message, int64_t *out) {
    struct any any;
    if (any_read(message, &any) != STATUS_OK || any.tag != WIRE_TAG(3, WIRE_VARINT))
        return false;
    *out = (int64_t)any.value;
    return true;
}
