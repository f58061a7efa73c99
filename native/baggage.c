// SPDX-License-Identifier: Apache-2.0
// baggage: the baggage header, read and written. See baggage.h for what is promised.
//
// Runs on the application's threads, within a request: no lock, no recursion, one pass over the input; a buffer of 8
// KiB on the stack while a value is decoded. Nothing here changes after a fork.
#include "baggage.h"
#include "propagate.h"
#include <string.h>

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// RFC 7230 token: the key of a baggage member.
static bool is_token(const char *text, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        char c = text[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!word && (c == 0 || !strchr("!#$%&'*+-.^_`|~", c))) {
            return false;
        }
    }
    return bytes > 0;
}

// What may stand unencoded in a value: printable ASCII but space, '"', ',', ';' and '\'. '%' begins an encoded byte.
static bool is_baggage_octet(char c) {
    return c > 0x20 && c < 0x7f && c != '"' && c != ',' && c != ';' && c != '\\';
}

// Bytes of the UTF-8 character at `text`, 0: none is there (overlong forms, surrogates and > U+10FFFF included).
static size_t utf8_bytes(const uint8_t *text, size_t bytes) {
    uint8_t lead = text[0];
    size_t length = lead < 0x80 ? 1 : lead >= 0xc2 && lead < 0xe0 ? 2 : (lead & 0xf0) == 0xe0 ? 3 : 4;
    if (length > bytes || (lead >= 0x80 && lead < 0xc2) || lead > 0xf4) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool bad = (lead == 0xe0 && text[1] < 0xa0) || (lead == 0xed && text[1] > 0x9f) ||
               (lead == 0xf0 && text[1] < 0x90) || (lead == 0xf4 && text[1] > 0x8f);
    return bad ? 0 : length;
}

// Percent-decodes; false: not a baggage value. `raw` is scratch of the same size, so that `out` grows to at most `in`:
// a byte that is no UTF-8 came as three characters, and U+FFFD has three.
static bool decode_value(struct propagate_text in, char *out, size_t *out_bytes) {
    uint8_t raw[BAGGAGE_BYTES];
    size_t count = 0, at = 0, used = 0;
    for (size_t i = 0; i < in.bytes; i++) {
        int high, low;
        if (!is_baggage_octet(in.text[i])) {
            return false;
        }
        if (in.text[i] != '%') {
            raw[count++] = (uint8_t)in.text[i];
            continue;
        }
        if (i + 2 >= in.bytes || (high = hex_digit(in.text[i + 1])) < 0 || (low = hex_digit(in.text[i + 2])) < 0) {
            return false;
        }
        raw[count++] = (uint8_t)(high << 4 | low);
        i += 2;
    }
    while (at < count) {
        size_t length = utf8_bytes(raw + at, count - at);
        memcpy(out + used, length ? (const char *)raw + at : "\xef\xbf\xbd", length ? length : 3);
        used += length ? length : 3;
        at += length ? length : 1;
    }
    *out_bytes = used;
    return true;
}

// One member "key = value ; properties". False: malformed.
static bool read_member(struct propagate_text member, struct baggage_member *out, char *decoded) {
    const char *semicolon = memchr(member.text, ';', member.bytes);
    size_t pair_bytes = semicolon ? (size_t)(semicolon - member.text) : member.bytes;
    const char *equals = memchr(member.text, '=', pair_bytes);
    if (!equals) {
        return false;
    }
    size_t split = (size_t)(equals - member.text), value_bytes = 0;
    struct propagate_text key = propagate_trim(member.text, split);
    struct propagate_text value = propagate_trim(member.text + split + 1, pair_bytes - split - 1);
    if (!is_token(key.text, key.bytes) || !decode_value(value, decoded, &value_bytes)) {
        return false;
    }
    struct propagate_text properties = {NULL, 0};
    if (semicolon) {
        properties = propagate_trim(semicolon + 1, member.bytes - pair_bytes - 1);
        for (size_t i = 0; i < properties.bytes; i++) { // sent on as they are: nothing odd may slip through
            char c = properties.text[i];
            if (c != '\t' && (c < 0x20 || c > 0x7e)) {
                return false;
            }
        }
    }
    *out = (struct baggage_member){.key = key.text,
                                   .value = decoded,
                                   .properties = properties.bytes ? properties.text : NULL,
                                   .key_bytes = (uint32_t)key.bytes,
                                   .value_bytes = (uint32_t)value_bytes,
                                   .properties_bytes = (uint32_t)properties.bytes};
    return true;
}

size_t baggage_parse(const char *text, size_t bytes, struct baggage_member *out, size_t capacity,
                     char decoded[BAGGAGE_BYTES]) {
    struct propagate_text rest = {text, bytes}, member;
    size_t count = 0, used = 0;
    while (count < capacity && count < BAGGAGE_MEMBERS && propagate_next(&rest, &member)) {
        if ((size_t)(member.text - text) + member.bytes > BAGGAGE_BYTES) {
            break;
        }
        if (member.bytes && read_member(member, out + count, decoded + used)) {
            used += out[count++].value_bytes;
        }
    }
    return count;
}

// Appends what fits of one member; 0: it does not fit. '%' is always encoded, so that decoding gives the same bytes
// back.
static size_t write_member(const struct baggage_member *member, char *out, size_t capacity) {
    static const char digits[] = "0123456789ABCDEF";
    size_t at = member->key_bytes + 1;
    if (at > capacity) {
        return 0;
    }
    memcpy(out, member->key, member->key_bytes);
    out[member->key_bytes] = '=';
    for (uint32_t i = 0; i < member->value_bytes; i++) {
        uint8_t c = (uint8_t)member->value[i];
        bool plain = c != '%' && c < 0x7f && is_baggage_octet((char)c);
        if (at + (plain ? 1 : 3) > capacity) {
            return 0;
        }
        if (plain) {
            out[at++] = (char)c;
        } else {
            out[at++] = '%';
            out[at++] = digits[c >> 4];
            out[at++] = digits[c & 15];
        }
    }
    if (member->properties_bytes) {
        if (at + 1 + member->properties_bytes > capacity) {
            return 0;
        }
        out[at++] = ';';
        memcpy(out + at, member->properties, member->properties_bytes);
        at += member->properties_bytes;
    }
    return at;
}

size_t baggage_format(const struct baggage_member *members, size_t count, char *out, size_t capacity) {
    size_t limit = capacity < BAGGAGE_BYTES ? capacity : BAGGAGE_BYTES;
    size_t at = 0, written = 0;
    for (size_t i = 0; i < count && written < BAGGAGE_MEMBERS; i++) {
        size_t comma = at > 0 ? 1 : 0;
        if (!is_token(members[i].key, members[i].key_bytes) || at + comma >= limit) {
            continue;
        }
        size_t bytes = write_member(members + i, out + at + comma, limit - at - comma);
        if (bytes) {
            if (comma) {
                out[at] = ',';
            }
            at += comma + bytes;
            written++;
        }
    }
    return at;
}
