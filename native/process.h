// SPDX-License-Identifier: Apache-2.0
// process: when this process was made, as the kernel tells it.
#ifndef PILLION_PROCESS_H
#define PILLION_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Field 22 of /proc/self/stat, in clock ticks since boot; 0: not readable. With the pid it names a process for good.
uint64_t process_start_ticks(void);
// When the machine was started, in seconds since the epoch; 0: not readable. Asked once, which with many cores is slow:
// who is about to fork asks, and the children know.
uint64_t process_boot_s(void);
// ISO 8601 in UTC with milliseconds, as process.creation.time wants it.
bool process_creation_time(char *out, size_t capacity);

#endif
