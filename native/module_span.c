// SPDX-License-Identifier: Apache-2.0
// module_span: the Span type. A Span carries the C fields of span.h; ending it is one copy into the ring, and one that
// is dropped without an end ends then. Which span is the current one: module_context.c.
#include "module.h"
#include <stddef.h>
#include <string.h>
#include <structmember.h>

#define FREE_SPANS 64

static SpanObject *free_spans[FREE_SPANS];
static int free_count;

static SpanObject *span_object_new(void) {
    SpanObject *span;
    if (free_count > 0) {
        span = free_spans[--free_count];
        (void)PyObject_Init((PyObject *)span, &Span_Type);
    } else {
        span = PyObject_New(SpanObject, &Span_Type);
        if (span == NULL)
            return NULL;
    }
    span->baggage = span->previous = NULL;
    span->entry_open = NULL;
    span->note = NULL;
    span->series = NULL;
    span->family = 0;
    span->generation = core_generation;
    span->ended = span->failed = span->abroad = false;
    return span;
}

// The parent's context out of a Span or a Remote; false: neither, or a Remote that brings a baggage alone.
static bool context_of(PyObject *parent, struct span_context *out, PyObject **baggage) {
    if (span_object_check(parent)) {
        span_context_of(&((SpanObject *)parent)->span, out);
        *baggage = ((SpanObject *)parent)->baggage;
        return true;
    }
    if (parent != NULL && Py_IS_TYPE(parent, &Remote_Type)) {
        *out = ((RemoteObject *)parent)->context;
        *baggage = ((RemoteObject *)parent)->baggage;
        static const uint8_t none[16];
        return memcmp(out->trace_id, none, sizeof none) != 0;
    }
    return false;
}

SpanObject *span_object_begin(PyObject *parent, enum span_kind kind, struct span_text name, uint32_t scope_id,
                              uint64_t start_ns) {
    SpanObject *span = span_object_new();
    if (span == NULL)
        return NULL;
    struct span_context context;
    PyObject *baggage = NULL;
    bool has_parent = context_of(parent, &context, &baggage);
    span_begin_at(&span->span, has_parent ? &context : NULL, kind, name, scope_id, start_ns);
    span->baggage = context_baggage(parent, baggage);
    if (kind == SPAN_SERVER || kind == SPAN_CONSUMER) {
        span->entry_open = span;
        core_flight_begin(&span->span, name);
    } else if (span_object_check(parent)) {
        span->entry_open = (SpanObject *)Py_XNewRef((PyObject *)((SpanObject *)parent)->entry_open);
    }
    runtime_span_began(span->span.head.start_ns);
    return span;
}

void span_object_end(SpanObject *span, uint64_t end_ns) {
    if (span->ended)
        return;
    span->ended = true;
    if (red_object_is(span))
        end_ns = red_object_end(span, end_ns);
    if (span->generation == core_generation)
        core_span_end(&span->span, end_ns);
    else
        span_discard(&span->span);
}

static void span_dealloc(SpanObject *span) {
    if (!span->ended)
        span_object_end(span, 0);
    Py_CLEAR(span->baggage);
    Py_CLEAR(span->previous);
    if (span->entry_open != span)
        Py_XDECREF((PyObject *)span->entry_open);
    if (free_count < FREE_SPANS)
        free_spans[free_count++] = span;
    else
        PyObject_Free(span);
}

static PyObject *span_set_method(SpanObject *span, PyObject *const *args, Py_ssize_t count) {
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "set(key, value) takes two arguments");
        return NULL;
    }
    if (!span->ended)
        text_set(&span->span, args[0], args[1], false);
    if (red_object_is(span))
        red_object_set(span, args[0], args[1]);
    Py_RETURN_NONE;
}

static PyObject *span_set_many_method(SpanObject *span, PyObject *mapping) {
    if (!span->ended)
        span_object_set_all(span, mapping);
    Py_RETURN_NONE;
}

static PyObject *span_name_method(SpanObject *span, PyObject *name) {
    if (span->ended || !PyUnicode_Check(name))
        Py_RETURN_NONE;
    PyObject *py_keep = NULL;
    struct span_text text = text_of(name, &py_keep);
    span_name(&span->span, text);
    core_flight_name(&span->span, text);
    Py_XDECREF(py_keep);
    Py_RETURN_NONE;
}

static PyObject *span_status_method(SpanObject *span, PyObject *args) {
    int status = 0;
    PyObject *message = Py_None;
    if (!PyArg_ParseTuple(args, "i|O:status", &status, &message))
        return NULL;
    if (span->ended || status < 0 || status > 2)
        Py_RETURN_NONE;
    hook_busy++;
    PyObject *py_text = message == Py_None ? NULL : PyObject_Str(message);
    hook_busy--;
    exception_clear();
    Py_ssize_t bytes = 0;
    const char *text = py_text != NULL ? PyUnicode_AsUTF8AndSize(py_text, &bytes) : NULL;
    PyErr_Clear();
    span_set_status(&span->span, (enum span_status)status, text != NULL ? text : "", (size_t)bytes);
    Py_XDECREF(py_text);
    Py_RETURN_NONE;
}

