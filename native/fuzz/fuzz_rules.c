// SPDX-License-Identifier: Apache-2.0
// Any bytes as a file of rules, a command line, and the files and names of the guarded start. Besides not crashing:
// texts end within their buffers, a verdict has a code, and a name that is read is written the same again.
#define _GNU_SOURCE
#include "probation_file.h"
#include "rules.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORDS 64

// The input up to the first 0xFF is the file, the rest is a command line of NUL-ended words.
static int split(const char *text, size_t bytes, const char **words) {
    int count = 0;
    for (size_t at = 0; at < bytes && count < WORDS - 1; at++) {
        words[count++] = text + at;
        at += strlen(text + at);
    }
    words[count] = NULL;
    return count;
}

static void fuzz_rules(const char *path, int argc, const char *const *argv) {
    static char named[64];
    snprintf(named, sizeof named, "PILLION_RULES=%s", path);
    const char *const envp[] = {named, "A=1", NULL};
    struct subject subject = {
        .exe = "/usr/bin/python3", .argv = argv, .argc = argc, .envp = envp, .uid = 7, .root = "/nowhere"};
    struct verdict verdict;
    rules_decide(&subject, &verdict);
    bool ends = memchr(verdict.code, 0, sizeof verdict.code) != NULL &&
                memchr(verdict.reason, 0, sizeof verdict.reason) != NULL &&
                memchr(verdict.notes, 0, sizeof verdict.notes) != NULL;
    if (!ends || verdict.deny != (verdict.code[0] != 0) || (verdict.deny && verdict.reason[0] == 0))
        abort();
}

static void fuzz_guard(const char *path, const char *name) {
    struct probation_file file;
    struct probation_name parsed, again;
    long fd = probation_file_open(path, &file);
    if (fd < 0 || file.death_count > PROBATION_DEATHS || memchr(file.exe, 0, sizeof file.exe) == NULL)
        abort();
    close((int)fd);
    if (!probation_name_read(name, &parsed))
        return;
    char memory[160];
    struct bare_text text;
    bare_text(&text, memory, sizeof memory);
    probation_name_add(&text, &parsed);
    if (!probation_name_read(memory, &again) || memcmp(&parsed.key, &again.key, sizeof parsed.key) != 0)
        abort();
}

static char path[64];

static void clear(void) {
    unlink(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static int fd = -1;
    const char *words[WORDS];
    if (fd < 0) {
        snprintf(path, sizeof path, "/dev/shm/fuzz_rules-%d", getpid());
        fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
        atexit(clear);
    }
    char *text = malloc(size + 1);
    if (text == NULL || fd < 0)
        abort();
    memcpy(text, data, size);
    text[size] = 0;
    char *mark = memchr(text, 0xFF, size);
    size_t file_bytes = mark != NULL ? (size_t)(mark - text) : size;
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, file_bytes, 0) != (ssize_t)file_bytes)
        abort();
    int argc = mark != NULL ? split(mark + 1, size - file_bytes - 1, words) : split("", 0, words);
    fuzz_rules(path, argc, words);
    struct argv_shape shape;
    rules_argv(argc, words, &shape);
    if ((shape.kind == ARGV_SCRIPT || shape.kind == ARGV_MODULE || shape.kind == ARGV_COMMAND) != (shape.what != NULL))
        abort();
    fuzz_guard(path, text);
    free(text);
    return 0;
}
