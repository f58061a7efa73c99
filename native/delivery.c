// SPDX-License-Identifier: Apache-2.0
// delivery: one batch after another to the target. See the header.
//
// One attempt = connect if need be, call, wait for the answer, all under one deadline. It ends in settle(), which knows
// three outcomes: sent, refused for good, again later.
#include "delivery.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS 1000000ull
#define PUMP_ROUNDS 16 // reads and writes in one step
#define LOOKUP_KEPT_NS 60000000000ull

void delivery_disconnect(struct delivery *d) {
    grpc_close(d->grpc);
    d->grpc = NULL;
    d->out_bytes = 0;
    net_close(&d->fd);
    d->link = LINK_DOWN;
    d->in_attempt = false;
    d->stats.connected = d->stats.in_call = false;
}

static enum status copy_headers(struct delivery *d, const struct sender_options *options) {
    d->headers = calloc(options->header_count + 1, sizeof *d->headers);
    if (!d->headers)
        return STATUS_NO_MEMORY;
    for (size_t i = 0; i < options->header_count; i++) {
        if (!grpc_header_valid(&options->headers[i]))
            return STATUS_BAD_INPUT;
        d->headers[i].name = strdup(options->headers[i].name);
        d->headers[i].value = strdup(options->headers[i].value);
        d->header_count = i + 1;
        if (!d->headers[i].name || !d->headers[i].value)
            return STATUS_NO_MEMORY;
    }
    return STATUS_OK;
}

enum status delivery_open(struct delivery *d, const struct sender_options *options, const struct sender_source *source,
                          uint64_t seed) {
    char agent[64];
    memset(d, 0, sizeof *d);
    d->fd = NET_NONE;
    d->random = seed | 1;
    d->source = *source;
    d->timeout_ns = options->timeout_ns ? options->timeout_ns : 10000 * MS;
    d->policy.min_ns = options->backoff_min_ns ? options->backoff_min_ns : 100 * MS;
    d->policy.max_ns = options->backoff_max_ns ? options->backoff_max_ns : 5000 * MS;
    enum status status = net_parse(&d->target, options->target);
    if (status != STATUS_OK)
        return status;
    snprintf(agent, sizeof agent, "pillion/%s (python)", options->version ? options->version : "0");
    d->user_agent = strdup(agent);
    return d->user_agent ? copy_headers(d, options) : STATUS_NO_MEMORY;
}

void delivery_close(struct delivery *d) {
    delivery_disconnect(d);
    for (size_t i = 0; d->headers && i < d->header_count; i++) {
        free((void *)(uintptr_t)d->headers[i].name);
        free((void *)(uintptr_t)d->headers[i].value);
    }
    free(d->headers);
    free(d->user_agent);
    d->headers = NULL;
    d->user_agent = NULL;
}

static uint64_t next_random(struct delivery *d) { // xorshift64*
    d->random ^= d->random >> 12;
    d->random ^= d->random << 25;
    d->random ^= d->random >> 27;
    return d->random * 0x2545f4914f6cdd1dull;
}

static void batch_done(struct delivery *d, enum sender_outcome outcome, uint64_t rejected) {
    struct sender_batch batch = d->batch;
    d->has_batch = false;
    d->failures = 0;
    d->failing_since_ns = 0;
    d->stats.rejected_items += rejected;
    if (outcome == SENDER_SENT) {
        d->stats.sent_batches++;
        d->stats.sent_items += batch.items - rejected;
        d->stats.sent_bytes += batch.bytes;
    }
    d->source.done(d->source.self, &batch, outcome, rejected);
}

static void again_later(struct delivery *d, const struct grpc_result *result, uint64_t now_ns) {
    d->failures++;
    d->stats.retries++;
    d->asked_to_wait = result->has_retry_delay;
    d->retry_at_ns = now_ns + retry_delay_ns(&d->policy, d->failures, result, next_random(d));
    if (!d->failing_since_ns)
        d->failing_since_ns = now_ns;
}

// The attempt has ended.
static void settle(struct delivery *d, const struct grpc_result *result, uint64_t now_ns) {
    d->in_attempt = d->stats.in_call = false;
    d->connect_failed = false;
    d->stats.last_code = (int)result->code;
    memcpy(d->stats.last_message, result->message, sizeof d->stats.last_message);
    if (result->code == GRPC_OK) {
        d->stats.partial += result->partial;
        batch_done(d, SENDER_SENT, result->rejected < d->batch.items ? result->rejected : d->batch.items);
    } else if (retry_allowed(result)) {
        again_later(d, result, now_ns);
    } else {
        batch_done(d, SENDER_REJECTED, d->batch.items);
    }
}

