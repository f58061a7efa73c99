// SPDX-License-Identifier: Apache-2.0
// module_wrap: the callable that stands in the place of a library's function.
//
// Every entry has the same shape: stand aside (switched off, inside a hook, nested in a span of the same family, trace
// not sampled), ask the hook what the call is called, call the original, tell the hook how it went. The original is
// called exactly once whatever the hook does; its result and its exception go through untouched. An error in a hook is
// counted, reported once, and a hook with too many is switched off. Python's coroutines and generators are patch.py's.
#include "module.h"
#include <stddef.h>
#include <string.h>
#include <structmember.h>

#define HOOK_ERRORS 10 // then the hook is switched off

enum wrapper_kind { // below: enum span_kind
    WRAP_OBSERVE = 10,
    WRAP_REPLACE = 11,
    WRAP_WSGI = 12,
    WRAP_CARRY = 13, // and its neighbours: see patch.py
    WRAP_START = 14,
    WRAP_DETACH = 15,
    WRAP_ASGI = 16,
};

typedef struct {
    PyObject_HEAD PyObject *original; // Owned
    PyObject *describe;               // Owned or NULL
    PyObject *conclude;               // Owned or NULL
    PyObject *failed;                 // Owned or NULL
    PyObject *measured;               // Owned or NULL: how a call that isn't sampled is counted; see Target.measured
    PyObject *known;                  // Owned or NULL: dict, of red_known
    PyObject *dict;                   // Owned or NULL: __wrapped__ and what the application puts there
    PyObject *weakrefs;
    vectorcallfunc vectorcall;
    int kind;
    uint32_t family;
    enum red_metric metric;
    uint32_t scope_id;
    bool disabled;
    struct hook_counts counts;
} WrapperObject;

__thread int hook_busy;
static PyObject *report;     // Owned: callable(where, exception), of guard.py
static PyObject *error_type; // Owned: "error.type"

void hook_error(PyObject *where) {
    PyObject *py_exception = compat_take_exception();
    if (exception_delay(py_exception))
        return;
    if (report != NULL && py_exception != NULL) {
        PyThreadState *thread = hook_enter();
        PyObject *py_done = PyObject_CallFunctionObjArgs(report, where, py_exception, NULL);
        hook_leave(thread);
        Py_XDECREF(py_done);
    }
    PyErr_Clear();
    Py_XDECREF(py_exception);
}

// The hook raised. Where the application has used up its stack or the memory, that's no fault of the hook.
static void wrapper_error(WrapperObject *wrapper) {
    bool fault = !PyErr_ExceptionMatches(PyExc_RecursionError) && !PyErr_ExceptionMatches(PyExc_MemoryError);
    hook_error(wrapper->original);
    if (fault && ++wrapper->counts.errors >= HOOK_ERRORS)
        wrapper->disabled = true;
}

// A hook's attributes onto its span; error.type among them means that the operation failed.
static void wrapper_set(SpanObject *span, PyObject *attributes) {
    if (span->ended || attributes == NULL || !PyDict_Check(attributes))
        return;
    span_object_set_all(span, attributes);
    if (!span->failed && compat_dict_get(attributes, error_type) != NULL)
        span_set_status(&span->span, SPAN_STATUS_ERROR, "", 0);
}

