// SPDX-License-Identifier: Apache-2.0
// A damaged ring, read as the collector would. The input is a list of damages to a healthy file (header, strings,
// flights and one segment with spans of every kind of content), and at its end the bytes of one more record. Whatever
// comes of it, reading ends, stays in bounds, and what it encodes is bounded. test_ring_hostile.c runs this without
// libFuzzer, too.
#include "otlp.h"
#include "ring_layout.h"
#include "ring_reader.h"
#include <stdlib.h>
#include <string.h>

#define SAMPLE_BYTES (RING_SEGMENTS_AT + RING_SEGMENT_BYTES)

static uint8_t *sample;      // the healthy file
static uint32_t sample_used; // bytes of its segment in use
static struct otlp_scratch *scratch;
static uint8_t *body;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static struct span_text text_of(struct ring *ring, const char *text, bool interned) {
    uint32_t bytes = (uint32_t)strlen(text);
    return (struct span_text){interned ? ring_intern(ring, text, bytes) : 0, bytes, text};
}

static void record_span(struct ring *ring, bool interned) {
    const struct span_value items[2] = {{.type = SPAN_INT, .integer = 1},
                                        {.type = SPAN_STRING, .bytes = 3, .text = "two"}};
    const struct span_value values[] = {{.type = SPAN_STRING, .bytes = 5, .text = "value"},
                                        {.type = SPAN_DOUBLE, .real = 1.5},
                                        {.type = SPAN_BOOL, .integer = 1},
                                        {.type = SPAN_ARRAY, .items = items, .count = 2}};
    const char *keys[] = {"a.string", "a.double", "a.bool", "an.array"};
    struct span_context parent = {.flags = 1, .remote = true, .tracestate = "a=b", .tracestate_len = 3};
    struct span span;
    memset(parent.trace_id, 1, 16);
    memset(parent.span_id, 2, 8);
    span_begin(&span, &parent, SPAN_SERVER, text_of(ring, "GET /", interned),
               ring_intern(ring, "pillion.fuzz\0001", 14));
    for (int i = 0; i < 4; i++)
        span_set(&span, text_of(ring, keys[i], interned), &values[i]);
    span_event(&span, text_of(ring, "exception", interned), 0);
    span_set_last(&span, text_of(ring, "exception.type", interned), &values[0]);
    span_link(&span, &parent);
    span_set_last(&span, text_of(ring, "why", interned), &values[3]);
    span_set_status(&span, SPAN_STATUS_ERROR, "broken", 6);
    (void)ring_flight_begin(ring, &span.head, "GET /", interned ? 0 : 5, "detail", 6);
    span_end(&span, ring, 0);
}

static void make_sample(void) {
    struct ring *ring;
    struct ring_options options = {.resource = (const uint8_t *)"\x0a\x00", .resource_bytes = 2, .limit_bytes = 1};
    if (ring_create(&ring, &options) != STATUS_OK)
        abort();
    for (int i = 0; i < 6; i++)
        record_span(ring, i % 2 == 0);
    sample_used = ring_unpack(ring->file->tail).offset;
    sample = malloc(SAMPLE_BYTES);
    scratch = malloc(sizeof *scratch);
    body = malloc(OTLP_BYTES_LIMIT);
    if (sample == NULL || scratch == NULL || body == NULL)
        abort();
    memcpy(sample, ring->file, SAMPLE_BYTES);
    ring_destroy(ring);
}

// Everything a reader does with a file. Takes `memory` over. Returns the number of spans.
static uint64_t read_all(uint8_t *memory, size_t bytes) {
    struct ring_image image;
    struct ring_image_flight flight;
    struct otlp_result result;
    uint64_t spans = 0, rounds = 0;
    if (ring_image_parse(&image, memory, bytes, true) != STATUS_OK)
        return 0;
    for (uint32_t slot = 0; slot <= RING_FLIGHT_SLOTS; slot++)
        if (ring_image_flight(&image, slot, &flight) && flight.name_bytes + flight.detail_bytes > 168)
            abort();
    struct ring_cursor cursor = ring_image_cursor(&image), again = cursor, astray = cursor, metrics = cursor;
    struct ring_entry entry;
    do {
        otlp_encode_spans(scratch, &cursor, body, OTLP_BYTES_LIMIT, &result);
        spans += result.spans;
        if (result.bytes > OTLP_BYTES_LIMIT || ++rounds > 1000)
            abort();
    } while (result.bytes != 0 || result.skipped != 0);
    if (!ring_cursor_seek(&again, ring_cursor_at(&cursor)) || ring_cursor_seek(&astray, UINT64_MAX - 6))
        abort(); // where a walk ended another one can go on, and there is no place off the chain
    while (ring_next(&metrics, &entry))
        if (entry.bytes < memory || entry.length > (size_t)(memory + bytes - entry.bytes))
            abort();
    ring_image_free(&image);
    return spans;
}

// A record of any bytes behind the healthy ones, as a committed span would lie there.
static void append(uint8_t *memory, const uint8_t *data, size_t bytes) {
    uint8_t *at = memory + RING_SEGMENTS_AT + sample_used;
    uint32_t generation = 0;
    if (bytes > RING_SEGMENT_BYTES - 64 - sample_used)
        bytes = RING_SEGMENT_BYTES - 64 - sample_used;
    enum ring_kind kind = bytes > 0 && data[0] == 'm' ? RING_METRICS : RING_SPAN;
    uint64_t word = ring_word(generation, kind, RING_COMMITTED, (uint32_t)bytes);
    memcpy(at, &word, 8);
    if (bytes != 0)
        memcpy(at + 8, data, bytes);
}

// Input: how many damages; each 3 bytes where (regions in turn: see below), 1 byte how many bytes, the bytes; the rest
// is the record.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    if (sample == NULL)
        make_sample();
    uint8_t *memory = malloc(SAMPLE_BYTES);
    if (memory == NULL)
        return 0;
    memcpy(memory, sample, SAMPLE_BYTES);
    const uint32_t starts[] = {0, RING_STRINGS_AT, RING_FLIGHTS_AT, RING_SEGMENTS_AT};
    const uint32_t sizes[] = {RING_RESOURCE_AT, 512, 2048, sample_used};
    size_t at = 1;
    for (unsigned left = bytes != 0 ? data[0] % 32 : 0; left > 0 && at + 4 < bytes; left--) {
        unsigned region = data[at] % 4, count = data[at + 3] % 16 + 1u;
        uint32_t where = starts[region] + ((uint32_t)data[at + 1] << 8 | data[at + 2]) % sizes[region];
        at += 4;
        for (; count > 0 && at < bytes; count--)
            memory[where++] = data[at++];
    }
    append(memory, data + (at < bytes ? at : bytes), at < bytes ? bytes - at : 0);
    (void)read_all(memory, SAMPLE_BYTES);
    return 0;
}
