// SPDX-License-Identifier: Apache-2.0
// decode_wire: protobuf's wire format, read field by field from foreign bytes. Allocates nothing, copies nothing.
//
// A reader walks one message; a nested message is a slice that gets a reader of its own. Whatever does not fit sets
// `bad` and ends the walk, so a loop needs one check at its end. Groups are skipped, unknown fields are just read past.
#ifndef PILLION_DECODE_WIRE_H
#define PILLION_DECODE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum wire_type {
    WIRE_VARINT = 0,
    WIRE_FIXED64 = 1,
    WIRE_BYTES = 2,
    WIRE_GROUP = 3,
    WIRE_END_GROUP = 4,
    WIRE_FIXED32 = 5,
};

#define WIRE_GROUP_DEPTH 32 // groups are long deprecated; nobody nests them

// A case label for `switch (field.tag)`: a known number with another wire type is an unknown field.
#define WIRE_TAG(number, type) ((uint32_t)(number) << 3 | (uint32_t)(type))

struct slice {
    const uint8_t *at; // Borrowed from the message.
    size_t bytes;
};

struct wire {
    const uint8_t *at;  // Borrowed.
    const uint8_t *end; // one past the message
    bool bad;           // malformed: the walk has ended
};

struct wire_field {
    uint32_t tag;       // WIRE_TAG(number, type)
    uint64_t value;     // varint, fixed64 or fixed32
    struct slice bytes; // of WIRE_BYTES
};

struct wire wire_of(struct slice message);
// Reads the next field; false at the end, or when the message is malformed (then wire->bad).
bool wire_next(struct wire *wire, struct wire_field *out);
// Reads one number of a packed field of that type; false at its end, or when malformed (then wire->bad).
bool wire_next_packed(struct wire *wire, enum wire_type type, uint64_t *out);

#endif
