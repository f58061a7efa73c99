// SPDX-License-Identifier: Apache-2.0
// decode: OTLP Export…ServiceRequest bytes to Arrow columns, ready for DuckDB. The collector calls this by ctypes.
//
// A decoder collects the requests of one kind, one after the other, into three tables: the items (spans, points or
// logs), and the resources and scopes that they name. A malformed request leaves nothing behind; a single bad item is
// left out and counted. One thread at a time; the streams that decode_stream makes may be read and released anywhere.
// Memory: at most DECODE_EXPANSION times the bytes of a request and DECODE_ALLOWANCE, else the request is refused.
#ifndef PILLION_DECODE_H
#define PILLION_DECODE_H

#include "status.h"
#include <stddef.h>
#include <stdint.h>

#define DECODE_API __attribute__((visibility("default")))
#define DECODE_EXPANSION 16        // small points without attributes, with a description of 300 bytes, need 15
#define DECODE_ALLOWANCE (1 << 20) // bytes

enum decode_kind { DECODE_TRACES = 1, DECODE_METRICS = 2, DECODE_LOGS = 3 };
enum decode_table { DECODE_ITEMS = 0, DECODE_RESOURCES = 1, DECODE_SCOPES = 2, DECODE_TABLES = 3 };

// Why an item was left out.
enum decode_reason {
    DECODE_BAD_ID = 0, // trace or span id of a wrong length, or all zero
    DECODE_BAD_TIME,   // past the year 2262, where signed nanoseconds end
    DECODE_TOO_DEEP,   // a point's attribute is nested too deep (of other items the attribute is dropped and counted)
    DECODE_REASONS,
};

struct decode_outcome {
    uint64_t accepted;
    uint64_t rejected; // sum of the reasons
    uint64_t reasons[DECODE_REASONS];
};

struct decode;
struct ArrowArrayStream;

// `seed`: anything a client cannot know.
DECODE_API enum status decode_create(struct decode **out, enum decode_kind kind, uint64_t seed) MUST_USE;
// Adds one request. STATUS_BAD_INPUT: malformed; STATUS_TOO_LARGE: needs too much memory for its size;
// STATUS_NO_MEMORY. In each of these nothing of it was added.
DECODE_API enum status decode_append(struct decode *decode, const uint8_t *body, size_t bytes,
                                     struct decode_outcome *out) MUST_USE;
DECODE_API uint64_t decode_rows(const struct decode *decode, enum decode_table table);
// Gives a stream of one batch with all rows so far. The rows stay as they are until every stream and every array that
// came from one is released. The caller releases it, or whoever takes it over.
DECODE_API enum status decode_stream(struct decode *decode, enum decode_table table,
                                     struct ArrowArrayStream *out) MUST_USE;
// Forgets all rows, keeps the memory for the next ones. STATUS_BUSY: a stream or an array is still out.
DECODE_API enum status decode_clear(struct decode *decode) MUST_USE;
DECODE_API void decode_free(struct decode *decode); // the memory itself goes with the last array

#endif
