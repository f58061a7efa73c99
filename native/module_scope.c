// SPDX-License-Identifier: Apache-2.0
// module_scope: pillion.span(...), the public way to a span: an object for `with` and for use as a decorator.
//
// It keeps the name and the attributes and begins a new span each time it's entered, so one object serves many calls,
// threads and tasks. What it has to do in Python (decorating, names that aren't str) is in decorate.py and api.py.
#include "module.h"

typedef struct {
    PyObject_HEAD PyObject *name; // Owned. str
    PyObject *mapping;            // Owned or NULL: attributes given as a mapping
    PyObject *names;              // Owned or NULL: tuple, attributes given by keyword
    PyObject *values;             // Owned with `names`: tuple
    PyObject *open;               // Owned or NULL: the span that was entered
    PyObject *more;               // Owned or NULL: list, those entered while another one was open
    enum span_kind kind;
} ScopeObject;

static PyTypeObject Scope_Type;

// A new span with the attributes, not current yet.
static SpanObject *scope_begin(ScopeObject *scope) {
    static uint32_t api_id;
    if (api_id == 0)
        api_id = text_static("pillion.api").id;
    PyObject *py_keep = NULL, *py_parent = context_get();
    struct span_text name = text_of(scope->name, &py_keep);
    SpanObject *span = span_object_begin(py_parent, scope->kind, name, api_id, 0);
    Py_XDECREF(py_keep);
    Py_XDECREF(py_parent);
    if (span == NULL)
        return NULL;
    text_set_all(&span->span, scope->mapping, false);
    for (Py_ssize_t i = 0; scope->names != NULL && i < PyTuple_GET_SIZE(scope->names); i++)
        text_set(&span->span, PyTuple_GET_ITEM(scope->names, i), PyTuple_GET_ITEM(scope->values, i), false);
    return span;
}

static PyObject *scope_begin_method(ScopeObject *scope, PyObject *unused) {
    (void)unused;
    return (PyObject *)scope_begin(scope);
}

static PyObject *scope_enter(ScopeObject *scope, PyObject *unused) {
    (void)unused;
    SpanObject *span = scope_begin(scope);
    if (span == NULL)
        return NULL;
    if (scope->open == NULL) {
        scope->open = Py_NewRef((PyObject *)span);
    } else if ((scope->more == NULL && (scope->more = PyList_New(0)) == NULL) ||
               PyList_Append(scope->more, (PyObject *)span) < 0) {
        Py_DECREF(span);
        return NULL;
    }
    span_object_enter(span);
    return (PyObject *)span;
}

// The span that is left: the current one if it was entered here, else the last. New reference or NULL.
static PyObject *scope_take(ScopeObject *scope) {
    Py_ssize_t count = scope->more != NULL ? PyList_GET_SIZE(scope->more) : 0, found = count - 1;
    PyObject *py_now = context_get(), *py_span = NULL;
    Py_XDECREF(py_now); // only its address counts
    if (scope->open != NULL && (count == 0 || scope->open == py_now)) {
        py_span = scope->open;
        scope->open = NULL;
        return py_span;
    }
    for (Py_ssize_t i = 0; i < count; i++)
        if (PyList_GET_ITEM(scope->more, i) == py_now)
            found = i;
    if (found < 0)
        return NULL;
    py_span = Py_NewRef(PyList_GET_ITEM(scope->more, found));
    if (PyList_SetSlice(scope->more, found, found + 1, NULL) < 0)
        PyErr_Clear();
    return py_span;
}

static PyObject *scope_exit(ScopeObject *scope, PyObject *const *args, Py_ssize_t count) {
    PyObject *py_span = scope_take(scope);
    if (py_span != NULL)
        span_object_exit((SpanObject *)py_span, count >= 2 ? args[1] : Py_None);
    Py_XDECREF(py_span);
    Py_RETURN_NONE;
}

static PyObject *call_python(const char *module, const char *function, PyObject *first, PyObject *second) {
    PyObject *py_module = PyImport_ImportModule(module), *py_result = NULL;
    PyObject *py_function = py_module != NULL ? PyObject_GetAttrString(py_module, function) : NULL;
    if (py_function != NULL)
        py_result = PyObject_CallFunctionObjArgs(py_function, first, second, NULL);
    Py_XDECREF(py_function);
    Py_XDECREF(py_module);
    return py_result;
}

static PyObject *scope_call(ScopeObject *scope, PyObject *args, PyObject *kwargs) {
    if (PyTuple_GET_SIZE(args) != 1 || (kwargs != NULL && PyDict_Size(kwargs) > 0)) {
        PyErr_SetString(PyExc_TypeError, "a span decorates one function");
        return NULL;
    }
    return call_python("pillion.decorate", "decorate", PyTuple_GET_ITEM(args, 0), (PyObject *)scope);
}

