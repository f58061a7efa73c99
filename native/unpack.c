// SPDX-License-Identifier: Apache-2.0
// unpack: see unpack.h. A block is a row of sequences: a token with two lengths, literals, then how far back and how
// long what follows repeats what was written before; the last one has literals alone. Runs when a module of the bundle
// is imported, with the GIL. Allocates nothing.
#include "unpack.h"
#include <string.h>

#define MATCH_LEAST 4
#define STEP 16 // a copy of a fixed size costs less than one of the right size

static void copy(uint8_t *to, const uint8_t *from, size_t bytes, bool roomy) {
    if (!roomy || bytes > 2 * STEP) {
        memcpy(to, from, bytes);
        return;
    }
    memcpy(to, from, STEP);
    if (bytes > STEP)
        memcpy(to + STEP, from + STEP, STEP);
}

// A length that goes on in further bytes where its half of the token is full.
static bool length_of(const uint8_t **at, const uint8_t *end, size_t *length) {
    if (*length < 15)
        return true;
    uint8_t more = 255;
    while (more == 255) {
        if (*at == end)
            return false;
        more = *(*at)++;
        *length += more;
    }
    return true;
}

bool unpack(const uint8_t *in, size_t in_bytes, uint8_t *out, size_t out_bytes) {
    const uint8_t *at = in, *end = in + in_bytes;
    uint8_t *to = out, *out_end = out + out_bytes;
    while (at < end) {
        uint8_t token = *at++;
        size_t literals = token >> 4, repeated = token & 15;
        if (!length_of(&at, end, &literals) || literals > (size_t)(end - at) || literals > (size_t)(out_end - to))
            return false;
        copy(to, at, literals, end - at >= 2 * STEP && out_end - to >= 2 * STEP);
        to += literals;
        at += literals;
        if (at == end)
            return to == out_end;
        if (end - at < 2)
            return false;
        size_t back = at[0] | (size_t)at[1] << 8;
        at += 2;
        if (!length_of(&at, end, &repeated) || back == 0 || back > (size_t)(to - out))
            return false;
        repeated += MATCH_LEAST;
        if (repeated > (size_t)(out_end - to))
            return false;
        const uint8_t *from = to - back;
        if (back >= repeated && back >= 2 * STEP) {
            copy(to, from, repeated, out_end - to >= 2 * STEP);
            to += repeated;
            continue;
        }
        while (repeated-- > 0) // it overlaps what it writes: a pattern
            *to++ = *from++;
    }
    return false;
}
