// SPDX-License-Identifier: Apache-2.0
// span: one operation while it is recorded, as plain C fields. No interpreter, no lock, no system call but the clock.
//
// A span belongs to one thread at a time. Attributes, events and links are written at once in the form in which they
// will lie in the ring, so that the end of a span is one reservation and one copy. Names and keys are ids of the ring's
// string table (ring_intern); id 0 means "not interned", and then the text itself is carried.
#ifndef PILLION_SPAN_H
#define PILLION_SPAN_H

#include "status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ring;

enum span_kind { SPAN_INTERNAL = 1, SPAN_SERVER = 2, SPAN_CLIENT = 3, SPAN_PRODUCER = 4, SPAN_CONSUMER = 5 };
enum span_status { SPAN_STATUS_UNSET = 0, SPAN_STATUS_OK = 1, SPAN_STATUS_ERROR = 2 };

// W3C trace flags (bits 0-7), and OTLP's two bits about the parent.
#define SPAN_FLAG_SAMPLED 0x01u
#define SPAN_FLAG_RANDOM 0x02u
#define SPAN_FLAG_REMOTE_KNOWN 0x100u
#define SPAN_FLAG_PARENT_REMOTE 0x200u

// Who the parent is: what traceparent says, or what a live span says of itself.
struct span_context {
    uint8_t trace_id[16];
    uint8_t span_id[8];
    uint8_t flags;           // W3C trace flags
    bool remote;             // came over the wire
    const char *tracestate;  // Borrowed; NULL when there is none; not 0-terminated
    uint32_t tracestate_len; // bytes
};

// The fixed part of a record of kind RING_SPAN; `items_bytes` bytes of struct span_item follow.
struct span_record {
    uint8_t trace_id[16];
    uint8_t span_id[8];
    uint8_t parent_id[8]; // all zero: a root
    uint64_t start_ns;    // since the Unix epoch
    uint64_t end_ns;      // since the Unix epoch, never before start_ns
    uint32_t name_id;     // 0: the name is an item SPAN_ITEM_NAME
    uint32_t scope_id;    // interned "name\0version\0schema URL", name alone will do; 0: pillion
    uint32_t flags;       // OTLP Span.flags
    uint8_t kind;         // enum span_kind
    uint8_t status;       // enum span_status
    uint16_t attributes;  // how many live attributes
    uint16_t events;
    uint16_t links;
    uint16_t dropped_attributes;
    uint16_t dropped_events;
    uint16_t dropped_links;
    uint16_t reserved;
    uint32_t items_bytes;
};
_Static_assert(sizeof(struct span_record) == 80, "layout version 1");

enum span_item_tag {
    SPAN_ITEM_DEAD = 0,       // an attribute that was set again
    SPAN_ITEM_ATTRIBUTE = 1,  // of the span, or of the event or link before it (see `owner`)
    SPAN_ITEM_NAME = 2,       // text
    SPAN_ITEM_MESSAGE = 3,    // text of the status
    SPAN_ITEM_TRACESTATE = 4, // text
    SPAN_ITEM_EVENT = 5,      // 8 bytes time_ns, 4 bytes dropped attributes, then the name as text (or key_id)
    SPAN_ITEM_LINK = 6,       // 16 + 8 bytes ids, 4 flags, 4 dropped attributes, then tracestate as text
};

enum span_type {
    SPAN_STRING = 1,
    SPAN_BOOL = 2,
    SPAN_INT = 3,
    SPAN_DOUBLE = 4,
    SPAN_BYTES = 5,
    SPAN_ARRAY = 6,
    SPAN_EMPTY = 7
};

// Always at a multiple of 4; `bytes` bytes follow, then padding to 4. A value is its text, or 8 bytes in the machine's
// order (bool, int, double), or for SPAN_ARRAY a row of elements { uint32 type; uint32 bytes; value; padding to 4 }.
struct span_item {
    uint8_t tag;        // enum span_item_tag
    uint8_t type;       // enum span_type, of an attribute
    uint8_t owner;      // SPAN_ITEM_ATTRIBUTE: 0 the span, 1 the latest event or link
    uint8_t inline_key; // 1: key_id is 0; the bytes begin with uint32 length, the key's text, padding to 4
    uint32_t key_id;    // of an attribute's key or an event's name
    uint32_t bytes;
};
_Static_assert(sizeof(struct span_item) == 12, "layout version 1");

