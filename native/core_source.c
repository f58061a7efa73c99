// SPDX-License-Identifier: Apache-2.0
// core_source: what the sender's thread asks for: the next batch of spans or metrics, what became of it, and the ring's
// growth. Each batch of spans carries an id, ring and stretch, by which a collector knows what it has stored already.
#include "clock.h"
#include "core_state.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define QUIET_NS 500000000u // a ring that grew and has been empty for so long gives its memory back

static void name_batch(uint64_t start, uint64_t end) {
    char *at = core.batch_id;
    const uint8_t *id = ring_id(core.ring);
    for (unsigned i = 0; i < RING_ID_BYTES; i++)
        at += snprintf(at, 3, "%02x", id[i]);
    snprintf(at, 2 * 17 + 1, "-%016llx-%016llx", (unsigned long long)start, (unsigned long long)end);
}

// Everything before the cursor is done with.
static void release(void) {
    if (core.batch_bad > 0)
        ring_count(core.ring, RING_DROPPED_BAD, core.batch_bad);
    core.batch_bad = 0;
    ring_release(core.ring, &core.cursor);
}

static bool next_spans(struct sender_batch *out) {
    if (core.ring == NULL)
        return false;
    struct otlp_result result;
    core.cursor = ring_cursor(core.ring);
    uint64_t start = ring_cursor_at(&core.cursor);
    otlp_encode_spans(core.scratch, &core.cursor, core.body, OTLP_BYTES_LIMIT, &result);
    core.batch_bad = result.skipped;
    if (result.bytes == 0) {
        release();
        if (core.quiet_since_ns == 0)
            core.quiet_since_ns = clock_mono_ns();
        return false;
    }
    core.quiet_since_ns = 0;
    name_batch(start, ring_cursor_at(&core.cursor));
    *out = (struct sender_batch){OTLP_TRACES_PATH, core.body, result.bytes, result.spans, core.batch_id};
    core.batch = BATCH_SPANS;
    return true;
}

// The ring grows here, also while the collector is away and next() isn't asked.
static void source_tick(void *self) {
    (void)self;
    core.hurried = false;
    if (core.ring != NULL && core.quiet_since_ns != 0 && clock_mono_ns() - core.quiet_since_ns > QUIET_NS)
        ring_shrink(core.ring);
    if (core.ring != NULL && ring_wants_growth(core.ring) && ring_grow(core.ring) != STATUS_OK)
        errno = 0; // no room on the tmpfs: what doesn't fit is dropped and counted by the ring
}

static bool source_next(void *self, struct sender_batch *out) {
    (void)self;
    if (core.body == NULL) {
        core.body = malloc(OTLP_BYTES_LIMIT);
        core.scratch = malloc(sizeof *core.scratch);
        if (core.body == NULL || core.scratch == NULL) {
            free(core.body);
            free(core.scratch);
            core.body = NULL;
            core.scratch = NULL;
            return false; // asked again at the next interval
        }
    }
    return next_spans(out) || core_next_metrics(out);
}

static void source_done(void *self, const struct sender_batch *batch, enum sender_outcome outcome, uint64_t rejected) {
    (void)self;
    if (outcome == SENDER_REJECTED || rejected > batch->items)
        rejected = batch->items;
    if (core.batch == BATCH_METRICS) {
        core.sent_points += batch->items - rejected;
        return;
    }
    ring_count(core.ring, RING_SENT, batch->items - rejected);
    ring_count(core.ring, RING_REJECTED, rejected);
    release();
}

void core_ring_full(void *self) {
    (void)self;
    if (core.sender != NULL && !atomic_exchange(&core.hurried, true))
        sender_hurry(core.sender);
}

enum status core_sender_make(void) {
    if (core.options.target == NULL)
        return STATUS_OK;
    const struct sender_source source = {
        .self = NULL, .tick = source_tick, .next = source_next, .done = source_done, .stays = core_metrics_waiting};
    const struct sender_options options = {
        .target = core.options.target,
        .headers = (const struct grpc_header *)core.options.headers,
        .header_count = core.options.header_count,
        .version = core.options.version,
        .timeout_ns = core.options.timeout_ns,
        .interval_ns = core.options.interval_ns,
    };
    return sender_open(&core.sender, &options, &source);
}