static PyObject *span_event_method(SpanObject *span, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"name", "attributes", "time_ns", NULL};
    PyObject *name, *attributes = Py_None, *py_keep = NULL;
    unsigned long long time_ns = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "U|OK:event", names, &name, &attributes, &time_ns))
        return NULL;
    if (!span->ended && span->span.recording) {
        struct span_text text = text_of(name, &py_keep);
        span_event(&span->span, text, time_ns);
        text_set_all(&span->span, attributes, true);
        Py_XDECREF(py_keep);
    }
    Py_RETURN_NONE;
}

static PyObject *span_link_method(SpanObject *span, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"trace_id", "span_id", "attributes", "flags", "tracestate", NULL};
    const char *trace_id, *span_id, *state = NULL;
    Py_ssize_t trace_chars, span_chars, state_bytes = 0;
    PyObject *attributes = Py_None;
    int flags = 1;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "s#s#|Oiz#:link", names, &trace_id, &trace_chars, &span_id,
                                     &span_chars, &attributes, &flags, &state, &state_bytes))
        return NULL;
    struct span_context to = {.flags = (uint8_t)flags, .tracestate = state, .tracestate_len = (uint32_t)state_bytes};
    if (!text_unhex(trace_id, trace_chars, to.trace_id, 16) || !text_unhex(span_id, span_chars, to.span_id, 8)) {
        PyErr_SetString(PyExc_ValueError, "link: ids are 32 and 16 lower-case hex digits, not all zero");
        return NULL;
    }
    if (!span->ended && span->span.recording) {
        span_link(&span->span, &to);
        text_set_all(&span->span, attributes, true);
    }
    Py_RETURN_NONE;
}

static PyObject *span_exception_method(SpanObject *span, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"exception", "status", NULL};
    PyObject *exception;
    int status = 1;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|p:exception", names, &exception, &status))
        return NULL;
    if (!span->ended)
        exception_record(span, exception, status != 0);
    Py_RETURN_NONE;
}

static PyObject *span_end_method(SpanObject *span, PyObject *const *args, Py_ssize_t count) {
    unsigned long long end_ns = 0;
    if (count > 0 && args[0] != Py_None) {
        end_ns = PyLong_AsUnsignedLongLong(args[0]);
        if (end_ns == (unsigned long long)-1 && PyErr_Occurred())
            return NULL;
    }
    span_object_end(span, end_ns);
    Py_RETURN_NONE;
}

void span_object_enter(SpanObject *span) {
    if (span->previous != NULL)
        return;
    span->previous = context_get();
    if (span->previous == NULL)
        span->previous = Py_NewRef(Py_None);
    context_enter(span);
}

static void span_leave(SpanObject *span) {
    PyObject *py_previous = span->previous;
    span->previous = NULL;
    if (py_previous != NULL)
        context_leave(span, py_previous);
    Py_XDECREF(py_previous);
}

void span_object_exit(SpanObject *span, PyObject *error) {
    span_leave(span);
    if (error != Py_None && !span->ended && !PyErr_GivenExceptionMatches(error, PyExc_GeneratorExit))
        exception_record(span, error, true);
    span_object_end(span, 0);
}

static PyObject *span_enter(SpanObject *span, PyObject *unused) {
    (void)unused;
    span_object_enter(span);
    return Py_NewRef(span);
}

static PyObject *span_exit(SpanObject *span, PyObject *const *args, Py_ssize_t count) {
    span_object_exit(span, count >= 2 ? args[1] : Py_None);
    Py_RETURN_NONE;
}

static PyObject *span_get_trace_id(SpanObject *span, void *unused) {
    (void)unused;
    return text_hex(span->span.head.trace_id, 16);
}

static PyObject *span_get_span_id(SpanObject *span, void *unused) {
    (void)unused;
    return text_hex(span->span.head.span_id, 8);
}

static PyObject *span_get_recording(SpanObject *span, void *unused) {
    (void)unused;
    return PyBool_FromLong(span->span.recording && !span->ended);
}

static PyObject *span_get_flags(SpanObject *span, void *unused) {
    (void)unused;
    return PyLong_FromUnsignedLong(span->span.head.flags & 0xffu);
}

// measure(): it counts in the metric of its kind and family.
static PyObject *span_measure_method(SpanObject *span, PyObject *unused) {
    (void)unused;
    red_object_begin(span, red_metric_of(span->span.head.kind, span->family));
    Py_RETURN_NONE;
}

static PyObject *span_get_measured(SpanObject *span, void *unused) {
    (void)unused;
    return PyBool_FromLong(red_object_is(span));
}

