// SPDX-License-Identifier: Apache-2.0
// http2_server: a scripted gRPC server without sockets, for test_grpc.c alone (hence the bodies in a header): it takes
// the client's bytes, keeps the request, answers as its script says, and records every byte it said.
#ifndef PILLION_TESTS_HTTP2_SERVER_H
#define PILLION_TESTS_HTTP2_SERVER_H

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What the server answers, and what it got.
struct script {
    const char *status;       // HTTP status; NULL: it resets the stream with `error`
    const char *content_type; // NULL: none
    const uint8_t *body;
    size_t body_bytes;
    const char *trailers[6]; // name, value, …, NULL; first NULL: none
    bool trailers_only;      // status and trailers in one block
    uint32_t error;
    bool goaway;     // sent before the answer, the call is not taken
    uint32_t window; // SETTINGS_INITIAL_WINDOW_SIZE; 0: default
};

struct server {
    nghttp2_session *session;
    const struct script *script;
    size_t answered; // bytes of the body
    uint8_t *got;    // the request's data
    size_t got_bytes;
    char headers[2048];
    uint8_t *said; // all bytes the server sent
    size_t said_bytes;
};

static void append(uint8_t **to, size_t *used, const uint8_t *bytes, size_t count) {
    uint8_t *grown = realloc(*to, *used + count + 1);
    if (!grown)
        abort();
    if (count)
        memcpy(grown + *used, bytes, count);
    *to = grown;
    *used += count;
}

static size_t fill(nghttp2_nv *list, const char *const *pairs) {
    size_t count = 0;
    for (; pairs[2 * count]; count++) {
        nghttp2_nv nv = {(uint8_t *)(uintptr_t)pairs[2 * count], (uint8_t *)(uintptr_t)pairs[2 * count + 1],
                         strlen(pairs[2 * count]), strlen(pairs[2 * count + 1]), 0};
        list[count] = nv;
    }
    return count;
}

static ssize_t on_body(nghttp2_session *session, int32_t stream, uint8_t *buffer, size_t capacity, uint32_t *flags,
                       nghttp2_data_source *source, void *user) {
    struct server *server = user;
    const struct script *script = server->script;
    size_t left = script->body_bytes - server->answered, count = left < capacity ? left : capacity;
    nghttp2_nv trailers[3];
    (void)source;
    if (count)
        memcpy(buffer, script->body + server->answered, count);
    server->answered += count;
    if (server->answered == script->body_bytes) {
        *flags = NGHTTP2_DATA_FLAG_EOF;
        if (script->trailers[0]) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            nghttp2_submit_trailer(session, stream, trailers, fill(trailers, script->trailers));
        }
    }
    return (ssize_t)count;
}

static void answer(struct server *server, int32_t stream) {
    const struct script *script = server->script;
    const char *head[16] = {":status", script->status};
    size_t used = 2;
    nghttp2_nv list[8];
    nghttp2_data_provider body = {.read_callback = on_body};
    if (script->goaway) {
        nghttp2_submit_goaway(server->session, 0, 0, NGHTTP2_NO_ERROR, NULL, 0);
    } else if (!script->status) {
        nghttp2_submit_rst_stream(server->session, 0, stream, script->error);
    } else {
        if (script->content_type) {
            head[used++] = "content-type";
            head[used++] = script->content_type;
        }
        for (size_t i = 0; script->trailers_only && script->trailers[i]; i++)
            head[used++] = script->trailers[i];
        nghttp2_submit_response(server->session, stream, list, fill(list, head), script->trailers_only ? NULL : &body);
    }
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user) {
    (void)session;
    if ((frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS) &&
        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        answer(user, frame->hd.stream_id);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *bytes, size_t count,
                   void *user) {
    struct server *server = user;
    (void)session, (void)flags, (void)stream;
    append(&server->got, &server->got_bytes, bytes, count);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_bytes,
                     const uint8_t *value, size_t value_bytes, uint8_t flags, void *user) {
    struct server *server = user;
    size_t used = strlen(server->headers);
    (void)session, (void)frame, (void)flags;
    snprintf(server->headers + used, sizeof server->headers - used, "%.*s=%.*s\n", (int)name_bytes, (const char *)name,
             (int)value_bytes, (const char *)value);
    return 0;
}

static inline void server_begin(struct server *server, const struct script *script) {
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_settings_entry window = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, script->window};
    memset(server, 0, sizeof *server);
    server->script = script;
    if (nghttp2_session_callbacks_new(&callbacks) != 0)
        abort();
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    if (nghttp2_session_server_new(&server->session, callbacks, server) != 0)
        abort();
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(server->session, 0, &window, script->window ? 1 : 0);
}

static inline void server_end(struct server *server) {
    nghttp2_session_del(server->session);
    free(server->got);
    free(server->said);
}

#endif
