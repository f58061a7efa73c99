// SPDX-License-Identifier: Apache-2.0
// process: when this process was made, as the kernel tells it. Which one it is: bare_process.h.
#ifndef PILLION_PROCESS_H
#define PILLION_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// When the machine was started, in seconds since the epoch; 0: not readable. Asked once, which with many cores is slow:
// who is about to fork asks, and the children know.
uint64_t process_boot_s(void);
// ISO 8601 in UTC with milliseconds, as process.creation.time wants it.
bool process_creation_time(char *out, size_t capacity);

#endif
