// SPDX-License-Identifier: Apache-2.0
// grpc: one HTTP/2 connection of a gRPC client, bytes in and bytes out. See the header.
//
// The request's body is read by nghttp2 straight from the caller's memory, into frames as large as flow control allows.
// A call ends in one place, conclude(): by its trailers, by a closed stream, by a broken connection, or by its
// deadline. After that nothing touches the request again: the data callback looks whose stream it is asked for.
#include "grpc.h"

#include "grpc_answer.h"
#include "grpc_reply.h"
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PREFIX_BYTES 5 // gRPC's frame: one byte "compressed", four bytes length
#define MAX_HEADERS 40 // of a request
#define OUT_BYTES 4096 // small frames are written together

// The call under way, or the last one.
struct call {
    enum grpc_state state;
    int32_t stream;              // HTTP/2 stream id
    struct grpc_request request; // its pointers are Borrowed while state is GRPC_CALLING
    uint8_t prefix[PREFIX_BYTES];
    size_t sent; // bytes of prefix and body that are in frames
    struct grpc_reply reply;
    struct grpc_result result; // once state is GRPC_DONE
};

struct grpc {
    nghttp2_session *session; // Owned
    struct grpc_options options;
    struct call call;
    bool closing;           // GOAWAY came, or the connection broke: no further call
    bool broken;            // beyond use
    const uint8_t *waiting; // Borrowed from the session: a frame that did not fit into out
    size_t waiting_bytes;
    uint8_t out[OUT_BYTES];
};

// The call has ended with what is in call.result.
static void finish(struct call *call) {
    grpc_reply_free(&call->reply);
    call->state = GRPC_DONE;
}

// The call has ended without an answer that counts.
static void fail(struct grpc *grpc, enum grpc_code code, const char *message) {
    struct call *call = &grpc->call;
    if (call->state != GRPC_CALLING)
        return;
    memset(&call->result, 0, sizeof call->result);
    call->result.code = code;
    snprintf(call->result.message, sizeof call->result.message, "%s", message);
    finish(call);
}

static bool is_ours(const struct grpc *grpc, int32_t stream) {
    return grpc->call.state == GRPC_CALLING && stream != 0 && grpc->call.stream == stream;
}

static ssize_t on_read_body(nghttp2_session *session, int32_t stream, uint8_t *buffer, size_t capacity,
                            uint32_t *data_flags, nghttp2_data_source *source, void *user) {
    struct grpc *grpc = user;
    struct call *call = &grpc->call;
    size_t total = PREFIX_BYTES + call->request.bytes, used = 0;
    (void)session;
    (void)source;
    if (!is_ours(grpc, stream))
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    while (used < capacity && call->sent < total) {
        bool in_prefix = call->sent < PREFIX_BYTES;
        const uint8_t *from = in_prefix ? call->prefix + call->sent : call->request.body + (call->sent - PREFIX_BYTES);
        size_t count = in_prefix ? PREFIX_BYTES - call->sent : total - call->sent;
        if (count > capacity - used)
            count = capacity - used;
        memcpy(buffer + used, from, count);
        used += count;
        call->sent += count;
    }
    if (call->sent == total)
        *data_flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)used;
}

static int reset(nghttp2_session *session, int32_t stream) {
    return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream, NGHTTP2_CANCEL) ? NGHTTP2_ERR_CALLBACK_FAILURE
                                                                                         : 0;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user) {
    struct grpc *grpc = user;
    (void)session;
    if (is_ours(grpc, frame->hd.stream_id))
        grpc_reply_block(&grpc->call.reply);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_bytes,
                     const uint8_t *value, size_t value_bytes, uint8_t flags, void *user) {
    struct grpc *grpc = user;
    (void)session;
    (void)flags;
    if (!is_ours(grpc, frame->hd.stream_id) ||
        grpc_reply_header(&grpc->call.reply, name, name_bytes, value, value_bytes))
        return 0;
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; // resets the stream, and its close ends the call
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *bytes, size_t count,
                   void *user) {
    struct grpc *grpc = user;
    (void)flags;
    if (!is_ours(grpc, stream) || grpc_reply_data(&grpc->call.reply, bytes, count))
        return 0;
    return reset(session, stream);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user) {
    struct grpc *grpc = user;
    struct call *call = &grpc->call;
    bool data = frame->hd.type == NGHTTP2_DATA, headers = frame->hd.type == NGHTTP2_HEADERS;
    if (frame->hd.type == NGHTTP2_GOAWAY)
        grpc->closing = true;
    if (!(data || headers) || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM) || !is_ours(grpc, frame->hd.stream_id))
        return 0;
    bool whole = call->sent == PREFIX_BYTES + call->request.bytes;
    grpc_reply_conclude(&call->reply, headers, &call->result);
    finish(call);
    return whole ? 0 : reset(session, frame->hd.stream_id); // answered early: the rest of the request is of no use
}

