// SPDX-License-Identifier: Apache-2.0
// preload_path: the road for programs that open libpython only later, so that there is no import to wait for yet.
#ifndef PILLION_PRELOAD_PATH_H
#define PILLION_PRELOAD_PATH_H

#include "rules.h"

// Whether a program (AT_EXECFN) is known to do so, by its name. No system call.
bool path_opens_python(unsigned long execfn);
// Puts boot/ before PYTHONPATH, spelled so that boot knows what was there. False: the libc has no setenv.
bool path_extend(const struct subject *subject);

#endif
