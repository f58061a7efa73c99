// SPDX-License-Identifier: Apache-2.0
// nolibc: a dynamic program with a loader but no libc and no other library, as Go makes them. Ends with code 9.
#include "bare.h"
#include <sys/syscall.h>

__attribute__((noreturn)) void _start(void) {
    static const char hello[] = "no libc here\n";
    bare_write_all(1, hello, sizeof hello - 1);
#if defined(__x86_64__)
    __asm__ volatile("syscall" : : "a"(SYS_exit_group), "D"(9));
#else
    register long x8 __asm__("x8") = SYS_exit_group;
    register long x0 __asm__("x0") = 9;
    __asm__ volatile("svc #0" : : "r"(x8), "r"(x0));
#endif
    __builtin_unreachable();
}
