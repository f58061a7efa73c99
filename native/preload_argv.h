// SPDX-License-Identifier: Apache-2.0
// preload_argv: what a Python's command line says of `site`, read by CPython's own grammar of options.
#ifndef PILLION_PRELOAD_ARGV_H
#define PILLION_PRELOAD_ARGV_H

enum argv_says {
    ARGV_SITE,    // site is imported
    ARGV_NO_SITE, // -S
    ARGV_NOTHING, // -V, -h and the like: the interpreter says something and ends
};

enum argv_says preload_argv(int argc, const char *const *argv);

#endif
