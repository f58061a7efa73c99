// SPDX-License-Identifier: Apache-2.0
// ring_folder: how much all rings of one folder take together. A tmpfs is memory, and of a container its own: where no
// collector comes to fetch what dead processes left, it must not grow for ever. Asked once for each ring that is made,
// on an application's thread: a directory of some hundred entries takes well under a millisecond.
#include "ring_layout.h"
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define FILES_LIMIT 4096u
#define BYTES_LIMIT ((uint64_t)256 << 20)

static bool is_ring(const char *name) {
    size_t bytes = strlen(name);
    return bytes > 5 && strcmp(name + bytes - 5, ".ring") == 0;
}

enum status ring_folder_room(const char *directory, uint64_t limit_bytes) {
    uint64_t bytes = 0, limit = limit_bytes != 0 ? limit_bytes : BYTES_LIMIT;
    unsigned files = 0;
    DIR *folder = opendir(directory);
    if (folder == NULL)
        return STATUS_IO;
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        struct stat about;
        if (!is_ring(entry->d_name) || fstatat(dirfd(folder), entry->d_name, &about, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        bytes += (uint64_t)about.st_blocks * 512;
        files++;
    }
    closedir(folder);
    return files < FILES_LIMIT && bytes < limit ? STATUS_OK : STATUS_FULL;
}
