// SPDX-License-Identifier: Apache-2.0
// module: the table of pillion._native, and its start and stop. The types and functions are in module_*.c.
//
// One interpreter a process: state lies in statics, and a sub-interpreter is refused by pillion.start. All calls come
// with the GIL; the sender's thread never takes it.
#include "module.h"
#include "unpack.h"
#include <string.h>

static bool chars_of(PyObject *limits, const char *name, uint32_t *out) {
    PyObject *value = PyDict_GetItemString(limits, name);
    long long number = value != NULL ? PyLong_AsLongLong(value) : -1;
    if (number == -1 && PyErr_Occurred())
        return false;
    *out = number < 0 || number > UINT32_MAX ? UINT32_MAX : (uint32_t)number;
    return true;
}

static bool limits_of(PyObject *limits) {
    static const char *const names[] = {"attributes", "events", "links", "event_attributes", "link_attributes"};
    uint16_t *const fields[] = {&span_limits.attributes, &span_limits.events, &span_limits.links,
                                &span_limits.event_attributes, &span_limits.link_attributes};
    for (int i = 0; i < 5; i++) {
        PyObject *value = PyDict_GetItemString(limits, names[i]);
        long number = value != NULL ? PyLong_AsLong(value) : *fields[i];
        if (number == -1 && PyErr_Occurred())
            return false;
        *fields[i] = (uint16_t)(number < 0 || number > UINT16_MAX ? UINT16_MAX : number);
    }
    return chars_of(limits, "value_chars", &span_limits.value_chars) &&
           chars_of(limits, "other_value_chars", &span_limits.other_value_chars);
}

static bool sampler_of(const char *name, double ratio) {
    static const char *const names[] = {"parent_on", "parent_off", "parent_ratio", "on", "off", "ratio"};
    for (int i = 0; i < 6; i++)
        if (strcmp(name, names[i]) == 0) {
            span_set_sampler((enum span_sampler)i, ratio);
            return true;
        }
    PyErr_Format(PyExc_ValueError, "no such sampler: %s", name);
    return false;
}

// The resource's attributes, kept as a span's. NULL with an exception.
static struct span *resource_of(PyObject *attributes) {
    struct span *span = malloc(sizeof *span);
    if (span == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    span_begin(span, NULL, SPAN_INTERNAL, (struct span_text){0, 0, ""}, 0);
    span->recording = span->unlimited = true;
    text_set_all(span, attributes, false);
    return span;
}

static bool headers_of(PyObject *pairs, struct core_header *out, size_t capacity, size_t *count) {
    PyObject *py_fast = PySequence_Fast(pairs, "headers: a sequence of (name, value)");
    if (py_fast == NULL)
        return false;
    Py_ssize_t size = PySequence_Fast_GET_SIZE(py_fast);
    bool good = (size_t)size <= capacity;
    for (Py_ssize_t i = 0; good && i < size; i++)
        good = PyArg_ParseTuple(PySequence_Fast_GET_ITEM(py_fast, i), "ss", &out[i].name, &out[i].value) != 0;
    *count = good ? (size_t)size : 0;
    Py_DECREF(py_fast);
    if (!good && !PyErr_Occurred())
        PyErr_SetString(PyExc_ValueError, "too many headers");
    return good;
}

static void start_failed(enum status status, const char *target) {
    static const char *const reasons[] = {"",
                                          "full",
                                          "too large",
                                          "no memory",
                                          "system call failed",
                                          "not a target or header",
                                          "not supported",
                                          "already started"};
    PyErr_Format(PyExc_RuntimeError, "cannot start: %s (target %s)", reasons[status], target != NULL ? target : "none");
}

static char *start_names[] = {"resource",
                              "instance_id",
                              "instance_is_ours",
                              "version",
                              "target",
                              "headers",
                              "ring_directory",
                              "ring_left",
                              "ring_bytes",
                              "rings_bytes",
                              "interval_ns",
                              "timeout_ns",
                              "metrics_interval_ns",
                              "traces",
                              "sampler",
                              "ratio",
                              "limits",
                              "propagate_trace",
                              "propagate_baggage",
                              "capture_query",
                              NULL};

static PyObject *start_py(PyObject *module, PyObject *args, PyObject *kwargs) {
    (void)module;
    PyObject *resource, *headers, *limits;
    const char *instance_id, *sampler;
    Py_ssize_t instance_bytes;
    int instance_is_ours, left, traces, trace, baggage, query;
    double ratio;
    struct core_options options = {0};
    unsigned long long ring_bytes, rings_bytes, interval_ns, timeout_ns, metrics_ns;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "$O!y#pszOzpKKKKKpsdO!ppp:start", start_names, &PyDict_Type,
                                     &resource, &instance_id, &instance_bytes, &instance_is_ours, &options.version,
                                     &options.target, &headers, &options.ring_directory, &left, &ring_bytes,
                                     &rings_bytes, &interval_ns, &timeout_ns, &metrics_ns, &traces, &sampler, &ratio,
                                     &PyDict_Type, &limits, &trace, &baggage, &query))
        return NULL;
    struct core_header list[32];
    if (core_running() || instance_bytes != 16) {
        PyErr_SetString(PyExc_RuntimeError, core_running() ? "already started" : "instance_id: 16 bytes");
        return NULL;
    }
    if (!limits_of(limits) || !sampler_of(sampler, ratio) || !headers_of(headers, list, 32, &options.header_count))
        return NULL;
    memcpy(options.instance_id, instance_id, 16);
    options.instance_is_ours = instance_is_ours != 0;
    options.headers = list;
    options.interval_ns = interval_ns;
    options.timeout_ns = timeout_ns;
    options.metrics_interval_ns = metrics_ns;
    options.ring_left = left != 0;
    options.ring_limit_bytes = ring_bytes;
    options.folder_limit_bytes = rings_bytes;
    options.spans_exported = traces != 0;
    propagate_trace = trace != 0;
    propagate_baggage = baggage != 0;
    request_capture_query = query != 0;
    if ((options.resource = resource_of(resource)) == NULL)
        return NULL;
    enum status status = core_start(&options);
    if (status == STATUS_OK)
        Py_RETURN_NONE;
    start_failed(status, options.target);
    return NULL;
}

