// SPDX-License-Identifier: Apache-2.0
// module_exception: an exception onto a span: status Error, error.type, and an event with type, message and stack.
//
// The stack is written from the traceback's frames alone (file, line, function): reading source lines would be file
// system work on the application's thread. Bounded in frames and bytes. str(exception) is the application's code: it
// runs once, guarded. Of a database's error only the first line leaves the process. Attribute names: semantic
// conventions, "Recording errors" and "Exceptions".
#include "module.h"
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STACK_BYTES 8192
#define STACK_FRAMES 64
#define CHAIN_LENGTH 4

struct stack_text {
    char bytes[STACK_BYTES];
    size_t used;
};

static void stack_add(struct stack_text *stack, const char *text) {
    size_t bytes = strlen(text);
    if (bytes > STACK_BYTES - stack->used)
        bytes = STACK_BYTES - stack->used;
    while (bytes > 0 && bytes < strlen(text) && ((unsigned char)text[bytes] & 0xc0) == 0x80)
        bytes--; // never cut inside a character
    memcpy(stack->bytes + stack->used, text, bytes);
    stack->used += bytes;
}

static const char *utf8_or(PyObject *string, const char *otherwise) {
    const char *text = string != NULL && PyUnicode_Check(string) ? PyUnicode_AsUTF8(string) : NULL;
    if (text == NULL)
        PyErr_Clear();
    return text != NULL ? text : otherwise;
}

// "module.QualName", without the module for builtins.
PyObject *exception_type_name(PyTypeObject *type) {
    PyObject *py_module = PyObject_GetAttrString((PyObject *)type, "__module__");
    PyObject *py_qualname = PyObject_GetAttrString((PyObject *)type, "__qualname__");
    PyErr_Clear();
    const char *module = utf8_or(py_module, "builtins");
    const char *name = utf8_or(py_qualname, type->tp_name);
    PyObject *py_name =
        strcmp(module, "builtins") == 0 ? PyUnicode_FromString(name) : PyUnicode_FromFormat("%s.%s", module, name);
    PyErr_Clear();
    Py_XDECREF(py_module);
    Py_XDECREF(py_qualname);
    return py_name;
}

// Runs in the main thread as soon as the application goes on.
static int raise_late(void *exception) {
    compat_give_exception(exception);
    return -1;
}

bool exception_delay(PyObject *exception) {
    if (exception == NULL || PyErr_GivenExceptionMatches(exception, PyExc_Exception))
        return false;
    // Raised in the main thread by a signal handler, elsewhere by another thread (PyThreadState_SetAsyncExc).
    if (syscall(SYS_gettid) != getpid()) {
        (void)PyThreadState_SetAsyncExc(PyThread_get_thread_ident(), (PyObject *)Py_TYPE(exception));
        Py_DECREF(exception);
    } else if (Py_AddPendingCall(raise_late, exception) != 0) {
        Py_DECREF(exception);
    }
    return true;
}

void exception_clear(void) {
    if (PyErr_Occurred() == NULL)
        return;
    PyObject *py_exception = compat_take_exception();
    if (!exception_delay(py_exception))
        Py_XDECREF(py_exception);
}

// Errors whose first line says what is wrong, and the lines below quote the statement, its parameters or a row.
static const char *const QUOTING[] = {
    "psycopg.Error",
    "psycopg2.Error",
    "django.db.utils.Error",
    "sqlalchemy.exc.StatementError",
};

static bool quotes_statement(PyTypeObject *type) {
    for (Py_ssize_t at = 0; type->tp_mro != NULL && at < PyTuple_GET_SIZE(type->tp_mro); at++) {
        PyTypeObject *base = (PyTypeObject *)PyTuple_GET_ITEM(type->tp_mro, at);
        if (!PyType_HasFeature(base, Py_TPFLAGS_HEAPTYPE) && strchr(base->tp_name, '.') == NULL)
            continue; // a builtin
        PyObject *py_name = exception_type_name(base);
        const char *name = utf8_or(py_name, "");
        bool found = false;
        for (size_t number = 0; number < sizeof QUOTING / sizeof *QUOTING; number++)
            found = found || strcmp(name, QUOTING[number]) == 0;
        Py_XDECREF(py_name);
        if (found)
            return true;
    }
    return false;
}

