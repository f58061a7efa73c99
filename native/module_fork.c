// SPDX-License-Identifier: Apache-2.0
// module_fork: what waited when the process forked is sent soon after, and not with the next span, which may never
// come.
//
// The sender's thread has stepped aside for the fork, and may not come back within os.fork(): from 3.12 on CPython
// counts the threads when the fork handlers are through, its own callbacks in Python included. So a pending call does
// it, as soon as the main thread runs the code that called os.fork(). While it finds itself in one of those callbacks
// it asks to be called again, which slows them down, so only TRIES times: what waits then is sent with the next span.
#include "module.h"

#define TRIES 10000 // a callback is asked up to 32 times a step

static PyFrameObject *forking;       // that code's; only its address counts
static unsigned long forking_thread; // that runs it: an address on another's stack means nothing
static int tries_left;

static PyFrameObject *frame_back(PyFrameObject *frame) {
#if PY_VERSION_HEX >= 0x03090000
    return PyFrame_GetBack(frame);
#else
    Py_XINCREF(frame->f_back);
    return frame->f_back;
#endif
}

// Is the code that forked further down on this stack? Then this is one of the callbacks, or something it calls.
static bool still_inside(void) {
    if (forking == NULL || PyThread_get_thread_ident() != forking_thread)
        return false;
    PyFrameObject *frame = PyEval_GetFrame(), *py_frame = frame;
    Py_XINCREF(py_frame);
    while (py_frame != NULL) {
        PyFrameObject *py_back = frame_back(py_frame);
        Py_DECREF(py_frame);
        py_frame = py_back;
        if (py_frame == forking)
            break;
    }
    Py_XDECREF(py_frame);
    return py_frame != NULL;
}

static int go_on(void *unused) {
    (void)unused;
    if (!still_inside())
        core_go_on();
    else if (tries_left-- > 0)
        (void)Py_AddPendingCall(go_on, NULL);
    return 0;
}

static void forked(void) {
    if (!PyGILState_Check()) // C code that forks has no callbacks in Python, and no main thread that is sure to run
        return;
    forking = PyEval_GetFrame();
    forking_thread = PyThread_get_thread_ident();
    tries_left = TRIES;
    (void)Py_AddPendingCall(go_on, NULL); // no room: the next span does it
}

void module_fork_init(void) {
    core_forked = forked;
}
