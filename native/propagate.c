// SPDX-License-Identifier: Apache-2.0
// propagate: traceparent and tracestate, read and written. See propagate.h for what is promised.
//
// Runs on the application's threads, within a request: no allocation, no lock, no recursion, one pass over the input
// and a table of 32 entries on the stack. Nothing here changes after a fork.
#include "propagate.h"
#include <string.h>

#define LONG_MEMBER_BYTES 128 // tracestate entries that go first when something has to go

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

struct propagate_text propagate_trim(const char *text, size_t bytes) {
    while (bytes && is_blank(text[0])) {
        text++;
        bytes--;
    }
    while (bytes && is_blank(text[bytes - 1])) {
        bytes--;
    }
    return (struct propagate_text){text, bytes};
}

bool propagate_next(struct propagate_text *rest, struct propagate_text *out) {
    if (!rest->text) {
        return false;
    }
    const char *comma = rest->bytes ? memchr(rest->text, ',', rest->bytes) : NULL;
    size_t length = comma ? (size_t)(comma - rest->text) : rest->bytes;
    *out = propagate_trim(rest->text, length);
    *rest = comma ? (struct propagate_text){comma + 1, rest->bytes - length - 1} : (struct propagate_text){NULL, 0};
    return true;
}

// -1: no lower-case hexadecimal digit.
static int lower_hex(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Reads 2 × `count` digits; false if one of them is none.
static bool read_hex(const char *text, uint8_t *out, size_t count) {
    for (size_t i = 0; i < count; i++) {
        int high = lower_hex(text[2 * i]), low = lower_hex(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static char *write_hex(char *at, const uint8_t *bytes, size_t count) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        *at++ = digits[bytes[i] >> 4];
        *at++ = digits[bytes[i] & 15];
    }
    return at;
}

static bool all_zero(const uint8_t *bytes, size_t count) {
    uint8_t any = 0;
    for (size_t i = 0; i < count; i++) {
        any |= bytes[i];
    }
    return any == 0;
}

// Version, dashes and digits; `out` may be half written when it returns false.
static bool parse_traceparent(struct propagate_text in, struct span_context *out) {
    uint8_t version = 0, flags = 0;
    if (in.bytes < PROPAGATE_TRACEPARENT_BYTES || !read_hex(in.text, &version, 1) || version == 0xff) {
        return false;
    }
    if (in.bytes > PROPAGATE_TRACEPARENT_BYTES && (version == 0 || in.text[PROPAGATE_TRACEPARENT_BYTES] != '-')) {
        return false;
    }
    if (in.text[2] != '-' || in.text[35] != '-' || in.text[52] != '-') {
        return false;
    }
    if (!read_hex(in.text + 3, out->trace_id, 16) || !read_hex(in.text + 36, out->span_id, 8) ||
        !read_hex(in.text + 53, &flags, 1)) {
        return false;
    }
    out->flags = flags & (SPAN_FLAG_SAMPLED | SPAN_FLAG_RANDOM);
    out->remote = true;
    return !all_zero(out->trace_id, 16) && !all_zero(out->span_id, 8);
}

bool propagate_parse_traceparent(const char *text, size_t bytes, struct span_context *out) {
    memset(out, 0, sizeof *out);
    if (parse_traceparent(propagate_trim(text, bytes), out)) {
        return true;
    }
    memset(out, 0, sizeof *out);
    return false;
}

void propagate_format_traceparent(const struct span_context *context, char out[PROPAGATE_TRACEPARENT_BYTES]) {
    uint8_t flags = context->flags & (SPAN_FLAG_SAMPLED | SPAN_FLAG_RANDOM);
    char *at = out;
    *at++ = '0';
    *at++ = '0';
    *at++ = '-';
    at = write_hex(at, context->trace_id, 16);
    *at++ = '-';
    at = write_hex(at, context->span_id, 8);
    *at++ = '-';
    write_hex(at, &flags, 1);
}

static bool is_state_key(const char *text, size_t bytes) {
    if (bytes < 1 || bytes > 256) {
        return false;
    }
    for (size_t i = 0; i < bytes; i++) {
        char c = text[i];
        bool first = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!first && (i == 0 || (c != '_' && c != '-' && c != '*' && c != '/' && c != '@'))) {
            return false;
        }
    }
    return true;
}

static bool is_state_value(const char *text, size_t bytes) {
    if (bytes < 1 || bytes > 256 || text[bytes - 1] == ' ') {
        return false;
    }
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] < 0x20 || text[i] > 0x7e || text[i] == ',' || text[i] == '=') {
            return false;
        }
    }
    return true;
}

