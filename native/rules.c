// SPDX-License-Identifier: Apache-2.0
// rules: see rules.h. This file finds and reads the two files; rules_line.c understands a line. Whatever a file turns
// out to be (absent, torn, huge, binary, a pipe, a folder, not readable), it costs a bounded time and a note.
#include "rules.h"
#include "bare.h"
#include "bare_lines.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define FILE_BYTES (64u << 10)
#define BROKEN_SHOWN 4
#define LINE_SHOWN 100
#define PATH_BYTES 4096

// Where in which file reading is.
struct place {
    const char *path; // Borrowed.
    const struct rules_case *about;
    unsigned number; // of the line, from 1
    unsigned broken; // lines before it that were not understood
};

void rules_note(struct verdict *out, const char *text) {
    size_t used = bare_length(out->notes);
    struct bare_text notes = {.start = out->notes, .used = used, .capacity = sizeof out->notes};
    if (used > 0)
        bare_add(&notes, "\n");
    bare_add(&notes, text);
}

static void note_file(struct verdict *out, const char *path, const char *what) {
    char text[256];
    struct bare_text note;
    bare_text(&note, text, sizeof text);
    bare_add(&note, path);
    bare_add(&note, ": ");
    bare_add(&note, what);
    rules_note(out, text);
}

// "path:12: the line", as much of it as fits; bytes that are no text show as '?'.
static void name_line(struct bare_text *out, const struct place *place, const char *line) {
    bare_add(out, place->path);
    bare_add(out, ":");
    bare_add_number(out, place->number);
    bare_add(out, ": ");
    for (; *line != 0; line++) {
        bool is_blank = *line == ' ' || *line == '\t';
        if (!is_blank)
            bare_add_bytes(out, *line > ' ' && *line <= '~' ? line : "?", 1);
        else if (line[1] != 0 && line[1] != ' ' && line[1] != '\t')
            bare_add(out, " ");
    }
}

static void note_line(struct verdict *out, const struct place *place, const char *line) {
    char text[256];
    struct bare_text note;
    bare_text(&note, text, sizeof text);
    if (place->broken < BROKEN_SHOWN) {
        name_line(&note, place, line);
        bare_add(&note, " (not understood)");
        rules_note(out, text);
    } else if (place->broken == BROKEN_SHOWN)
        note_file(out, place->path, "more lines are not understood");
}

// The descriptor of a plain file, or negative with a note.
static long open_plain(const char *path, struct verdict *out) {
    struct stat about;
    long fd = bare_open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
    if (fd < 0) {
        note_file(out, path, fd == -ENOENT ? "no such file" : fd == -ELOOP ? "a loop of links" : "can't be read");
        return fd;
    }
    if (bare_fstat((int)fd, &about) >= 0 && S_ISREG(about.st_mode))
        return fd;
    note_file(out, path, "not a file");
    bare_close((int)fd);
    return -1;
}

// What a line says; one that isn't understood says nothing, and is noted.
static enum rules_match read_line(char *line, size_t bytes, bool whole, const struct place *place,
                                  struct verdict *out) {
    char as_it_was[LINE_SHOWN + 1];
    struct bare_text kept, reason;
    bare_text(&kept, as_it_was, sizeof as_it_was);
    bare_add(&kept, line);
    enum rules_match match = whole ? rules_line(line, bytes, place->about, out->code) : RULES_BROKEN;
    if (match == RULES_DENY || match == RULES_ALLOW) {
        bare_text(&reason, out->reason, sizeof out->reason);
        name_line(&reason, place, as_it_was);
    }
    if (match == RULES_BROKEN)
        note_line(out, place, as_it_was);
    return match;
}

// One file; whether a line of it decided.
static bool read_rules(const char *path, const struct rules_case *about, struct verdict *out) {
    struct place place = {.path = path, .about = about};
    struct bare_lines lines;
    enum rules_match match = RULES_NOTHING;
    size_t bytes;
    bool whole;
    long fd = open_plain(path, out);
    if (fd < 0)
        return false;
    bare_lines_begin(&lines, (int)fd, FILE_BYTES);
    for (char *line;
         match != RULES_DENY && match != RULES_ALLOW && (line = bare_line(&lines, &bytes, &whole)) != NULL;) {
        place.number++;
        match = read_line(line, bytes, whole, &place, out);
        place.broken += match == RULES_BROKEN;
    }
    if (lines.cut)
        note_file(out, path, "only its first 64 KiB are read");
    bare_close((int)fd);
    out->deny = match == RULES_DENY;
    return match == RULES_DENY || match == RULES_ALLOW;
}

static bool exists(const char *path) {
    struct stat about;
    return bare_lstat(path, &about) != -ENOENT;
}

// The operator's: PILLION_RULES, or beside the root; by the text alone, since the root is a real folder's path, no
// link.
static bool find_operators(const struct subject *subject, struct bare_text *path) {
    const char *named = bare_getenv(subject->envp, "PILLION_RULES");
    if (named != NULL && named[0] != 0) {
        bare_add(path, named);
        return true;
    }
    bare_add_bytes(path, subject->root, (size_t)(bare_base(subject->root) - subject->root));
    bare_add(path, "rules.conf");
    return exists(path->start);
}

static void find_defaults(const struct subject *subject, char *memory, size_t capacity) {
    static const char *const names[] = {"/rules.conf", "/pillion/rules.conf"};
    for (int at = 0; at < 2; at++) {
        struct bare_text path;
        bare_text(&path, memory, capacity);
        bare_add(&path, subject->root);
        bare_add(&path, names[at]);
        if (exists(memory))
            return;
    }
}

void rules_decide(const struct subject *subject, struct verdict *out) {
    char memory[PATH_BYTES];
    struct bare_text path;
    struct rules_case about = {.subject = subject};
    *out = (struct verdict){0};
    rules_argv(subject->argc, subject->argv, &about.shape);
    bare_text(&path, memory, sizeof memory);
    if (find_operators(subject, &path) && read_rules(memory, &about, out))
        return;
    find_defaults(subject, memory, sizeof memory);
    read_rules(memory, &about, out);
}
