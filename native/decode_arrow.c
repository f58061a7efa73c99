// SPDX-License-Identifier: Apache-2.0
// decode_arrow: a table's columns as an Arrow stream of one batch, without copying them.
//
// Every stream and every array holds a reference to the decoder, whose memory goes with the last one; releases may come
// from any thread. A schema holds nothing. The tree of a schema or array is at most four deep: batch, map, entries,
// key.
#include "decode_arrow.h"
#include "decode.h"
#include "decode_state.h"
#include <errno.h>
#include <stdlib.h>

// What a stream remembers.
struct stream {
    struct decode *decode; // one reference
    enum decode_table table;
    bool done; // the batch was given
};

// An array with everything it points at, in one piece of memory.
struct array {
    struct decode *decode; // one reference
    const void *buffers[3];
    struct ArrowArray *children[]; // Owned, each from malloc
};

static void decode_release(struct decode *decode) {
    if (atomic_fetch_sub(&decode->references, 1) != 1)
        return;
    for (size_t i = 0; i < DECODE_TABLES; i++)
        table_free(&decode->tables[i]);
    ids_free(&decode->resources);
    ids_free(&decode->scopes);
    pairs_free(&decode->pairs);
    free(decode);
}

void decode_free(struct decode *decode) {
    if (decode)
        decode_release(decode);
}

#define KEEP_BYTES (64u << 20) // memory of the columns that outlives a batch

enum status decode_clear(struct decode *decode) {
    if (atomic_load(&decode->references) != 1)
        return STATUS_BUSY;
    for (size_t i = 0; i < DECODE_TABLES; i++) {
        struct table *table = &decode->tables[i];
        size_t held = 0;
        for (size_t c = 0; c < table->spec->columns; c++)
            held += table->column[c].data.capacity + table->column[c].values.capacity;
        if (held > KEEP_BYTES) {
            table_free(table);
            table_begin(table, table->spec);
        }
        table_cut(table, 0);
        table->text_bytes = 0;
    }
    ids_clear(&decode->resources);
    ids_clear(&decode->scopes);
    return STATUS_OK;
}

static void schema_release(struct ArrowSchema *schema) {
    for (int64_t i = 0; i < schema->n_children; i++) {
        struct ArrowSchema *child = schema->children[i];
        if (child && child->release)
            child->release(child);
        free(child);
    }
    free(schema->children);
    schema->release = NULL;
}

// Fills *out, with room for `children` that the caller makes; false: out of memory, nothing to release.
static bool schema_begin(struct ArrowSchema *out, const char *format, const char *name, int64_t flags,
                         size_t children) {
    *out = (struct ArrowSchema){.format = format, .name = name, .flags = flags, .release = schema_release};
    if (children == 0)
        return true;
    out->children = calloc(children, sizeof *out->children);
    if (!out->children) {
        out->release = NULL;
        return false;
    }
    out->n_children = (int64_t)children;
    for (size_t i = 0; i < children; i++) {
        out->children[i] = calloc(1, sizeof *out->children[i]);
        if (!out->children[i]) {
            schema_release(out);
            return false;
        }
    }
    return true;
}

static bool schema_of_column(struct ArrowSchema *out, const struct column_spec *spec) {
    static const char *const format[] = {
        [COLUMN_U8] = "C",    [COLUMN_U32] = "I",     [COLUMN_I64] = "l",  [COLUMN_U64] = "L",  [COLUMN_F64] = "g",
        [COLUMN_ID8] = "w:8", [COLUMN_ID16] = "w:16", [COLUMN_TEXT] = "u", [COLUMN_MAP] = "+m", [COLUMN_PAIRS] = "+l"};
    if (spec->type != COLUMN_MAP && spec->type != COLUMN_PAIRS)
        return schema_begin(out, format[spec->type], spec->name, ARROW_NULLABLE, 0);
    if (!schema_begin(out, format[spec->type], spec->name, ARROW_NULLABLE, 1))
        return false;
    struct ArrowSchema *entries = out->children[0];
    if (schema_begin(entries, "+s", "entries", 0, 2) && schema_begin(entries->children[0], "u", "key", 0, 0) &&
        schema_begin(entries->children[1], "u", "value", ARROW_NULLABLE, 0))
        return true;
    schema_release(out);
    return false;
}

static int stream_schema(struct ArrowArrayStream *self, struct ArrowSchema *out) {
    const struct stream *stream = self->private_data;
    const struct table_spec *spec = stream->decode->tables[stream->table].spec;
    if (!schema_begin(out, "+s", "", 0, spec->columns))
        return ENOMEM;
    for (size_t i = 0; i < spec->columns; i++) {
        if (!schema_of_column(out->children[i], &spec->column[i])) {
            schema_release(out);
            return ENOMEM;
        }
    }
    return 0;
}

