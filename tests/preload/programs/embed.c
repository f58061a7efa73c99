// SPDX-License-Identifier: Apache-2.0
// embed: a program with an interpreter in it:  embed HOW CODE…   runs each CODE in one, by HOW:
// once, thrice (initialised and finalised each time), inittab (with a built-in module of its own), sub (in the main
// interpreter and in two sub-interpreters), own (the same, each with its own GIL), main (as `python -c CODE`, then again).
#include <Python.h>

static struct PyModuleDef own = {PyModuleDef_HEAD_INIT, .m_name = "own", .m_size = 0};

static PyObject *own_init(void) {
    return PyModuleDef_Init(&own);
}

static int once(const char *code) {
    Py_Initialize();
    int failed = PyRun_SimpleString(code);
    return failed | Py_FinalizeEx();
}

static int in_sub_interpreter(const char *code, int own_gil) {
    PyThreadState *main_state = PyThreadState_Get(), *state = NULL;
    if (own_gil) {
#if PY_VERSION_HEX >= 0x030C0000
        PyInterpreterConfig config = {.check_multi_interp_extensions = 1, .gil = PyInterpreterConfig_OWN_GIL};
        if (PyStatus_Exception(Py_NewInterpreterFromConfig(&state, &config)))
            return 1;
#else
        return 0;
#endif
    } else {
        state = Py_NewInterpreter();
    }
    if (state == NULL)
        return 1;
    int failed = PyRun_SimpleString(code);
    Py_EndInterpreter(state);
    PyThreadState_Swap(main_state);
    return failed;
}

int main(int argc, char **argv) {
    const char *how = argc > 2 ? argv[1] : "";
    int failed = 0;
    if (strcmp(how, "inittab") == 0)
        failed = PyImport_AppendInittab("own", own_init);
    for (int i = 2; i < argc; i++) {
        if (strcmp(how, "sub") == 0 || strcmp(how, "own") == 0) {
            Py_Initialize();
            failed |= PyRun_SimpleString(argv[i]);
            for (int round = 0; round < 2; round++)
                failed |= in_sub_interpreter(argv[i], *how == 'o');
            failed |= Py_FinalizeEx();
        } else if (strcmp(how, "main") == 0) {
            char *words[] = {argv[0], "-c", argv[i], NULL};
            failed |= Py_BytesMain(3, words) | once(argv[i]);
        } else {
            for (int round = 0; round < (strcmp(how, "thrice") == 0 ? 3 : 1); round++)
                failed |= once(argv[i]);
        }
    }
    printf("the end %d\n", failed);
    return failed ? 1 : 5;
}
