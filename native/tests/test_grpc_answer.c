// SPDX-License-Identifier: Apache-2.0
// What a gRPC answer's fields mean: codes, texts, RetryInfo, partial_success, and which headers may go out. Everything
// foreign is also given cut at each byte, in a block of exactly its size, so that AddressSanitizer sees a read behind
// it.
#include "grpc_answer.h"
#include "retry.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;

#define CHECK(what)                                                                                                    \
    do {                                                                                                               \
        if (!(what)) {                                                                                                 \
            printf("FAILED: %s:%d: %s\n", __func__, __LINE__, #what);                                                  \
            failures++;                                                                                                \
        }                                                                                                              \
    } while (0)

static uint8_t *exact(const void *bytes, size_t count) {
    uint8_t *copy = malloc(count ? count : 1);
    if (!copy)
        abort();
    if (count)
        memcpy(copy, bytes, count);
    return copy;
}

static void only_harmless_headers_are_valid(void) {
    static const struct {
        struct grpc_header header;
        bool valid;
    } table[] = {
        {{"authorization", "Bearer x"}, true},
        {{"X-Api_Key", ""}, true},
        {{"trace-bin", "AAA"}, true},
        {{"", "x"}, false},
        {{":path", "/"}, false},
        {{"te", "x"}, false},
        {{"Content-Type", "x"}, false},
        {{"GRPC-timeout", "1S"}, false},
        {{"a b", "x"}, false},
        {{"a", "x\ny"}, false},
        {{"a", "x\x7f"}, false},
        {{"host", "x"}, false},
        {{"transfer-encoding", "x"}, false},
        {{"user-agent", "mine"}, false},
        {{"\xc3\xa4", "x"}, false},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        CHECK(grpc_header_valid(&table[i].header) == table[i].valid);
        struct grpc *grpc = NULL;
        const struct grpc_options options = {"a", "b", &table[i].header, 1};
        CHECK(grpc_open(&grpc, &options) == (table[i].valid ? STATUS_OK : STATUS_BAD_INPUT));
        grpc_close(grpc);
    }
}

static void codes_follow_the_tables_of_grpc(void) {
    static const struct {
        unsigned from;
        enum grpc_code to;
    } http[] = {{400, GRPC_INTERNAL},
                {401, GRPC_UNAUTHENTICATED},
                {403, GRPC_PERMISSION_DENIED},
                {404, GRPC_UNIMPLEMENTED},
                {429, GRPC_UNAVAILABLE},
                {502, GRPC_UNAVAILABLE},
                {503, GRPC_UNAVAILABLE},
                {504, GRPC_UNAVAILABLE},
                {500, GRPC_UNKNOWN},
                {200, GRPC_UNKNOWN},
                {0, GRPC_UNKNOWN}},
      reset[] = {{0, GRPC_INTERNAL},
                 {1, GRPC_INTERNAL},
                 {2, GRPC_INTERNAL},
                 {3, GRPC_INTERNAL},
                 {7, GRPC_UNAVAILABLE},
                 {8, GRPC_CANCELLED},
                 {11, GRPC_RESOURCE_EXHAUSTED},
                 {12, GRPC_PERMISSION_DENIED},
                 {4711, GRPC_INTERNAL}};
    for (size_t i = 0; i < sizeof http / sizeof *http; i++)
        CHECK(grpc_code_of_http(http[i].from) == http[i].to);
    for (size_t i = 0; i < sizeof reset / sizeof *reset; i++)
        CHECK(grpc_code_of_reset(reset[i].from) == reset[i].to);
    for (unsigned code = 0; code < 120; code++) {
        char text[8];
        int bytes = snprintf(text, sizeof text, "%u", code);
        CHECK(grpc_code_of_text((const uint8_t *)text, (size_t)bytes) == (code <= 16 ? code : GRPC_UNKNOWN));
    }
    CHECK(grpc_code_of_text((const uint8_t *)"", 0) == GRPC_UNKNOWN);
    CHECK(grpc_code_of_text((const uint8_t *)"-1", 2) == GRPC_UNKNOWN);
}

static void texts_are_decoded_and_cut(void) {
    char out[8];
    grpc_text_copy(out, sizeof out, (const uint8_t *)"a%20b%", 6, true);
    CHECK(strcmp(out, "a b%") == 0);
    grpc_text_copy(out, sizeof out, (const uint8_t *)"%4", 2, true);
    CHECK(strcmp(out, "%4") == 0);
    grpc_text_copy(out, sizeof out, (const uint8_t *)"0123456789", 10, false);
    CHECK(strcmp(out, "0123456") == 0);
    grpc_text_copy(out, sizeof out, (const uint8_t *)"\x01\n\xff%41", 6, false);
    CHECK(strcmp(out, "???%41") == 0);
    for (size_t cut = 0; cut < 9; cut++) {
        uint8_t *copy = exact("%41%42%zz", cut);
        grpc_text_copy(out, sizeof out, copy, cut, true);
        free(copy);
    }
}

// google.rpc.Status{8, "slow", details: [RetryInfo{1.5 s}]}.
#define RETRY_INFO "CAgSBHNsb3caNgoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxIKCggIARCAyrXuAQ"

static void retry_info_is_found_and_bounded(void) {
    uint64_t delay = 0;
    const size_t bytes = sizeof RETRY_INFO - 1;
    CHECK(grpc_retry_delay((const uint8_t *)RETRY_INFO, bytes, &delay) && delay == 1500000000u);
    CHECK(grpc_retry_delay((const uint8_t *)RETRY_INFO "==,AAAA", bytes + 7, &delay) && delay == 1500000000u);
    for (size_t cut = 0; cut < bytes; cut++) {
        uint8_t *copy = exact(RETRY_INFO, cut);
        CHECK(!grpc_retry_delay(copy, cut, &delay));
        free(copy);
    }
    uint64_t random = 1;
    for (int turn = 0; turn < 20000; turn++) {
        uint8_t *copy = exact(RETRY_INFO, bytes);
        random = random * 6364136223846793005u + 1442695040888963407u;
        copy[(random >> 33) % bytes] = (uint8_t)(random >> 20);
        if (grpc_retry_delay(copy, bytes, &delay))
            CHECK(delay <= GRPC_MAX_RETRY_DELAY_NS);
        free(copy);
    }
}

static void partial_success_is_read_or_refused(void) {
    static const uint8_t good[] = {0x12, 1, 'x', 0x0a, 7, 0x08, 0x05, 0x12, 3, 'b', 'a', 'd', 0x1d, 1, 2, 3, 4};
    struct grpc_result result = {0};
    CHECK(grpc_partial_success(good, sizeof good, &result) == STATUS_OK);
    CHECK(result.partial && result.rejected == 5 && strcmp(result.message, "bad") == 0);
    for (size_t cut = 0; cut < sizeof good; cut++) {
        uint8_t *copy = exact(good, cut);
        bool at_a_boundary = cut == 0 || cut == 3 || cut == 12;
        CHECK((grpc_partial_success(copy, cut, &result) == STATUS_OK) == at_a_boundary);
        free(copy);
    }
    static const uint8_t bad[][12] = {
        {0x0b, 0},                                              // a group
        {0x00, 0},                                              // field 0
        {0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, // longer than there is
        {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1},
        {0x08, 1, 0x0f, 0}, // partial_success as a number
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(grpc_partial_success(bad[i], sizeof bad[i], &result) == STATUS_BAD_INPUT);
    static const uint8_t negative[] = {0x0a, 11, 0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1};
    memset(&result, 0, sizeof result);
    CHECK(grpc_partial_success(negative, sizeof negative, &result) == STATUS_OK && result.rejected == 0);
}

static void repetition_follows_otlp(void) {
    static const bool retryable[17] = {[1] = true, [4] = true, [10] = true, [11] = true, [14] = true, [15] = true};
    const struct retry_policy policy = {100, 5000};
    for (int code = 0; code < 17; code++) {
        struct grpc_result result = {.code = (enum grpc_code)code};
        CHECK(retry_allowed(&result) == retryable[code]);
        result.has_retry_delay = true;
        CHECK(retry_allowed(&result) == (retryable[code] || code == GRPC_RESOURCE_EXHAUSTED));
    }
    for (unsigned failed = 1; failed < 100; failed++) {
        struct grpc_result result = {.code = GRPC_UNAVAILABLE};
        uint64_t full = failed > 6 ? 5000 : 100ull << (failed - 1);
        for (uint64_t random = 0; random < 3000; random += 77) {
            uint64_t delay = retry_delay_ns(&policy, failed, &result, random * 0x9e3779b97f4a7c15u);
            CHECK(delay >= full / 2 && delay <= full);
        }
        result.has_retry_delay = true;
        result.retry_delay_ns = 8000;
        CHECK(retry_delay_ns(&policy, failed, &result, 12345) >= 8000);
        CHECK(retry_delay_ns(&policy, failed, &result, 12345) <= 9000);
    }
}

int main(void) {
    only_harmless_headers_are_valid();
    codes_follow_the_tables_of_grpc();
    texts_are_decoded_and_cut();
    retry_info_is_found_and_bounded();
    partial_success_is_read_or_refused();
    repetition_follows_otlp();
    printf(failures ? "%d failures\n" : "ok\n", failures);
    return failures != 0;
}
