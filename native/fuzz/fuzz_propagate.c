// SPDX-License-Identifier: Apache-2.0
// Any bytes as traceparent, tracestate and baggage. Besides not crashing: what is written must read back the same.
#include "baggage.h"
#include "propagate.h"
#include <stdlib.h>
#include <string.h>

static void fuzz_traceparent(const char *text, size_t bytes) {
    struct span_context context, again;
    char out[PROPAGATE_TRACEPARENT_BYTES];
    if (propagate_parse_traceparent(text, bytes, &context)) {
        propagate_format_traceparent(&context, out);
        if (!propagate_parse_traceparent(out, sizeof out, &again) || memcmp(&context, &again, sizeof again) != 0) {
            abort();
        }
    }
}

static void fuzz_tracestate(const char *text, size_t bytes, size_t capacity) {
    char out[PROPAGATE_TRACESTATE_BYTES], again[PROPAGATE_TRACESTATE_BYTES];
    size_t used = propagate_tracestate(text, bytes, out, capacity);
    if (used > capacity || propagate_tracestate(out, used, again, used) != used || memcmp(out, again, used) != 0) {
        abort();
    }
    size_t split = bytes < 8 ? 0 : (size_t)(text[0] & 7);
    used = propagate_tracestate_put(text, split, text, bytes - split, text, bytes, out, capacity);
    if (used > capacity) {
        abort();
    }
}

static void fuzz_baggage(const char *text, size_t bytes) {
    static char decoded[BAGGAGE_BYTES], out[BAGGAGE_BYTES], decoded_again[BAGGAGE_BYTES];
    struct baggage_member members[BAGGAGE_MEMBERS], again[BAGGAGE_MEMBERS];
    size_t count = baggage_parse(text, bytes, members, BAGGAGE_MEMBERS, decoded);
    size_t used = baggage_format(members, count, out, sizeof out);
    size_t count_again = baggage_parse(out, used, again, BAGGAGE_MEMBERS, decoded_again);
    if (count_again > count || used > sizeof out) {
        abort();
    }
    if (count_again < count) {
        return; // U+FFFD for each broken byte can make it too long
    }
    for (size_t i = 0; i < count; i++) {
        if (members[i].key_bytes != again[i].key_bytes || members[i].value_bytes != again[i].value_bytes ||
            memcmp(members[i].key, again[i].key, again[i].key_bytes) != 0 ||
            memcmp(members[i].value, again[i].value, again[i].value_bytes) != 0) {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    fuzz_traceparent(text, size);
    fuzz_tracestate(text, size, PROPAGATE_TRACESTATE_BYTES);
    fuzz_tracestate(text, size, size % PROPAGATE_TRACESTATE_BYTES);
    fuzz_baggage(text, size);
    return 0;
}
