// SPDX-License-Identifier: Apache-2.0
// fake: a program that has CPython's name for its version and nothing else of it. VERSION is what it says.
#include <stdio.h>

const char *Py_GetVersion(void);
const char *Py_GetVersion(void) {
    return VERSION;
}

int main(void) {
    puts(Py_GetVersion());
    return 6;
}
