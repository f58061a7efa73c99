// SPDX-License-Identifier: Apache-2.0
// preload_self: see preload_self.h. A dozen system calls, in Python processes alone.
#include "preload_self.h"
#include "bare.h"
#include "preload_symbol.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

static const char here = 0; // lies in the mapping of this library's file

// The path at the end of a line of /proc/self/maps, when the line's range holds the address.
static const char *mapped_at(const char *line, uint64_t address) {
    uint64_t range[2] = {0, 0};
    for (int i = 0; i < 2; i++, line++) {
        for (;; line++) {
            int digit = *line >= '0' && *line <= '9'   ? *line - '0'
                        : *line >= 'a' && *line <= 'f' ? *line - 'a' + 10
                                                       : -1;
            if (digit < 0)
                break;
            range[i] = range[i] << 4 | (uint64_t)digit;
        }
        if (*line == 0)
            return NULL;
    }
    const char *path = bare_find(line, "/");
    // The device has a colon, no slash: the first slash begins the path.
    return address >= range[0] && address < range[1] ? path : NULL;
}

// The file that this library was mapped from, links followed by the kernel.
static bool library_path(char *buffer, size_t capacity, char *out, size_t out_bytes) {
    long fd = bare_open("/proc/self/maps", O_RDONLY, 0);
    if (fd < 0)
        return false;
    const char *found = NULL;
    size_t used = 0;
    long got;
    while (found == NULL && (got = bare_read((int)fd, buffer + used, capacity - 1 - used)) > 0) {
        used += (size_t)got;
        buffer[used] = 0;
        char *line = buffer;
        for (char *end; found == NULL && (end = (char *)bare_find(line, "\n")) != NULL; line = end + 1) {
            *end = 0;
            found = mapped_at(line, (uintptr_t)&here);
        }
        if (found == NULL) { // keep the line that is not whole yet
            size_t rest = (size_t)(buffer + used - line);
            for (size_t i = 0; i < rest; i++)
                buffer[i] = line[i];
            used = rest < capacity - 1 ? rest : 0;
        }
    }
    bare_close((int)fd);
    struct bare_text text;
    bare_text(&text, out, out_bytes);
    bare_add(&text, found != NULL ? found : "");
    return found != NULL && !text.cut;
}

static bool holds_package(const char *root, char *buffer, size_t capacity) {
    struct bare_text path;
    bare_text(&path, buffer, capacity);
    bare_add(&path, root);
    bare_add(&path, "/pillion/boot/sitecustomize.py");
    return !path.cut && bare_access(buffer, R_OK) == 0;
}

// The library lies in ROOT/ARCH of a bundle, or in ROOT/pillion of an installed package.
static bool find_root(struct self *self) {
    if (!library_path(self->maps, sizeof self->maps, self->root, sizeof self->root))
        return false;
    for (int up = 0; up < 2; up++) {
        char *base = (char *)bare_base(self->root);
        if (base == self->root)
            return false;
        base[-1] = 0;
        if (holds_package(self->root, self->maps, sizeof self->maps))
            return true;
    }
    return false;
}

static bool read_command(struct self *self) {
    long bytes = bare_read_file("/proc/self/cmdline", self->command, sizeof self->command);
    if (bytes < 0)
        return false;
    int argc = 0;
    for (long at = 0; at < bytes && argc < SELF_ARGUMENTS; at++) {
        self->argv[argc++] = self->command + at;
        while (at < bytes && self->command[at] != 0)
            at++;
    }
    self->subject.argc = argc;
    self->subject.argv = self->argv;
    return true;
}

struct self *self_read(const char *python) {
    struct self *self = bare_map(sizeof *self, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    if (self == NULL)
        return NULL;
    if (!find_root(self) || !read_command(self) || bare_readlink("/proc/self/exe", self->exe, sizeof self->exe) < 0) {
        self_free(self);
        return NULL;
    }
    struct bare_text version;
    bare_text(&version, self->python, sizeof self->python);
    for (size_t i = 0; python[i] != 0 && python[i] != ' '; i++)
        bare_add_bytes(&version, python + i, 1);
    self->subject.exe = self->exe;
    const char *const **environment = preload_symbol("environ");
    self->subject.envp = environment != NULL ? *environment : NULL;
    self->subject.uid = bare_uid();
    self->subject.root = self->root;
    return self;
}

void self_free(struct self *self) {
    bare_unmap(self, sizeof *self);
}

bool preload_is_off(const char *value) {
    static const char *const words[] = {"false", "0", "no", "off"};
    while (*value == ' ' || (*value >= '\t' && *value <= '\r'))
        value++;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const char *at = value, *word = words[i];
        while (*word != 0 && (*at | 0x20) == (*word | 0x20))
            at++, word++;
        while (*at == ' ' || (*at >= '\t' && *at <= '\r'))
            at++;
        if (*word == 0 && *at == 0)
            return true;
    }
    return false;
}
