// SPDX-License-Identifier: Apache-2.0
// sql_lex: see sql_lex.h. One function a kind of token; each returns where its token ends. Pure, any thread.
#include "sql_lex.h"
#include <string.h>

static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

static bool is_name(char c) {
    return is_letter(c) || is_digit(c) || c == '$';
}

static char byte_at(const struct sql_lexer *lexer, size_t offset) {
    return (size_t)(lexer->end - lexer->at) > offset ? lexer->at[offset] : '\0';
}

bool sql_token_is(struct sql_token token, const char *upper) {
    if (token.kind != SQL_WORD || strlen(upper) != token.bytes)
        return false;
    for (size_t i = 0; i < token.bytes; i++)
        if (((token.at[i] >= 'a' && token.at[i] <= 'z') ? token.at[i] - 32 : token.at[i]) != upper[i])
            return false;
    return true;
}

static bool is_one_of(struct sql_token token, const char *const *words) {
    for (; *words; words++)
        if (sql_token_is(token, *words))
            return true;
    return false;
}

static const char *lex_line(const struct sql_lexer *lexer) {
    const char *newline = memchr(lexer->at, '\n', (size_t)(lexer->end - lexer->at));
    return newline ? newline : lexer->end;
}

// A block comment. A comment inside a comment: some dialects nest them, others don't.
static const char *lex_block(const struct sql_lexer *lexer, enum sql_kind *kind) {
    *kind = SQL_COMMENT;
    for (const char *at = lexer->at + 2; at + 1 < lexer->end; at++) {
        if (at[0] == '*' && at[1] == '/')
            return at + 2;
        if (at[0] == '/' && at[1] == '*') {
            *kind = SQL_UNSURE;
            return lexer->end;
        }
    }
    return lexer->end;
}

// From the opening quote to the closing one; a doubled quote is part of the text. With `escapes`, a backslash takes the
// next character with it; without, a backslash before a quote is what dialects disagree about.
static const char *lex_quotes(const char *at, const char *end, bool escapes, bool *unsure) {
    const char quote = *at++;
    bool odd = false; // an odd number of backslashes stands before `at`
    for (; at < end; at++) {
        if (*at == '\\') {
            odd = !odd;
            continue;
        }
        if (*at == quote && odd && !escapes) {
            *unsure = true;
            return end;
        }
        if (*at == quote && !odd) {
            if (at + 1 >= end || at[1] != quote)
                return at + 1;
            at++;
        }
        odd = false;
    }
    return end;
}

static const char *lex_string(const struct sql_lexer *lexer, size_t prefix, enum sql_kind *kind) {
    const char *quote = lexer->at + prefix;
    const char first = lexer->at[0];
    *kind = SQL_STRING;
    if (sql_token_is(lexer->meaning, "ESCAPE") && lexer->end - quote >= 3 && memcmp(quote, "'\\'", 3) == 0)
        return quote + 3;
    bool unsure = prefix && (first == 'q' || first == 'Q');
    const char *end = lex_quotes(quote, lexer->end, prefix && (first == 'e' || first == 'E'), &unsure);
    if (unsure)
        *kind = SQL_UNSURE;
    return unsure ? lexer->end : end;
}

// [name with spaces], but not a subscript or a list of values.
static const char *lex_bracket(const struct sql_lexer *lexer, enum sql_kind *kind) {
    const char *at = lexer->at + 1;
    *kind = SQL_MARK;
    if (at >= lexer->end || !is_letter(*at))
        return at;
    for (size_t i = 0; i < 128 && at + i < lexer->end; i++) {
        if (at[i] == ']') {
            *kind = SQL_QUOTED;
            return at + i + 1;
        }
        if (at[i] == '\'' || at[i] == '"') {
            *kind = SQL_UNSURE;
            return lexer->end;
        }
        if (!is_name(at[i]) && at[i] != ' ' && at[i] != '-' && at[i] != '.')
            break;
    }
    return at;
}

// $$text$$ or $tag$text$tag$; anything else that begins with a dollar is a mark.
static const char *lex_dollar(const struct sql_lexer *lexer, enum sql_kind *kind) {
    const char *tag = lexer->at + 1;
    *kind = SQL_MARK;
    while (tag < lexer->end && *tag != '$' && is_name(*tag) && !is_digit(lexer->at[1]))
        tag++;
    if (tag >= lexer->end || *tag != '$')
        return lexer->at + 1;
    size_t bytes = (size_t)(tag + 1 - lexer->at);
    *kind = SQL_STRING;
    const char *end = tag + 1;
    if (bytes > 64) // PostgreSQL's names are shorter; and it keeps the search below linear
        return lexer->end;
    for (; end + bytes <= lexer->end; end++)
        if (*end == '$' && memcmp(end, lexer->at, bytes) == 0)
            return end + bytes;
    return lexer->end;
}