// Calls a hook's function, with the exception state clean before and after. NULL: it failed, and that is dealt with.
static PyObject *hook_call(WrapperObject *wrapper, PyObject *function, CallObject *call, PyObject *second) {
    PyObject *stack[] = {NULL, (PyObject *)call, second}; // the first is the callee's to use
    PyThreadState *thread = hook_enter();
    PyObject *py_result =
        PyObject_Vectorcall(function, stack + 1, (second != NULL ? 2 : 1) | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    hook_leave(thread);
    if (py_result == NULL)
        wrapper_error(wrapper);
    return py_result;
}

// Opens the span that `described` tells of; NULL: none.
static SpanObject *wrapper_begin(WrapperObject *wrapper, PyObject *described, PyObject *parent) {
    if (described == Py_None)
        return NULL;
    SpanObject *span =
        describe_begin(described, parent, (enum span_kind)wrapper->kind, wrapper->scope_id, wrapper->metric);
    if (span != NULL) {
        span->family = wrapper->family;
        return span;
    }
    wrapper_error(wrapper);
    return NULL;
}

static void wrapper_conclude(WrapperObject *wrapper, CallObject *call, SpanObject *span, PyObject *result) {
    if (wrapper->conclude == NULL || (!span->span.recording && !red_object_is(span)))
        return;
    PyObject *py_attributes = hook_call(wrapper, wrapper->conclude, call, result);
    wrapper_set(span, py_attributes);
    Py_XDECREF(py_attributes);
}

static void wrapper_failed(WrapperObject *wrapper, CallObject *call, SpanObject *span) {
    PyObject *py_exception = compat_take_exception();
    if (py_exception == NULL)
        return;
    if ((span->span.recording || red_object_is(span)) && !span->ended) {
        exception_record(span, py_exception, true);
        if (wrapper->failed != NULL) {
            PyObject *py_attributes = hook_call(wrapper, wrapper->failed, call, py_exception);
            wrapper_set(span, py_attributes);
            Py_XDECREF(py_attributes);
        }
    }
    compat_give_exception(py_exception);
}

static PyObject *wrapper_span(WrapperObject *wrapper, PyObject *describe, CallObject *call, PyObject *current,
                              PyObject *const *args, size_t nargsf, PyObject *kwnames) {
    SpanObject *span = NULL;
    PyObject *py_described = describe != NULL ? hook_call(wrapper, describe, call, NULL) : NULL;
    if (py_described != NULL)
        span = wrapper_begin(wrapper, py_described, call->parent != NULL ? call->parent : current);
    Py_XDECREF(py_described);
    if (span == NULL)
        return PyObject_Vectorcall(wrapper->original, args, nargsf, kwnames);
    call->span = Py_NewRef(span);
    if (wrapper->kind == SPAN_CLIENT)
        context_lend(span);
    else
        context_set((PyObject *)span);
    PyObject *py_result = PyObject_Vectorcall(wrapper->original, args, nargsf, kwnames);
    PyObject *py_exception = py_result == NULL ? compat_take_exception() : NULL;
    context_take_back(span, current);
    if (py_result != NULL) {
        wrapper_conclude(wrapper, call, span, py_result);
        if (wrapper->known != NULL && !span->span.recording)
            red_learn(wrapper->known, wrapper->measured, args, PyVectorcall_NARGS(nargsf), kwnames, span);
    } else {
        compat_give_exception(py_exception);
        wrapper_failed(wrapper, call, span);
    }
    span_object_end(span, 0);
    Py_DECREF(span);
    return py_result;
}

static PyObject *wrapper_observe(WrapperObject *wrapper, CallObject *call, PyObject *current, PyObject *const *args,
                                 size_t nargsf, PyObject *kwnames) {
    call->span = span_object_check(current) ? Py_NewRef(current) : NULL;
    if (wrapper->describe != NULL)
        Py_XDECREF(hook_call(wrapper, wrapper->describe, call, NULL));
    PyObject *py_result = PyObject_Vectorcall(wrapper->original, args, nargsf, kwnames);
    if (py_result == NULL && wrapper->failed != NULL) {
        PyObject *py_exception = compat_take_exception();
        Py_XDECREF(hook_call(wrapper, wrapper->failed, call, py_exception));
        compat_give_exception(py_exception);
    } else if (py_result != NULL && wrapper->conclude != NULL) {
        PyObject *py_other = hook_call(wrapper, wrapper->conclude, call, py_result);
        if (wrapper->kind == WRAP_REPLACE && py_other != NULL) {
            Py_DECREF(py_result);
            return py_other;
        }
        Py_XDECREF(py_other);
    }
    return py_result;
}

enum way { WAY_ASIDE, WAY_COUNT, WAY_SPAN };

// Is this call none of our business, only to be counted (its trace isn't sampled), or a span?
static enum way wrapper_way(WrapperObject *wrapper, PyObject *current) {
    if (!span_object_check(current) || ((SpanObject *)current)->ended)
        return WAY_SPAN;
    SpanObject *span = (SpanObject *)current;
    if (wrapper->family != 0 && span->family == wrapper->family)
        return WAY_ASIDE;
    if (span->span.recording || wrapper->kind >= WRAP_OBSERVE || wrapper->kind == SPAN_SERVER ||
        wrapper->kind == SPAN_CONSUMER)
        return WAY_SPAN;
    if (wrapper->metric == RED_NONE || !core_measures() || red_is_inside(current, wrapper->family))
        return WAY_ASIDE;
    return WAY_COUNT;
}

static PyObject *wrapper_vectorcall(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *kwnames) {
    WrapperObject *wrapper = (WrapperObject *)self;
    if (wrapper->disabled || hook_busy > 0 || COMPAT_ELSEWHERE())
        return PyObject_Vectorcall(wrapper->original, args, nargsf, kwnames);
    wrapper->counts.calls++;
    if (wrapper->kind == WRAP_WSGI)
        return wsgi_call(wrapper->original, wrapper->scope_id, args, nargsf, kwnames);
    if (wrapper->kind == WRAP_ASGI)
        return asgi_call(wrapper->original, wrapper->scope_id, args, nargsf, kwnames);
    if (wrapper->kind >= WRAP_CARRY) // a method's function follows self
        return carry_call(wrapper->original, 1 - (wrapper->kind - WRAP_CARRY), args, nargsf, kwnames);
    PyObject *py_current = context_get(), *py_result = NULL, *describe = wrapper->describe;
    CallObject *call = NULL;
    struct red_series *series = NULL;
    enum way way = wrapper_way(wrapper, py_current);
    if (way == WAY_COUNT && wrapper->known != NULL)
        series = red_known(wrapper->known, wrapper->measured, args, PyVectorcall_NARGS(nargsf), kwnames);
    else if (way == WAY_COUNT && wrapper->measured != NULL)
        describe = wrapper->measured;
    if (way != WAY_ASIDE && series == NULL)
        call = call_new(args, PyVectorcall_NARGS(nargsf), kwnames);
    if (call != NULL)
        call->current = Py_XNewRef(py_current);
    if (series != NULL)
        py_result = red_call(series, py_current, wrapper->family, wrapper->original, args, nargsf, kwnames);
    else if (call == NULL)
        py_result = PyObject_Vectorcall(wrapper->original, args, nargsf, kwnames);
    else if (wrapper->kind >= WRAP_OBSERVE)
        py_result = wrapper_observe(wrapper, call, py_current, args, nargsf, kwnames);
    else
        py_result = wrapper_span(wrapper, describe, call, py_current, args, nargsf, kwnames);
    if (call != NULL) {
        PyObject *py_exception = py_result == NULL ? compat_take_exception() : NULL;
        call_release(call);
        if (py_exception != NULL)
            compat_give_exception(py_exception);
    }
    Py_XDECREF(py_current);
    return py_result;
}

static PyObject *wrapper_bind(PyObject *self, PyObject *object, PyObject *type) {
    (void)type;
    if (object == NULL || object == Py_None)
        return Py_NewRef(self);
    return PyMethod_New(self, object);
}

static PyObject *wrapper_getattro(PyObject *self, PyObject *name) {
    PyObject *py_value = PyObject_GenericGetAttr(self, name);
    if (py_value == NULL && PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear();
        py_value = PyObject_GetAttr(((WrapperObject *)self)->original, name);
    }
    return py_value;
}

static PyObject *wrapper_from_original(WrapperObject *wrapper, const char *name) {
    return PyObject_GetAttrString(wrapper->original, name);
}

static PyObject *wrapper_get_forwarded(PyObject *self, void *name) {
    return wrapper_from_original((WrapperObject *)self, name);
}

static PyObject *wrapper_reduce(PyObject *self, PyObject *unused) {
    (void)unused;
    return wrapper_from_original((WrapperObject *)self, "__qualname__");
}

static PyObject *wrapper_repr(PyObject *self) {
    return PyObject_Repr(((WrapperObject *)self)->original);
}

static void wrapper_dealloc(WrapperObject *wrapper) {
    if (wrapper->weakrefs != NULL)
        PyObject_ClearWeakRefs((PyObject *)wrapper);
    Py_XDECREF(wrapper->original);
    Py_XDECREF(wrapper->describe);
    Py_XDECREF(wrapper->conclude);
    Py_XDECREF(wrapper->failed);
    Py_XDECREF(wrapper->measured);
    Py_XDECREF(wrapper->known);
    Py_XDECREF(wrapper->dict);
    PyObject_Free(wrapper);
}

static PyObject *none_to_null(PyObject *object) {
    return object == NULL || object == Py_None ? NULL : Py_NewRef(object);
}

static PyObject *wrapper_create(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    (void)type;
    static char *names[] = {"original", "kind", "scope", "describe", "conclude", "failed", "family", "measured", NULL};
    PyObject *original, *describe = NULL, *conclude = NULL, *failed = NULL, *measured = NULL;
    const char *scope;
    int kind;
    unsigned family = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "Ois|OOOIO:Wrapper", names, &original, &kind, &scope, &describe,
                                     &conclude, &failed, &family, &measured))
        return NULL;
    WrapperObject *wrapper = PyObject_New(WrapperObject, &Wrapper_Type);
    if (wrapper == NULL)
        return NULL;
    memset((char *)wrapper + sizeof(PyObject), 0, sizeof *wrapper - sizeof(PyObject));
    wrapper->original = Py_NewRef(original);
    wrapper->describe = none_to_null(describe);
    wrapper->conclude = none_to_null(conclude);
    wrapper->failed = none_to_null(failed);
    wrapper->measured = none_to_null(measured);
    wrapper->metric = red_metric_of(kind, family);
    if (wrapper->measured != NULL && PyTuple_CheckExact(wrapper->measured) && PyTuple_GET_SIZE(measured) == 2)
        wrapper->known = PyDict_New();
    wrapper->vectorcall = wrapper_vectorcall;
    wrapper->kind = kind;
    wrapper->family = family;
    wrapper->scope_id = core_intern(scope, strlen(scope));
    wrapper->dict = PyDict_New();
    if (wrapper->dict == NULL || PyDict_SetItemString(wrapper->dict, "__wrapped__", original) < 0)
        Py_CLEAR(wrapper);
    return (PyObject *)wrapper;
}

