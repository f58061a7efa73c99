// SPDX-License-Identifier: Apache-2.0
// bare_lines: see bare_lines.h.
#include "bare_lines.h"
#include "bare.h"
#include <errno.h>

void bare_lines_begin(struct bare_lines *lines, int fd, size_t limit) {
    lines->fd = fd;
    lines->limit = limit;
    lines->begin = lines->end = 0;
    lines->ended = lines->cut = lines->in_tail = false;
}

// One byte of the buffer stays free, for the last line's NUL.
static void fill(struct bare_lines *lines) {
    for (size_t at = lines->begin; at < lines->end; at++)
        lines->buffer[at - lines->begin] = lines->buffer[at];
    lines->end -= lines->begin;
    lines->begin = 0;
    long got;
    do
        got = bare_read(lines->fd, lines->buffer + lines->end, sizeof lines->buffer - 1 - lines->end);
    while (got == -EINTR);
    lines->ended = got <= 0;
    if (got > 0) {
        lines->end += (size_t)got;
        lines->cut = (size_t)got > lines->limit;
        lines->ended = lines->cut;
        lines->limit -= lines->cut ? 0 : (size_t)got;
    }
}

char *bare_line(struct bare_lines *lines, size_t *bytes, bool *whole) {
    for (;;) {
        size_t left = lines->end - lines->begin, length = 0;
        char *line = lines->buffer + lines->begin;
        while (length < left && line[length] != '\n')
            length++;
        if (length == left && !lines->ended && left < sizeof lines->buffer - 1) {
            fill(lines);
            continue;
        }
        if (left == 0 || (length == left && lines->cut))
            return NULL;
        bool is_tail = lines->in_tail;
        *whole = length < left || lines->ended;
        *bytes = length;
        lines->in_tail = !*whole;
        lines->begin += length + (length < left);
        line[length] = 0;
        if (!is_tail)
            return line;
    }
}
