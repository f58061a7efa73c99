// SPDX-License-Identifier: Apache-2.0
// rules: whether a process that just starts is to be left alone. Freestanding: runs in libpillion.so's constructor,
// before the interpreter, and in the module for a start by PYTHONPATH. Reads the rules' files anew each time.
#ifndef PILLION_RULES_H
#define PILLION_RULES_H

#include <stdbool.h>
#include <stdint.h>

// Who is asked about. All borrowed.
struct subject {
    const char *exe;         // the program's file, links followed
    const char *const *argv; // ended by NULL
    int argc;
    const char *const *envp; // ended by NULL; NULL: not known
    uint32_t uid;
    const char *root; // the folder that holds pillion/: the bundle's version
};

struct verdict {
    bool deny;
    char code[32];    // a name of reasons.py
    char reason[256]; // evidence for a person: "rules.conf:12: deny module=pip"
};

// Fills the verdict whole; allows when no rule says otherwise or none can be read.
void rules_decide(const struct subject *subject, struct verdict *verdict);

#endif
