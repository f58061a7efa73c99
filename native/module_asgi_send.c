// SPDX-License-Identifier: Apache-2.0
// module_asgi_send: what stands between an ASGI application and its server while a request's span is open.
//
// Send notes the status and calls the server's; what it returns is the server's own awaitable, but for the last message
// of a response: that comes as an Awaited, which ends the span when the message has gone. After a 5xx the exception it
// is about may still follow, so there the span ends with the application. Awaited stands for a coroutine: send, throw,
// close and their results and exceptions pass through, and no frame of ours is in a traceback. The application's keeps
// the span current while it runs. What is in a task that nobody finishes is the garbage collector's, as without us.
#include "module.h"
#include <stddef.h>
#include <structmember.h>

typedef struct {
    PyObject_HEAD PyObject *original; // Owned
    SpanObject *span;                 // Owned
    vectorcallfunc vectorcall;
    int status;    // of the response; 0: not begun
    bool trailers; // will follow the body
} SendObject;

typedef struct {
    PyObject_HEAD PyObject *inner; // Owned. The coroutine, or the iterator of another awaitable; NULL: it's over
    SpanObject *span;              // Owned
    SendObject *send;              // Owned. The request's, where `inner` is the application; NULL: it's a message
    PyObject *previous;            // Owned. What was current before; NULL: not entered
} AwaitedObject;

static PyTypeObject Send_Type;
// Owned, interned
static PyObject *name_type, *name_status, *name_more_body, *name_trailers, *name_more_trailers, *name_throw,
    *name_close;

// --- one step of what is awaited

static void enter(AwaitedObject *awaited) {
    if (awaited->send == NULL || awaited->previous != NULL)
        return;
    awaited->previous = context_get();
    if (awaited->previous == NULL)
        awaited->previous = Py_NewRef(Py_None);
    context_enter(awaited->span);
}

// It's over: by what is raised now, if it's no StopIteration, else as it should. Once.
static void finish(AwaitedObject *awaited) {
    PyObject *py_inner = awaited->inner, *py_previous = awaited->previous;
    SpanObject *span = awaited->span;
    if (py_inner == NULL)
        return;
    awaited->inner = awaited->previous = NULL;
    bool good = !PyErr_Occurred() || PyErr_ExceptionMatches(PyExc_StopIteration);
    if (!good && awaited->send != NULL)
        request_record_failure(span);
    PyObject *py_exception = compat_take_exception();
    if (py_previous != NULL)
        context_leave(span, py_previous);
    if (awaited->send != NULL && !span->ended && !span->failed && awaited->send->status >= 500)
        request_failed(span, awaited->send->status);
    if (awaited->send != NULL || good)
        span_object_end(span, 0);
    Py_XDECREF(py_previous);
    Py_DECREF(py_inner);
    compat_give_exception(py_exception);
}

// As a coroutine that is over does.
static PyObject *refuse_again(void) {
    PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited coroutine");
    return NULL;
}

// 1: *out is what it waits for, 0: *out is its result, -1: an exception.
static int step(AwaitedObject *awaited, PyObject *value, PyObject **out) {
    *out = NULL;
    if (awaited->inner == NULL) {
        (void)refuse_again();
        return -1;
    }
    enter(awaited);
    PyObject *py_inner = Py_NewRef(awaited->inner);
    int outcome = compat_iter_send(py_inner, value, out);
    Py_DECREF(py_inner);
    if (outcome <= 0)
        finish(awaited);
    return outcome;
}

// As a function returns it: a result is the value of a StopIteration.
static PyObject *returned(int outcome, PyObject *value) {
    if (outcome != 0)
        return value;
    PyObject *py_stop = PyObject_CallFunctionObjArgs(PyExc_StopIteration, value, NULL);
    if (py_stop != NULL)
        PyErr_SetObject(PyExc_StopIteration, py_stop);
    Py_XDECREF(py_stop);
    Py_DECREF(value);
    return NULL;
}

static PyObject *awaited_send(PyObject *self, PyObject *value) {
    PyObject *py_out;
    int outcome = step((AwaitedObject *)self, value, &py_out);
    return returned(outcome, py_out);
}

static PyObject *awaited_next(PyObject *self) {
    return awaited_send(self, Py_None);
}

