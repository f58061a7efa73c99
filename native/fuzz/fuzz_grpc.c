// SPDX-License-Identifier: Apache-2.0
// Any bytes as what a server says on its connection, and the same bytes as a reply's header fields and message. Besides
// not crashing: every call ends, with a code of gRPC and a text that ends, in two pieces as in one.
#include "grpc.h"
#include "grpc_answer.h"
#include <stdlib.h>
#include <string.h>

static void require(int holds) {
    if (!holds)
        abort();
}

static struct grpc_result converse(const uint8_t *bytes, size_t count, size_t first) {
    static const uint8_t body[64];
    const struct grpc_options options = {"collector", "fuzz", NULL, 0};
    const struct grpc_request request = {"/pkg.Service/Export", body, sizeof body, 1000000000u};
    const uint8_t *out = NULL;
    struct grpc *grpc = NULL;
    struct grpc_result result = {0};
    require(grpc_open(&grpc, &options) == STATUS_OK);
    require(grpc_call(grpc, &request) == STATUS_OK);
    while (grpc_take(grpc, &out) > 0)
        ;
    (void)!grpc_feed(grpc, bytes, first);
    while (grpc_take(grpc, &out) > 0)
        ;
    (void)!grpc_feed(grpc, bytes + first, count - first);
    while (grpc_take(grpc, &out) > 0)
        ;
    grpc_hang_up(grpc, "the end");
    require(grpc_state(grpc, &result) == GRPC_DONE);
    require(!grpc_usable(grpc));
    grpc_close(grpc);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct grpc_result result = {0}, partial = {0};
    uint64_t delay_ns = 0;
    char text[32];
    result = converse(data, size, size ? data[0] % size : 0);
    require(result.code <= GRPC_UNAUTHENTICATED && memchr(result.message, 0, sizeof result.message));
    require(result.retry_delay_ns <= GRPC_MAX_RETRY_DELAY_NS);
    if (grpc_retry_delay(data, size, &delay_ns))
        require(delay_ns <= GRPC_MAX_RETRY_DELAY_NS);
    (void)!grpc_partial_success(data, size, &partial);
    require(memchr(partial.message, 0, sizeof partial.message) != NULL);
    grpc_text_copy(text, sizeof text, data, size, true);
    require(strlen(text) < sizeof text);
    return 0;
}
