// SPDX-License-Identifier: Apache-2.0
// decode_text: a growing buffer, and what is written into it as text: UTF-8 that is valid whatever came in (each bad
// sequence becomes U+FFFD), JSON strings, numbers and base64.
//
// A buffer that can't grow latches `failed` and ignores what follows: the caller checks once, at the end.
#ifndef PILLION_DECODE_TEXT_H
#define PILLION_DECODE_TEXT_H

#include "decode_wire.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUFFER_LIMIT_BYTES INT32_MAX // Arrow's 32-bit offsets reach no further

struct buffer {
    uint8_t *data;   // Owned; NULL while empty.
    size_t bytes;    // used
    size_t capacity; // allocated
    bool failed;     // out of memory or over the limit
};

// Room for `bytes` more at the end (not yet counted as used); NULL when there is none (then failed).
uint8_t *buffer_room(struct buffer *buffer, size_t bytes);
void buffer_add(struct buffer *buffer, const void *from, size_t bytes);
void buffer_add_text(struct buffer *buffer, const char *text);
void buffer_cut(struct buffer *buffer, size_t bytes); // back to `bytes` used
void buffer_free(struct buffer *buffer);

bool text_is_valid(struct slice text);
void text_add(struct buffer *out, struct slice text);        // as valid UTF-8
void text_add_string(struct buffer *out, struct slice text); // as a JSON string, with its quotes
void text_add_uint(struct buffer *out, uint64_t value);
void text_add_int(struct buffer *out, int64_t value);
void text_add_double(struct buffer *out, double value); // shortest that reads back equal; {"double":"NaN"} and the like
void text_add_bytes(struct buffer *out, struct slice bytes); // {"bytes":"<base64>"}
void text_add_hex(struct buffer *out, struct slice bytes);   // "0af7…", with its quotes

#endif
