// SPDX-License-Identifier: Apache-2.0
// bare: the kernel and a few texts without a libc, for code that must run in any process whatever (libpillion.so).
// System calls give what the kernel gives: a negative errno instead of -1, and touch no errno. Never allocates.
// libc's headers are used for constants and types alone.
#ifndef PILLION_BARE_H
#define PILLION_BARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

// --- system calls
long bare_open(const char *path, int flags, unsigned mode); // O_CLOEXEC is always set
long bare_close(int fd);
long bare_read(int fd, void *out, size_t bytes);
long bare_write(int fd, const void *from, size_t bytes);
long bare_stat(const char *path, struct stat *out); // follows links
long bare_lstat(const char *path, struct stat *out);
long bare_fstat(int fd, struct stat *out);
long bare_access(const char *path, int mode);
long bare_readlink(const char *path, char *out, size_t capacity); // always ends in NUL; -ENAMETOOLONG when cut
bool bare_on_tmpfs(const char *path);
long bare_mkdir(const char *path, unsigned mode);
long bare_unlink(const char *path);
long bare_rename(const char *from, const char *to);
long bare_chmod(int fd, unsigned mode);
long bare_flock(int fd, int operation);
long bare_list(int fd, void *out, size_t bytes);                 // getdents64
void *bare_map(size_t bytes, int protection, int flags, int fd); // NULL: refused
long bare_unmap(void *at, size_t bytes);
long bare_advise(void *at, size_t bytes, int advice);
long bare_clock(clockid_t clock, struct timespec *out);
long bare_mask(int how, const uint64_t *set, uint64_t *old); // signals of this thread
long bare_limit(int resource, struct rlimit *out);
int32_t bare_pid(void);
int32_t bare_parent_pid(void);
uint32_t bare_uid(void);

// --- files
// The first bytes of a file, at most capacity - 1, ended by NUL: how many, or a negative errno.
long bare_read_file(const char *path, char *out, size_t capacity);
// All of it, or a negative errno.
long bare_write_all(int fd, const char *from, size_t bytes);

// --- texts
size_t bare_length(const char *text);
bool bare_equal(const char *a, const char *b);
bool bare_starts(const char *text, const char *start);
bool bare_ends(const char *text, const char *end);
const char *bare_find(const char *text, const char *part); // NULL: not in it
const char *bare_base(const char *path);                   // what follows the last slash
// The value of a variable, or NULL.
const char *bare_getenv(const char *const *envp, const char *name);
// Digits at *text, which moves behind them; 0 when there are none, the largest number when there are too many.
uint64_t bare_digits(const char **text);

// A text that grows in the caller's memory; always ended by NUL. What doesn't fit is left out, and `cut` says so.
struct bare_text {
    char *start;     // Borrowed.
    size_t capacity; // bytes, NUL included; at least 1
    size_t used;     // bytes, NUL excluded
    bool cut;
};
void bare_text(struct bare_text *text, char *memory, size_t capacity);
void bare_add(struct bare_text *text, const char *part);
void bare_add_bytes(struct bare_text *text, const char *part, size_t bytes);
void bare_add_number(struct bare_text *text, uint64_t number);

#endif
