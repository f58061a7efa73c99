// SPDX-License-Identifier: Apache-2.0
// ring: records of many threads on their way to one sender, in a file on tmpfs that survives the process.
//
// A chain of segments; producers claim space by compare-and-swap and never wait: full means the new record is dropped
// and counted. One consumer (the sender's thread) walks, releases what was acknowledged, and grows the chain by
// ring_grow. Header, counters, resource, strings and flights lie in the same file (layout: ring_layout.h), so that a
// collector can finish the job of a dead owner (reading: ring_reader.h). A fork's child calls ring_forget and touches
// nothing of its parent's.
#ifndef PILLION_RING_H
#define PILLION_RING_H

#include "intern.h"
#include "status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ring;
struct span_record;

// RING_METRICS: an encoded ExportMetricsServiceRequest, which a process leaves behind when it ends.
enum ring_kind { RING_SPAN = 1, RING_METRICS = 2, RING_LINK = 255 };

// Loss ledger: recorded = sent + rejected + every dropped_* + what still lies in the ring.
enum ring_counter {
    RING_RECORDED = 0,          // spans that ended and were to be recorded
    RING_SENT = 1,              // acknowledged by the collector
    RING_REJECTED = 2,          // refused by the collector for good
    RING_DROPPED_FULL = 3,      // no free segment
    RING_DROPPED_TOO_LARGE = 4, // larger than a segment
    RING_DROPPED_NO_RING = 5,   // ended before there was a ring, or after it
    RING_DROPPED_BAD = 6,       // could not be encoded
    RING_FLIGHTS = 8,           // entries made in the table of flights
    RING_FLIGHTS_MISSED = 9,    // requests that found the table full
    RING_GROWN = 10,            // segments added
    RING_COUNTERS = 16
};
const char *ring_counter_name(unsigned counter); // "recorded", …; NULL for unused ones

struct ring_options {
    const char *directory;    // where the file goes (must be a tmpfs); NULL: private memory, nothing survives
    const uint8_t *resource;  // Borrowed; an encoded protobuf Resource, copied
    uint32_t resource_bytes;  // <= RING_RESOURCE_LIMIT
    uint8_t instance_id[16];  // service.instance.id
    uint64_t limit_bytes;     // of the whole ring; 0: 16 MiB
    uint64_t folder_bytes;    // that ended processes may leave in `directory`; 0: 256 MiB
    void (*wake)(void *self); // may be NULL; called on a producer's thread when a segment is full: must be cheap
    void *wake_self;          // Borrowed
};
#define RING_RESOURCE_LIMIT 16384u
#define RING_ID_BYTES 16u

// --- producer side, any thread -------------------------------------------------------------------------------------

// Makes <directory>/<pid>-<startticks>.ring, mode 0600, or 0640 where the folder is setgid: a shared one, of the
// collector's group. In another pid namespace than the machine's first, -<its inode> follows the ticks; then .1, .2 …
// if that exists: an exec before us. UNSUPPORTED: not a tmpfs; NO_MEMORY: the tmpfs is full; FULL: ended processes left
// too much in the folder; IO: errno says; then try again with directory NULL.
MUST_USE enum status ring_create(struct ring **out, const struct ring_options *options);
bool ring_is_shared(const struct ring *ring);
const char *ring_path(const struct ring *ring);  // "" when private
const uint8_t *ring_id(const struct ring *ring); // RING_ID_BYTES random ones, of this ring alone

// Interns into the process's table and makes sure that this ring (may be NULL) has it too. 0: not interned.
uint32_t ring_intern(struct ring *ring, const char *text, size_t bytes);

// One record of two parts, copied. Drops and counts by itself (FULL, TOO_LARGE). ring NULL: counted as NO_RING.
enum status ring_push(struct ring *ring, enum ring_kind kind, const void *head, uint32_t head_bytes, const void *body,
                      uint32_t body_bytes);
// The two halves of it, for who writes in place. `*out` is 8-aligned; every reserve must be followed by a commit.
MUST_USE enum status ring_reserve(struct ring *ring, enum ring_kind kind, uint32_t bytes, uint8_t **out);
void ring_commit(uint8_t *reserved);
#define RING_RECORD_LIMIT (262144u - 16u) // largest record, bytes

// ring NULL: kept aside and added to the next ring that is made.
void ring_count(struct ring *ring, enum ring_counter counter, uint64_t n);
uint64_t ring_counter(const struct ring *ring, enum ring_counter counter);

// Requests in flight: what a process was doing when it died. Returns a token for _end, or -1 (table full, or no ring).
int32_t ring_flight_begin(struct ring *ring, const struct span_record *head, const char *name, size_t name_bytes,
                          const char *detail, size_t detail_bytes);
// Tokens of another ring are ignored.
void ring_flight_name(struct ring *ring, int32_t token, uint32_t name_id, const char *name, size_t name_bytes);
void ring_flight_detail(struct ring *ring, int32_t token, const char *detail, size_t detail_bytes);
void ring_flight_end(struct ring *ring, int32_t token);

// --- consumer side, one thread -------------------------------------------------------------------------------------

// What a cursor walks over: the mapping of this process, or a reader's private copy.
struct ring_view {
    const void *generations;    // Borrowed; of each slot, see ring_layout.h
    const uint8_t *segments;    // Borrowed
    uint32_t segment_count;     // that exist
    bool dead;                  // no writer left: skip what was never committed
    struct intern_view strings; // refreshed by ring_cursor
    const uint8_t *resource;    // Borrowed
    uint32_t resource_bytes;
};
struct ring_cursor {
    const struct ring_view *view; // Borrowed
    uint32_t slot;
    uint32_t offset;
    uint32_t generation;
    uint32_t hops;    // links followed: bounded by the number of segments
    uint64_t skipped; // records never committed (dead owner)
};
struct ring_entry {
    enum ring_kind kind;
    const uint8_t *bytes; // Borrowed from the view until ring_release
    uint32_t length;
};

struct ring_cursor ring_cursor(struct ring *ring);                  // at the oldest record that was not released
bool ring_next(struct ring_cursor *cursor, struct ring_entry *out); // false: nothing committed there now
uint64_t ring_cursor_at(const struct ring_cursor *cursor);          // its position: a number in this ring only
// Moves on to a position. False: there is none of that number ahead, and the cursor is of no more use.
bool ring_cursor_seek(struct ring_cursor *cursor, uint64_t position);
void ring_release(struct ring *ring, const struct ring_cursor *cursor); // everything before the cursor is free again
bool ring_pending(struct ring *ring);                                   // is a record waiting? (any thread; cheap)
bool ring_wants_growth(struct ring *ring);                              // less than a quarter free, and below the limit
MUST_USE enum status ring_grow(struct ring *ring);                      // adds 4 segments (1 MiB) or up to the limit
// Gives free segments back to the system, down to three. For a ring that has been idle for a while: the later,
// the less likely a thread still looks at one of them.
void ring_shrink(struct ring *ring);

// Unmaps. Removes the file if every record was released, else leaves it for the collector.
void ring_destroy(struct ring *ring);
// Unmaps and leaves the file in any case, marked as ended in order and without the segments that are of no use. For a
// ring that a collector of this folder will read to its end and remove. No thread may write any more.
void ring_leave(struct ring *ring);
// In the child of a fork (the mapping is not there): frees the handle only. Also resets the counters kept aside.
void ring_forget(struct ring *ring);

#endif
