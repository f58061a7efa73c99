// SPDX-License-Identifier: Apache-2.0
// decode_state: what the parts of the decoder share: its tables, its scratch memory, and whose items are being read.
#ifndef PILLION_DECODE_STATE_H
#define PILLION_DECODE_STATE_H

#include "decode.h"
#include "decode_ids.h"
#include "decode_pairs.h"
#include "decode_table.h"
#include "decode_wire.h"
#include <stdatomic.h>

struct decode {
    atomic_uint references; // the decoder itself, each stream, each array
    enum decode_kind kind;
    struct table tables[DECODE_TABLES]; // enum decode_table
    struct ids resources;               // that have a row in this batch
    struct ids scopes;
    struct pairs pairs;            // scratch
    struct decode_outcome outcome; // of the request that is being read
    size_t limit_bytes;            // what the tables may hold after it
    struct slice service;          // of the current resource; Borrowed from the body
    uint64_t resource_id;          // of the current resource
    uint64_t scope_id;             // of the current scope
};

extern const struct table_spec decode_spans_spec, decode_points_spec, decode_logs_spec;

// Reads one Span, Metric or LogRecord message into rows.
enum status decode_span(struct decode *decode, struct slice message) MUST_USE;
enum status decode_metric(struct decode *decode, struct slice message) MUST_USE;
enum status decode_log(struct decode *decode, struct slice message) MUST_USE;

// Keeps the row that was begun; STATUS_TOO_LARGE when the request has outgrown its limit.
enum status decode_keep(struct decode *decode, enum decode_table table) MUST_USE;
// Keeps an item's row and counts it, or leaves the item out and counts why.
enum status decode_accept(struct decode *decode) MUST_USE;
void decode_reject(struct decode *decode, enum decode_reason reason);
// Puts the pairs from `mark` on into a MAP column and pops them; what is nested too deep counts in *dropped.
enum status decode_put_attributes(struct decode *decode, struct table *table, size_t column, struct pairs_mark mark,
                                  uint32_t *dropped) MUST_USE;
// Adds `,"attributes":{…},"dropped_attributes":n` for the pairs from `mark` on, and pops them; nothing when there are
// none.
enum status decode_add_attributes(struct decode *decode, struct buffer *out, struct pairs_mark mark,
                                  uint32_t dropped) MUST_USE;

#endif
