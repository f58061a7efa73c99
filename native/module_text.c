// SPDX-License-Identifier: Apache-2.0
// module_text: Python strings and mappings into the fields of a span; values are module_value.c's.
//
// Keys and names are nearly always interned str objects of the caller's code, so a small table from the object's
// address to the id in the ring's string table saves both the conversion and the copy. The table holds a reference to
// each of its at most TEXT_SLOTS strings; what doesn't fit is carried as text. Runs with the GIL; leaves no exception
// behind.
#include "module.h"
#include <string.h>

#define TEXT_SLOTS 2048 // a power of two
#define TEXT_PROBES 8
#define OTHER_KEYS 512 // that aren't interned

struct text_slot {
    PyObject *string; // Owned
    uint32_t id;
};
static struct text_slot slots[TEXT_SLOTS];

static size_t slot_of(const void *pointer) {
    uintptr_t bits = (uintptr_t)pointer >> 4;
    return (bits ^ (bits >> 11)) & (TEXT_SLOTS - 1);
}

// UTF-8 of a str; a lone surrogate becomes '?'. *py_keep holds what `text` points into, when it isn't the str itself.
static struct span_text text_utf8(PyObject *string, PyObject **py_keep) {
    Py_ssize_t bytes = 0;
    const char *text = PyUnicode_AsUTF8AndSize(string, &bytes);
    if (text == NULL) {
        PyErr_Clear();
        *py_keep = PyUnicode_AsEncodedString(string, "utf-8", "replace");
        if (*py_keep == NULL) {
            PyErr_Clear();
            return (struct span_text){0, 0, ""};
        }
        text = PyBytes_AS_STRING(*py_keep);
        bytes = PyBytes_GET_SIZE(*py_keep);
    }
    return (struct span_text){0, bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes, text};
}

// The id of a str that lies in the table, or is put there if it `may` be; else its text.
static struct span_text look_up(PyObject *string, PyObject **py_keep, bool may) {
    size_t first = slot_of(string), free_slot = TEXT_SLOTS;
    for (size_t i = 0; i < TEXT_PROBES; i++) {
        struct text_slot *slot = &slots[(first + i) & (TEXT_SLOTS - 1)];
        if (slot->string == string)
            return (struct span_text){slot->id, 0, NULL};
        if (slot->string == NULL) {
            free_slot = (first + i) & (TEXT_SLOTS - 1);
            break;
        }
    }
    struct span_text text = text_utf8(string, py_keep);
    if (may && free_slot < TEXT_SLOTS && *py_keep == NULL) {
        uint32_t id = core_intern(text.text, text.bytes);
        if (id != 0) {
            slots[free_slot] = (struct text_slot){Py_NewRef(string), id};
            text.id = id;
        }
    }
    return text;
}

struct span_text text_of(PyObject *string, PyObject **py_keep) {
    *py_keep = NULL;
    if (!PyUnicode_Check(string))
        return (struct span_text){0, 0, ""};
    if (!PyUnicode_CHECK_INTERNED(string))
        return text_utf8(string, py_keep);
    return look_up(string, py_keep, true);
}

// CPython interns no constant with a dot in it, as most keys have; but the same few come again and again. Keys that are
// made up on the way (a number in them) take their share of the table and no more.
static struct span_text text_of_key(PyObject *string, PyObject **py_keep) {
    static unsigned others = 0;
    bool interned = PyUnicode_CHECK_INTERNED(string);
    *py_keep = NULL;
    bool may = interned || (others < OTHER_KEYS && PyUnicode_CheckExact(string)); // an object of the application's dies
    struct span_text text = look_up(string, py_keep, may);
    others += !interned && text.id != 0 && text.text != NULL; // it's new there
    return text;
}

struct span_text text_static(const char *literal) {
    struct span_text text = {0, (uint32_t)strlen(literal), literal};
    text.id = core_intern(text.text, text.bytes);
    return text;
}

static void count_dropped(struct span *span, bool last) {
    if (last)
        span_drop_last(span);
    else
        span_drop(span);
}

