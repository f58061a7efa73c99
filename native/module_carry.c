// SPDX-License-Identifier: Apache-2.0
// module_carry: the current span goes along with a function that is handed to a thread, and with nothing else.
//
// The Carrier stands in for the function: calling it makes the span current, calls, and puts back what was current, so
// a pool's thread keeps nothing. It is C and has no frame: tracebacks, tracers and profilers see the function alone,
// and every attribute is the function's. What a pool starts for itself while it takes a job (threads, processes) begins
// without a span: it will serve others. No link is made over a queue that nobody carries over.
#include "module.h"
#include <stddef.h>
#include <string.h>

#define FEW 16 // arguments that need no allocation

typedef struct {
    PyObject_HEAD PyObject *function; // Owned
    PyObject *current;                // Owned. Span or Remote
    PyObject *baggage;                // Owned or NULL: the pair of module_context.c
    bool starts;                      // the function is a whole thread
    vectorcallfunc vectorcall;
} CarrierObject;

static PyTypeObject Carrier_Type;
static __thread PyObject *thread_began_with; // only its address counts

static PyObject *carrier_vectorcall(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *kwnames) {
    CarrierObject *carrier = (CarrierObject *)self;
    PyObject *py_before = context_get(), *py_baggage = context_baggage_pair();
    if (carrier->starts)
        thread_began_with = carrier->current;
    context_set(carrier->current);
    if (carrier->baggage != NULL)
        context_set_baggage_pair(carrier->baggage);
    PyObject *py_result = PyObject_Vectorcall(carrier->function, args, nargsf, kwnames);
    PyObject *py_exception = py_result == NULL ? compat_take_exception() : NULL;
    if (carrier->starts) // it was a greenlet in the place of a thread: this one goes on
        thread_began_with = NULL;
    context_set(py_before);
    if (carrier->baggage != NULL)
        context_set_baggage_pair(py_baggage);
    Py_XDECREF(py_baggage);
    Py_XDECREF(py_before);
    if (py_exception != NULL)
        compat_give_exception(py_exception);
    return py_result;
}

static PyObject *carrier_new(PyObject *function, PyObject *current, bool starts) {
    CarrierObject *carrier = PyObject_GC_New(CarrierObject, &Carrier_Type);
    if (carrier == NULL)
        return NULL;
    carrier->function = Py_NewRef(function);
    carrier->current = Py_NewRef(current);
    carrier->baggage = context_baggage_pair();
    carrier->starts = starts;
    carrier->vectorcall = carrier_vectorcall;
    PyObject_GC_Track((PyObject *)carrier);
    return (PyObject *)carrier;
}

static int carrier_traverse(CarrierObject *carrier, visitproc visit, void *arg) {
    Py_VISIT(carrier->function);
    Py_VISIT(carrier->baggage);
    return 0;
}

static int carrier_clear(CarrierObject *carrier) {
    Py_CLEAR(carrier->function);
    Py_CLEAR(carrier->baggage);
    return 0;
}

static void carrier_dealloc(CarrierObject *carrier) {
    PyObject_GC_UnTrack(carrier);
    (void)carrier_clear(carrier);
    Py_CLEAR(carrier->current);
    PyObject_GC_Del(carrier);
}

static PyObject *carrier_getattro(PyObject *self, PyObject *name) {
    return PyObject_GetAttr(((CarrierObject *)self)->function, name);
}

static PyObject *carrier_repr(PyObject *self) {
    return PyObject_Repr(((CarrierObject *)self)->function);
}

static PyTypeObject Carrier_Type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "pillion._native.Carrier",
    .tp_basicsize = sizeof(CarrierObject),
    .tp_dealloc = (destructor)carrier_dealloc,
    .tp_vectorcall_offset = offsetof(CarrierObject, vectorcall),
    .tp_call = PyVectorcall_Call,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL,
    .tp_traverse = (traverseproc)carrier_traverse,
    .tp_clear = (inquiry)carrier_clear,
    .tp_getattro = carrier_getattro,
    .tp_repr = carrier_repr,
};

