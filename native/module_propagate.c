// SPDX-License-Identifier: Apache-2.0
// module_propagate: trace context and baggage between Python's headers and propagate.c.
//
// Extraction reads headers that anybody may have sent; whatever is malformed counts as absent and never raises.
#include "baggage.h"
#include "module.h"
#include "propagate.h"
#include <string.h>
#include <strings.h>

bool propagate_trace = true, propagate_baggage = true;

// UTF-8 of a header value; NULL where it's absent or not text.
static const char *header_text(PyObject *value, Py_ssize_t *bytes) {
    if (value == NULL || !PyUnicode_Check(value))
        return NULL;
    const char *text = PyUnicode_AsUTF8AndSize(value, bytes);
    if (text == NULL)
        PyErr_Clear();
    return text;
}

// The header as it may be sent on: within the standard's limits, without what is malformed. NULL: nothing left.
static PyObject *baggage_clean(PyObject *header) {
    Py_ssize_t bytes = 0;
    const char *text = propagate_baggage ? header_text(header, &bytes) : NULL;
    if (text == NULL || bytes == 0)
        return NULL;
    struct baggage_member members[BAGGAGE_MEMBERS];
    char *decoded = PyMem_Malloc(2 * BAGGAGE_BYTES);
    if (decoded == NULL)
        return NULL;
    size_t count = baggage_parse(text, (size_t)bytes, members, BAGGAGE_MEMBERS, decoded);
    size_t used = count > 0 ? baggage_format(members, count, decoded + BAGGAGE_BYTES, BAGGAGE_BYTES) : 0;
    PyObject *py_clean = used > 0 ? PyUnicode_DecodeUTF8(decoded + BAGGAGE_BYTES, (Py_ssize_t)used, "replace") : NULL;
    PyMem_Free(decoded);
    PyErr_Clear();
    return py_clean;
}

PyObject *propagate_remote(PyObject *traceparent, PyObject *tracestate, PyObject *baggage) {
    struct span_context context = {.remote = true};
    Py_ssize_t bytes = 0;
    const char *text = propagate_trace ? header_text(traceparent, &bytes) : NULL;
    bool has_trace = text != NULL && propagate_parse_traceparent(text, (size_t)bytes, &context);
    PyObject *py_baggage = baggage_clean(baggage);
    if (!has_trace && py_baggage == NULL)
        return NULL;
    RemoteObject *remote = PyObject_New(RemoteObject, &Remote_Type);
    if (remote == NULL) {
        PyErr_Clear();
        Py_XDECREF(py_baggage);
        return NULL;
    }
    remote->context = context;
    remote->context.tracestate = NULL;
    remote->context.tracestate_len = 0;
    remote->tracestate = NULL;
    remote->baggage = py_baggage;
    if (has_trace && (text = header_text(tracestate, &bytes)) != NULL && bytes > 0 && bytes <= 16384) {
        char kept[PROPAGATE_TRACESTATE_BYTES];
        size_t used = propagate_tracestate(text, (size_t)bytes, kept, sizeof kept);
        if (used > 0)
            remote->tracestate = PyUnicode_FromStringAndSize(kept, (Py_ssize_t)used);
        if (remote->tracestate != NULL) {
            remote->context.tracestate = PyUnicode_AsUTF8AndSize(remote->tracestate, &bytes);
            remote->context.tracestate_len = (uint32_t)bytes;
        }
        PyErr_Clear();
    }
    return (PyObject *)remote;
}

PyObject *propagate_from_environ(PyObject *environ) {
    static PyObject *names[3];
    if (names[0] == NULL) {
        names[1] = PyUnicode_InternFromString("HTTP_TRACESTATE");
        names[2] = PyUnicode_InternFromString("HTTP_BAGGAGE");
        names[0] = PyUnicode_InternFromString("HTTP_TRACEPARENT");
    }
    return propagate_remote(compat_dict_get(environ, names[0]), compat_dict_get(environ, names[1]),
                            compat_dict_get(environ, names[2]));
}

