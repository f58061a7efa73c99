// SPDX-License-Identifier: Apache-2.0
// module_asgi: one SERVER span around an HTTP request of an ASGI application, from the call to the end of its response.
//
// The application gets the server's scope and receive, untouched, and a send that notes the status; the server awaits
// what stands for the application's coroutine (both: module_asgi_send.c). Lifespan and websocket go straight through.
// The request is the child of what its headers say and of nothing else: what was current where a server was started, or
// in the task of the request before, is none of its business.
#include "module.h"
#include <string.h>

enum header {
    HEADER_PARENT,
    HEADER_STATE,
    HEADER_BAGGAGE,
    HEADER_HOST,
    HEADER_FORWARDED,
    HEADER_X_HOST,
    HEADER_X_FOR,
    HEADER_AGENT,
    HEADERS,
};
static const char *const header_names[HEADERS] = {
    "traceparent", "tracestate", "baggage", "host", "forwarded", "x-forwarded-host", "x-forwarded-for", "user-agent",
};
enum key {
    KEY_TYPE,
    KEY_METHOD,
    KEY_SCHEME,
    KEY_VERSION,
    KEY_PATH,
    KEY_QUERY,
    KEY_HEADERS,
    KEY_CLIENT,
    KEY_SERVER,
    KEYS
};
static const char *const key_names[KEYS] = {
    "type", "method", "scheme", "http_version", "path", "query_string", "headers", "client", "server",
};
static PyObject *keys[KEYS]; // Owned, interned
PyObject *asgi_excluded;

static PyObject *value_of(PyObject *scope, enum key key) {
    return compat_dict_get(scope, keys[key]);
}

// A plain list or tuple; another iterable would be used up.
static bool is_row(PyObject *value) {
    return value != NULL && (PyList_CheckExact(value) || PyTuple_CheckExact(value));
}

// Both borrowed.
static bool pair_of(PyObject *value, PyObject **first, PyObject **second) {
    if (!is_row(value) || PySequence_Fast_GET_SIZE(value) != 2)
        return false;
    *first = PySequence_Fast_GET_ITEM(value, 0);
    *second = PySequence_Fast_GET_ITEM(value, 1);
    return true;
}

static int header_of(PyObject *name) {
    if (!PyBytes_Check(name))
        return -1;
    for (int i = 0; i < HEADERS; i++)
        if (strlen(header_names[i]) == (size_t)PyBytes_GET_SIZE(name) &&
            memcmp(header_names[i], PyBytes_AS_STRING(name), (size_t)PyBytes_GET_SIZE(name)) == 0)
            return i;
    return -1;
}

// One line of a header more: a list goes on; a second traceparent makes both worthless; else the first one counts.
static void header_add(PyObject **py_values, int header, PyObject *line) {
    PyObject *py_text = PyUnicode_DecodeLatin1(PyBytes_AS_STRING(line), PyBytes_GET_SIZE(line), NULL);
    PyObject *py_old = py_values[header];
    if (py_text == NULL || py_old == NULL) {
        py_values[header] = py_text != NULL ? py_text : py_old;
        return;
    }
    if (header == HEADER_PARENT)
        py_values[header] = Py_NewRef(Py_None);
    else if ((header == HEADER_STATE || header == HEADER_BAGGAGE) && PyUnicode_Check(py_old))
        py_values[header] = PyUnicode_FromFormat("%U,%U", py_old, py_text);
    else
        py_values[header] = Py_NewRef(py_old);
    Py_DECREF(py_old);
    Py_DECREF(py_text);
}

// The headers that count, as text; py_values is all NULL before, and the caller's to release.
static void headers_read(PyObject *headers, PyObject **py_values) {
    if (!is_row(headers))
        return;
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(headers); i++) {
        PyObject *name, *line;
        if (!pair_of(PySequence_Fast_GET_ITEM(headers, i), &name, &line))
            continue;
        int header = header_of(name);
        if (header >= 0 && PyBytes_Check(line))
            header_add(py_values, header, line);
    }
    PyErr_Clear();
}

