// SPDX-License-Identifier: Apache-2.0
// decode_table: rows as columns in the memory layout of Arrow, so that handing them on copies nothing.
//
// A row is begun, its columns are put, and it is kept or forgotten; `rows` alone says what counts, so taking back a row
// or a whole request is table_cut. The columns of a row may be put in any order, each at most once, MAP and text
// columns exactly once. Memory that runs out latches in the buffers: table_failed, once at the end.
#ifndef PILLION_DECODE_TABLE_H
#define PILLION_DECODE_TABLE_H

#include "decode_text.h"
#include "decode_wire.h"
#include "status.h"

#define TABLE_COLUMNS 24

enum column_type {
    COLUMN_U8,
    COLUMN_U32,
    COLUMN_I64,
    COLUMN_U64,
    COLUMN_F64,
    COLUMN_ID8,   // 8 raw bytes
    COLUMN_ID16,  // 16 raw bytes
    COLUMN_TEXT,  // UTF-8
    COLUMN_MAP,   // text to text
    COLUMN_PAIRS, // the same as a list of key and value, which DuckDB takes over without proving the keys unique again
};

struct column_spec {
    const char *name; // Borrowed, static.
    enum column_type type;
};

struct table_spec {
    const char *name; // Borrowed, static.
    size_t columns;
    struct column_spec column[TABLE_COLUMNS];
};

struct column {
    struct buffer valid;         // one bit a row
    struct buffer data;          // values; bytes of text; of a MAP: bytes of the keys
    struct buffer offsets;       // int32, rows + 1; text and MAP (there it counts entries)
    struct buffer key_offsets;   // int32, entries + 1; MAP
    struct buffer values;        // bytes of a MAP's values
    struct buffer value_offsets; // int32, entries + 1; MAP
    size_t entries;              // of a MAP, so far
};

struct table {
    const struct table_spec *spec; // Borrowed, static.
    size_t rows;                   // complete ones
    size_t capacity;               // rows there is room for in the columns of fixed width
    size_t text_bytes;             // put so far, for whoever limits it; never taken back
    struct column column[TABLE_COLUMNS];
};

void table_begin(struct table *table, const struct table_spec *spec);
// Room for one more row, every column NULL and MAP empty.
enum status table_begin_row(struct table *table) MUST_USE;
void table_keep_row(struct table *table);
// Back to `rows` rows; also forgets a row that was begun.
void table_cut(struct table *table, size_t rows);
bool table_failed(const struct table *table);
size_t table_row_bytes(const struct table_spec *spec); // without text
void table_free(struct table *table);
size_t column_width(enum column_type type); // 0: text or MAP

void put_u8(struct table *table, size_t column, uint8_t value);
void put_u32(struct table *table, size_t column, uint32_t value);
void put_i64(struct table *table, size_t column, int64_t value);
void put_u64(struct table *table, size_t column, uint64_t value);
void put_f64(struct table *table, size_t column, double value);
void put_id(struct table *table, size_t column, const uint8_t *bytes); // 8 or 16
void put_text(struct table *table, size_t column, struct slice text);  // repaired where it is no UTF-8
// Text that is written into the column's own buffer: begin, add to it, end.
struct buffer *put_text_begin(struct table *table, size_t column);
void put_text_end(struct table *table, size_t column);
// A MAP's entries: put the key, add the value's text to the buffer that comes back, then end or take back the entry.
struct buffer *put_entry_begin(struct table *table, size_t column, struct slice key);
void put_entry_end(struct table *table, size_t column);
void put_entry_forget(struct table *table, size_t column);
void put_map_end(struct table *table, size_t column);

#endif
