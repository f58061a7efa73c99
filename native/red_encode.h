// SPDX-License-Identifier: Apache-2.0
// red_encode: the histograms of red.c as ScopeMetrics, in as many parts as the receiver's limit asks for.
#ifndef PILLION_RED_ENCODE_H
#define PILLION_RED_ENCODE_H

#include "otlp_wire.h"
#include "red.h"

// Where the next part begins. All zero: at the beginning.
struct red_cursor {
    uint32_t metric;             // enum red_metric; RED_METRICS: all is written
    const struct red_series *at; // Borrowed. NULL: the metric's first
};

// Writes what fits and moves the cursor behind it. The number of points; 0: nothing is left, or not one fits.
uint32_t red_encode(struct wire_sink *sink, struct red_cursor *cursor, uint64_t start_ns, uint64_t now_ns);

#endif
