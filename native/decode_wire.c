// SPDX-License-Identifier: Apache-2.0
// decode_wire: see the header. Bounds are checked before every read; lengths are compared with what is left, never
// added to a pointer first.
#include "decode_wire.h"
#include <string.h>

struct wire wire_of(struct slice message) {
    return (struct wire){.at = message.at, .end = message.at ? message.at + message.bytes : message.at, .bad = false};
}

static bool wire_fail(struct wire *wire) {
    wire->bad = true;
    wire->at = wire->end;
    return false;
}

static size_t wire_left(const struct wire *wire) {
    return (size_t)(wire->end - wire->at);
}

// At most 10 bytes; bits past the 64th are dropped, as every protobuf reader does.
static bool wire_varint(struct wire *wire, uint64_t *out) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (wire->at == wire->end)
            return wire_fail(wire);
        uint8_t byte = *wire->at++;
        if (shift < 64)
            value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *out = value;
            return true;
        }
    }
    return wire_fail(wire);
}

static bool wire_fixed(struct wire *wire, size_t bytes, uint64_t *out) {
    if (wire_left(wire) < bytes)
        return wire_fail(wire);
    uint64_t value = 0;
    memcpy(&value, wire->at, bytes); // the wire is little-endian, and so is every machine this is built for
    wire->at += bytes;
    *out = value;
    return true;
}
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "wire_fixed copies");

static bool wire_bytes(struct wire *wire, struct slice *out) {
    uint64_t bytes;
    if (!wire_varint(wire, &bytes))
        return false;
    if (bytes > wire_left(wire))
        return wire_fail(wire);
    *out = (struct slice){wire->at, (size_t)bytes};
    wire->at += bytes;
    return true;
}

// Reads a tag: a number of 1..2^29-1 and a wire type that exists.
static bool wire_tag(struct wire *wire, uint32_t *out) {
    uint64_t tag;
    if (!wire_varint(wire, &tag))
        return false;
    if (tag > UINT32_MAX || tag >> 3 == 0 || (tag & 7) > WIRE_FIXED32)
        return wire_fail(wire);
    *out = (uint32_t)tag;
    return true;
}

static bool wire_value(struct wire *wire, struct wire_field *field) {
    switch (field->tag & 7) {
    case WIRE_VARINT:
        return wire_varint(wire, &field->value);
    case WIRE_FIXED64:
        return wire_fixed(wire, 8, &field->value);
    case WIRE_FIXED32:
        return wire_fixed(wire, 4, &field->value);
    case WIRE_BYTES:
        return wire_bytes(wire, &field->bytes);
    default:
        return wire_fail(wire);
    }
}

// Skips what is left of the group that `tag` opened, nested groups included.
static bool wire_skip_group(struct wire *wire, uint32_t tag) {
    uint32_t open[WIRE_GROUP_DEPTH];
    size_t depth = 0;
    open[depth++] = tag >> 3;
    while (depth > 0) {
        struct wire_field field = {0};
        if (!wire_tag(wire, &field.tag))
            return false;
        if ((field.tag & 7) == WIRE_END_GROUP) {
            if (field.tag >> 3 != open[--depth])
                return wire_fail(wire);
        } else if ((field.tag & 7) == WIRE_GROUP) {
            if (depth == WIRE_GROUP_DEPTH)
                return wire_fail(wire);
            open[depth++] = field.tag >> 3;
        } else if (!wire_value(wire, &field)) {
            return false;
        }
    }
    return true;
}

bool wire_next(struct wire *wire, struct wire_field *out) {
    while (wire->at != wire->end) {
        if (!wire_tag(wire, &out->tag))
            return false;
        if ((out->tag & 7) != WIRE_GROUP)
            return wire_value(wire, out);
        if (!wire_skip_group(wire, out->tag))
            return false;
    }
    return false;
}

bool wire_next_packed(struct wire *wire, enum wire_type type, uint64_t *out) {
    if (wire->at == wire->end)
        return false;
    struct wire_field field = {.tag = WIRE_TAG(1, type)};
    if (!wire_value(wire, &field))
        return false;
    *out = field.value;
    return true;
}
