// SPDX-License-Identifier: Apache-2.0
// intern: names and keys as small ids, one append-only table a process, in private memory, so that ids stay valid in a
// fork's child; each ring gets a copy of it. Looking up never waits; inserting gives up (id 0) when another thread is
// inserting, when the text is longer than INTERN_TEXT_LIMIT or when the table is full: then the text itself is
// carried. An entry is { uint16 bytes; text; padding to 4 } at offset (id - 1) * 4.
#ifndef PILLION_INTERN_H
#define PILLION_INTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INTERN_BYTES 65536u
#define INTERN_TEXT_LIMIT 1024u

// A table to read: this process's own, or a copy of a ring's.
struct intern_view {
    const uint8_t *base; // Borrowed
    uint32_t bytes;      // published
};

uint32_t intern_text(const char *text, size_t bytes);
struct intern_view intern_own(void);
// The text of an id, checked against the view's bounds. False for 0 and for ids that lie outside.
bool intern_get(const struct intern_view *view, uint32_t id, const char **text, uint32_t *bytes);
void intern_child_after_fork(void); // an insertion that the fork cut short is forgotten

#endif
