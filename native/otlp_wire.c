// SPDX-License-Identifier: Apache-2.0
// otlp_wire: see otlp_wire.h. Pure functions over the caller's memory, any thread.
#include "otlp_wire.h"
#include <string.h>

#define HEAD_BYTES 15u // a tag and a varint, at most

// Fixed fields are copied: machines we run on are little-endian, as the wire is.
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "a big-endian machine needs swaps here");

enum wire_type { VARINT = 0, FIXED64 = 1, LENGTH = 2, FIXED32 = 5 };

static uint32_t varint_bytes(uint64_t value) {
    return (uint32_t)(63 - __builtin_clzll(value | 1)) / 7 + 1;
}

static uint8_t *put_varint(uint8_t *to, uint64_t value) {
    for (; value >= 0x80; value >>= 7)
        *to++ = (uint8_t)(value | 0x80);
    *to++ = (uint8_t)value;
    return to;
}

// Room for `count` more bytes, or full.
static bool fits(struct wire_sink *sink, size_t count) {
    if (__builtin_expect(count <= sink->capacity - sink->bytes, 1))
        return true;
    sink->full = true;
    return false;
}

static uint8_t *put_tag(struct wire_sink *sink, uint32_t field, enum wire_type type) {
    return put_varint(sink->to + sink->bytes, (uint64_t)field << 3 | type);
}

static void advance(struct wire_sink *sink, const uint8_t *behind) {
    sink->bytes = (size_t)(behind - sink->to);
}

void wire_raw(struct wire_sink *sink, const void *bytes, size_t count) {
    if (count == 0 || !fits(sink, count))
        return;
    memcpy(sink->to + sink->bytes, bytes, count);
    sink->bytes += count;
}

void wire_varint(struct wire_sink *sink, uint32_t field, uint64_t value) {
    if (fits(sink, HEAD_BYTES))
        advance(sink, put_varint(put_tag(sink, field, VARINT), value));
}

void wire_fixed64(struct wire_sink *sink, uint32_t field, uint64_t value) {
    if (!fits(sink, HEAD_BYTES))
        return;
    uint8_t *to = put_tag(sink, field, FIXED64);
    memcpy(to, &value, 8);
    advance(sink, to + 8);
}

void wire_fixed32(struct wire_sink *sink, uint32_t field, uint32_t value) {
    if (!fits(sink, HEAD_BYTES))
        return;
    uint8_t *to = put_tag(sink, field, FIXED32);
    memcpy(to, &value, 4);
    advance(sink, to + 4);
}

void wire_double(struct wire_sink *sink, uint32_t field, double value) {
    uint64_t bits;
    memcpy(&bits, &value, 8);
    wire_fixed64(sink, field, bits);
}

void wire_head(struct wire_sink *sink, uint32_t field, size_t bytes) {
    if (fits(sink, HEAD_BYTES))
        advance(sink, put_varint(put_tag(sink, field, LENGTH), bytes));
}

size_t wire_framed(uint32_t field, size_t bytes) {
    return varint_bytes((uint64_t)field << 3) + varint_bytes(bytes) + bytes;
}

void wire_bytes(struct wire_sink *sink, uint32_t field, const void *bytes, size_t count) {
    if (count > sink->capacity || !fits(sink, HEAD_BYTES + count)) {
        sink->full = true;
        return;
    }
    uint8_t *to = put_varint(put_tag(sink, field, LENGTH), count);
    if (count != 0)
        memcpy(to, bytes, count);
    advance(sink, to + count);
}

size_t wire_begin(struct wire_sink *sink, uint32_t field, unsigned room) {
    if (fits(sink, HEAD_BYTES))
        advance(sink, put_tag(sink, field, LENGTH) + room);
    return sink->bytes;
}

void wire_end(struct wire_sink *sink, size_t begun, unsigned room) {
    size_t bytes = sink->bytes - begun;
    if (sink->full)
        return;
    uint8_t *body = sink->to + begun;
    if (room == 1 && bytes < 0x80) { // nearly always
        body[-1] = (uint8_t)bytes;
        return;
    }
    uint32_t needed = varint_bytes(bytes);
    if (needed != room) {
        if (needed > room && !fits(sink, needed - room))
            return;
        memmove(body - room + needed, body, bytes);
        sink->bytes = begun - room + needed + bytes;
    }
    put_varint(body - room, bytes);
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
        while (done < bytes && at[done] < 0x80)
            done++;
        if (done == bytes)
            break;
        size_t length = character(at + done, bytes - done);
        if (length == 0)
            break;
        done += length;
    }
    return done;
}

void wire_text(struct wire_sink *sink, uint32_t field, const char *text, size_t bytes) {
    size_t valid = wire_utf8_prefix(text, bytes);
    if (valid == bytes) {
        wire_bytes(sink, field, text, bytes);
        return;
    }
    size_t begun = wire_begin(sink, field, 1);
    for (size_t done = 0; done < bytes && !sink->full;) {
        valid = wire_utf8_prefix(text + done, bytes - done);
        wire_raw(sink, text + done, valid);
        done += valid;
        if (done < bytes) {
            wire_raw(sink, "\xef\xbf\xbd", 3);
            done++;
        }
    }
    wire_end(sink, begun, 1);
}
