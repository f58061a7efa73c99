// SPDX-License-Identifier: Apache-2.0
// A process that forks in one thread while another makes the ring: the child must not inherit the ring's descriptor,
// for with it the lock, and the owner's death, would stay hidden as long as that child lives. Needs /dev/shm.
#define _GNU_SOURCE
#include "check.h"
#include "core.h"
#include "ring_reader.h"
#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

CHECK_MAIN;

#define TRIES 200 // so many rings fit into a folder

static char directory[64];
static atomic_int go;

static void *record(void *unused) {
    struct span span;
    while (atomic_load(&go) == 0)
        ;
    span_begin(&span, NULL, SPAN_INTERNAL, (struct span_text){0, 3, "one"}, 0);
    core_span_end(&span, 0);
    return unused;
}

static void start(void) {
    static struct span resource;
    span_begin(&resource, NULL, SPAN_INTERNAL, (struct span_text){0, 8, "resource"}, 0);
    struct span_value name = {.type = SPAN_STRING, .bytes = 4, .text = "fork"};
    span_set(&resource, (struct span_text){0, 12, "service.name"}, &name);
    struct core_options options = {
        .ring_directory = directory, .spans_exported = true, .resource = &resource, .version = "0", .ring_left = true};
    REQUIRE(core_start(&options) == STATUS_OK);
}

// The owner: its ring is made in one thread while the other one forks, after a pause that differs each time.
static void own(int lasting, int number) {
    pthread_t maker;
    start();
    REQUIRE(pthread_create(&maker, NULL, record, NULL) == 0);
    atomic_store(&go, 1);
    for (volatile int i = 0; i < number * 2000; i++)
        ;
    if (fork() == 0) {
        char byte;
        _exit(read(lasting, &byte, 1) == 0 ? 0 : 1); // lives on
    }
    pthread_join(maker, NULL);
    _exit(0);
}

static int rings(int *alive) {
    DIR *folder = opendir(directory);
    int count = 0;
    REQUIRE(folder != NULL);
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        char path[512];
        bool is = false;
        if (strstr(entry->d_name, ".ring") == NULL)
            continue;
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        CHECK(ring_owner_alive(path, &is) == STATUS_OK);
        *alive += is;
        count++;
        unlink(path);
    }
    closedir(folder);
    return count;
}

static void no_child_keeps_the_lock_of_its_dead_parent(void) {
    int lasting[2], alive = 0, good = 0;
    REQUIRE(pipe(lasting) == 0);
    for (int i = 0; i < TRIES; i++) {
        pid_t owner = fork();
        REQUIRE(owner >= 0);
        if (owner == 0) {
            close(lasting[1]);
            own(lasting[0], i);
        }
        int how;
        good += waitpid(owner, &how, 0) == owner && WIFEXITED(how) && WEXITSTATUS(how) == 0;
    }
    CHECK(good == TRIES);
    CHECK(rings(&alive) == TRIES && alive == 0);
    close(lasting[1]); // now the children end
    close(lasting[0]);
}

int main(void) {
    snprintf(directory, sizeof directory, "/dev/shm/pillion-core-%d", getpid());
    REQUIRE(mkdir(directory, 0700) == 0);
    RUN(no_child_keeps_the_lock_of_its_dead_parent);
    CHECK(rmdir(directory) == 0);
    return REPORT();
}
