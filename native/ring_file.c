// SPDX-License-Identifier: Apache-2.0
// ring_file: making, growing and leaving a ring's memory. Space is reserved before it is mapped, because a store into a
// full tmpfs is a SIGBUS in the application's thread; the whole maximum is mapped at once, so that growing moves
// nothing. The owner's flock lives on in the mapping after the descriptor is closed: the kernel drops it at any death,
// and neither a descriptor nor the lock reaches a fork's child (the mapping is MADV_DONTFORK). ring_create runs on an
// application's thread; ring_grow on the sender's.
#define _GNU_SOURCE
#include "bare_process.h"
#include "clock.h"
#include "ids.h"
#include "ring_layout.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#define TMPFS_MAGIC_NUMBER 0x01021994
#define RENAME_NOREPLACE_FLAG 1u // <linux/fs.h>; older than the headers of the oldest libc we load in
#define LIMIT_DEFAULT (16u << 20)
#define PATH_ROOM 128u   // for "/.<pid>-<ticks>-<namespace>.<serial>.<8 random digits>.tmp"
#define NAMES_TRIED 100u // a pid and its start time may have left rings before: exec

static _Atomic uint32_t serials;

// With the pid, the process's name for good.
struct owner {
    uint64_t start_ticks;
    uint64_t pid_namespace;
};

static enum status reserve_space(int fd, uint64_t from, uint64_t bytes) {
    int refused;
    do
        refused = fallocate(fd, 0, (off_t)from, (off_t)bytes);
    while (refused != 0 && errno == EINTR);
    if (refused == 0)
        return STATUS_OK;
    return errno == ENOSPC || errno == ENOMEM || errno == EDQUOT ? STATUS_NO_MEMORY
           : errno == EOPNOTSUPP                                 ? STATUS_UNSUPPORTED
                                                                 : STATUS_IO;
}

static uint64_t bytes_of(uint32_t segments) {
    return RING_SEGMENTS_AT + (uint64_t)segments * RING_SEGMENT_BYTES;
}

