// SPDX-License-Identifier: Apache-2.0
// module_request: the SERVER span of an HTTP request, whichever interface its application is called by (module_wsgi.c,
// module_asgi.c). Attributes: semantic conventions, "HTTP spans", server. Leaves no exception behind.
#include "module.h"
#include <string.h>

enum key {
    KEY_METHOD,
    KEY_METHOD_ORIGINAL,
    KEY_SCHEME,
    KEY_PATH,
    KEY_QUERY,
    KEY_SERVER,
    KEY_SERVER_PORT,
    KEY_CLIENT,
    KEY_PEER,
    KEY_PEER_PORT,
    KEY_AGENT,
    KEY_VERSION,
    KEY_STATUS,
    KEY_ERROR,
    KEYS,
};
static const char *const key_names[KEYS] = {
    "http.request.method",
    "http.request.method_original",
    "url.scheme",
    "url.path",
    "url.query",
    "server.address",
    "server.port",
    "client.address",
    "network.peer.address",
    "network.peer.port",
    "user_agent.original",
    "network.protocol.version",
    "http.response.status_code",
    "error.type",
};
static const char *const known_methods[] = {"GET",     "POST",  "PUT",     "DELETE", "HEAD",
                                            "OPTIONS", "PATCH", "CONNECT", "TRACE",  "QUERY"};

static struct span_text keys[KEYS];       // ids of the string table
static struct span_text method_texts[10]; // of known_methods
PyObject *request_redact;
bool request_capture_query;

struct authority_text request_text(PyObject *value) {
    Py_ssize_t bytes = 0;
    if (value == NULL || !PyUnicode_Check(value))
        return (struct authority_text){NULL, 0};
    const char *text = PyUnicode_AsUTF8AndSize(value, &bytes);
    if (text == NULL)
        PyErr_Clear();
    return (struct authority_text){text, (size_t)bytes};
}

static void set_text(struct span *span, enum key key, struct authority_text value) {
    if (value.text == NULL || value.bytes == 0)
        return;
    struct span_value text = {.type = SPAN_STRING, .bytes = (uint32_t)value.bytes, .text = value.text};
    span_set(span, keys[key], &text);
}

static void note_text(struct red_note *note, enum red_key key, struct authority_text value) {
    if (value.text != NULL && value.bytes != 0)
        red_note_text(note, key, value.text, value.bytes);
}

static void set_number(struct span *span, enum key key, int64_t number) {
    struct span_value value = {.type = SPAN_INT, .integer = number};
    span_set(span, keys[key], &value);
}

static int known_method(struct authority_text method) {
    for (int i = 0; i < 10; i++)
        if (method.text != NULL && strlen(known_methods[i]) == method.bytes &&
            memcmp(known_methods[i], method.text, method.bytes) == 0)
            return i;
    return -1;
}

static void set_path(struct span *span, const struct request *request) {
    struct authority_text path = request_text(request->path), method = request->method;
    if (path.text == NULL)
        return;
    set_text(span, KEY_PATH, path);
    char detail[160];
    size_t used = method.bytes < 16 ? method.bytes : 16;
    size_t rest = path.bytes < sizeof detail - 17 ? path.bytes : sizeof detail - 17;
    if (method.text != NULL)
        memcpy(detail, method.text, used);
    detail[used] = ' ';
    memcpy(detail + used + 1, path.text, rest);
    core_flight_detail(span, detail, used + 1 + rest);
}

static void set_query(struct span *span, PyObject *query) {
    if (!request_capture_query || request_redact == NULL || request_text(query).bytes == 0)
        return;
    PyThreadState *thread = hook_enter();
    PyObject *py_query = PyObject_CallOneArg(request_redact, query);
    hook_leave(thread);
    if (py_query == NULL)
        hook_error(request_redact);
    set_text(span, KEY_QUERY, request_text(py_query));
    Py_XDECREF(py_query);
}