static int on_stream_close(nghttp2_session *session, int32_t stream, uint32_t error, void *user) {
    struct grpc *grpc = user;
    struct grpc_reply *reply = &grpc->call.reply;
    char text[64];
    (void)session;
    if (!is_ours(grpc, stream))
        return 0;
    snprintf(text, sizeof text, "the stream was reset: %s", nghttp2_http2_strerror(error));
    fail(grpc, reply->broken ? reply->broken_code : grpc_code_of_reset(error), reply->broken ? reply->broken : text);
    return 0;
}

// HEADERS that could not go out: GOAWAY came first, or the stream ids are used up.
static int on_frame_not_sent(nghttp2_session *session, const nghttp2_frame *frame, int error, void *user) {
    struct grpc *grpc = user;
    (void)session;
    if (frame->hd.type == NGHTTP2_HEADERS && is_ours(grpc, frame->hd.stream_id)) {
        grpc->closing = true;
        fail(grpc, GRPC_UNAVAILABLE, nghttp2_strerror(error));
    }
    return 0;
}

bool grpc_header_valid(const struct grpc_header *header) {
    static const char *const reserved[] = {"connection", "content-length",   "content-type", "host",
                                           "keep-alive", "proxy-connection", "te",           "transfer-encoding",
                                           "upgrade",    "user-agent",       "grpc-status"};
    const char *name = header->name, *value = header->value;
    size_t bytes = strlen(name);
    if (bytes == 0 || bytes > 256 || strlen(value) > 8192)
        return false;
    for (const char *p = name; *p; p++) {
        bool word = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9');
        if (!word && !strchr("!#$%&'*+-.^_`|~", *p))
            return false;
    }
    for (const char *p = value; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return false;
    }
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++) {
        if (strcasecmp(name, reserved[i]) == 0)
            return false;
    }
    return strncasecmp(name, "grpc-", 5) != 0;
}

static enum status open_session(struct grpc *grpc) {
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
                                               {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, GRPC_MAX_HEADER_BYTES}};
    enum status status = STATUS_NO_MEMORY;
    nghttp2_session_callbacks *callbacks = NULL;
    if (nghttp2_session_callbacks_new(&callbacks) != 0)
        return STATUS_NO_MEMORY;
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_frame_not_sent);
    if (nghttp2_session_client_new(&grpc->session, callbacks, grpc) == 0 &&
        nghttp2_submit_settings(grpc->session, NGHTTP2_FLAG_NONE, settings, sizeof settings / sizeof *settings) == 0)
        status = STATUS_OK;
    nghttp2_session_callbacks_del(callbacks);
    return status;
}

enum status grpc_open(struct grpc **out, const struct grpc_options *options) {
    enum status status = STATUS_BAD_INPUT;
    *out = NULL;
    if (options->header_count > MAX_HEADERS - 11)
        return STATUS_BAD_INPUT;
    for (size_t i = 0; i < options->header_count; i++) {
        if (!grpc_header_valid(&options->headers[i]))
            return STATUS_BAD_INPUT;
    }
    struct grpc *grpc = calloc(1, sizeof *grpc);
    if (!grpc)
        return STATUS_NO_MEMORY;
    grpc->options = *options;
    status = open_session(grpc);
    if (status != STATUS_OK) {
        grpc_close(grpc);
        return status;
    }
    *out = grpc;
    return STATUS_OK;
}

void grpc_close(struct grpc *grpc) {
    if (!grpc)
        return;
    grpc->call.state = GRPC_IDLE; // no callback may look at the request again
    nghttp2_session_del(grpc->session);
    grpc_reply_free(&grpc->call.reply);
    free(grpc);
}

static void add_header(nghttp2_nv *list, size_t *count, const char *name, const char *value) {
    nghttp2_nv *nv = &list[(*count)++];
    memset(nv, 0, sizeof *nv);
    nv->name = (uint8_t *)(uintptr_t)name; // copied by nghttp2, which makes the name lower case
    nv->namelen = strlen(name);
    nv->value = (uint8_t *)(uintptr_t)value;
    nv->valuelen = strlen(value);
}

