// SPDX-License-Identifier: Apache-2.0
// Tables of queries with the text and the summary that must come of them. Every query is also given byte by byte
// shorter, in a buffer of exactly its size, so that AddressSanitizer sees any read behind the end. The published cases
// of the conventions are in tests/native/test_sql.py.
#include "sql.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int failures;
static struct sql_description out;

static bool same(const char *expected, const char *text, size_t bytes) {
    return strlen(expected) == bytes && memcmp(expected, text, bytes) == 0;
}

static void check(bool good, const char *what, const char *query) {
    if (good)
        return;
    printf("FAILED: %s: \"%.200s\"\n  text \"%.*s\"\n  summary \"%.*s\"\n", what, query, (int)out.text_bytes, out.text,
           (int)out.summary_bytes, out.summary);
    failures++;
}

static void describe_exact(const char *query, size_t bytes, bool parameterised) {
    char *copy = malloc(bytes ? bytes : 1);
    if (!copy)
        abort();
    memcpy(copy, query, bytes);
    sql_describe(copy, bytes, parameterised, &out);
    free(copy);
}

struct row {
    const char *query;
    const char *text; // NULL: as the query
    const char *summary;
    const char *operation;
    const char *collection;
};

static void check_rows(const struct row *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const struct row *row = &rows[i];
        size_t bytes = strlen(row->query);
        for (size_t shorter = 0; shorter < bytes; shorter++) {
            describe_exact(row->query, shorter, false);
            describe_exact(row->query, shorter, true);
        }
        describe_exact(row->query, bytes, false);
        check(same(row->text ? row->text : row->query, out.text, out.text_bytes), "text", row->query);
        check(same(row->summary, out.summary, out.summary_bytes), "summary", row->query);
        check(same(row->operation, out.operation, out.operation_bytes), "operation", row->query);
        check(same(row->collection, out.collection, out.collection_bytes), "collection", row->query);
    }
}

#define CHECK_ROWS(rows) check_rows(rows, sizeof(rows) / sizeof((rows)[0]))

static void literals_become_placeholders(void) {
    static const struct row rows[] = {
        {"SELECT x'1F', E'a\\'b', N'x', _utf8'y', B'01', $$it's$$, $q$ 'a' $q$ FROM t",
         "SELECT ?, ?, ?, ?, ?, ?, ? FROM t", "SELECT t", "SELECT", "t"},
        {"SELECT DATE '2020-01-01', INTERVAL '1' DAY FROM t", "SELECT DATE ?, INTERVAL ? DAY FROM t", "SELECT t",
         "SELECT", "t"},
        {"UPDATE t SET a=TRUE, b=false, n=n-1 WHERE c=.5e-3", "UPDATE t SET a=?, b=?, n=n-? WHERE c=?", "UPDATE t",
         "UPDATE", "t"},
        {"SELECT a.true FROM t WHERE s = 'C:\\\\'", "SELECT a.? FROM t WHERE s = ?", "SELECT t", "SELECT", "t"},
        {"SELECT 1 FROM t WHERE price = $100 AND a = :name AND b = ?",
         "SELECT ? FROM t WHERE price = $? AND a = :name AND b = ?", "SELECT t", "SELECT", "t"},
        {"SELECT * FROM t WHERE a IN (1, -2, 'x') AND b IN (1, c) AND d IN (SELECT 5)",
         "SELECT * FROM t WHERE a IN (?) AND b IN (?, c) AND d IN (SELECT ?)", "SELECT t SELECT", "SELECT", "t"},
        {"SELECT 1 FROM t WHERE a = 'no end", "SELECT ? FROM t WHERE a = ?", "SELECT t", "SELECT", "t"},
        {"SELECT 1 /* no end", "SELECT ? ", "SELECT", "SELECT", ""},
        {"SELECT 1 # it's a secret\nFROM t", "SELECT ? \nFROM t", "SELECT t", "SELECT", "t"},
        {"/* who */ SELECT 1 -- it's\n", " SELECT ? \n", "SELECT", "SELECT", ""},
        {"", "", "", "", ""},
    };
    CHECK_ROWS(rows);
}