static size_t key_bytes_of(struct propagate_text member) {
    const char *equals = memchr(member.text, '=', member.bytes);
    return equals ? (size_t)(equals - member.text) : 0;
}

static bool is_state_member(struct propagate_text member) {
    size_t key = key_bytes_of(member);
    return is_state_key(member.text, key) && is_state_value(member.text + key + 1, member.bytes - key - 1);
}

// All members but the empty ones and those of `own`; -1: malformed, or more than 32.
static int read_state(const char *in, size_t bytes, struct propagate_text own, struct propagate_text members[]) {
    struct propagate_text rest = {in, bytes}, member;
    int count = 0, kept = 0;
    while (propagate_next(&rest, &member)) {
        if (member.bytes == 0) {
            continue;
        }
        if (!is_state_member(member) || count++ == PROPAGATE_TRACESTATE_MEMBERS) {
            return -1;
        }
        if (own.bytes == 0 || key_bytes_of(member) != own.bytes || memcmp(member.text, own.text, own.bytes) != 0) {
            members[kept++] = member;
        }
    }
    return kept;
}

// Drops members until the rest, with commas, fits: the long ones from the right, then all from the right.
static int cut_state(struct propagate_text members[], int count, size_t capacity) {
    size_t total = 0; // every member with a comma after it, the last one too
    for (int i = 0; i < count; i++) {
        total += members[i].bytes + 1;
    }
    for (int i = count - 1; i >= 0 && total > capacity + 1; i--) {
        if (members[i].bytes > LONG_MEMBER_BYTES) {
            total -= members[i].bytes + 1;
            memmove(members + i, members + i + 1, (size_t)(count - i - 1) * sizeof *members);
            count--;
        }
    }
    while (count > 0 && total > capacity + 1) {
        total -= members[--count].bytes + 1;
    }
    return count;
}

// In place is fine: a member never moves to the right.
static size_t write_state(const struct propagate_text members[], int count, char *out) {
    char *at = out;
    for (int i = 0; i < count; i++) {
        if (i > 0) {
            *at++ = ',';
        }
        memmove(at, members[i].text, members[i].bytes);
        at += members[i].bytes;
    }
    return (size_t)(at - out);
}

size_t propagate_tracestate(const char *in, size_t bytes, char *out, size_t capacity) {
    struct propagate_text members[PROPAGATE_TRACESTATE_MEMBERS];
    int count = read_state(in, bytes, (struct propagate_text){NULL, 0}, members);
    return count < 1 ? 0 : write_state(members, cut_state(members, count, capacity), out);
}

size_t propagate_tracestate_put(const char *key, size_t key_bytes, const char *value, size_t value_bytes,
                                const char *in, size_t bytes, char *out, size_t capacity) {
    size_t own_bytes = key_bytes + 1 + value_bytes;
    if (!is_state_key(key, key_bytes) || !is_state_value(value, value_bytes) || own_bytes > capacity) {
        return propagate_tracestate(in, bytes, out, capacity);
    }
    struct propagate_text members[PROPAGATE_TRACESTATE_MEMBERS];
    int count = read_state(in, bytes, (struct propagate_text){key, key_bytes}, members);
    memcpy(out, key, key_bytes);
    out[key_bytes] = '=';
    memcpy(out + key_bytes + 1, value, value_bytes);
    if (count > PROPAGATE_TRACESTATE_MEMBERS - 1) {
        count = PROPAGATE_TRACESTATE_MEMBERS - 1;
    }
    if (count > 0 && capacity > own_bytes + 1) {
        count = cut_state(members, count, capacity - own_bytes - 1);
    }
    if (count < 1 || capacity <= own_bytes + 1) {
        return own_bytes;
    }
    out[own_bytes] = ',';
    return own_bytes + 1 + write_state(members, count, out + own_bytes + 1);
}
