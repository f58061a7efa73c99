// SPDX-License-Identifier: Apache-2.0
// record_dir: the run directory, found as agent/pillion/rundir.py finds it (choose, is_shared, make). See record.h.
#include "bare_file.h"
#include "bare_process.h"
#include "record.h"
#include <errno.h>
#include <unistd.h>

#define CANDIDATES 4
#define SHARED_FOLDER 03777

static bool is_folder(const char *path, struct stat *out) {
    return bare_lstat(path, out) >= 0 && S_ISDIR(out->st_mode);
}

// Made by `pillion up --shared`: nobody else may change it, and everybody may put files into its parts.
static bool is_shared(const char *path, const struct stat *about) {
    char rings[BARE_PATH_BYTES];
    struct stat inner;
    return (about->st_mode & 022) == 0 && bare_join(rings, sizeof rings, path, "rings") && is_folder(rings, &inner) &&
           (inner.st_mode & 07777) == SHARED_FOLDER && inner.st_uid == about->st_uid;
}

static bool is_usable(const char *path, uint32_t uid, bool is_first) {
    struct stat about;
    if (!is_folder(path, &about))
        return false;
    return (is_first && is_shared(path, &about)) || (about.st_uid == uid && bare_access(path, W_OK | X_OK) == 0);
}

// Whether the folder could be made: nothing is there, and its parent takes it.
static bool is_possible(const char *path) {
    char parent[BARE_PATH_BYTES];
    struct stat about;
    struct bare_text text;
    bare_text(&text, parent, sizeof parent);
    bare_add_bytes(&text, path, (size_t)(bare_base(path) - path) - 1);
    return bare_lstat(path, &about) == -ENOENT && bare_stat(parent, &about) >= 0 && S_ISDIR(about.st_mode) &&
           bare_access(parent, W_OK | X_OK) == 0;
}

static bool on_tmpfs(const char *path, bool exists) {
    char parent[BARE_PATH_BYTES];
    struct bare_text text;
    bare_text(&text, parent, sizeof parent);
    bare_add_bytes(&text, path, exists ? bare_length(path) : (size_t)(bare_base(path) - path) - 1);
    return bare_on_tmpfs(parent);
}

// The candidate of a number, best first; false: there is none of this number.
static bool candidate(const struct subject *subject, int number, char *out, size_t out_bytes) {
    const char *private = bare_getenv(subject->envp, "XDG_RUNTIME_DIR");
    struct bare_text path;
    bare_text(&path, out, out_bytes);
    if (number == 0)
        bare_add(&path, "/run/pillion");
    if (number == 1 && private != NULL && private[0] == '/') {
        bare_add(&path, private);
        bare_add(&path, "/pillion");
    }
    if (number >= 2) {
        bare_add(&path, number == 2 ? "/dev/shm/pillion-" : "/tmp/pillion-");
        bare_add_number(&path, subject->uid);
    }
    return path.used > 0 && !path.cut;
}

// PILLION_RUN_DIR, absolute. False: it isn't set, or too long.
static bool configured(const struct subject *subject, char *out, size_t out_bytes) {
    const char *path = bare_getenv(subject->envp, "PILLION_RUN_DIR");
    struct bare_text text;
    bare_text(&text, out, out_bytes);
    if (path == NULL || path[0] == 0)
        return false;
    if (path[0] != '/') {
        long bytes = bare_readlink("/proc/self/cwd", out, out_bytes);
        text.used = bytes > 0 ? (size_t)bytes : 0;
        bare_add(&text, "/");
    }
    bare_add(&text, path);
    while (text.used > 1 && out[text.used - 1] == '/')
        out[--text.used] = 0;
    return !text.cut;
}

// The first one that will do on a tmpfs, else the first that will do; `new` also those that are not made yet.
static bool choose(const struct subject *subject, bool new, char *out, size_t out_bytes) {
    for (int on_disk = 0; on_disk < 2; on_disk++)
        for (int number = 0; number < CANDIDATES; number++) {
            if (!candidate(subject, number, out, out_bytes))
                continue;
            bool exists = is_usable(out, subject->uid, number == 0);
            if ((exists || (new && is_possible(out))) && (on_disk || on_tmpfs(out, exists)))
                return true;
        }
    out[0] = 0;
    return false;
}

bool run_dir_find(const struct subject *subject, char *out, size_t out_bytes) {
    struct stat about;
    if (!configured(subject, out, out_bytes)) {
        // What boot would choose, were it to run; when that isn't there, nothing is.
        return choose(subject, true, out, out_bytes) && is_folder(out, &about);
    }
    return bare_stat(out, &about) >= 0 && S_ISDIR(about.st_mode);
}

bool run_dir_make(const struct subject *subject, char *out, size_t out_bytes) {
    if (run_dir_find(subject, out, out_bytes))
        return true;
    return out[0] != 0 && bare_mkdir(out, 0700) >= 0;
}

bool run_dir_part(const char *run_dir, const char *name, char *out, size_t out_bytes) {
    struct stat about;
    if (run_dir[0] == 0 || !bare_may_write() || !bare_join(out, out_bytes, run_dir, name))
        return false;
    if (is_folder(out, &about))
        return true;
    return bare_stat(run_dir, &about) >= 0 && about.st_uid == bare_uid() && bare_mkdir(out, 0700) >= 0;
}
