// SPDX-License-Identifier: Apache-2.0
// rules_argv: see rules_argv.h. CPython reads options until the first argument that is none; -c and -m take the rest of
// theirs, or the next argument, and end the options.
#include "rules_argv.h"
#include "bare.h"

static bool is_one_of(char letter, const char *letters) {
    for (; *letters != 0; letters++)
        if (*letters == letter)
            return true;
    return false;
}

static void note_flag(char letter, struct argv_shape *out) {
    out->no_site |= letter == 'S';
    out->isolated |= letter == 'I';
    out->ignore_environment |= letter == 'E' || letter == 'I';
    out->no_user_site |= letter == 's' || letter == 'I';
}

// One argument that begins with a single '-'. Gives how many arguments it takes, 0 when the options end with it.
static int read_cluster(int left, const char *const *argv, struct argv_shape *out) {
    for (const char *at = argv[0] + 1; *at != 0; at++) {
        const char *value = at[1] != 0 ? at + 1 : left > 1 ? argv[1] : NULL;
        if (*at == 'c' || *at == 'm') {
            out->kind = value == NULL ? ARGV_UNKNOWN : *at == 'c' ? ARGV_COMMAND : ARGV_MODULE;
            out->what = value;
            return 0;
        }
        if (*at == 'W' || *at == 'X')
            return value == NULL ? 0 : at[1] != 0 ? 1 : 2;
        if (is_one_of(*at, "hV?"))
            out->kind = ARGV_USAGE;
        if (!is_one_of(*at, "bBdEiIOPqRsStuvx"))
            return 0;
        note_flag(*at, out);
    }
    return 1;
}

void rules_argv(int argc, const char *const *argv, struct argv_shape *out) {
    *out = (struct argv_shape){.kind = ARGV_UNKNOWN};
    int at = 1;
    while (at < argc && argv[at][0] == '-' && argv[at][1] != 0) {
        if (bare_equal(argv[at], "--")) {
            at++;
            break;
        }
        int taken = 0;
        if (bare_equal(argv[at], "--check-hash-based-pycs") && at + 1 < argc)
            taken = 2;
        else if (bare_starts(argv[at], "--help") || bare_equal(argv[at], "--version"))
            out->kind = ARGV_USAGE;
        else if (argv[at][1] != '-')
            taken = read_cluster(argc - at, argv + at, out);
        if (taken == 0)
            return;
        at += taken;
    }
    bool named = at < argc && !bare_equal(argv[at], "-");
    out->kind = named ? ARGV_SCRIPT : ARGV_STDIN;
    out->what = named ? argv[at] : NULL;
}