static PyObject *message_of(PyObject *exception) {
    PyThreadState *thread = hook_enter();
    PyObject *py_message = PyObject_Str(exception);
    hook_leave(thread);
    if (py_message == NULL) {
        exception_clear();
        return NULL;
    }
    Py_ssize_t end = PyUnicode_FindChar(py_message, '\n', 0, PyUnicode_GET_LENGTH(py_message), 1);
    if (end >= 0 && quotes_statement(Py_TYPE(exception))) {
        PyObject *py_first = PyUnicode_Substring(py_message, 0, end);
        Py_DECREF(py_message);
        py_message = py_first;
    }
    PyErr_Clear();
    return py_message;
}

static void stack_add_traceback(struct stack_text *stack, PyObject *exception) {
    PyObject *py_traceback = PyException_GetTraceback(exception);
    int frames = 0;
    for (PyTracebackObject *at = (PyTracebackObject *)py_traceback; at != NULL && PyTraceBack_Check(at);
         at = at->tb_next) {
        if (++frames > STACK_FRAMES) {
            stack_add(stack, "  ...\n");
            break;
        }
        PyCodeObject *py_code = PyFrame_GetCodeOf(at->tb_frame);
        int line = at->tb_lineno > 0 ? at->tb_lineno : PyCode_Addr2Line(py_code, at->tb_lasti);
        char number[32];
        snprintf(number, sizeof number, "\", line %d, in ", line);
        stack_add(stack, "  File \"");
        stack_add(stack, utf8_or(py_code->co_filename, "?"));
        stack_add(stack, number);
        stack_add(stack, utf8_or(py_code->co_name, "?"));
        stack_add(stack, "\n");
        Py_DECREF(py_code);
    }
    Py_XDECREF(py_traceback);
}

// `known`: the exception's message, or NULL where nobody has asked for it yet.
static void stack_add_exception(struct stack_text *stack, PyObject *exception, PyObject *known, int depth) {
    PyObject *py_cause = PyException_GetCause(exception);
    const char *between = "\nThe above exception was the direct cause of the following exception:\n\n";
    if (py_cause == NULL) {
        py_cause = PyException_GetContext(exception);
        between = "\nDuring handling of the above exception, another exception occurred:\n\n";
    }
    if (py_cause != NULL && depth < CHAIN_LENGTH) {
        stack_add_exception(stack, py_cause, NULL, depth + 1);
        stack_add(stack, between);
    }
    Py_XDECREF(py_cause);
    stack_add(stack, "Traceback (most recent call last):\n");
    stack_add_traceback(stack, exception);
    PyObject *py_name = exception_type_name(Py_TYPE(exception)),
             *py_message = known != NULL ? Py_NewRef(known) : message_of(exception);
    stack_add(stack, utf8_or(py_name, "?"));
    const char *message = utf8_or(py_message, "");
    if (message[0] != 0) {
        stack_add(stack, ": ");
        stack_add(stack, message);
    }
    stack_add(stack, "\n");
    Py_XDECREF(py_name);
    Py_XDECREF(py_message);
}

static void set_last_text(struct span *span, const char *key, const char *text, size_t bytes) {
    struct span_value value = {.type = SPAN_STRING, .bytes = (uint32_t)bytes, .text = text};
    span_set_last(span, text_static(key), &value);
}

void exception_record(SpanObject *object, PyObject *exception, bool set_status) {
    struct span *span = &object->span;
    if (object->failed || !PyExceptionInstance_Check(exception))
        return;
    if (set_status && red_object_is(object)) {
        red_object_error(object, exception);
        object->failed = !span->recording;
    }
    if (!span->recording)
        return;
    PyObject *py_name = exception_type_name(Py_TYPE(exception)), *py_message = message_of(exception);
    const char *name = utf8_or(py_name, "?"), *message = utf8_or(py_message, "");
    if (set_status) {
        object->failed = true;
        span_set_status(span, SPAN_STATUS_ERROR, message, strlen(message));
        text_set_string(span, "error.type", name, (Py_ssize_t)strlen(name));
    }
    struct stack_text *stack = PyMem_Malloc(sizeof *stack);
    if (stack != NULL) { // before the event, since messages of causes are the application's code
        stack->used = 0;
        stack_add_exception(stack, exception, py_message, 0);
    }
    span_event(span, text_static("exception"), 0);
    set_last_text(span, "exception.type", name, strlen(name));
    set_last_text(span, "exception.message", message, strlen(message));
    if (stack != NULL) {
        set_last_text(span, "exception.stacktrace", stack->bytes, stack->used);
    }
    PyMem_Free(stack);
    Py_XDECREF(py_name);
    Py_XDECREF(py_message);
    PyErr_Clear();
}
