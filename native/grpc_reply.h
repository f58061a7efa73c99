// SPDX-License-Identifier: Apache-2.0
// grpc_reply: collects the answer to one unary call, header by header and piece by piece, and says what it means.
//
// Knows gRPC, not HTTP/2's frames. Bounded: GRPC_MAX_HEADER_BYTES of headers, GRPC_MAX_RESPONSE_BYTES of message, whose
// memory grows with what came, not with what was announced, and is freed by grpc_reply_free.
#ifndef PILLION_GRPC_REPLY_H
#define PILLION_GRPC_REPLY_H

#include "grpc.h"

struct grpc_reply {
    size_t header_bytes;     // received, all blocks together
    unsigned http_status;    // 0: not yet
    int grpc_status;         // of the latest header block; -1: none
    bool foreign_content;    // content-type is something else than gRPC
    bool has_retry_delay;    // see struct grpc_result
    uint64_t retry_delay_ns; // see struct grpc_result
    uint8_t *body;           // Owned: gRPC's 5 bytes and the message, as far as received
    size_t body_bytes;
    size_t body_capacity;
    const char *broken;         // static text: why the answer is not worth reading on; NULL: it is
    enum grpc_code broken_code; // goes with it
    char message[sizeof((struct grpc_result *)0)->message];
};

void grpc_reply_init(struct grpc_reply *reply);
void grpc_reply_free(struct grpc_reply *reply); // and as after init

// A block of headers begins: only the last one's status counts.
void grpc_reply_block(struct grpc_reply *reply);
// One header; one part of the body. False: the limit is reached, the stream should be reset.
MUST_USE bool grpc_reply_header(struct grpc_reply *reply, const uint8_t *name, size_t name_bytes, const uint8_t *value,
                                size_t value_bytes);
MUST_USE bool grpc_reply_data(struct grpc_reply *reply, const uint8_t *bytes, size_t count);

// The peer ended its side, with a block of headers or (trailers: false) with data.
void grpc_reply_conclude(const struct grpc_reply *reply, bool trailers, struct grpc_result *out);

#endif
