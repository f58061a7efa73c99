// SPDX-License-Identifier: Apache-2.0
// module_context: which span is the current one, and the functions of the module that ask or change it.
//
// One contextvars variable holds it, so threads, tasks and generators keep theirs apart as CPython does. Leaving a span
// sets the variable back only where that span is still the current one: no Token, so nothing can fail to be detached.
// A span that ends elsewhere (an async generator closed late) is passed over where it was current.
#include "module.h"

static PyObject *current_variable; // Owned. ContextVar
static PyObject *baggage_variable; // Owned. ContextVar: (span, text or None), or None
static bool baggage_used;          // false: nobody has ever set one, so nobody need ask

// A span that is current by this thread's word alone, in this context: see context_lend.
static __thread struct {
    PyObject *context; // Borrowed, only compared
    SpanObject *span;  // Owned, or NULL
} lent;

static bool lent_here(void) {
    return lent.span != NULL && lent.context == compat_context() && !lent.span->ended;
}

static void context_store(PyObject *value) {
    PyObject *py_token = PyContextVar_Set(current_variable, value != NULL ? value : Py_None);
    if (py_token == NULL)
        PyErr_Clear();
    Py_XDECREF(py_token);
}

static void lent_forget(void) {
    SpanObject *py_span = lent.span;
    lent.span = NULL;
    Py_XDECREF(py_span);
}

PyObject *context_get(void) {
    PyObject *py_value = NULL;
    if (lent_here())
        return Py_NewRef((PyObject *)lent.span);
    if (PyContextVar_Get(current_variable, NULL, &py_value) < 0)
        PyErr_Clear();
    while (span_object_check(py_value) && ((SpanObject *)py_value)->abroad && ((SpanObject *)py_value)->ended) {
        PyObject *py_previous = Py_XNewRef(((SpanObject *)py_value)->previous);
        Py_DECREF(py_value);
        py_value = py_previous;
    }
    if (py_value == Py_None)
        Py_CLEAR(py_value);
    return py_value;
}

void context_enter(SpanObject *span) {
    context_set((PyObject *)span);
    span->entered = compat_context();
    span->abroad = false;
}

void context_leave(SpanObject *span, PyObject *previous) {
    PyObject *py_now = context_get();
    if (py_now == (PyObject *)span)
        context_set(previous);
    if (py_now != (PyObject *)span || span->entered != compat_context()) {
        while (span_object_check(previous) && ((SpanObject *)previous)->abroad) // no chain grows of spans that overlap
            previous = ((SpanObject *)previous)->previous;
        PyObject *py_old = span->previous;
        span->previous = Py_XNewRef(previous);
        span->abroad = true;
        Py_XDECREF(py_old);
    }
    Py_XDECREF(py_now);
}

void context_set(PyObject *value) {
    if (lent_here()) { // somebody asks for more within the call: from here on it's a span like others
        context_store((PyObject *)lent.span);
        lent_forget();
    }
    context_store(value);
}

void context_lend(SpanObject *span) {
    PyObject *context = compat_context();
    bool elsewhere = lent.span != NULL && !lent.span->ended && lent.context != context; // another greenlet's
    if (context == NULL || elsewhere) { // this thread has none yet, the first span makes it; or one only can be lent
        context_set((PyObject *)span);
        return;
    }
    if (lent_here())
        context_store((PyObject *)lent.span);
    lent_forget();
    lent.context = context;
    lent.span = (SpanObject *)Py_NewRef((PyObject *)span);
}

void context_take_back(SpanObject *span, PyObject *previous) {
    if (lent.span == span) {
        lent_forget();
        return;
    }
    PyObject *py_now = context_get();
    if (py_now == (PyObject *)span)
        context_set(previous);
    Py_XDECREF(py_now);
}

PyObject *context_baggage(PyObject *span, PyObject *own) {
    if (!baggage_used || span == NULL)
        return Py_XNewRef(own);
    PyObject *py_pair = NULL;
    if (PyContextVar_Get(baggage_variable, NULL, &py_pair) < 0)
        PyErr_Clear();
    if (py_pair != NULL && py_pair != Py_None && PyTuple_GET_ITEM(py_pair, 0) == span) {
        own = PyTuple_GET_ITEM(py_pair, 1);
        own = own == Py_None ? NULL : own;
    }
    Py_XINCREF(own);
    Py_XDECREF(py_pair);
    return own;
}

