// SPDX-License-Identifier: Apache-2.0
// The gRPC client against an HTTP/2 server in memory. Each answer is recorded once, then fed again to fresh clients:
// whole, byte by byte, cut at each byte, and damaged at random; a client must always come to an end.
#include "grpc.h"
#include "http2_server.h"
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

static struct grpc *client(void) {
    static const struct grpc_header extra[] = {{"Api-Key", "secret"}, {"x", ""}};
    const struct grpc_options options = {"collector:4317", "pillion/test (python)", extra, 2};
    struct grpc *grpc = NULL;
    if (grpc_open(&grpc, &options) != STATUS_OK)
        abort();
    return grpc;
}

static void call(struct grpc *grpc, const uint8_t *body, size_t bytes) {
    const struct grpc_request request = {"/pkg.Service/Export", body, bytes, 10000000000u};
    CHECK(grpc_call(grpc, &request) == STATUS_OK);
}

// Carries bytes both ways until neither side has any.
static void converse(struct grpc *grpc, struct server *server) {
    const uint8_t *out = NULL;
    bool moved = true;
    while (moved) {
        size_t count = grpc_take(grpc, &out);
        moved = count > 0;
        if (count && nghttp2_session_mem_recv(server->session, out, count) != (ssize_t)count)
            abort();
        ssize_t said = nghttp2_session_mem_send(server->session, &out);
        if (said > 0) {
            moved = true;
            append(&server->said, &server->said_bytes, out, (size_t)said);
            (void)!grpc_feed(grpc, out, (size_t)said);
        }
    }
}

static struct grpc_result result_of(struct grpc *grpc) {
    struct grpc_result result = {.code = GRPC_UNKNOWN, .message = "the call has not ended"};
    CHECK(grpc_state(grpc, &result) == GRPC_DONE);
    return result;
}

static struct grpc_result run(const struct script *script, uint8_t **said, size_t *said_bytes) {
    static const uint8_t body[300] = {1, 2, 3};
    struct server server;
    struct grpc *grpc = client();
    server_begin(&server, script);
    call(grpc, body, sizeof body);
    converse(grpc, &server);
    struct grpc_result result = result_of(grpc);
    if (said) {
        *said = server.said;
        *said_bytes = server.said_bytes;
        server.said = NULL;
    }
    server_end(&server);
    grpc_close(grpc);
    return result;
}

