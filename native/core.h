// SPDX-License-Identifier: Apache-2.0
// core: the composition. One process has one ring and one sender; this is where a span that ended meets both.
//
// Called on the application's threads (the sender's thread only calls what core.c gives it). Nothing here waits, but
// for core_flush and core_stop with the time they are given and the fork handler, which joins the sender's thread.
#ifndef PILLION_CORE_H
#define PILLION_CORE_H

#include "span.h"
#include "status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct core_header {
    const char *name;
    const char *value;
};

// Strings are copied at start.
struct core_options {
    const char *ring_directory;        // NULL: private memory, nothing survives the process
    bool ring_left;                    // the target adopts rings of this directory: at the end it's left there, unsent
    const char *target;                // "unix:/path" or "host:port"; NULL: record and count, send nothing
    const struct core_header *headers; // sent with each call
    size_t header_count;
    uint64_t interval_ns;         // how long a span waits at most before it is sent
    uint64_t timeout_ns;          // of one export
    uint64_t metrics_interval_ns; // 0: no metrics
    uint64_t ring_limit_bytes;
    uint64_t folder_limit_bytes; // that ended processes may leave in the directory
    bool spans_exported;         // false: OTEL_TRACES_EXPORTER=none
    struct span *resource;       // attributes of the OTLP Resource. Moved from: owned by core afterwards
    uint8_t instance_id[16];     // what service.instance.id spells
    bool instance_is_ours;       // then a fork's child gets an id of its own, in its ring and its resource
    const char *version;         // of pillion
};

struct core_stats {
    uint64_t recorded;
    uint64_t sent;
    uint64_t rejected;
    uint64_t dropped_full;
    uint64_t dropped_too_large;
    uint64_t dropped_no_ring;
    uint64_t dropped_bad;
    uint64_t sent_points;
    bool shared;          // the ring is a file that the collector can read
    char ring_path[256];  // "" : none
    char last_error[160]; // of the sender, "" when the last call was fine
    char instance[37];    // service.instance.id of this process
};

enum status core_start(const struct core_options *options) MUST_USE;
bool core_running(void);
// Before core_stop, and the only part of the end that may wait: sends what is left, unless the ring is left behind.
void core_finish(uint64_t timeout_ns);
// Stops the thread (some ms at most) and leaves the ring for the collector, or removes it when it was sent whole. No
// other thread may be inside a call.
void core_stop(void);
// True: everything recorded before the call has been answered by the collector.
bool core_flush(uint64_t timeout_ns);
void core_stats(struct core_stats *out);

// Counts the forks that led to this process: a span of another generation belongs to a parent, and isn't recorded here.
extern uint32_t core_generation;
// NULL, or called in the parent of a fork, within it, when something waits to be sent: core_go_on sends it.
extern void (*core_forked)(void);
void core_go_on(void);

bool core_measures(void); // metrics are on
// The interpreter's metrics have changed: wakes the sender when their interval is over. Cheap.
void core_metrics_tick(uint64_t now_mono_ns);
// A request or call was counted: the sender will tell of it in time, whatever comes. Cheap.
void core_measured(uint64_t now_mono_ns);

uint32_t core_intern(const char *text, size_t bytes); // 0: the table is full
void core_span_end(struct span *span, uint64_t end_ns);
// Lists the span among the requests in flight, for whoever asks what a dead process was doing.
void core_flight_begin(struct span *span, struct span_text name);
// Of a listed span, else without effect: its new name, and a text for people.
void core_flight_name(const struct span *span, struct span_text name);
void core_flight_detail(const struct span *span, const char *detail, size_t bytes);

#endif
