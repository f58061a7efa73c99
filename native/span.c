// SPDX-License-Identifier: Apache-2.0
// span: see span.h. Two clock reads a span: one at the start, which also gives the wall clock, and a monotonic one at
// the end. The thread that has the span calls; limits and sampler are set before the first span and only read after.
#include "clock.h"
#include "ids.h"
#include "span_items.h"
#include <stdlib.h>
#include <string.h>

struct span_limits span_limits = {128, 128, 128, 128, 128, UINT32_MAX, UINT32_MAX};

static enum span_sampler sampler = SAMPLER_PARENT_ON;
static uint64_t ratio_bound; // a trace is taken if the last 8 bytes of its id are below (all of them: ratio_all)
static bool ratio_all = true;

void span_set_sampler(enum span_sampler wanted, double ratio) {
    double bound = ratio * 18446744073709551616.0; // 2^64, as opentelemetry-sdk's TraceIdRatioBased counts
    sampler = wanted;
    ratio_all = bound >= 18446744073709551616.0;
    ratio_bound = ratio_all || !(bound > 0) ? 0 : (uint64_t)bound;
    double rest = bound - (double)ratio_bound; // of doubles this large only small ones have one
    if (!ratio_all && (rest > 0.5 || (rest == 0.5 && ratio_bound % 2 == 1)))
        ratio_bound++;
}

static bool ratio_takes(const uint8_t trace_id[16]) {
    uint64_t low;
    memcpy(&low, trace_id + 8, 8);
    return ratio_all || __builtin_bswap64(low) < ratio_bound;
}

static bool decide(const struct span_context *parent, const uint8_t trace_id[16]) {
    switch (sampler) {
    case SAMPLER_ON:
        return true;
    case SAMPLER_OFF:
        return false;
    case SAMPLER_RATIO:
        return ratio_takes(trace_id);
    default:
        break;
    }
    if (parent != NULL)
        return (parent->flags & SPAN_FLAG_SAMPLED) != 0;
    return sampler == SAMPLER_PARENT_ON || (sampler == SAMPLER_PARENT_RATIO && ratio_takes(trace_id));
}

static bool is_valid(const struct span_context *context) {
    static const uint8_t zero[16];
    return memcmp(context->trace_id, zero, 16) != 0 && memcmp(context->span_id, zero, 8) != 0;
}

// Ids and flags; sets `recording`. `now_s` is the second a new trace id begins with, 0: read the coarse clock.
static void identify(struct span *span, const struct span_context *parent, uint32_t now_s) {
    struct span_record *head = &span->head;
    uint32_t flags = SPAN_FLAG_REMOTE_KNOWN;
    if (parent != NULL) {
        memcpy(head->trace_id, parent->trace_id, 16);
        memcpy(head->parent_id, parent->span_id, 8);
        flags |= (parent->flags & SPAN_FLAG_RANDOM) | (parent->remote ? SPAN_FLAG_PARENT_REMOTE : 0);
    } else {
        ids_trace(head->trace_id, now_s != 0 ? now_s : clock_coarse_s());
        flags |= SPAN_FLAG_RANDOM;
    }
    ids_span(head->span_id);
    span->recording = decide(parent, head->trace_id);
    head->flags = flags | (span->recording ? SPAN_FLAG_SAMPLED : 0);
}

void span_begin_at(struct span *span, const struct span_context *parent, enum span_kind kind, struct span_text name,
                   uint32_t scope_id, uint64_t start_ns) {
    memset(span, 0, offsetof(struct span, small));
    span->items = span->small;
    span->items_capacity = SPAN_SMALL_BYTES;
    span->last_at = SPAN_NONE;
    span->flight = -1;
    if (parent != NULL && !is_valid(parent))
        parent = NULL;
    identify(span, parent, (uint32_t)(start_ns / 1000000000u));
    if (parent != NULL && parent->tracestate_len != 0)
        (void)items_set_text(span, SPAN_ITEM_TRACESTATE, parent->tracestate, parent->tracestate_len);
    span->head.kind = (uint8_t)kind;
    if (!span->recording)
        return;
    if (start_ns == 0) {
        span->begin_mono_ns = clock_mono_ns();
        start_ns = clock_real_of(span->begin_mono_ns);
    }
    span->head.start_ns = start_ns;
    span->head.scope_id = scope_id;
    span_name(span, name);
}

