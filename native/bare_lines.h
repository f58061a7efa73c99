// SPDX-License-Identifier: Apache-2.0
// bare_lines: a small text file read line by line, in 4 KiB of the caller's memory. Freestanding.
#ifndef PILLION_BARE_LINES_H
#define PILLION_BARE_LINES_H

#include <stdbool.h>
#include <stddef.h>

struct bare_lines {
    int fd;            // Borrowed.
    size_t begin, end; // what of the buffer wasn't given yet
    size_t limit;      // bytes that may still be read
    bool ended;        // nothing more comes from the file
    bool cut;          // because of the limit: what of a line was read then isn't given
    bool in_tail;      // of a line that was given cut off
    char buffer[4096];
};

// At most `limit` bytes of the file are read.
void bare_lines_begin(struct bare_lines *lines, int fd, size_t limit);
// The next line, ended by a NUL in place of its newline (one in it stays), valid and writable until the next call; NULL
// at the end. A line that doesn't fit comes once, cut off, with *whole false.
char *bare_line(struct bare_lines *lines, size_t *bytes, bool *whole);

#endif
