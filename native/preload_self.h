// SPDX-License-Identifier: Apache-2.0
// preload_self: what the constructor must know of its process, read from /proc and the environment.
#ifndef PILLION_PRELOAD_SELF_H
#define PILLION_PRELOAD_SELF_H

#include "rules.h"
#include <stddef.h>

enum { SELF_ARGUMENTS = 4096, SELF_COMMAND_BYTES = 128 << 10, SELF_PATH_BYTES = 4096 };

// Pages of its own, given back when all is decided. What is longer than the room is cut, arguments at the end.
struct self {
    struct subject subject; // points into the rest
    const char *argv[SELF_ARGUMENTS + 1];
    char command[SELF_COMMAND_BYTES];
    char exe[SELF_PATH_BYTES];
    char root[SELF_PATH_BYTES];
    char run_dir[SELF_PATH_BYTES];
    char maps[SELF_PATH_BYTES * 2];
    char python[16]; // "3.11.7", or ""
};

// NULL: no memory, no /proc, or the bundle is not (or no longer) where this library was mapped from.
struct self *self_read(const char *python);
void self_free(struct self *self);
// Whether a switch of ours says no: config.py's words.
bool preload_is_off(const char *value);

#endif
