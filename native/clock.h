// SPDX-License-Identifier: Apache-2.0
// clock: nanoseconds since the Unix epoch for the price of one monotonic read. A process-wide anchor (realtime minus
// monotonic) is renewed at most once a second by whoever reads first, so a stepped wall clock is followed within a
// second while a duration, taken from monotonic reads alone, is never negative. No lock; safe after fork.
#ifndef PILLION_CLOCK_H
#define PILLION_CLOCK_H

#include <stdint.h>

uint64_t clock_mono_ns(void);             // CLOCK_MONOTONIC
uint64_t clock_real_ns(void);             // since the epoch: one monotonic read plus the anchor
uint64_t clock_real_of(uint64_t mono_ns); // the same for a monotonic read that was taken already (just now)
uint32_t clock_coarse_s(void);            // seconds since the epoch, at tick resolution: a few ns
void clock_anchor(void);                  // renews the anchor now

#endif
