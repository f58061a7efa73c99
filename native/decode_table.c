// SPDX-License-Identifier: Apache-2.0
// decode_table: see the header.
#include "decode_table.h"
#include <string.h>

size_t column_width(enum column_type type) {
    static const uint8_t width[] = {[COLUMN_U8] = 1,  [COLUMN_U32] = 4,  [COLUMN_I64] = 8,   [COLUMN_U64] = 8,
                                    [COLUMN_F64] = 8, [COLUMN_ID8] = 8,  [COLUMN_ID16] = 16, [COLUMN_TEXT] = 0,
                                    [COLUMN_MAP] = 0, [COLUMN_PAIRS] = 0};
    return width[type];
}

size_t table_row_bytes(const struct table_spec *spec) {
    size_t bytes = 0;
    for (size_t i = 0; i < spec->columns; i++)
        bytes += column_width(spec->column[i].type) ? column_width(spec->column[i].type) : sizeof(int32_t);
    return bytes;
}

void table_begin(struct table *table, const struct table_spec *spec) {
    *table = (struct table){.spec = spec};
}

static void offset_store(struct buffer *offsets, size_t index, size_t value) {
    int32_t offset = (int32_t)value; // buffers stop at INT32_MAX
    memcpy(offsets->data + index * sizeof offset, &offset, sizeof offset);
}

static size_t offset_load(const struct buffer *offsets, size_t index) {
    int32_t offset;
    memcpy(&offset, offsets->data + index * sizeof offset, sizeof offset);
    return (size_t)offset;
}

// Gives `buffer` room for `bytes` in all; what is new is zero.
static bool buffer_widen(struct buffer *buffer, size_t bytes) {
    size_t before = buffer->bytes;
    if (bytes <= before)
        return true;
    uint8_t *room = buffer_room(buffer, bytes - before);
    if (!room)
        return false;
    memset(room, 0, bytes - before);
    buffer->bytes = bytes;
    return true;
}

static enum status table_grow(struct table *table) {
    size_t capacity = table->capacity ? table->capacity * 2 : 256;
    for (size_t i = 0; i < table->spec->columns; i++) {
        struct column *column = &table->column[i];
        enum column_type type = table->spec->column[i].type;
        size_t width = column_width(type);
        bool ok = width ? buffer_widen(&column->data, capacity * width) && buffer_widen(&column->valid, capacity / 8)
                        : buffer_widen(&column->offsets, (capacity + 1) * sizeof(int32_t)) &&
                              buffer_widen(&column->valid, capacity / 8);
        if (ok && !width && type != COLUMN_TEXT)
            ok = buffer_widen(&column->key_offsets, sizeof(int32_t)) &&
                 buffer_widen(&column->value_offsets, sizeof(int32_t));
        if (!ok)
            return STATUS_NO_MEMORY;
    }
    table->capacity = capacity;
    return STATUS_OK;
}

static void valid_clear(struct column *column, size_t row) {
    column->valid.data[row / 8] &= (uint8_t)~(1u << row % 8);
}

static void valid_set(struct column *column, size_t row) {
    column->valid.data[row / 8] |= (uint8_t)(1u << row % 8);
}

enum status table_begin_row(struct table *table) {
    if (table->rows == table->capacity) {
        enum status status = table_grow(table);
        if (status != STATUS_OK)
            return status;
    }
    for (size_t i = 0; i < table->spec->columns; i++) {
        struct column *column = &table->column[i];
        valid_clear(column, table->rows);
        if (table->spec->column[i].type == COLUMN_TEXT)
            offset_store(&column->offsets, table->rows + 1, column->data.bytes);
        else if (!column_width(table->spec->column[i].type))
            offset_store(&column->offsets, table->rows + 1, column->entries);
    }
    return STATUS_OK;
}

void table_keep_row(struct table *table) {
    table->rows++;
}

