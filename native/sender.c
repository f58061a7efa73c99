// SPDX-License-Identifier: Apache-2.0
// sender: starts and ends the one native thread, for callers of any thread. See the headers: sender.h for the promises,
// sender_state.h for the locks.
#include "sender.h"

#include "clock.h"
#include "sender_state.h"
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MS 1000000ull
#define STACK_BYTES (512 * 1024) // the system's resolver wants some
#define LOOKUP_PATIENCE_NS (20 * MS)
#define NO_THREAD_REST_NS (5000 * MS) // the system refused a thread or a descriptor

// Under `life`, as create, start and leave. The kernel counts a thread for a moment after it could be joined; a fork in
// that moment would make CPython warn.
static void join(struct sender *sender) {
    pthread_join(sender->thread, NULL);
    sender->joinable = false;
    for (int i = 0; i < 1000 && sender->tid && syscall(SYS_tgkill, getpid(), sender->tid, 0) == 0; i++)
        sched_yield();
    sender->tid = 0;
}

static int create(struct sender *sender) {
    sigset_t all, before;
    pthread_attr_t attributes;
    int error = pthread_attr_init(&attributes);
    if (error)
        return error;
    sigfillset(&all);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&sender->thread, &attributes, sender_run, sender);
    if (error == EINVAL) // thread-local storage leaves no room in a stack of that size
        error = pthread_create(&sender->thread, NULL, sender_run, sender);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return error;
}

static enum status start(struct sender *sender, bool at_once) {
    int none = PHASE_NONE;
    if (sender_must_leave(sender) || (!at_once && clock_mono_ns() < atomic_load(&sender->rest_ns)))
        return STATUS_OK;
    if (!atomic_compare_exchange_strong(&sender->phase, &none, PHASE_RUNNING))
        return STATUS_OK;
    if (sender->joinable)
        join(sender);
    pthread_mutex_lock(&sender->mutex);
    enum status status = net_bell_open(&sender->bell);
    sender->alive = status == STATUS_OK;
    atomic_store(&sender->rung, false);
    pthread_mutex_unlock(&sender->mutex);
    if (status == STATUS_OK && create(sender) != 0)
        status = STATUS_NO_MEMORY;
    pthread_mutex_lock(&sender->mutex);
    if (status == STATUS_OK) {
        sender->joinable = true;
        sender->stats.threads++;
    } else {
        sender->alive = false;
        net_close(&sender->bell);
        atomic_store(&sender->rest_ns, clock_mono_ns() + NO_THREAD_REST_NS);
        atomic_store(&sender->phase, PHASE_NONE);
    }
    pthread_mutex_unlock(&sender->mutex);
    return status;
}

// The thread was told to leave: waits until it has. A name lookup that hangs is left behind.
static void leave(struct sender *sender) {
    uint64_t patience = clock_mono_ns() + LOOKUP_PATIENCE_NS;
    if (!sender->joinable)
        return;
    pthread_mutex_lock(&sender->mutex);
    if (sender->alive)
        net_bell_ring(&sender->bell);
    while (sender->alive && !(sender->in_lookup && clock_mono_ns() >= patience)) {
        struct timespec again = sender_timespec(clock_mono_ns() + LOOKUP_PATIENCE_NS);
        pthread_cond_timedwait(&sender->changed, &sender->mutex, &again);
    }
    bool gone = !sender->alive;
    pthread_mutex_unlock(&sender->mutex);
    if (gone)
        join(sender);
}

static enum status prepare_locks(struct sender *sender) {
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0)
        return STATUS_NO_MEMORY;
    bool ok = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
              pthread_cond_init(&sender->changed, &attributes) == 0 && pthread_mutex_init(&sender->life, NULL) == 0 &&
              pthread_mutex_init(&sender->mutex, NULL) == 0;
    pthread_condattr_destroy(&attributes);
    return ok ? STATUS_OK : STATUS_NO_MEMORY;
}

enum status sender_open(struct sender **out, const struct sender_options *options, const struct sender_source *source) {
    enum status status = STATUS_NO_MEMORY;
    *out = NULL;
    struct sender *sender = calloc(1, sizeof *sender);
    if (!sender)
        return STATUS_NO_MEMORY;
    sender->bell = NET_NONE;
    sender->interval_ns = options->interval_ns ? options->interval_ns : 200 * MS;
    sender->idle_ns = options->idle_ns ? options->idle_ns : 1000 * MS;
    sender->patience_ns = options->patience_ns ? options->patience_ns : 10000 * MS;
    status = delivery_open(&sender->delivery, options, source, clock_mono_ns() ^ (uint64_t)getpid() << 32);
    if (status == STATUS_OK)
        status = prepare_locks(sender);
    if (status != STATUS_OK) {
        delivery_close(&sender->delivery);
        free(sender);
        return status;
    }
    *out = sender;
    return STATUS_OK;
}

