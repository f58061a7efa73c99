// SPDX-License-Identifier: Apache-2.0
// module_wsgi_body: what stands between an application and its WSGI server while a request's span is open.
//
// StartResponse notes the status and calls the server's. Body forwards iteration and close to what the application
// returned, with the span current meanwhile, and ends the span at close, or when it's dropped. Exceptions pass through.
#include "module.h"
#include <stddef.h>

typedef struct {
    PyObject_HEAD PyObject *original; // Owned
    SpanObject *span;                 // Owned
    vectorcallfunc vectorcall;
} StartResponseObject;

typedef struct {
    PyObject_HEAD PyObject *original; // Owned. What the application returned
    PyObject *iterator;               // Owned or NULL before the first use
    SpanObject *span;                 // Owned
} BodyObject;

// --- start_response

static PyObject *start_response_call(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *kwnames) {
    StartResponseObject *start = (StartResponseObject *)self;
    if (PyVectorcall_NARGS(nargsf) > 0 && PyUnicode_Check(args[0]) && !start->span->ended) {
        Py_ssize_t bytes = 0;
        const char *text = PyUnicode_AsUTF8AndSize(args[0], &bytes);
        int code = 0;
        for (int i = 0; text != NULL && i < 3 && i < bytes && text[i] >= '0' && text[i] <= '9'; i++)
            code = code * 10 + (text[i] - '0');
        if (text == NULL)
            PyErr_Clear();
        if (code >= 100)
            request_status(start->span, code);
        if (code >= 500 && !start->span->failed)
            request_failed(start->span, code);
    }
    return PyObject_Vectorcall(start->original, args, nargsf, kwnames);
}

PyObject *wsgi_start_response(PyObject *original, SpanObject *span) {
    StartResponseObject *start = PyObject_New(StartResponseObject, &StartResponse_Type);
    if (start == NULL)
        return NULL;
    start->original = Py_NewRef(original);
    start->span = (SpanObject *)Py_NewRef(span);
    start->vectorcall = start_response_call;
    return (PyObject *)start;
}

static void start_response_dealloc(StartResponseObject *start) {
    Py_XDECREF(start->original);
    Py_XDECREF(start->span);
    PyObject_Free(start);
}

PyTypeObject StartResponse_Type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "pillion._native.StartResponse",
    .tp_basicsize = sizeof(StartResponseObject),
    .tp_dealloc = (destructor)start_response_dealloc,
    .tp_vectorcall_offset = offsetof(StartResponseObject, vectorcall),
    .tp_call = PyVectorcall_Call,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL,
};

// --- the iterable

void wsgi_restore(SpanObject *span, PyObject *previous) {
    PyObject *py_now = context_get();
    if (py_now == (PyObject *)span)
        context_set(previous);
    Py_XDECREF(py_now);
}

// Runs one step of the body with the span current.
static PyObject *body_step(BodyObject *body, PyObject *(*step)(BodyObject *)) {
    PyObject *py_previous = context_get();
    if (!body->span->ended)
        context_set((PyObject *)body->span);
    PyObject *py_result = step(body);
    PyObject *py_exception = py_result == NULL ? compat_take_exception() : NULL;
    wsgi_restore(body->span, py_previous);
    Py_XDECREF(py_previous);
    compat_give_exception(py_exception);
    if (py_result == NULL && PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_StopIteration))
        request_record_failure(body->span);
    return py_result;
}

static PyObject *step_next(BodyObject *body) {
    if (body->iterator == NULL && (body->iterator = PyObject_GetIter(body->original)) == NULL)
        return NULL;
    return PyIter_Next(body->iterator);
}

static PyObject *step_close(BodyObject *body) {
    PyObject *py_close = PyObject_GetAttrString(body->original, "close");
    if (py_close == NULL && PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear();
        return Py_NewRef(Py_None);
    }
    PyObject *py_result = py_close != NULL ? PyObject_CallNoArgs(py_close) : NULL;
    Py_XDECREF(py_close);
    return py_result;
}

static PyObject *body_next(BodyObject *body) {
    return body_step(body, step_next);
}

static PyObject *body_close(BodyObject *body, PyObject *unused) {
    (void)unused;
    PyObject *py_result = body_step(body, step_close);
    PyObject *py_exception = py_result == NULL ? compat_take_exception() : NULL;
    span_object_end(body->span, 0);
    compat_give_exception(py_exception);
    return py_result;
}

static PyObject *body_getattro(PyObject *self, PyObject *name) {
    PyObject *py_value = PyObject_GenericGetAttr(self, name);
    if (py_value == NULL && PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear();
        py_value = PyObject_GetAttr(((BodyObject *)self)->original, name);
    }
    return py_value;
}

static void body_dealloc(BodyObject *body) {
    PyObject *py_exception = compat_take_exception();
    if (body->span != NULL)
        span_object_end(body->span, 0);
    Py_XDECREF(body->iterator);
    Py_XDECREF(body->original);
    Py_XDECREF(body->span);
    PyObject_Free(body);
    compat_give_exception(py_exception);
}

static PyMethodDef body_methods[] = {
    {"close", (PyCFunction)body_close, METH_NOARGS, NULL},
    {NULL},
};

PyTypeObject Body_Type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "pillion._native.Body",
    .tp_basicsize = sizeof(BodyObject),
    .tp_dealloc = (destructor)body_dealloc,
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_iter = PyObject_SelfIter,
    .tp_iternext = (iternextfunc)body_next,
    .tp_methods = body_methods,
    .tp_getattro = body_getattro,
};

PyObject *wsgi_body(PyObject *result, PyObject *wrapper, SpanObject *span) {
    bool file = wrapper != NULL && PyType_Check(wrapper) && PyObject_TypeCheck(result, (PyTypeObject *)wrapper);
    BodyObject *body = NULL;
    if (!PyList_CheckExact(result) && !PyTuple_CheckExact(result) && !file)
        body = PyObject_New(BodyObject, &Body_Type);
    if (body == NULL) {
        PyErr_Clear();
        span_object_end(span, 0);
        return result;
    }
    body->original = result;
    body->iterator = NULL;
    body->span = (SpanObject *)Py_NewRef((PyObject *)span);
    return (PyObject *)body;
}

int module_wsgi_body_init(void) {
    return PyType_Ready(&StartResponse_Type) < 0 || PyType_Ready(&Body_Type) < 0 ? -1 : 0;
}
