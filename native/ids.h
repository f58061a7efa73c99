// SPDX-License-Identifier: Apache-2.0
// ids: trace and span ids from a keyed permutation of one process-wide counter. No lock, no thread-local storage, no
// system call but the first. Within a process span ids never repeat; between processes the keys come from getrandom.
// After fork the child must call ids_reseed before it makes an id, or it repeats its parent's.
#ifndef PILLION_IDS_H
#define PILLION_IDS_H

#include <stdint.h>

void ids_trace(uint8_t out[16], uint32_t seconds); // 4 bytes `seconds` big endian, then 12 random ones
void ids_span(uint8_t out[8]);                     // never all zero
void ids_bytes(uint8_t *out, uint32_t bytes);      // as many random bytes as wanted (an instance id)
uint64_t ids_random(void);                         // 64 random bits (jitter)
void ids_reseed(void);                             // in the child of a fork

#endif