void table_cut(struct table *table, size_t rows) {
    table->rows = rows;
    for (size_t i = 0; table->capacity && i < table->spec->columns; i++) {
        struct column *column = &table->column[i];
        column->valid.failed = column->data.failed = column->offsets.failed = false;
        column->key_offsets.failed = column->values.failed = column->value_offsets.failed = false;
        if (table->spec->column[i].type == COLUMN_TEXT) {
            buffer_cut(&column->data, offset_load(&column->offsets, rows));
        } else if (!column_width(table->spec->column[i].type)) {
            column->entries = offset_load(&column->offsets, rows);
            buffer_cut(&column->key_offsets, (column->entries + 1) * sizeof(int32_t));
            buffer_cut(&column->value_offsets, (column->entries + 1) * sizeof(int32_t));
            buffer_cut(&column->data, offset_load(&column->key_offsets, column->entries));
            buffer_cut(&column->values, offset_load(&column->value_offsets, column->entries));
        }
    }
}

bool table_failed(const struct table *table) {
    for (size_t i = 0; i < table->spec->columns; i++) {
        const struct column *column = &table->column[i];
        if (column->valid.failed || column->data.failed || column->offsets.failed || column->key_offsets.failed ||
            column->values.failed || column->value_offsets.failed)
            return true;
    }
    return false;
}

void table_free(struct table *table) {
    for (size_t i = 0; i < TABLE_COLUMNS; i++) {
        struct column *column = &table->column[i];
        buffer_free(&column->valid);
        buffer_free(&column->data);
        buffer_free(&column->offsets);
        buffer_free(&column->key_offsets);
        buffer_free(&column->values);
        buffer_free(&column->value_offsets);
    }
}

static void put_fixed(struct table *table, size_t index, const void *value, size_t width) {
    struct column *column = &table->column[index];
    memcpy(column->data.data + table->rows * width, value, width);
    valid_set(column, table->rows);
}

void put_u8(struct table *table, size_t column, uint8_t value) {
    put_fixed(table, column, &value, sizeof value);
}

void put_u32(struct table *table, size_t column, uint32_t value) {
    put_fixed(table, column, &value, sizeof value);
}

void put_i64(struct table *table, size_t column, int64_t value) {
    put_fixed(table, column, &value, sizeof value);
}

void put_u64(struct table *table, size_t column, uint64_t value) {
    put_fixed(table, column, &value, sizeof value);
}

void put_f64(struct table *table, size_t column, double value) {
    put_fixed(table, column, &value, sizeof value);
}

void put_id(struct table *table, size_t column, const uint8_t *bytes) {
    put_fixed(table, column, bytes, column_width(table->spec->column[column].type));
}

struct buffer *put_text_begin(struct table *table, size_t column) {
    return &table->column[column].data;
}

void put_text_end(struct table *table, size_t index) {
    struct column *column = &table->column[index];
    table->text_bytes += column->data.bytes - offset_load(&column->offsets, table->rows);
    offset_store(&column->offsets, table->rows + 1, column->data.bytes);
    valid_set(column, table->rows);
}

void put_text(struct table *table, size_t column, struct slice text) {
    text_add(put_text_begin(table, column), text);
    put_text_end(table, column);
}

// The two offsets of the next entry are stored when it ends; until then they are what the last one left.
struct buffer *put_entry_begin(struct table *table, size_t index, struct slice key) {
    struct column *column = &table->column[index];
    text_add(&column->data, key);
    return &column->values;
}

void put_entry_end(struct table *table, size_t index) {
    struct column *column = &table->column[index];
    int32_t key_end = (int32_t)column->data.bytes, value_end = (int32_t)column->values.bytes;
    table->text_bytes += column->data.bytes - offset_load(&column->key_offsets, column->entries);
    table->text_bytes += column->values.bytes - offset_load(&column->value_offsets, column->entries);
    buffer_add(&column->key_offsets, &key_end, sizeof key_end);
    buffer_add(&column->value_offsets, &value_end, sizeof value_end);
    if (!column->key_offsets.failed && !column->value_offsets.failed)
        column->entries++;
}

void put_entry_forget(struct table *table, size_t index) {
    struct column *column = &table->column[index];
    buffer_cut(&column->data, offset_load(&column->key_offsets, column->entries));
    buffer_cut(&column->values, offset_load(&column->value_offsets, column->entries));
}

void put_map_end(struct table *table, size_t index) {
    struct column *column = &table->column[index];
    offset_store(&column->offsets, table->rows + 1, column->entries);
    valid_set(column, table->rows);
}