static PyObject *awaited_throw(PyObject *self, PyObject *args) {
    AwaitedObject *awaited = (AwaitedObject *)self;
    if (awaited->inner == NULL)
        return refuse_again();
    PyObject *py_inner = Py_NewRef(awaited->inner), *py_result = NULL;
    PyObject *py_method = PyObject_GetAttr(py_inner, name_throw);
    enter(awaited);
    if (py_method != NULL) {
        py_result = PyObject_Call(py_method, args, NULL);
    } else { // nobody who could catch it
        PyErr_Clear();
        PyObject *given = PyTuple_GET_SIZE(args) > 1 && PyTuple_GET_ITEM(args, 1) != Py_None ? PyTuple_GET_ITEM(args, 1)
                          : PyTuple_GET_SIZE(args) > 0                                       ? PyTuple_GET_ITEM(args, 0)
                                                                                             : PyExc_TypeError;
        PyErr_SetObject(PyType_Check(given) ? given : (PyObject *)Py_TYPE(given), PyType_Check(given) ? NULL : given);
    }
    if (py_result == NULL)
        finish(awaited);
    Py_XDECREF(py_method);
    Py_DECREF(py_inner);
    return py_result;
}

static PyObject *awaited_close(PyObject *self, PyObject *unused) {
    (void)unused;
    AwaitedObject *awaited = (AwaitedObject *)self;
    if (awaited->inner == NULL)
        Py_RETURN_NONE;
    PyObject *py_inner = Py_NewRef(awaited->inner), *py_result = NULL;
    PyObject *py_method = PyObject_GetAttr(py_inner, name_close);
    if (py_method == NULL)
        PyErr_Clear();
    else
        py_result = PyObject_CallNoArgs(py_method);
    finish(awaited);
    Py_XDECREF(py_method);
    Py_DECREF(py_inner);
    return py_method == NULL ? Py_NewRef(Py_None) : py_result;
}

static PyObject *awaited_getattro(PyObject *self, PyObject *name) {
    PyObject *py_value = PyObject_GenericGetAttr(self, name), *inner = ((AwaitedObject *)self)->inner;
    if (py_value == NULL && inner != NULL && PyErr_ExceptionMatches(PyExc_AttributeError)) { // cr_frame and the like
        PyErr_Clear();
        py_value = PyObject_GetAttr(inner, name);
    }
    return py_value;
}

static int awaited_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(((AwaitedObject *)self)->inner);
    Py_VISIT((PyObject *)((AwaitedObject *)self)->send);
    return 0;
}

static int awaited_clear(PyObject *self) {
    Py_CLEAR(((AwaitedObject *)self)->inner);
    Py_CLEAR(((AwaitedObject *)self)->send);
    return 0;
}

static void awaited_dealloc(PyObject *self) {
    AwaitedObject *awaited = (AwaitedObject *)self;
    PyObject_GC_UnTrack(self);
    PyObject *py_exception = compat_take_exception();
    if (awaited->send != NULL)
        span_object_end(awaited->span, 0);
    (void)awaited_clear(self);
    Py_CLEAR(awaited->previous);
    Py_DECREF((PyObject *)awaited->span);
    compat_give_exception(py_exception);
    PyObject_GC_Del(self);
}

#if PY_VERSION_HEX >= 0x030a0000
static PySendResult awaited_am_send(PyObject *self, PyObject *value, PyObject **out) {
    int outcome = step((AwaitedObject *)self, value, out);
    return outcome > 0 ? PYGEN_NEXT : outcome == 0 ? PYGEN_RETURN : PYGEN_ERROR;
}
#endif

static PyMethodDef awaited_methods[] = {
    {"send", awaited_send, METH_O, NULL},
    {"throw", awaited_throw, METH_VARARGS, NULL},
    {"close", awaited_close, METH_NOARGS, NULL},
    {NULL},
};
static PyAsyncMethods awaited_async = {
    .am_await = PyObject_SelfIter,
#if PY_VERSION_HEX >= 0x030a0000
    .am_send = awaited_am_send,
#endif
};
static PyTypeObject Awaited_Type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "pillion._native.Awaited",
    .tp_basicsize = sizeof(AwaitedObject),
    .tp_dealloc = awaited_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC
#ifdef _Py_TPFLAGS_HAVE_AM_SEND
                | _Py_TPFLAGS_HAVE_AM_SEND
#endif
    ,
    .tp_as_async = &awaited_async,
    .tp_iter = PyObject_SelfIter,
    .tp_iternext = awaited_next,
    .tp_methods = awaited_methods,
    .tp_getattro = awaited_getattro,
    .tp_traverse = awaited_traverse,
    .tp_clear = awaited_clear,
};

// What is awaited of `awaitable` step by step: new, or NULL without an exception.
static PyObject *steps_of(PyObject *awaitable) {
    if (PyCoro_CheckExact(awaitable))
        return Py_NewRef(awaitable);
    PyAsyncMethods *methods = Py_TYPE(awaitable)->tp_as_async;
    PyObject *py_steps = methods != NULL && methods->am_await != NULL ? methods->am_await(awaitable) : NULL;
    PyErr_Clear();
    return py_steps;
}

