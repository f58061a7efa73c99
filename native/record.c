// SPDX-License-Identifier: Apache-2.0
// record: see record.h. The text is what agent/pillion/rundir.py writes for the others; one buffer on the stack,
// whatever is longer than its share is cut, and nothing of the command line or the environment but the service's name
// is in it.
#include "record.h"
#include "bare_file.h"
#include "bare_process.h"

#define RECORD_BYTES 12288
#define FIELD_BYTES 1024 // of a text in it, as it was before JSON's escapes

// How many bytes the UTF-8 character at `at` has; 0: none, or a part of UTF-16's pairs.
static size_t utf8_bytes(const unsigned char *at) {
    size_t bytes = at[0] < 0x80 ? 1 : at[0] >= 0xC2 && at[0] < 0xE0 ? 2 : at[0] >= 0xE0 && at[0] < 0xF0 ? 3 : 4;
    if (bytes == 4 && (at[0] < 0xF0 || at[0] > 0xF4))
        return 0;
    for (size_t i = 1; i < bytes; i++)
        if ((at[i] & 0xC0) != 0x80)
            return 0;
    bool is_wrong = (at[0] == 0xE0 && at[1] < 0xA0) || (at[0] == 0xED && at[1] > 0x9F) ||
                    (at[0] == 0xF0 && at[1] < 0x90) || (at[0] == 0xF4 && at[1] > 0x8F);
    return is_wrong ? 0 : bytes;
}

static void add_string(struct bare_text *out, const char *text, size_t bytes) {
    bare_add(out, "\"");
    for (size_t at = 0; at < bytes;) {
        const unsigned char *from = (const unsigned char *)text + at;
        size_t length = utf8_bytes(from);
        if (length == 0 || *from < ' ' || *from == 127 || at + length > bytes) {
            bare_add(out, "\\ufffd"); // no character, or one that has no business in a path
            at++;
            continue;
        }
        if (*from == '"' || *from == '\\')
            bare_add(out, "\\");
        bare_add_bytes(out, text + at, length);
        at += length;
    }
    bare_add(out, "\"");
}

static void add_name(struct bare_text *out, const char *name) {
    bare_add(out, out->used > 1 ? ",\"" : "\"");
    bare_add(out, name);
    bare_add(out, "\":");
}

static void add_text(struct bare_text *out, const char *name, const char *text) {
    size_t bytes = bare_length(text);
    add_name(out, name);
    add_string(out, text, bytes < FIELD_BYTES ? bytes : FIELD_BYTES);
}

static void add_number(struct bare_text *out, const char *name, uint64_t number) {
    add_name(out, name);
    bare_add_number(out, number);
}

// The lines of a text, as a list.
static void add_lines(struct bare_text *out, const char *name, const char *text) {
    add_name(out, name);
    bare_add(out, "[");
    for (bool first = true; *text != 0; first = false) {
        size_t bytes = 0;
        while (text[bytes] != 0 && text[bytes] != '\n')
            bytes++;
        bare_add(out, first ? "" : ",");
        add_string(out, text, bytes);
        text += bytes + (text[bytes] != 0);
    }
    bare_add(out, "]");
}

static void compose(struct bare_text *out, const struct subject *subject, const char *python,
                    const struct verdict *verdict, uint64_t ticks, uint64_t pid_namespace) {
    const char *service = bare_getenv(subject->envp, "OTEL_SERVICE_NAME"), *version = bare_base(subject->root);
    bare_add(out, "{");
    add_number(out, "pid", (uint64_t)bare_pid());
    add_number(out, "start_ticks", ticks);
    add_number(out, "pid_ns", pid_namespace);
    add_number(out, "uid", subject->uid);
    add_text(out, "exe", subject->exe);
    add_number(out, "parent_pid", (uint64_t)bare_parent_pid());
    add_text(out, "via", "preload");
    add_text(out, "root", subject->root);
    add_text(out, "decision", verdict->deny ? "not" : "injected");
    add_text(out, "code", verdict->code);
    add_text(out, "reason", verdict->reason);
    add_text(out, "service", service != NULL ? service : "");
    add_text(out, "pillion", *version >= '0' && *version <= '9' ? version : "");
    add_number(out, "time_ns", bare_now_ns());
    add_text(out, "python", python);
    add_lines(out, "notes", verdict->notes);
    bare_add(out, "}\n");
}

void record_write(const char *run_dir, const struct subject *subject, const char *python,
                  const struct verdict *verdict) {
    char memory[RECORD_BYTES], folder[BARE_PATH_BYTES], fresh[BARE_PATH_BYTES], stem[80];
    struct bare_text text, name;
    if (!run_dir_part(run_dir, "processes", folder, sizeof folder))
        return;
    uint64_t ticks = bare_start_ticks(0), pid_namespace = bare_pid_namespace();
    bare_text(&name, stem, sizeof stem);
    bare_add_process(&name, bare_pid(), ticks, pid_namespace);
    bare_add(&name, ".json");
    bare_text(&text, memory, sizeof memory);
    compose(&text, subject, python, verdict, ticks, pid_namespace);
    long fd = bare_put_begin(folder, stem, &text, fresh);
    if (fd < 0)
        return;
    bare_close((int)fd);
    bare_put_end(fresh, folder, stem, true);
}
