// SPDX-License-Identifier: Apache-2.0
// core: one ring and one sender a process. See core.h.
//
// The ring is made on the first span, so a process that records nothing owns nothing; a fork's child forgets its
// parent's ring and sender and gets its own in the same way. Making the ring needs no interpreter: what differs in a
// child (pid, creation time, instance id) is replaced in the kept resource attributes here. Producers are the
// application's threads (with the GIL, where they have one); next/done/tick run on the sender's thread.
#include "clock.h"
#include "core_state.h"
#include "ids.h"
#include "metrics.h"
#include "process.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

uint32_t core_generation;
void (*core_forked)(void);

struct core_state core = {.making = PTHREAD_MUTEX_INITIALIZER};

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

void core_become_child(void) {
    if (core.resource_used != 0)
        return;
    resource_of_child();
    resource_encode();
    if (core.sender == NULL && core_sender_make() != STATUS_OK)
        core.sender = NULL;
}

struct ring *core_ring(void) {
    if (core.ring != NULL || !core.running || core.ring_tried)
        return core.ring;
    core.ring_tried = true;
    core_become_child();
    struct ring_options options = {
        .directory = core.ring_directory,
        .resource = core.resource_bytes,
        .resource_bytes = (uint32_t)core.resource_used,
        .limit_bytes = core.options.ring_limit_bytes,
        .folder_bytes = core.options.folder_limit_bytes,
        .wake = core_ring_full,
    };
    memcpy(options.instance_id, core.options.instance_id, sizeof options.instance_id);
    pthread_mutex_lock(&core.making);
    if (ring_create(&core.ring, &options) != STATUS_OK) {
        options.directory = NULL; // private memory: all but the survival
        if (ring_create(&core.ring, &options) != STATUS_OK)
            core.ring = NULL;
    }
    pthread_mutex_unlock(&core.making);
    return core.ring;
}

static void before_fork(void) {
    if (core.sender != NULL)
        sender_pause(core.sender);
    if (core.running)
        (void)process_boot_s();
    pthread_mutex_lock(&core.making);
}

static void after_fork_in_parent(void) {
    pthread_mutex_unlock(&core.making);
    if (core.sender == NULL)
        return;
    sender_resume(core.sender);
    bool waits = core.metrics_news || (core.ring != NULL && ring_pending(core.ring));
    if (core_forked != NULL && (waits || sender_interrupted(core.sender)))
        core_forked();
    else
        core.metrics_news = false; // the thread is gone: the next measurement starts it
}

void core_go_on(void) {
    if (core.sender != NULL)
        sender_wake(core.sender);
}

static void after_fork_in_child(void) {
    core_generation++;
    pthread_mutex_init(&core.making, NULL);
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
    core.metrics_under_way = false;
    core.metrics_news = false;
    core.sent_points = 0;
    core.quiet_since_ns = 0;
    core.batch_bad = 0;
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
    enum status status = core_sender_make();
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

void core_flight_begin(struct span *span, struct span_text name) {
    struct ring *ring = span->recording && core.options.spans_exported ? core_ring() : NULL;
    if (ring != NULL)
        span->flight = ring_flight_begin(ring, &span->head, name.text, name.id != 0 ? 0 : name.bytes, NULL, 0);
}

void core_flight_name(const struct span *span, struct span_text name) {
    if (span->recording)
        ring_flight_name(core.ring, span->flight, name.id, name.text, name.bytes);
}

void core_flight_detail(const struct span *span, const char *detail, size_t bytes) {
    if (span->recording)
        ring_flight_detail(core.ring, span->flight, detail, bytes);
}

bool core_flush(uint64_t timeout_ns) {
    if (core.sender == NULL)
        return core.ring == NULL;
    return sender_flush(core.sender, timeout_ns) == STATUS_OK;
}

// A collector will read what is left in this process's ring.
static bool is_left(void) {
    return core.options.ring_left && (core.ring == NULL || ring_is_shared(core.ring));
}

void core_finish(uint64_t timeout_ns) {
    if (!core.running || is_left() || core.sender == NULL)
        return;
    core.metrics_due_ns = 0; // the last ones go along
    if ((core.ring != NULL && ring_pending(core.ring)) || metrics_points() > 0)
        (void)!core_flush(timeout_ns);
}

void core_stop(void) {
    if (!core.running)
        return;
    bool left = is_left();
    if (core.sender != NULL)
        sender_stop(core.sender);
    if (left)
        core_leave_metrics();
    core.running = false;
    if (left && core.ring != NULL)
        ring_leave(core.ring);
    else
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
