// SPDX-License-Identifier: Apache-2.0
// sql_lex: SQL text cut into tokens, the same for every dialect; sql.c makes the text and the summary out of them.
//
// Every byte of the input belongs to exactly one token. Where dialects disagree about the end of a string or comment
// (`'\'`, nested comments, `q'[…]'`) the token is SQL_UNSURE: nothing after it may be shown. Linear, no allocation.
#ifndef PILLION_SQL_LEX_H
#define PILLION_SQL_LEX_H

#include <stdbool.h>
#include <stddef.h>

enum sql_kind {
    SQL_END,     // no more input
    SQL_SPACE,   // white space
    SQL_COMMENT, // without the newline that ends it
    SQL_WORD,    // keyword or plain name, also @name and #name
    SQL_QUOTED,  // "name", `name` or [name]; the first may be a string in some dialects
    SQL_STRING,  // 'text', X'1F', $$text$$, also without an end
    SQL_NUMBER,  // 12, -.5e3, 0xFF, with its sign where that is no operator
    SQL_MARK,    // anything else, one character; a placeholder whole: ?1, :name
    SQL_UNSURE,  // dialects disagree from here on
};

struct sql_token {
    enum sql_kind kind;
    const char *at; // Borrowed from the input
    size_t bytes;
};

struct sql_lexer {
    const char *at;           // Borrowed; what is read next
    const char *end;          // Borrowed
    struct sql_token last;    // the token before, of any kind
    struct sql_token meaning; // the token before that is neither space nor comment
};

void sql_lex_start(struct sql_lexer *lexer, const char *text, size_t bytes);
struct sql_token sql_lex_next(struct sql_lexer *lexer);
// The first character after white space (comments count as characters), 0 at the end. Moves nothing.
char sql_lex_peek(const struct sql_lexer *lexer);
// Is it this word, given in upper case?
bool sql_token_is(struct sql_token token, const char *upper);

#endif