static const char *lex_number(const struct sql_lexer *lexer) {
    const char *at = lexer->at + (*lexer->at == '-' || *lexer->at == '+');
    bool hexadecimal = at + 1 < lexer->end && at[0] == '0' && (at[1] | 32) == 'x';
    for (; at < lexer->end; at++) {
        bool exponent = (*at == '-' || *at == '+') && (at[-1] | 32) == 'e' && !hexadecimal && at + 1 < lexer->end &&
                        is_digit(at[1]);
        if (!is_name(*at) && *at != '.' && !exponent)
            break;
    }
    return at;
}

// Does a number begin here? After a name or a bracket a sign is an operator: `n-1`.
static bool starts_number(const struct sql_lexer *lexer) {
    size_t sign = *lexer->at == '-' || *lexer->at == '+';
    enum sql_kind last = lexer->last.kind;
    if (sign && (last == SQL_WORD || last == SQL_QUOTED || (last == SQL_MARK && memchr(")]?", *lexer->last.at, 3))))
        return false;
    char c = byte_at(lexer, sign);
    return is_digit(c) || (c == '.' && is_digit(byte_at(lexer, sign + 1)) && !(!sign && last == SQL_WORD));
}

// A word, or the string that a word of this kind is the beginning of: X'1F', N'text', _utf8'text'.
static const char *lex_word(const struct sql_lexer *lexer, enum sql_kind *kind) {
    const char *at = lexer->at;
    while (at < lexer->end && (*at == '@' || *at == '#'))
        at++;
    while (at < lexer->end && is_name(*at))
        at++;
    size_t bytes = (size_t)(at - lexer->at);
    bool prefix = *lexer->at == '_' || bytes == 1 ||
                  (bytes == 2 && memchr("nNbBrR", *lexer->at, 6) && memchr("qQrRbB", lexer->at[1], 6));
    *kind = SQL_WORD;
    return prefix && at < lexer->end && *at == '\'' ? lex_string(lexer, bytes, kind) : at;
}

static const char *lex_placeholder(const struct sql_lexer *lexer) {
    const char *at = lexer->at + 1;
    if (*lexer->at == '?')
        while (at < lexer->end && is_digit(*at))
            at++;
    else if (at < lexer->end && is_letter(*at) && !(lexer->last.kind == SQL_MARK && *lexer->last.at == ':'))
        while (at < lexer->end && is_name(*at))
            at++;
    return at;
}

// `#`: a comment in MySQL, a temporary table where a table is expected, an operator of PostgreSQL before `>`.
static const char *lex_hash(const struct sql_lexer *lexer, enum sql_kind *kind) {
    static const char *const before_table[] = {"FROM", "JOIN", "INTO", "UPDATE", "TABLE", "EXISTS", NULL};
    if (is_one_of(lexer->meaning, before_table) && (is_letter(byte_at(lexer, 1)) || byte_at(lexer, 1) == '#'))
        return lex_word(lexer, kind);
    *kind = byte_at(lexer, 1) == '>' ? SQL_MARK : SQL_COMMENT;
    return *kind == SQL_MARK ? lexer->at + 1 : lex_line(lexer);
}

static const char *lex_any(const struct sql_lexer *lexer, enum sql_kind *kind) {
    char c = *lexer->at, next = byte_at(lexer, 1);
    bool unsure = false;
    if (is_letter(c) || (c == '@' && (is_letter(next) || next == '@')))
        return lex_word(lexer, kind);
    if (c == '\'')
        return lex_string(lexer, 0, kind);
    if ((c == '-' && next == '-') || c == '#') {
        *kind = SQL_COMMENT;
        return c == '#' ? lex_hash(lexer, kind) : lex_line(lexer);
    }
    if (c == '/' && next == '*')
        return lex_block(lexer, kind);
    if (c == '"' || c == '`') {
        const char *end = lex_quotes(lexer->at, lexer->end, false, &unsure);
        *kind = unsure ? SQL_UNSURE : SQL_QUOTED;
        return end;
    }
    if (starts_number(lexer)) {
        *kind = SQL_NUMBER;
        return lex_number(lexer);
    }
    if (c == '[')
        return lex_bracket(lexer, kind);
    if (c == '$')
        return lex_dollar(lexer, kind);
    *kind = SQL_MARK;
    return c == '?' || c == ':' ? lex_placeholder(lexer) : lexer->at + 1;
}

void sql_lex_start(struct sql_lexer *lexer, const char *text, size_t bytes) {
    *lexer = (struct sql_lexer){.at = text, .end = text + bytes};
}

struct sql_token sql_lex_next(struct sql_lexer *lexer) {
    struct sql_token token = {SQL_END, lexer->at, 0};
    if (lexer->at == lexer->end)
        return token;
    const char *end = lexer->at;
    while (end < lexer->end && is_space(*end))
        end++;
    token.kind = SQL_SPACE;
    if (end == lexer->at)
        end = lex_any(lexer, &token.kind);
    token.bytes = (size_t)(end - lexer->at);
    lexer->at = end;
    lexer->last = token;
    if (token.kind != SQL_SPACE && token.kind != SQL_COMMENT)
        lexer->meaning = token;
    return token;
}

char sql_lex_peek(const struct sql_lexer *lexer) {
    const char *at = lexer->at;
    while (at < lexer->end && is_space(*at))
        at++;
    return at < lexer->end ? *at : '\0';
}
