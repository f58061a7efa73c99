// SPDX-License-Identifier: Apache-2.0
// ring_reader: see ring_reader.h. Runs in the collector. Memory: one copy of the file, at most 16.2 MiB.
#include "ring_reader.h"
#include "ring_layout.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_MAX (RING_SEGMENTS_AT + (size_t)RING_SEGMENTS_MAX * RING_SEGMENT_BYTES)

static bool makes_sense(const struct ring_file *file, size_t bytes) {
    return file->segments_at == RING_SEGMENTS_AT && file->segment_bytes == RING_SEGMENT_BYTES &&
           file->segments_max <= RING_SEGMENTS_MAX && file->resource_bytes <= RING_RESOURCE_LIMIT &&
           bytes <= FILE_BYTES_MAX;
}

static uint32_t smaller(uint64_t a, uint64_t b) {
    return (uint32_t)(a < b ? a : b);
}

enum status ring_image_parse(struct ring_image *out, uint8_t *memory, size_t bytes, bool dead) {
    const struct ring_file *file = (const struct ring_file *)memory;
    enum status status = STATUS_BAD_INPUT;
    memset(out, 0, sizeof *out);
    out->memory = memory;
    if (bytes < RING_SEGMENTS_AT || memcmp(file->magic, RING_MAGIC, sizeof file->magic) != 0)
        goto bad;
    if (file->layout != RING_LAYOUT) {
        status = STATUS_UNSUPPORTED;
        goto bad;
    }
    if (!makes_sense(file, bytes))
        goto bad;
    out->pid = file->pid;
    out->start_ticks = file->start_ticks;
    out->pid_namespace = file->pid_namespace;
    out->created_ns = file->created_ns;
    memcpy(out->instance_id, file->instance_id, sizeof out->instance_id);
    memcpy(out->ring_id, file->ring_id, sizeof out->ring_id);
    out->ended = atomic_load_explicit(&file->ended, memory_order_relaxed) == 1;
    for (unsigned i = 0; i < RING_COUNTERS; i++)
        out->counters[i] = atomic_load_explicit(&file->counters[i], memory_order_relaxed);
    for (unsigned i = 0; i < RING_FLIGHT_SLOTS / 64; i++)
        out->flights[i] = atomic_load_explicit(&file->flights[i], memory_order_relaxed);
    out->head = atomic_load_explicit(&file->head, memory_order_relaxed);
    uint32_t count = atomic_load_explicit(&file->segment_count, memory_order_relaxed);
    uint32_t strings = atomic_load_explicit(&file->strings_bytes, memory_order_relaxed);
    out->view = (struct ring_view){
        .generations = file->generations,
        .segments = memory + RING_SEGMENTS_AT,
        .segment_count = smaller(count, (bytes - RING_SEGMENTS_AT) / RING_SEGMENT_BYTES),
        .dead = dead,
        .strings = {memory + RING_STRINGS_AT, smaller(strings, INTERN_BYTES)},
        .resource = memory + RING_RESOURCE_AT,
        .resource_bytes = file->resource_bytes,
    };
    return STATUS_OK;
bad:
    ring_image_free(out);
    return status;
}

// A regular file of ours, nothing that blocks and no link.
static int open_file(const char *path, struct stat *about) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return -1;
    if (fstat(fd, about) == 0 && S_ISREG(about->st_mode))
        return fd;
    close(fd);
    errno = EINVAL;
    return -1;
}

// As much as there is, up to `bytes`: the file may have become shorter.
static size_t read_all(int fd, uint8_t *to, size_t bytes) {
    size_t done = 0;
    while (done < bytes) {
        ssize_t got = pread(fd, to + done, bytes - done, (off_t)done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        done += (size_t)got;
    }
    return done;
}

enum status ring_image_read(struct ring_image *out, const char *path, enum ring_part part, bool dead) {
    struct stat about;
    memset(out, 0, sizeof *out);
    int fd = open_file(path, &about);
    if (fd < 0)
        return STATUS_IO;
    size_t bytes = (size_t)about.st_size;
    uint8_t *memory = NULL;
    enum status status = STATUS_BAD_INPUT;
    if (bytes < RING_SEGMENTS_AT || bytes > FILE_BYTES_MAX)
        goto done;
    if (part == RING_HEADER_ONLY)
        bytes = RING_SEGMENTS_AT;
    status = STATUS_NO_MEMORY;
    memory = malloc(bytes);
    if (memory == NULL)
        goto done;
    status = ring_image_parse(out, memory, read_all(fd, memory, bytes), dead);
done:
    close(fd);
    return status;
}

void ring_image_free(struct ring_image *image) {
    free(image->memory);
    memset(image, 0, sizeof *image);
}

struct ring_cursor ring_image_cursor(const struct ring_image *image) {
    struct ring_position head = ring_unpack(image->head);
    return (struct ring_cursor){
        .view = &image->view, .slot = head.slot, .offset = head.offset, .generation = head.generation};
}

bool ring_image_flight(const struct ring_image *image, uint32_t slot, struct ring_image_flight *out) {
    if (slot >= RING_FLIGHT_SLOTS || (image->flights[slot / 64] >> slot % 64 & 1) == 0)
        return false;
    const struct ring_flight *flight = (const struct ring_flight *)(image->memory + RING_FLIGHTS_AT) + slot;
    if (atomic_load_explicit(&flight->state, memory_order_relaxed) != RING_FLIGHT_SET)
        return false;
    out->head = flight->head;
    out->name = flight->name;
    out->detail = flight->detail;
    out->name_bytes = smaller(flight->name_bytes, sizeof flight->name);
    out->detail_bytes = smaller(flight->detail_bytes, sizeof flight->detail);
    return true;
}

// A shared lock, so that two readers don't take each other for the owner.
enum status ring_owner_alive(const char *path, bool *alive) {
    struct stat about;
    *alive = false;
    int fd = open_file(path, &about);
    if (fd < 0)
        return STATUS_IO;
    int refused;
    do
        refused = flock(fd, LOCK_SH | LOCK_NB);
    while (refused != 0 && errno == EINTR);
    *alive = refused != 0 && errno == EWOULDBLOCK;
    close(fd);
    return STATUS_OK;
}
