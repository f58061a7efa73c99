// SPDX-License-Identifier: Apache-2.0
// decode_ring: the collector's door to a ring file, called by ctypes (pillion_collector/rings.py). A handle owns a copy
// of the file and room for one request; it belongs to one thread at a time. Whatever lies in the file, the worst that
// comes of it is a status.
#include "decode.h"
#include "otlp.h"
#include "ring_layout.h"
#include "ring_reader.h"
#include <stdlib.h>
#include <string.h>

struct pillion_ring {
    struct ring_image image;
    struct ring_cursor cursor;
    struct ring_cursor metrics;   // walks on its own
    uint64_t refused;             // records that could not be encoded
    struct otlp_scratch *scratch; // Owned, NULL when only the header was read
    uint8_t *body;                // Owned, OTLP_BYTES_LIMIT
};

// The same fields in the same order in rings.py.
struct pillion_ring_facts {
    uint64_t start_ticks;
    uint64_t pid_namespace;
    uint64_t created_ns;
    uint64_t counters[RING_COUNTERS];
    uint32_t pid;
    uint32_t resource_bytes;
    uint8_t instance_id[16];
    uint8_t ring_id[RING_ID_BYTES];
    uint64_t head;           // position of the oldest record
    const uint8_t *resource; // Borrowed from the handle
    uint32_t ended;          // 1: the process left it in order
};

struct pillion_ring_flight {
    uint8_t trace_id[16];
    uint8_t span_id[8];
    uint8_t parent_id[8];
    uint64_t start_ns;
    const char *name;   // Borrowed from the handle
    const char *detail; // Borrowed from the handle
    uint32_t name_bytes;
    uint32_t detail_bytes;
    uint32_t kind;
    uint32_t flags;
};

// One request: the stretch [start, end) of the ring.
struct pillion_ring_batch {
    const uint8_t *body; // Borrowed from the handle until the next call
    size_t bytes;        // 0: no more
    uint64_t start;
    uint64_t end;
    uint64_t spans;
};

DECODE_API int pillion_ring_open(const char *path, int whole, int dead, struct pillion_ring **out);
DECODE_API void pillion_ring_facts(const struct pillion_ring *ring, struct pillion_ring_facts *out);
DECODE_API uint32_t pillion_ring_flight(const struct pillion_ring *ring, uint32_t slot,
                                        struct pillion_ring_flight *out);
DECODE_API int pillion_ring_seek(struct pillion_ring *ring, uint64_t position);
DECODE_API void pillion_ring_next(struct pillion_ring *ring, struct pillion_ring_batch *out);
DECODE_API size_t pillion_ring_metrics(struct pillion_ring *ring, const uint8_t **body);
DECODE_API uint64_t pillion_ring_skipped(const struct pillion_ring *ring);
DECODE_API uint64_t pillion_ring_refused(const struct pillion_ring *ring);
DECODE_API void pillion_ring_close(struct pillion_ring *ring);
DECODE_API int pillion_ring_owner_alive(const char *path, int *alive);
DECODE_API const char *pillion_ring_counter_name(unsigned counter);

void pillion_ring_close(struct pillion_ring *ring) {
    if (ring == NULL)
        return;
    ring_image_free(&ring->image);
    free(ring->scratch);
    free(ring->body);
    free(ring);
}

// Status of the reading; errno tells more about STATUS_IO.
int pillion_ring_open(const char *path, int whole, int dead, struct pillion_ring **out) {
    struct pillion_ring *ring = calloc(1, sizeof *ring);
    enum status status = STATUS_NO_MEMORY;
    *out = NULL;
    if (ring == NULL)
        return status;
    if (whole) {
        ring->scratch = malloc(sizeof *ring->scratch);
        ring->body = malloc(OTLP_BYTES_LIMIT);
        if (ring->scratch == NULL || ring->body == NULL)
            goto error;
    }
    status = ring_image_read(&ring->image, path, whole ? RING_WHOLE : RING_HEADER_ONLY, dead != 0);
    if (status != STATUS_OK)
        goto error;
    ring->cursor = ring->metrics = ring_image_cursor(&ring->image);
    *out = ring;
    return STATUS_OK;
error:
    pillion_ring_close(ring);
    return status;
}

