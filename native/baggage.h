// SPDX-License-Identifier: Apache-2.0
// baggage: the header that carries an application's own names and values along with a trace (W3C Baggage), both ways.
//
// Pure functions over bytes that anybody may have sent: no allocation, no lock, no state, time linear in the input. The
// caller owns all memory. A malformed member is skipped and never spoils the others.
#ifndef PILLION_BAGGAGE_H
#define PILLION_BAGGAGE_H

#include <stddef.h>
#include <stdint.h>

#define BAGGAGE_BYTES 8192 // the standard's limits, of what is read and of what is written
#define BAGGAGE_MEMBERS 64

// One entry of a baggage. No text is 0-terminated.
struct baggage_member {
    const char *key;        // Borrowed
    const char *value;      // Borrowed; plain UTF-8, not percent-encoded
    const char *properties; // Borrowed; the raw text after the first ';', NULL: none
    uint32_t key_bytes;
    uint32_t value_bytes;
    uint32_t properties_bytes;
};

// Reads a baggage header into at most `capacity` members (64 make sense); what comes after the 64th or after 8192 bytes
// is left. Decoded values lie in `decoded`; bytes that aren't UTF-8 become U+FFFD. Keys and properties point into
// `text`. Keys may repeat: the last one counts.
size_t baggage_parse(const char *text, size_t bytes, struct baggage_member *out, size_t capacity,
                     char decoded[BAGGAGE_BYTES]);
// Writes a baggage header: values percent-encoded, properties as they are; members that don't fit, whose key is no
// token or that come after the 64th are left out. Returns its bytes, at most 8192.
size_t baggage_format(const struct baggage_member *members, size_t count, char *out, size_t capacity);

#endif
