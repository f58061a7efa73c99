// SPDX-License-Identifier: Apache-2.0
// rules_argv: what a Python command line runs, read by CPython's own grammar of options (3.8 to 3.15). Freestanding;
// any texts may be given, a program that embeds Python has another grammar and comes out as unknown.
#ifndef PILLION_RULES_ARGV_H
#define PILLION_RULES_ARGV_H

#include <stdbool.h>

enum argv_kind {
    ARGV_UNKNOWN, // not CPython's grammar
    ARGV_USAGE,   // --help, -V and the like: no program runs
    ARGV_STDIN,   // nothing is named: a prompt, or what comes from stdin
    ARGV_SCRIPT,  // a file, a folder or a zip file
    ARGV_MODULE,  // -m
    ARGV_COMMAND, // -c
};

struct argv_shape {
    enum argv_kind kind;
    const char *what;        // Borrowed: the script, the module or the command; NULL else
    bool no_site;            // -S
    bool isolated;           // -I
    bool ignore_environment; // -E, or -I
    bool no_user_site;       // -s, or -I
};

void rules_argv(int argc, const char *const *argv, struct argv_shape *out);

#endif
