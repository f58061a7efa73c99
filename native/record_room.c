// SPDX-License-Identifier: Apache-2.0
// record_room: keeps the folder of records small where no collector comes to tidy it: a tmpfs is memory, and a
// container may start a short Python each second for years. Asked by every start, one system call; once there are
// thousands, each start takes away some of this pid namespace's dead, so that it costs none of them more than some
// milliseconds.
#include "bare_file.h"
#include "bare_process.h"
#include "record.h"

#define FOLDER_BYTES (128u << 10) // a tmpfs counts 20 bytes an entry: 6,500 of them
#define LOOKED_AT 512             // entries, at a start

// Whether a name is "<pid>-<ticks>[-<pid namespace>].json" of this namespace, and its process is gone.
static bool is_dead(const char *name, uint64_t pid_namespace) {
    const char *at = name;
    uint64_t pid = bare_digits(&at), ticks, space = BARE_FIRST_NAMESPACE;
    if (at == name || *at++ != '-' || pid > INT32_MAX)
        return false;
    ticks = bare_digits(&at);
    if (*at == '-') {
        at++;
        space = bare_digits(&at);
    }
    return bare_equal(at, ".json") && space == pid_namespace && bare_start_ticks((int32_t)pid) != ticks;
}

struct room {
    const char *folder;
    uint64_t pid_namespace;
};

static void remove_dead(void *with, const char *name) {
    const struct room *room = with;
    char path[BARE_PATH_BYTES];
    if (is_dead(name, room->pid_namespace) && bare_join(path, sizeof path, room->folder, name))
        bare_unlink(path);
}

void record_make_room(const char *run_dir) {
    char folder[BARE_PATH_BYTES];
    struct stat about;
    if (!bare_join(folder, sizeof folder, run_dir, "processes") || bare_lstat(folder, &about) < 0 ||
        !S_ISDIR(about.st_mode) || about.st_size < FOLDER_BYTES)
        return;
    struct room room = {folder, bare_pid_namespace()};
    bare_each(folder, LOOKED_AT, remove_dead, &room);
}
