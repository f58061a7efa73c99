// SPDX-License-Identifier: Apache-2.0
// otlp_wire: protobuf's wire format into the caller's memory, in one pass: the length of a nested message is filled in
// when it ends (and the message moved when the length takes more bytes than were kept for it, which is rare). Nothing
// is ever written beyond the capacity: the sink says `full`, and what it holds is then worth nothing.
#ifndef PILLION_OTLP_WIRE_H
#define PILLION_OTLP_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire_sink {
    uint8_t *to; // Borrowed
    size_t capacity;
    size_t bytes; // written
    bool full;    // something did not fit
};

void wire_raw(struct wire_sink *sink, const void *bytes, size_t count);
// Fields. Defaults are written too: leaving them out is the caller's choice.
void wire_varint(struct wire_sink *sink, uint32_t field, uint64_t value);
void wire_fixed64(struct wire_sink *sink, uint32_t field, uint64_t value);
void wire_fixed32(struct wire_sink *sink, uint32_t field, uint32_t value);
void wire_double(struct wire_sink *sink, uint32_t field, double value);
void wire_bytes(struct wire_sink *sink, uint32_t field, const void *bytes, size_t count);
// A string: whatever is not UTF-8 becomes U+FFFD, since decoders refuse the whole message otherwise.
void wire_text(struct wire_sink *sink, uint32_t field, const char *text, size_t bytes);
// A nested message. `room`: bytes kept for its length, the same in both calls (1: below 128 bytes, 2: below 16 KiB).
size_t wire_begin(struct wire_sink *sink, uint32_t field, unsigned room);
void wire_end(struct wire_sink *sink, size_t begun, unsigned room);
// Head of a nested message whose size is known already, and what head and message take together.
void wire_head(struct wire_sink *sink, uint32_t field, size_t bytes);
size_t wire_framed(uint32_t field, size_t bytes);
// Bytes of the longest prefix that is valid UTF-8.
size_t wire_utf8_prefix(const char *text, size_t bytes);

#endif
