// SPDX-License-Identifier: Apache-2.0
// module_value: Python objects as values of attributes: what OTLP knows as it is, anything else as a number or its
// text.
//
// str, bool, int, float and bytes (and their subclasses) are read without running code of the application. An object
// that counts as a number (__index__, __float__: numpy's scalars) becomes one, any other its str(): that code runs
// once, with hooks off, and may do anything: raise, open spans, change or end the span at hand, or the mapping it came
// from. Sequences are lists, tuples and ranges, of VALUE_ITEMS elements at most and not nested; iterators are never
// consumed. Runs with the GIL; leaves no exception behind.
#include "module.h"
#include <string.h>

#define CACHED_CHARS 4096     // of longer texts CPython shall not keep a second form for us
#define KEPT_LIMIT (1u << 18) // bytes or characters; no span has room for more

// The text of a str, cut to what can be kept of it. *py_keep as in value_simple.
static void set_text(PyObject *string, struct span_value *out, PyObject **py_keep) {
    PyObject *py_short = NULL;
    Py_ssize_t chars = PyUnicode_GET_LENGTH(string), bytes = 0;
    *out = (struct span_value){.type = SPAN_STRING, .text = ""};
    if (!PyUnicode_IS_ASCII(string) && chars > CACHED_CHARS) {
        if (chars > KEPT_LIMIT) // one character more than fits, so that it isn't taken whole
            string = py_short = PyUnicode_Substring(string, 0, KEPT_LIMIT + 1);
        *py_keep = string != NULL ? PyUnicode_AsEncodedString(string, "utf-8", "replace") : NULL;
        Py_XDECREF(py_short);
    } else if ((out->text = PyUnicode_AsUTF8AndSize(string, &bytes)) == NULL) {
        PyErr_Clear();
        *py_keep = PyUnicode_AsEncodedString(string, "utf-8", "replace"); // lone surrogates: '?'
    }
    if (*py_keep != NULL) {
        out->text = PyBytes_AS_STRING(*py_keep);
        bytes = PyBytes_GET_SIZE(*py_keep);
    }
    if (out->text == NULL)
        out->text = "";
    PyErr_Clear();
    out->bytes = bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes;
}

bool value_simple(PyObject *object, struct span_value *out, PyObject **py_keep) {
    if (PyUnicode_Check(object)) {
        set_text(object, out, py_keep);
    } else if (PyBool_Check(object)) {
        *out = (struct span_value){.type = SPAN_BOOL, .integer = object == Py_True};
    } else if (PyLong_Check(object)) {
        int overflow = 0;
        long long integer = PyLong_AsLongLongAndOverflow(object, &overflow);
        *out = (struct span_value){.type = SPAN_INT, .integer = integer};
        if (overflow != 0) { // beyond OTLP's int64: as text
            *py_keep = PyLong_Type.tp_repr(object);
            if (*py_keep == NULL) { // more digits than CPython converts
                PyErr_Clear();
                return false;
            }
            set_text(*py_keep, out, &(PyObject *){NULL}); // ASCII
        }
    } else if (PyFloat_Check(object)) {
        *out = (struct span_value){.type = SPAN_DOUBLE, .real = PyFloat_AS_DOUBLE(object)};
    } else if (PyBytes_Check(object)) {
        Py_ssize_t bytes = PyBytes_GET_SIZE(object);
        *out = (struct span_value){.type = SPAN_BYTES, .bytes = (uint32_t)(bytes > UINT32_MAX ? UINT32_MAX : bytes)};
        out->text = PyBytes_AS_STRING(object);
    } else {
        return false;
    }
    return true;
}

// The bytes of a bytearray or a memoryview; NULL: it's released, or not in one piece.
static PyObject *bytes_of(PyObject *object) {
    Py_buffer view;
    if (PyObject_GetBuffer(object, &view, PyBUF_SIMPLE) < 0) {
        PyErr_Clear();
        return NULL;
    }
    Py_ssize_t kept = view.len < KEPT_LIMIT ? view.len : KEPT_LIMIT + 1;
    PyObject *py_bytes = PyBytes_FromStringAndSize(view.buf, kept);
    PyBuffer_Release(&view);
    return py_bytes;
}