// Starts the thread unless somebody is at it already. What cannot be started now is tried again by a later wake.
static void try_start(struct sender *sender, bool at_once) {
    int error = errno; // the caller's, whatever becomes of this
    if (pthread_mutex_trylock(&sender->life) == 0) {
        (void)!start(sender, at_once);
        pthread_mutex_unlock(&sender->life);
    }
    errno = error;
}

void sender_wake(struct sender *sender) {
    atomic_thread_fence(memory_order_seq_cst); // the new work must be visible before phase is read, see the head
    if (atomic_load(&sender->phase) == PHASE_RUNNING || sender_must_leave(sender))
        return;
    if (clock_mono_ns() < atomic_load(&sender->rest_ns))
        return;
    try_start(sender, false);
}

void sender_hurry(struct sender *sender) {
    sender_wake(sender);
    uint64_t now = clock_mono_ns(), last = atomic_load(&sender->hurried_ns);
    if (atomic_load(&sender->phase) != PHASE_RUNNING && !sender_must_leave(sender) &&
        now - last >= sender->interval_ns && atomic_compare_exchange_strong(&sender->hurried_ns, &last, now))
        try_start(sender, true); // the target may rest, the source's tick may not
    if (atomic_exchange(&sender->rung, true))
        return; // it wakes already
    pthread_mutex_lock(&sender->mutex);
    if (sender->alive)
        net_bell_ring(&sender->bell);
    pthread_mutex_unlock(&sender->mutex);
}

void sender_pause(struct sender *sender) {
    pthread_mutex_lock(&sender->life);
    atomic_fetch_add(&sender->paused, 1);
    leave(sender);
    pthread_mutex_unlock(&sender->life);
}

void sender_resume(struct sender *sender) {
    pthread_mutex_lock(&sender->mutex);
    atomic_fetch_sub(&sender->paused, 1);
    pthread_cond_broadcast(&sender->changed);
    pthread_mutex_unlock(&sender->mutex);
}

bool sender_interrupted(struct sender *sender) {
    pthread_mutex_lock(&sender->mutex);
    bool interrupted = !sender->alive && sender->delivery.in_attempt;
    pthread_mutex_unlock(&sender->mutex);
    return interrupted;
}

void sender_child_after_fork(struct sender *sender) {
    bool calm = !sender->alive || sender->in_lookup;
    net_close(&sender->bell);
    net_close(&sender->delivery.fd);
    if (calm) // else the thread was in the middle of something: better a few kilobytes lost than torn memory freed
        delivery_close(&sender->delivery);
    free(sender);
}

enum status sender_flush(struct sender *sender, uint64_t timeout_ns) {
    uint64_t deadline = clock_mono_ns() + timeout_ns;
    enum status status = STATUS_OK;
    if (atomic_load(&sender->stopped))
        return STATUS_OK;
    pthread_mutex_lock(&sender->mutex);
    uint64_t number = ++sender->flush_asked;
    if (sender->flush_until_ns < deadline)
        sender->flush_until_ns = deadline;
    if (sender->alive)
        net_bell_ring(&sender->bell);
    while (sender->flush_settled < number && status == STATUS_OK && clock_mono_ns() < deadline) {
        struct timespec until = sender_timespec(deadline);
        if (!sender->alive && !sender_must_leave(sender)) { // never started, ended, or left for a fork
            pthread_mutex_unlock(&sender->mutex);
            pthread_mutex_lock(&sender->life);
            status = start(sender, true);
            pthread_mutex_unlock(&sender->life);
            pthread_mutex_lock(&sender->mutex);
        } else if (atomic_load(&sender->stopped)) {
            break;
        } else {
            pthread_cond_timedwait(&sender->changed, &sender->mutex, &until);
        }
    }
    if (status == STATUS_OK)
        status = sender->flush_settled >= number ? sender->flush_status : STATUS_BUSY;
    pthread_mutex_unlock(&sender->mutex);
    return status;
}

void sender_stop(struct sender *sender) {
    pthread_mutex_lock(&sender->life);
    atomic_store(&sender->stopped, true);
    leave(sender);
    if (!sender->joinable)
        delivery_disconnect(&sender->delivery);
    pthread_mutex_unlock(&sender->life);
    pthread_mutex_lock(&sender->mutex);
    pthread_cond_broadcast(&sender->changed);
    pthread_mutex_unlock(&sender->mutex);
}

void sender_free(struct sender *sender) {
    if (!sender)
        return;
    sender_stop(sender);
    if (sender->joinable) // its thread hangs in a name lookup and will come back to this memory
        return;
    delivery_close(&sender->delivery);
    pthread_cond_destroy(&sender->changed);
    pthread_mutex_destroy(&sender->mutex);
    pthread_mutex_destroy(&sender->life);
    free(sender);
}

void sender_stats(struct sender *sender, struct sender_stats *out) {
    pthread_mutex_lock(&sender->mutex);
    *out = sender->stats;
    out->running = sender->alive;
    pthread_mutex_unlock(&sender->mutex);
}