static void set_peers(struct span *span, const struct request *request) {
    struct authority_text value, host;
    uint32_t port = 0;
    bool found = authority_forwarded(request->forwarded, "host", &value) ||
                 authority_first(request->forwarded_host, &value) || authority_first(request->host, &value);
    if (found && authority_split(value, &host, &port)) {
        set_text(span, KEY_SERVER, host);
    } else {
        set_text(span, KEY_SERVER, request->server);
        port = request->server_port;
    }
    if (port > 0)
        set_number(span, KEY_SERVER_PORT, port);
    if (authority_forwarded(request->forwarded, "for", &value) || authority_first(request->forwarded_for, &value)) {
        if (authority_split(value, &host, &port))
            set_text(span, KEY_CLIENT, host);
    } else {
        set_text(span, KEY_CLIENT, request->peer);
    }
    set_text(span, KEY_PEER, request->peer);
    if (request->peer_port > 0)
        set_number(span, KEY_PEER_PORT, request->peer_port);
}

SpanObject *request_begin(const struct request *request, PyObject *parent, uint32_t scope_id) {
    struct authority_text method = request->method;
    int known = known_method(method);
    struct span_text name = known >= 0 ? method_texts[known] : (struct span_text){0, 4, "HTTP"};
    SpanObject *object = span_object_begin(parent, SPAN_SERVER, name, scope_id, 0);
    if (object == NULL)
        return NULL;
    struct authority_text shown = known >= 0 ? method : (struct authority_text){"_OTHER", 6};
    red_object_begin(object, RED_HTTP_SERVER);
    if (object->note != NULL) {
        note_text(object->note, RED_METHOD, shown);
        note_text(object->note, RED_SCHEME, request->scheme);
        note_text(object->note, RED_VERSION, request->version);
    }
    if (!object->span.recording)
        return object;
    set_text(&object->span, KEY_METHOD, shown);
    if (known < 0)
        set_text(&object->span, KEY_METHOD_ORIGINAL, method);
    set_text(&object->span, KEY_SCHEME, request->scheme);
    return object;
}

void request_describe(SpanObject *object, const struct request *request) {
    struct span *span = &object->span;
    set_path(span, request);
    set_query(span, request->query);
    set_peers(span, request);
    set_text(span, KEY_AGENT, request->agent);
    set_text(span, KEY_VERSION, request->version);
}

void request_status(SpanObject *object, int code) {
    set_number(&object->span, KEY_STATUS, code);
    if (object->note != NULL)
        red_note_integer(object->note, RED_STATUS, code);
}

void request_failed(SpanObject *object, int code) {
    char digits[3] = {(char)('0' + code / 100 % 10), (char)('0' + code / 10 % 10), (char)('0' + code % 10)};
    set_text(&object->span, KEY_ERROR, (struct authority_text){digits, sizeof digits});
    span_set_status(&object->span, SPAN_STATUS_ERROR, "", 0);
    if (object->note != NULL)
        red_note_text(object->note, RED_ERROR, digits, sizeof digits);
}

bool request_is_excluded(PyObject *excluded, PyObject *request) {
    if (excluded == NULL)
        return false;
    PyThreadState *thread = hook_enter();
    PyObject *py_answer = PyObject_CallOneArg(excluded, request);
    hook_leave(thread);
    bool is_excluded = py_answer == Py_True;
    if (py_answer == NULL)
        hook_error(excluded);
    Py_XDECREF(py_answer);
    return is_excluded;
}

void request_record_failure(SpanObject *span) {
    PyObject *py_exception = compat_take_exception();
    if (py_exception != NULL && !PyErr_GivenExceptionMatches(py_exception, PyExc_GeneratorExit) && !span->ended)
        exception_record(span, py_exception, true);
    compat_give_exception(py_exception);
}

void module_request_init(void) {
    for (int i = 0; i < KEYS; i++)
        keys[i] = text_static(key_names[i]);
    for (int i = 0; i < 10; i++)
        method_texts[i] = text_static(known_methods[i]);
}