// The object as an int, a float or a bool, if it is such a scalar. NULL: it isn't, and no exception.
static PyObject *number_of(PyObject *object) {
    const PyNumberMethods *number = Py_TYPE(object)->tp_as_number;
    const char *name = Py_TYPE(object)->tp_name;
    PyObject *py_number = NULL;
    if (number == NULL || strcmp(name, "decimal.Decimal") == 0) // a decimal's text is exact
        return NULL;
    if (strcmp(name, "numpy.bool") == 0 || strcmp(name, "numpy.bool_") == 0) {
        int is_true = PyObject_IsTrue(object);
        py_number = is_true < 0 ? NULL : PyBool_FromLong(is_true);
    } else if (number->nb_index != NULL) {
        py_number = PyNumber_Index(object);
    }
    exception_clear();
    if (py_number == NULL && number->nb_float != NULL) {
        py_number = PyNumber_Float(object);
        exception_clear();
    }
    return py_number;
}

PyObject *value_plain(PyObject *object) {
    PyObject *py_plain = NULL;
    if (PyByteArray_Check(object) || PyMemoryView_Check(object))
        py_plain = bytes_of(object);
    hook_busy++;
    if (py_plain == NULL && !PyLong_Check(object))
        py_plain = number_of(object);
    if (py_plain == NULL)
        py_plain = PyObject_Str(object);
    hook_busy--;
    exception_clear();
    return py_plain;
}

// A list or tuple of its own with the first elements, that nobody else can change. NULL: no sequence.
static PyObject *first_of(PyObject *object) {
    PyObject *py_items = NULL;
    if (PyList_Check(object))
        py_items = PyList_GetSlice(object, 0, VALUE_ITEMS);
    else if (PyTuple_Check(object))
        py_items = PyTuple_GetSlice(object, 0, VALUE_ITEMS);
    else if (Py_IS_TYPE(object, &PyRange_Type)) {
        PyObject *py_range = PySequence_GetSlice(object, 0, VALUE_ITEMS);
        py_items = py_range != NULL ? PySequence_List(py_range) : NULL;
        Py_XDECREF(py_range);
    }
    if (py_items == NULL)
        PyErr_Clear();
    return py_items;
}

bool value_sequence(PyObject *object, struct value_items *out) {
    *out = (struct value_items){.py_items = first_of(object)};
    if (out->py_items == NULL)
        return false;
    Py_ssize_t count = PySequence_Fast_GET_SIZE(out->py_items);
    out->values = PyMem_Calloc((size_t)count + 1, sizeof *out->values);
    out->py_keep = PyMem_Calloc((size_t)count * 2 + 1, sizeof *out->py_keep);
    if (out->values == NULL || out->py_keep == NULL) {
        value_release(out);
        return false;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *item = PySequence_Fast_GET_ITEM(out->py_items, i), **py_keep = &out->py_keep[out->keep_count];
        struct span_value *value = &out->values[i];
        *value = (struct span_value){.type = SPAN_EMPTY}; // None, and what has no text
        out->count = (uint32_t)i + 1;
        if (item == Py_None || value_simple(item, value, py_keep)) {
            out->keep_count += *py_keep != NULL;
        } else if ((*py_keep = value_plain(item)) != NULL) {
            out->keep_count++;
            if (value_simple(py_keep[0], value, &py_keep[1]))
                out->keep_count += py_keep[1] != NULL;
        }
    }
    return true;
}

void value_release(struct value_items *items) {
    for (uint32_t i = 0; i < items->keep_count; i++)
        Py_DECREF(items->py_keep[i]);
    PyMem_Free(items->py_keep);
    PyMem_Free(items->values);
    Py_XDECREF(items->py_items);
    *items = (struct value_items){0};
}
