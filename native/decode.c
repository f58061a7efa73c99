// SPDX-License-Identifier: Apache-2.0
// decode: the outer shape that traces, metrics and logs share: a request holds resources, a resource holds scopes, a
// scope holds items. Resources and scopes become rows here, items in decode_spans.c, decode_metrics.c, decode_logs.c.
#include "decode.h"
#include "decode_json.h"
#include "decode_state.h"
#include <stdlib.h>
#include <string.h>

enum {
    RESOURCE_ID,
    RESOURCE_SERVICE,
    RESOURCE_INSTANCE,
    RESOURCE_PID,
    RESOURCE_ATTRIBUTES,
    RESOURCE_URL,
    RESOURCE_DROPPED
};
static const struct table_spec resources_spec = {"resources",
                                                 7,
                                                 {{"resource_id", COLUMN_U64},
                                                  {"service", COLUMN_TEXT},
                                                  {"instance", COLUMN_TEXT},
                                                  {"pid", COLUMN_I64},
                                                  {"attributes", COLUMN_MAP},
                                                  {"schema_url", COLUMN_TEXT},
                                                  {"dropped", COLUMN_U32}}};

enum { SCOPE_ID, SCOPE_NAME, SCOPE_VERSION, SCOPE_ATTRIBUTES, SCOPE_URL, SCOPE_DROPPED };
static const struct table_spec scopes_spec = {"scopes",
                                              6,
                                              {{"scope_id", COLUMN_U64},
                                               {"name", COLUMN_TEXT},
                                               {"version", COLUMN_TEXT},
                                               {"attributes", COLUMN_MAP},
                                               {"schema_url", COLUMN_TEXT},
                                               {"dropped", COLUMN_U32}}};

#define SLICE(text) ((struct slice){(const uint8_t *)(text), sizeof(text) - 1})

enum status decode_create(struct decode **out, enum decode_kind kind, uint64_t seed) {
    struct decode *decode = calloc(1, sizeof *decode);
    if (!decode)
        return STATUS_NO_MEMORY;
    atomic_init(&decode->references, 1);
    decode->kind = kind;
    decode->pairs.seed = seed;
    decode->resources.seed = decode->scopes.seed = seed | 1;
    table_begin(&decode->tables[DECODE_ITEMS], kind == DECODE_TRACES    ? &decode_spans_spec
                                               : kind == DECODE_METRICS ? &decode_points_spec
                                                                        : &decode_logs_spec);
    table_begin(&decode->tables[DECODE_RESOURCES], &resources_spec);
    table_begin(&decode->tables[DECODE_SCOPES], &scopes_spec);
    *out = decode;
    return STATUS_OK;
}

static size_t decode_bytes(const struct decode *decode) {
    size_t bytes = 0;
    for (size_t i = 0; i < DECODE_TABLES; i++)
        bytes += decode->tables[i].text_bytes + decode->tables[i].rows * table_row_bytes(decode->tables[i].spec);
    return bytes;
}

enum status decode_keep(struct decode *decode, enum decode_table table) {
    table_keep_row(&decode->tables[table]);
    return decode_bytes(decode) > decode->limit_bytes ? STATUS_TOO_LARGE : STATUS_OK;
}

enum status decode_accept(struct decode *decode) {
    decode->outcome.accepted++;
    return decode_keep(decode, DECODE_ITEMS);
}

void decode_reject(struct decode *decode, enum decode_reason reason) {
    decode->outcome.rejected++;
    decode->outcome.reasons[reason]++;
    table_cut(&decode->tables[DECODE_ITEMS], decode->tables[DECODE_ITEMS].rows);
}

enum status decode_put_attributes(struct decode *decode, struct table *table, size_t column, struct pairs_mark mark,
                                  uint32_t *dropped) {
    struct pairs *pairs = &decode->pairs;
    enum status status = STATUS_OK;
    pairs_unique(pairs, mark);
    size_t end = pairs->count;
    for (size_t i = mark.first; i < end; i++) {
        struct pair pair = pairs->items[i]; // a copy: the array may move while a nested value is written
        struct buffer *value = put_entry_begin(table, column, pairs_key(pairs, &pair));
        status = json_add_value(value, pairs, pair.value);
        if (status == STATUS_OK) {
            put_entry_end(table, column);
            continue;
        }
        put_entry_forget(table, column);
        if (status != STATUS_TOO_LARGE)
            return status;
        *dropped += *dropped < UINT32_MAX;
    }
    put_map_end(table, column);
    pairs_end(pairs, mark);
    return STATUS_OK;
}

enum status decode_add_attributes(struct decode *decode, struct buffer *out, struct pairs_mark mark, uint32_t dropped) {
    struct pairs *pairs = &decode->pairs;
    pairs_unique(pairs, mark);
    if (pairs->count > mark.first) {
        buffer_add_text(out, ",\"attributes\":");
        enum status status = json_add_pairs(out, pairs, mark, &dropped);
        if (status != STATUS_OK)
            return status;
    }
    if (dropped) {
        buffer_add_text(out, ",\"dropped_attributes\":");
        text_add_uint(out, dropped);
    }
    pairs_end(pairs, mark);
    return STATUS_OK;
}

