// SPDX-License-Identifier: Apache-2.0
// preload_python: a built-in module named sitecustomize, entered into the interpreter's table before it is initialised.
// `site` imports sitecustomize in every form of start but -S, and built-in modules are found before sys.path: so this
// one is, under -I and -E, in virtual environments, zipapps and embedders alike. Its body runs once, with the GIL,
// before the application: it takes the name back, so that nothing remains to be seen, starts pillion, and imports the
// sitecustomize that the application would have had, whose end, good or bad, is the end of the import. Errors of ours
// are dropped.
#include "preload_python.h"
#include "bare.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>

typedef struct object PyObject;

struct inittab {
    const char *name;
    PyObject *(*init)(void);
};

struct slot {
    int kind;
    int (*exec)(PyObject *);
};

// PyModuleDef, as the stable ABI has it since 3.5; builds with Py_TRACE_REFS, which has no ABI in common, stand down.
struct definition {
    intptr_t references;
    void *type;
    PyObject *(*init)(void);
    intptr_t index;
    PyObject *copy;
    const char *name;
    const char *doc;
    intptr_t size;
    void *methods;
    struct slot *slots;
    void *traverse, *clear, *free;
};

#define WEAK __attribute__((weak))
extern struct inittab *PyImport_Inittab WEAK;
const char *Py_GetVersion(void) WEAK;
PyObject *PyModuleDef_Init(struct definition *) WEAK;
PyObject *PyModule_GetDict(PyObject *) WEAK;
int PyModule_AddStringConstant(PyObject *, const char *, const char *) WEAK;
PyObject *PyRun_StringFlags(const char *, int, PyObject *, PyObject *, void *) WEAK;
PyObject *PyImport_ImportModule(const char *) WEAK;
void PyErr_Clear(void) WEAK;
void Py_DecRef(PyObject *) WEAK;
void _Py_AddToAllObjects(PyObject *, int) WEAK; // there in builds with Py_TRACE_REFS alone

enum { FILE_INPUT = 257, EXEC_SLOT = 2, TABLE_ROWS = 1024 };

// Lives as long as the process.
struct kept {
    struct inittab table[TABLE_ROWS];
    char root[4096];
};

static struct kept *kept;
static struct inittab *before; // the interpreter's own table
static char name[] = "sitecustomize";

// The folder on sys.path for the one import; what start.boot does to sys.path is put back too.
static const char start[] = "import sys\n"
                            "path = sys.path[:]\n"
                            "sys.path.insert(0, root)\n"
                            "try:\n"
                            "    from pillion import start\n"
                            "    sys.path[:] = path\n"
                            "    start.boot('preload', root)\n"
                            "finally:\n"
                            "    sys.path[:] = path\n";
static const char hide[] = "import sys\n"
                           "sys.modules.pop('sitecustomize', None)\n"
                           "sys.builtin_module_names = tuple(\n"
                           "    name for name in sys.builtin_module_names if name != 'sitecustomize')\n";

static void run(const char *code, PyObject *names) {
    PyObject *result = PyRun_StringFlags(code, FILE_INPUT, names, names, NULL);
    if (result == NULL)
        PyErr_Clear(); // a SystemExit or KeyboardInterrupt as well: it was raised by us
    else
        Py_DecRef(result);
}

// The module's body. Its end is the end of `import sitecustomize`.
static int body(PyObject *module) {
    uint64_t interrupt = 1ull << (SIGINT - 1), mask; // a Ctrl-C is the application's, and waits
    if (PyImport_Inittab == kept->table)
        PyImport_Inittab = before;
    // Since 3.12 the interpreter has a copy of the table: there this row becomes a second one of a name that is found
    // before it, so that it is never met again, in sub-interpreters too.
    for (size_t i = 0; i < sizeof "sys"; i++)
        name[i] = "sys"[i];
    PyObject *names = PyModule_GetDict(module);
    bool masked = bare_mask(SIG_BLOCK, &interrupt, &mask) == 0;
    run(hide, names);
    if (PyModule_AddStringConstant(module, "root", kept->root) == 0)
        run(start, names);
    else
        PyErr_Clear();
    if (masked)
        bare_mask(SIG_SETMASK, &mask, NULL);
    PyObject *own = PyImport_ImportModule("sitecustomize");
    if (own == NULL)
        return -1;
    Py_DecRef(own);
    return 0;
}

static struct slot slots[] = {{EXEC_SLOT, body}, {0, NULL}};
static struct definition definition = {.references = 1, .name = "sitecustomize", .slots = slots};

static PyObject *make(void) {
    return PyModuleDef_Init(&definition);
}

bool python_linked(void) {
    return Py_GetVersion != NULL;
}

const char *python_version(void) {
    return Py_GetVersion();
}

bool python_known(const char *version) {
    const char *at = version;
    uint64_t major = bare_digits(&at), minor = *at == '.' ? (at++, bare_digits(&at)) : 0;
    return major == 3 && minor >= 8 && minor <= 15 && &PyImport_Inittab != NULL && PyModuleDef_Init != NULL &&
           PyModule_GetDict != NULL && PyModule_AddStringConstant != NULL && PyRun_StringFlags != NULL &&
           PyImport_ImportModule != NULL && PyErr_Clear != NULL && Py_DecRef != NULL && _Py_AddToAllObjects == NULL;
}

bool python_free_threaded(void) {
    return bare_find(Py_GetVersion(), "free-threading") != NULL;
}

bool python_expect(const char *root) {
    size_t rows = 0;
    while (PyImport_Inittab[rows].name != NULL)
        rows++;
    if (rows + 2 > TABLE_ROWS)
        return false;
    kept = bare_map(sizeof *kept, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    if (kept == NULL)
        return false;
    struct bare_text text;
    bare_text(&text, kept->root, sizeof kept->root);
    bare_add(&text, root);
    for (size_t i = 0; i < rows; i++)
        kept->table[i] = PyImport_Inittab[i];
    kept->table[rows] = (struct inittab){name, make};
    before = PyImport_Inittab;
    PyImport_Inittab = kept->table;
    return true;
}
