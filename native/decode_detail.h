// SPDX-License-Identifier: Apache-2.0
// decode_detail: what a data point says beyond its columns, as a JSON object:
//   histogram {"bounds":[…],"buckets":[…]} · exponential {"scale","zero_count","zero_threshold","positive":{"offset",
//   "buckets":[…]},"negative":{…}} · summary {"quantiles":[{"quantile","value"}]}
//   and all but the last "exemplars":[{"time_ns","value","trace_id","span_id","attributes":{…}}]
#ifndef PILLION_DECODE_DETAIL_H
#define PILLION_DECODE_DETAIL_H

#include "decode_state.h"

enum metric_kind { METRIC_NONE, METRIC_GAUGE, METRIC_SUM, METRIC_HISTOGRAM, METRIC_EXPONENTIAL, METRIC_SUMMARY };

// Appends the detail of one data point; nothing when it has none. `exemplars`: the tag of that field, 0: has none.
enum status detail_add(struct decode *decode, struct buffer *out, enum metric_kind kind, struct slice message,
                       uint32_t exemplars) MUST_USE;

#endif
