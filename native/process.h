// SPDX-License-Identifier: Apache-2.0
// process: which process this is, as the kernel tells it: when it was made, and in which pid namespace it lives.
#ifndef PILLION_PROCESS_H
#define PILLION_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Field 22 of /proc/self/stat, in clock ticks since boot; 0: not readable. With the pid it names a process for good.
uint64_t process_start_ticks(void);
// Inode of the pid namespace, in which the pid means something; 0: not readable. Asked anew each time: a fork's child
// may be in another one.
uint64_t process_pid_namespace(void);
// "-<inode>" for a process outside of the machine's initial namespace, which goes behind the ticks in the names of its
// files; else "". Needs PROCESS_SUFFIX_BYTES.
void process_name_suffix(uint64_t pid_namespace, char *out);
#define PROCESS_SUFFIX_BYTES 24
// When the machine was started, in seconds since the epoch; 0: not readable. Asked once, which with many cores is slow:
// who is about to fork asks, and the children know.
uint64_t process_boot_s(void);
// ISO 8601 in UTC with milliseconds, as process.creation.time wants it.
bool process_creation_time(char *out, size_t capacity);

#endif
