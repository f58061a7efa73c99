// SPDX-License-Identifier: Apache-2.0
// decode_text: see the header. Expected load: short ASCII, so runs that need no change are found eight bytes at a time
// and copied at once; everything else goes a character at a time.
#include "decode_text.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint8_t *buffer_room(struct buffer *buffer, size_t bytes) {
    if (buffer->capacity - buffer->bytes >= bytes)
        return buffer->data + buffer->bytes;
    if (buffer->failed || bytes > BUFFER_LIMIT_BYTES - buffer->bytes) {
        buffer->failed = true;
        return NULL;
    }
    size_t capacity = buffer->capacity ? buffer->capacity : 256;
    while (capacity < buffer->bytes + bytes)
        capacity *= 2;
    uint8_t *data = realloc(buffer->data, capacity);
    if (!data) {
        buffer->failed = true;
        return NULL;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return data + buffer->bytes;
}

void buffer_add(struct buffer *buffer, const void *from, size_t bytes) {
    uint8_t *to = bytes ? buffer_room(buffer, bytes) : NULL;
    if (!to)
        return;
    memcpy(to, from, bytes);
    buffer->bytes += bytes;
}

void buffer_add_text(struct buffer *buffer, const char *text) {
    buffer_add(buffer, text, strlen(text));
}

void buffer_cut(struct buffer *buffer, size_t bytes) {
    if (bytes < buffer->bytes)
        buffer->bytes = bytes;
}

void buffer_free(struct buffer *buffer) {
    free(buffer->data);
    *buffer = (struct buffer){0};
}

// The length of the character at `at`; negative: so many bytes are no character (Unicode's "maximal subpart").
static int text_step(const uint8_t *at, size_t bytes) {
    uint8_t lead = at[0];
    if (lead < 0x80)
        return 1;
    int length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4)
        return -1;
    uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;  // of the second byte: no overlong form
    uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf; // no surrogate, nothing past U+10FFFF
    for (int i = 1; i < length; i++) {
        if ((size_t)i >= bytes || at[i] < low || at[i] > high)
            return -i;
        low = 0x80;
        high = 0xbf;
    }
    return length;
}

#define EACH_BYTE 0x0101010101010101ull
#define HIGH_BITS 0x8080808080808080ull

// Does any of eight ASCII bytes need an escape in JSON? (A high bit, a control, a quote or a backslash.)
static bool text_special(uint64_t word) {
    uint64_t quote = word ^ EACH_BYTE * '"', slash = word ^ EACH_BYTE * '\\';
    uint64_t found = word | (word - EACH_BYTE * 0x20) | (quote - EACH_BYTE) | (slash - EACH_BYTE);
    return found & HIGH_BITS; // right for ASCII; a high bit in `word` itself is found anyway
}

static bool text_plain(uint8_t byte, bool json) {
    return !json || (byte >= 0x20 && byte != '"' && byte != '\\');
}

// How many bytes from `at` on may be copied as they are.
static size_t text_run(const uint8_t *at, size_t bytes, bool json) {
    size_t done = 0;
    while (done < bytes) {
        uint64_t word;
        if (bytes - done >= 8) {
            memcpy(&word, at + done, 8);
            if (json ? !text_special(word) : !(word & HIGH_BITS)) {
                done += 8;
                continue;
            }
        }
        int step = text_step(at + done, bytes - done);
        if (step < 0 || !text_plain(at[done], json))
            break;
        done += (size_t)step;
    }
    return done;
}

bool text_is_valid(struct slice text) {
    return text_run(text.at, text.bytes, false) == text.bytes;
}

static void text_escape(struct buffer *out, uint8_t byte) {
    static const char hex[] = "0123456789abcdef";
    char text[7] = {'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15], 0};
    if (byte == '"' || byte == '\\') {
        text[1] = (char)byte;
        text[2] = 0;
    }
    buffer_add_text(out, text);
}

static void text_copy(struct buffer *out, struct slice text, bool json) {
    size_t done = 0;
    for (;;) {
        size_t run = text_run(text.at + done, text.bytes - done, json);
        buffer_add(out, text.at + done, run);
        done += run;
        if (done == text.bytes)
            return;
        int step = text_step(text.at + done, text.bytes - done);
        if (step < 0) {
            buffer_add(out, "\xef\xbf\xbd", 3);
            done += (size_t)-step;
        } else {
            text_escape(out, text.at[done++]);
        }
    }
}

void text_add(struct buffer *out, struct slice text) {
    if (text.bytes)
        text_copy(out, text, false);
}

void text_add_string(struct buffer *out, struct slice text) {
    buffer_add(out, "\"", 1);
    if (text.bytes)
        text_copy(out, text, true);
    buffer_add(out, "\"", 1);
}

void text_add_uint(struct buffer *out, uint64_t value) {
    char digits[20];
    size_t count = 0;
    do
        digits[sizeof digits - ++count] = (char)('0' + value % 10);
    while ((value /= 10) != 0);
    buffer_add(out, digits + sizeof digits - count, count);
}

void text_add_int(struct buffer *out, int64_t value) {
    if (value < 0)
        buffer_add(out, "-", 1);
    text_add_uint(out, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

void text_add_double(struct buffer *out, double value) {
    if (isnan(value) || isinf(value)) {
        buffer_add_text(out, isnan(value) ? "{\"double\":\"NaN\"}"
                             : value > 0  ? "{\"double\":\"Infinity\"}"
                                          : "{\"double\":\"-Infinity\"}");
        return;
    }
    if (fabs(value) < 1e15 && value == (double)(int64_t)value && (value != 0 || !signbit(value))) {
        text_add_int(out, (int64_t)value);
        buffer_add(out, ".0", 2);
        return;
    }
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    for (char *comma = text; *comma; comma++) // the process may run under a locale with a decimal comma
        if (*comma == ',')
            *comma = '.';
    buffer_add_text(out, text);
    if (!strpbrk(text, ".e"))
        buffer_add(out, ".0", 2);
}

void text_add_bytes(struct buffer *out, struct slice bytes) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    buffer_add_text(out, "{\"bytes\":\"");
    for (size_t i = 0; i < bytes.bytes; i += 3) {
        size_t left = bytes.bytes - i;
        uint32_t three = (uint32_t)bytes.at[i] << 16 | (left > 1 ? (uint32_t)bytes.at[i + 1] << 8 : 0) |
                         (left > 2 ? bytes.at[i + 2] : 0);
        char four[4] = {digits[three >> 18], digits[three >> 12 & 63], left > 1 ? digits[three >> 6 & 63] : '=',
                        left > 2 ? digits[three & 63] : '='};
        buffer_add(out, four, 4);
    }
    buffer_add_text(out, "\"}");
}

void text_add_hex(struct buffer *out, struct slice bytes) {
    static const char digits[] = "0123456789abcdef";
    buffer_add(out, "\"", 1);
    for (size_t i = 0; i < bytes.bytes; i++) {
        char two[2] = {digits[bytes.at[i] >> 4], digits[bytes.at[i] & 15]};
        buffer_add(out, two, 2);
    }
    buffer_add(out, "\"", 1);
}
