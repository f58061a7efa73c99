// SPDX-License-Identifier: Apache-2.0
// Describes one query a run, for tests in Python: the query comes on standard input, `-p` says that it has parameters;
// the answer is text, summary, operation and collection, each with a 0 byte behind it, then `cut` or `whole`.
#include "sql.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void field(const char *text, size_t bytes) {
    fwrite(text, 1, bytes, stdout);
    putchar('\0');
}

int main(int argc, char **argv) {
    size_t capacity = 2u << 20;
    char *query = malloc(capacity);
    struct sql_description *out = malloc(sizeof *out);
    if (!query || !out)
        return 1;
    size_t bytes = fread(query, 1, capacity, stdin);
    sql_describe(query, bytes, argc > 1 && strcmp(argv[1], "-p") == 0, out);
    field(out->text, out->text_bytes);
    field(out->summary, out->summary_bytes);
    field(out->operation, out->operation_bytes);
    field(out->collection, out->collection_bytes);
    fputs(out->cut ? "cut" : "whole", stdout);
    free(query);
    free(out);
    return 0;
}
