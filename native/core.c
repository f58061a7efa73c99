// SPDX-License-Identifier: Apache-2.0
// core: one ring and one sender a process. See core.h.
//
// The ring is made on the first span, so a process that records nothing owns nothing; a fork's child forgets its
// parent's ring and sender and gets its own in the same way. Making the ring needs no interpreter: what differs in a
// child (pid, creation time, instance id) is replaced in the kept resource attributes here. Producers are the
// application's threads (with the GIL, where they have one); next/done/tick run on the sender's thread.
#include "core.h"
#include "clock.h"
#include "ids.h"
#include "metrics.h"
#include "otlp.h"
#include "process.h"
#include "ring.h"
#include "sender.h"
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define QUIET_NS 500000000u // a ring that grew and has been empty for so long gives its memory back

uint32_t core_generation;

enum batch_kind { BATCH_SPANS, BATCH_METRICS };

static struct {
    bool running;
    bool ring_tried;
    struct core_options options;
    char *ring_directory;  // Owned
    struct span *resource; // Owned
    uint8_t resource_bytes[RING_RESOURCE_LIMIT];
    size_t resource_used;
    char instance[37];
    struct ring *ring;     // Owned, NULL before the first span
    struct sender *sender; // Owned, NULL without a target
    // The sender's thread alone:
    uint8_t *body; // Owned, OTLP_BYTES_LIMIT
    struct otlp_scratch *scratch;
    struct ring_cursor cursor;
    enum batch_kind batch;
    _Atomic uint64_t metrics_due_ns; // monotonic
    _Atomic uint64_t sent_points;
    uint64_t quiet_since_ns; // the sender's thread: since when the ring has been empty, 0: it isn't
    _Atomic bool hurried;    // the sender has been told that the ring fills up
} core;

static void set_text(struct span *span, const char *key, const char *text) {
    struct span_value value = {.type = SPAN_STRING, .bytes = (uint32_t)strlen(text), .text = text};
    span_set(span, (struct span_text){0, (uint32_t)strlen(key), key}, &value);
}

static void set_int(struct span *span, const char *key, int64_t integer) {
    struct span_value value = {.type = SPAN_INT, .integer = integer};
    span_set(span, (struct span_text){0, (uint32_t)strlen(key), key}, &value);
}

static void instance_text(const uint8_t id[16], char out[37]) {
    snprintf(out, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", id[0], id[1], id[2],
             id[3], id[4], id[5], id[6], id[7], id[8], id[9], id[10], id[11], id[12], id[13], id[14], id[15]);
}

// The child's own identity in place of its parent's.
static void resource_of_child(void) {
    char created[40];
    set_int(core.resource, "process.pid", getpid());
    set_int(core.resource, "process.parent_pid", getppid());
    if (process_creation_time(created, sizeof created))
        set_text(core.resource, "process.creation.time", created);
    if (core.options.instance_is_ours) {
        uint8_t *id = core.options.instance_id;
        ids_bytes(id, 16);
        id[6] = (uint8_t)((id[6] & 0x0f) | 0x40); // UUID version 4
        id[8] = (uint8_t)((id[8] & 0x3f) | 0x80); // RFC 9562's variant
        instance_text(id, core.instance);
        set_text(core.resource, "service.instance.id", core.instance);
    }
}

static void resource_encode(void) {
    if (otlp_encode_resource(core.resource, core.resource_bytes, sizeof core.resource_bytes, &core.resource_used) !=
        STATUS_OK)
        core.resource_used = 0;
}

// --- the sender's side

static bool next_spans(struct sender_batch *out) {
    if (core.ring == NULL)
        return false;
    struct otlp_result result;
    core.cursor = ring_cursor(core.ring);
    otlp_encode_spans(core.scratch, &core.cursor, core.body, OTLP_BYTES_LIMIT, &result);
    if (result.skipped > 0)
        ring_count(core.ring, RING_DROPPED_BAD, result.skipped);
    if (result.bytes == 0) {
        ring_release(core.ring, &core.cursor);
        if (core.quiet_since_ns == 0)
            core.quiet_since_ns = clock_mono_ns();
        return false;
    }
    core.quiet_since_ns = 0;
    *out = (struct sender_batch){OTLP_TRACES_PATH, core.body, result.bytes, result.spans};
    core.batch = BATCH_SPANS;
    return true;
}

