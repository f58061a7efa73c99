// SPDX-License-Identifier: Apache-2.0
// module_fork: what waited when the process forked is sent soon after, and not with the next span, which may never
// come.
//
// The sender's thread has stepped aside for the fork, and may not come back within os.fork(): from 3.12 on CPython
// counts the threads when the fork handlers are through, its own callbacks in Python included. So a pending call does
// it, as soon as the main thread runs the code that called os.fork().
#include "module.h"

static PyFrameObject *forking; // that code's; only its address counts

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
    if (forking == NULL || !still_inside() || Py_AddPendingCall(go_on, NULL) != 0)
        core_go_on();
    return 0;
}

static void forked(void) {
    if (!PyGILState_Check()) // C code that forks has no callbacks in Python, and no main thread that is sure to run
        return;
    forking = PyEval_GetFrame();
    (void)Py_AddPendingCall(go_on, NULL); // no room: the next span does it
}

void module_fork_init(void) {
    core_forked = forked;
}
