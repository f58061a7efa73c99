// SPDX-License-Identifier: Apache-2.0
// process: see process.h. Reads /proc/stat once: the machine's start is known to children as well.
#include "process.h"
#include "bare_process.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STAT_BYTES (1u << 20) // of /proc/stat: its line of interrupts is long on large machines, and comes first

uint64_t process_boot_s(void) {
    static _Atomic uint64_t known;
    uint64_t boot_s = atomic_load_explicit(&known, memory_order_relaxed);
    if (boot_s != 0)
        return boot_s;
    char *text = malloc(STAT_BYTES);
    const char *boot = NULL;
    if (text != NULL && bare_read_file("/proc/stat", text, STAT_BYTES) > 0)
        boot = strstr(text, "\nbtime ");
    boot_s = boot != NULL ? strtoull(boot + 7, NULL, 10) : 0;
    free(text);
    atomic_store_explicit(&known, boot_s, memory_order_relaxed);
    return boot_s;
}

bool process_creation_time(char *out, size_t capacity) {
    uint64_t ticks = bare_start_ticks(0), boot_s = process_boot_s();
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
