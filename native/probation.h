// SPDX-License-Identifier: Apache-2.0
// probation: the guarded start. A program that died soon after it was started with pillion, and again, and again, is
// left alone from then on. Freestanding; called by libpillion.so on the main thread, before the interpreter and at an
// orderly end. What counts, and what can't be told from a crash, is at the head of probation.c.
#ifndef PILLION_PROBATION_H
#define PILLION_PROBATION_H

#include "rules.h"

// Leaves a trace of this start in the run directory, which is made when `run_dir` is empty. False: stand down, and the
// verdict says why.
bool probation_begin(const struct subject *subject, const char *run_dir, struct verdict *verdict);
// The process ends in order. Does nothing in a fork's child, or when nothing was begun.
void probation_end(void);

#endif