static bool next_metrics(struct sender_batch *out) {
    uint64_t now = clock_mono_ns();
    if (core.options.metrics_interval_ns == 0 || now < core.metrics_due_ns || metrics_points() == 0)
        return false;
    core.metrics_due_ns = now + core.options.metrics_interval_ns;
    size_t bytes = 0, points = metrics_points();
    if (metrics_encode(core.resource_bytes, (uint32_t)core.resource_used, clock_real_ns(), core.body, OTLP_BYTES_LIMIT,
                       &bytes) != STATUS_OK ||
        bytes == 0)
        return false;
    *out = (struct sender_batch){OTLP_METRICS_PATH, core.body, bytes, points};
    core.batch = BATCH_METRICS;
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
    return next_spans(out) || next_metrics(out);
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
    ring_release(core.ring, &core.cursor);
}

// --- the application's side

static void ring_full(void *self) {
    (void)self;
    if (core.sender != NULL && !atomic_exchange(&core.hurried, true))
        sender_hurry(core.sender);
}

static enum status sender_make(void) {
    if (core.options.target == NULL)
        return STATUS_OK;
    const struct sender_source source = {.self = NULL, .tick = source_tick, .next = source_next, .done = source_done};
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

// The ring, made when it's first needed. NULL: off, or no memory (then every span is counted as dropped).
static struct ring *core_ring(void) {
    if (core.ring != NULL || !core.running || core.ring_tried)
        return core.ring;
    core.ring_tried = true;
    if (core.resource_used == 0) {
        resource_of_child();
        resource_encode();
        if (sender_make() != STATUS_OK)
            core.sender = NULL;
    }
    struct ring_options options = {
        .directory = core.ring_directory,
        .resource = core.resource_bytes,
        .resource_bytes = (uint32_t)core.resource_used,
        .limit_bytes = core.options.ring_limit_bytes,
        .wake = ring_full,
    };
    memcpy(options.instance_id, core.options.instance_id, sizeof options.instance_id);
    if (ring_create(&core.ring, &options) != STATUS_OK) {
        options.directory = NULL; // private memory: all but the survival
        if (ring_create(&core.ring, &options) != STATUS_OK)
            core.ring = NULL;
    }
    return core.ring;
}

static void before_fork(void) {
    if (core.sender != NULL)
        sender_pause(core.sender);
}

static void after_fork_in_parent(void) {
    if (core.sender != NULL)
        sender_resume(core.sender);
}

static void after_fork_in_child(void) {
    core_generation++;
    ids_reseed();
    intern_child_after_fork();
    if (!core.running)
        return;
    if (core.sender != NULL)
        sender_child_after_fork(core.sender);
    core.sender = NULL;
    if (core.ring != NULL)
        ring_forget(core.ring);
    core.ring = NULL;
    core.ring_tried = false;
    core.resource_used = 0; // made anew with the ring
    metrics_reset(clock_real_ns());
    core.metrics_due_ns = clock_mono_ns() + core.options.metrics_interval_ns;
    core.sent_points = 0;
    core.quiet_since_ns = 0;
}

static char *copy_text(const char *text) {
    return text != NULL ? strdup(text) : NULL;
}

static bool copy_options(const struct core_options *options) {
    core.options = *options;
    core.ring_directory = copy_text(options->ring_directory);
    core.options.target = copy_text(options->target);
    core.options.version = copy_text(options->version);
    struct core_header *headers = calloc(options->header_count + 1, sizeof *headers);
    for (size_t i = 0; headers != NULL && i < options->header_count; i++)
        headers[i] = (struct core_header){copy_text(options->headers[i].name), copy_text(options->headers[i].value)};
    core.options.headers = headers;
    return headers != NULL && core.options.version != NULL;
}

enum status core_start(const struct core_options *options) {
    static bool fork_handlers;
    if (core.running)
        return STATUS_BUSY;
    _Static_assert(sizeof(struct core_header) == sizeof(struct grpc_header), "the same two pointers");
    if (!copy_options(options))
        return STATUS_NO_MEMORY;
    core.resource = options->resource;
    instance_text(core.options.instance_id, core.instance);
    resource_encode();
    if (core.resource_used == 0)
        return STATUS_TOO_LARGE;
    enum status status = sender_make();
    if (status != STATUS_OK)
        return status;
    if (!fork_handlers && pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) != 0)
        return STATUS_NO_MEMORY;
    fork_handlers = true;
    metrics_reset(clock_real_ns());
    core.metrics_due_ns = clock_mono_ns() + core.options.metrics_interval_ns;
    core.running = true;
    return STATUS_OK;
}

