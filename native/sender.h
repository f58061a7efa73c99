// SPDX-License-Identifier: Apache-2.0
// sender: the one native thread. Takes batches from a source and delivers each, in order, to one OTLP/gRPC target.
//
// The thread exists only while there is something to send: the first sender_wake starts it, about a second without work
// ends it and closes its socket; with no collector it ends too, after some patience, and a later wake tries again. It
// blocks all signals and never takes the GIL. A batch is offered again and again until the target answers; what is not
// answered at sender_stop stays with the source. Fork: sender_pause before, then sender_resume in the parent,
// sender_child_after_fork in the child; a call that was under way goes on when the thread comes back.
#ifndef PILLION_SENDER_H
#define PILLION_SENDER_H

#include "grpc.h"
#include "status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sender;

enum sender_outcome {
    SENDER_SENT,     // the target has it; `rejected` of its items it refused (partial_success)
    SENDER_REJECTED, // the target refused all of it for good: dropped, `rejected` = items
};

#define SENDER_BATCH_HEADER "pillion-batch"

// One request. All of it is the source's and stays valid until done(), also while the sender is paused.
struct sender_batch {
    const char *path;    // Borrowed: "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
    const uint8_t *body; // Borrowed: the encoded request
    size_t bytes;        // of body
    uint64_t items;      // spans, points or records in it, for counting
    const char *id;      // Borrowed; tells this batch from all others, sent as SENDER_BATCH_HEADER; NULL: it has none
};

// Called on the sender's thread only, one call at a time (threads follow one another). Must not block.
struct sender_source {
    void *self; // Borrowed
    // Whenever the thread wakes, also while a batch waits for its answer or its next attempt. May be NULL.
    void (*tick)(void *self);
    // False: nothing to send now.
    bool (*next)(void *self, struct sender_batch *out);
    void (*done)(void *self, const struct sender_batch *batch, enum sender_outcome outcome, uint64_t rejected);
    // True: something will have to be sent later, so an idle thread stays for it. May be NULL.
    bool (*stays)(void *self);
};

// A field of 0 means the default. Everything is copied.
struct sender_options {
    const char *target;                // "unix:/path", "unix:///path", "host:port", "[v6]:port", "http://host[:port]"
    const struct grpc_header *headers; // OTEL_EXPORTER_OTLP_HEADERS
    size_t header_count;
    const char *version;     // for the user agent: "pillion/VERSION (python)"
    uint64_t timeout_ns;     // of one attempt, connecting included; 10 s
    uint64_t interval_ns;    // how often the source is asked while the thread is idle; 200 ms
    uint64_t idle_ns;        // without work for so long: the thread ends; 1 s
    uint64_t backoff_min_ns; // before the second attempt; 100 ms, then doubling
    uint64_t backoff_max_ns; // 5 s
    uint64_t patience_ns;    // failing for so long: the thread ends between attempts, and a wake begins each; 10 s
};

struct sender_stats {
    uint64_t sent_batches;
    uint64_t sent_items;     // without the rejected ones
    uint64_t sent_bytes;     // request bodies that were accepted
    uint64_t rejected_items; // refused for good, whole batches and partial_success together
    uint64_t partial;        // answers with partial_success
    uint64_t attempts;       // calls begun
    uint64_t retries;        // attempts that failed and will be repeated
    uint64_t connects;       // connections that stood
    uint64_t refused;        // connections that did not come to stand
    uint64_t threads;        // how often the thread was started
    bool running;            // the thread exists now
    bool connected;          // as of the last step
    bool in_call;            // an attempt is under way
    int last_code;           // gRPC code of the last answer or failure
    char last_message[160];  // its text; "" when the last one was fine
};

// Makes a sender without thread or descriptor. STATUS_UNSUPPORTED: https. STATUS_BAD_INPUT: target or a header makes no
// sense. STATUS_TOO_LARGE: the socket's path does not fit. STATUS_NO_MEMORY.
MUST_USE enum status sender_open(struct sender **out, const struct sender_options *options,
                                 const struct sender_source *source);

// "There is something to send." Any thread; one atomic load while the thread exists, else starts it (not while paused,
// stopped, or before the time of the next attempt). The data must be visible to next() before this is called.
void sender_wake(struct sender *sender);

// The same, and the thread looks at once instead of at its next interval: for a ring that fills up. While the target
// rests, the thread comes for a moment all the same, once an interval at most, so that the source's tick can make room.
void sender_hurry(struct sender *sender);

// Before a fork: the thread is gone when this returns (a few ms, also in the middle of a call; only a name lookup that
// hangs is left behind after 100 ms). No thread starts until as many sender_resume calls; pauses nest.
void sender_pause(struct sender *sender);
// After the fork, in the parent. Starts nothing: the next sender_wake or sender_flush does.
void sender_resume(struct sender *sender);
bool sender_interrupted(struct sender *sender); // a call was under way when the thread left, and nobody goes on with it
// In the child: closes the inherited descriptor, frees everything. `sender` must not be used again. Takes no lock.
void sender_child_after_fork(struct sender *sender);

// Waits until everything that next() had is answered. STATUS_OK; STATUS_IO: the target refuses connections or wants to
// be asked later than the deadline (returned at once); STATUS_BUSY: timeout_ns passed; STATUS_NO_MEMORY: no thread.
MUST_USE enum status sender_flush(struct sender *sender, uint64_t timeout_ns);

// Ends the thread for good and closes the socket. Later calls do nothing. The memory stays until sender_free.
void sender_stop(struct sender *sender);
// Stops and frees; no other thread may be inside a call. NULL is fine.
void sender_free(struct sender *sender);

void sender_stats(struct sender *sender, struct sender_stats *out);

#endif