// Limits of OTEL_SPAN_*_LIMIT and OTEL_ATTRIBUTE_*_LIMIT. Set once at start.
struct span_limits {
    uint16_t attributes;        // a span; 128
    uint16_t events;            // a span; 128
    uint16_t links;             // a span; 128
    uint16_t event_attributes;  // an event; 128
    uint16_t link_attributes;   // a link; 128
    uint32_t value_chars;       // longest text in characters, longest bytes in bytes, of a span; UINT32_MAX: none
    uint32_t other_value_chars; // the same of an event or a link
};
extern struct span_limits span_limits;

#define SPAN_SMALL_BYTES 640
#define SPAN_NONE UINT32_MAX

struct span {
    struct span_record head;
    uint64_t begin_mono_ns;  // the clock the duration is measured by
    uint64_t keys_seen;      // a bit for each attribute's key: one whose bit is 0 hasn't been set before
    uint8_t *items;          // == small, or Owned (malloc)
    uint32_t items_bytes;    // used
    uint32_t items_capacity; // of `items`
    uint32_t last_at;        // offset of the latest event or link in `items`, SPAN_NONE: none, or it was dropped
    uint32_t last_count;     // attributes of the latest event or link
    int32_t flight;          // slot in the table of requests in flight, -1: none
    bool unlimited;          // span_limits don't count: a resource
    bool recording;          // false: context only, everything below is a no-op
    uint8_t small[SPAN_SMALL_BYTES] __attribute__((aligned(8)));
};

// The attributes of a span, to be copied onto others.
struct span_attributes {
    uint8_t *items; // Owned (malloc)
    uint32_t bytes; // of items
    uint64_t keys_seen;
    uint16_t count;
};

// Text that comes with an id: id != 0 wins, otherwise the bytes are carried.
struct span_text {
    uint32_t id;
    uint32_t bytes;
    const char *text; // Borrowed
};

// A value to set. For SPAN_ARRAY: `items` that are no arrays. SPAN_EMPTY (a null) stands in arrays alone.
struct span_value {
    enum span_type type;
    uint32_t bytes; // of text, of SPAN_STRING and SPAN_BYTES
    union {
        const char *text; // Borrowed
        int64_t integer;  // also SPAN_BOOL: 0 or 1
        double real;
        const struct span_value *items; // SPAN_ARRAY
    };
    uint32_t count; // of items
};

// Opens `span`: new ids, the parent's trace and flags, start time. `parent` NULL: a new trace. The sampler decides
// whether it is recorded (ids and flags are valid in either case).
void span_begin(struct span *span, const struct span_context *parent, enum span_kind kind, struct span_text name,
                uint32_t scope_id);
// The same with a start time that the caller gives (OpenTelemetry's API), 0: now.
void span_begin_at(struct span *span, const struct span_context *parent, enum span_kind kind, struct span_text name,
                   uint32_t scope_id, uint64_t start_ns);
void span_context_of(const struct span *span, struct span_context *out); // tracestate is Borrowed from the span's items

void span_name(struct span *span, struct span_text name);
// Sets or replaces; over the limit: counted in dropped_attributes. Setting an attribute never fails visibly.
void span_set(struct span *span, struct span_text key, const struct span_value *value);
void span_set_status(struct span *span, enum span_status status, const char *message, size_t bytes);
void span_set_kind(struct span *span, enum span_kind kind);
// Copies the attributes of a span that has nothing else yet. False: it has, or they take more than `limit` bytes.
bool span_copy(const struct span *span, uint32_t limit, struct span_attributes *out);
// Gives a span that has no attributes yet those that were copied.
void span_paste(struct span *span, const struct span_attributes *from);
// Attributes of the event or link that was added last follow by span_set_last.
void span_event(struct span *span, struct span_text name, uint64_t time_ns); // 0: now
void span_link(struct span *span, const struct span_context *to);
// Counts an attribute that was given and can't be set.
void span_drop(struct span *span);
void span_drop_last(struct span *span); // of the latest event or link
void span_set_last(struct span *span, struct span_text key, const struct span_value *value);

// Copies the span into the ring (which counts what it cannot take) and frees what it owned. end_ns 0: now. The span can
// be forgotten afterwards; a second call does nothing.
void span_end(struct span *span, struct ring *ring, uint64_t end_ns);
// Frees without recording (a fork's child).
void span_discard(struct span *span);

// Sampler of OTEL_TRACES_SAMPLER; ratio in 0..1 for the ratio samplers. Set once at start.
enum span_sampler {
    SAMPLER_PARENT_ON,
    SAMPLER_PARENT_OFF,
    SAMPLER_PARENT_RATIO,
    SAMPLER_ON,
    SAMPLER_OFF,
    SAMPLER_RATIO,
};
void span_set_sampler(enum span_sampler sampler, double ratio);

#endif