bool core_running(void) {
    return core.running;
}

uint32_t core_intern(const char *text, size_t bytes) {
    return ring_intern(core.ring, text, bytes);
}

void core_span_end(struct span *span, uint64_t end_ns) {
    if (!core.running) {
        span_discard(span);
        return;
    }
    if (!span->recording || !core.options.spans_exported) {
        span_discard(span);
        return;
    }
    span_end(span, core_ring(), end_ns);
    if (core.sender != NULL)
        sender_wake(core.sender);
}

void core_flight_begin(struct span *span, const char *detail, size_t bytes) {
    struct ring *ring = span->recording && core.options.spans_exported ? core_ring() : NULL;
    if (ring != NULL)
        span->flight = ring_flight_begin(ring, &span->head, NULL, 0, detail, bytes);
}

void core_metrics_tick(void) {
    if (core.running && core.sender != NULL && core.options.metrics_interval_ns > 0 &&
        clock_mono_ns() >= core.metrics_due_ns)
        sender_wake(core.sender);
}

bool core_flush(uint64_t timeout_ns) {
    if (core.sender == NULL)
        return core.ring == NULL;
    return sender_flush(core.sender, timeout_ns) == STATUS_OK;
}

void core_stop(uint64_t timeout_ns) {
    if (!core.running)
        return;
    core.metrics_due_ns = 0; // the last ones go along
    bool something = core.ring != NULL && ring_pending(core.ring);
    if (core.sender != NULL && (something || metrics_points() > 0))
        (void)!core_flush(timeout_ns);
    core.running = false;
    if (core.sender != NULL)
        sender_stop(core.sender);
    if (core.ring != NULL)
        ring_destroy(core.ring); // its file stays for the collector when something is left in it
    core.ring = NULL;
}

void core_stats(struct core_stats *out) {
    memset(out, 0, sizeof *out);
    snprintf(out->instance, sizeof out->instance, "%s", core.instance);
    out->sent_points = core.sent_points;
    if (core.ring != NULL) {
        out->recorded = ring_counter(core.ring, RING_RECORDED);
        out->sent = ring_counter(core.ring, RING_SENT);
        out->rejected = ring_counter(core.ring, RING_REJECTED);
        out->dropped_full = ring_counter(core.ring, RING_DROPPED_FULL);
        out->dropped_too_large = ring_counter(core.ring, RING_DROPPED_TOO_LARGE);
        out->dropped_no_ring = ring_counter(core.ring, RING_DROPPED_NO_RING);
        out->dropped_bad = ring_counter(core.ring, RING_DROPPED_BAD);
        out->shared = ring_is_shared(core.ring);
        snprintf(out->ring_path, sizeof out->ring_path, "%s", ring_path(core.ring));
    }
    if (core.sender != NULL) {
        struct sender_stats sender;
        sender_stats(core.sender, &sender);
        snprintf(out->last_error, sizeof out->last_error, "%s", sender.last_message);
    }
}
