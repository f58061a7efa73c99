// SPDX-License-Identifier: Apache-2.0
// grpc_answer: codes, texts, RetryInfo and partial_success of a gRPC answer. See the header.
#include "grpc_answer.h"

#include <stdlib.h>
#include <string.h>

// What is left to read of a protobuf message.
struct reader {
    const uint8_t *at;  // Borrowed
    const uint8_t *end; // Borrowed
};

struct field {
    uint64_t number;
    uint64_t value;      // of a varint
    struct reader bytes; // of a length-delimited field, else empty
};

enum found { FOUND_FIELD, FOUND_END, FOUND_GARBAGE };

static bool read_varint(struct reader *in, uint64_t *out) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && in->at < in->end; shift += 7) {
        uint8_t byte = *in->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = value;
            return true;
        }
    }
    return false;
}

static bool skip(struct reader *in, uint64_t bytes) {
    if (bytes > (uint64_t)(in->end - in->at))
        return false;
    in->at += bytes;
    return true;
}

// The next field, or the end. Groups count as garbage: no message of these has one.
static enum found read_field(struct reader *in, struct field *out) {
    uint64_t key = 0;
    memset(out, 0, sizeof *out);
    if (in->at == in->end)
        return FOUND_END;
    if (!read_varint(in, &key) || key >> 3 == 0 || key >> 3 > 0x1fffffff)
        return FOUND_GARBAGE;
    out->number = key >> 3;
    switch (key & 7) {
    case 0:
        return read_varint(in, &out->value) ? FOUND_FIELD : FOUND_GARBAGE;
    case 1:
        return skip(in, 8) ? FOUND_FIELD : FOUND_GARBAGE;
    case 2:
        if (!read_varint(in, &out->value))
            return FOUND_GARBAGE;
        out->bytes.at = in->at;
        if (!skip(in, out->value))
            return FOUND_GARBAGE;
        out->bytes.end = in->at;
        return FOUND_FIELD;
    case 5:
        return skip(in, 4) ? FOUND_FIELD : FOUND_GARBAGE;
    default:
        return FOUND_GARBAGE;
    }
}

enum grpc_code grpc_code_of_http(unsigned status) {
    switch (status) {
    case 400:
        return GRPC_INTERNAL;
    case 401:
        return GRPC_UNAUTHENTICATED;
    case 403:
        return GRPC_PERMISSION_DENIED;
    case 404:
        return GRPC_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return GRPC_UNAVAILABLE;
    default:
        return GRPC_UNKNOWN;
    }
}

enum grpc_code grpc_code_of_reset(uint32_t http2_error) {
    switch (http2_error) {
    case 0x7: // REFUSED_STREAM
        return GRPC_UNAVAILABLE;
    case 0x8: // CANCEL
        return GRPC_CANCELLED;
    case 0xb: // ENHANCE_YOUR_CALM
        return GRPC_RESOURCE_EXHAUSTED;
    case 0xc: // INADEQUATE_SECURITY
        return GRPC_PERMISSION_DENIED;
    default:
        return GRPC_INTERNAL;
    }
}

enum grpc_code grpc_code_of_text(const uint8_t *text, size_t bytes) {
    unsigned code = 0;
    if (bytes == 0 || bytes > 2)
        return GRPC_UNKNOWN;
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] < '0' || text[i] > '9')
            return GRPC_UNKNOWN;
        code = code * 10 + (unsigned)(text[i] - '0');
    }
    return code <= GRPC_UNAUTHENTICATED ? (enum grpc_code)code : GRPC_UNKNOWN;
}

