// SPDX-License-Identifier: Apache-2.0
// probation: the guarded start. An executable that died in its first seconds, again and again, is left alone.
// Freestanding; called by libpillion.so on the main thread, before the interpreter and at an orderly end.
#ifndef PILLION_PROBATION_H
#define PILLION_PROBATION_H

#include "rules.h"

// Leaves a trace of this start in the run directory. False: stand down, and the verdict says why.
bool probation_begin(const struct subject *subject, const char *run_dir, struct verdict *verdict);
// The process ends in order. Does nothing in a fork's child, or when nothing was begun.
void probation_end(void);

#endif
