// SPDX-License-Identifier: Apache-2.0
// module_describe: opens the span that a hook described by a name, or by a name and attributes.
//
// A hook that has few things to say keeps what it said and gives the same tuple again (it must not change it then).
// Such a description is remembered here as the bytes that its attributes came to, under the tuple's address: the next
// time they're copied. KEPT descriptions of at most KEPT_BYTES, each with a reference to its tuple; a newer one takes
// the slot of an older. Runs with the GIL.
#include "module.h"
#include <stdlib.h>

#define KEPT 256 // a power of two
#define KEPT_BYTES 2048

struct kept {
    PyObject *described;         // Owned, or NULL
    struct span_attributes copy; // copy.items is Owned
    uint32_t name_id;
    struct red_series *series; // that a success counts in, NULL: not known yet
};
static struct kept kept[KEPT];
static PyObject *unnamed; // Owned: ""

static struct kept *slot_of(PyObject *described) {
    uintptr_t bits = (uintptr_t)described >> 4;
    return &kept[(bits ^ (bits >> 8)) & (KEPT - 1)];
}

// Somebody but the caller holds the tuple: it may come again.
static void keep(PyObject *described, const struct span *span, struct span_text name) {
    struct kept *slot = slot_of(described);
    struct span_attributes copy;
    if (Py_REFCNT(described) < 2 || !span->recording)
        return;
    uint32_t name_id = name.id != 0 ? name.id : core_intern(name.text, name.bytes);
    if (name_id == 0 || !span_copy(span, KEPT_BYTES, &copy))
        return;
    PyObject *py_old = slot->described;
    free(slot->copy.items);
    *slot = (struct kept){Py_NewRef(described), copy, name_id, NULL};
    Py_XDECREF(py_old);
}

// The span counts too: in the series that is known, or in one that its attributes tell.
static void measure(SpanObject *span, PyObject *described, PyObject *attributes, enum red_metric metric) {
    struct kept *slot = slot_of(described);
    if (metric == RED_NONE)
        return;
    if (slot->described == described && red_object_begin_known(span, metric, slot->series))
        return;
    red_object_begin(span, metric);
    if (span->note == NULL)
        return;
    red_object_set_all(span, attributes);
    if (slot->described == described)
        slot->series = red_series(span->note);
}

SpanObject *describe_begin(PyObject *described, PyObject *parent, enum span_kind kind, uint32_t scope_id,
                           enum red_metric metric) {
    struct kept *slot = slot_of(described);
    if (slot->described == described) {
        SpanObject *span = span_object_begin(parent, kind, (struct span_text){.id = slot->name_id}, scope_id, 0);
        PyObject *attributes = PyTuple_GET_ITEM(described, 1);
        if (span == NULL)
            return NULL;
        if (slot->described == described)
            span_paste(&span->span, &slot->copy);
        else // a span that begins may run Python code (runtime_set_tick), and another thread took the slot meanwhile
            text_set_all(&span->span, attributes, false);
        measure(span, described, attributes, metric);
        return span;
    }
    PyObject *name = described, *attributes = NULL, *py_keep = NULL;
    if (PyTuple_CheckExact(described) && PyTuple_GET_SIZE(described) == 2) {
        name = PyTuple_GET_ITEM(described, 0);
        attributes = PyTuple_GET_ITEM(described, 1);
    } else if (PyDict_CheckExact(described) && span_object_check(parent) && !((SpanObject *)parent)->span.recording) {
        // of Target.measured: only counted, so nobody will see a name
        name = unnamed;
        attributes = described;
    }
    if (name == NULL || !PyUnicode_Check(name)) {
        PyErr_SetString(PyExc_TypeError, "describe returns a name, (name, attributes) or None");
        return NULL;
    }
    struct span_text text = text_of(name, &py_keep);
    SpanObject *span = span_object_begin(parent, kind, text, scope_id, 0);
    if (span != NULL && attributes != NULL && attributes != described) {
        text_set_all(&span->span, attributes, false);
        keep(described, &span->span, text);
    }
    if (span != NULL)
        measure(span, described, attributes, metric);
    Py_XDECREF(py_keep);
    return span;
}

int module_describe_init(void) {
    unnamed = PyUnicode_FromString("");
    return unnamed != NULL ? 0 : -1;
}
