// SPDX-License-Identifier: Apache-2.0
// span_items: writing what a span carries behind its fixed part, in the form in which it will lie in the ring. Private
// to span*.c. Nothing here fails visibly: what has no room is dropped, and the caller counts it.
#ifndef PILLION_SPAN_ITEMS_H
#define PILLION_SPAN_ITEMS_H

#include "ring.h"
#include "span.h"

// Beyond this a record would not fit into a segment.
#define SPAN_ITEMS_LIMIT (RING_RECORD_LIMIT - (uint32_t)sizeof(struct span_record))

// Room for `bytes` (a multiple of 4) of items that are ready; NULL: no room.
uint8_t *items_room(struct span *span, uint32_t bytes);
// A new item with `bytes` of payload (not yet written) at the end; NULL: no room.
struct span_item *items_add(struct span *span, enum span_item_tag tag, uint32_t bytes);
// A text item of which a span has one at most; replaces the older one. False: no room.
bool items_set_text(struct span *span, enum span_item_tag tag, const char *text, uint32_t bytes);
// The first live item with this tag at or behind `from`, or NULL.
struct span_item *items_find(const struct span *span, enum span_item_tag tag, uint32_t from);

enum items_set { ITEMS_ADDED, ITEMS_REPLACED, ITEMS_DROPPED };
// Sets an attribute of the span (owner 0) or of the event or link at `from` (owner 1). `full`: no new key is taken.
enum items_set items_set(struct span *span, uint8_t owner, uint32_t from, struct span_text key,
                         const struct span_value *value, bool full);

#endif