static void array_release(struct ArrowArray *array) {
    struct array *held = array->private_data;
    for (int64_t i = 0; i < array->n_children; i++) {
        struct ArrowArray *child = held->children[i];
        if (child && child->release)
            child->release(child);
        free(child);
    }
    array->release = NULL;
    decode_release(held->decode);
    free(held);
}

// Fills *out, with zeroed children; false: out of memory, nothing to release.
static bool array_begin(struct ArrowArray *out, struct decode *decode, size_t length, size_t buffers, size_t children) {
    struct array *held = calloc(1, sizeof *held + children * sizeof held->children[0]);
    if (!held)
        return false;
    atomic_fetch_add(&decode->references, 1);
    held->decode = decode;
    *out = (struct ArrowArray){.length = (int64_t)length,
                               .n_buffers = (int64_t)buffers,
                               .n_children = (int64_t)children,
                               .buffers = held->buffers,
                               .children = held->children,
                               .release = array_release,
                               .private_data = held};
    for (size_t i = 0; i < children; i++) {
        held->children[i] = calloc(1, sizeof *held->children[i]);
        if (!held->children[i]) {
            array_release(out);
            return false;
        }
    }
    return true;
}

static void array_set(struct ArrowArray *array, const void *valid, const void *first, const void *second) {
    struct array *held = array->private_data;
    held->buffers[0] = valid;
    held->buffers[1] = first;
    held->buffers[2] = second;
}

// A map's keys or values.
static bool array_of_text(struct ArrowArray *out, struct decode *decode, size_t count, const struct buffer *offsets,
                          const struct buffer *data) {
    if (!array_begin(out, decode, count, 3, 0))
        return false;
    array_set(out, NULL, offsets->data, data->data ? data->data : (const void *)"");
    return true;
}

static bool array_of_column(struct ArrowArray *out, struct decode *decode, const struct column *column,
                            enum column_type type, size_t rows) {
    if (!array_begin(out, decode, rows, type == COLUMN_TEXT ? 3 : 2, type == COLUMN_MAP || type == COLUMN_PAIRS))
        return false;
    out->null_count = -1; // not counted
    if (column_width(type)) {
        array_set(out, column->valid.data, column->data.data, NULL);
        return true;
    }
    array_set(out, column->valid.data, column->offsets.data, column->data.data ? column->data.data : (const void *)"");
    if (type == COLUMN_TEXT)
        return true;
    array_set(out, column->valid.data, column->offsets.data, NULL);
    struct ArrowArray *entries = out->children[0];
    if (array_begin(entries, decode, column->entries, 1, 2) &&
        array_of_text(entries->children[0], decode, column->entries, &column->key_offsets, &column->data) &&
        array_of_text(entries->children[1], decode, column->entries, &column->value_offsets, &column->values))
        return true;
    array_release(out);
    return false;
}

static int stream_next(struct ArrowArrayStream *self, struct ArrowArray *out) {
    struct stream *stream = self->private_data;
    const struct table *table = &stream->decode->tables[stream->table];
    *out = (struct ArrowArray){0}; // release NULL: the end of the stream
    if (stream->done || table->rows == 0)
        return 0;
    if (!array_begin(out, stream->decode, table->rows, 1, table->spec->columns))
        return ENOMEM;
    for (size_t i = 0; i < table->spec->columns; i++) {
        if (!array_of_column(out->children[i], stream->decode, &table->column[i], table->spec->column[i].type,
                             table->rows)) {
            array_release(out);
            return ENOMEM;
        }
    }
    stream->done = true;
    return 0;
}

static const char *stream_error(struct ArrowArrayStream *self) {
    (void)self;
    return "out of memory";
}

static void stream_release(struct ArrowArrayStream *self) {
    struct stream *stream = self->private_data;
    self->release = NULL;
    decode_release(stream->decode);
    free(stream);
}

enum status decode_stream(struct decode *decode, enum decode_table table, struct ArrowArrayStream *out) {
    struct stream *stream = malloc(sizeof *stream);
    if (!stream)
        return STATUS_NO_MEMORY;
    atomic_fetch_add(&decode->references, 1);
    *stream = (struct stream){decode, table, false};
    *out = (struct ArrowArrayStream){stream_schema, stream_next, stream_error, stream_release, stream};
    return STATUS_OK;
}