// The value of a string attribute among the pairs from `mark` on, or `missing`.
static struct slice resource_text(const struct decode *decode, struct pairs_mark mark, struct slice key,
                                  struct slice missing) {
    struct slice found;
    for (size_t i = mark.first; i < decode->pairs.count; i++) {
        struct slice name = pairs_key(&decode->pairs, &decode->pairs.items[i]);
        if (name.bytes == key.bytes && memcmp(name.at, key.at, key.bytes) == 0 &&
            json_is_string(decode->pairs.items[i].value, &found))
            return found;
    }
    return missing;
}

static void resource_put_pid(struct decode *decode, struct table *table, struct pairs_mark mark) {
    int64_t pid;
    for (size_t i = mark.first; i < decode->pairs.count; i++) {
        struct slice name = pairs_key(&decode->pairs, &decode->pairs.items[i]);
        if (name.bytes == 11 && memcmp(name.at, "process.pid", 11) == 0 &&
            json_is_int(decode->pairs.items[i].value, &pid))
            put_i64(table, RESOURCE_PID, pid);
    }
}

// Reads a Resource message: makes it the current one, and a row when the batch has none of it yet.
static enum status decode_resource(struct decode *decode, struct slice message, struct slice url) {
    struct table *table = &decode->tables[DECODE_RESOURCES];
    struct pairs_mark mark = pairs_begin(&decode->pairs);
    struct wire wire = wire_of(message);
    struct wire_field field;
    uint32_t dropped = 0;
    bool added;
    while (wire_next(&wire, &field)) {
        if (field.tag == WIRE_TAG(2, WIRE_VARINT))
            dropped = (uint32_t)field.value;
        if (field.tag != WIRE_TAG(1, WIRE_BYTES))
            continue;
        enum status status = pairs_add(&decode->pairs, mark, field.bytes, &dropped);
        if (status != STATUS_OK)
            return status;
    }
    if (wire.bad)
        return STATUS_BAD_INPUT;
    pairs_unique(&decode->pairs, mark);
    decode->resource_id = ids_hash(message, url);
    decode->service = resource_text(decode, mark, SLICE("service.name"), SLICE("unknown_service"));
    enum status status = ids_add(&decode->resources, decode->resource_id, &added);
    if (status != STATUS_OK || !added) {
        pairs_end(&decode->pairs, mark);
        return status;
    }
    if ((status = table_begin_row(table)) != STATUS_OK)
        return status;
    put_u64(table, RESOURCE_ID, decode->resource_id);
    put_text(table, RESOURCE_SERVICE, decode->service);
    put_text(table, RESOURCE_INSTANCE, resource_text(decode, mark, SLICE("service.instance.id"), SLICE("")));
    resource_put_pid(decode, table, mark);
    put_text(table, RESOURCE_URL, url);
    if ((status = decode_put_attributes(decode, table, RESOURCE_ATTRIBUTES, mark, &dropped)) != STATUS_OK)
        return status;
    put_u32(table, RESOURCE_DROPPED, dropped);
    return decode_keep(decode, DECODE_RESOURCES);
}

static enum status scope_put(struct decode *decode, struct slice message, struct slice url) {
    struct table *table = &decode->tables[DECODE_SCOPES];
    struct pairs_mark mark = pairs_begin(&decode->pairs);
    struct slice name = {0}, version = {0};
    struct wire wire = wire_of(message);
    struct wire_field field;
    uint32_t dropped = 0;
    enum status status = table_begin_row(table);
    while (status == STATUS_OK && wire_next(&wire, &field)) {
        if (field.tag == WIRE_TAG(1, WIRE_BYTES))
            name = field.bytes;
        else if (field.tag == WIRE_TAG(2, WIRE_BYTES))
            version = field.bytes;
        else if (field.tag == WIRE_TAG(3, WIRE_BYTES))
            status = pairs_add(&decode->pairs, mark, field.bytes, &dropped);
        else if (field.tag == WIRE_TAG(4, WIRE_VARINT))
            dropped = (uint32_t)field.value;
    }
    if (status != STATUS_OK || wire.bad)
        return wire.bad ? STATUS_BAD_INPUT : status;
    put_u64(table, SCOPE_ID, decode->scope_id);
    put_text(table, SCOPE_NAME, name);
    put_text(table, SCOPE_VERSION, version);
    put_text(table, SCOPE_URL, url);
    if ((status = decode_put_attributes(decode, table, SCOPE_ATTRIBUTES, mark, &dropped)) != STATUS_OK)
        return status;
    put_u32(table, SCOPE_DROPPED, dropped);
    return decode_keep(decode, DECODE_SCOPES);
}

