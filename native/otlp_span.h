// SPDX-License-Identifier: Apache-2.0
// otlp_span: one record to one OTLP Span message. Private to otlp*.c.
#ifndef PILLION_OTLP_SPAN_H
#define PILLION_OTLP_SPAN_H

#include "intern.h"
#include "otlp_wire.h"
#include "span.h"
#include <stdbool.h>

// Whether the record makes sense: every item lies inside, every value has the size of its type.
bool otlp_record_ok(const uint8_t *record, uint32_t bytes);
// The Span message (without its head) of a record that is ok.
void otlp_put_span(struct wire_sink *sink, const struct intern_view *strings, const uint8_t *record);
// The attributes of a span as KeyValue messages in field `field`; `items` are ok.
void otlp_put_attributes(struct wire_sink *sink, const struct intern_view *strings, const uint8_t *items,
                         uint32_t bytes, uint32_t field);

#endif
