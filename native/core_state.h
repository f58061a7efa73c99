// SPDX-License-Identifier: Apache-2.0
// core_state: what core.c, core_source.c and core_metrics.c share. Private to them.
#ifndef PILLION_CORE_STATE_H
#define PILLION_CORE_STATE_H

#include "core.h"
#include "metrics.h"
#include "otlp.h"
#include "ring.h"
#include "sender.h"
#include <pthread.h>
#include <stdatomic.h>

enum batch_kind { BATCH_SPANS, BATCH_METRICS };

struct core_state {
    bool running;
    bool ring_tried;
    struct core_options options;
    char *ring_directory;  // Owned
    struct span *resource; // Owned
    uint8_t resource_bytes[RING_RESOURCE_LIMIT];
    size_t resource_used;
    char instance[37];
    struct ring *ring;      // Owned, NULL before the first span
    struct sender *sender;  // Owned, NULL without a target
    pthread_mutex_t making; // held while a ring is made, and over a fork: the child must not inherit its descriptor
    // The sender's thread alone:
    uint8_t *body; // Owned, OTLP_BYTES_LIMIT
    struct otlp_scratch *scratch;
    struct ring_cursor cursor; // behind the batch under way
    enum batch_kind batch;
    uint32_t batch_bad;                            // records before the cursor that could not be encoded
    char batch_id[2 * RING_ID_BYTES + 2 * 17 + 1]; // of a batch of spans: which stretch of which ring it is
    _Atomic uint64_t metrics_due_ns;               // monotonic
    _Atomic uint64_t sent_points;
    _Atomic bool metrics_news; // a request or call was counted since the last export began
    bool metrics_under_way;    // an export of several requests: the cursor says what comes next
    struct metrics_cursor metrics_cursor;
    uint64_t quiet_since_ns; // the sender's thread: since when the ring has been empty, 0: it isn't
    _Atomic bool hurried;    // the sender has been told that the ring fills up
};
extern struct core_state core;

// A sender that takes its batches from the ring and the metrics; none (core.sender NULL) where there is no target.
MUST_USE enum status core_sender_make(void);
// The ring, made when it's first needed. NULL: off, or no memory (then every span is counted as dropped).
struct ring *core_ring(void);
// A fork's child becomes a process of its own, with its first span or measurement.
void core_become_child(void);
// core_metrics.c: the next request of metrics, when their time has come; are there some to wait for; the last ones into
// the ring.
bool core_next_metrics(struct sender_batch *out);
bool core_metrics_waiting(void *self);
void core_leave_metrics(void);
// A segment of the ring is full.
void core_ring_full(void *self);

#endif