// Quotes mean a name in one dialect and a value in the other: shown only where it can be nothing but a name.
static void quoted_names_stay_and_quoted_values_go(void) {
    static const struct row rows[] = {
        {"SELECT \"u\".\"id\" FROM \"users\" WHERE \"u\".\"x\" = \"secret\"",
         "SELECT \"u\".\"id\" FROM \"users\" WHERE \"u\".\"x\" = ?", "SELECT \"users\"", "SELECT", "\"users\""},
        {"INSERT INTO `a`.`b` VALUES (\"it's\", 'x')", "INSERT INTO `a`.`b` VALUES (?, ?)", "INSERT `a`.`b`", "INSERT",
         "`a`.`b`"},
        {"SELECT * FROM [Order Details] WHERE [x y] = a[1]", "SELECT * FROM [Order Details] WHERE [x y] = a[?]",
         "SELECT [Order Details]", "SELECT", "[Order Details]"},
        {"SELECT * FROM #temp", NULL, "SELECT #temp", "SELECT", "#temp"},
        {"SELECT * FROM \"song list\", 'artists'", "SELECT * FROM \"song list\", ?", "SELECT \"song list\" 'artists'",
         "SELECT", ""},
    };
    CHECK_ROWS(rows);
}

// Where the end of a string or comment depends on the dialect, nothing behind it is shown.
static void text_ends_where_dialects_disagree(void) {
    static const char *const rows[] = {
        "SELECT 'it\\'s', secret FROM t",   "SELECT /* a /* b */ secret */ 1", "SELECT q'[it's]', secret FROM t",
        "SELECT \"a\\\"b\", secret FROM t", "SELECT [it's], secret FROM t",    "SELECT 'a\\\\\\'', secret FROM t",
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        describe_exact(rows[i], strlen(rows[i]), false);
        check(same("SELECT ", out.text, out.text_bytes) && out.cut, "nothing behind the doubt", rows[i]);
        check(same("SELECT", out.summary, out.summary_bytes), "summary before the doubt", rows[i]);
    }
    const char *escape = "SELECT a FROM t WHERE a LIKE 'x' ESCAPE '\\' AND b = 'c'";
    describe_exact(escape, strlen(escape), false);
    check(same("SELECT a FROM t WHERE a LIKE ? ESCAPE ? AND b = ?", out.text, out.text_bytes), "ESCAPE", escape);
}

static void summaries_name_verbs_and_targets(void) {
    static const struct row rows[] = {
        {"INSERT OR REPLACE INTO t(a) VALUES (b)", NULL, "INSERT t", "INSERT", "t"},
        {"REPLACE INTO t SELECT a FROM u", NULL, "REPLACE t SELECT u", "", ""},
        {"INSERT INTO t DEFAULT VALUES ON CONFLICT DO UPDATE SET a=b", NULL, "INSERT t", "INSERT", "t"},
        {"DELETE FROM logs USING other", NULL, "DELETE logs other", "DELETE", ""},
        {"UPDATE a, b SET x=y", NULL, "UPDATE a b", "UPDATE", ""},
        {"MERGE INTO t USING s ON t.a=s.a WHEN MATCHED THEN UPDATE SET x=y", NULL, "MERGE t s", "MERGE", ""},
        {"WITH r AS (SELECT * FROM o) INSERT INTO t SELECT * FROM r", NULL, "SELECT o INSERT t SELECT r", "", ""},
        {"WITH d AS (DELETE FROM o RETURNING a) SELECT * FROM d", NULL, "DELETE o SELECT d", "", ""},
        {"(SELECT a FROM b) UNION (SELECT c FROM b)", NULL, "SELECT b SELECT b", "SELECT", "b"},
        {"SELECT EXTRACT(YEAR FROM ts) FROM t WHERE a IS DISTINCT FROM b", NULL, "SELECT t", "SELECT", "t"},
        {"SELECT * FROM a, (SELECT * FROM b) x, c JOIN d USING (id)", NULL, "SELECT a SELECT b c d", "SELECT", ""},
        {"SELECT * FROM (a JOIN b ON a.x=b.x), f(c), LATERAL g(a)", NULL, "SELECT a b", "SELECT", ""},
        {"SELECT a INTO b FROM c FOR UPDATE", NULL, "SELECT b c", "SELECT", ""},
        {"CREATE UNIQUE INDEX IF NOT EXISTS i ON t(a)", NULL, "CREATE INDEX i", "CREATE INDEX", ""},
        {"CREATE OR REPLACE TEMP VIEW v AS SELECT a FROM t", NULL, "CREATE VIEW v SELECT t", "", ""},
        {"CREATE USER bob", NULL, "CREATE USER", "CREATE USER", ""},
        {"TRUNCATE x", NULL, "TRUNCATE x", "TRUNCATE", "x"},
        {"TRUNCATE TABLE x.y", NULL, "TRUNCATE TABLE x.y", "TRUNCATE TABLE", "x.y"},
        {"DROP TABLE IF EXISTS a", NULL, "DROP TABLE a", "DROP TABLE", "a"},
        {"LOCK TABLE t", NULL, "LOCK t", "LOCK", ""},
        {"EXPLAIN QUERY PLAN SELECT * FROM t", NULL, "EXPLAIN SELECT t", "", "t"},
        {"PRAGMA table_info(users)", NULL, "PRAGMA table_info", "PRAGMA", ""},
        {"CALL p(a)", NULL, "CALL p", "CALL", ""},
        {"SAVEPOINT sa_1", NULL, "SAVEPOINT", "SAVEPOINT", ""},
        {"BEGIN", NULL, "BEGIN", "BEGIN", ""},
        {"select a from t; update u set b=c", NULL, "select t update u", "", ""},
        {"hunter2 is no SQL", NULL, "", "", ""},
    };
    CHECK_ROWS(rows);
}

