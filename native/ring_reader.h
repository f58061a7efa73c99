// SPDX-License-Identifier: Apache-2.0
// ring_reader: another process's ring, copied into private memory and checked. The copy is made by pread, not by mmap,
// so that nobody can pull the file away under the reader (SIGBUS) or change a byte between check and use. Every byte is
// hostile until checked; walking is ring_next, with its bounds.
#ifndef PILLION_RING_READER_H
#define PILLION_RING_READER_H

#include "ring.h"
#include "span.h"

struct ring_image {
    uint8_t *memory; // Owned: the copy
    uint32_t pid;
    uint64_t start_ticks;
    uint64_t pid_namespace;
    uint64_t created_ns;
    uint8_t instance_id[16];
    uint8_t ring_id[RING_ID_BYTES];
    bool ended; // the process left it in order
    uint64_t counters[RING_COUNTERS];
    uint64_t flights[4]; // bit set: entry taken
    uint64_t head;       // packed position
    struct ring_view view;
};

struct ring_image_flight {
    struct span_record head;
    const char *name;   // Borrowed from the image
    const char *detail; // Borrowed from the image
    uint32_t name_bytes;
    uint32_t detail_bytes;
};

// Takes `memory` (malloc, 8-aligned) over in any case. BAD_INPUT: no ring; UNSUPPORTED: another layout version.
// `dead`: the owner is gone, so what it never committed is skipped.
MUST_USE enum status ring_image_parse(struct ring_image *out, uint8_t *memory, size_t bytes, bool dead);
enum ring_part { RING_HEADER_ONLY, RING_WHOLE };
// Reads the file. IO: errno says (EINVAL: not a regular file); BAD_INPUT: also too small or too large. HEADER_ONLY:
// identity, counters and flights, and no records.
MUST_USE enum status ring_image_read(struct ring_image *out, const char *path, enum ring_part part, bool dead);
void ring_image_free(struct ring_image *image);

struct ring_cursor ring_image_cursor(const struct ring_image *image);
bool ring_image_flight(const struct ring_image *image, uint32_t slot, struct ring_image_flight *out); // slot < 256

// Whether the process that made the ring still lives: it holds a lock on the file.
MUST_USE enum status ring_owner_alive(const char *path, bool *alive);

#endif