// Where the function lies among the arguments: at its place, or after them by one of its names. -1: nowhere.
static Py_ssize_t carried_at(Py_ssize_t index, Py_ssize_t count, PyObject *kwnames) {
    if (index < 0 || count > index)
        return index;
    for (Py_ssize_t i = 0; kwnames != NULL && i < PyTuple_GET_SIZE(kwnames); i++) {
        PyObject *name = PyTuple_GET_ITEM(kwnames, i);
        if (PyUnicode_CompareWithASCIIString(name, "fn") == 0 || PyUnicode_CompareWithASCIIString(name, "func") == 0)
            return count + i;
    }
    return -1;
}

#if PY_VERSION_HEX >= 0x030e0000
// From 3.14 on a thread runs in a context of its own object; an empty one is what start() made and nobody asked for.
static bool carried_in_context(PyObject *function, PyObject *current) {
    PyObject *py_thread = PyObject_GetAttrString(function, "__self__");
    PyObject *py_context = py_thread != NULL ? PyObject_GetAttrString(py_thread, "_context") : NULL;
    PyErr_Clear();
    bool known = py_context != NULL && PyContext_CheckExact(py_context);
    if (known && PyObject_Length(py_context) == 0 && PyContext_Enter(py_context) == 0) {
        context_set(current);
        (void)PyContext_Exit(py_context);
    }
    PyErr_Clear();
    Py_XDECREF(py_context);
    Py_XDECREF(py_thread);
    return known;
}
#else
static bool carried_in_context(PyObject *function, PyObject *current) {
    (void)function;
    (void)current;
    return false;
}
#endif

// The call with one argument replaced. The slot before the arguments is the callee's to use, as vectorcall has it.
static PyObject *call_replaced(PyObject *original, Py_ssize_t at, PyObject *replacement, PyObject *const *args,
                               Py_ssize_t count, PyObject *kwnames) {
    Py_ssize_t total = count + (kwnames != NULL ? PyTuple_GET_SIZE(kwnames) : 0);
    PyObject *few[FEW + 1], **stack = few;
    if (total > FEW && (stack = PyMem_Malloc((size_t)(total + 1) * sizeof *stack)) == NULL)
        return PyErr_NoMemory();
    memcpy(stack + 1, args, (size_t)total * sizeof *stack);
    stack[1 + at] = replacement;
    PyObject *py_result =
        PyObject_Vectorcall(original, stack + 1, (size_t)count | PY_VECTORCALL_ARGUMENTS_OFFSET, kwnames);
    if (stack != few)
        PyMem_Free(stack);
    return py_result;
}

PyObject *carry_call(PyObject *original, int index, PyObject *const *args, size_t nargsf, PyObject *kwnames) {
    PyObject *py_current = context_get(), *py_carrier = NULL, *py_result = NULL;
    Py_ssize_t count = PyVectorcall_NARGS(nargsf), at = carried_at(index, count, kwnames);
    if (py_current == NULL || (index == 0 && at == 0 && carried_in_context(args[0], py_current))) {
        Py_XDECREF(py_current);
        return PyObject_Vectorcall(original, args, nargsf, kwnames);
    }
    if (at >= 0 && PyCallable_Check(args[at]) && (py_carrier = carrier_new(args[at], py_current, index == 0)) == NULL)
        PyErr_Clear();
    if (index != 0)
        context_set(NULL);
    if (py_carrier != NULL)
        py_result = call_replaced(original, at, py_carrier, args, count, kwnames);
    else
        py_result = PyObject_Vectorcall(original, args, nargsf, kwnames);
    if (index != 0) {
        PyObject *py_exception = py_result == NULL ? compat_take_exception() : NULL;
        context_set(py_current);
        if (py_exception != NULL)
            compat_give_exception(py_exception);
    }
    Py_XDECREF(py_carrier);
    Py_DECREF(py_current);
    return py_result;
}

// A server's loop may run in a thread that was started under a span: its requests are none of that span's.
PyObject *carry_entry_parent(PyObject *current) {
    return current == thread_began_with ? NULL : current;
}

int module_carry_init(void) {
    return PyType_Ready(&Carrier_Type);
}
