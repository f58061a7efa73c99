// SPDX-License-Identifier: Apache-2.0
// sql_summary: one walk over the tokens with a small state: what the verb is, whether a name is expected next, and for
// each level of parentheses whether it is a query and whether its FROM list is still open. Pure, any thread.
//
// Only known verbs are named: text that is no SQL must not become a span's name. Names of savepoints, users and files
// are left out, they have a high cardinality or are nobody's business.
#include "sql_summary.h"
#include "sql_lex.h"
#include <string.h>

enum word_class {
    WORD_OTHER = 0,
    WORD_SELECT, // a verb anywhere
    WORD_CHANGE, // INSERT, UPDATE, DELETE, MERGE: a verb at the start of a statement or right after "("
    WORD_NAMED,  // a verb at the start, a name follows
    WORD_DEFINE, // CREATE, ALTER, …: a verb at the start, a kind of object and its name follow
    WORD_PLAIN,  // a verb at the start, nothing that may be shown follows
    WORD_PREFIX, // WITH, EXPLAIN: the verb is still to come
    WORD_KIND,   // TABLE, VIEW, …
    WORD_SECRET, // USER, ROLE: a kind whose names aren't shown
    WORD_SOURCE, // FROM, JOIN, …: a name follows
    WORD_CLAUSE, // ends a list of sources
    WORD_FILLER, // stands between a verb and its name
};

// Sorted, for the search.
// clang-format off
static const struct {
    const char *text;
    enum word_class class;
} words[] = {
    {"ABORT", WORD_FILLER}, {"ALTER", WORD_DEFINE}, {"ANALYZE", WORD_NAMED}, {"ATTACH", WORD_PLAIN},
    {"BEGIN", WORD_PLAIN}, {"CALL", WORD_NAMED}, {"CHECKPOINT", WORD_PLAIN}, {"CLOSE", WORD_PLAIN},
    {"COMMIT", WORD_PLAIN}, {"CONCURRENTLY", WORD_FILLER}, {"COPY", WORD_NAMED}, {"CREATE", WORD_DEFINE},
    {"DATABASE", WORD_KIND}, {"DEALLOCATE", WORD_PLAIN}, {"DECLARE", WORD_PLAIN}, {"DELAYED", WORD_FILLER},
    {"DELETE", WORD_CHANGE}, {"DESCRIBE", WORD_NAMED}, {"DETACH", WORD_PLAIN}, {"DO", WORD_PLAIN},
    {"DROP", WORD_DEFINE}, {"END", WORD_PLAIN}, {"EXCEPT", WORD_CLAUSE}, {"EXEC", WORD_NAMED},
    {"EXECUTE", WORD_NAMED}, {"EXISTS", WORD_FILLER}, {"EXPLAIN", WORD_PREFIX}, {"EXTENSION", WORD_KIND},
    {"FAIL", WORD_FILLER}, {"FETCH", WORD_PLAIN}, {"FLUSH", WORD_PLAIN}, {"FOR", WORD_CLAUSE}, {"FROM", WORD_SOURCE},
    {"FUNCTION", WORD_KIND}, {"GRANT", WORD_PLAIN}, {"GROUP", WORD_CLAUSE}, {"HAVING", WORD_CLAUSE},
    {"IF", WORD_FILLER}, {"IGNORE", WORD_FILLER}, {"INDEX", WORD_KIND}, {"INSERT", WORD_CHANGE},
    {"INTERSECT", WORD_CLAUSE}, {"INTO", WORD_SOURCE}, {"JOIN", WORD_SOURCE}, {"KILL", WORD_PLAIN},
    {"LATERAL", WORD_FILLER}, {"LIMIT", WORD_CLAUSE}, {"LISTEN", WORD_PLAIN}, {"LOAD", WORD_PLAIN},
    {"LOCK", WORD_NAMED}, {"LOW_PRIORITY", WORD_FILLER}, {"MERGE", WORD_CHANGE}, {"NOT", WORD_FILLER},
    {"NOTIFY", WORD_PLAIN}, {"OFFSET", WORD_CLAUSE}, {"ON", WORD_FILLER}, {"ONLY", WORD_FILLER},
    {"OPTIMIZE", WORD_NAMED}, {"OR", WORD_FILLER}, {"ORDER", WORD_CLAUSE}, {"OVERWRITE", WORD_FILLER},
    {"PRAGMA", WORD_NAMED}, {"PREPARE", WORD_PLAIN}, {"PROCEDURE", WORD_KIND}, {"REFRESH", WORD_DEFINE},
    {"REINDEX", WORD_NAMED}, {"RELEASE", WORD_PLAIN}, {"REPLACE", WORD_CHANGE}, {"RETURNING", WORD_CLAUSE},
    {"REVOKE", WORD_PLAIN}, {"ROLE", WORD_SECRET}, {"ROLLBACK", WORD_PLAIN}, {"SAVEPOINT", WORD_PLAIN},
    {"SCHEMA", WORD_KIND}, {"SELECT", WORD_SELECT}, {"SEQUENCE", WORD_KIND}, {"SET", WORD_PLAIN},
    {"SHOW", WORD_PLAIN}, {"START", WORD_PLAIN}, {"STRAIGHT_JOIN", WORD_SOURCE}, {"TABLE", WORD_KIND},
    {"TRIGGER", WORD_KIND}, {"TRUNCATE", WORD_DEFINE}, {"TYPE", WORD_KIND}, {"UNION", WORD_CLAUSE},
    {"UPDATE", WORD_CHANGE}, {"UPSERT", WORD_CHANGE}, {"USE", WORD_NAMED}, {"USER", WORD_SECRET},
    {"USING", WORD_SOURCE}, {"VACUUM", WORD_NAMED}, {"VALUES", WORD_CLAUSE}, {"VIEW", WORD_KIND},
    {"WHERE", WORD_CLAUSE}, {"WINDOW", WORD_CLAUSE}, {"WITH", WORD_PREFIX},
};
// clang-format on

