// SPDX-License-Identifier: Apache-2.0
// otlp_wire: see otlp_wire.h. Pure functions over the caller's memory, any thread.
#include "otlp_wire.h"
#include <string.h>

static uint32_t varint_bytes(uint64_t value) {
    return (uint32_t)(63 - __builtin_clzll(value | 1)) / 7 + 1;
}

void wire_varint(struct wire_sink *sink, uint64_t value) {
    if (sink->to == NULL) {
        sink->bytes += varint_bytes(value);
        return;
    }
    for (; value >= 0x80; value >>= 7)
        sink->to[sink->bytes++] = (uint8_t)(value | 0x80);
    sink->to[sink->bytes++] = (uint8_t)value;
}

void wire_raw(struct wire_sink *sink, const void *bytes, size_t count) {
    if (sink->to != NULL && count != 0)
        memcpy(sink->to + sink->bytes, bytes, count);
    sink->bytes += count;
}

void wire_tag(struct wire_sink *sink, uint32_t field, uint32_t type) {
    wire_varint(sink, (uint64_t)field << 3 | type);
}

void wire_field_varint(struct wire_sink *sink, uint32_t field, uint64_t value) {
    wire_tag(sink, field, 0);
    wire_varint(sink, value);
}

// Machines we run on are little-endian, as the wire is.
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "fixed fields are copied");

void wire_field_64(struct wire_sink *sink, uint32_t field, uint64_t value) {
    wire_tag(sink, field, 1);
    wire_raw(sink, &value, 8);
}

void wire_field_32(struct wire_sink *sink, uint32_t field, uint32_t value) {
    wire_tag(sink, field, 5);
    wire_raw(sink, &value, 4);
}

void wire_field_double(struct wire_sink *sink, uint32_t field, double value) {
    wire_tag(sink, field, 1);
    wire_raw(sink, &value, 8);
}

void wire_message(struct wire_sink *sink, uint32_t field, size_t bytes) {
    wire_tag(sink, field, 2);
    wire_varint(sink, bytes);
}

size_t wire_frame(uint32_t field, size_t bytes) {
    return varint_bytes((uint64_t)field << 3) + varint_bytes(bytes) + bytes;
}

void wire_field_bytes(struct wire_sink *sink, uint32_t field, const void *bytes, size_t count) {
    wire_message(sink, field, count);
    wire_raw(sink, bytes, count);
}

// Bytes of the valid character at `at`, 0: none. Table 3-7 of the Unicode standard.
static size_t character(const uint8_t *at, size_t left) {
    uint8_t first = at[0];
    if (first < 0x80)
        return 1;
    if (first < 0xc2 || first > 0xf4 || left < 2)
        return 0;
    uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    size_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (at[1] < low || at[1] > high || left < length)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

size_t wire_utf8_prefix(const char *text, size_t bytes) {
    const uint8_t *at = (const uint8_t *)text;
    size_t done = 0;
    while (done < bytes) {
        uint64_t eight;
        while (bytes - done >= 8 && (memcpy(&eight, at + done, 8), (eight & 0x8080808080808080u) == 0))
            done += 8;
        size_t length = done < bytes ? character(at + done, bytes - done) : 0;
        if (length == 0)
            break;
        done += length;
    }
    return done;
}

// The text with each byte that belongs to no character replaced.
static void put_repaired(struct wire_sink *sink, const char *text, size_t bytes) {
    for (size_t done = 0; done < bytes;) {
        size_t valid = wire_utf8_prefix(text + done, bytes - done);
        wire_raw(sink, text + done, valid);
        done += valid;
        if (done < bytes) {
            wire_raw(sink, "\xef\xbf\xbd", 3);
            done++;
        }
    }
}

void wire_field_text(struct wire_sink *sink, uint32_t field, const char *text, size_t bytes) {
    if (wire_utf8_prefix(text, bytes) == bytes) {
        wire_field_bytes(sink, field, text, bytes);
        return;
    }
    struct wire_sink count = {0};
    put_repaired(&count, text, bytes);
    wire_message(sink, field, count.bytes);
    put_repaired(sink, text, bytes);
}
