// SPDX-License-Identifier: Apache-2.0
// Any bytes as an export request of any kind, or as two. Besides not crashing: a refused request leaves no row, what is
// accepted has rows, offsets never go back, all text is UTF-8, keys are unique, memory stays within its bound.
#include "decode.h"
#include "decode_arrow.h"
#include "decode_text.h"
#include <stdlib.h>
#include <string.h>

static void require(int holds) {
    if (!holds)
        abort();
}

// A text array's value at `row`.
static struct slice text_at(const struct ArrowArray *array, int64_t row) {
    const int32_t *offsets = array->buffers[1];
    require(offsets[row] >= 0 && offsets[row] <= offsets[row + 1]);
    return (struct slice){(const uint8_t *)array->buffers[2] + offsets[row], (size_t)(offsets[row + 1] - offsets[row])};
}

static void check_text(const struct ArrowArray *array) {
    require(((const int32_t *)array->buffers[1])[0] == 0);
    for (int64_t row = 0; row < array->length; row++)
        require(text_is_valid(text_at(array, row)));
}

static void check_pairs(const struct ArrowArray *array) {
    const int32_t *offsets = array->buffers[1];
    const struct ArrowArray *entries = array->children[0], *keys = entries->children[0];
    require(offsets[0] == 0 && offsets[array->length] == entries->length);
    require(keys->length == entries->length && entries->children[1]->length == entries->length);
    check_text(keys);
    check_text(entries->children[1]);
    for (int64_t row = 0; row < array->length; row++) {
        require(offsets[row] <= offsets[row + 1]);
        for (int32_t one = offsets[row]; one < offsets[row + 1] && one < offsets[row] + 40; one++) {
            for (int32_t other = offsets[row]; other < one; other++) {
                struct slice a = text_at(keys, one), b = text_at(keys, other);
                require(a.bytes != b.bytes || memcmp(a.at, b.at, a.bytes) != 0);
            }
        }
    }
}

// Reads one table as DuckDB would; returns its rows.
static int64_t check_table(struct decode *decode, enum decode_table table) {
    struct ArrowArrayStream stream;
    struct ArrowSchema schema;
    struct ArrowArray array;
    require(decode_stream(decode, table, &stream) == STATUS_OK);
    require(stream.get_schema(&stream, &schema) == 0 && stream.get_next(&stream, &array) == 0);
    int64_t rows = array.release ? array.length : 0;
    require(rows == (int64_t)decode_rows(decode, table));
    for (int64_t i = 0; array.release && i < array.n_children; i++) {
        const char *format = schema.children[i]->format;
        require(array.children[i]->length == rows);
        if (strcmp(format, "u") == 0)
            check_text(array.children[i]);
        else if (format[0] == '+')
            check_pairs(array.children[i]);
    }
    require(decode_clear(decode) == STATUS_BUSY);
    if (array.release)
        array.release(&array);
    schema.release(&schema);
    stream.release(&stream);
    return rows;
}

static void check_append(struct decode *decode, const uint8_t *body, size_t bytes) {
    uint64_t before[DECODE_TABLES];
    struct decode_outcome outcome;
    for (int table = 0; table < DECODE_TABLES; table++)
        before[table] = decode_rows(decode, table);
    enum status status = decode_append(decode, body, bytes, &outcome);
    require(status == STATUS_OK || status == STATUS_BAD_INPUT || status == STATUS_TOO_LARGE);
    if (status != STATUS_OK) {
        require(outcome.accepted == 0 && outcome.rejected == 0);
        for (int table = 0; table < DECODE_TABLES; table++)
            require(decode_rows(decode, table) == before[table]);
    }
    require(decode_rows(decode, DECODE_ITEMS) == before[DECODE_ITEMS] + outcome.accepted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct decode *decoders[3];
    if (size < 2)
        return 0;
    struct decode **decode = &decoders[data[0] % 3];
    size_t cut = data[1] < size - 2 ? data[1] : size - 2; // 0: one request
    if (!*decode)
        require(decode_create(decode, (enum decode_kind)(data[0] % 3 + 1), 0x1234567890abcdefull) == STATUS_OK);
    check_append(*decode, data + 2, cut);
    check_append(*decode, data + 2 + cut, size - 2 - cut);
    for (int table = 0; table < DECODE_TABLES; table++)
        check_table(*decode, table);
    require(decode_clear(*decode) == STATUS_OK);
    return 0;
}