static void settle_unconnected(struct delivery *d, const char *why, uint64_t now_ns) {
    struct grpc_result result = {.code = GRPC_UNAVAILABLE};
    snprintf(result.message, sizeof result.message, "no connection: %s", why);
    delivery_disconnect(d);
    d->found_until_ns = 0;
    d->stats.refused++;
    settle(d, &result, now_ns);
    d->connect_failed = true;
}

static void link_up(struct delivery *d, uint64_t now_ns) {
    const struct grpc_options options = {d->target.authority, d->user_agent, d->headers, d->header_count};
    enum status status = grpc_open(&d->grpc, &options);
    if (status != STATUS_OK) {
        settle_unconnected(d, "no memory", now_ns);
        return;
    }
    d->link = LINK_UP;
    d->stats.connects++;
    d->stats.connected = true;
}

// Tries the addresses from d->address on, until one stands or is under way; the deadline is shared out among them.
static void connect_next(struct delivery *d, const struct net_addresses *addresses, uint64_t now_ns) {
    int error = 0;
    for (; d->address < addresses->count; d->address++) {
        unsigned left = addresses->count - d->address;
        enum status status = net_connect(&addresses->list[d->address], &d->fd);
        if (status == STATUS_OK) {
            link_up(d, now_ns);
            return;
        }
        if (status == STATUS_BUSY) {
            d->link = LINK_CONNECTING;
            d->address_until_ns = now_ns + (d->deadline_ns > now_ns ? d->deadline_ns - now_ns : 0) / left;
            return;
        }
        error = errno;
    }
    settle_unconnected(d, strerror(error), now_ns);
}

static const struct net_addresses *addresses_of(const struct delivery *d) {
    return d->target.fixed ? &d->target.addresses : &d->found;
}

// Waits for a connection that is under way, or goes on to the next address.
static void connect_on(struct delivery *d, uint64_t now_ns, struct delivery_wait *out) {
    struct pollfd ready = {.fd = d->fd.fd, .events = POLLOUT};
    int error = ETIMEDOUT;
    if (poll(&ready, 1, 0) > 0) {
        if (net_connected(&d->fd) == STATUS_OK) {
            link_up(d, now_ns);
            return;
        }
        error = errno;
    } else if (now_ns < d->address_until_ns) {
        *out = (struct delivery_wait){DELIVERY_SOCKET, POLLOUT, d->address_until_ns};
        return;
    }
    net_close(&d->fd);
    d->link = LINK_DOWN;
    if (++d->address < addresses_of(d)->count)
        connect_next(d, addresses_of(d), now_ns);
    else
        settle_unconnected(d, strerror(error), now_ns);
}

// Begins an attempt: false when it must wait for a lookup.
static bool begin_attempt(struct delivery *d, uint64_t now_ns) {
    d->in_attempt = d->stats.in_call = true;
    d->deadline_ns = now_ns + d->timeout_ns;
    d->late = false;
    d->stats.attempts++;
    d->address = 0;
    return d->link != LINK_DOWN || d->target.fixed || now_ns < d->found_until_ns;
}

void delivery_addresses(struct delivery *d, enum status status, const struct net_addresses *found, uint64_t now_ns) {
    if (!d->in_attempt || d->link != LINK_DOWN)
        return;
    if (status != STATUS_OK) {
        settle_unconnected(d, "the host's name is not known", now_ns);
        return;
    }
    d->found = *found;
    d->found_until_ns = now_ns + LOOKUP_KEPT_NS;
    d->deadline_ns = now_ns + d->timeout_ns; // the resolver has its own
}

static void begin_call(struct delivery *d, uint64_t now_ns) {
    struct grpc_request request = {.path = d->batch.path, .body = d->batch.body, .bytes = d->batch.bytes};
    struct grpc_result result = {.code = GRPC_INTERNAL};
    request.timeout_ns = d->deadline_ns > now_ns ? d->deadline_ns - now_ns : 1;
    if (d->batch.id != NULL)
        request.header = (struct grpc_header){SENDER_BATCH_HEADER, d->batch.id};
    switch (grpc_call(d->grpc, &request)) {
    case STATUS_OK:
        return;
    case STATUS_TOO_LARGE:
        snprintf(result.message, sizeof result.message, "the request is larger than gRPC allows");
        break;
    default: // this connection takes no more calls
        result.code = GRPC_UNAVAILABLE;
        delivery_disconnect(d);
    }
    settle(d, &result, now_ns);
}

