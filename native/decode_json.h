// SPDX-License-Identifier: Apache-2.0
// decode_json: an OTLP value as the JSON text of a typed value, so that 5, 5.0 and "5" stay three things:
//   string "x" · bool true · int 5 · double 5.0 (always . or e) or {"double":"NaN"} · bytes {"bytes":"<base64>"}
//   array […] · key-value list {"kvlist":{…}} · empty null
// Values may nest JSON_DEPTH deep; no recursion, the stack is an array.
#ifndef PILLION_DECODE_JSON_H
#define PILLION_DECODE_JSON_H

#include "decode_pairs.h"
#include "decode_text.h"
#include "decode_wire.h"
#include "status.h"

#define JSON_DEPTH 32

// Appends one AnyValue message. STATUS_TOO_LARGE: nested too deep, nothing was appended.
enum status json_add_value(struct buffer *out, struct pairs *pairs, struct slice message) MUST_USE;
// Appends the pairs from `mark` on as {"key":value,…}; a value nested too deep is left out and counted in *dropped.
enum status json_add_pairs(struct buffer *out, struct pairs *pairs, struct pairs_mark mark, uint32_t *dropped) MUST_USE;
// Is it a plain string, or an int? For the few attributes that have a column of their own.
bool json_is_string(struct slice message, struct slice *out);
bool json_is_int(struct slice message, int64_t *out);
double json_double_of(uint64_t bits); // a fixed64 of the wire as the double that it is

#endif
