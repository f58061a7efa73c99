// SPDX-License-Identifier: Apache-2.0
// spawn_cost:  spawn_cost ROUNDS LIBRARY PROGRAM [ARG…]   starts the program with LD_PRELOAD and without, in turn.
// Prints the smallest and the median time from start to end of each, in microseconds: bare bare preloaded preloaded.
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

static double now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int ascending(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

int main(int argc, char **argv) {
    static char preload[4200], other[4200]; // of one length: the stack must lie alike
    int rounds = argc > 3 ? atoi(argv[1]) : 0;
    double *taken[2] = {calloc((size_t)rounds + 1, sizeof(double)), calloc((size_t)rounds + 1, sizeof(double))};
    snprintf(preload, sizeof preload, "LD_PRELOAD=%s", argc > 3 ? argv[2] : "");
    snprintf(other, sizeof other, "LD_NOTHING=%s", argc > 3 ? argv[2] : "");
    char *with[] = {preload, "PILLION_RUN_DIR=/proc/nothing", NULL};
    char *without[] = {other, "PILLION_RUN_DIR=/proc/nothing", NULL};
    posix_spawn_file_actions_t quiet;
    posix_spawn_file_actions_init(&quiet);
    posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
    for (int i = 0; i < 2 * rounds; i++) {
        int preloaded = (i & 1) ^ (i >> 1 & 1); // A B B A
        double start = now_us();
        pid_t pid;
        if (posix_spawn(&pid, argv[3], &quiet, NULL, argv + 3, preloaded ? with : without) != 0)
            return 1;
        int status;
        waitpid(pid, &status, 0);
        if (status != 0)
            return 2;
        taken[preloaded][i / 2] = now_us() - start;
    }
    for (int which = 0; which < 2 && rounds > 0; which++) {
        qsort(taken[which], (size_t)rounds, sizeof(double), ascending);
        printf("%.1f %.1f ", taken[which][0], taken[which][rounds / 2]);
    }
    return rounds > 0 ? 0 : 3;
}
