// SPDX-License-Identifier: Apache-2.0
// preload_python: all that libpillion.so knows of CPython: a few weak symbols of the stable ABI, and one module.
#ifndef PILLION_PRELOAD_PYTHON_H
#define PILLION_PRELOAD_PYTHON_H

#include <stdbool.h>

// Whether this process has a CPython linked in. No system call.
bool python_linked(void);
const char *python_version(void); // "3.11.7 (main, …"; works before the interpreter is initialised
bool python_known(const char *version);
// Whether all that is needed of it is there; comes before python_expect.
bool python_usable(void);
bool python_free_threaded(void);
// Makes `import sitecustomize` start the pillion of that folder, once. False: no memory.
bool python_expect(const char *root);

#endif
