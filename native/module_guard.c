// SPDX-License-Identifier: Apache-2.0
// module_guard: the end of probation (probation.c) for a process that has worked for a while: its file is taken away,
// so that whatever ends it later is no crash at its start. Looked at when something happens anyway: no timer, no
// thread.
#include "clock.h"
#include "module.h"
#include <string.h>
#include <unistd.h>

#define ENOUGH_NS (10 * (uint64_t)1000000000)

static char path[4096]; // of this process's file; empty: there's none, or it is gone
static uint64_t since_ns;
static pid_t owner; // not what it forks

void guard_tick(uint64_t now_mono_ns) {
    if (path[0] == 0 || now_mono_ns - since_ns < ENOUGH_NS)
        return;
    if (owner == getpid())
        unlink(path);
    path[0] = 0;
}

// guarded(path): watch over this file, which exists.
PyObject *guard_watch_py(PyObject *module, PyObject *py_path) {
    (void)module;
    char *text;
    Py_ssize_t bytes;
    if (PyBytes_AsStringAndSize(py_path, &text, &bytes) < 0)
        return NULL;
    if ((size_t)bytes < sizeof path) {
        memcpy(path, text, (size_t)bytes + 1);
        since_ns = clock_mono_ns();
        owner = getpid();
    }
    Py_RETURN_NONE;
}
