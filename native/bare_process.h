// SPDX-License-Identifier: Apache-2.0
// bare_process: which process this is, without a libc: its start, its pid namespace, the name of its files; and the
// time.
#ifndef PILLION_BARE_PROCESS_H
#define PILLION_BARE_PROCESS_H

#include "bare.h"

// When a process was started, in ticks since boot; 0: there is none (any more: a zombie), or it
// can't be read. pid 0: this one.
uint64_t bare_start_ticks(int32_t pid);
// The inode of this process's pid namespace; 0: not readable.
uint64_t bare_pid_namespace(void);
#define BARE_FIRST_NAMESPACE 0xEFFFFFFCu // of the machine: PROC_PID_INIT_INO of the kernel
uint64_t bare_now_ns(void);
// Whether this process may write some kilobytes into a file: with a small limit (ulimit -f) the kernel would kill it.
bool bare_may_write(void);
// "<pid>-<start ticks>", and "-<pid namespace>" when that isn't the machine's first: rundir.name.
void bare_add_process(struct bare_text *text, int32_t pid, uint64_t ticks, uint64_t pid_namespace);
void bare_add_hex(struct bare_text *text, uint64_t number); // 16 digits
void bare_add_time(struct bare_text *text, uint64_t ns);    // 2026-08-30T12:34:56Z
// FNV-1a; begin with BARE_HASH.
uint64_t bare_hash(uint64_t before, const void *bytes, size_t count);
#define BARE_HASH 14695981039346656037u

#endif
