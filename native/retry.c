// SPDX-License-Identifier: Apache-2.0
// retry: OTLP's rules of repetition. See the header.
#include "retry.h"

bool retry_allowed(const struct grpc_result *result) {
    switch (result->code) {
    case GRPC_CANCELLED:
    case GRPC_DEADLINE_EXCEEDED:
    case GRPC_ABORTED:
    case GRPC_OUT_OF_RANGE:
    case GRPC_UNAVAILABLE:
    case GRPC_DATA_LOSS:
        return true;
    case GRPC_RESOURCE_EXHAUSTED:
        return result->has_retry_delay;
    default:
        return false;
    }
}

uint64_t retry_delay_ns(const struct retry_policy *policy, unsigned failures, const struct grpc_result *result,
                        uint64_t random) {
    uint64_t delay = policy->min_ns;
    for (unsigned i = 1; i < failures && delay < policy->max_ns; i++)
        delay = delay > policy->max_ns / 2 ? policy->max_ns : delay * 2;
    if (delay > policy->max_ns)
        delay = policy->max_ns;
    delay = delay / 2 + random % (delay / 2 + 1);
    if (result->has_retry_delay && delay < result->retry_delay_ns)
        return result->retry_delay_ns + random % (result->retry_delay_ns / 8 + 1);
    return delay;
}