static PyObject *stop_py(PyObject *module, PyObject *args) {
    (void)module;
    double seconds = 0.5;
    if (!PyArg_ParseTuple(args, "|d:stop", &seconds))
        return NULL;
    Py_BEGIN_ALLOW_THREADS;
    core_finish((uint64_t)(seconds < 0 ? 0 : seconds * 1e9));
    Py_END_ALLOW_THREADS;
    core_stop(); // with the GIL: no other thread is inside a call
    Py_RETURN_NONE;
}

static PyObject *flush_py(PyObject *module, PyObject *args) {
    (void)module;
    double seconds = 5;
    bool done;
    if (!PyArg_ParseTuple(args, "|d:flush", &seconds))
        return NULL;
    Py_BEGIN_ALLOW_THREADS;
    done = core_flush((uint64_t)(seconds < 0 ? 0 : seconds * 1e9));
    Py_END_ALLOW_THREADS;
    return PyBool_FromLong(done);
}

static PyObject *stats_py(PyObject *module, PyObject *unused) {
    (void)module;
    (void)unused;
    struct core_stats stats;
    core_stats(&stats);
    return Py_BuildValue("{s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:O,s:s,s:s,s:s}", "recorded", stats.recorded, "sent",
                         stats.sent, "rejected", stats.rejected, "dropped_full", stats.dropped_full,
                         "dropped_too_large", stats.dropped_too_large, "dropped_no_ring", stats.dropped_no_ring,
                         "dropped_bad", stats.dropped_bad, "sent_points", stats.sent_points, "shared",
                         stats.shared ? Py_True : Py_False, "ring", stats.ring_path, "last_error", stats.last_error,
                         "instance", stats.instance);
}

static PyObject *measures_py(PyObject *module, PyObject *unused) {
    (void)module;
    (void)unused;
    return PyBool_FromLong(core_measures());
}

// set_type_attribute(type, name, value): also into types that Python code may not change (sqlite3.Cursor).
static PyObject *set_type_attribute_py(PyObject *module, PyObject *args) {
    (void)module;
    PyTypeObject *type;
    PyObject *name, *value;
    if (!PyArg_ParseTuple(args, "O!UO:set_type_attribute", &PyType_Type, &type, &name, &value))
        return NULL;
    if (type->tp_dict == NULL) {
        PyErr_SetString(PyExc_TypeError, "a type without a dictionary of its own");
        return NULL;
    }
    if (PyDict_SetItem(type->tp_dict, name, value) < 0)
        return NULL;
    PyType_Modified(type);
    Py_RETURN_NONE;
}

// unpack(packed, bytes) -> bytes: a block of the bundle's code.
static PyObject *unpack_py(PyObject *module, PyObject *args) {
    (void)module;
    Py_buffer packed;
    Py_ssize_t bytes;
    if (!PyArg_ParseTuple(args, "y*n:unpack", &packed, &bytes))
        return NULL;
    PyObject *py_out = PyBytes_FromStringAndSize(NULL, bytes < 0 ? 0 : bytes);
    if (py_out != NULL &&
        !unpack(packed.buf, (size_t)packed.len, (uint8_t *)PyBytes_AS_STRING(py_out), (size_t)Py_SIZE(py_out))) {
        Py_CLEAR(py_out);
        PyErr_SetString(PyExc_ValueError, "no whole block of this size");
    }
    PyBuffer_Release(&packed);
    return py_out;
}

