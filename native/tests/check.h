// SPDX-License-Identifier: Apache-2.0
// check: the whole harness of the C tests. A test is a function; main lists them by RUN and returns REPORT().
#ifndef PILLION_CHECK_H
#define PILLION_CHECK_H

#include <stdio.h>
#include <stdlib.h>

extern int check_failures; // each program defines it with CHECK_MAIN

#define CHECK_MAIN int check_failures

// Says where and goes on.
#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            check_failures++;                                                                                          \
            printf("%s:%d: %s: not so: %s\n", __FILE__, __LINE__, __func__, #condition);                               \
        }                                                                                                              \
    } while (0)

// For what makes the rest pointless.
#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            printf("%s:%d: %s: not so, giving up: %s\n", __FILE__, __LINE__, __func__, #condition);                    \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

#define RUN(test)                                                                                                      \
    do {                                                                                                               \
        int before_ = check_failures;                                                                                  \
        test();                                                                                                        \
        printf("%s %s\n", check_failures == before_ ? "ok    " : "FAILED", #test);                                     \
    } while (0)

#define REPORT() (check_failures == 0 ? 0 : 1)

#endif
