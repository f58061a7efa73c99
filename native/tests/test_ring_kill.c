// SPDX-License-Identifier: Apache-2.0
// Processes that write with three threads (and in every second round send, too) are killed by SIGKILL at a moment of no
// one's choosing. A reader then finds every record that was committed, each thread's in order and without a gap.
#define _GNU_SOURCE
#include "check.h"
#include "ring_layout.h"
#include "ring_reader.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

CHECK_MAIN;

#define WRITERS 3u
#define ROUNDS 60

struct record {
    uint32_t writer;
    uint32_t number;
    uint64_t check;
};

// Outlives the child: what it says it has done.
static struct shared {
    _Atomic uint64_t done[WRITERS];     // records pushed, the next one may be as well
    _Atomic uint64_t released[WRITERS]; // records given back before the head moved behind them
    char path[128];
    _Atomic bool ready;
} *shared;

static struct ring *ring;

static void *write_records(void *which) {
    uint32_t writer = (uint32_t)(uintptr_t)which;
    static const uint8_t padding[600];
    for (uint32_t number = 0;; number++) {
        struct record record = {writer, number, number * 0x9e3779b97f4a7c15u + writer};
        while (ring_push(ring, RING_SPAN, &record, sizeof record, padding, number * 13 % 600) != STATUS_OK)
            sched_yield();
        atomic_store(&shared->done[writer], number + 1);
    }
    return NULL;
}

static void send_records(void) {
    for (;;) {
        struct ring_cursor cursor = ring_cursor(ring);
        struct ring_entry entry;
        uint64_t upto[WRITERS];
        for (uint32_t i = 0; i < WRITERS; i++)
            upto[i] = atomic_load(&shared->released[i]);
        for (int taken = 0; taken < 500 && ring_next(&cursor, &entry); taken++) {
            struct record record;
            memcpy(&record, entry.bytes, sizeof record);
            upto[record.writer] = record.number + 1;
        }
        for (uint32_t i = 0; i < WRITERS; i++)
            atomic_store(&shared->released[i], upto[i]);
        ring_release(ring, &cursor);
    }
}

static void live_until_killed(const char *directory, bool sends) {
    struct ring_options options = {.directory = directory, .limit_bytes = 1};
    pthread_t thread;
    if (ring_create(&ring, &options) != STATUS_OK)
        _exit(3);
    snprintf(shared->path, sizeof shared->path, "%s", ring_path(ring));
    for (uintptr_t i = 0; i < WRITERS; i++)
        if (pthread_create(&thread, NULL, write_records, (void *)i) != 0)
            _exit(3);
    atomic_store(&shared->ready, true);
    if (sends)
        send_records();
    for (;;)
        pause();
}

// Walks what is left. A record that was released may still be there (the head moves after the notice), never a gap.
static void check_what_is_left(void) {
    struct ring_image image;
    struct ring_entry entry;
    uint64_t next[WRITERS], first[WRITERS];
    bool lives = true;
    CHECK(ring_owner_alive(shared->path, &lives) == STATUS_OK && !lives);
    REQUIRE(ring_image_read(&image, shared->path, RING_WHOLE, true) == STATUS_OK);
    memset(next, 0xff, sizeof next);
    memset(first, 0xff, sizeof first);
    struct ring_cursor cursor = ring_image_cursor(&image);
    while (ring_next(&cursor, &entry)) {
        struct record record;
        REQUIRE(entry.kind == RING_SPAN && entry.length >= sizeof record);
        memcpy(&record, entry.bytes, sizeof record);
        REQUIRE(record.writer < WRITERS && record.check == record.number * 0x9e3779b97f4a7c15u + record.writer);
        REQUIRE(entry.length == sizeof record + record.number * 13 % 600);
        if (first[record.writer] == UINT64_MAX)
            first[record.writer] = next[record.writer] = record.number;
        REQUIRE(record.number == next[record.writer]);
        next[record.writer]++;
    }
    CHECK(cursor.skipped <= WRITERS);
    for (uint32_t i = 0; i < WRITERS; i++) {
        uint64_t done = shared->done[i], released = shared->released[i];
        if (first[i] == UINT64_MAX)
            first[i] = next[i] = released; // none of this writer's is left
        CHECK(first[i] <= released);
        CHECK(next[i] == done || next[i] == done + 1);
    }
    ring_image_free(&image);
}

static void one_round(const char *directory, unsigned round) {
    memset(shared, 0, sizeof *shared);
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0)
        live_until_killed(directory, round % 2 == 1);
    while (!atomic_load(&shared->ready) && waitpid(child, NULL, WNOHANG) == 0)
        sched_yield();
    struct timespec moment = {0, (long)(round * 7919 % 6000) * 1000};
    nanosleep(&moment, NULL);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    REQUIRE(shared->ready);
    check_what_is_left();
    unlink(shared->path);
}

static void all_committed_records_outlive_a_kill_at_any_moment(void) {
    char directory[64];
    snprintf(directory, sizeof directory, "/dev/shm/pillion-kill-%d", getpid());
    REQUIRE(mkdir(directory, 0700) == 0);
    for (unsigned round = 0; round < ROUNDS; round++)
        one_round(directory, round);
    CHECK(rmdir(directory) == 0);
}

int main(void) {
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(shared != MAP_FAILED);
    RUN(all_committed_records_outlive_a_kill_at_any_moment);
    return REPORT();
}
