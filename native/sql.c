// SPDX-License-Identifier: Apache-2.0
// sql: see sql.h. Here: the text without literals; the lexer is sql_lex.c, the summary sql_summary.c.
//
// A value is written as `?` and comments are dropped. In a list after IN only the first value is written. "quoted" is
// kept only where it can be nothing but a name. At a token of which dialects disagree the text ends.
#include "sql.h"
#include "sql_lex.h"
#include "sql_summary.h"
#include <string.h>

struct writer {
    struct sql_description *out; // Borrowed
    struct sql_token before;     // the meaningful token before the current one
    size_t comma;                // in a list after IN: where its text ended before the comma
    enum { LIST_NONE, LIST_OPEN, LIST_VALUE, LIST_COMMA } list;
};

// Bytes of `text` that fit into `room` without cutting a UTF-8 character.
static size_t whole_characters(const char *text, size_t bytes, size_t room) {
    if (bytes <= room)
        return bytes;
    size_t cut = room;
    while (cut > 0 && room - cut < 4 && ((unsigned char)text[cut] & 0xC0) == 0x80)
        cut--;
    return cut;
}

static bool write_text(struct sql_description *out, const char *text, size_t bytes) {
    size_t fits = whole_characters(text, bytes, SQL_TEXT_BYTES - out->text_bytes);
    memcpy(out->text + out->text_bytes, text, fits);
    out->text_bytes += (uint32_t)fits;
    return fits == bytes;
}

// Can the "quoted" token be nothing but a name? It hangs on a dot or stands where tables stand.
static bool is_surely_name(const struct writer *writer, struct sql_token token, char next) {
    static const char *const before_name[] = {"FROM",  "JOIN", "INTO", "UPDATE", "TABLE",
                                              "INDEX", "VIEW", "AS",   "EXISTS"};
    if (*token.at != '"' || next == '.' || (writer->before.kind == SQL_MARK && *writer->before.at == '.'))
        return true;
    for (size_t i = 0; i < sizeof(before_name) / sizeof(before_name[0]); i++)
        if (sql_token_is(writer->before, before_name[i]))
            return true;
    return false;
}

static bool is_value(const struct writer *writer, struct sql_token token, char next) {
    if (token.kind == SQL_QUOTED)
        return !is_surely_name(writer, token, next);
    if (token.kind == SQL_WORD) // a column may have such a name, but then it hangs on a dot or a quote
        return next != '.' && (sql_token_is(token, "TRUE") || sql_token_is(token, "FALSE"));
    return token.kind == SQL_STRING || token.kind == SQL_NUMBER;
}

static bool write_value(struct writer *writer) {
    if (writer->list == LIST_COMMA) { // the second value of a list: back to the end of the first
        writer->out->text_bytes = (uint32_t)writer->comma;
        writer->list = LIST_VALUE;
        return true;
    }
    if (writer->list == LIST_OPEN)
        writer->list = LIST_VALUE;
    return write_text(writer->out, "?", 1);
}

// Follows the list after IN; anything but values and commas ends it.
static void follow_list(struct writer *writer, struct sql_token token) {
    bool opens = token.kind == SQL_MARK && *token.at == '(' && sql_token_is(writer->before, "IN");
    bool comma = token.kind == SQL_MARK && *token.at == ',' && writer->list == LIST_VALUE;
    if (comma)
        writer->comma = writer->out->text_bytes;
    writer->list = opens ? LIST_OPEN : comma ? LIST_COMMA : LIST_NONE;
}

static bool write_token(struct writer *writer, struct sql_token token, char next) {
    if (token.kind == SQL_COMMENT)
        return true;
    if (token.kind == SQL_SPACE)
        return write_text(writer->out, token.at, token.bytes);
    bool written;
    if (is_value(writer, token, next)) {
        written = write_value(writer);
    } else {
        follow_list(writer, token);
        written = write_text(writer->out, token.at, token.bytes);
    }
    writer->before = token;
    return written;
}

static void write_sanitised(const char *query, size_t bytes, struct sql_description *out) {
    struct writer writer = {.out = out};
    struct sql_lexer lexer;
    sql_lex_start(&lexer, query, bytes);
    for (;;) {
        struct sql_token token = sql_lex_next(&lexer);
        if (token.kind == SQL_END)
            return;
        char next = lexer.at < lexer.end ? *lexer.at : '\0';
        if (token.kind == SQL_UNSURE || !write_token(&writer, token, next)) {
            out->cut = true;
            return;
        }
    }
}

void sql_describe(const char *query, size_t bytes, bool parameterised, struct sql_description *out) {
    out->text_bytes = 0;
    out->summary_bytes = out->operation_bytes = out->collection_bytes = 0;
    size_t seen = whole_characters(query, bytes, SQL_SCAN_BYTES);
    out->cut = seen < bytes;
    if (parameterised)
        out->cut |= !write_text(out, query, seen);
    else
        write_sanitised(query, seen, out);
    sql_summarise(query, seen, out);
}
