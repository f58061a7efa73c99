// SPDX-License-Identifier: Apache-2.0
// compat: every difference between CPython 3.8 and 3.15 that the module's files would otherwise repeat.
#ifndef PILLION_COMPAT_H
#define PILLION_COMPAT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <frameobject.h>

#if PY_VERSION_HEX < 0x03090000
#define PyObject_Vectorcall _PyObject_Vectorcall
#define PyObject_VectorcallMethod _PyObject_VectorcallMethod
#define Py_TPFLAGS_HAVE_VECTORCALL _Py_TPFLAGS_HAVE_VECTORCALL
static inline PyObject *PyObject_CallOneArg(PyObject *callable, PyObject *argument) {
    return PyObject_CallFunctionObjArgs(callable, argument, NULL);
}
static inline PyObject *PyObject_CallNoArgs(PyObject *callable) {
    return PyObject_CallFunctionObjArgs(callable, NULL);
}
#endif

#ifndef Py_IS_TYPE
#define Py_IS_TYPE(object, type) (Py_TYPE(object) == (type))
#endif

#if PY_VERSION_HEX < 0x030a0000
static inline PyObject *compat_new_ref(PyObject *object) {
    Py_XINCREF(object);
    return object;
}
#define Py_NewRef(object) compat_new_ref((PyObject *)(object))
#define Py_XNewRef(object) compat_new_ref((PyObject *)(object))
#endif

#if PY_VERSION_HEX < 0x030b0000
static inline PyCodeObject *PyFrame_GetCodeOf(PyFrameObject *frame) {
#if PY_VERSION_HEX < 0x03090000
    PyCodeObject *code = frame->f_code;
    Py_INCREF(code);
    return code;
#else
    return PyFrame_GetCode(frame);
#endif
}
#else
#define PyFrame_GetCodeOf PyFrame_GetCode
#endif

// A dict's value, borrowed; NULL without an exception where it's missing. PyDict_GetItem puts aside and restores what
// is raised meanwhile, which costs as much as the look itself.
static inline PyObject *compat_dict_get(PyObject *dict, PyObject *key) {
    PyObject *value = PyDict_GetItemWithError(dict, key);
    if (value == NULL && PyErr_Occurred())
        PyErr_Clear();
    return value;
}

// The contextvars context of this thread, NULL before its first; borrowed, for comparing.
static inline PyObject *compat_context(void) {
    return PyThreadState_Get()->context;
}

#if PY_VERSION_HEX >= 0x030a0000 && PY_VERSION_HEX < 0x030b0000
#define COMPAT_USE_TRACING(thread) (thread)->cframe->use_tracing
#elif PY_VERSION_HEX < 0x030a0000
#define COMPAT_USE_TRACING(thread) (thread)->use_tracing
#endif

// In another interpreter of this process? Up to 3.10 all of them share sqlite3's types, and so what is wrapped in them.
#if PY_VERSION_HEX < 0x030b0000
#define COMPAT_ELSEWHERE() (PyThreadState_Get()->interp != PyInterpreterState_Main())
#else
#define COMPAT_ELSEWHERE() false
#endif

// An exception set aside as one object; NULL when none is set.
static inline PyObject *compat_take_exception(void) {
#if PY_VERSION_HEX >= 0x030c0000
    return PyErr_GetRaisedException();
#else
    PyObject *type = NULL, *value = NULL, *traceback = NULL;
    PyErr_Fetch(&type, &value, &traceback);
    if (type == NULL)
        return NULL;
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL && value != NULL)
        PyException_SetTraceback(value, traceback);
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return value;
#endif
}

// No tracer and no profiler of the application sees what runs between the two.
static inline PyThreadState *compat_tracing_pause(void) {
    PyThreadState *thread = PyThreadState_Get();
#if PY_VERSION_HEX >= 0x030c0000
    thread->tracing++;
#elif PY_VERSION_HEX >= 0x030b0000
    PyThreadState_EnterTracing(thread);
#else
    thread->tracing++;
    COMPAT_USE_TRACING(thread) = 0;
#endif
    return thread;
}

static inline void compat_tracing_resume(PyThreadState *thread) {
#if PY_VERSION_HEX >= 0x030c0000
    thread->tracing--;
#elif PY_VERSION_HEX >= 0x030b0000
    PyThreadState_LeaveTracing(thread);
#else
    thread->tracing--;
    COMPAT_USE_TRACING(thread) = thread->c_tracefunc != NULL || thread->c_profilefunc != NULL;
#endif
}

// One step of a coroutine or iterator. 1: *out is what it gave, 0: *out is what it returned, -1: an exception.
static inline int compat_iter_send(PyObject *iterator, PyObject *value, PyObject **out) {
#if PY_VERSION_HEX >= 0x030a0000
    PySendResult outcome = PyIter_Send(iterator, value, out);
    return outcome == PYGEN_NEXT ? 1 : outcome == PYGEN_RETURN ? 0 : -1;
#else
    if (value == Py_None && Py_TYPE(iterator)->tp_iternext != NULL)
        *out = Py_TYPE(iterator)->tp_iternext(iterator);
    else
        *out = PyObject_CallMethod(iterator, "send", "O", value);
    if (*out != NULL)
        return 1;
    return _PyGen_FetchStopIterationValue(out) == 0 ? 0 : -1;
#endif
}

// Raises again what compat_take_exception took. Steals `value`.
static inline void compat_give_exception(PyObject *value) {
#if PY_VERSION_HEX >= 0x030c0000
    PyErr_SetRaisedException(value);
#else
    if (value == NULL)
        return;
    PyObject *type = Py_NewRef((PyObject *)Py_TYPE(value));
    PyErr_Restore(type, value, PyException_GetTraceback(value));
#endif
}

#endif
