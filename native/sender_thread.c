// SPDX-License-Identifier: Apache-2.0
// sender_thread: the body of the one native thread: step the delivery, tell the news, wait, end when there is nothing
// to stay for. Runs with all signals blocked, never takes the GIL, calls nothing of the application's but the source.
#define _GNU_SOURCE // ppoll
#include "clock.h"
#include "sender_state.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static void lookup(struct sender *sender) {
    struct net_addresses found;
    pthread_mutex_lock(&sender->mutex);
    sender->in_lookup = true;
    pthread_mutex_unlock(&sender->mutex);
    enum status status = net_lookup(&sender->delivery.target, &found);
    pthread_mutex_lock(&sender->mutex);
    sender->in_lookup = false;
    pthread_mutex_unlock(&sender->mutex);
    delivery_addresses(&sender->delivery, status, &found, clock_mono_ns());
}

// Answers sender_flush, if it can be answered after this step.
static void flush_settle(struct sender *sender, uint64_t seen, uint64_t failures_before,
                         const struct delivery_wait *wait) {
    struct delivery *d = &sender->delivery;
    enum status status = STATUS_OK;
    if (wait->need == DELIVERY_TIME && d->connect_failed && d->stats.refused > failures_before)
        status = STATUS_IO;
    else if (wait->need == DELIVERY_TIME && wait->until_ns > sender->flush_until_ns)
        status = STATUS_IO;
    else if (wait->need != DELIVERY_NOTHING)
        return;
    sender->flush_settled = seen;
    sender->flush_status = status;
    pthread_cond_broadcast(&sender->changed);
}

struct rounds {
    uint64_t flush_seen;     // the latest sender_flush the thread knows of
    uint64_t flush_refusals; // delivery's count when it came
    uint64_t idle_since_ns;  // 0: not idle
    uint64_t attempts;       // delivery's count at the last round
};

// One round: a step of the delivery, and its news published.
static void step(struct sender *sender, struct rounds *rounds, uint64_t now, struct delivery_wait *wait) {
    struct delivery *d = &sender->delivery;
    if (d->source.tick != NULL)
        d->source.tick(d->source.self);
    pthread_mutex_lock(&sender->mutex);
    if (sender->flush_asked != rounds->flush_seen) {
        rounds->flush_seen = sender->flush_asked;
        rounds->flush_refusals = d->stats.refused;
        delivery_hurry(d);
    }
    pthread_mutex_unlock(&sender->mutex);
    delivery_step(d, now, wait);
    pthread_mutex_lock(&sender->mutex);
    if (sender->flush_settled < rounds->flush_seen)
        flush_settle(sender, rounds->flush_seen, rounds->flush_refusals, wait);
    uint64_t threads = sender->stats.threads;
    sender->stats = d->stats;
    sender->stats.threads = threads;
    pthread_mutex_unlock(&sender->mutex);
    if (wait->need != DELIVERY_NOTHING || d->stats.attempts != rounds->attempts)
        rounds->idle_since_ns = 0;
    else if (!rounds->idle_since_ns)
        rounds->idle_since_ns = now;
    rounds->attempts = d->stats.attempts;
}

// The application closed our bell or put a file of its own in its place: a new one.
static void mend_bell(struct sender *sender) {
    pthread_mutex_lock(&sender->mutex);
    if (net_bell_open(&sender->bell) != STATUS_OK)
        sender->bell = NET_NONE;
    atomic_store(&sender->rung, false);
    pthread_mutex_unlock(&sender->mutex);
}

// Never longer than the interval, so that a lost bell cannot hold up a fork for long, and the source's tick goes on.
static void wait_for(struct sender *sender, const struct delivery_wait *wait, uint64_t timeout) {
    if (!net_is_ours(&sender->bell))
        mend_bell(sender);
    struct pollfd fds[2] = {{.fd = sender->bell.fd, .events = POLLIN}, {.fd = -1}};
    const struct timespec limit = sender_timespec(timeout < sender->interval_ns ? timeout : sender->interval_ns);
    if (wait->events && net_is_ours(&sender->delivery.fd))
        fds[1] = (struct pollfd){.fd = sender->delivery.fd.fd, .events = wait->events};
    if (ppoll(fds, 2, &limit, NULL) > 0 && fds[0].revents) {
        net_bell_hush(&sender->bell);
        atomic_exchange(&sender->rung, false); // from here on it may ring again; what was added so far, the step sees
    }
}

// Nothing more to do for now: may the thread end? False: new work came in the meantime.
static bool may_end(struct sender *sender, enum delivery_need need) {
    int none = PHASE_NONE;
    if (need == DELIVERY_TIME)
        atomic_store(&sender->rest_ns, sender->delivery.retry_at_ns);
    atomic_store(&sender->phase, PHASE_NONE);
    if (need == DELIVERY_TIME || !delivery_look(&sender->delivery))
        return true;
    return !atomic_compare_exchange_strong(&sender->phase, &none, PHASE_RUNNING);
}

// True: the thread has nothing to stay for. False: waited, or there is more to do.
static bool wait_or_end(struct sender *sender, const struct rounds *rounds, const struct delivery_wait *wait) {
    const struct delivery *d = &sender->delivery;
    uint64_t now = clock_mono_ns(), until = wait->until_ns > now ? wait->until_ns - now : 0;
    switch (wait->need) {
    case DELIVERY_MORE:
        return false;
    case DELIVERY_ADDRESS:
        lookup(sender);
        return false;
    case DELIVERY_SOCKET:
        wait_for(sender, wait, until);
        return false;
    case DELIVERY_TIME:
        if (now - d->failing_since_ns >= sender->patience_ns && until > sender->interval_ns)
            return may_end(sender, wait->need);
        wait_for(sender, wait, until);
        return false;
    case DELIVERY_NOTHING:
        if (rounds->idle_since_ns && now - rounds->idle_since_ns >= sender->idle_ns &&
            !(d->source.stays != NULL && d->source.stays(d->source.self)))
            return may_end(sender, wait->need);
        wait_for(sender, wait, sender->interval_ns);
        return false;
    }
    return true;
}

void *sender_run(void *arg) {
    struct sender *sender = arg;
    struct rounds rounds = {0};
    struct delivery_wait wait = {0};
    bool ended = false;
    prctl(PR_SET_NAME, "pillion");
    pthread_mutex_lock(&sender->mutex);
    sender->tid = (pid_t)syscall(SYS_gettid);
    rounds.flush_seen = sender->flush_settled;
    pthread_mutex_unlock(&sender->mutex);
    while (!ended && !sender_must_leave(sender)) {
        step(sender, &rounds, clock_mono_ns(), &wait);
        if (!sender_must_leave(sender))
            ended = wait_or_end(sender, &rounds, &wait);
    }
    if (!sender->delivery.in_attempt) // else a pause: the call goes on later, over the same connection
        delivery_disconnect(&sender->delivery);
    if (!ended)
        atomic_store(&sender->phase, PHASE_NONE);
    pthread_mutex_lock(&sender->mutex);
    sender->alive = false;
    sender->stats.connected = sender->delivery.stats.connected;
    net_close(&sender->bell);
    pthread_cond_broadcast(&sender->changed);
    pthread_mutex_unlock(&sender->mutex);
    return NULL;
}
