// SPDX-License-Identifier: Apache-2.0
// bare_file: see bare_file.h.
#include "bare_file.h"
#include "bare_process.h"
#include <errno.h>
#include <fcntl.h>

bool bare_join(char *out, size_t capacity, const char *folder, const char *name) {
    struct bare_text path;
    bare_text(&path, out, capacity);
    bare_add(&path, folder);
    bare_add(&path, "/");
    bare_add(&path, name);
    return !path.cut;
}

void bare_each(const char *folder, int most, void (*each)(void *with, const char *name), void *with) {
    _Alignas(8) char entries[4096];
    long fd = bare_open(folder, O_RDONLY | O_DIRECTORY, 0), bytes;
    if (fd < 0)
        return;
    for (int seen = 0; seen < most && (bytes = bare_list((int)fd, entries, sizeof entries)) > 0;)
        for (long at = 0; at < bytes && seen < most; seen++) { // linux_dirent64: inode 8, offset 8, length 2, kind 1
            uint16_t length = (uint16_t)((unsigned char)entries[at + 16] | (unsigned char)entries[at + 17] << 8);
            each(with, entries + at + 19);
            at += length > 0 ? length : bytes;
        }
    bare_close((int)fd);
}

long bare_put_begin(const char *folder, const char *name, const struct bare_text *text, char *fresh) {
    char stem[192];
    struct bare_text unique;
    struct stat about;
    bare_text(&unique, stem, sizeof stem);
    bare_add(&unique, ".");
    bare_add(&unique, name);
    bare_add(&unique, ".");
    bare_add_hex(&unique, bare_now_ns());
    bare_add(&unique, ".new");
    if (text->cut || unique.cut || !bare_join(fresh, BARE_PATH_BYTES, folder, stem))
        return -ENAMETOOLONG;
    long fd = bare_open(fresh, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fd;
    if (bare_stat(folder, &about) >= 0 && (about.st_mode & S_ISGID) != 0)
        bare_chmod((int)fd, 0640);
    long put = bare_write_all((int)fd, text->start, text->used);
    if (put >= 0)
        return fd;
    bare_close((int)fd);
    bare_unlink(fresh);
    return put;
}

bool bare_put_end(const char *fresh, const char *folder, const char *name, bool good) {
    char final[BARE_PATH_BYTES];
    if (good && bare_join(final, sizeof final, folder, name) && bare_rename(fresh, final) >= 0)
        return true;
    bare_unlink(fresh);
    return false;
}
