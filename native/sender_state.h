// SPDX-License-Identifier: Apache-2.0
// sender_state: what sender.c (callers of any thread) and sender_thread.c (the one native thread) share.
//
// Two locks: `life` for starting and joining (held by callers only), `mutex` for the few fields that both sides use
// (held for moments). The delivery belongs to whichever thread lives; threads follow one another, joined in between.
// `phase` is what sender_wake looks at: a thread that ends says PHASE_NONE first and asks the source once more after
// that, so work that was added before a wake is seen by one of the two. In a fork's child no lock is taken: the thread
// was joined.
#ifndef PILLION_SENDER_STATE_H
#define PILLION_SENDER_STATE_H

#include "delivery.h"
#include "sender.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>
#include <time.h>

enum phase { PHASE_NONE, PHASE_RUNNING };

struct sender {
    struct delivery delivery; // of the living thread; of the caller of child_after_fork and stop, when there is none
    uint64_t interval_ns;
    uint64_t idle_ns;
    uint64_t patience_ns;

    _Atomic int phase;           // enum phase
    _Atomic int paused;          // how many sender_pause are without their sender_resume
    _Atomic bool stopped;        // for good
    _Atomic uint64_t rest_ns;    // sender_wake starts no thread before
    _Atomic uint64_t hurried_ns; // when sender_hurry last started a thread during a rest
    _Atomic bool rung;           // the bell rings, and the thread has not yet heard it
    pthread_mutex_t life;        // around pthread_create and pthread_join
    pthread_t thread;            // under `life`
    bool joinable;               // under `life`: thread is to be joined
    pthread_mutex_t mutex;       // for all below
    pthread_cond_t changed;      // any of it
    bool alive;                  // the thread has not yet left
    bool in_lookup;              // it is inside the system's resolver, touching nothing of ours
    pid_t tid;                   // of the thread
    struct net_fd bell;          // Owned while alive
    uint64_t flush_asked;        // number of the latest sender_flush
    uint64_t flush_settled;      // up to this one they have their answer
    uint64_t flush_until_ns;     // the latest deadline of them
    enum status flush_status;    // the answer
    struct sender_stats stats;   // as published by the thread
};

static inline bool sender_must_leave(const struct sender *sender) {
    return atomic_load(&sender->paused) > 0 || atomic_load(&sender->stopped);
}

static inline struct timespec sender_timespec(uint64_t ns) {
    return (struct timespec){.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
}

void *sender_run(void *sender); // the thread's body, in sender_thread.c

#endif
