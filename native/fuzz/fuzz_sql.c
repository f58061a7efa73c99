// SPDX-License-Identifier: Apache-2.0
// Any bytes as a query. Besides not crashing: sizes hold, a parameterised text is a beginning of the query, a
// sanitised one is hardly longer than it, and the collection is a part of it.
#include "sql.h"
#include <stdlib.h>
#include <string.h>

static bool is_within(const char *query, size_t bytes, const char *word, size_t word_bytes) {
    for (size_t at = 0; at + word_bytes <= bytes; at++)
        if (memcmp(query + at, word, word_bytes) == 0)
            return true;
    return word_bytes == 0;
}

static void check(const char *query, size_t bytes, bool parameterised, struct sql_description *out) {
    sql_describe(query, bytes, parameterised, out);
    if (out->text_bytes > SQL_TEXT_BYTES || out->text_bytes > bytes + 1)
        abort();
    if (!is_within(query, bytes, out->collection, out->collection_bytes))
        abort();
    if (out->operation_bytes > SQL_NAME_BYTES || out->collection_bytes > SQL_NAME_BYTES)
        abort();
    if (parameterised && (memcmp(query, out->text, out->text_bytes) != 0 || (out->text_bytes < bytes && !out->cut)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct sql_description out;
    check((const char *)data, size, true, &out);
    check((const char *)data, size, false, &out);
    return 0;
}