PyObject *propagate_extract_environ_py(PyObject *module, PyObject *environ) {
    (void)module;
    PyObject *py_remote = PyDict_Check(environ) ? propagate_from_environ(environ) : NULL;
    return py_remote != NULL ? py_remote : Py_NewRef(Py_None);
}

PyObject *propagate_extract_py(PyObject *module, PyObject *mapping) {
    (void)module;
    PyObject *py_values[3] = {NULL, NULL, NULL};
    static const char *const names[3] = {"traceparent", "tracestate", "baggage"};
    for (int i = 0; i < 3; i++) {
        py_values[i] = PyMapping_GetItemString(mapping, names[i]);
        if (py_values[i] == NULL)
            PyErr_Clear();
    }
    PyObject *py_remote = propagate_remote(py_values[0], py_values[1], py_values[2]);
    for (int i = 0; i < 3; i++)
        Py_XDECREF(py_values[i]);
    return py_remote != NULL ? py_remote : Py_NewRef(Py_None);
}

// What is to be sent of `from` (a Span, a Remote or NULL), each header made by `add`; -1: it failed, with an exception.
typedef int (*header_add)(PyObject *list, const char *name, const char *value, size_t bytes);

static int list_add(PyObject *list, const char *name, const char *value, size_t bytes) {
    PyObject *py_value = PyUnicode_DecodeUTF8(value, (Py_ssize_t)bytes, "replace");
    PyObject *py_pair = py_value != NULL ? Py_BuildValue("(sN)", name, py_value) : NULL;
    int failed = py_pair == NULL || PyList_Append(list, py_pair) < 0;
    Py_XDECREF(py_pair);
    return failed ? -1 : 0;
}

// As HTTP/1 has it on the wire; a value that may not stand there is left out.
static int line_add(PyObject *list, const char *name, const char *value, size_t bytes) {
    size_t name_bytes = strlen(name);
    for (size_t i = 0; i < bytes; i++)
        if ((uint8_t)value[i] < ' ' || (uint8_t)value[i] > '~')
            return 0;
    PyObject *py_line = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(name_bytes + 2 + bytes));
    if (py_line == NULL)
        return -1;
    char *to = PyBytes_AS_STRING(py_line);
    memcpy(to, name, name_bytes);
    memcpy(to + name_bytes, ": ", 2);
    memcpy(to + name_bytes + 2, value, bytes);
    int failed = PyList_Append(list, py_line);
    Py_DECREF(py_line);
    return failed;
}

static int inject_into(PyObject *list, PyObject *from, header_add add) {
    struct span_context context = {0};
    PyObject *py_baggage = NULL;
    if (span_object_check(from)) {
        span_context_of(&((SpanObject *)from)->span, &context);
        py_baggage = context_baggage(from, ((SpanObject *)from)->baggage);
    } else if (from != NULL && Py_IS_TYPE(from, &Remote_Type)) {
        context = ((RemoteObject *)from)->context;
        py_baggage = Py_XNewRef(((RemoteObject *)from)->baggage);
    }
    static const uint8_t none[16];
    int failed = 0;
    if (propagate_trace && memcmp(context.trace_id, none, sizeof none) != 0) {
        char text[PROPAGATE_TRACEPARENT_BYTES];
        propagate_format_traceparent(&context, text);
        failed = add(list, "traceparent", text, sizeof text);
        if (failed == 0 && context.tracestate_len > 0)
            failed = add(list, "tracestate", context.tracestate, context.tracestate_len);
    }
    Py_ssize_t bytes = 0;
    const char *baggage = failed == 0 && propagate_baggage ? header_text(py_baggage, &bytes) : NULL;
    if (baggage != NULL)
        failed = add(list, "baggage", baggage, (size_t)bytes);
    Py_XDECREF(py_baggage);
    return failed;
}