static PyObject *span_get_kind(SpanObject *span, void *unused) {
    (void)unused;
    return PyLong_FromLong(span->span.head.kind);
}

static PyObject *span_get_tracestate(SpanObject *span, void *unused) {
    (void)unused;
    struct span_context context;
    span_context_of(&span->span, &context);
    if (span->ended || context.tracestate == NULL)
        Py_RETURN_NONE;
    return PyUnicode_DecodeUTF8(context.tracestate, context.tracestate_len, "replace");
}

static PyObject *span_get_baggage(SpanObject *span, void *unused) {
    (void)unused;
    PyObject *py_baggage = context_baggage((PyObject *)span, span->baggage);
    return py_baggage != NULL ? py_baggage : Py_NewRef(Py_None);
}

// Of the current span it's set in this context alone, since other tasks may be at work under the same span.
static int span_set_baggage(SpanObject *span, PyObject *value, void *unused) {
    (void)unused;
    if (value != NULL && value != Py_None && !PyUnicode_Check(value)) {
        PyErr_SetString(PyExc_TypeError, "baggage is the text of a baggage header, or None");
        return -1;
    }
    value = value == Py_None ? NULL : value;
    PyObject *py_now = context_get();
    Py_XDECREF(py_now); // only its address counts
    if (py_now == (PyObject *)span) {
        context_set_baggage((PyObject *)span, value);
        return 0;
    }
    PyObject *py_old = span->baggage;
    span->baggage = Py_XNewRef(value);
    Py_XDECREF(py_old);
    return 0;
}

static PyMemberDef span_members[] = {
    {"ended", T_BOOL, offsetof(SpanObject, ended), READONLY, "end() has been called"},
    {"family", T_UINT, offsetof(SpanObject, family), 0, "of the hook that opened it; 0: none"},
    {NULL},
};

static PyMethodDef span_methods[] = {
    {"set", (PyCFunction)(void (*)(void))span_set_method, METH_FASTCALL, "set(key, value): one attribute"},
    {"set_many", (PyCFunction)span_set_many_method, METH_O, "set_many(mapping): attributes"},
    {"name", (PyCFunction)span_name_method, METH_O, "name(text): renames the span"},
    {"status", (PyCFunction)span_status_method, METH_VARARGS, "status(code, message=None): 0 unset, 1 ok, 2 error"},
    {"event", (PyCFunction)(void (*)(void))span_event_method, METH_VARARGS | METH_KEYWORDS,
     "event(name, attributes=None, time_ns=0)"},
    {"link", (PyCFunction)(void (*)(void))span_link_method, METH_VARARGS | METH_KEYWORDS,
     "link(trace_id, span_id, attributes=None, flags=1, tracestate=None)"},
    {"exception", (PyCFunction)(void (*)(void))span_exception_method, METH_VARARGS | METH_KEYWORDS,
     "exception(exception, status=True): an event, and the span's error"},
    {"measure", (PyCFunction)span_measure_method, METH_NOARGS, "measure(): count it in the metric of its family"},
    {"end", (PyCFunction)(void (*)(void))span_end_method, METH_FASTCALL, "end(end_ns=0): records the span"},
    {"__enter__", (PyCFunction)span_enter, METH_NOARGS, NULL},
    {"__exit__", (PyCFunction)(void (*)(void))span_exit, METH_FASTCALL, NULL},
    {NULL},
};

static PyGetSetDef span_getset[] = {
    {"trace_id", (getter)span_get_trace_id, NULL, "32 hex digits", NULL},
    {"span_id", (getter)span_get_span_id, NULL, "16 hex digits", NULL},
    {"recording", (getter)span_get_recording, NULL, "bool", NULL},
    {"measured", (getter)span_get_measured, NULL, "it will count in a metric, sampled or not", NULL},
    {"flags", (getter)span_get_flags, NULL, "W3C trace flags", NULL},
    {"kind", (getter)span_get_kind, NULL, "1 internal … 5 consumer", NULL},
    {"tracestate", (getter)span_get_tracestate, NULL, "str or None", NULL},
    {"baggage", (getter)span_get_baggage, (setter)span_set_baggage,
     "the header's text or None; setting the current span's counts in this context alone", NULL},
    {NULL},
};

PyTypeObject Span_Type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "pillion._native.Span",
    .tp_basicsize = sizeof(SpanObject),
    .tp_dealloc = (destructor)span_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_methods = span_methods,
    .tp_getset = span_getset,
    .tp_members = span_members,
    .tp_doc = "One operation while it is recorded.",
};

int module_span_init(PyObject *module) {
    if (PyType_Ready(&Span_Type) < 0)
        return -1;
    Py_INCREF(&Span_Type);
    return PyModule_AddObject(module, "Span", (PyObject *)&Span_Type);
}
