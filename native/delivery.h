// SPDX-License-Identifier: Apache-2.0
// delivery: carries one batch after another to the target: connection, call, answer, repetition. Owns no thread.
//
// The sender's thread calls delivery_step again and again; each step does a bounded piece of work, never blocks, and
// says what to wait for. Between two steps all state is plain memory and one socket, so the thread may vanish and
// another one may go on, in the middle of a call too. The clock is an argument.
#ifndef PILLION_DELIVERY_H
#define PILLION_DELIVERY_H

#include "grpc.h"
#include "net.h"
#include "retry.h"
#include "sender.h"

enum delivery_need {
    DELIVERY_NOTHING, // the source has nothing
    DELIVERY_MORE,    // step again at once
    DELIVERY_SOCKET,  // wait for the socket's events, until the deadline
    DELIVERY_TIME,    // the next attempt comes at until_ns
    DELIVERY_ADDRESS, // look the target's name up, then delivery_addresses
};

struct delivery_wait {
    enum delivery_need need;
    short events;      // of poll, for delivery.fd (whatever the need is)
    uint64_t until_ns; // DELIVERY_SOCKET and DELIVERY_TIME
};

enum delivery_link { LINK_DOWN, LINK_CONNECTING, LINK_UP };

struct delivery {
    struct net_target target;
    char *user_agent;            // Owned
    struct grpc_header *headers; // Owned, and their texts
    size_t header_count;
    struct sender_source source;
    struct retry_policy policy;
    uint64_t timeout_ns; // of one attempt

    enum delivery_link link;
    struct net_fd fd;
    struct grpc *grpc;  // Owned while link is LINK_UP
    const uint8_t *out; // Borrowed from grpc: taken, but not yet written
    size_t out_bytes;
    struct net_addresses found; // by the last lookup
    uint64_t found_until_ns;    // then it is asked again
    unsigned address;           // of the attempt: which one is tried
    uint64_t address_until_ns;  // then the next one is

    bool has_batch;
    struct sender_batch batch;
    bool in_attempt;           // deadline_ns counts
    uint64_t deadline_ns;      // of the attempt
    bool late;                 // the deadline had passed at the last step already
    uint64_t retry_at_ns;      // no attempt before
    bool asked_to_wait;        // retry_at_ns is the peer's wish
    unsigned failures;         // attempts of this batch that failed
    uint64_t failing_since_ns; // 0: the last attempt was fine
    bool connect_failed;       // the last failure: no connection
    uint64_t random;           // state of the generator for jitter

    struct sender_stats stats; // running is the sender's
};

// Copies the options; see sender_open for the status. After any of them delivery_close is fine.
MUST_USE enum status delivery_open(struct delivery *delivery, const struct sender_options *options,
                                   const struct sender_source *source, uint64_t seed);
void delivery_close(struct delivery *delivery); // disconnects and frees

// `now_ns`: CLOCK_MONOTONIC.
void delivery_step(struct delivery *delivery, uint64_t now_ns, struct delivery_wait *out);

// The answer to DELIVERY_ADDRESS.
void delivery_addresses(struct delivery *delivery, enum status status, const struct net_addresses *found,
                        uint64_t now_ns);

// Asks the source, if nothing is under way: is there work?
bool delivery_look(struct delivery *delivery);

// The next attempt may begin now, unless the peer itself asked for time.
void delivery_hurry(struct delivery *delivery);

// Closes the connection. A call under way counts as never made.
void delivery_disconnect(struct delivery *delivery);

#endif
