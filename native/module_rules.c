// SPDX-License-Identifier: Apache-2.0
// module_rules: rules.c for Python: boot asks it on the road by PYTHONPATH, `pillion why` for any process.
#include "module.h"
#include "rules.h"

// The bytes of a sequence as an array ended by NULL, borrowed from it; NULL with an exception.
static const char **texts_of(PyObject *sequence, Py_ssize_t *count) {
    *count = PyList_Size(sequence);
    const char **texts = *count < 0 ? NULL : PyMem_Calloc((size_t)*count + 1, sizeof *texts);
    if (*count >= 0 && texts == NULL)
        PyErr_NoMemory();
    for (Py_ssize_t at = 0; texts != NULL && at < *count; at++) {
        texts[at] = PyBytes_AsString(PyList_GetItem(sequence, at));
        if (texts[at] == NULL) {
            PyMem_Free((void *)texts);
            return NULL;
        }
    }
    return texts;
}

PyObject *rules_py(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *arguments, *environment, *py_result = NULL;
    struct subject subject = {0};
    struct verdict verdict;
    unsigned uid;
    if (!PyArg_ParseTuple(args, "yO!O!Iy:rules", &subject.exe, &PyList_Type, &arguments, &PyList_Type, &environment,
                          &uid, &subject.root))
        return NULL;
    Py_ssize_t argc = 0, variables = 0;
    const char **argv = texts_of(arguments, &argc), **envp = argv != NULL ? texts_of(environment, &variables) : NULL;
    if (envp != NULL) {
        subject.argv = argv;
        subject.argc = (int)argc;
        subject.envp = envp;
        subject.uid = uid;
        rules_decide(&subject, &verdict);
        py_result = Py_BuildValue("(NsNN)", PyBool_FromLong(verdict.deny), verdict.code,
                                  PyUnicode_DecodeUTF8(verdict.reason, (Py_ssize_t)strlen(verdict.reason), "replace"),
                                  PyUnicode_DecodeUTF8(verdict.notes, (Py_ssize_t)strlen(verdict.notes), "replace"));
    }
    PyMem_Free((void *)argv);
    PyMem_Free((void *)envp);
    return py_result;
}