static void parameterised_text_stays(void) {
    const char *query = "SELECT 'x' /* y */ FROM t WHERE a IN (?, ?)";
    describe_exact(query, strlen(query), true);
    check(same(query, out.text, out.text_bytes) && !out.cut, "as it is", query);
    check(same("SELECT t", out.summary, out.summary_bytes), "summary", query);
}

static void long_queries_are_cut_at_a_character(void) {
    size_t bytes = SQL_TEXT_BYTES + 100;
    char *query = malloc(bytes);
    if (!query)
        abort();
    memcpy(query, "SELECT  ", 8);
    for (size_t at = 8; at + 3 <= bytes; at += 3)
        memcpy(query + at, "\xe2\x82\xac", 3);
    sql_describe(query, 8 + (bytes - 8) / 3 * 3, true, &out);
    check(out.cut && out.text_bytes <= SQL_TEXT_BYTES && (out.text_bytes - 8) % 3 == 0, "cut", "SELECT €€€…");
    free(query);
}

static void summary_is_never_cut_inside_a_word(void) {
    char query[4096] = "SELECT * FROM t0";
    for (int i = 1; i < 100; i++)
        snprintf(query + strlen(query), sizeof query - strlen(query), ", table_number_%d", i);
    describe_exact(query, strlen(query), true);
    check(out.summary_bytes > 230, "length", query);
    char last[300];
    snprintf(last, sizeof last, "%.*s,", (int)out.summary_bytes, out.summary);
    check(strstr(query, strrchr(last, ' ')) != NULL, "whole word", query);
}

// What an attacker can put into a query: none of it takes long, whatever it is made of.
static void hostile_megabytes_are_bounded(void) {
    static const char *const pieces[] = {"'",  "\"", "/*",       "*/ /*", "(", "$a$", "$a",
                                         "[a", "a.", "IN (1,",   "\\'",   "#", "a ",  "SELECT * FROM ",
                                         "1",  "-",  "\xf0\x9f", ", ",    "x'"};
    size_t bytes = 1u << 20;
    char *query = malloc(bytes);
    if (!query)
        abort();
    clock_t before = clock();
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        size_t length = strlen(pieces[i]);
        for (size_t at = 0; at < bytes; at++)
            query[at] = pieces[i][at % length];
        for (int parameterised = 0; parameterised < 2; parameterised++) {
            sql_describe(query, bytes, parameterised, &out);
            check(out.text_bytes <= SQL_TEXT_BYTES && out.cut, "bounded", pieces[i]);
        }
    }
    check((clock() - before) / CLOCKS_PER_SEC < 20, "not quadratic", "all of them");
    memset(query, 0, bytes);
    sql_describe(query, bytes, false, &out);
    check(out.summary_bytes == 0, "NUL", "NUL bytes");
    free(query);
}

int main(void) {
    literals_become_placeholders();
    quoted_names_stay_and_quoted_values_go();
    text_ends_where_dialects_disagree();
    summaries_name_verbs_and_targets();
    parameterised_text_stays();
    long_queries_are_cut_at_a_character();
    summary_is_never_cut_inside_a_word();
    hostile_megabytes_are_bounded();
    printf(failures ? "%d checks failed\n" : "all good\n", failures);
    return failures > 0;
}
