// SPDX-License-Identifier: Apache-2.0
// bare: see bare.h. The system calls, one line each; the numbers are the kernel's for x86_64 and aarch64.
// Compiled into libpillion.so without a libc, and into the module beside one: nothing here may need start-up or state.
#define _GNU_SOURCE
#include "bare.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
static long call(long number, long a, long b, long c, long d, long e, long f) {
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
static long call(long number, long a, long b, long c, long d, long e, long f) {
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    return x0;
}
#else
#error "bare.c knows x86_64 and aarch64"
#endif

#define CALL0(number) call(number, 0, 0, 0, 0, 0, 0)
#define CALL2(number, a, b) call(number, (long)(a), (long)(b), 0, 0, 0, 0)
#define CALL3(number, a, b, c) call(number, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define CALL4(number, a, b, c, d) call(number, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)

long bare_open(const char *path, int flags, unsigned mode) {
    return CALL4(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, mode);
}

long bare_close(int fd) {
    return CALL2(SYS_close, fd, 0);
}

long bare_read(int fd, void *out, size_t bytes) {
    return CALL3(SYS_read, fd, out, bytes);
}

long bare_write(int fd, const void *from, size_t bytes) {
    return CALL3(SYS_write, fd, from, bytes);
}

long bare_stat(const char *path, struct stat *out) {
    return CALL4(SYS_newfstatat, AT_FDCWD, path, out, 0);
}

long bare_lstat(const char *path, struct stat *out) {
    return CALL4(SYS_newfstatat, AT_FDCWD, path, out, AT_SYMLINK_NOFOLLOW);
}

long bare_fstat(int fd, struct stat *out) {
    return CALL2(SYS_fstat, fd, out);
}

long bare_access(const char *path, int mode) {
    return CALL3(SYS_faccessat, AT_FDCWD, path, mode);
}

long bare_readlink(const char *path, char *out, size_t capacity) {
    long got = CALL4(SYS_readlinkat, AT_FDCWD, path, out, capacity);
    if (got >= 0 && (size_t)got >= capacity)
        got = -ENAMETOOLONG;
    out[got >= 0 ? got : 0] = 0;
    return got;
}

bool bare_on_tmpfs(const char *path) {
    struct {
        int64_t kind, rest[31]; // as the kernel fills it, and more than it does
    } about = {0};
    return CALL2(SYS_statfs, path, &about) == 0 && about.kind == 0x01021994;
}

long bare_mkdir(const char *path, unsigned mode) {
    return CALL3(SYS_mkdirat, AT_FDCWD, path, mode);
}

long bare_unlink(const char *path) {
    return CALL3(SYS_unlinkat, AT_FDCWD, path, 0);
}

long bare_rename(const char *from, const char *to) {
    return CALL4(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
}

long bare_chmod(int fd, unsigned mode) {
    return CALL2(SYS_fchmod, fd, mode);
}

long bare_flock(int fd, int operation) {
    return CALL2(SYS_flock, fd, operation);
}

long bare_list(int fd, void *out, size_t bytes) {
    return CALL3(SYS_getdents64, fd, out, bytes);
}

void *bare_map(size_t bytes, int protection, int flags, int fd) {
    long got = call(SYS_mmap, 0, (long)bytes, protection, flags, fd, 0);
    return got < 0 && got > -4096 ? NULL : (void *)got;
}

long bare_unmap(void *at, size_t bytes) {
    return CALL2(SYS_munmap, at, bytes);
}

long bare_advise(void *at, size_t bytes, int advice) {
    return CALL3(SYS_madvise, at, bytes, advice);
}

long bare_clock(clockid_t clock, struct timespec *out) {
    return CALL2(SYS_clock_gettime, clock, out);
}

long bare_mask(int how, const uint64_t *set, uint64_t *old) {
    return CALL4(SYS_rt_sigprocmask, how, set, old, sizeof *set);
}

long bare_limit(int resource, struct rlimit *out) {
    return CALL4(SYS_prlimit64, 0, resource, NULL, out);
}

int32_t bare_pid(void) {
    return (int32_t)CALL0(SYS_getpid);
}

int32_t bare_parent_pid(void) {
    return (int32_t)CALL0(SYS_getppid);
}

uint32_t bare_uid(void) {
    return (uint32_t)CALL0(SYS_getuid);
}

long bare_read_file(const char *path, char *out, size_t capacity) {
    long fd = bare_open(path, O_RDONLY, 0);
    if (fd < 0)
        return fd;
    size_t used = 0;
    long got = 0;
    while (used < capacity - 1) {
        got = bare_read((int)fd, out + used, capacity - 1 - used);
        if (got == -EINTR)
            continue;
        if (got <= 0)
            break;
        used += (size_t)got;
    }
    bare_close((int)fd);
    out[used] = 0;
    return got < 0 ? got : (long)used;
}

long bare_write_all(int fd, const char *from, size_t bytes) {
    for (size_t done = 0; done < bytes;) {
        long put = bare_write(fd, from + done, bytes - done);
        if (put == -EINTR)
            continue;
        if (put <= 0)
            return put < 0 ? put : -EIO;
        done += (size_t)put;
    }
    return 0;
}
