// SPDX-License-Identifier: Apache-2.0
// decode_ids: the id of a resource or scope is a hash of its bytes, the same in every process and on every day; and the
// set of those that already have a row.
#ifndef PILLION_DECODE_IDS_H
#define PILLION_DECODE_IDS_H

#include "decode_wire.h"
#include "status.h"

struct ids {
    uint64_t *slots; // Owned; open addressing, 0 is free
    size_t capacity; // a power of two, at most half full
    size_t count;
    uint64_t seed; // odd; so that nobody can choose ids that lie side by side
};

// Never 0.
uint64_t ids_hash(struct slice message, struct slice schema_url);
// Adds an id; *added tells whether it was new.
enum status ids_add(struct ids *ids, uint64_t id, bool *added) MUST_USE;
void ids_clear(struct ids *ids);
void ids_free(struct ids *ids);

#endif
