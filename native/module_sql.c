// SPDX-License-Identifier: Apache-2.0
// module_sql: sql.c behind a cache. An application has few query texts and runs each of them often.
//
// The cache holds CACHE_ENTRIES texts of at most CACHE_CHARS characters, for parameterised queries and for the others;
// when it's full it begins anew, so texts with literals in them cannot make it grow. Queries is a hook's `describe`: it
// keeps whole descriptions in the same way.
#include "module.h"
#include "sql.h"
#include <stddef.h>

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

static bool may_be_kept(PyObject *text) {
    return PyUnicode_CheckExact(text) && PyUnicode_GET_LENGTH(text) <= CACHE_CHARS;
}

// What `known` (made when it's needed) has for this text; borrowed, or NULL.
static PyObject *known_get(PyObject **known, PyObject *text) {
    if (*known == NULL && (*known = PyDict_New()) == NULL)
        PyErr_Clear();
    return *known != NULL ? compat_dict_get(*known, text) : NULL;
}

static void known_put(PyObject *known, PyObject *text, PyObject *value) {
    if (known == NULL)
        return;
    if (PyDict_Size(known) >= CACHE_ENTRIES)
        PyDict_Clear(known);
    if (PyDict_SetItem(known, text, value) < 0)
        PyErr_Clear();
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
    bool cached = may_be_kept(args[0]);
    PyObject *known = cached ? known_get(&cache[parameterised], args[0]) : NULL;
    if (known != NULL)
        return Py_NewRef(known);
    PyObject *py_result = describe(args[0], parameterised != 0);
    if (py_result != NULL && cached)
        known_put(cache[parameterised], args[0], py_result);
    return py_result;
}

// --- Queries

struct place {
    Py_ssize_t index;
    PyObject *name; // Owned. NULL: there is no such argument
};

typedef struct {
    PyObject_HEAD PyObject *make; // Owned. callable(text, parameterised) -> description
    PyObject *known[2];           // Owned dicts or NULL: text -> description
    struct place text;
    struct place parameters;
    vectorcallfunc vectorcall;
} QueriesObject;

// Was anything passed beside the text? Asks nothing of objects that aren't Python's own.
static bool is_given(PyObject *parameters) {
    if (parameters == NULL || parameters == Py_None)
        return false;
    if (PyTuple_CheckExact(parameters) || PyList_CheckExact(parameters))
        return Py_SIZE(parameters) > 0;
    return !PyDict_CheckExact(parameters) || PyDict_Size(parameters) > 0;
}

static PyObject *queries_call(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *kwnames) {
    QueriesObject *queries = (QueriesObject *)self;
    if (PyVectorcall_NARGS(nargsf) != 1 || kwnames != NULL || !Py_IS_TYPE(args[0], &Call_Type)) {
        PyErr_SetString(PyExc_TypeError, "a description takes one Call");
        return NULL;
    }
    CallObject *call = (CallObject *)args[0];
    PyObject *text = call_argument(call, queries->text.index, queries->text.name);
    if (text == NULL || !PyUnicode_Check(text)) // the driver will say so
        Py_RETURN_NONE;
    bool given = queries->parameters.name != NULL &&
                 is_given(call_argument(call, queries->parameters.index, queries->parameters.name));
    bool kept = may_be_kept(text);
    PyObject *known = kept ? known_get(&queries->known[given], text) : NULL;
    if (known != NULL)
        return Py_NewRef(known);
    PyObject *py_description = PyObject_CallFunctionObjArgs(queries->make, text, given ? Py_True : Py_False, NULL);
    if (py_description != NULL && kept)
        known_put(queries->known[given], text, py_description);
    return py_description;
}

static PyObject *queries_create(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    (void)type;
    PyObject *make, *name, *parameters_name = NULL;
    Py_ssize_t index, parameters_index = 0;
    if (kwargs != NULL ||
        !PyArg_ParseTuple(args, "O(nU)|(nU):Queries", &make, &index, &name, &parameters_index, &parameters_name))
        return NULL;
    QueriesObject *queries = PyObject_New(QueriesObject, &Queries_Type);
    if (queries == NULL)
        return NULL;
    queries->make = Py_NewRef(make);
    queries->known[0] = queries->known[1] = NULL;
    queries->text = (struct place){index, Py_NewRef(name)};
    queries->parameters = (struct place){parameters_index, Py_XNewRef(parameters_name)};
    queries->vectorcall = queries_call;
    return (PyObject *)queries;
}

static void queries_dealloc(QueriesObject *queries) {
    Py_XDECREF(queries->make);
    Py_XDECREF(queries->known[0]);
    Py_XDECREF(queries->known[1]);
    Py_XDECREF(queries->text.name);
    Py_XDECREF(queries->parameters.name);
    PyObject_Free(queries);
}

PyTypeObject Queries_Type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "pillion._native.Queries",
    .tp_basicsize = sizeof(QueriesObject),
    .tp_dealloc = (destructor)queries_dealloc,
    .tp_vectorcall_offset = offsetof(QueriesObject, vectorcall),
    .tp_call = PyVectorcall_Call,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL,
    .tp_new = queries_create,
    .tp_doc = "Queries(make, (index, name of the text), (index, name of the parameters)): a hook's describe.",
};

int module_sql_init(PyObject *module) {
    if (PyType_Ready(&Queries_Type) < 0)
        return -1;
    Py_INCREF(&Queries_Type);
    return PyModule_AddObject(module, "Queries", (PyObject *)&Queries_Type);
}