void pillion_ring_facts(const struct pillion_ring *ring, struct pillion_ring_facts *out) {
    const struct ring_image *image = &ring->image;
    out->start_ticks = image->start_ticks;
    out->pid_namespace = image->pid_namespace;
    out->created_ns = image->created_ns;
    memcpy(out->counters, image->counters, sizeof out->counters);
    out->pid = image->pid;
    out->resource_bytes = image->view.resource_bytes;
    memcpy(out->instance_id, image->instance_id, sizeof out->instance_id);
    memcpy(out->ring_id, image->ring_id, sizeof out->ring_id);
    out->head = image->head;
    out->ended = image->ended;
    out->resource = image->view.resource;
}

// The next request in flight, in this slot (from 0 on) or a later one; the slot to go on with, or 0: there is none. The
// name is the interned one if the entry has none of its own.
uint32_t pillion_ring_flight(const struct pillion_ring *ring, uint32_t slot, struct pillion_ring_flight *out) {
    struct ring_image_flight flight;
    while (slot < RING_FLIGHT_SLOTS && !ring_image_flight(&ring->image, slot, &flight))
        slot++;
    if (slot >= RING_FLIGHT_SLOTS)
        return 0;
    if (flight.name_bytes == 0)
        (void)intern_get(&ring->image.view.strings, flight.head.name_id, &flight.name, &flight.name_bytes);
    memcpy(out->trace_id, flight.head.trace_id, sizeof out->trace_id);
    memcpy(out->span_id, flight.head.span_id, sizeof out->span_id);
    memcpy(out->parent_id, flight.head.parent_id, sizeof out->parent_id);
    out->start_ns = flight.head.start_ns;
    out->name = flight.name;
    out->name_bytes = flight.name_bytes;
    out->detail = flight.detail;
    out->detail_bytes = flight.detail_bytes;
    out->kind = flight.head.kind;
    out->flags = flight.head.flags;
    return slot + 1;
}

// Before the first pillion_ring_next: goes on where another walk ended. 0: this ring has no such position.
int pillion_ring_seek(struct pillion_ring *ring, uint64_t position) {
    return ring_cursor_seek(&ring->cursor, position);
}

// The next ExportTraceServiceRequest.
void pillion_ring_next(struct pillion_ring *ring, struct pillion_ring_batch *out) {
    struct otlp_result result = {0};
    do {
        out->start = ring_cursor_at(&ring->cursor);
        otlp_encode_spans(ring->scratch, &ring->cursor, ring->body, OTLP_BYTES_LIMIT, &result);
        ring->refused += result.skipped;
    } while (result.bytes == 0 && result.skipped != 0);
    out->end = ring_cursor_at(&ring->cursor);
    out->spans = result.spans;
    out->bytes = result.bytes;
    out->body = ring->body;
}

// Bytes of the next ExportMetricsServiceRequest that lies in the ring, 0: no more.
size_t pillion_ring_metrics(struct pillion_ring *ring, const uint8_t **body) {
    struct ring_entry entry;
    while (ring_next(&ring->metrics, &entry)) {
        if (entry.kind != RING_METRICS)
            continue;
        *body = entry.bytes;
        return entry.length;
    }
    return 0;
}

// Records that were begun and never finished, as far as the walk has come.
uint64_t pillion_ring_skipped(const struct pillion_ring *ring) {
    return ring->cursor.skipped;
}

// Records that made no sense.
uint64_t pillion_ring_refused(const struct pillion_ring *ring) {
    return ring->refused;
}

int pillion_ring_owner_alive(const char *path, int *alive) {
    bool lives;
    enum status status = ring_owner_alive(path, &lives);
    *alive = lives;
    return status;
}

const char *pillion_ring_counter_name(unsigned counter) {
    return ring_counter_name(counter);
}