static PyObject *set_requests_py(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *given[3], **kept[3] = {&wsgi_excluded, &asgi_excluded, &request_redact};
    if (!PyArg_ParseTuple(args, "OOO:set_requests", &given[0], &given[1], &given[2]))
        return NULL;
    for (int i = 0; i < 3; i++) {
        PyObject *py_old = *kept[i];
        *kept[i] = given[i] == Py_None ? NULL : Py_NewRef(given[i]);
        Py_XDECREF(py_old);
    }
    Py_RETURN_NONE;
}

#define FAST(function) (PyCFunction)(void (*)(void))(function)

static PyMethodDef methods[] = {
    {"start", FAST(start_py), METH_VARARGS | METH_KEYWORDS, "start(*, resource, …): see _native.pyi"},
    {"stop", stop_py, METH_VARARGS, "stop(seconds=0.5): flush and end"},
    {"flush", flush_py, METH_VARARGS, "flush(seconds=5) -> bool: all that was recorded has been answered"},
    {"stats", stats_py, METH_NOARGS, "stats() -> dict: the ledger of this process"},
    {"begin", FAST(span_begin_py), METH_FASTCALL | METH_KEYWORDS,
     "begin(name, kind=1, scope=None, parent=..., start_ns=0)"},
    {"span", FAST(scope_span_py), METH_FASTCALL | METH_KEYWORDS,
     "span(name, attributes=None, /, *, _kind=\"internal\", **more)\n\nA span around a `with` block or each call of a "
     "function; see pillion.api."},
    {"current", span_current_py, METH_NOARGS, "current() -> Span | Remote | None"},
    {"attach", span_attach_py, METH_O, "attach(span | None) -> what was current"},
    {"detach", FAST(span_detach_py), METH_FASTCALL, "detach(span, previous): if span is still current"},
    {"extract_environ", propagate_extract_environ_py, METH_O, "extract_environ(environ) -> Remote | None"},
    {"extract", propagate_extract_py, METH_O, "extract(mapping with lower-case names) -> Remote | None"},
    {"inject", FAST(propagate_inject_py), METH_FASTCALL, "inject(span=None) -> [(name, value)]"},
    {"measures", measures_py, METH_NOARGS, "measures() -> bool: metrics are on"},
    {"inject_lines", FAST(propagate_inject_lines_py), METH_FASTCALL,
     "inject_lines(lines, span=None): as lines of HTTP/1, where there's no traceparent"},
    {"sql", FAST(sql_py), METH_FASTCALL, "sql(text, parameterised) -> (text, summary, operation, collection)"},
    {"gc_callback", FAST(runtime_gc_callback_py), METH_FASTCALL, "gc_callback(phase, info)"},
    {"eventloop_lag", runtime_eventloop_lag_py, METH_O, "eventloop_lag(seconds)"},
    {"set_tick", runtime_set_tick_py, METH_O, "set_tick(callable | None)"},
    {"set_requests", set_requests_py, METH_VARARGS,
     "set_requests(wsgi_excluded(environ) | None, asgi_excluded(scope) | None, redact(query) | None)"},
    {"guarded", guard_watch_py, METH_O, "guarded(path): removes it when this process has worked for a while"},
    {"rules", rules_py, METH_VARARGS, "rules(exe, argv, environ, uid, root) -> (deny, code, reason, notes)"},
    {"unpack", unpack_py, METH_VARARGS, "unpack(packed, size) -> bytes: a block of the bundle's code"},
    {"set_type_attribute", set_type_attribute_py, METH_VARARGS, "set_type_attribute(type, name, value)"},
    {NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "pillion._native",
    .m_doc = "pillion's hot path: spans, context, wrapping, and the way to the collector.",
    .m_size = -1,
    .m_methods = methods,
};

__attribute__((visibility("default"))) PyMODINIT_FUNC PyInit__native(void); // not said by CPython 3.8's own macro
PyMODINIT_FUNC PyInit__native(void) {
#if PY_VERSION_HEX >= 0x03090000
    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        PyErr_SetString(PyExc_ImportError, "pillion._native serves the main interpreter only");
        return NULL;
    }
#endif
    PyObject *py_module = PyModule_Create(&definition);
    if (py_module == NULL)
        return NULL;
    if (PyType_Ready(&Remote_Type) < 0 || module_context_init() < 0 || module_span_init(py_module) < 0 ||
        module_red_init() < 0 || module_scope_init(py_module) < 0 || module_wrap_init(py_module) < 0 ||
        module_sql_init(py_module) < 0 || module_carry_init() < 0 || module_wsgi_init() < 0 || module_asgi_init() < 0) {
        Py_DECREF(py_module);
        return NULL;
    }
    module_fork_init();
    Py_INCREF(&Remote_Type);
    if (PyModule_AddObject(py_module, "Remote", (PyObject *)&Remote_Type) < 0) {
        Py_DECREF(py_module);
        return NULL;
    }
    return py_module;
}