enum expectation { EXPECT_NOTHING, EXPECT_NAME, EXPECT_SOURCE, EXPECT_KIND };

#define LEVELS 64 // deeper parentheses are not looked into

struct walk {
    struct sql_description *out; // Borrowed
    struct sql_lexer lexer;
    enum expectation expect; // what the next word may be
    bool verb_open;          // the statement's verb is still to come
    bool full;               // a word didn't fit: nothing is added any more
    bool mixed_operations;   // there were different ones
    bool mixed_collections;  // there were different ones
    bool tables;             // what the verb names are tables or views
    unsigned depth;          // of parentheses
    unsigned fillers;        // words passed over since the verb
    uint64_t queries;        // bit for each level: a query is under way, FROM means something
    uint64_t lists;          // bit for each level: in its list of sources, a comma brings the next one
};

static enum word_class word_class(struct sql_token token) {
    size_t low = 0, high = sizeof(words) / sizeof(words[0]);
    while (low < high) {
        size_t middle = (low + high) / 2;
        const char *text = words[middle].text;
        size_t i = 0;
        int order = 0;
        for (; i < token.bytes && text[i] && !order; i++)
            order = ((token.at[i] >= 'a' && token.at[i] <= 'z') ? token.at[i] - 32 : token.at[i]) - text[i];
        if (!order)
            order = i < token.bytes ? 1 : (text[i] ? -1 : 0);
        if (!order)
            return words[middle].class;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return WORD_OTHER;
}

static uint64_t level(const struct walk *walk) {
    return walk->depth < LEVELS ? UINT64_C(1) << walk->depth : 0;
}

// Adds a word to the summary, whole or not at all.
static bool add_word(struct walk *walk, const char *text, size_t bytes) {
    struct sql_description *out = walk->out;
    size_t space = out->summary_bytes > 0;
    if (walk->full || bytes + space > SQL_SUMMARY_BYTES - (size_t)out->summary_bytes) {
        walk->full = true;
        return false;
    }
    if (space)
        out->summary[out->summary_bytes++] = ' ';
    memcpy(out->summary + out->summary_bytes, text, bytes);
    out->summary_bytes = (uint8_t)(out->summary_bytes + bytes);
    return true;
}

// Keeps the one name that a field can have; a second, different one empties it for good.
static void keep_single(char *field, uint8_t *bytes, bool *mixed, const char *text, size_t text_bytes) {
    if (text_bytes > SQL_NAME_BYTES || (*bytes && (*bytes != text_bytes || memcmp(field, text, text_bytes) != 0)))
        *mixed = true;
    if (*mixed) {
        *bytes = 0;
        return;
    }
    memcpy(field, text, text_bytes);
    *bytes = (uint8_t)text_bytes;
}

static void add_operation(struct walk *walk, struct sql_token verb) {
    if (!add_word(walk, verb.at, verb.bytes))
        walk->mixed_operations = true;
    keep_single(walk->out->operation, &walk->out->operation_bytes, &walk->mixed_operations, verb.at, verb.bytes);
}

// TABLE after CREATE belongs to the operation.
static void add_kind(struct walk *walk, struct sql_token kind) {
    struct sql_description *out = walk->out;
    walk->tables = sql_token_is(kind, "TABLE") || sql_token_is(kind, "VIEW");
    bool fits = add_word(walk, kind.at, kind.bytes) && out->operation_bytes + kind.bytes < SQL_NAME_BYTES;
    if (!fits || walk->mixed_operations)
        return;
    out->operation[out->operation_bytes++] = ' ';
    memcpy(out->operation + out->operation_bytes, kind.at, kind.bytes);
    out->operation_bytes = (uint8_t)(out->operation_bytes + kind.bytes);
}

// A name and all that hangs on it by dots: dbo.orders, "shop"."orders".
static void add_name(struct walk *walk, struct sql_token name, bool source) {
    while (walk->lexer.at < walk->lexer.end && *walk->lexer.at == '.') {
        struct sql_lexer ahead = walk->lexer;
        sql_lex_next(&ahead);
        struct sql_token part = sql_lex_next(&ahead);
        if (part.kind != SQL_WORD && part.kind != SQL_QUOTED)
            break;
        walk->lexer = ahead;
        name.bytes = (size_t)(ahead.at - name.at);
    }
    walk->expect = EXPECT_NOTHING;
    if (source && sql_lex_peek(&walk->lexer) == '(') // a function that makes rows
        return;
    if (*name.at == '@') // a variable
        return;
    if (!add_word(walk, name.at, name.bytes))
        walk->mixed_collections = true;
    if (walk->tables)
        keep_single(walk->out->collection, &walk->out->collection_bytes, &walk->mixed_collections, name.at, name.bytes);
}

static void start_statement(struct walk *walk) {
    walk->expect = EXPECT_NOTHING;
    walk->verb_open = true;
    walk->depth = 0;
    walk->queries = walk->lists = 0;
}

// The word is a verb: name it and set what follows.
static void take_verb(struct walk *walk, struct sql_token word, enum word_class class) {
    add_operation(walk, word);
    walk->verb_open &= walk->depth > 0; // WITH: the queries in parentheses come before the verb
    walk->fillers = 0;
    walk->tables = class == WORD_SELECT || class == WORD_CHANGE || sql_token_is(word, "TRUNCATE");
    walk->expect = class == WORD_DEFINE ? EXPECT_KIND : EXPECT_NAME;
    if (class == WORD_SELECT || class == WORD_PLAIN)
        walk->expect = EXPECT_NOTHING;
    if (class == WORD_SELECT || class == WORD_CHANGE) {
        walk->queries |= level(walk);
        walk->lists &= ~level(walk);
    }
    if (sql_token_is(word, "UPDATE"))
        walk->lists |= level(walk);
}

static bool is_verb(const struct walk *walk, enum word_class class, struct sql_token before) {
    if (class == WORD_SELECT)
        return true;
    bool first = walk->verb_open && walk->depth == 0;
    if (class == WORD_CHANGE)
        return first || (before.kind == SQL_MARK && *before.at == '(' && sql_lex_peek(&walk->lexer) != '(');
    return first && (class == WORD_NAMED || class == WORD_DEFINE || class == WORD_PLAIN || class == WORD_PREFIX);
}

// FROM, JOIN, INTO, USING: what comes next is a source, if this level is a query.
static void take_source(struct walk *walk, struct sql_token word, struct sql_token before) {
    bool from = sql_token_is(word, "FROM");
    if (!(walk->queries & level(walk)) || (from && sql_token_is(before, "DISTINCT")))
        return;
    if (sql_token_is(word, "USING") && sql_lex_peek(&walk->lexer) == '(')
        return;
    bool into = sql_token_is(word, "INTO");
    walk->expect = into ? EXPECT_NAME : EXPECT_SOURCE;
    if (!into)
        walk->lists |= level(walk);
}

// A word while a kind of object is expected. Only TRUNCATE may go without one.
static bool take_kind(struct walk *walk, struct sql_token word, enum word_class class, struct sql_token before) {
    if (class == WORD_KIND || class == WORD_SECRET) {
        walk->expect = class == WORD_KIND ? EXPECT_NAME : EXPECT_NOTHING;
        add_kind(walk, word);
    } else if (sql_token_is(before, "TRUNCATE")) {
        add_name(walk, word, false);
    } else if (++walk->fillers > 8) {
        walk->expect = EXPECT_NOTHING;
    }
    return true;
}

// Does the word stand between a verb and its name? INSERT OR IGNORE INTO t, LOCK TABLE t, FROM LATERAL f(x)
static bool is_filler(const struct walk *walk, struct sql_token word, enum word_class class, struct sql_token before) {
    if (walk->expect == EXPECT_SOURCE)
        return sql_token_is(word, "LATERAL") || sql_token_is(word, "ONLY");
    if (class == WORD_KIND)
        return !sql_token_is(before, "INTO");
    return class == WORD_FILLER || class == WORD_PLAIN || sql_token_is(word, "REPLACE");
}

// A word while a name or a kind is expected. False: it was none of them, and means what it always means.
static bool take_expected(struct walk *walk, struct sql_token word, enum word_class class, struct sql_token before) {
    if (walk->expect == EXPECT_KIND)
        return take_kind(walk, word, class, before);
    if (class == WORD_SELECT || class == WORD_SOURCE || class == WORD_CLAUSE)
        return false;
    if (!is_filler(walk, word, class, before))
        add_name(walk, word, walk->expect == EXPECT_SOURCE);
    else if (++walk->fillers > 8)
        walk->expect = EXPECT_NOTHING;
    return true;
}

static void take_word(struct walk *walk, struct sql_token word, struct sql_token before) {
    enum word_class class = word_class(word);
    if (before.kind == SQL_MARK && *before.at == '.')
        return;
    if (is_verb(walk, class, before)) {
        if (class == WORD_PREFIX && !sql_token_is(word, "WITH"))
            add_operation(walk, word);
        else if (class != WORD_PREFIX)
            take_verb(walk, word, class);
        return;
    }
    if (walk->expect != EXPECT_NOTHING && take_expected(walk, word, class, before))
        return;
    if (class == WORD_SOURCE)
        take_source(walk, word, before);
    else if (class == WORD_CLAUSE || sql_token_is(word, "SET")) {
        walk->expect = EXPECT_NOTHING;
        walk->lists &= ~level(walk);
    } else if (walk->depth == 0 && (before.kind == SQL_END || (before.kind == SQL_MARK && *before.at == ';')))
        walk->verb_open = false; // begins with no verb that SQL has
}

static void take_mark(struct walk *walk, char mark) {
    bool source = walk->expect == EXPECT_SOURCE;
    walk->expect = EXPECT_NOTHING;
    if (mark == '(') {
        walk->depth++;
        walk->queries = source ? walk->queries | level(walk) : walk->queries & ~level(walk);
        walk->lists = source ? walk->lists | level(walk) : walk->lists & ~level(walk);
        walk->expect = source ? EXPECT_SOURCE : EXPECT_NOTHING;
    } else if (mark == ')' && walk->depth) {
        walk->depth--;
    } else if (mark == ',' && (walk->lists & level(walk))) {
        walk->expect = EXPECT_SOURCE;
    } else if (mark == ';') {
        start_statement(walk);
    }
}

void sql_summarise(const char *query, size_t bytes, struct sql_description *out) {
    struct walk walk = {.out = out};
    sql_lex_start(&walk.lexer, query, bytes);
    start_statement(&walk);
    for (;;) {
        struct sql_token before = walk.lexer.meaning;
        struct sql_token token = sql_lex_next(&walk.lexer);
        if (token.kind == SQL_END || token.kind == SQL_UNSURE)
            break;
        if (token.kind == SQL_WORD)
            take_word(&walk, token, before);
        else if (token.kind == SQL_MARK)
            take_mark(&walk, *token.at);
        else if (token.kind == SQL_QUOTED && walk.expect >= EXPECT_NAME && walk.expect <= EXPECT_SOURCE)
            add_name(&walk, token, walk.expect == EXPECT_SOURCE);
        else if (token.kind == SQL_STRING && walk.expect == EXPECT_SOURCE)
            add_name(&walk, token, true);
    }
    if (walk.mixed_operations)
        out->operation_bytes = 0;
}
