// SPDX-License-Identifier: Apache-2.0
// module_wsgi: one SERVER span around a WSGI request, from the call to the close of what it returned.
//
// The application gets its own environ, untouched, and a start_response that notes the status. A list or tuple is
// passed on as it is; of any other iterable the server gets a Body that forwards iteration and close, makes the span
// current meanwhile, and ends it at close (or when it is dropped). Attributes: semantic conventions, "HTTP spans",
// server.
#include "module.h"
#include <string.h>

enum variable {
    ENV_METHOD,
    ENV_SCHEME,
    ENV_SCRIPT,
    ENV_PATH,
    ENV_QUERY,
    ENV_HOST,
    ENV_SERVER_NAME,
    ENV_SERVER_PORT,
    ENV_FORWARDED,
    ENV_X_HOST,
    ENV_X_FOR,
    ENV_PEER,
    ENV_PEER_PORT,
    ENV_AGENT,
    ENV_PROTOCOL,
    ENV_FILE_WRAPPER,
    ENVS,
};
static const char *const variable_names[ENVS] = {
    "REQUEST_METHOD",       "wsgi.url_scheme",
    "SCRIPT_NAME",          "PATH_INFO",
    "QUERY_STRING",         "HTTP_HOST",
    "SERVER_NAME",          "SERVER_PORT",
    "HTTP_FORWARDED",       "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_FOR", "REMOTE_ADDR",
    "REMOTE_PORT",          "HTTP_USER_AGENT",
    "SERVER_PROTOCOL",      "wsgi.file_wrapper",
};
static PyObject *variables[ENVS]; // Owned, interned
PyObject *wsgi_excluded;

static struct authority_text variable(PyObject *environ, enum variable which) {
    return request_text(compat_dict_get(environ, variables[which]));
}

// SCRIPT_NAME + PATH_INFO. WSGI hands bytes over as latin-1 text; what they spell is UTF-8 nearly always.
static PyObject *path_of(PyObject *environ) {
    PyObject *script = compat_dict_get(environ, variables[ENV_SCRIPT]);
    PyObject *path = compat_dict_get(environ, variables[ENV_PATH]);
    if (path == NULL || !PyUnicode_Check(path))
        return NULL;
    PyObject *py_path = script != NULL && PyUnicode_Check(script) && PyUnicode_GET_LENGTH(script) > 0
                            ? PyUnicode_Concat(script, path)
                            : Py_NewRef(path);
    if (py_path != NULL && !PyUnicode_IS_ASCII(py_path)) {
        PyObject *py_bytes = PyUnicode_AsLatin1String(py_path), *py_text = NULL;
        if (py_bytes != NULL)
            py_text = PyUnicode_DecodeUTF8(PyBytes_AS_STRING(py_bytes), PyBytes_GET_SIZE(py_bytes), "replace");
        PyErr_Clear();
        Py_XDECREF(py_bytes);
        if (py_text != NULL)
            Py_SETREF(py_path, py_text);
    }
    PyErr_Clear();
    return py_path;
}

// A port, told as text or, by some servers, as a number. 0: none.
static uint32_t port_of(PyObject *environ, enum variable which) {
    struct authority_text value = variable(environ, which), host;
    PyObject *number = compat_dict_get(environ, variables[which]);
    uint32_t port = 0;
    char joined[16] = "x:";
    if (value.bytes > 0 && value.bytes < 8) {
        memcpy(joined + 2, value.text, value.bytes);
        (void)authority_split((struct authority_text){joined, value.bytes + 2}, &host, &port);
    } else if (number != NULL && PyLong_Check(number)) {
        long given = PyLong_AsLong(number);
        port = given > 0 && given < 65536 ? (uint32_t)given : 0;
        PyErr_Clear();
    }
    return port;
}

static SpanObject *begin(PyObject *environ, PyObject *current, uint32_t scope_id) {
    struct authority_text protocol = variable(environ, ENV_PROTOCOL);
    struct request request = {.method = variable(environ, ENV_METHOD), .scheme = variable(environ, ENV_SCHEME)};
    if (protocol.bytes > 5 && memcmp(protocol.text, "HTTP/", 5) == 0)
        request.version = (struct authority_text){protocol.text + 5, protocol.bytes - 5};
    PyObject *py_remote = propagate_from_environ(environ);
    SpanObject *span = request_begin(&request, py_remote != NULL ? py_remote : carry_entry_parent(current), scope_id);
    Py_XDECREF(py_remote);
    if (span == NULL || !span->span.recording)
        return span;
    PyObject *py_path = path_of(environ);
    request.path = py_path;
    request.query = compat_dict_get(environ, variables[ENV_QUERY]);
    request.agent = variable(environ, ENV_AGENT);
    request.forwarded = variable(environ, ENV_FORWARDED);
    request.forwarded_host = variable(environ, ENV_X_HOST);
    request.forwarded_for = variable(environ, ENV_X_FOR);
    request.host = variable(environ, ENV_HOST);
    request.server = variable(environ, ENV_SERVER_NAME);
    request.server_port = port_of(environ, ENV_SERVER_PORT);
    request.peer = variable(environ, ENV_PEER);
    request.peer_port = port_of(environ, ENV_PEER_PORT);
    request_describe(span, &request);
    Py_XDECREF(py_path);
    return span;
}

// An open entry span in this context: the same request, seen by an outer layer.
static bool is_nested(PyObject *current) {
    return span_object_check(current) && ((SpanObject *)current)->entry_open != NULL &&
           !((SpanObject *)current)->entry_open->ended;
}

PyObject *wsgi_call(PyObject *original, uint32_t scope_id, PyObject *const *args, size_t nargsf, PyObject *kwnames) {
    Py_ssize_t count = PyVectorcall_NARGS(nargsf);
    PyObject *environ = count >= 2 ? args[count - 2] : NULL;
    if (kwnames != NULL || count > 3 || environ == NULL || !PyDict_Check(environ))
        return PyObject_Vectorcall(original, args, nargsf, kwnames);
    PyObject *py_current = context_get();
    SpanObject *span = NULL;
    PyObject *py_start = NULL;
    if (!is_nested(py_current) && !request_is_excluded(wsgi_excluded, environ))
        span = begin(environ, py_current, scope_id);
    if (span != NULL)
        py_start = wsgi_start_response(args[count - 1], span);
    PyErr_Clear();
    if (py_start == NULL) {
        Py_XDECREF(span);
        Py_XDECREF(py_current);
        return PyObject_Vectorcall(original, args, nargsf, kwnames);
    }
    PyObject *stack[3] = {args[0], args[1], NULL};
    stack[count - 1] = py_start;
    context_set((PyObject *)span);
    PyObject *py_result = PyObject_Vectorcall(original, stack, (size_t)count, NULL);
    PyObject *py_exception = py_result == NULL ? compat_take_exception() : NULL;
    wsgi_restore(span, py_current);
    if (py_result != NULL) {
        py_result = wsgi_body(py_result, compat_dict_get(environ, variables[ENV_FILE_WRAPPER]), span);
    } else {
        compat_give_exception(py_exception);
        request_record_failure(span);
        py_exception = compat_take_exception();
        span_object_end(span, 0);
        compat_give_exception(py_exception);
    }
    Py_DECREF(py_start);
    Py_DECREF(span);
    Py_XDECREF(py_current);
    return py_result;
}

int module_wsgi_init(void) {
    module_request_init();
    for (int i = 0; i < ENVS; i++)
        if ((variables[i] = PyUnicode_InternFromString(variable_names[i])) == NULL)
            return -1;
    return module_wsgi_body_init();
}