static void set_value(struct span *span, struct span_text key, const struct span_value *value, bool last) {
    if (last)
        span_set_last(span, key, value);
    else
        span_set(span, key, value);
}

// Whatever isn't simple. The application's code may run meanwhile: the event or link that was the last one then isn't
// any more if it added another.
static void set_object(struct span *span, struct span_text key, PyObject *object, bool last) {
    uint32_t owner_at = span->last_at;
    struct value_items items;
    struct span_value value;
    PyObject *py_plain = NULL, *py_keep = NULL;
    bool is_sequence = value_sequence(object, &items), good = is_sequence;
    if (is_sequence) {
        value = (struct span_value){.type = SPAN_ARRAY, .items = items.values, .count = items.count};
    } else {
        py_plain = value_plain(object);
        good = py_plain != NULL && value_simple(py_plain, &value, &py_keep);
    }
    if (good && (!last || span->last_at == owner_at))
        set_value(span, key, &value, last);
    else if (!last || span->last_at == owner_at)
        count_dropped(span, last);
    if (is_sequence)
        value_release(&items);
    Py_XDECREF(py_keep);
    Py_XDECREF(py_plain);
}

void text_set(struct span *span, PyObject *key, PyObject *object, bool last) {
    if (!span->recording || object == Py_None)
        return;
    if (!PyUnicode_Check(key) || PyUnicode_GET_LENGTH(key) == 0) {
        count_dropped(span, last);
        return;
    }
    PyObject *py_key = NULL, *py_keep = NULL;
    struct span_text text = text_of_key(key, &py_key);
    struct span_value value;
    if (value_simple(object, &value, &py_keep))
        set_value(span, text, &value, last);
    else
        set_object(span, text, object, last);
    Py_XDECREF(py_keep);
    Py_XDECREF(py_key);
}

void text_set_all(struct span *span, PyObject *mapping, bool last) {
    if (!span->recording || mapping == NULL || mapping == Py_None)
        return;
    PyObject *py_items = NULL;
    uint32_t owner_at = span->last_at;
    if (PyDict_CheckExact(mapping)) {
        Py_INCREF(mapping);
    } else {
        hook_busy++;
        py_items = PyDict_New();
        int updated = py_items != NULL ? PyDict_Update(py_items, mapping) : -1;
        hook_busy--;
        exception_clear();
        if (updated < 0) {
            Py_XDECREF(py_items);
            return;
        }
        mapping = py_items;
    }
    PyObject *key, *value;
    Py_ssize_t position = 0, left = PyDict_Size(mapping); // a value's code may add to it, without end
    while (left-- > 0 && (!last || span->last_at == owner_at) && PyDict_Next(mapping, &position, &key, &value)) {
        Py_INCREF(key);
        Py_INCREF(value);
        text_set(span, key, value, last);
        Py_DECREF(key);
        Py_DECREF(value);
    }
    Py_DECREF(mapping);
}

void text_set_string(struct span *span, const char *key, const char *value, Py_ssize_t bytes) {
    struct span_value text = {.type = SPAN_STRING, .bytes = (uint32_t)bytes, .text = value};
    span_set(span, text_static(key), &text);
}

PyObject *text_hex(const uint8_t *bytes, size_t count) {
    static const char digits[] = "0123456789abcdef";
    char text[32];
    for (size_t i = 0; i < count && i < 16; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    return PyUnicode_FromStringAndSize(text, (Py_ssize_t)(2 * count));
}

bool text_unhex(const char *hex, Py_ssize_t chars, uint8_t *out, size_t count) {
    if (chars != (Py_ssize_t)(2 * count))
        return false;
    uint8_t any = 0;
    for (size_t i = 0; i < 2 * count; i++) {
        char c = hex[i];
        int nibble = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (nibble < 0)
            return false;
        out[i / 2] = (uint8_t)(i % 2 == 0 ? nibble << 4 : out[i / 2] | nibble);
        any |= (uint8_t)nibble;
    }
    return any != 0;
}
