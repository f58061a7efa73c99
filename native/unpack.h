// SPDX-License-Identifier: Apache-2.0
// unpack: one block of LZ4, as the bundle's code is packed in (scripts/bundle/pack.py).
#ifndef PILLION_UNPACK_H
#define PILLION_UNPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// True if `in` is a whole block that fills `out` exactly. Reads and writes nothing outside of the two, whatever it is.
bool unpack(const uint8_t *in, size_t in_bytes, uint8_t *out, size_t out_bytes);

#endif
