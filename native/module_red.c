// SPDX-License-Identifier: Apache-2.0
// module_red: which spans and calls are counted in the histograms of red.c, and with which attributes.
//
// A span that is counted has a note, sampled or not; whatever is set on the span that its metric wants too goes into
// the note. A hooked call in a trace that isn't sampled gets a span for that alone, unless its hook says that one
// argument tells everything (`measured`: its index and name): then the series is found by that text, and the call costs
// two looks at the clock. Runs with the GIL; leaves no exception behind.
#include "clock.h"
#include "module.h"

#define FREE_NOTES 16
#define KNOWN_TEXTS 1024 // of one wrapper; then it begins anew
#define KNOWN_CHARS 4096 // longer ones aren't kept

static PyObject *keys[RED_KEYS]; // Owned, interned
static PyObject *numbers;        // Owned. dict: key -> its enum red_key
static struct red_note *free_notes[FREE_NOTES];
static int free_count;

// The call without a span that this thread is inside of: its own calls to the same family count once. The addresses
// alone count; another greenlet's calls have another context.
static __thread struct {
    const void *context;
    const void *current;
    uint32_t family;
} inside;

enum red_metric red_metric_of(int kind, uint32_t family) {
    if (kind == SPAN_CLIENT)
        return family == FAMILY_HTTP ? RED_HTTP_CLIENT : family == FAMILY_DB ? RED_DB_CLIENT : RED_NONE;
    return kind == SPAN_SERVER && family == FAMILY_HTTP ? RED_HTTP_SERVER : RED_NONE;
}

static struct red_note *note_take(void) {
    return free_count > 0 ? free_notes[--free_count] : PyMem_Malloc(sizeof(struct red_note));
}

static void note_give(struct red_note *note) {
    if (free_count < FREE_NOTES)
        free_notes[free_count++] = note;
    else
        PyMem_Free(note);
}

// The note to add something to. NULL: no memory.
static struct red_note *note_of(SpanObject *object) {
    if (object->note == NULL && object->series != NULL && (object->note = note_take()) != NULL) {
        red_note_of(object->series, object->note);
        object->note->begin_ns = object->span.begin_mono_ns;
        object->series = NULL;
    }
    return object->note;
}

bool red_object_begin_known(SpanObject *object, enum red_metric metric, struct red_series *series) {
    if (series == NULL || series->metric != metric || !object->span.recording || object->span.begin_mono_ns == 0)
        return false;
    object->series = core_measures() ? series : NULL;
    return true;
}

void red_object_begin(SpanObject *object, enum red_metric metric) {
    if (metric == RED_NONE || !core_measures() || object->ended || red_object_is(object))
        return;
    struct red_note *note = note_take();
    if (note == NULL)
        return;
    uint64_t begun = object->span.begin_mono_ns;
    bool timed = object->span.recording && begun != 0;
    red_note_begin(note, metric, timed ? begun : clock_mono_ns());
    object->note = note;
    if (!timed)
        runtime_span_began(clock_real_of(note->begin_ns));
}

static void note_value(struct red_note *note, enum red_key key, PyObject *value) {
    if (PyUnicode_Check(value)) {
        Py_ssize_t bytes = 0;
        PyObject *py_keep = NULL;
        const char *text = PyUnicode_AsUTF8AndSize(value, &bytes);
        if (text == NULL) { // lone surrogates
            PyErr_Clear();
            py_keep = PyUnicode_AsEncodedString(value, "utf-8", "replace");
            text = py_keep != NULL ? PyBytes_AS_STRING(py_keep) : "";
            bytes = py_keep != NULL ? PyBytes_GET_SIZE(py_keep) : 0;
        }
        red_note_text(note, key, text, (size_t)bytes);
        Py_XDECREF(py_keep);
    } else if (PyLong_Check(value) && !PyBool_Check(value)) {
        int overflow = 0;
        long long integer = PyLong_AsLongLongAndOverflow(value, &overflow);
        if (overflow == 0)
            red_note_integer(note, key, integer);
    }
    PyErr_Clear();
}

void red_object_set(SpanObject *object, PyObject *key, PyObject *value) {
    PyObject *number = PyUnicode_CheckExact(key) ? compat_dict_get(numbers, key) : NULL;
    struct red_note *note = number != NULL ? note_of(object) : NULL;
    if (note != NULL)
        note_value(note, (enum red_key)PyLong_AsLong(number), value);
}

void red_object_set_all(SpanObject *object, PyObject *attributes) {
    struct red_note *note = attributes != NULL && PyDict_CheckExact(attributes) ? note_of(object) : NULL;
    if (note == NULL)
        return;
    uint32_t wanted = red_instrument((enum red_metric)note->metric)->keys;
    for (int key = 0; key < RED_KEYS; key++) {
        PyObject *value = (wanted >> key & 1) != 0 ? compat_dict_get(attributes, keys[key]) : NULL;
        if (value != NULL)
            note_value(note, (enum red_key)key, value);
    }
}