static int32_t submit(struct grpc *grpc) {
    nghttp2_nv list[MAX_HEADERS];
    size_t count = 0;
    char timeout[16];
    nghttp2_data_provider body = {.read_callback = on_read_body};
    uint64_t timeout_ms = grpc->call.request.timeout_ns / 1000000u;
    add_header(list, &count, ":method", "POST");
    add_header(list, &count, ":scheme", "http");
    add_header(list, &count, ":path", grpc->call.request.path);
    add_header(list, &count, ":authority", grpc->options.authority);
    if (grpc->call.request.timeout_ns) {
        uint64_t shown = timeout_ms < 1 ? 1 : timeout_ms > 99999999 ? 99999999 : timeout_ms; // 8 digits at most
        snprintf(timeout, sizeof timeout, "%um", (unsigned)shown);
        add_header(list, &count, "grpc-timeout", timeout);
    }
    add_header(list, &count, "content-type", "application/grpc");
    add_header(list, &count, "te", "trailers");
    add_header(list, &count, "grpc-accept-encoding", "identity");
    add_header(list, &count, "user-agent", grpc->options.user_agent);
    for (size_t i = 0; i < grpc->options.header_count; i++)
        add_header(list, &count, grpc->options.headers[i].name, grpc->options.headers[i].value);
    if (grpc->call.request.header.name != NULL) {
        add_header(list, &count, grpc->call.request.header.name, grpc->call.request.header.value);
        list[count - 1].flags = NGHTTP2_NV_FLAG_NO_INDEX; // never the same again
    }
    return nghttp2_submit_request(grpc->session, NULL, list, count, &body, NULL);
}

enum status grpc_call(struct grpc *grpc, const struct grpc_request *request) {
    struct call *call = &grpc->call;
    if (call->state == GRPC_CALLING || !grpc_usable(grpc))
        return STATUS_BUSY;
    if (request->bytes > UINT32_MAX)
        return STATUS_TOO_LARGE;
    memset(call, 0, sizeof *call);
    call->request = *request;
    grpc_reply_init(&call->reply);
    for (int i = 0; i < 4; i++)
        call->prefix[1 + i] = (uint8_t)(request->bytes >> (24 - 8 * i));
    int32_t stream = submit(grpc);
    if (stream < 0) {
        grpc->closing = true;
        return stream == NGHTTP2_ERR_NOMEM ? STATUS_NO_MEMORY : STATUS_BUSY;
    }
    call->stream = stream;
    call->state = GRPC_CALLING;
    return STATUS_OK;
}

void grpc_hang_up(struct grpc *grpc, const char *why) {
    grpc->closing = grpc->broken = true;
    fail(grpc, GRPC_UNAVAILABLE, why);
}

enum status grpc_feed(struct grpc *grpc, const uint8_t *bytes, size_t count) {
    if (grpc->broken)
        return STATUS_BAD_INPUT;
    ssize_t used = nghttp2_session_mem_recv(grpc->session, bytes, count);
    if (used < 0) {
        grpc_hang_up(grpc, nghttp2_strerror((int)used));
        return STATUS_BAD_INPUT;
    }
    if (nghttp2_session_want_read(grpc->session))
        return STATUS_OK;
    grpc->closing = true; // after GOAWAY, or nghttp2 found a violation and has queued its own GOAWAY
    if (grpc->call.state == GRPC_CALLING) {
        grpc_hang_up(grpc, "the peer broke the rules of HTTP/2");
        return STATUS_BAD_INPUT;
    }
    return STATUS_OK;
}

size_t grpc_take(struct grpc *grpc, const uint8_t **out) {
    size_t used = 0;
    for (;;) {
        if (!grpc->waiting_bytes) {
            ssize_t count = nghttp2_session_mem_send(grpc->session, &grpc->waiting);
            if (count < 0)
                grpc_hang_up(grpc, nghttp2_strerror((int)count));
            grpc->waiting_bytes = count > 0 ? (size_t)count : 0;
        }
        if (!grpc->waiting_bytes || grpc->waiting_bytes > sizeof grpc->out - used)
            break;
        memcpy(grpc->out + used, grpc->waiting, grpc->waiting_bytes);
        used += grpc->waiting_bytes;
        grpc->waiting_bytes = 0;
    }
    if (used) {
        *out = grpc->out;
        return used;
    }
    if (!grpc->waiting_bytes && !nghttp2_session_want_read(grpc->session) && grpc->call.state == GRPC_CALLING)
        grpc_hang_up(grpc, "the peer broke the rules of HTTP/2"); // its sin was found in grpc_feed, our GOAWAY is out
    used = grpc->waiting_bytes;                                   // a large frame goes out from where it lies
    *out = grpc->waiting;
    grpc->waiting_bytes = 0;
    return used;
}

enum grpc_state grpc_state(struct grpc *grpc, struct grpc_result *out) {
    if (out && grpc->call.state == GRPC_DONE)
        *out = grpc->call.result;
    return grpc->call.state;
}

void grpc_expire(struct grpc *grpc) {
    if (grpc->call.state != GRPC_CALLING)
        return;
    int32_t stream = grpc->call.stream;
    fail(grpc, GRPC_DEADLINE_EXCEEDED, "no answer within the deadline");
    if (nghttp2_submit_rst_stream(grpc->session, NGHTTP2_FLAG_NONE, stream, NGHTTP2_CANCEL) != 0)
        grpc->closing = true;
}

bool grpc_usable(const struct grpc *grpc) {
    return !grpc->closing && nghttp2_session_check_request_allowed(grpc->session);
}
