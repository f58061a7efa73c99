// SPDX-License-Identifier: Apache-2.0
// sql: what a span says about a query: its text without literals, and a short summary that serves as the span's name.
//
// Pure: no allocation, no lock, no global; every buffer belongs to the caller. It is a lexer, not a parser, and knows
// no dialect: where dialects disagree about what is a literal, it takes the reading that shows less. Work is bounded by
// SQL_SCAN_BYTES whatever the input is (hostile text, NUL bytes, no end of a string, invalid UTF-8).
#ifndef PILLION_SQL_H
#define PILLION_SQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SQL_TEXT_BYTES 8192   // of db.query.text; a longer one is cut at a character
#define SQL_SCAN_BYTES 32768  // of the query are read; what comes later is not looked at
#define SQL_SUMMARY_BYTES 255 // of db.query.summary; never cut inside a word
#define SQL_NAME_BYTES 128    // of an operation or a collection; a longer one is left out

struct sql_description {
    uint32_t text_bytes;             // used of `text`
    uint8_t summary_bytes;           // 0: nothing known (no verb that SQL has); name the span after the system then
    uint8_t operation_bytes;         // 0: none, or several different ones
    uint8_t collection_bytes;        // 0: none, or several different ones
    bool cut;                        // `text` is not the whole query
    char summary[SQL_SUMMARY_BYTES]; // "SELECT orders customers", case and quotes as in the query; not 0-terminated
    char operation[SQL_NAME_BYTES];  // db.operation.name, "CREATE TABLE"; not 0-terminated
    char collection[SQL_NAME_BYTES]; // db.collection.name, as in the summary; not 0-terminated
    char text[SQL_TEXT_BYTES];       // db.query.text; not 0-terminated
};

// Describes `bytes` bytes of UTF-8 at `query`. `parameterised`: values were passed beside the query, so its text is
// kept as it is (only cut); otherwise every literal becomes `?`, comments go, and `IN (1, 2)` becomes `IN (?)`.
void sql_describe(const char *query, size_t bytes, bool parameterised, struct sql_description *out);

#endif
