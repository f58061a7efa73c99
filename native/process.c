// SPDX-License-Identifier: Apache-2.0
// process: see process.h. Reads two files of /proc, once a process; the machine's start is known to children as well.
#include "process.h"
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define INITIAL_NAMESPACE 0xEFFFFFFCu // PROC_PID_INIT_INO of the kernel
#define STAT_BYTES (1u << 20) // of /proc/stat: its line of interrupts is long on large machines, and comes first

static size_t read_file(const char *path, char *out, size_t capacity) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    size_t used = 0;
    ssize_t got;
    while (used < capacity - 1 && (got = read(fd, out + used, capacity - 1 - used)) > 0)
        used += (size_t)got;
    close(fd);
    out[used] = 0;
    return used;
}

uint64_t process_start_ticks(void) {
    char text[1024];
    if (read_file("/proc/self/stat", text, sizeof text) == 0)
        return 0;
    char *at = strrchr(text, ')'); // the command may hold blanks and brackets
    for (int field = 2; at != NULL && field < 22; field++)
        at = strchr(at + 1, ' ');
    return at != NULL ? strtoull(at, NULL, 10) : 0;
}

uint64_t process_pid_namespace(void) {
    char text[64];
    ssize_t bytes = readlink("/proc/self/ns/pid", text, sizeof text - 1); // pid:[4026531836]
    if (bytes <= 5)
        return 0;
    text[bytes] = 0;
    return strncmp(text, "pid:[", 5) == 0 ? strtoull(text + 5, NULL, 10) : 0;
}

void process_name_suffix(uint64_t pid_namespace, char *out) {
    out[0] = 0;
    if (pid_namespace != 0 && pid_namespace != INITIAL_NAMESPACE)
        snprintf(out, PROCESS_SUFFIX_BYTES, "-%llu", (unsigned long long)pid_namespace);
}

uint64_t process_boot_s(void) {
    static _Atomic uint64_t known;
    uint64_t boot_s = atomic_load_explicit(&known, memory_order_relaxed);
    if (boot_s != 0)
        return boot_s;
    char *text = malloc(STAT_BYTES);
    const char *boot = NULL;
    if (text != NULL && read_file("/proc/stat", text, STAT_BYTES) > 0)
        boot = strstr(text, "\nbtime ");
    boot_s = boot != NULL ? strtoull(boot + 7, NULL, 10) : 0;
    free(text);
    atomic_store_explicit(&known, boot_s, memory_order_relaxed);
    return boot_s;
}

bool process_creation_time(char *out, size_t capacity) {
    uint64_t ticks = process_start_ticks(), boot_s = process_boot_s();
    long hertz = sysconf(_SC_CLK_TCK);
    if (ticks == 0 || boot_s == 0 || hertz <= 0)
        return false;
    time_t seconds = (time_t)(boot_s + ticks / (uint64_t)hertz);
    unsigned milliseconds = (unsigned)(ticks % (uint64_t)hertz * 1000 / (uint64_t)hertz);
    struct tm utc;
    char date[32];
    if (gmtime_r(&seconds, &utc) == NULL || strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc) == 0)
        return false;
    return (size_t)snprintf(out, capacity, "%s.%03uZ", date, milliseconds) < capacity;
}