// Writes what there is to write. False: the connection is broken for writing (an answer may still be there to read).
static bool pump_out(struct delivery *d, bool *moved) {
    for (int round = 0; round < PUMP_ROUNDS; round++) {
        if (!d->out_bytes)
            d->out_bytes = grpc_take(d->grpc, &d->out);
        if (!d->out_bytes)
            return true;
        ssize_t count = net_send(&d->fd, d->out, d->out_bytes);
        if (count <= 0)
            return count == 0;
        *moved = true;
        d->out += count;
        d->out_bytes -= (size_t)count;
    }
    return true;
}

// Reads what there is to read. False: the connection has ended.
static bool pump_in(struct delivery *d, bool *moved) {
    uint8_t bytes[8192];
    for (int round = 0; round < PUMP_ROUNDS; round++) {
        ssize_t count = net_receive(&d->fd, bytes, sizeof bytes);
        if (count == 0)
            return true;
        if (count < 0) {
            grpc_hang_up(d->grpc, errno ? strerror(errno) : "the peer closed the connection");
            return false;
        }
        *moved = true;
        if (grpc_feed(d->grpc, bytes, (size_t)count) != STATUS_OK)
            return false;
    }
    return true;
}

// One round of carrying bytes. False: the connection is of no further use (a call under way has ended).
static bool pump(struct delivery *d, bool *moved) {
    bool writable = pump_out(d, moved);
    int error = errno;
    if (!pump_in(d, moved)) {
        bool ignored = false;
        if (writable && !d->out_bytes)
            pump_out(d, &ignored); // our GOAWAY, for the peer's log
        return false;
    }
    if (!writable && !*moved) {
        grpc_hang_up(d->grpc, strerror(error));
        return false;
    }
    return true;
}

// The connection stands: carry bytes, see what became of the call.
static void step_link(struct delivery *d, uint64_t now_ns, struct delivery_wait *out) {
    struct grpc_result result;
    bool moved = false, alive = pump(d, &moved);
    out->events = POLLIN | (d->out_bytes ? POLLOUT : 0);
    bool late = now_ns >= d->deadline_ns, expire = late && (d->late || !moved); // an answer may lie in the socket
    d->late = late;
    if (d->in_attempt && grpc_state(d->grpc, NULL) == GRPC_CALLING && expire) {
        grpc_expire(d->grpc);
        pump_out(d, &moved);
        alive = false;
    }
    bool settled = d->in_attempt && grpc_state(d->grpc, &result) == GRPC_DONE;
    if (!alive || (!grpc_usable(d->grpc) && grpc_state(d->grpc, NULL) != GRPC_CALLING)) {
        delivery_disconnect(d);
        out->events = 0;
    }
    if (settled)
        settle(d, &result, now_ns);
    out->need = moved || settled || !d->in_attempt ? DELIVERY_MORE : DELIVERY_SOCKET;
    out->until_ns = d->deadline_ns;
}

bool delivery_look(struct delivery *d) {
    if (d->has_batch)
        return true;
    memset(&d->batch, 0, sizeof d->batch);
    d->has_batch = d->source.next(d->source.self, &d->batch);
    d->retry_at_ns = 0;
    d->asked_to_wait = false;
    return d->has_batch;
}

// Nothing to attempt now: keep an open connection in order, and say until when.
static void step_rest(struct delivery *d, uint64_t now_ns, struct delivery_wait *out) {
    if (d->link == LINK_UP)
        step_link(d, now_ns, out);
    out->need = d->has_batch ? DELIVERY_TIME : DELIVERY_NOTHING;
    out->until_ns = d->retry_at_ns;
}

void delivery_step(struct delivery *d, uint64_t now_ns, struct delivery_wait *out) {
    *out = (struct delivery_wait){.need = DELIVERY_MORE};
    if (!d->in_attempt) {
        if (!delivery_look(d) || now_ns < d->retry_at_ns) {
            step_rest(d, now_ns, out);
            return;
        }
        if (!begin_attempt(d, now_ns)) {
            out->need = DELIVERY_ADDRESS;
            return;
        }
    }
    if (d->link == LINK_DOWN) {
        if (d->target.fixed || now_ns < d->found_until_ns)
            connect_next(d, addresses_of(d), now_ns);
        else
            out->need = DELIVERY_ADDRESS;
    } else if (d->link == LINK_CONNECTING) {
        connect_on(d, now_ns, out);
    }
    if (d->link != LINK_UP || !d->in_attempt)
        return;
    if (grpc_state(d->grpc, NULL) != GRPC_CALLING)
        begin_call(d, now_ns);
    if (d->link == LINK_UP && d->in_attempt)
        step_link(d, now_ns, out);
}

void delivery_hurry(struct delivery *d) {
    if (!d->asked_to_wait)
        d->retry_at_ns = 0;
}