void span_begin(struct span *span, const struct span_context *parent, enum span_kind kind, struct span_text name,
                uint32_t scope_id) {
    span_begin_at(span, parent, kind, name, scope_id, 0);
}

void span_context_of(const struct span *span, struct span_context *out) {
    const struct span_item *state = (const struct span_item *)span->items; // always the first item, if there is one
    if (span->items_bytes == 0 || state->tag != SPAN_ITEM_TRACESTATE)
        state = NULL;
    memcpy(out->trace_id, span->head.trace_id, 16);
    memcpy(out->span_id, span->head.span_id, 8);
    out->flags = (uint8_t)span->head.flags;
    out->remote = false;
    out->tracestate = state != NULL ? (const char *)(state + 1) : NULL;
    out->tracestate_len = state != NULL ? state->bytes : 0;
}

void span_name(struct span *span, struct span_text name) {
    if (!span->recording)
        return;
    if (name.id == 0) {
        if (!items_set_text(span, SPAN_ITEM_NAME, name.text, name.bytes))
            return;
    } else if (span->head.name_id == 0 && span->items_bytes != 0) {
        struct span_item *old = items_find(span, SPAN_ITEM_NAME, 0);
        if (old != NULL)
            old->tag = SPAN_ITEM_DEAD;
    }
    span->head.name_id = name.id;
}

static void count_dropped(uint16_t *counter) {
    *counter += *counter < UINT16_MAX;
}

void span_set(struct span *span, struct span_text key, const struct span_value *value) {
    struct span_record *head = &span->head;
    if (!span->recording)
        return;
    uint16_t limit = span->unlimited ? UINT16_MAX : span_limits.attributes;
    enum items_set done = items_set(span, 0, 0, key, value, head->attributes >= limit);
    if (done == ITEMS_ADDED)
        head->attributes++;
    else if (done == ITEMS_DROPPED)
        count_dropped(&head->dropped_attributes);
}

void span_drop(struct span *span) {
    if (span->recording)
        count_dropped(&span->head.dropped_attributes);
}

bool span_copy(const struct span *span, uint32_t limit, struct span_attributes *out) {
    const struct span_record *head = &span->head;
    uint32_t from = 0; // behind what isn't an attribute
    struct span_item *first = items_find(span, SPAN_ITEM_ATTRIBUTE, 0);
    if (first != NULL)
        from = (uint32_t)((uint8_t *)first - span->items);
    uint32_t bytes = first != NULL ? span->items_bytes - from : 0;
    if (!span->recording || head->events + head->links + head->dropped_attributes > 0 || bytes > limit)
        return false;
    *out = (struct span_attributes){malloc(bytes + 1), bytes, span->keys_seen, head->attributes};
    if (out->items != NULL && bytes != 0)
        memcpy(out->items, span->items + from, bytes);
    return out->items != NULL;
}

void span_paste(struct span *span, const struct span_attributes *from) {
    if (!span->recording || from->bytes == 0)
        return;
    uint8_t *to = items_room(span, from->bytes);
    if (to == NULL) {
        span->head.dropped_attributes = (uint16_t)(span->head.dropped_attributes + from->count);
        return;
    }
    memcpy(to, from->items, from->bytes);
    span->head.attributes = (uint16_t)(span->head.attributes + from->count);
    span->keys_seen |= from->keys_seen;
}

// Ok is final, an error is not taken back, and only an error has a message: the order of OpenTelemetry's API.
void span_set_status(struct span *span, enum span_status status, const char *message, size_t bytes) {
    if (!span->recording || status == SPAN_STATUS_UNSET || span->head.status == SPAN_STATUS_OK)
        return;
    struct span_item *old = items_find(span, SPAN_ITEM_MESSAGE, 0);
    if (old != NULL)
        old->tag = SPAN_ITEM_DEAD;
    span->head.status = (uint8_t)status;
    if (status == SPAN_STATUS_ERROR && bytes != 0 && bytes <= SPAN_ITEMS_LIMIT)
        (void)items_set_text(span, SPAN_ITEM_MESSAGE, message, (uint32_t)bytes);
}

void span_set_kind(struct span *span, enum span_kind kind) {
    span->head.kind = (uint8_t)kind;
}

