// SPDX-License-Identifier: Apache-2.0
// decode_pairs: the attributes of one owner while they are read: repeated KeyValue messages, made unique (the last
// value of a key wins, at the key's first place). A stack, because a value may be a list of pairs itself.
//
// Expected load: six pairs. Limit: PAIRS_LIMIT each owner, what is over is counted as dropped; OpenTelemetry's own
// default is 128. Keys are compared as the valid UTF-8 that they become.
#ifndef PILLION_DECODE_PAIRS_H
#define PILLION_DECODE_PAIRS_H

#include "decode_text.h"
#include "decode_wire.h"
#include "status.h"

#define PAIRS_LIMIT 4096

struct pair {
    struct slice key;   // Borrowed; at == NULL: the repaired text lies in names at `name`
    struct slice value; // Borrowed; an AnyValue message; at == NULL: none was sent
    size_t name;        // offset in names
};

struct pairs {
    struct pair *items;  // Owned.
    size_t count;        // used
    size_t capacity;     // allocated
    struct buffer names; // keys that were no valid UTF-8
    uint32_t *slots;     // Owned; hash table of indexes + 1, used for one pairs_unique at a time
    uint64_t seed;       // so that nobody can choose colliding keys
    bool failed;         // out of memory
};

// A place in the stack: where the pairs of one owner begin.
struct pairs_mark {
    size_t first;
    size_t names;
};

struct pairs_mark pairs_begin(const struct pairs *pairs);
// Adds one KeyValue message of the owner that began at `mark`; over the limit it only counts in *dropped.
enum status pairs_add(struct pairs *pairs, struct pairs_mark mark, struct slice message, uint32_t *dropped) MUST_USE;
void pairs_unique(struct pairs *pairs, struct pairs_mark mark);
struct slice pairs_key(const struct pairs *pairs, const struct pair *pair);
void pairs_end(struct pairs *pairs, struct pairs_mark mark);
void pairs_free(struct pairs *pairs);

#endif
