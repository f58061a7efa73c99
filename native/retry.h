// SPDX-License-Identifier: Apache-2.0
// retry: may a failed call be repeated, and when? OTLP's rules as pure functions: no clock, randomness is an argument.
#ifndef PILLION_RETRY_H
#define PILLION_RETRY_H

#include "grpc.h"

struct retry_policy {
    uint64_t min_ns; // before the second attempt
    uint64_t max_ns; // doubling stops here
};

// CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS; RESOURCE_EXHAUSTED only with RetryInfo.
MUST_USE bool retry_allowed(const struct grpc_result *result);

// How long to wait after `failures` >= 1 failures in a row: exponential, of which a random part (1/2 to all) is waited,
// so that the clients of a restarted collector don't come all at once. Never less than the peer asked for.
uint64_t retry_delay_ns(const struct retry_policy *policy, unsigned failures, const struct grpc_result *result,
                        uint64_t random);

#endif