static int hex_digit(uint8_t c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void grpc_text_copy(char *out, size_t capacity, const uint8_t *text, size_t bytes, bool percent) {
    size_t used = 0;
    for (size_t i = 0; i < bytes && used + 1 < capacity; i++) {
        uint8_t c = text[i];
        if (percent && c == '%' && i + 2 < bytes && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0) {
            c = (uint8_t)(hex_digit(text[i + 1]) << 4 | hex_digit(text[i + 2]));
            i += 2;
        }
        out[used++] = c >= 0x20 && c < 0x7f ? (char)c : '?';
    }
    out[used] = '\0';
}

static int base64_digit(uint8_t c) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

// Decodes up to the first byte that is no digit (padding, or a comma before a second value). `out` needs 3/4 of bytes.
static size_t base64_decode(const uint8_t *text, size_t bytes, uint8_t *out) {
    size_t used = 0;
    uint32_t bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i < bytes; i++) {
        int digit = base64_digit(text[i]);
        if (digit < 0)
            break;
        bits = (bits << 6 | (uint32_t)digit) & 0xffff;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[used++] = (uint8_t)(bits >> have);
        }
    }
    return used;
}

// A google.protobuf.Duration; negative ones count as 0, long ones are cut.
static bool read_duration(struct reader in, uint64_t *out_ns) {
    struct field field;
    int64_t seconds = 0, nanos = 0;
    enum found found;
    while ((found = read_field(&in, &field)) == FOUND_FIELD) {
        if (field.number == 1)
            seconds = (int64_t)field.value;
        else if (field.number == 2)
            nanos = (int64_t)field.value;
    }
    if (found == FOUND_GARBAGE)
        return false;
    if (seconds < 0 || nanos < 0 || nanos > 999999999)
        seconds = 0, nanos = 0;
    if ((uint64_t)seconds >= GRPC_MAX_RETRY_DELAY_NS / 1000000000u)
        *out_ns = GRPC_MAX_RETRY_DELAY_NS;
    else
        *out_ns = (uint64_t)seconds * 1000000000u + (uint64_t)nanos;
    return true;
}

// A google.protobuf.Any: true if it holds a RetryInfo. Without retry_delay it still means "retry", after 0 ns.
static bool read_retry_info(struct reader any, uint64_t *delay_ns) {
    static const char type[] = "/google.rpc.RetryInfo";
    const size_t type_bytes = sizeof type - 1;
    struct reader info = {0};
    struct field field;
    enum found found;
    bool matches = false;
    while ((found = read_field(&any, &field)) == FOUND_FIELD) {
        size_t bytes = (size_t)(field.bytes.end - field.bytes.at);
        if (field.number == 1)
            matches = bytes >= type_bytes && memcmp(field.bytes.end - type_bytes, type, type_bytes) == 0;
        else if (field.number == 2)
            info = field.bytes;
    }
    if (found == FOUND_GARBAGE || !matches)
        return false;
    *delay_ns = 0;
    while ((found = read_field(&info, &field)) == FOUND_FIELD) {
        if (field.number == 1 && !read_duration(field.bytes, delay_ns))
            return false;
    }
    return found == FOUND_END;
}

bool grpc_retry_delay(const uint8_t *base64, size_t bytes, uint64_t *delay_ns) {
    bool have = false;
    uint8_t *owned = malloc(bytes / 4 * 3 + 3);
    if (!owned)
        return false;
    struct reader in = {owned, owned + base64_decode(base64, bytes, owned)};
    struct field field;
    while (!have && read_field(&in, &field) == FOUND_FIELD) {
        if (field.number == 3)
            have = read_retry_info(field.bytes, delay_ns);
    }
    free(owned);
    return have;
}

static bool read_partial(struct reader in, struct grpc_result *result) {
    struct field field;
    enum found found;
    while ((found = read_field(&in, &field)) == FOUND_FIELD) {
        if (field.number == 1)
            result->rejected = (int64_t)field.value < 0 ? 0 : field.value;
        else if (field.number == 2)
            grpc_text_copy(result->message, sizeof result->message, field.bytes.at,
                           (size_t)(field.bytes.end - field.bytes.at), false);
    }
    return found == FOUND_END;
}

enum status grpc_partial_success(const uint8_t *message, size_t bytes, struct grpc_result *result) {
    struct reader in = {message, message + bytes};
    struct field field;
    enum found found;
    while ((found = read_field(&in, &field)) == FOUND_FIELD) {
        if (field.number != 1)
            continue;
        if (!field.bytes.at || !read_partial(field.bytes, result))
            return STATUS_BAD_INPUT;
        result->partial = true;
    }
    return found == FOUND_END ? STATUS_OK : STATUS_BAD_INPUT;
}
