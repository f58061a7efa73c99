// SPDX-License-Identifier: Apache-2.0
// propagate: the three headers by which a trace crosses a process border (W3C Trace Context and Baggage), both ways.
//
// Pure functions over bytes that anybody may have sent: no allocation, no lock, no state, time linear in the input. The
// caller owns all memory. What is malformed is left out by the rule of the standard: a bad traceparent means a new
// trace, a bad tracestate never spoils the traceparent, a bad baggage member never spoils the others.
#ifndef PILLION_PROPAGATE_H
#define PILLION_PROPAGATE_H

#include "span.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROPAGATE_TRACEPARENT_BYTES 55
#define PROPAGATE_TRACESTATE_BYTES 512 // what is carried at most; more is cut by whole entries
#define PROPAGATE_TRACESTATE_MEMBERS 32
#define PROPAGATE_BAGGAGE_BYTES 8192
#define PROPAGATE_BAGGAGE_MEMBERS 64

// One entry of a baggage. Neither text is 0-terminated.
struct propagate_member {
    const char *key;        // Borrowed
    const char *value;      // Borrowed; plain UTF-8, not percent-encoded
    const char *properties; // Borrowed; the raw text after the first ';', NULL: none
    uint32_t key_bytes;
    uint32_t value_bytes;
    uint32_t properties_bytes;
};

// Reads a traceparent header into ids and flags (sampled and random only) and sets `remote`; tracestate stays empty.
// False: not to be used, start a new trace and ignore tracestate; then `out` is all zero.
bool propagate_parse_traceparent(const char *text, size_t bytes, struct span_context *out);
// Writes exactly 55 characters, not 0-terminated, version 00.
void propagate_format_traceparent(const struct span_context *context, char out[PROPAGATE_TRACEPARENT_BYTES]);

// Writes the tracestate that may be sent on: the same members in the same order without blanks and empty members, cut
// to `capacity` (<= 512 makes sense) by whole entries. Returns its bytes; 0: nothing, or malformed as a whole. Several
// header lines are joined with commas by the caller. `out` may be equal to `in`.
size_t propagate_tracestate(const char *in, size_t bytes, char *out, size_t capacity);
// The same with our own entry put to the left, where it replaces an older one of that key. A malformed key or value is
// not put; a malformed `in` leaves our own entry alone. `out` must not overlap `in`.
size_t propagate_tracestate_put(const char *key, size_t key_bytes, const char *value, size_t value_bytes,
                                const char *in, size_t bytes, char *out, size_t capacity);

// Reads a baggage header into at most `capacity` members (64 is the standard's limit, also of what is read); members
// that are malformed or come after 8192 bytes are skipped. Decoded values lie in `decoded` (>= bytes, at most 8192 are
// needed); bytes that aren't UTF-8 become U+FFFD. Keys and properties point into `text`.
size_t propagate_parse_baggage(const char *text, size_t bytes, struct propagate_member *out, size_t capacity,
                               char decoded[PROPAGATE_BAGGAGE_BYTES]);
// Writes a baggage header: values percent-encoded, properties as they are; members that don't fit, whose key is no
// token or that come after the 64th are left out. Returns its bytes.
size_t propagate_format_baggage(const struct propagate_member *members, size_t count, char *out, size_t capacity);

#endif