static enum status map_private(struct ring *ring) {
    void *memory =
        mmap(NULL, ring->mapped_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return STATUS_NO_MEMORY;
    ring->file = memory;
    return STATUS_OK;
}

// Of many users, whose files have the group of a collector that may read them.
static bool is_shared(const char *directory) {
    struct stat about;
    return stat(directory, &about) == 0 && (about.st_mode & S_ISGID) != 0;
}

// A file that has the space, the lock and a mapping, still under its temporary name.
static enum status map_file(struct ring *ring, const char *temporary, bool shared_folder) {
    enum status status = STATUS_IO;
    struct statfs system = {0};
    void *memory = MAP_FAILED;
    int fd = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return STATUS_IO;
    if (fstatfs(fd, &system) != 0)
        goto done;
    if (system.f_type != TMPFS_MAGIC_NUMBER) {
        status = STATUS_UNSUPPORTED;
        goto done;
    }
    if (shared_folder && fchmod(fd, 0640) != 0)
        goto done;
    status = reserve_space(fd, 0, bytes_of(RING_SEGMENTS_FIRST));
    if (status != STATUS_OK)
        goto done;
    status = STATUS_IO;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        goto done;
    memory = mmap(NULL, ring->mapped_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        goto done;
    ring->file = memory;
    status = STATUS_OK;
done:
    if (status != STATUS_OK)
        unlink(temporary);
    close(fd);
    return status;
}

// Renames without replacing. Where the kernel can't, a link does it (and /proc/<pid>/maps will say "deleted").
static bool rename_to_new(const char *from, const char *to) {
#ifdef SYS_renameat2
    if (syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE_FLAG) == 0)
        return true;
    if (errno != ENOSYS && errno != EINVAL)
        return false;
#endif
    return link(from, to) == 0 && unlink(from) == 0;
}

// Gives the file its name, which must not replace an older ring: that one may hold records that nobody has read yet.
static enum status publish(struct ring *ring, const char *temporary, size_t stem_bytes) {
    char *tail = ring->path + stem_bytes;
    for (unsigned n = 0; n < NAMES_TRIED; n++) {
        if (n == 0)
            snprintf(tail, PATH_ROOM / 2, ".ring");
        else
            snprintf(tail, PATH_ROOM / 2, ".%u.ring", n);
        if (rename_to_new(temporary, ring->path))
            return STATUS_OK;
        if (errno != EEXIST)
            break;
    }
    return STATUS_IO;
}

static void fill(struct ring *ring, const struct ring_options *options, const struct owner *owner) {
    struct ring_file *file = ring->file;
    memcpy(file->magic, RING_MAGIC, sizeof file->magic);
    file->layout = RING_LAYOUT;
    file->segments_at = RING_SEGMENTS_AT;
    file->segment_bytes = RING_SEGMENT_BYTES;
    file->segments_max = ring->segments_max;
    file->pid = (uint32_t)getpid();
    file->start_ticks = owner->start_ticks;
    file->pid_namespace = owner->pid_namespace;
    file->created_ns = clock_real_ns();
    memcpy(file->instance_id, options->instance_id, sizeof file->instance_id);
    ids_bytes(file->ring_id, sizeof file->ring_id);
    file->resource_bytes = options->resource_bytes;
    if (options->resource_bytes != 0)
        memcpy((uint8_t *)file + RING_RESOURCE_AT, options->resource, options->resource_bytes);
    atomic_store(&file->lease, (uint64_t)getpid());
    atomic_store(&file->segment_count, RING_SEGMENTS_FIRST);
    atomic_store(&file->free_slots, ((uint64_t)1 << RING_SEGMENTS_FIRST) - 2); // the tail stands in slot 0
    ring->segments = (uint8_t *)file + RING_SEGMENTS_AT;
    ring->view.segments = ring->segments;
    ring->view.generations = file->generations;
    ring->view.resource = (uint8_t *)file + RING_RESOURCE_AT;
    ring->view.resource_bytes = options->resource_bytes;
    ring_sync_strings(ring);
}

// Memory for the handle, with room for the path and its endings.
static struct ring *new_handle(const struct ring_options *options) {
    size_t path_bytes = options->directory != NULL ? strlen(options->directory) + PATH_ROOM : 1;
    struct ring *ring = calloc(1, sizeof *ring + path_bytes);
    if (ring == NULL)
        return NULL;
    uint64_t limit = options->limit_bytes != 0 ? options->limit_bytes : LIMIT_DEFAULT;
    uint64_t segments = limit > RING_SEGMENTS_AT ? (limit - RING_SEGMENTS_AT) / RING_SEGMENT_BYTES : 0;
    ring->segments_max = segments < RING_SEGMENTS_FIRST ? RING_SEGMENTS_FIRST
                         : segments > RING_SEGMENTS_MAX ? RING_SEGMENTS_MAX
                                                        : (uint32_t)segments;
    ring->mapped_bytes = bytes_of(ring->segments_max);
    ring->serial = atomic_fetch_add(&serials, 1) & 0x7fffffu;
    ring->wake = options->wake;
    ring->wake_self = options->wake_self;
    return ring;
}

// The file, from nothing to its published name. The temporary name is gone in any case.
static enum status make_shared(struct ring *ring, const struct ring_options *options, const struct owner *owner) {
    enum status status = ring_folder_room(options->directory, options->folder_bytes);
    if (status != STATUS_OK)
        return status;
    size_t room = strlen(options->directory) + PATH_ROOM;
    char *temporary = malloc(room);
    if (temporary == NULL)
        return STATUS_NO_MEMORY;
    struct bare_text path;
    uint32_t random; // nobody else can take this name before us
    ids_bytes((uint8_t *)&random, sizeof random);
    bare_text(&path, ring->path, room);
    bare_add(&path, options->directory);
    bare_add(&path, "/");
    bare_add_process(&path, getpid(), owner->start_ticks, owner->pid_namespace);
    snprintf(temporary, room, "%s/.%s.%u.%08x.tmp", options->directory, ring->path + strlen(options->directory) + 1,
             ring->serial, random);
    status = map_file(ring, temporary, is_shared(options->directory));
    if (status == STATUS_OK) {
        madvise(ring->file, ring->mapped_bytes, MADV_DONTFORK);
        ring->shared = true;
        fill(ring, options, owner);
        status = publish(ring, temporary, path.used);
        if (status != STATUS_OK)
            unlink(temporary);
    }
    free(temporary);
    return status;
}

enum status ring_create(struct ring **out, const struct ring_options *options) {
    *out = NULL;
    if (options->resource_bytes > RING_RESOURCE_LIMIT)
        return STATUS_TOO_LARGE;
    struct ring *ring = new_handle(options);
    if (ring == NULL)
        return STATUS_NO_MEMORY;
    struct owner owner = {bare_start_ticks(0), bare_pid_namespace()};
    enum status status;
    if (options->directory != NULL) {
        status = make_shared(ring, options, &owner);
    } else if ((status = map_private(ring)) == STATUS_OK) {
        madvise(ring->file, ring->mapped_bytes, MADV_DONTFORK);
        fill(ring, options, &owner);
    }
    if (status != STATUS_OK) {
        int saved = errno;
        if (ring->file != NULL)
            munmap(ring->file, ring->mapped_bytes);
        free(ring);
        errno = saved;
        return status;
    }
    ring_adopt_counts(ring);
    *out = ring;
    return STATUS_OK;
}

bool ring_is_shared(const struct ring *ring) {
    return ring->shared;
}

const char *ring_path(const struct ring *ring) {
    return ring->path;
}

const uint8_t *ring_id(const struct ring *ring) {
    return ring->file->ring_id;
}

uint32_t ring_segments(const struct ring *ring) {
    return atomic_load_explicit(&ring->file->segment_count, memory_order_relaxed) -
           (uint32_t)__builtin_popcountll(ring->given_back);
}

// Opens the ring's file once more for a moment; -1: private memory, or errno says.
static int reopen(const struct ring *ring) {
    return ring->shared ? open(ring->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW) : -1;
}

// Space for one segment more: one that was given back, else a new one.
static enum status add_segment(struct ring *ring, int fd) {
    struct ring_file *file = ring->file;
    uint32_t count = atomic_load_explicit(&file->segment_count, memory_order_relaxed);
    uint32_t slot = ring->given_back != 0 ? (uint32_t)__builtin_ctzll(ring->given_back) : count;
    if (slot >= ring->segments_max)
        return STATUS_FULL;
    enum status status = ring->shared ? reserve_space(fd, bytes_of(slot), RING_SEGMENT_BYTES) : STATUS_OK;
    if (status != STATUS_OK)
        return status;
    if (slot == count) { // fresh pages are empty words of generation 0
        atomic_store_explicit(&file->segment_count, count + 1, memory_order_release);
        atomic_fetch_or_explicit(&file->free_slots, (uint64_t)1 << slot, memory_order_release);
    } else {
        ring->given_back &= ring->given_back - 1;
        ring_refill(ring, slot);
    }
    ring_count(ring, RING_GROWN, 1);
    return STATUS_OK;
}

enum status ring_grow(struct ring *ring) {
    int fd = reopen(ring);
    if (ring->shared && fd < 0)
        return STATUS_IO;
    enum status status = add_segment(ring, fd);
    for (uint32_t more = 1; more < RING_SEGMENTS_STEP && status == STATUS_OK; more++)
        if (add_segment(ring, fd) != STATUS_OK)
            break; // the first one counts
    if (fd >= 0)
        close(fd);
    return status;
}

void ring_shrink(struct ring *ring) {
    struct ring_file *file = ring->file;
    if (ring_segments(ring) <= RING_SEGMENTS_FIRST)
        return;
    int fd = reopen(ring);
    if (ring->shared && fd < 0)
        return;
    for (uint32_t left = RING_SEGMENTS_MAX; left > 0 && ring_segments(ring) > RING_SEGMENTS_FIRST; left--) {
        uint64_t bit = (uint64_t)1 << (left - 1);
        if ((atomic_fetch_and_explicit(&file->free_slots, ~bit, memory_order_acquire) & bit) == 0)
            continue;                                                                     // in use, or not there
        atomic_fetch_add_explicit(&file->generations[left - 1], 1, memory_order_seq_cst); // refuses late comers
        ring->given_back |= bit;
        if (ring->shared) // should it fail, the space stays reserved, and no harm is done
            (void)!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)bytes_of(left - 1),
                             RING_SEGMENT_BYTES);
        else
            madvise(ring->segments + (size_t)(left - 1) * RING_SEGMENT_BYTES, RING_SEGMENT_BYTES, MADV_DONTNEED);
    }
    if (fd >= 0)
        close(fd);
}

void ring_destroy(struct ring *ring) {
    if (ring == NULL)
        return;
    if (ring->shared && !ring_pending(ring))
        unlink(ring->path);
    munmap(ring->file, ring->mapped_bytes);
    free(ring);
}

void ring_leave(struct ring *ring) {
    struct ring_file *file = ring->file;
    uint32_t used = atomic_load(&file->segment_count);
    uint64_t unused = atomic_load(&file->free_slots) | ring->given_back;
    if (!ring_pending(ring))
        used = 0;
    while (used > 0 && (unused >> (used - 1) & 1) != 0)
        used--;
    atomic_store(&file->segment_count, used);
    atomic_store(&file->ended, 1);
    if (ring->shared && truncate(ring->path, (off_t)bytes_of(used)) != 0)
        errno = 0; // then it stays larger than it needs to be
    munmap(file, ring->mapped_bytes);
    free(ring);
}
