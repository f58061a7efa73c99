// SPDX-License-Identifier: Apache-2.0
// module_runtime: what only the inside of an interpreter can tell: garbage collections, threads, event-loop lag.
//
// Driven by what happens anyway (a collection, a span that begins), so an idle process is never woken.
#include "clock.h"
#include "metrics.h"
#include "module.h"
#include <string.h>

static uint64_t gc_began_ns;
static uint64_t ticked_s;
static PyObject *tick; // Owned or NULL: called at most once a second, when a span begins

static void count_threads(void) {
    int64_t threads = 0;
    for (PyThreadState *at = PyInterpreterState_ThreadHead(PyInterpreterState_Main()); at != NULL;
         at = PyThreadState_Next(at))
        threads++;
    metrics_set(METRIC_THREAD_COUNT, NULL, threads);
}

static int64_t item(PyObject *info, const char *name) {
    PyObject *value = PyDict_Check(info) ? PyDict_GetItemString(info, name) : NULL;
    int64_t number = value != NULL && PyLong_Check(value) ? PyLong_AsLongLong(value) : 0;
    PyErr_Clear();
    return number;
}

// gc_callback(phase, info): an entry of gc.callbacks.
PyObject *runtime_gc_callback_py(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    (void)module;
    if (count != 2 || !PyUnicode_Check(args[0]))
        Py_RETURN_NONE;
    if (PyUnicode_CompareWithASCIIString(args[0], "start") == 0) {
        gc_began_ns = clock_mono_ns();
        Py_RETURN_NONE;
    }
    struct metric_label generation = {NULL, 0, item(args[1], "generation")};
    if (gc_began_ns != 0)
        metrics_record(METRIC_GC_PAUSE, &generation, (double)(clock_mono_ns() - gc_began_ns) / 1e9);
    gc_began_ns = 0;
    metrics_add(METRIC_GC_COLLECTIONS, &generation, 1);
    metrics_add(METRIC_GC_COLLECTED_OBJECTS, &generation, item(args[1], "collected"));
    metrics_add(METRIC_GC_UNCOLLECTABLE, &generation, item(args[1], "uncollectable"));
    count_threads();
    uint64_t now_ns = clock_mono_ns();
    core_metrics_tick(now_ns);
    guard_tick(now_ns);
    Py_RETURN_NONE;
}

// eventloop_lag(seconds): one measurement.
PyObject *runtime_eventloop_lag_py(PyObject *module, PyObject *seconds) {
    (void)module;
    double value = PyFloat_AsDouble(seconds);
    if (value == -1.0 && PyErr_Occurred())
        return NULL;
    metrics_record(METRIC_EVENTLOOP_LAG, NULL, value);
    core_metrics_tick(clock_mono_ns());
    Py_RETURN_NONE;
}

// set_tick(callable | None): called without arguments at most once a second, on the thread that begins a span.
PyObject *runtime_set_tick_py(PyObject *module, PyObject *callable) {
    (void)module;
    PyObject *py_old = tick;
    tick = callable == Py_None ? NULL : Py_NewRef(callable);
    Py_XDECREF(py_old);
    Py_RETURN_NONE;
}

void runtime_span_began(uint64_t start_ns) {
    uint64_t now_s = start_ns / 1000000000u;
    if (now_s == ticked_s || now_s == 0 || !core_running()) // 0: not sampled
        return;
    ticked_s = now_s;
    count_threads();
    guard_tick(clock_mono_ns());
    if (tick == NULL || hook_busy > 0)
        return;
    PyThreadState *thread = hook_enter();
    PyObject *py_done = PyObject_CallNoArgs(tick);
    hook_leave(thread);
    if (py_done == NULL)
        hook_error(tick);
    Py_XDECREF(py_done);
}
