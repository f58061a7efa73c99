// SPDX-License-Identifier: Apache-2.0
// preload_symbol: foreign names that only few programs need, asked of the loader when they are. A weak symbol instead
// would be looked for in every library of every program that starts.
#ifndef PILLION_PRELOAD_SYMBOL_H
#define PILLION_PRELOAD_SYMBOL_H

#include <stddef.h>

#pragma weak dlsym
void *dlsym(void *handle, const char *name);

// NULL: nothing of that name in this process.
static inline void *preload_symbol(const char *name) {
    return dlsym != NULL ? dlsym(NULL, name) : NULL;
}

#endif
