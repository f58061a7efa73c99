// SPDX-License-Identifier: Apache-2.0
// portable: included before everything else when the bundle is compiled. What glibc 2.17, later ones and musl don't
// have in common by name is had another way, so that one file loads under all of them.
#ifndef PILLION_PORTABLE_H
#define PILLION_PORTABLE_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// Up to glibc 2.32 these are functions of its headers over __fxstat; the kernel's struct is the libcs' on 64 bits.
#define stat(path, about) ((int)syscall(SYS_newfstatat, AT_FDCWD, path, about, 0))
#define lstat(path, about) ((int)syscall(SYS_newfstatat, AT_FDCWD, path, about, AT_SYMLINK_NOFOLLOW))
#define fstat(fd, about) ((int)syscall(SYS_fstat, fd, about))
#define fstatat(folder, name, about, flags) ((int)syscall(SYS_newfstatat, folder, name, about, flags))

// glibc has it in the part that is linked statically, over the first of these; musl has the second alone.
int __register_atfork(void (*before)(void), void (*parent)(void), void (*child)(void), void *library)
    __attribute__((weak));
int portable_musl_atfork(void (*before)(void), void (*parent)(void), void (*child)(void)) __asm__("pthread_atfork")
    __attribute__((weak));

static inline int portable_atfork(void (*before)(void), void (*parent)(void), void (*child)(void)) {
    static char library; // its address tells whose they are, should the library ever be closed; it never is
    if (__register_atfork != NULL)
        return __register_atfork(before, parent, child, &library);
    return portable_musl_atfork != NULL ? portable_musl_atfork(before, parent, child) : ENOSYS;
}
#define pthread_atfork portable_atfork

#endif