static int scope_traverse(ScopeObject *scope, visitproc visit, void *arg) {
    Py_VISIT(scope->mapping);
    Py_VISIT(scope->values);
    Py_VISIT(scope->open);
    Py_VISIT(scope->more);
    return 0;
}

static int scope_clear(ScopeObject *scope) {
    Py_CLEAR(scope->mapping);
    Py_CLEAR(scope->names);
    Py_CLEAR(scope->values);
    Py_CLEAR(scope->open);
    Py_CLEAR(scope->more);
    return 0;
}

static void scope_dealloc(ScopeObject *scope) {
    PyObject_GC_UnTrack(scope);
    (void)scope_clear(scope);
    Py_CLEAR(scope->name);
    PyObject_GC_Del(scope);
}

static PyMethodDef scope_methods[] = {
    {"begin", (PyCFunction)scope_begin_method, METH_NOARGS, "begin() -> Span: a new one, not current"},
    {"__enter__", (PyCFunction)scope_enter, METH_NOARGS, NULL},
    {"__exit__", (PyCFunction)(void (*)(void))scope_exit, METH_FASTCALL, NULL},
    {NULL},
};

static PyTypeObject Scope_Type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "pillion._native.Scope",
    .tp_basicsize = sizeof(ScopeObject),
    .tp_dealloc = (destructor)scope_dealloc,
    .tp_call = (ternaryfunc)scope_call,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_traverse = (traverseproc)scope_traverse,
    .tp_clear = (inquiry)scope_clear,
    .tp_methods = scope_methods,
    .tp_doc = "What pillion.span() gives: for `with`, for `async with`, and as a decorator.",
};

static enum span_kind kind_of(PyObject *text) {
    static const char *const names[] = {"internal", "server", "client", "producer", "consumer"};
    for (int i = 0; i < 5 && PyUnicode_Check(text); i++)
        if (PyUnicode_CompareWithASCIIString(text, names[i]) == 0)
            return (enum span_kind)(SPAN_INTERNAL + i);
    return SPAN_INTERNAL;
}

// Takes over the keyword arguments; `_kind` is none of the attributes.
static int scope_attributes(ScopeObject *scope, PyObject *const *values, PyObject *kwnames) {
    Py_ssize_t count = PyTuple_GET_SIZE(kwnames), kept = 0, kind_at = -1;
    for (Py_ssize_t i = 0; i < count; i++)
        if (PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(kwnames, i), "_kind") == 0)
            kind_at = i;
    scope->names = kind_at < 0 ? Py_NewRef(kwnames) : PyTuple_New(count - 1);
    scope->values = PyTuple_New(kind_at < 0 ? count : count - 1);
    if (scope->names == NULL || scope->values == NULL)
        return -1;
    for (Py_ssize_t i = 0; i < count; i++) {
        if (i == kind_at) {
            scope->kind = kind_of(values[i]);
            continue;
        }
        if (kind_at >= 0)
            PyTuple_SET_ITEM(scope->names, kept, Py_NewRef(PyTuple_GET_ITEM(kwnames, i)));
        PyTuple_SET_ITEM(scope->values, kept++, Py_NewRef(values[i]));
    }
    return 0;
}

// span(name, attributes=None, /, *, _kind="internal", **more). A name that is no str is api.py's to judge: it gives the
// text, or what is to be returned (a decorated function).
PyObject *scope_span_py(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *kwnames) {
    (void)module;
    if (count < 1 || count > 2) {
        PyErr_SetString(PyExc_TypeError, "span(name, attributes=None, /, *, _kind=\"internal\", **more)");
        return NULL;
    }
    PyObject *py_name =
        PyUnicode_Check(args[0]) ? Py_NewRef(args[0]) : call_python("pillion.api", "unusual", args[0], NULL);
    if (py_name == NULL || !PyUnicode_Check(py_name))
        return py_name;
    ScopeObject *scope = PyObject_GC_New(ScopeObject, &Scope_Type);
    if (scope == NULL) {
        Py_DECREF(py_name);
        return NULL;
    }
    scope->name = py_name;
    scope->mapping = count == 2 && args[1] != Py_None ? Py_NewRef(args[1]) : NULL;
    scope->names = scope->values = scope->open = scope->more = NULL;
    scope->kind = SPAN_INTERNAL;
    PyObject_GC_Track((PyObject *)scope);
    if (kwnames != NULL && PyTuple_GET_SIZE(kwnames) > 0 && scope_attributes(scope, args + count, kwnames) < 0)
        Py_CLEAR(scope);
    return (PyObject *)scope;
}

int module_scope_init(PyObject *module) {
    if (PyType_Ready(&Scope_Type) < 0)
        return -1;
    Py_INCREF(&Scope_Type);
    return PyModule_AddObject(module, "Scope", (PyObject *)&Scope_Type);
}
