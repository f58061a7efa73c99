// SPDX-License-Identifier: Apache-2.0
// bare_text: the texts of bare.h. No function here calls libc's, nor may the compiler make such a call of a loop that
// it takes for one (-fno-builtin in libpillion.so).
#include "bare.h"

size_t bare_length(const char *text) {
    size_t bytes = 0;
    while (text[bytes] != 0)
        bytes++;
    return bytes;
}

bool bare_equal(const char *a, const char *b) {
    while (*a != 0 && *a == *b)
        a++, b++;
    return *a == *b;
}

bool bare_starts(const char *text, const char *start) {
    while (*start != 0 && *text == *start)
        text++, start++;
    return *start == 0;
}

bool bare_ends(const char *text, const char *end) {
    size_t bytes = bare_length(text), tail = bare_length(end);
    return tail <= bytes && bare_equal(text + bytes - tail, end);
}

const char *bare_find(const char *text, const char *part) {
    for (; *text != 0; text++)
        if (bare_starts(text, part))
            return text;
    return *part == 0 ? text : NULL;
}

const char *bare_base(const char *path) {
    const char *base = path;
    for (; *path != 0; path++)
        if (*path == '/')
            base = path + 1;
    return base;
}

const char *bare_getenv(const char *const *envp, const char *name) {
    size_t bytes = bare_length(name);
    for (; envp != NULL && *envp != NULL; envp++)
        if (bare_starts(*envp, name) && (*envp)[bytes] == '=')
            return *envp + bytes + 1;
    return NULL;
}

uint64_t bare_digits(const char **text) {
    uint64_t number = 0;
    for (; **text >= '0' && **text <= '9'; ++*text) {
        unsigned digit = (unsigned)(**text - '0');
        number = number > (UINT64_MAX - digit) / 10 ? UINT64_MAX : number * 10 + digit;
    }
    return number;
}

void bare_text(struct bare_text *text, char *memory, size_t capacity) {
    *text = (struct bare_text){.start = memory, .capacity = capacity};
    memory[0] = 0;
}

void bare_add_bytes(struct bare_text *text, const char *part, size_t bytes) {
    size_t room = text->capacity - 1 - text->used;
    if (bytes > room) {
        bytes = room;
        text->cut = true;
    }
    for (size_t i = 0; i < bytes; i++)
        text->start[text->used++] = part[i];
    text->start[text->used] = 0;
}

void bare_add(struct bare_text *text, const char *part) {
    bare_add_bytes(text, part, bare_length(part));
}

void bare_add_number(struct bare_text *text, uint64_t number) {
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    bare_add_bytes(text, digits + at, sizeof digits - at);
}