#define OK_TRAILERS {"grpc-status", "0"}
static const uint8_t empty_message[] = {0, 0, 0, 0, 0};
static const uint8_t partial_message[] = {0, 0, 0, 0, 9, 0x0a, 7, 0x08, 0x05, 0x12, 3, 'b', 'a', 'd'};
static const uint8_t compressed_message[] = {1, 0, 0, 0, 1, 0};
static const uint8_t garbage_message[] = {0, 0, 0, 0, 2, 0x0a, 0x7f};
static const uint8_t two_messages[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
// google.rpc.Status{8, "slow", RetryInfo{1.5 s}}
#define RETRY_INFO "CAgSBHNsb3caNgoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxIKCggIARCAyrXuAQ"

struct row {
    const char *name;
    struct script script;
    struct grpc_result expected; // message: part of it
};

static const struct row rows[] = {
    {"ok", {"200", "application/grpc", empty_message, 5, OK_TRAILERS}, {GRPC_OK, true}},
    {"ok over tiny windows",
     {"200", "application/grpc+proto", empty_message, 5, OK_TRAILERS, .window = 1},
     {GRPC_OK, true}},
    {"partial success",
     {"200", "application/grpc", partial_message, sizeof partial_message, OK_TRAILERS},
     {GRPC_OK, true, .partial = true, .rejected = 5, .message = "bad"}},
    {"a refusal in one block, percent-encoded",
     {"200", "application/grpc", .trailers = {"grpc-status", "3", "grpc-message", "bad%20%C3%A4%0a%zz"},
      .trailers_only = true},
     {GRPC_INVALID_ARGUMENT, true, .message = "bad ???%zz"}},
    {"retry info",
     {"200", "application/grpc", .trailers = {"grpc-status", "8", "grpc-status-details-bin", RETRY_INFO},
      .trailers_only = true},
     {GRPC_RESOURCE_EXHAUSTED, true, true, 1500000000u}},
    {"a proxy's page", {"503", "text/html", empty_message, 5, {NULL}}, {GRPC_UNAVAILABLE, true, .message = "503"}},
    {"a foreign server",
     {"200", "text/html", empty_message, 5, {NULL}},
     {GRPC_UNKNOWN, true, .message = "content-type"}},
    {"no grpc-status",
     {"200", "application/grpc", empty_message, 5, {NULL}},
     {GRPC_UNKNOWN, true, .message = "no grpc"}},
    {"a strange grpc-status",
     {"200", "application/grpc", empty_message, 5, {"grpc-status", "17"}},
     {GRPC_UNKNOWN, true}},
    {"ok without message", {"200", "application/grpc", NULL, 0, OK_TRAILERS}, {GRPC_INTERNAL, true}},
    {"compressed", {"200", "application/grpc", compressed_message, 6, OK_TRAILERS}, {GRPC_INTERNAL, true}},
    {"no protobuf", {"200", "application/grpc", garbage_message, 7, OK_TRAILERS}, {GRPC_INTERNAL, true}},
    {"two messages", {"200", "application/grpc", two_messages, 10, OK_TRAILERS}, {GRPC_INTERNAL, true}},
    {"refused stream", {.error = NGHTTP2_REFUSED_STREAM}, {GRPC_UNAVAILABLE, false, .message = "REFUSED_STREAM"}},
    {"cancelled stream", {.error = NGHTTP2_CANCEL}, {GRPC_CANCELLED, false}},
    {"calm", {.error = NGHTTP2_ENHANCE_YOUR_CALM}, {GRPC_RESOURCE_EXHAUSTED, false}},
    {"internal error", {.error = NGHTTP2_INTERNAL_ERROR}, {GRPC_INTERNAL, false}},
    {"goaway before the call", {.goaway = true}, {GRPC_UNAVAILABLE, false}},
};
#define ROWS (sizeof rows / sizeof *rows)

static bool same(const struct grpc_result *a, const struct grpc_result *b) {
    return a->code == b->code && a->answered == b->answered && a->has_retry_delay == b->has_retry_delay &&
           a->retry_delay_ns == b->retry_delay_ns && a->partial == b->partial && a->rejected == b->rejected &&
           strstr(a->message, b->message);
}

static void every_answer_means_what_grpc_says(void) {
    for (size_t i = 0; i < ROWS; i++) {
        struct grpc_result result = run(&rows[i].script, NULL, NULL);
        if (!same(&result, &rows[i].expected)) {
            printf("FAILED: %s: code %d answered %d delay %llu rejected %llu \"%s\"\n", rows[i].name, result.code,
                   result.answered, (unsigned long long)result.retry_delay_ns, (unsigned long long)result.rejected,
                   result.message);
            failures++;
        }
    }
}

// Feeds `bytes` to a fresh client in pieces; then the peer hangs up.
static struct grpc_result replay(const uint8_t *bytes, size_t count, size_t piece) {
    static const uint8_t body[300] = {1, 2, 3};
    const uint8_t *out = NULL;
    struct grpc *grpc = client();
    call(grpc, body, sizeof body);
    for (size_t at = 0; at < count; at += piece) {
        size_t some = count - at < piece ? count - at : piece;
        uint8_t *exact = malloc(some); // a read behind the end must show
        if (!exact)
            abort();
        memcpy(exact, bytes + at, some);
        while (grpc_take(grpc, &out) > 0)
            ;
        (void)!grpc_feed(grpc, exact, some);
        free(exact);
    }
    while (grpc_take(grpc, &out) > 0)
        ;
    grpc_hang_up(grpc, "the peer closed the connection");
    struct grpc_result result = result_of(grpc);
    grpc_close(grpc);
    return result;
}

static void answers_may_come_in_any_pieces_and_end_anywhere(void) {
    for (size_t i = 0; i < ROWS; i++) {
        uint8_t *said = NULL;
        size_t count = 0;
        struct grpc_result whole = run(&rows[i].script, &said, &count), result;
        if (rows[i].script.window) { // its WINDOW_UPDATEs answer frames of their own time
            free(said);
            continue;
        }
        for (size_t piece = 1; piece <= count; piece += piece < 8 ? 1 : 97) {
            result = replay(said, count, piece);
            CHECK(same(&result, &whole));
        }
        for (size_t cut = 0; cut < count; cut++) {
            result = replay(said, cut, count);
            CHECK(same(&result, &whole) || (result.code == GRPC_UNAVAILABLE && !result.answered));
        }
        free(said);
    }
}

static void damaged_answers_end_the_call_somehow(void) {
    uint64_t random = 88172645463325252ull;
    for (size_t i = 0; i < ROWS; i++) {
        uint8_t *said = NULL;
        size_t count = 0;
        run(&rows[i].script, &said, &count);
        for (int turn = 0; turn < 400 && count; turn++) {
            uint8_t *copy = malloc(count);
            if (!copy)
                abort();
            memcpy(copy, said, count);
            for (int hits = 1 + turn % 4; hits > 0; hits--) {
                random ^= random << 13, random ^= random >> 7, random ^= random << 17;
                copy[(random >> 32) % count] = (uint8_t)random;
            }
            struct grpc_result result = replay(copy, count, turn % 2 ? count : 7);
            CHECK(result.code <= GRPC_UNAUTHENTICATED && memchr(result.message, 0, sizeof result.message));
            free(copy);
        }
        free(said);
    }
}

static void the_request_arrives_whole_with_its_headers(void) {
    const struct script script = {"200", "application/grpc", empty_message, 5, OK_TRAILERS};
    const size_t bytes = 200000;
    uint8_t *body = malloc(bytes);
    struct server server;
    struct grpc *grpc = client();
    if (!body)
        abort();
    for (size_t i = 0; i < bytes; i++)
        body[i] = (uint8_t)(i * 31 >> 3);
    server_begin(&server, &script);
    for (int turn = 0; turn < 3; turn++) { // one after another over one connection
        server.got_bytes = server.answered = 0;
        call(grpc, body, bytes);
        converse(grpc, &server);
        CHECK(result_of(grpc).code == GRPC_OK && grpc_usable(grpc));
        CHECK(server.got_bytes == bytes + 5 && memcmp(server.got, "\0\0\3\r@", 5) == 0);
        CHECK(memcmp(server.got + 5, body, bytes) == 0);
    }
    static const char *const expected[] = {":method=POST\n",
                                           ":path=/pkg.Service/Export\n",
                                           ":authority=collector:4317\n",
                                           "grpc-timeout=10000m\n",
                                           "content-type=application/grpc\n",
                                           "te=trailers\n",
                                           "user-agent=pillion/test (python)\n",
                                           "api-key=secret\n",
                                           "x=\n"};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        CHECK(strstr(server.headers, expected[i]));
    server_end(&server);
    grpc_close(grpc);
    free(body);
}

static void what_is_too_large_is_refused(void) {
    const size_t bytes = GRPC_MAX_RESPONSE_BYTES + 6;
    uint8_t *body = calloc(1, bytes);
    char *header = malloc(GRPC_MAX_HEADER_BYTES + 1);
    if (!body || !header)
        abort();
    body[1] = 0x00, body[2] = 0x40, body[4] = 1;
    const struct script response = {"200", "application/grpc", body, bytes, OK_TRAILERS};
    struct grpc_result result = run(&response, NULL, NULL);
    CHECK(result.code == GRPC_RESOURCE_EXHAUSTED && !result.answered &&
          strstr(result.message, "response is too large"));
    memset(header, 'a', GRPC_MAX_HEADER_BYTES);
    header[GRPC_MAX_HEADER_BYTES] = '\0';
    const struct script headers = {"200", "application/grpc", .trailers = {"x", header}, .trailers_only = true};
    result = run(&headers, NULL, NULL);
    CHECK(result.code == GRPC_RESOURCE_EXHAUSTED && !result.answered &&
          strstr(result.message, "headers are too large"));
    free(body);
    free(header);
}

static void a_call_that_expired_leaves_the_request_alone(void) {
    const struct script script = {"200", "application/grpc", empty_message, 5, OK_TRAILERS};
    struct server server;
    struct grpc *grpc = client();
    uint8_t *body = calloc(1, 100000);
    const uint8_t *out = NULL;
    if (!body)
        abort();
    server_begin(&server, &script);
    call(grpc, body, 100000);
    CHECK(grpc_call(grpc, &(struct grpc_request){"/x", body, 1, 0}) == STATUS_BUSY);
    CHECK(grpc_take(grpc, &out) > 0 && grpc_take(grpc, &out) > 0);
    grpc_expire(grpc);
    free(body);
    CHECK(result_of(grpc).code == GRPC_DEADLINE_EXCEEDED && !result_of(grpc).answered);
    while (grpc_take(grpc, &out) > 0)
        ;
    CHECK(grpc_usable(grpc));
    grpc_hang_up(grpc, "gone");
    CHECK(!grpc_usable(grpc) && result_of(grpc).code == GRPC_DEADLINE_EXCEEDED);
    CHECK(grpc_call(grpc, &(struct grpc_request){"/x", NULL, 0, 0}) == STATUS_BUSY);
    server_end(&server);
    grpc_close(grpc);
}

int main(void) {
    every_answer_means_what_grpc_says();
    answers_may_come_in_any_pieces_and_end_anywhere();
    damaged_answers_end_the_call_somehow();
    the_request_arrives_whole_with_its_headers();
    what_is_too_large_is_refused();
    a_call_that_expired_leaves_the_request_alone();
    printf(failures ? "%d failures\n" : "ok\n", failures);
    return failures != 0;
}