// Room for an event or link, which becomes the latest one; NULL: counted as dropped.
static uint8_t *add_owner(struct span *span, enum span_item_tag tag, uint32_t bytes, uint16_t *count, uint16_t limit,
                          uint16_t *dropped) {
    struct span_item *item = *count < limit ? items_add(span, tag, bytes) : NULL;
    span->last_at = SPAN_NONE;
    span->last_count = 0;
    if (item == NULL) {
        count_dropped(dropped);
        return NULL;
    }
    (*count)++;
    span->last_at = (uint32_t)((uint8_t *)item - span->items);
    return (uint8_t *)(item + 1);
}

void span_event(struct span *span, struct span_text name, uint64_t time_ns) {
    struct span_record *head = &span->head;
    if (!span->recording)
        return;
    uint32_t text_bytes = name.id != 0 ? 0 : name.bytes < SPAN_ITEMS_LIMIT ? name.bytes : SPAN_ITEMS_LIMIT;
    uint8_t *payload =
        add_owner(span, SPAN_ITEM_EVENT, 12 + text_bytes, &head->events, span_limits.events, &head->dropped_events);
    if (payload == NULL)
        return;
    if (time_ns == 0)
        time_ns = clock_real_ns();
    memcpy(payload, &time_ns, 8);
    memset(payload + 8, 0, 4);
    if (text_bytes != 0)
        memcpy(payload + 12, name.text, text_bytes);
    ((struct span_item *)(payload - sizeof(struct span_item)))->key_id = name.id;
}

void span_link(struct span *span, const struct span_context *to) {
    struct span_record *head = &span->head;
    if (!span->recording)
        return;
    uint32_t state_bytes = to->tracestate_len < SPAN_ITEMS_LIMIT ? to->tracestate_len : SPAN_ITEMS_LIMIT;
    uint8_t *payload =
        add_owner(span, SPAN_ITEM_LINK, 32 + state_bytes, &head->links, span_limits.links, &head->dropped_links);
    if (payload == NULL)
        return;
    uint32_t flags = to->flags | SPAN_FLAG_REMOTE_KNOWN | (to->remote ? SPAN_FLAG_PARENT_REMOTE : 0);
    memcpy(payload, to->trace_id, 16);
    memcpy(payload + 16, to->span_id, 8);
    memcpy(payload + 24, &flags, 4);
    memset(payload + 28, 0, 4);
    if (state_bytes != 0)
        memcpy(payload + 32, to->tracestate, state_bytes);
}

void span_drop_last(struct span *span) {
    if (!span->recording || span->last_at == SPAN_NONE)
        return;
    bool is_event = ((struct span_item *)(span->items + span->last_at))->tag == SPAN_ITEM_EVENT;
    uint8_t *counter = span->items + span->last_at + sizeof(struct span_item) + (is_event ? 8 : 28);
    uint32_t dropped;
    memcpy(&dropped, counter, 4);
    dropped++;
    memcpy(counter, &dropped, 4);
}

void span_set_last(struct span *span, struct span_text key, const struct span_value *value) {
    if (!span->recording || span->last_at == SPAN_NONE)
        return;
    bool is_event = ((struct span_item *)(span->items + span->last_at))->tag == SPAN_ITEM_EVENT;
    uint16_t limit = is_event ? span_limits.event_attributes : span_limits.link_attributes;
    enum items_set done = items_set(span, 1, span->last_at, key, value, span->last_count >= limit);
    span->last_count += done == ITEMS_ADDED;
    if (done == ITEMS_DROPPED)
        span_drop_last(span);
}

// Leaves ids and flags as they are: a child may still ask for the context of a parent that ended.
static void close_span(struct span *span) {
    if (span->items != span->small)
        free(span->items);
    span->items = span->small;
    span->items_bytes = 0;
    span->items_capacity = SPAN_SMALL_BYTES;
    span->last_at = SPAN_NONE;
    span->recording = false;
}

void span_end(struct span *span, struct ring *ring, uint64_t end_ns) {
    struct span_record *head = &span->head;
    if (!span->recording)
        return;
    if (end_ns == 0)
        end_ns = span->begin_mono_ns != 0 ? head->start_ns + (clock_mono_ns() - span->begin_mono_ns) : clock_real_ns();
    head->end_ns = end_ns > head->start_ns ? end_ns : head->start_ns;
    head->items_bytes = span->items_bytes;
    ring_count(ring, RING_RECORDED, 1);
    (void)ring_push(ring, RING_SPAN, head, sizeof *head, span->items, span->items_bytes);
    if (span->flight >= 0)
        ring_flight_end(ring, span->flight);
    span->flight = -1;
    close_span(span);
}

void span_discard(struct span *span) {
    close_span(span);
}
