// SPDX-License-Identifier: Apache-2.0
// ring_folder: whether a folder takes one more ring. A tmpfs is memory, and of a container its own: where no collector
// comes to fetch what ended processes left, that must not grow for ever. Living processes are never refused: what all
// rings take together is asked first, and only when it is much, whose owner is gone (the lock is free). In a shared
// folder each user has a share of its own: nobody can use up another's. Runs on an application's thread, once for each
// ring that is made: some microseconds for each entry.
#define _GNU_SOURCE
#include "ring_layout.h"
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_LIMIT 4096u
#define BYTES_LIMIT ((uint64_t)256 << 20)

struct total {
    uint64_t bytes;
    unsigned files;
};

static bool is_ring(const char *name) {
    size_t bytes = strlen(name);
    return bytes > 5 && strcmp(name + bytes - 5, ".ring") == 0;
}

static bool has_owner(int folder, const char *name) {
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return false;
    bool locked = flock(fd, LOCK_SH | LOCK_NB) != 0;
    close(fd);
    return locked;
}

static struct total count(DIR *folder, bool only_left) {
    struct total total = {0};
    rewinddir(folder);
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        struct stat about;
        if (!is_ring(entry->d_name) || fstatat(dirfd(folder), entry->d_name, &about, AT_SYMLINK_NOFOLLOW) != 0 ||
            about.st_uid != geteuid() || (only_left && has_owner(dirfd(folder), entry->d_name)))
            continue;
        total.bytes += (uint64_t)about.st_blocks * 512;
        total.files++;
    }
    return total;
}

enum status ring_folder_room(const char *directory, uint64_t limit_bytes) {
    uint64_t limit = limit_bytes != 0 ? limit_bytes : BYTES_LIMIT;
    DIR *folder = opendir(directory);
    if (folder == NULL)
        return STATUS_IO;
    bool room = false;
    for (int only_left = 0; only_left < 2 && !room; only_left++) {
        struct total total = count(folder, only_left != 0);
        room = total.files < FILES_LIMIT && total.bytes < limit;
    }
    closedir(folder);
    return room ? STATUS_OK : STATUS_FULL;
}