static PyMethodDef wrapper_methods[] = {
    {"__reduce__", wrapper_reduce, METH_NOARGS, NULL},
    {NULL},
};
static PyMemberDef wrapper_members[] = {
    {"pillion_original", T_OBJECT, offsetof(WrapperObject, original), READONLY, "what was wrapped"},
    {"pillion_disabled", T_BOOL, offsetof(WrapperObject, disabled), 0, "calls go straight to the original"},
    {"pillion_calls", T_ULONGLONG, offsetof(WrapperObject, counts.calls), READONLY, "calls seen"},
    {"pillion_errors", T_ULONGLONG, offsetof(WrapperObject, counts.errors), READONLY, "errors of the hook"},
    {NULL},
};
static PyGetSetDef wrapper_getset[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {"__doc__", wrapper_get_forwarded, NULL, NULL, "__doc__"},
    {"__module__", wrapper_get_forwarded, NULL, NULL, "__module__"},
    {NULL},
};

PyTypeObject Wrapper_Type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "pillion._native.Wrapper",
    .tp_basicsize = sizeof(WrapperObject),
    .tp_dealloc = (destructor)wrapper_dealloc,
    .tp_vectorcall_offset = offsetof(WrapperObject, vectorcall),
    .tp_call = PyVectorcall_Call,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR,
    .tp_methods = wrapper_methods,
    .tp_members = wrapper_members,
    .tp_getset = wrapper_getset,
    .tp_getattro = wrapper_getattro,
    .tp_repr = wrapper_repr,
    .tp_descr_get = wrapper_bind,
    .tp_dictoffset = offsetof(WrapperObject, dict),
    .tp_weaklistoffset = offsetof(WrapperObject, weakrefs),
    .tp_new = wrapper_create,
};

static PyObject *set_report(PyObject *module, PyObject *callable) {
    (void)module;
    PyObject *py_old = report;
    report = none_to_null(callable);
    Py_XDECREF(py_old);
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"set_report", set_report, METH_O, "set_report(callable(where, exception)): who hears of errors in hooks"},
    {NULL},
};

int module_wrap_init(PyObject *module) {
    error_type = PyUnicode_InternFromString("error.type");
    if (error_type == NULL || module_describe_init() < 0 || PyType_Ready(&Call_Type) < 0 ||
        PyType_Ready(&Wrapper_Type) < 0)
        return -1;
    Py_INCREF(&Call_Type);
    Py_INCREF(&Wrapper_Type);
    if (PyModule_AddObject(module, "Call", (PyObject *)&Call_Type) < 0 ||
        PyModule_AddObject(module, "Wrapper", (PyObject *)&Wrapper_Type) < 0)
        return -1;
    return PyModule_AddFunctions(module, functions);
}