static void note_error(struct red_note *note, PyObject *exception) {
    PyObject *py_name = exception_type_name(Py_TYPE(exception));
    if (py_name != NULL)
        note_value(note, RED_ERROR, py_name);
    Py_XDECREF(py_name);
}

void red_object_error(SpanObject *object, PyObject *exception) {
    struct red_note *note = note_of(object);
    if (note != NULL)
        note_error(note, exception);
}

uint64_t red_object_end(SpanObject *object, uint64_t end_ns) {
    const struct span *span = &object->span;
    struct red_note *note = object->note;
    uint64_t now = clock_mono_ns();
    if (object->generation == core_generation && core_measures()) {
        uint64_t begin_ns = note != NULL ? note->begin_ns : span->begin_mono_ns;
        red_record(note != NULL ? red_series(note) : object->series, now - begin_ns);
        core_measured(now);
    }
    object->note = NULL;
    object->series = NULL;
    if (note != NULL)
        note_give(note);
    if (end_ns == 0 && span->recording && span->begin_mono_ns != 0)
        end_ns = span->head.start_ns + (now - span->begin_mono_ns);
    return end_ns;
}

// --- calls without a span

bool red_is_inside(PyObject *current, uint32_t family) {
    return inside.family == family && inside.current == current && inside.context == compat_context();
}

// The text that tells everything about the call. Borrowed; NULL: there's none that can be kept.
static PyObject *text_of_call(PyObject *measured, PyObject *const *args, Py_ssize_t count, PyObject *kwnames) {
    PyObject *text = NULL, *name = PyTuple_GET_ITEM(measured, 1);
    Py_ssize_t index = PyLong_AsSsize_t(PyTuple_GET_ITEM(measured, 0));
    if (index >= 0 && index < count)
        text = args[index];
    for (Py_ssize_t i = 0; text == NULL && kwnames != NULL && i < PyTuple_GET_SIZE(kwnames); i++)
        if (PyUnicode_Compare(PyTuple_GET_ITEM(kwnames, i), name) == 0)
            text = args[count + i];
    return text != NULL && PyUnicode_CheckExact(text) && PyUnicode_GET_LENGTH(text) <= KNOWN_CHARS ? text : NULL;
}

struct red_series *red_known(PyObject *known, PyObject *measured, PyObject *const *args, Py_ssize_t count,
                             PyObject *kwnames) {
    PyObject *text = text_of_call(measured, args, count, kwnames);
    PyObject *pointer = text != NULL ? compat_dict_get(known, text) : NULL;
    return pointer != NULL ? PyLong_AsVoidPtr(pointer) : NULL;
}

void red_learn(PyObject *known, PyObject *measured, PyObject *const *args, Py_ssize_t count, PyObject *kwnames,
               const SpanObject *span) {
    PyObject *text = text_of_call(measured, args, count, kwnames);
    if (text == NULL || span->note == NULL)
        return;
    if (PyDict_Size(known) >= KNOWN_TEXTS)
        PyDict_Clear(known);
    PyObject *py_pointer = PyLong_FromVoidPtr(red_series(span->note));
    if (py_pointer != NULL)
        (void)PyDict_SetItem(known, text, py_pointer);
    PyErr_Clear();
    Py_XDECREF(py_pointer);
}

// The series of the same operation with the error that is set.
static struct red_series *series_failed(const struct red_series *series) {
    struct red_note note;
    PyObject *py_exception = compat_take_exception();
    red_note_of(series, &note);
    if (py_exception != NULL)
        note_error(&note, py_exception);
    compat_give_exception(py_exception);
    return red_series(&note);
}

PyObject *red_call(struct red_series *series, PyObject *current, uint32_t family, PyObject *original,
                   PyObject *const *args, size_t nargsf, PyObject *kwnames) {
    __typeof__(inside) before = inside, own = {compat_context(), current, family};
    inside = own;
    uint64_t begun = clock_mono_ns();
    PyObject *py_result = PyObject_Vectorcall(original, args, nargsf, kwnames);
    uint64_t now = clock_mono_ns();
    if (before.context != own.context) // another greenlet's, which may be over by now
        before.family = 0;
    inside = before;
    if (py_result == NULL)
        series = series_failed(series);
    red_record(series, now - begun);
    core_measured(now);
    return py_result;
}

int module_red_init(void) {
    numbers = PyDict_New();
    for (int key = 0; numbers != NULL && key < RED_KEYS; key++) {
        PyObject *py_number = PyLong_FromLong(key);
        keys[key] = PyUnicode_InternFromString(red_key_name((enum red_key)key));
        bool good = keys[key] != NULL && py_number != NULL && PyDict_SetItem(numbers, keys[key], py_number) == 0;
        Py_XDECREF(py_number);
        if (!good)
            return -1;
    }
    return numbers != NULL ? 0 : -1;
}
