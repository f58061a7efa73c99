// SPDX-License-Identifier: Apache-2.0
// record: tells `pillion why` that a process was left alone, before any Python ran in it. Freestanding.
#ifndef PILLION_RECORD_H
#define PILLION_RECORD_H

#include "rules.h"
#include <stddef.h>

// The run directory by rundir.choose's rule, of the folders that exist; false: there is none.
bool run_dir_find(const struct subject *subject, char *out, size_t out_bytes);
// The same, but where there is none, it is made, as rundir.make would a moment later.
bool run_dir_make(const struct subject *subject, char *out, size_t out_bytes);
// A folder in it, which is made where the run directory is this user's. False: there is none.
bool run_dir_part(const char *run_dir, const char *name, char *out, size_t out_bytes);
// Where there are thousands of records, takes away some of those whose processes are gone.
void record_make_room(const char *run_dir);
// Writes processes/<pid>-<start ticks>[-<pid namespace>].json there, whole or not at all.
// python: its version ("3.11.7"), or "" when it isn't known.
void record_write(const char *run_dir, const struct subject *subject, const char *python,
                  const struct verdict *verdict);

#endif
