// SPDX-License-Identifier: Apache-2.0
// ring_layout: what lies where in a ring's file. Shared memory and a file format at once: only fixed-size fields, sizes
// asserted, RING_LAYOUT raised with any change. Private to ring*.c.
//
//   0 struct ring_file (one page) | resource | strings | flights | segment 0 | segment 1 | …
//
// A segment is a row of records, each a word and its payload, padded to 8. The word says what it is:
//   [generation:16][kind:8][state:8][length:32]
// An empty word holds the slot's generation and nothing else; a fresh page is generation 0. A record of kind RING_LINK
// has the next slot as its length, and no payload. tail and head are positions: [generation:16][slot:16][offset:32].
#ifndef PILLION_RING_LAYOUT_H
#define PILLION_RING_LAYOUT_H

#include "ring.h"
#include "span.h"
#include <stdalign.h>
#include <stdatomic.h>

#define RING_MAGIC "PILLRING"
#define RING_LAYOUT 3u
#define RING_SEGMENT_BYTES 262144u
#define RING_SEGMENTS_FIRST 3u // at rest: below 1 MiB
#define RING_SEGMENTS_STEP 4u
#define RING_SEGMENTS_MAX 64u // free_slots is one word
#define RING_FLIGHT_SLOTS 256u

#define RING_RESOURCE_AT 4096u
#define RING_STRINGS_AT (RING_RESOURCE_AT + RING_RESOURCE_LIMIT)
#define RING_FLIGHTS_AT (RING_STRINGS_AT + INTERN_BYTES)
#define RING_SEGMENTS_AT (RING_FLIGHTS_AT + RING_FLIGHT_SLOTS * 256u)

enum ring_state { RING_EMPTY = 0, RING_BUSY = 1, RING_COMMITTED = 2 };
enum ring_flight_state { RING_FLIGHT_FREE = 0, RING_FLIGHT_WRITING = 1, RING_FLIGHT_SET = 2 };

struct ring_flight {
    _Atomic uint32_t state; // enum ring_flight_state
    uint16_t name_bytes;
    uint16_t detail_bytes;
    struct span_record head; // as it was when the request began
    char name[64];
    char detail[104];
};
_Static_assert(sizeof(struct ring_flight) == 256, "layout version 1");

struct ring_file {
    char magic[8];
    uint32_t layout;
    uint32_t segments_at;   // RING_SEGMENTS_AT
    uint32_t segment_bytes; // RING_SEGMENT_BYTES
    uint32_t segments_max;
    uint32_t pid;
    uint32_t resource_bytes;
    uint64_t start_ticks; // of the process, as in /proc/<pid>/stat
    uint64_t created_ns;  // since the epoch
    uint8_t instance_id[16];
    uint8_t ring_id[RING_ID_BYTES];
    uint64_t pid_namespace;                           // inode of the one that `pid` is of; 0: not known
    _Atomic uint32_t ended;                           // 1: the process left it in order
    alignas(64) _Atomic uint64_t tail;                // where the next record goes
    alignas(64) _Atomic uint64_t head;                // oldest record that was not released
    alignas(64) _Atomic uint64_t free_slots;          // bit set: segment exists and is empty
    _Atomic uint32_t segment_count;                   // that exist (space is reserved)
    _Atomic uint32_t strings_bytes;                   // published
    _Atomic uint64_t lease;                           // pid of the consumer
    _Atomic uint64_t flights[RING_FLIGHT_SLOTS / 64]; // bit set: taken
    alignas(64) _Atomic uint64_t counters[RING_COUNTERS];
    alignas(64) _Atomic uint32_t generations[RING_SEGMENTS_MAX]; // of each slot
};
_Static_assert(sizeof(struct ring_file) <= RING_RESOURCE_AT, "the first page");
_Static_assert(RING_SEGMENTS_AT % 4096 == 0, "segments begin at a page");
_Static_assert(sizeof(_Atomic uint64_t) == 8 && ATOMIC_LLONG_LOCK_FREE == 2, "atomics in shared memory");

struct ring {
    struct ring_file *file; // the mapping
    uint8_t *segments;      // in the mapping
    size_t mapped_bytes;    // of the whole mapping; only what was reserved may be touched
    uint32_t segments_max;  // private copy
    uint32_t serial;        // of this ring in this process and its parents: tells old flight tokens
    bool shared;            // a file
    uint64_t given_back;    // bit set: segment without space of its own, see ring_shrink
    void (*wake)(void *self);
    void *wake_self;       // Borrowed
    struct ring_view view; // what this process's cursors walk over; refreshed by ring_cursor
    char path[];           // of the file, "" when private
};

struct ring_position {
    uint32_t generation;
    uint32_t slot;
    uint32_t offset;
};

uint64_t ring_word(uint32_t generation, uint32_t kind, uint32_t state, uint32_t length);
uint64_t ring_pack(struct ring_position position);
struct ring_position ring_unpack(uint64_t packed);
uint32_t ring_stride(uint32_t length); // of a record: its word, its payload, padding

// Segments that have space.
uint32_t ring_segments(const struct ring *ring);
// Makes a segment that nobody uses empty, in its next generation, and sets its free bit.
void ring_refill(struct ring *ring, uint32_t slot);
// Takes over what ring_count had kept aside while there was no ring.
void ring_adopt_counts(struct ring *ring);
// FULL: ended processes left as many rings, or as many bytes of them, as they may.
MUST_USE enum status ring_folder_room(const char *directory, uint64_t limit_bytes);
// Copies what the process's table of strings has and the ring has not.
void ring_sync_strings(struct ring *ring);

#endif
