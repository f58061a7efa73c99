// SPDX-License-Identifier: Apache-2.0
// otlp_wire: protobuf's wire format into a sink that either writes or only counts. One piece of code serves both
// passes, so that what was measured is what gets written. No allocation, no limit checks: the caller has measured
// before it writes.
#ifndef PILLION_OTLP_WIRE_H
#define PILLION_OTLP_WIRE_H

#include <stddef.h>
#include <stdint.h>

struct wire_sink {
    uint8_t *to;  // Borrowed; NULL: only count
    size_t bytes; // written, or counted
};

void wire_varint(struct wire_sink *sink, uint64_t value);
void wire_raw(struct wire_sink *sink, const void *bytes, size_t count);
void wire_tag(struct wire_sink *sink, uint32_t field, uint32_t type); // type: 0 varint, 1 64 bit, 2 length, 5 32 bit
// Fields. Defaults are written too: leaving them out is the caller's choice.
void wire_field_varint(struct wire_sink *sink, uint32_t field, uint64_t value);
void wire_field_64(struct wire_sink *sink, uint32_t field, uint64_t value);
void wire_field_32(struct wire_sink *sink, uint32_t field, uint32_t value);
void wire_field_double(struct wire_sink *sink, uint32_t field, double value);
void wire_field_bytes(struct wire_sink *sink, uint32_t field, const void *bytes, size_t count);
// A string: whatever is not UTF-8 becomes U+FFFD, since decoders refuse the whole message otherwise.
void wire_field_text(struct wire_sink *sink, uint32_t field, const char *text, size_t bytes);
// Head of a nested message whose size is known; `wire_frame` tells what head and message take together.
void wire_message(struct wire_sink *sink, uint32_t field, size_t bytes);
size_t wire_frame(uint32_t field, size_t bytes);
// Bytes of the longest prefix that is valid UTF-8.
size_t wire_utf8_prefix(const char *text, size_t bytes);

#endif
