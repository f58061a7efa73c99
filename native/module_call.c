// SPDX-License-Identifier: Apache-2.0
// module_call: one call of a hooked function, as a hook's describe and conclude see it.
//
// It lives as long as the call, on a free list, and reads the arguments from the caller's stack; what a hook asks for
// as a tuple or dict is made then. A hook that keeps it longer keeps what the call was given.
#include "module.h"
#include <stddef.h>
#include <structmember.h>

#define FREE_CALLS 32

static CallObject *free_calls[FREE_CALLS];
static int free_call_count;

CallObject *call_new(PyObject *const *stack, Py_ssize_t count, PyObject *kwnames) {
    CallObject *call;
    if (free_call_count > 0) {
        call = free_calls[--free_call_count];
        (void)PyObject_Init((PyObject *)call, &Call_Type);
    } else if ((call = PyObject_New(CallObject, &Call_Type)) == NULL) {
        PyErr_Clear();
        return NULL;
    }
    call->stack = stack;
    call->count = count;
    call->kwnames = kwnames;
    call->args = call->kwargs = call->span = call->current = call->state = call->parent = NULL;
    return call;
}

static PyObject *call_args(CallObject *call, void *unused) {
    (void)unused;
    if (call->args == NULL) {
        Py_ssize_t count = call->stack != NULL ? call->count : 0;
        call->args = PyTuple_New(count);
        for (Py_ssize_t i = 0; call->args != NULL && i < count; i++)
            PyTuple_SET_ITEM(call->args, i, Py_NewRef(call->stack[i]));
    }
    return Py_XNewRef(call->args);
}

static PyObject *call_kwargs(CallObject *call, void *unused) {
    (void)unused;
    if (call->kwargs == NULL) {
        call->kwargs = PyDict_New();
        Py_ssize_t count = call->stack != NULL && call->kwnames != NULL ? PyTuple_GET_SIZE(call->kwnames) : 0;
        for (Py_ssize_t i = 0; call->kwargs != NULL && i < count; i++)
            if (PyDict_SetItem(call->kwargs, PyTuple_GET_ITEM(call->kwnames, i), call->stack[call->count + i]) < 0)
                return NULL;
    }
    return Py_XNewRef(call->kwargs);
}

PyObject *call_argument(CallObject *call, Py_ssize_t index, PyObject *name) {
    if (call->stack == NULL) { // the call is over: what was kept
        if (call->args != NULL && index >= 0 && index < PyTuple_GET_SIZE(call->args))
            return PyTuple_GET_ITEM(call->args, index);
        return call->kwargs != NULL ? compat_dict_get(call->kwargs, name) : NULL;
    }
    if (index >= 0 && index < call->count)
        return call->stack[index];
    Py_ssize_t names = call->kwnames != NULL ? PyTuple_GET_SIZE(call->kwnames) : 0;
    for (Py_ssize_t i = 0; i < names; i++) {
        PyObject *given = PyTuple_GET_ITEM(call->kwnames, i);
        if (given == name || PyUnicode_Compare(given, name) == 0)
            return call->stack[call->count + i];
    }
    return NULL;
}

// get(index, name, default=None): an argument wherever the caller put it.
static PyObject *call_get(CallObject *call, PyObject *const *args, Py_ssize_t count) {
    Py_ssize_t index = count >= 2 ? PyLong_AsSsize_t(args[0]) : -2;
    if (count < 2 || count > 3 || (index == -1 && PyErr_Occurred()) || !PyUnicode_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError, "get(index: int, name: str, default=None)");
        return NULL;
    }
    PyObject *value = call_argument(call, index, args[1]);
    return Py_NewRef(value != NULL ? value : count == 3 ? args[2] : Py_None);
}

// The caller's stack is gone now: whoever kept the Call keeps what it had asked for.
void call_release(CallObject *call) {
    if (call == NULL)
        return;
    if (Py_REFCNT(call) > 1) {
        PyErr_Clear();
        Py_XDECREF(call_args(call, NULL));
        Py_XDECREF(call_kwargs(call, NULL));
        PyErr_Clear();
    }
    call->stack = NULL;
    call->kwnames = NULL;
    Py_DECREF(call);
}

static void call_dealloc(CallObject *call) {
    Py_CLEAR(call->args);
    Py_CLEAR(call->kwargs);
    Py_CLEAR(call->span);
    Py_CLEAR(call->current);
    Py_CLEAR(call->state);
    Py_CLEAR(call->parent);
    if (free_call_count < FREE_CALLS)
        free_calls[free_call_count++] = call;
    else
        PyObject_Free(call);
}

static PyObject *call_create(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    (void)type;
    CallObject *call = call_new(NULL, 0, NULL);
    if (call != NULL) {
        call->args = Py_NewRef(args);
        call->kwargs = kwargs != NULL ? Py_NewRef(kwargs) : PyDict_New();
    }
    return (PyObject *)call;
}

// The open SERVER or CONSUMER span around this call.
static PyObject *call_entry(CallObject *call, void *unused) {
    (void)unused;
    SpanObject *entry = span_object_check(call->current) ? ((SpanObject *)call->current)->entry_open : NULL;
    return Py_NewRef(entry != NULL && !entry->ended ? (PyObject *)entry : Py_None);
}

static PyMethodDef call_methods[] = {
    {"get", (PyCFunction)(void (*)(void))call_get, METH_FASTCALL, "get(index, name, default=None): one argument"},
    {NULL},
};
static PyGetSetDef call_getset[] = {
    {"args", (getter)call_args, NULL, "positional arguments, self included", NULL},
    {"kwargs", (getter)call_kwargs, NULL, "keyword arguments", NULL},
    {"entry", (getter)call_entry, NULL, "the open SERVER or CONSUMER span around the call, or None", NULL},
    {NULL},
};
static PyMemberDef call_members[] = {
    {"span", T_OBJECT, offsetof(CallObject, span), 0, "the call's Span, or None"},
    {"parent", T_OBJECT, offsetof(CallObject, parent), 0, "describe sets it: the span's, in place of the current one"},
    {"state", T_OBJECT, offsetof(CallObject, state), 0, "whatever the hook wants to keep until conclude"},
    {NULL},
};
PyTypeObject Call_Type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "pillion._native.Call",
    .tp_basicsize = sizeof(CallObject),
    .tp_dealloc = (destructor)call_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_methods = call_methods,
    .tp_getset = call_getset,
    .tp_members = call_members,
    .tp_new = call_create,
    .tp_doc = "Call(*args, **kwargs): one call of a hooked function.",
};