// Of a socket's end: (host, port), or (path, None).
static struct authority_text place_of(PyObject *place, uint32_t *port) {
    PyObject *host, *number;
    *port = 0;
    if (!pair_of(place, &host, &number))
        return request_text(NULL);
    long given = PyLong_Check(number) ? PyLong_AsLong(number) : 0;
    PyErr_Clear();
    if (given > 0 && given < 65536)
        *port = (uint32_t)given;
    return request_text(host);
}

static void describe(SpanObject *span, struct request *request, PyObject *scope, PyObject *const *headers) {
    PyObject *query = value_of(scope, KEY_QUERY), *py_query = NULL;
    if (request_capture_query && query != NULL && PyBytes_Check(query))
        py_query = PyUnicode_DecodeLatin1(PyBytes_AS_STRING(query), PyBytes_GET_SIZE(query), NULL);
    PyErr_Clear();
    request->query = py_query;
    request->path = value_of(scope, KEY_PATH);
    request->agent = request_text(headers[HEADER_AGENT]);
    request->forwarded = request_text(headers[HEADER_FORWARDED]);
    request->forwarded_host = request_text(headers[HEADER_X_HOST]);
    request->forwarded_for = request_text(headers[HEADER_X_FOR]);
    request->host = request_text(headers[HEADER_HOST]);
    request->server = place_of(value_of(scope, KEY_SERVER), &request->server_port);
    request->peer = place_of(value_of(scope, KEY_CLIENT), &request->peer_port);
    request_describe(span, request);
    Py_XDECREF(py_query);
}

static SpanObject *begin(PyObject *scope, uint32_t scope_id) {
    struct request request = {
        .method = request_text(value_of(scope, KEY_METHOD)),
        .scheme = request_text(value_of(scope, KEY_SCHEME)),
        .version = request_text(value_of(scope, KEY_VERSION)),
    };
    PyObject *py_headers[HEADERS] = {NULL};
    headers_read(value_of(scope, KEY_HEADERS), py_headers);
    PyObject *py_remote =
        propagate_remote(py_headers[HEADER_PARENT], py_headers[HEADER_STATE], py_headers[HEADER_BAGGAGE]);
    SpanObject *span = request_begin(&request, py_remote, scope_id);
    Py_XDECREF(py_remote);
    if (span != NULL && span->span.recording)
        describe(span, &request, scope, py_headers);
    for (int i = 0; i < HEADERS; i++)
        Py_XDECREF(py_headers[i]);
    return span;
}

static bool is_http(PyObject *scope) {
    PyObject *type = PyDict_Check(scope) ? value_of(scope, KEY_TYPE) : NULL;
    return type != NULL && PyUnicode_Check(type) && PyUnicode_CompareWithASCIIString(type, "http") == 0;
}

PyObject *asgi_call(PyObject *original, uint32_t scope_id, PyObject *const *args, size_t nargsf, PyObject *kwnames) {
    Py_ssize_t count = PyVectorcall_NARGS(nargsf); // a method's function has self before the three
    PyObject *scope = count == 3 || count == 4 ? args[count - 3] : NULL;
    if (kwnames != NULL || scope == NULL || !is_http(scope) || request_is_excluded(asgi_excluded, scope))
        return PyObject_Vectorcall(original, args, nargsf, kwnames);
    SpanObject *span = begin(scope, scope_id);
    PyObject *py_send = span != NULL ? asgi_send(args[count - 1], span) : NULL;
    PyErr_Clear();
    if (py_send == NULL) {
        Py_XDECREF(span);
        return PyObject_Vectorcall(original, args, nargsf, kwnames);
    }
    PyObject *stack[4] = {args[0], args[1], args[2], NULL};
    stack[count - 1] = py_send;
    PyObject *py_result = PyObject_Vectorcall(original, stack, (size_t)count, NULL);
    if (py_result != NULL) {
        py_result = asgi_awaited(py_result, span, py_send);
    } else {
        request_record_failure(span);
        PyObject *py_exception = compat_take_exception();
        span_object_end(span, 0);
        compat_give_exception(py_exception);
    }
    Py_DECREF(py_send);
    Py_DECREF(span);
    return py_result;
}

int module_asgi_init(void) {
    for (int i = 0; i < KEYS; i++)
        if ((keys[i] = PyUnicode_InternFromString(key_names[i])) == NULL)
            return -1;
    return module_asgi_send_init();
}