static PyObject *source_of(PyObject *const *args, Py_ssize_t count) {
    return count > 0 && args[0] != Py_None ? Py_NewRef(args[0]) : context_get();
}

PyObject *propagate_inject_py(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    (void)module;
    PyObject *py_list = PyList_New(0), *py_from = source_of(args, count);
    if (py_list != NULL && inject_into(py_list, py_from, list_add) < 0)
        Py_CLEAR(py_list);
    Py_XDECREF(py_from);
    return py_list;
}

static bool is_traceparent(PyObject *line) {
    return PyBytes_Check(line) && PyBytes_GET_SIZE(line) >= 12 &&
           strncasecmp(PyBytes_AS_STRING(line), "traceparent:", 12) == 0;
}

PyObject *propagate_inject_lines_py(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    (void)module;
    if (count < 1 || count > 2 || !PyList_CheckExact(args[0])) {
        PyErr_SetString(PyExc_TypeError, "inject_lines(lines: list[bytes], span=None)");
        return NULL;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(args[0]); i++)
        if (is_traceparent(PyList_GET_ITEM(args[0], i)))
            Py_RETURN_NONE;
    PyObject *py_from = source_of(args + 1, count - 1);
    int failed = inject_into(args[0], py_from, line_add);
    Py_XDECREF(py_from);
    return failed < 0 ? NULL : Py_NewRef(Py_None);
}

static void remote_dealloc(RemoteObject *remote) {
    Py_XDECREF(remote->tracestate);
    Py_XDECREF(remote->baggage);
    PyObject_Free(remote);
}

static PyObject *remote_create(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    (void)type;
    static char *names[] = {"traceparent", "tracestate", "baggage", NULL};
    PyObject *traceparent = NULL, *tracestate = NULL, *baggage = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OOO:Remote", names, &traceparent, &tracestate, &baggage))
        return NULL;
    PyObject *py_remote = propagate_remote(traceparent, tracestate, baggage);
    if (py_remote == NULL)
        PyErr_SetString(PyExc_ValueError, "Remote: neither a valid traceparent nor a baggage");
    return py_remote;
}

static PyObject *remote_get_trace_id(RemoteObject *remote, void *unused) {
    (void)unused;
    return text_hex(remote->context.trace_id, 16);
}

static PyObject *remote_get_span_id(RemoteObject *remote, void *unused) {
    (void)unused;
    return text_hex(remote->context.span_id, 8);
}

static PyObject *remote_get_flags(RemoteObject *remote, void *unused) {
    (void)unused;
    return PyLong_FromLong(remote->context.flags);
}

static PyObject *remote_get_tracestate(RemoteObject *remote, void *unused) {
    (void)unused;
    return Py_NewRef(remote->tracestate != NULL ? remote->tracestate : Py_None);
}

static PyObject *remote_get_baggage(RemoteObject *remote, void *unused) {
    (void)unused;
    return Py_NewRef(remote->baggage != NULL ? remote->baggage : Py_None);
}

static PyGetSetDef remote_getset[] = {
    {"trace_id", (getter)remote_get_trace_id, NULL, "32 hex digits; all zero: only a baggage came", NULL},
    {"span_id", (getter)remote_get_span_id, NULL, "16 hex digits", NULL},
    {"flags", (getter)remote_get_flags, NULL, "W3C trace flags", NULL},
    {"tracestate", (getter)remote_get_tracestate, NULL, "str or None", NULL},
    {"baggage", (getter)remote_get_baggage, NULL, "the header's text or None", NULL},
    {NULL},
};

PyTypeObject Remote_Type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "pillion._native.Remote",
    .tp_basicsize = sizeof(RemoteObject),
    .tp_dealloc = (destructor)remote_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_getset = remote_getset,
    .tp_new = remote_create,
    .tp_doc = "Remote(traceparent=None, tracestate=None, baggage=None): a parent that came over the wire.",
};