PyObject *asgi_awaited(PyObject *awaitable, SpanObject *span, PyObject *send) {
    PyObject *py_steps = steps_of(awaitable);
    AwaitedObject *awaited = py_steps != NULL ? PyObject_GC_New(AwaitedObject, &Awaited_Type) : NULL;
    if (awaited == NULL) {
        PyErr_Clear();
        Py_XDECREF(py_steps);
        return awaitable;
    }
    awaited->inner = py_steps;
    awaited->span = (SpanObject *)Py_NewRef((PyObject *)span);
    awaited->send = (SendObject *)Py_XNewRef(send);
    awaited->previous = NULL;
    PyObject_GC_Track((PyObject *)awaited);
    Py_DECREF(awaitable);
    return (PyObject *)awaited;
}

// --- send

static bool is_true(PyObject *message, PyObject *key) {
    PyObject *value = compat_dict_get(message, key);
    return value != NULL && value != Py_False && value != Py_None && PyObject_IsTrue(value) > 0;
}

// Notes what the message tells; true: the response is complete with it.
static bool note(SendObject *send, PyObject *message) {
    PyObject *type = PyDict_Check(message) ? compat_dict_get(message, name_type) : NULL;
    if (type == NULL || !PyUnicode_Check(type) || send->span->ended)
        return false;
    if (PyUnicode_CompareWithASCIIString(type, "http.response.start") == 0) {
        PyObject *status = compat_dict_get(message, name_status);
        long code = status != NULL && PyLong_Check(status) ? PyLong_AsLong(status) : 0;
        if (code >= 100 && code < 1000) {
            send->status = (int)code;
            request_status(send->span, send->status);
        }
        send->trailers = is_true(message, name_trailers);
        return false;
    }
    if (PyUnicode_CompareWithASCIIString(type, "http.response.body") == 0 ||
        PyUnicode_CompareWithASCIIString(type, "http.response.zerocopysend") == 0)
        return !send->trailers && !is_true(message, name_more_body);
    if (PyUnicode_CompareWithASCIIString(type, "http.response.trailers") == 0)
        return !is_true(message, name_more_trailers);
    return PyUnicode_CompareWithASCIIString(type, "http.response.pathsend") == 0 && !send->trailers;
}

static PyObject *send_call(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *kwnames) {
    SendObject *send = (SendObject *)self;
    bool last = PyVectorcall_NARGS(nargsf) > 0 && note(send, args[0]);
    PyErr_Clear();
    PyObject *py_result = PyObject_Vectorcall(send->original, args, nargsf, kwnames);
    if (py_result == NULL || !last || send->status >= 500)
        return py_result;
    return asgi_awaited(py_result, send->span, NULL);
}

PyObject *asgi_send(PyObject *original, SpanObject *span) {
    SendObject *send = PyObject_GC_New(SendObject, &Send_Type);
    if (send == NULL)
        return NULL;
    send->original = Py_NewRef(original);
    send->span = (SpanObject *)Py_NewRef((PyObject *)span);
    send->vectorcall = send_call;
    send->status = 0;
    send->trailers = false;
    PyObject_GC_Track((PyObject *)send);
    return (PyObject *)send;
}

static PyObject *send_getattro(PyObject *self, PyObject *name) {
    PyObject *py_value = PyObject_GenericGetAttr(self, name), *original = ((SendObject *)self)->original;
    if (py_value == NULL && original != NULL && PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear();
        py_value = PyObject_GetAttr(original, name);
    }
    return py_value;
}

static int send_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(((SendObject *)self)->original);
    return 0;
}

static int send_clear(PyObject *self) {
    Py_CLEAR(((SendObject *)self)->original);
    return 0;
}

static void send_dealloc(PyObject *self) {
    PyObject_GC_UnTrack(self);
    (void)send_clear(self);
    Py_DECREF((PyObject *)((SendObject *)self)->span);
    PyObject_GC_Del(self);
}

static PyTypeObject Send_Type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "pillion._native.Send",
    .tp_basicsize = sizeof(SendObject),
    .tp_dealloc = send_dealloc,
    .tp_vectorcall_offset = offsetof(SendObject, vectorcall),
    .tp_call = PyVectorcall_Call,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL,
    .tp_getattro = send_getattro,
    .tp_traverse = send_traverse,
    .tp_clear = send_clear,
};

int module_asgi_send_init(void) {
    static const struct {
        PyObject **at;
        const char *name;
    } names[] = {{&name_type, "type"},         {&name_status, "status"}, {&name_more_body, "more_body"},
                 {&name_trailers, "trailers"}, {&name_throw, "throw"},   {&name_more_trailers, "more_trailers"},
                 {&name_close, "close"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if ((*names[i].at = PyUnicode_InternFromString(names[i].name)) == NULL)
            return -1;
    return PyType_Ready(&Send_Type) < 0 || PyType_Ready(&Awaited_Type) < 0 ? -1 : 0;
}
