// SPDX-License-Identifier: Apache-2.0
// rules: may this process be instrumented? Reads the operator's file and then the defaults; the first line that matches
// decides, and where none does, it may. agent/pillion/rules.conf describes the language. Freestanding: runs before a
// program's libc may be ready; about 50 µs; allocates nothing, keeps nothing, changes nothing.
#ifndef PILLION_RULES_H
#define PILLION_RULES_H

#include "rules_argv.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The process in question. All borrowed.
struct subject {
    const char *exe; // what /proc/self/exe leads to
    const char *const *argv;
    int argc;
    const char *const *envp; // ended by NULL
    uint32_t uid;
    const char *root; // the folder that pillion lies in: rules.conf is in it
};

struct verdict {
    bool deny;
    char code[32];    // of agent/pillion/reasons.py; empty: allowed, no rule speaks of it
    char reason[256]; // the evidence: "/opt/pillion/rules.conf:12: deny module=pip"
    char notes[512];  // lines: what could not be understood or read
};

void rules_decide(const struct subject *subject, struct verdict *out);

// One more note, unless there are too many.
void rules_note(struct verdict *out, const char *text);

// --- the language, one line at a time (rules_line.c)

enum rules_match { RULES_NOTHING, RULES_ALLOW, RULES_DENY, RULES_BROKEN };

// What a line is held against: the subject and what its arguments mean.
struct rules_case {
    const struct subject *subject;
    struct argv_shape shape;
};

// A line of `bytes` bytes, NUL-terminated, written over while it is read. `code`: 32 bytes, that of a matching line.
enum rules_match rules_line(char *line, size_t bytes, const struct rules_case *about, char *code);
// `*` stands for any bytes, `?` for one, '|' is between alternatives.
bool rules_glob(const char *pattern, const char *text);

#endif
