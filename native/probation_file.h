// SPDX-License-Identifier: Apache-2.0
// probation_file: the files of $RUN/guard, as probation.c and `pillion why` (agent/pillion/guarded.py) use them.
// clang-format off: these lines are a table
//     <executable>-<program>-<pid>-<ticks>[-<pid namespace>]   a start; locked while its process lives with pillion
//     <executable>-<program>.crashed                           a verdict: left alone
//     <executable>.crashed                                     the same, for all programs of an executable
// clang-format on
// Both hashes have 16 hexadecimal digits. The text is lines of a word and a value; what others write is not trusted:
// a file of another user's does not count.
#ifndef PILLION_PROBATION_FILE_H
#define PILLION_PROBATION_FILE_H

#include "bare_process.h"

#define PROBATION_DEATHS 6 // remembered at most
#define PROBATION_TEXT_BYTES 1024

// Which program of which executable.
struct probation_key {
    uint64_t exe;     // path, inode, size and time of the file
    uint64_t program; // script, module or command
};

struct probation_name {
    struct probation_key key;
    int32_t pid;
    uint64_t ticks, pid_namespace;
};

struct probation_start {
    uint64_t time_ns;
    int32_t pid;
};

// What a file says.
struct probation_file {
    char version[64];                                // of pillion
    char exe[PROBATION_TEXT_BYTES];                  // for the reader
    char program[256];                               // for the reader: the script or the module
    struct probation_start start;                    // 0: none, a verdict
    struct probation_start deaths[PROBATION_DEATHS]; // starts before it that died, oldest first
    int death_count;
    uint64_t decided_ns; // a verdict: when
    bool is_proven;      // since it died, another program of the executable ended in order
};

// False: not such a name.
bool probation_name_read(const char *text, struct probation_name *out);
void probation_name_add(struct bare_text *text, const struct probation_name *name);
// Only a plain file of this user. What is not understood in it is passed over. Gives the descriptor, or negative.
long probation_file_open(const char *path, struct probation_file *out);
// Written whole and locked under another name, then renamed. *page: the mapping that holds the lock, NULL for no lock.
bool probation_file_write(const char *folder, const char *name, const struct probation_file *file, void **page);
void probation_file_unlock(void *page);

#endif
