// SPDX-License-Identifier: Apache-2.0
// probation_file: see probation_file.h. The lock: flock, then a mapping that a fork's child does not have, then the
// descriptor is closed; the kernel lets go of it at any death, seen from every pid namespace.
#include "probation_file.h"
#include "bare_file.h"
#include "bare_lines.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>

#define PAGE_BYTES 4096
#define FILE_BYTES 4096

static bool read_hex(const char **at, uint64_t *out) {
    *out = 0;
    for (int digits = 0; digits < 16; digits++, ++*at) {
        char c = **at;
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        *out = *out << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return true;
}

static bool read_after(char separator, const char **at, uint64_t *out) {
    if (**at != separator || (*at)[1] < '0' || (*at)[1] > '9')
        return false;
    ++*at;
    *out = bare_digits(at);
    return true;
}

bool probation_name_read(const char *text, struct probation_name *out) {
    uint64_t pid;
    *out = (struct probation_name){0};
    if (!read_hex(&text, &out->key.exe) || *text++ != '-' || !read_hex(&text, &out->key.program) ||
        !read_after('-', &text, &pid) || !read_after('-', &text, &out->ticks))
        return false;
    out->pid = pid < INT32_MAX ? (int32_t)pid : 0;
    return (*text == 0 || read_after('-', &text, &out->pid_namespace)) && *text == 0;
}

void probation_name_add(struct bare_text *text, const struct probation_name *name) {
    bare_add_hex(text, name->key.exe);
    bare_add(text, "-");
    bare_add_hex(text, name->key.program);
    bare_add(text, "-");
    bare_add_process(text, name->pid, name->ticks, name->pid_namespace);
}

static void take(char *out, size_t capacity, const char *value) {
    struct bare_text text;
    bare_text(&text, out, capacity);
    bare_add(&text, value);
}

static struct probation_start take_start(const char *value) {
    struct probation_start start = {.time_ns = bare_digits(&value)};
    value += *value == ' ';
    uint64_t pid = bare_digits(&value);
    start.pid = pid < INT32_MAX ? (int32_t)pid : 0;
    return start;
}

static void take_line(char *line, struct probation_file *out) {
    char *value = line;
    while (*value != 0 && *value != ' ')
        value++;
    if (*value == 0)
        return;
    *value++ = 0;
    const char *number = value;
    if (bare_equal(line, "pillion"))
        take(out->version, sizeof out->version, value);
    else if (bare_equal(line, "exe"))
        take(out->exe, sizeof out->exe, value);
    else if (bare_equal(line, "program"))
        take(out->program, sizeof out->program, value);
    else if (bare_equal(line, "start"))
        out->start = take_start(value);
    else if (bare_equal(line, "decided"))
        out->decided_ns = bare_digits(&number);
    else if (bare_equal(line, "proven"))
        out->is_proven = true;
    else if (bare_equal(line, "died") && out->death_count < PROBATION_DEATHS)
        out->deaths[out->death_count++] = take_start(value);
}

long probation_file_open(const char *path, struct probation_file *out) {
    struct stat about;
    struct bare_lines lines;
    size_t bytes;
    bool whole;
    *out = (struct probation_file){0};
    long fd = bare_open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
    if (fd < 0)
        return fd;
    if (bare_fstat((int)fd, &about) < 0 || !S_ISREG(about.st_mode) || about.st_uid != bare_uid()) {
        bare_close((int)fd);
        return -EPERM;
    }
    bare_lines_begin(&lines, (int)fd, FILE_BYTES);
    for (char *line; (line = bare_line(&lines, &bytes, &whole)) != NULL;)
        take_line(line, out);
    return fd;
}

static void add_line(struct bare_text *text, const char *name, const char *value) {
    bare_add(text, name);
    bare_add(text, " ");
    for (; *value != 0; value++)
        bare_add_bytes(text, *value == '\n' ? "?" : value, 1);
    bare_add(text, "\n");
}

static void add_start(struct bare_text *text, const char *name, const struct probation_start *start) {
    bare_add(text, name);
    bare_add(text, " ");
    bare_add_number(text, start->time_ns);
    bare_add(text, " ");
    bare_add_number(text, (uint64_t)start->pid);
    bare_add(text, "\n");
}

static void compose(struct bare_text *text, const struct probation_file *file) {
    add_line(text, "pillion", file->version);
    add_line(text, "exe", file->exe);
    add_line(text, "program", file->program);
    for (int at = 0; at < file->death_count; at++)
        add_start(text, "died", &file->deaths[at]);
    if (file->start.time_ns != 0)
        add_start(text, "start", &file->start);
    if (file->decided_ns != 0) {
        bare_add(text, "decided ");
        bare_add_number(text, file->decided_ns);
        bare_add(text, "\n");
    }
}

// The lock is in the mapping from now on. NULL: refused.
static void *lock(int fd) {
    if (bare_flock(fd, LOCK_EX | LOCK_NB) < 0)
        return NULL;
    void *page = bare_map(PAGE_BYTES, PROT_READ, MAP_SHARED, fd);
    if (page == NULL || bare_advise(page, PAGE_BYTES, MADV_DONTFORK) >= 0)
        return page;
    bare_unmap(page, PAGE_BYTES);
    return NULL;
}

bool probation_file_write(const char *folder, const char *name, const struct probation_file *file, void **page) {
    char fresh[BARE_PATH_BYTES], memory[FILE_BYTES];
    struct bare_text text;
    bare_text(&text, memory, sizeof memory);
    compose(&text, file);
    long fd = bare_put_begin(folder, name, &text, fresh);
    if (fd < 0)
        return false;
    bool locked = page == NULL || (*page = lock((int)fd)) != NULL;
    bare_close((int)fd);
    if (bare_put_end(fresh, folder, name, locked))
        return true;
    if (page != NULL && *page != NULL)
        probation_file_unlock(*page);
    return false;
}

void probation_file_unlock(void *page) {
    bare_unmap(page, PAGE_BYTES);
}
