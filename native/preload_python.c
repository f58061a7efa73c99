// SPDX-License-Identifier: Apache-2.0
// preload_python: a built-in module named sitecustomize, entered into the interpreter's table before it is initialised.
// `site` imports sitecustomize in every form of start but -S, and built-in modules are found before sys.path: so this
// one is, under -I and -E, in virtual environments, zipapps and embedders alike. Its body runs once, with the GIL,
// before the application: it takes the name back, so that nothing remains to be seen, starts pillion, and imports the
// sitecustomize that the application would have had, whose end, good or bad, is the end of the import. Errors of ours
// are dropped.
#include "preload_python.h"
#include "bare.h"
#include "preload_symbol.h"
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

#pragma weak Py_GetVersion
const char *Py_GetVersion(void);

// What is needed of CPython, in the order of `names`. All of it is there, or dlerror() would tell of us.
static union {
    struct {
        struct inittab **table;
        PyObject *(*define)(struct definition *);
        PyObject *(*names_of)(PyObject *module);
        int (*add_text)(PyObject *module, const char *name, const char *text);
        PyObject *(*run)(const char *code, int start, PyObject *globals, PyObject *locals, void *flags);
        PyObject *(*import)(const char *name);
        void (*drop_error)(void);
        void (*release)(PyObject *);
        void *create; // of another name in builds with Py_TRACE_REFS, whose objects begin otherwise
    };
    void *all[9];
} api;
static const char names[] = "PyImport_Inittab\0PyModuleDef_Init\0PyModule_GetDict\0PyModule_AddStringConstant\0"
                            "PyRun_StringFlags\0PyImport_ImportModule\0PyErr_Clear\0Py_DecRef\0PyModule_Create2\0";

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
// One entry alone: another library's row of that name, or the application's, is the next to be found.
static const char hide[] = "import sys\n"
                           "sys.modules.pop('sitecustomize', None)\n"
                           "names = list(sys.builtin_module_names)\n"
                           "names.remove('sitecustomize')\n"
                           "sys.builtin_module_names = tuple(names)\n";

static void run(const char *code, PyObject *globals) {
    PyObject *result = api.run(code, FILE_INPUT, globals, globals, NULL);
    if (result == NULL)
        api.drop_error(); // a SystemExit or KeyboardInterrupt as well: it was raised by us
    else
        api.release(result);
}

// The module's body. Its end is the end of `import sitecustomize`.
static int body(PyObject *module) {
    uint64_t interrupt = 1ull << (SIGINT - 1), mask; // a Ctrl-C is the application's, and waits
    if (*api.table == kept->table)
        *api.table = before;
    // Since 3.12 the interpreter has a copy of the table: there this row becomes a second one of a name that is found
    // before it, so that it is never met again. What remains to be seen, in sys.builtin_module_names of
    // sub-interpreters alone: "sys" twice since 3.12, and in 3.8 our name, since that copies sys as it was before site
    // was imported.
    for (size_t i = 0; i < sizeof "sys"; i++)
        name[i] = "sys"[i];
    PyObject *globals = api.names_of(module);
    bool masked = bare_mask(SIG_BLOCK, &interrupt, &mask) == 0;
    run(hide, globals);
    if (api.add_text(module, "root", kept->root) == 0)
        run(start, globals);
    else
        api.drop_error();
    if (masked)
        bare_mask(SIG_SETMASK, &mask, NULL);
    PyObject *own = api.import("sitecustomize");
    if (own == NULL)
        return -1;
    api.release(own);
    return 0;
}

static struct slot slots[] = {{EXEC_SLOT, body}, {0, NULL}};
static struct definition definition = {.references = 1, .name = "sitecustomize", .slots = slots};

static PyObject *make(void) {
    return api.define(&definition);
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
    return major == 3 && minor >= 8 && minor <= 15;
}

bool python_usable(void) {
    const char *next = names;
    for (size_t i = 0; i < sizeof api.all / sizeof *api.all; i++, next += bare_length(next) + 1)
        if ((api.all[i] = preload_symbol(next)) == NULL)
            return false;
    return true;
}

bool python_free_threaded(void) {
    return bare_find(Py_GetVersion(), "free-threading") != NULL;
}

bool python_expect(const char *root) {
    size_t rows = 0;
    while ((*api.table)[rows].name != NULL)
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
        kept->table[i] = (*api.table)[i];
    kept->table[rows] = (struct inittab){name, make};
    before = *api.table;
    *api.table = kept->table;
    return true;
}
