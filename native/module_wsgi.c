// SPDX-License-Identifier: Apache-2.0
// module_wsgi: one SERVER span around a WSGI request, from the call to the close of what it returned.
//
// The application gets its own environ, untouched, and a start_response that notes the status. A list or tuple is
// passed on as it is; of any other iterable the server gets a Body that forwards iteration and close, makes the span
// current meanwhile, and ends it at close (or when it is dropped). Attributes: semantic conventions, "HTTP spans",
// server.
#include "authority.h"
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
};
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
static const char *const known_methods[] = {"GET",     "POST",  "PUT",     "DELETE", "HEAD",
                                            "OPTIONS", "PATCH", "CONNECT", "TRACE",  "QUERY"};

static struct span_text keys[KEYS];       // ids of the string table
static PyObject *variables[ENVS];         // Owned, interned
static struct span_text method_texts[10]; // of known_methods
PyObject *wsgi_excluded;
PyObject *wsgi_redact;
bool wsgi_capture_query;

static struct authority_text variable(PyObject *environ, enum variable which) {
    PyObject *value = compat_dict_get(environ, variables[which]);
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

static void set_path(struct span *span, PyObject *environ, struct authority_text method) {
    PyObject *py_path = path_of(environ);
    Py_ssize_t bytes = 0;
    const char *path = py_path != NULL ? PyUnicode_AsUTF8AndSize(py_path, &bytes) : NULL;
    PyErr_Clear();
    if (path != NULL) {
        set_text(span, KEY_PATH, (struct authority_text){path, (size_t)bytes});
        char detail[160];
        size_t used = method.bytes < 16 ? method.bytes : 16;
        size_t rest = (size_t)bytes < sizeof detail - 17 ? (size_t)bytes : sizeof detail - 17;
        if (method.text != NULL)
            memcpy(detail, method.text, used);
        detail[used] = ' ';
        memcpy(detail + used + 1, path, rest);
        core_flight_detail(span, detail, used + 1 + rest);
    }
    Py_XDECREF(py_path);
    struct authority_text query = variable(environ, ENV_QUERY);
    if (!wsgi_capture_query || query.bytes == 0)
        return;
    PyObject *py_query = NULL;
    if (wsgi_redact != NULL) {
        PyThreadState *thread = hook_enter();
        py_query = PyObject_CallOneArg(wsgi_redact, compat_dict_get(environ, variables[ENV_QUERY]));
        hook_leave(thread);
        if (py_query == NULL)
            hook_error(wsgi_redact);
    }
    if (py_query != NULL && PyUnicode_Check(py_query) && (path = PyUnicode_AsUTF8AndSize(py_query, &bytes)) != NULL)
        set_text(span, KEY_QUERY, (struct authority_text){path, (size_t)bytes});
    PyErr_Clear();
    Py_XDECREF(py_query);
}

static void set_peers(struct span *span, PyObject *environ) {
    struct authority_text forwarded = variable(environ, ENV_FORWARDED), value, host;
    uint32_t port = 0;
    bool found = authority_forwarded(forwarded, "host", &value) ||
                 authority_first(variable(environ, ENV_X_HOST), &value) ||
                 authority_first(variable(environ, ENV_HOST), &value);
    if (found && authority_split(value, &host, &port)) {
        set_text(span, KEY_SERVER, host);
    } else {
        set_text(span, KEY_SERVER, variable(environ, ENV_SERVER_NAME));
        value = variable(environ, ENV_SERVER_PORT);
        char joined[16] = "x:";
        if (value.bytes > 0 && value.bytes < 8) {
            memcpy(joined + 2, value.text, value.bytes);
            (void)authority_split((struct authority_text){joined, value.bytes + 2}, &host, &port);
        }
    }
    if (port > 0)
        set_number(span, KEY_SERVER_PORT, port);
    struct authority_text peer = variable(environ, ENV_PEER);
    if (authority_forwarded(forwarded, "for", &value) || authority_first(variable(environ, ENV_X_FOR), &value)) {
        if (authority_split(value, &host, &port))
            set_text(span, KEY_CLIENT, host);
    } else {
        set_text(span, KEY_CLIENT, peer);
    }
    set_text(span, KEY_PEER, peer);
    PyObject *peer_port = compat_dict_get(environ, variables[ENV_PEER_PORT]);
    value = variable(environ, ENV_PEER_PORT);
    char joined[16] = "x:";
    if (value.bytes > 0 && value.bytes < 8) {
        memcpy(joined + 2, value.text, value.bytes);
        if (authority_split((struct authority_text){joined, value.bytes + 2}, &host, &port) && port > 0)
            set_number(span, KEY_PEER_PORT, port);
    } else if (peer_port != NULL && PyLong_Check(peer_port)) { // some servers give an int
        set_number(span, KEY_PEER_PORT, PyLong_AsLong(peer_port));
        PyErr_Clear();
    }
}

static SpanObject *request_begin(PyObject *environ, PyObject *current, uint32_t scope_id) {
    PyObject *py_remote = propagate_from_environ(environ);
    struct authority_text method = variable(environ, ENV_METHOD), protocol = variable(environ, ENV_PROTOCOL);
    int known = known_method(method);
    struct span_text name = known >= 0 ? method_texts[known] : (struct span_text){0, 4, "HTTP"};
    SpanObject *object =
        span_object_begin(py_remote != NULL ? py_remote : carry_entry_parent(current), SPAN_SERVER, name, scope_id, 0);
    Py_XDECREF(py_remote);
    if (object == NULL)
        return NULL;
    struct authority_text version = {NULL, 0};
    if (protocol.bytes > 5 && memcmp(protocol.text, "HTTP/", 5) == 0)
        version = (struct authority_text){protocol.text + 5, protocol.bytes - 5};
    red_object_begin(object, RED_HTTP_SERVER);
    if (object->note != NULL) {
        red_note_text(object->note, RED_METHOD, known >= 0 ? method.text : "_OTHER", known >= 0 ? method.bytes : 6);
        note_text(object->note, RED_SCHEME, variable(environ, ENV_SCHEME));
        note_text(object->note, RED_VERSION, version);
    }
    if (!object->span.recording)
        return object;
    struct span *span = &object->span;
    set_text(span, KEY_METHOD, known >= 0 ? method : (struct authority_text){"_OTHER", 6});
    if (known < 0)
        set_text(span, KEY_METHOD_ORIGINAL, method);
    set_text(span, KEY_SCHEME, variable(environ, ENV_SCHEME));
    set_path(span, environ, method);
    set_peers(span, environ);
    set_text(span, KEY_AGENT, variable(environ, ENV_AGENT));
    set_text(span, KEY_VERSION, version);
    return object;
}

static bool is_excluded(PyObject *environ) {
    if (wsgi_excluded == NULL)
        return false;
    PyThreadState *thread = hook_enter();
    PyObject *py_answer = PyObject_CallOneArg(wsgi_excluded, environ);
    hook_leave(thread);
    bool excluded = py_answer == Py_True;
    if (py_answer == NULL)
        hook_error(wsgi_excluded);
    Py_XDECREF(py_answer);
    return excluded;
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
    if (!is_nested(py_current) && !is_excluded(environ))
        span = request_begin(environ, py_current, scope_id);
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
        wsgi_record_failure(span);
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
    for (int i = 0; i < KEYS; i++)
        keys[i] = text_static(key_names[i]);
    for (int i = 0; i < 10; i++)
        method_texts[i] = text_static(known_methods[i]);
    for (int i = 0; i < ENVS; i++)
        if ((variables[i] = PyUnicode_InternFromString(variable_names[i])) == NULL)
            return -1;
    return module_wsgi_body_init();
}
