// SPDX-License-Identifier: Apache-2.0
// propagate: the headers by which a trace crosses a process border (W3C Trace Context), both ways; baggage.h has the
// third.
//
// Pure functions over bytes that anybody may have sent: no allocation, no lock, no state, time linear in the input. The
// caller owns all memory. What is malformed is left out by the rule of the standard: a bad traceparent means a new
// trace, a bad tracestate never spoils the traceparent.
#ifndef PILLION_PROPAGATE_H
#define PILLION_PROPAGATE_H

#include "span.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROPAGATE_TRACEPARENT_BYTES 55
#define PROPAGATE_TRACESTATE_BYTES 512 // what is carried at most; more is cut by whole entries
#define PROPAGATE_TRACESTATE_MEMBERS 32

// A piece of a text that somebody else owns; not 0-terminated.
struct propagate_text {
    const char *text; // Borrowed
    size_t bytes;
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

// For lists with commas (baggage too): the text without blanks around it; the next member of `rest`, which moves on,
// false at the end.
struct propagate_text propagate_trim(const char *text, size_t bytes);
bool propagate_next(struct propagate_text *rest, struct propagate_text *out);

#endif
