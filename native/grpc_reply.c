// SPDX-License-Identifier: Apache-2.0
// grpc_reply: the answer to one unary call. See the header.
#include "grpc_reply.h"

#include "grpc_answer.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX_BYTES 5 // gRPC's frame: one byte "compressed", four bytes length

void grpc_reply_init(struct grpc_reply *reply) {
    memset(reply, 0, sizeof *reply);
    reply->grpc_status = -1;
}

void grpc_reply_free(struct grpc_reply *reply) {
    free(reply->body);
    grpc_reply_init(reply);
}

// The first fault stays.
static bool reject(struct grpc_reply *reply, enum grpc_code code, const char *why) {
    if (!reply->broken) {
        reply->broken = why;
        reply->broken_code = code;
    }
    return false;
}

void grpc_reply_block(struct grpc_reply *reply) {
    reply->grpc_status = -1;
    reply->has_retry_delay = false;
    reply->message[0] = '\0';
}

static bool is_grpc_content(const uint8_t *value, size_t bytes) {
    static const char type[] = "application/grpc";
    const size_t type_bytes = sizeof type - 1;
    if (bytes < type_bytes || memcmp(value, type, type_bytes) != 0)
        return false;
    return bytes == type_bytes || value[type_bytes] == '+' || value[type_bytes] == ';';
}

static bool is_named(const char *name, const uint8_t *text, size_t bytes) {
    return strlen(name) == bytes && memcmp(name, text, bytes) == 0;
}

// HTTP/2 lets a peer say anything: three digits or nothing.
static unsigned http_status(const uint8_t *text, size_t bytes) {
    unsigned status = 0;
    for (size_t i = 0; i < bytes; i++) {
        if (bytes != 3 || text[i] < '0' || text[i] > '9')
            return 0;
        status = status * 10 + (unsigned)(text[i] - '0');
    }
    return status;
}

bool grpc_reply_header(struct grpc_reply *reply, const uint8_t *name, size_t name_bytes, const uint8_t *value,
                       size_t value_bytes) {
    reply->header_bytes += name_bytes + value_bytes + 32; // as SETTINGS_MAX_HEADER_LIST_SIZE counts
    if (reply->header_bytes > GRPC_MAX_HEADER_BYTES)
        return reject(reply, GRPC_RESOURCE_EXHAUSTED, "the answer's headers are too large");
    if (is_named(":status", name, name_bytes)) {
        reply->http_status = http_status(value, value_bytes);
    } else if (is_named("content-type", name, name_bytes)) {
        reply->foreign_content = !is_grpc_content(value, value_bytes);
    } else if (is_named("grpc-status", name, name_bytes)) {
        reply->grpc_status = (int)grpc_code_of_text(value, value_bytes);
    } else if (is_named("grpc-message", name, name_bytes)) {
        grpc_text_copy(reply->message, sizeof reply->message, value, value_bytes, true);
    } else if (is_named("grpc-status-details-bin", name, name_bytes)) {
        reply->has_retry_delay = grpc_retry_delay(value, value_bytes, &reply->retry_delay_ns);
    }
    return true;
}

static bool make_room(struct grpc_reply *reply, size_t more) {
    size_t wanted = reply->body_bytes + more, capacity = reply->body_capacity ? reply->body_capacity : 256;
    if (wanted <= reply->body_capacity)
        return true;
    while (capacity < wanted)
        capacity *= 2;
    uint8_t *grown = realloc(reply->body, capacity);
    if (!grown)
        return false;
    reply->body = grown;
    reply->body_capacity = capacity;
    return true;
}

bool grpc_reply_data(struct grpc_reply *reply, const uint8_t *bytes, size_t count) {
    if (reply->broken)
        return false;
    if (reply->foreign_content || count == 0) // some proxy's page: only its headers matter
        return true;
    if (count > GRPC_MAX_RESPONSE_BYTES + PREFIX_BYTES - reply->body_bytes)
        return reject(reply, GRPC_RESOURCE_EXHAUSTED, "the response is too large");
    if (!make_room(reply, count))
        return reject(reply, GRPC_UNAVAILABLE, "no memory for the response");
    memcpy(reply->body + reply->body_bytes, bytes, count);
    reply->body_bytes += count;
    return true;
}

static void say(struct grpc_result *out, enum grpc_code code, const char *message) {
    out->code = code;
    snprintf(out->message, sizeof out->message, "%s", message);
}

// An OK needs exactly one whole, uncompressed message, and it must be one.
static void conclude_ok(const struct grpc_reply *reply, struct grpc_result *out) {
    const uint8_t *p = reply->body;
    if (reply->body_bytes < PREFIX_BYTES) {
        say(out, GRPC_INTERNAL, "OK without a response message");
        return;
    }
    uint32_t length = (uint32_t)p[1] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 8 | p[4];
    if (p[0] != 0) {
        say(out, GRPC_INTERNAL, "the response is compressed, which was not asked for");
    } else if (length != reply->body_bytes - PREFIX_BYTES) {
        say(out, GRPC_INTERNAL, "the response is cut, or has more than one message");
    } else if (grpc_partial_success(p + PREFIX_BYTES, length, out) != STATUS_OK) {
        out->partial = false;
        out->rejected = 0;
        say(out, GRPC_INTERNAL, "the response is no protobuf message");
    }
}

void grpc_reply_conclude(const struct grpc_reply *reply, bool trailers, struct grpc_result *out) {
    bool says_status = trailers && reply->grpc_status >= 0;
    memset(out, 0, sizeof *out);
    if (reply->broken) {
        say(out, reply->broken_code, reply->broken);
        return;
    }
    out->answered = true;
    if (reply->foreign_content || (!says_status && reply->http_status != 200)) {
        out->code = grpc_code_of_http(reply->http_status);
        snprintf(out->message, sizeof out->message, "not gRPC: HTTP status %u%s", reply->http_status,
                 reply->foreign_content ? ", wrong content-type" : "");
    } else if (!says_status) {
        say(out, GRPC_UNKNOWN, "the answer has no grpc-status");
    } else {
        say(out, (enum grpc_code)reply->grpc_status, reply->message);
        out->has_retry_delay = reply->has_retry_delay;
        out->retry_delay_ns = reply->retry_delay_ns;
        if (out->code == GRPC_OK)
            conclude_ok(reply, out);
    }
}