// Reads ResourceSpans, ScopeSpans and their sisters, which are alike: field 1 says whose, 3 the schema's URL.
static enum status header_read(struct slice message, struct slice *owner, struct slice *url) {
    struct wire wire = wire_of(message);
    struct wire_field field;
    *owner = *url = (struct slice){0};
    while (wire_next(&wire, &field)) {
        if (field.tag == WIRE_TAG(1, WIRE_BYTES))
            *owner = field.bytes;
        else if (field.tag == WIRE_TAG(3, WIRE_BYTES))
            *url = field.bytes;
    }
    return wire.bad ? STATUS_BAD_INPUT : STATUS_OK;
}

static enum status decode_item(struct decode *decode, struct slice message) {
    return decode->kind == DECODE_TRACES    ? decode_span(decode, message)
           : decode->kind == DECODE_METRICS ? decode_metric(decode, message)
                                            : decode_log(decode, message);
}

static enum status decode_scope_items(struct decode *decode, struct slice message) {
    struct slice scope, url;
    bool added;
    enum status status = header_read(message, &scope, &url);
    if (status != STATUS_OK)
        return status;
    decode->scope_id = ids_hash(scope, url);
    status = ids_add(&decode->scopes, decode->scope_id, &added);
    if (status == STATUS_OK && added)
        status = scope_put(decode, scope, url);
    struct wire wire = wire_of(message);
    struct wire_field field;
    while (status == STATUS_OK && wire_next(&wire, &field))
        if (field.tag == WIRE_TAG(2, WIRE_BYTES))
            status = decode_item(decode, field.bytes);
    return status;
}

static enum status decode_resource_items(struct decode *decode, struct slice message) {
    struct slice resource, url;
    enum status status = header_read(message, &resource, &url);
    if (status == STATUS_OK)
        status = decode_resource(decode, resource, url);
    struct wire wire = wire_of(message);
    struct wire_field field;
    while (status == STATUS_OK && wire_next(&wire, &field))
        if (field.tag == WIRE_TAG(2, WIRE_BYTES))
            status = decode_scope_items(decode, field.bytes);
    return status;
}

// Rebuilds a set of ids from the rows that are left; `column` 0 is the id in both tables.
static void ids_restore(struct ids *ids, const struct table *table) {
    bool added;
    ids_clear(ids);
    for (size_t row = 0; row < table->rows; row++) {
        uint64_t id;
        memcpy(&id, table->column[0].data.data + row * sizeof id, sizeof id);
        if (ids_add(ids, id, &added) != STATUS_OK)
            return; // never: the set has been larger
    }
}

static void decode_take_back(struct decode *decode, const size_t rows[DECODE_TABLES]) {
    bool resources = decode->resources.count != rows[DECODE_RESOURCES];
    bool scopes = decode->scopes.count != rows[DECODE_SCOPES];
    for (size_t i = 0; i < DECODE_TABLES; i++)
        table_cut(&decode->tables[i], rows[i]);
    if (resources)
        ids_restore(&decode->resources, &decode->tables[DECODE_RESOURCES]);
    if (scopes)
        ids_restore(&decode->scopes, &decode->tables[DECODE_SCOPES]);
    decode->pairs.failed = false;
    pairs_end(&decode->pairs, (struct pairs_mark){0, 0});
    decode->pairs.names.failed = false;
}

enum status decode_append(struct decode *decode, const uint8_t *body, size_t bytes, struct decode_outcome *out) {
    struct wire wire = wire_of((struct slice){body, bytes});
    struct wire_field field;
    size_t rows[DECODE_TABLES];
    enum status status = STATUS_OK;
    *out = decode->outcome = (struct decode_outcome){0};
    if (atomic_load(&decode->references) != 1)
        return STATUS_BUSY;
    if (bytes > BUFFER_LIMIT_BYTES)
        return STATUS_TOO_LARGE;
    for (size_t i = 0; i < DECODE_TABLES; i++)
        rows[i] = decode->tables[i].rows;
    decode->limit_bytes = decode_bytes(decode) + bytes * DECODE_EXPANSION + DECODE_ALLOWANCE;
    while (status == STATUS_OK && wire_next(&wire, &field))
        if (field.tag == WIRE_TAG(1, WIRE_BYTES))
            status = decode_resource_items(decode, field.bytes);
    if (status == STATUS_OK && wire.bad)
        status = STATUS_BAD_INPUT;
    for (size_t i = 0; i < DECODE_TABLES && status == STATUS_OK; i++)
        if (table_failed(&decode->tables[i]))
            status = STATUS_NO_MEMORY;
    if (status != STATUS_OK)
        decode_take_back(decode, rows);
    else
        *out = decode->outcome;
    return status;
}

uint64_t decode_rows(const struct decode *decode, enum decode_table table) {
    return decode->tables[table].rows;
}
