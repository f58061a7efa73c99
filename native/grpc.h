// SPDX-License-Identifier: Apache-2.0
// grpc: the client's side of one HTTP/2 connection, one unary call at a time. Bytes in, bytes out: no socket, no clock.
//
// The owner carries bytes: grpc_take gives what is to be written, grpc_feed gets what was read, in pieces of any size.
// nghttp2 does framing, header compression, flow control, PING and SETTINGS. Whatever the peer sends is bounded:
// headers by GRPC_MAX_HEADER_BYTES, a response by GRPC_MAX_RESPONSE_BYTES. One thread at a time; no globals, so a
// fork's child may simply grpc_close its copy (that writes nothing).
#ifndef PILLION_GRPC_H
#define PILLION_GRPC_H

#include "status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GRPC_MAX_HEADER_BYTES 16384u
#define GRPC_MAX_RESPONSE_BYTES (4u << 20)

enum grpc_code {
    GRPC_OK = 0,
    GRPC_CANCELLED = 1,
    GRPC_UNKNOWN = 2,
    GRPC_INVALID_ARGUMENT = 3,
    GRPC_DEADLINE_EXCEEDED = 4,
    GRPC_NOT_FOUND = 5,
    GRPC_ALREADY_EXISTS = 6,
    GRPC_PERMISSION_DENIED = 7,
    GRPC_RESOURCE_EXHAUSTED = 8,
    GRPC_FAILED_PRECONDITION = 9,
    GRPC_ABORTED = 10,
    GRPC_OUT_OF_RANGE = 11,
    GRPC_UNIMPLEMENTED = 12,
    GRPC_INTERNAL = 13,
    GRPC_UNAVAILABLE = 14,
    GRPC_DATA_LOSS = 15,
    GRPC_UNAUTHENTICATED = 16,
};

struct grpc;

struct grpc_header {
    const char *name; // Borrowed, 0-terminated
    const char *value;
};

struct grpc_options {
    const char *authority;             // Borrowed until grpc_close
    const char *user_agent;            // Borrowed until grpc_close
    const struct grpc_header *headers; // Borrowed until grpc_close; each must pass grpc_header_valid
    size_t header_count;
};

struct grpc_request {
    const char *path;    // Borrowed until the call has ended
    const uint8_t *body; // Borrowed until the call has ended; the message, without gRPC's 5 bytes
    size_t bytes;
    uint64_t timeout_ns;       // told to the server in grpc-timeout; 0: not told. The caller watches the clock
    struct grpc_header header; // one more, of this call alone; name NULL: none. It must pass grpc_header_valid
};

struct grpc_result {
    enum grpc_code code;
    bool answered;           // the peer said so; false: the connection, the stream or the answer broke
    bool has_retry_delay;    // RetryInfo was in grpc-status-details-bin
    uint64_t retry_delay_ns; // its delay, at most GRPC_MAX_RETRY_DELAY_NS
    bool partial;            // partial_success was in the response
    uint64_t rejected;       // its count
    char message[160];       // of the status, or of partial_success; printable, cut, 0-terminated
};
#define GRPC_MAX_RETRY_DELAY_NS (300ull * 1000000000ull)

enum grpc_state { GRPC_IDLE, GRPC_CALLING, GRPC_DONE };

// May this go out as a request header? No pseudo, reserved, connection-specific or grpc- name, no control characters.
MUST_USE bool grpc_header_valid(const struct grpc_header *header);

// STATUS_NO_MEMORY, or STATUS_BAD_INPUT for a header that is not valid. The connection's preface is queued at once.
MUST_USE enum status grpc_open(struct grpc **out, const struct grpc_options *options);
void grpc_close(struct grpc *grpc); // NULL is fine

// Begins a call. STATUS_BUSY: one is under way, or this connection takes no more (grpc_usable).
MUST_USE enum status grpc_call(struct grpc *grpc, const struct grpc_request *request);

// Bytes that the peer sent. STATUS_BAD_INPUT: the connection is beyond use (a call under way has then ended).
MUST_USE enum status grpc_feed(struct grpc *grpc, const uint8_t *bytes, size_t count);
// The peer closed, or reading failed: ends a call under way.
void grpc_hang_up(struct grpc *grpc, const char *why);
// Bytes to write next; valid until the next grpc_take. 0: nothing now. Each byte is given once.
size_t grpc_take(struct grpc *grpc, const uint8_t **out);

// GRPC_DONE: *out (may be NULL) is filled and stays so until the next grpc_call.
enum grpc_state grpc_state(struct grpc *grpc, struct grpc_result *out);
// The deadline passed, or the caller lost interest: the call is as good as gone, the result is DEADLINE_EXCEEDED.
void grpc_expire(struct grpc *grpc);
// Can another call begin here? False after GOAWAY, an error, or when the stream ids are used up.
bool grpc_usable(const struct grpc *grpc);

#endif
