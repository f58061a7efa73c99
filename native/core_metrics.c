// SPDX-License-Identifier: Apache-2.0
// core_metrics: when metrics are exported, by whom, and what is left of them at the end of the process.
//
// The sender's thread exports them once an interval; while a request or call was counted that no export told of, it
// stays until then, so that what was counted last arrives although the application does nothing more. What comes from
// the interpreter alone (collections, threads) waits for company: an idle process isn't kept awake by it.
#include "clock.h"
#include "core_state.h"
#include <stdlib.h>
#include <string.h>

bool core_measures(void) {
    return core.running && core.options.metrics_interval_ns > 0;
}

void core_metrics_tick(uint64_t now_mono_ns) {
    if (!core_measures() || now_mono_ns < core.metrics_due_ns)
        return;
    core_become_child();
    if (core.sender != NULL)
        sender_wake(core.sender);
}

void core_measured(uint64_t now_mono_ns) {
    if (atomic_load_explicit(&core.metrics_news, memory_order_relaxed) &&
        now_mono_ns < atomic_load_explicit(&core.metrics_due_ns, memory_order_relaxed))
        return;
    core.metrics_news = true;
    core_become_child();
    if (core.sender != NULL)
        sender_wake(core.sender);
}

bool core_metrics_waiting(void *self) {
    (void)self;
    return core_measures() && core.metrics_news;
}

bool core_next_metrics(struct sender_batch *out) {
    uint64_t now = clock_mono_ns();
    if (!core.metrics_under_way) {
        if (!core_measures() || now < core.metrics_due_ns)
            return false;
        core.metrics_news = false; // what is counted from here on may be in the export or not
        if (metrics_points() == 0)
            return false;
        core.metrics_due_ns = now + core.options.metrics_interval_ns;
        core.metrics_cursor = (struct metrics_cursor){0};
    }
    size_t bytes = 0, points = 0;
    enum status status = metrics_encode(core.resource_bytes, (uint32_t)core.resource_used, clock_real_ns(),
                                        &core.metrics_cursor, core.body, OTLP_BYTES_LIMIT, &bytes, &points);
    core.metrics_under_way = status == STATUS_OK && bytes != 0;
    if (!core.metrics_under_way)
        return false;
    *out = (struct sender_batch){OTLP_METRICS_PATH, core.body, bytes, points, NULL};
    core.batch = BATCH_METRICS;
    return true;
}

// Of a process that had nothing to tell so far, the interpreter's metrics are no news.
void core_leave_metrics(void) {
    struct metrics_cursor cursor = {0};
    uint8_t *room, *body = NULL;
    size_t bytes = 0, points = 0;
    if (core.options.metrics_interval_ns == 0 || (core.ring == NULL && core.sent_points == 0 && red_points() == 0))
        return;
    if (core_ring() == NULL || (body = malloc(RING_RECORD_LIMIT)) == NULL)
        return;
    while (metrics_encode(core.resource_bytes, (uint32_t)core.resource_used, clock_real_ns(), &cursor, body,
                          RING_RECORD_LIMIT, &bytes, &points) == STATUS_OK &&
           bytes > 0 && ring_reserve(core.ring, RING_METRICS, (uint32_t)bytes, &room) == STATUS_OK) {
        memcpy(room, body, bytes);
        ring_commit(room);
    }
    free(body);
}