void context_set_baggage(PyObject *span, PyObject *text) {
    PyObject *py_pair = PyTuple_Pack(2, span, text != NULL ? text : Py_None);
    PyObject *py_token = py_pair != NULL ? PyContextVar_Set(baggage_variable, py_pair) : NULL;
    PyErr_Clear();
    baggage_used = true;
    Py_XDECREF(py_token);
    Py_XDECREF(py_pair);
}

PyObject *context_baggage_pair(void) {
    PyObject *py_pair = NULL;
    if (baggage_used && PyContextVar_Get(baggage_variable, NULL, &py_pair) < 0)
        PyErr_Clear();
    if (py_pair == Py_None)
        Py_CLEAR(py_pair);
    return py_pair;
}

void context_set_baggage_pair(PyObject *pair) {
    PyObject *py_token = PyContextVar_Set(baggage_variable, pair != NULL ? pair : Py_None);
    if (py_token == NULL)
        PyErr_Clear();
    Py_XDECREF(py_token);
}

PyObject *span_begin_py(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *kwnames) {
    (void)module;
    // begin(name, kind=1, scope=None, parent=current, start_ns=0): positional, so that it stays cheap
    if (kwnames != NULL || count < 1 || count > 5 || !PyUnicode_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError,
                        "begin(name: str, kind=1, scope=None, parent=..., start_ns=0), positional only");
        return NULL;
    }
    long kind = count > 1 ? PyLong_AsLong(args[1]) : SPAN_INTERNAL;
    unsigned long long start_ns = count > 4 ? PyLong_AsUnsignedLongLong(args[4]) : 0;
    if (PyErr_Occurred())
        return NULL;
    PyObject *py_name = NULL, *py_scope = NULL, *py_parent = NULL;
    struct span_text scope = {0, 0, NULL}, name = text_of(args[0], &py_name);
    if (count > 2 && PyUnicode_Check(args[2])) {
        scope = text_of(args[2], &py_scope);
        if (scope.id == 0)
            scope.id = core_intern(scope.text, scope.bytes);
    }
    py_parent = count > 3 && args[3] != Py_Ellipsis ? Py_NewRef(args[3]) : context_get();
    SpanObject *span = span_object_begin(py_parent, kind >= 1 && kind <= 5 ? (enum span_kind)kind : SPAN_INTERNAL, name,
                                         scope.id, start_ns);
    Py_XDECREF(py_parent);
    Py_XDECREF(py_scope);
    Py_XDECREF(py_name);
    return (PyObject *)span;
}

PyObject *span_current_py(PyObject *module, PyObject *unused) {
    (void)module;
    (void)unused;
    PyObject *py_current = context_get();
    return py_current != NULL ? py_current : Py_NewRef(Py_None);
}

PyObject *span_attach_py(PyObject *module, PyObject *span) {
    (void)module;
    PyObject *py_previous = context_get();
    if (span_object_check(span))
        context_enter((SpanObject *)span);
    else
        context_set(span == Py_None ? NULL : span);
    return py_previous != NULL ? py_previous : Py_NewRef(Py_None);
}

PyObject *span_detach_py(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    (void)module;
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "detach(span, previous) takes two arguments");
        return NULL;
    }
    if (span_object_check(args[0]) && args[0] != args[1]) {
        context_leave((SpanObject *)args[0], args[1]);
        Py_RETURN_NONE;
    }
    PyObject *py_now = context_get();
    if (py_now == args[0] || (py_now == NULL && args[0] == Py_None))
        context_set(args[1] == Py_None ? NULL : args[1]);
    Py_XDECREF(py_now);
    Py_RETURN_NONE;
}

int module_context_init(void) {
    current_variable = PyContextVar_New("pillion_current", NULL);
    baggage_variable = PyContextVar_New("pillion_baggage", NULL);
    return current_variable == NULL || baggage_variable == NULL ? -1 : 0;
}
