// SPDX-License-Identifier: Apache-2.0
// module_sql: sql.c behind a cache. An application has few query texts and runs each of them often.
//
// The cache holds CACHE_ENTRIES texts of at most CACHE_CHARS characters, for parameterised queries and for the others;
// when it's full it begins anew, so texts with literals in them cannot make it grow.
#include "module.h"
#include "sql.h"

#define CACHE_ENTRIES 1024
#define CACHE_CHARS 4096

static PyObject *cache[2]; // Owned dicts: text -> result

static PyObject *text_or_none(const char *text, size_t bytes) {
    return bytes > 0 ? PyUnicode_DecodeUTF8(text, (Py_ssize_t)bytes, "replace") : Py_NewRef(Py_None);
}

static PyObject *describe(PyObject *query, bool parameterised) {
    struct sql_description *out = PyMem_Malloc(sizeof *out);
    PyObject *py_utf8 = PyUnicode_AsEncodedString(query, "utf-8", "replace"), *py_result = NULL;
    if (out != NULL && py_utf8 != NULL) {
        sql_describe(PyBytes_AS_STRING(py_utf8), (size_t)PyBytes_GET_SIZE(py_utf8), parameterised, out);
        py_result = Py_BuildValue("(NNNN)", PyUnicode_DecodeUTF8(out->text, out->text_bytes, "replace"),
                                  text_or_none(out->summary, out->summary_bytes),
                                  text_or_none(out->operation, out->operation_bytes),
                                  text_or_none(out->collection, out->collection_bytes));
    }
    Py_XDECREF(py_utf8);
    PyMem_Free(out);
    return py_result;
}

PyObject *sql_py(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    (void)module;
    if (count != 2 || !PyUnicode_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError, "sql(text: str, parameterised: bool)");
        return NULL;
    }
    int parameterised = PyObject_IsTrue(args[1]);
    if (parameterised < 0)
        return NULL;
    if (cache[parameterised] == NULL && (cache[parameterised] = PyDict_New()) == NULL)
        return NULL;
    bool cached = PyUnicode_CheckExact(args[0]) && PyUnicode_GET_LENGTH(args[0]) <= CACHE_CHARS;
    PyObject *known = cached ? PyDict_GetItemWithError(cache[parameterised], args[0]) : NULL;
    if (known != NULL)
        return Py_NewRef(known);
    PyErr_Clear();
    PyObject *py_result = describe(args[0], parameterised != 0);
    if (py_result == NULL || !cached)
        return py_result;
    if (PyDict_Size(cache[parameterised]) >= CACHE_ENTRIES)
        PyDict_Clear(cache[parameterised]);
    if (PyDict_SetItem(cache[parameterised], args[0], py_result) < 0)
        PyErr_Clear();
    return py_result;
}
