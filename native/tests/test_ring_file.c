// SPDX-License-Identifier: Apache-2.0
// The ring as a file: its name, mode and size, what it refuses, what a fork, an exec and a death leave. Needs a tmpfs
// at /dev/shm; parts that need something this machine has not say so.
#define _GNU_SOURCE
#include "bare_process.h"
#include "check.h"
#include "otlp.h"
#include "ring_layout.h"
#include "ring_reader.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

CHECK_MAIN;

static char directory[64];

static enum status try_make(struct ring **ring, const char *where) {
    struct ring_options options = {.directory = where, .resource = (const uint8_t *)"resource", .resource_bytes = 8};
    memcpy(options.instance_id, "0123456789abcdef", 16);
    return ring_create(ring, &options);
}

static struct ring *make(void) {
    struct ring *ring;
    REQUIRE(try_make(&ring, directory) == STATUS_OK);
    return ring;
}

static int entries(const char *where) {
    DIR *folder = opendir(where);
    int count = 0;
    REQUIRE(folder != NULL);
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count - 2;
}

static bool alive(const char *path) {
    bool is;
    CHECK(ring_owner_alive(path, &is) == STATUS_OK);
    return is;
}

static void a_ring_is_one_small_private_file_without_descriptor(void) {
    int before = entries("/proc/self/fd");
    struct ring *ring = make();
    struct stat about;
    CHECK(ring_is_shared(ring) && entries(directory) == 1 && entries("/proc/self/fd") == before);
    REQUIRE(stat(ring_path(ring), &about) == 0);
    CHECK((about.st_mode & 07777) == 0600 && about.st_size <= 1 << 20);
    CHECK(about.st_blocks * 512 >= about.st_size); // reserved: no store can hit a full tmpfs
    char expected[256], name[64];
    struct bare_text text;
    bare_text(&text, name, sizeof name);
    bare_add_process(&text, getpid(), ring->file->start_ticks, ring->file->pid_namespace);
    snprintf(expected, sizeof expected, "%s/%s.ring", directory, name);
    CHECK(strcmp(ring_path(ring), expected) == 0);
    REQUIRE(ring_grow(ring) == STATUS_OK && stat(ring_path(ring), &about) == 0);
    CHECK(about.st_size > 1 << 20 && about.st_blocks * 512 >= about.st_size);
    ring_shrink(ring);
    REQUIRE(stat(ring_path(ring), &about) == 0);
    CHECK(about.st_blocks * 512 <= 1 << 20);
    ring_destroy(ring);
    CHECK(entries(directory) == 0);
}

static void in_a_setgid_folder_its_group_may_read_a_ring(void) {
    struct stat about;
    REQUIRE(chmod(directory, 03777) == 0);
    mode_t before = umask(0077);
    struct ring *ring = make();
    umask(before);
    REQUIRE(stat(ring_path(ring), &about) == 0);
    CHECK((about.st_mode & 07777) == 0640);
    ring_destroy(ring);
    REQUIRE(chmod(directory, 0700) == 0);
}

static void a_name_tells_the_pid_namespace_only_if_it_is_not_the_first(void) {
    static const struct {
        uint64_t pid_namespace;
        const char *name;
    } names[] = {{0xEFFFFFFC, "5-6"}, {0, "5-6"}, {4026532711, "5-6-4026532711"}};
    for (size_t at = 0; at < sizeof names / sizeof *names; at++) {
        char name[64];
        struct bare_text text;
        bare_text(&text, name, sizeof name);
        bare_add_process(&text, 5, 6, names[at].pid_namespace);
        CHECK(strcmp(name, names[at].name) == 0);
    }
    struct stat about;
    REQUIRE(stat("/proc/self/ns/pid", &about) == 0);
    CHECK(bare_pid_namespace() == about.st_ino);
}

static void a_ring_with_records_stays_and_the_next_one_gets_another_name(void) {
    struct ring *first = make();
    char path[128], second_path[128];
    snprintf(path, sizeof path, "%s", ring_path(first));
    CHECK(ring_push(first, RING_SPAN, "x", 1, NULL, 0) == STATUS_OK);
    CHECK(alive(path));
    ring_destroy(first); // as after an exec: same pid, same start, another life
    CHECK(access(path, F_OK) == 0 && !alive(path));
    struct ring *second = make();
    snprintf(second_path, sizeof second_path, "%s", ring_path(second));
    CHECK(strstr(second_path, ".1.ring") != NULL && alive(second_path) && !alive(path));
    ring_destroy(second);
    CHECK(access(second_path, F_OK) != 0 && unlink(path) == 0);
}

static void a_reader_sees_identity_counters_and_records(void) {
    struct ring *ring = make();
    struct ring_image image;
    struct ring_entry entry;
    uint32_t id = ring_intern(ring, "a name", 6);
    ring_count(ring, RING_RECORDED, 5);
    CHECK(ring_push(ring, RING_SPAN, "abc", 3, "de", 2) == STATUS_OK);
    REQUIRE(ring_image_read(&image, ring_path(ring), RING_WHOLE, false) == STATUS_OK);
    CHECK(image.pid_namespace == bare_pid_namespace());
    CHECK(image.pid == (uint32_t)getpid() && image.start_ticks == ring->file->start_ticks);
    CHECK(memcmp(image.instance_id, "0123456789abcdef", 16) == 0 && image.counters[RING_RECORDED] == 5);
    CHECK(image.view.resource_bytes == 8 && memcmp(image.view.resource, "resource", 8) == 0);
    struct ring_cursor cursor = ring_image_cursor(&image);
    CHECK(ring_next(&cursor, &entry) && entry.length == 5 && memcmp(entry.bytes, "abcde", 5) == 0);
    CHECK(!ring_next(&cursor, &entry));
    const char *text;
    uint32_t bytes;
    CHECK(intern_get(&image.view.strings, id, &text, &bytes) && bytes == 6);
    ring_image_free(&image);
    REQUIRE(ring_image_read(&image, ring_path(ring), RING_HEADER_ONLY, false) == STATUS_OK);
    cursor = ring_image_cursor(&image);
    CHECK(image.counters[RING_RECORDED] == 5 && !ring_next(&cursor, &entry));
    ring_image_free(&image);
    struct ring_cursor own = ring_cursor(ring);
    while (ring_next(&own, &entry))
        ;
    ring_release(ring, &own);
    ring_destroy(ring);
}

static void what_is_no_tmpfs_is_refused_and_leaves_nothing(void) {
    const char *disk = getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/var/tmp";
    struct statfs about;
    struct ring *ring;
    CHECK(try_make(&ring, "/dev/shm/pillion-is-not-here") == STATUS_IO && errno == ENOENT && ring == NULL);
    CHECK(try_make(&ring, "/proc/self") == STATUS_IO && ring == NULL);
    if (statfs(disk, &about) != 0 || about.f_type == 0x01021994) {
        printf("skipped: %s is a tmpfs too\n", disk);
        return;
    }
    int before = entries(disk);
    CHECK(try_make(&ring, disk) == STATUS_UNSUPPORTED && ring == NULL && entries(disk) == before);
}

// PILLION_SMALL_TMPFS names one that is too small (tests/native/test_rings.py mounts it where it may).
static void a_full_tmpfs_refuses_a_ring_and_refuses_growth(void) {
    const char *small = getenv("PILLION_SMALL_TMPFS");
    struct ring *rings[64], *none;
    int made = 0;
    if (small == NULL)
        return;
    while (made < 63 && try_make(&rings[made], small) == STATUS_OK)
        made++;
    CHECK(made > 0 && made < 63 && entries(small) == made);
    CHECK(try_make(&none, small) == STATUS_NO_MEMORY && none == NULL);
    while (ring_grow(rings[0]) == STATUS_OK)
        ;
    CHECK(ring_grow(rings[0]) == STATUS_NO_MEMORY);
    for (int i = 0; i < 700; i++) // all that was reserved can be written
        CHECK(ring_push(rings[0], RING_SPAN, directory, 64, NULL, 0) == STATUS_OK);
    while (made > 0)
        ring_destroy(rings[--made]);
}

static bool is_mapped(const char *path) {
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    bool found = false;
    REQUIRE(maps != NULL);
    while (!found && fgets(line, sizeof line, maps) != NULL)
        found = strstr(line, path) != NULL;
    fclose(maps);
    return found;
}

static int exit_of(pid_t child) {
    int how;
    return waitpid(child, &how, 0) == child && WIFEXITED(how) ? WEXITSTATUS(how) : 255;
}

static void a_forks_child_has_nothing_of_its_parents_ring_and_makes_its_own(void) {
    struct ring *ring = make();
    CHECK(is_mapped(ring_path(ring)));
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        char parents[128];
        snprintf(parents, sizeof parents, "%s", ring_path(ring));
        bool inherited = is_mapped(parents);
        ring_forget(ring);
        ring = make();
        bool good = !inherited && ring->file->pid == (uint32_t)getpid() && strcmp(parents, ring_path(ring)) != 0 &&
                    ring_push(ring, RING_SPAN, "x", 1, NULL, 0) == STATUS_OK && alive(parents);
        unlink(ring_path(ring));
        ring_destroy(ring);
        _exit(good && check_failures == 0 ? 0 : 1);
    }
    CHECK(exit_of(child) == 0);
    CHECK(alive(ring_path(ring)) && !ring_pending(ring));
    CHECK(ring_push(ring, RING_SPAN, "x", 1, NULL, 0) == STATUS_OK && ring_pending(ring));
    unlink(ring_path(ring));
    ring_destroy(ring);
}

// The owner is killed while a child of its own lives on: that child must not keep the dead alive.
static void a_killed_owner_is_seen_as_dead_though_its_child_lives(void) {
    int ends[2], orphan_ends[2];
    char path[128];
    REQUIRE(pipe(ends) == 0 && pipe(orphan_ends) == 0);
    pid_t owner = fork();
    REQUIRE(owner >= 0);
    if (owner == 0) {
        struct ring *ring = make();
        (void)!ring_push(ring, RING_SPAN, "last words", 10, NULL, 0);
        if (fork() == 0) { // lives until the other end of the pipe is closed
            char byte;
            close(ends[1]);
            close(orphan_ends[1]);
            _exit(read(orphan_ends[0], &byte, 1) == 0 ? 0 : 1);
        }
        (void)!write(ends[1], ring_path(ring), strlen(ring_path(ring)) + 1);
        for (;;)
            pause();
    }
    REQUIRE(read(ends[0], path, sizeof path) > 0);
    CHECK(alive(path));
    kill(owner, SIGKILL);
    waitpid(owner, NULL, 0);
    CHECK(!alive(path));
    struct ring_image image;
    struct ring_entry entry;
    REQUIRE(ring_image_read(&image, path, RING_WHOLE, true) == STATUS_OK);
    struct ring_cursor cursor = ring_image_cursor(&image);
    CHECK(ring_next(&cursor, &entry) && entry.length == 10 && memcmp(entry.bytes, "last words", 10) == 0);
    ring_image_free(&image);
    unlink(path);
    close(orphan_ends[1]);
    for (int i = 0; i < 2; i++)
        close(ends[i]);
    close(orphan_ends[0]);
}

static void a_reader_refuses_what_is_no_regular_file(void) {
    struct ring_image image;
    bool is;
    char path[128];
    snprintf(path, sizeof path, "%s/odd", directory);
    CHECK(ring_image_read(&image, path, RING_WHOLE, true) == STATUS_IO && errno == ENOENT);
    CHECK(ring_owner_alive(path, &is) == STATUS_IO);
    REQUIRE(mkfifo(path, 0600) == 0);
    CHECK(ring_image_read(&image, path, RING_WHOLE, true) == STATUS_IO); // and does not wait for a writer
    unlink(path);
    REQUIRE(symlink("/etc/passwd", path) == 0);
    CHECK(ring_image_read(&image, path, RING_WHOLE, true) == STATUS_IO);
    unlink(path);
    CHECK(ring_image_read(&image, directory, RING_WHOLE, true) == STATUS_IO);
}

int main(void) {
    snprintf(directory, sizeof directory, "/dev/shm/pillion-test-%d", getpid());
    REQUIRE(mkdir(directory, 0700) == 0);
    RUN(a_ring_is_one_small_private_file_without_descriptor);
    RUN(in_a_setgid_folder_its_group_may_read_a_ring);
    RUN(a_name_tells_the_pid_namespace_only_if_it_is_not_the_first);
    RUN(a_ring_with_records_stays_and_the_next_one_gets_another_name);
    RUN(a_reader_sees_identity_counters_and_records);
    RUN(what_is_no_tmpfs_is_refused_and_leaves_nothing);
    RUN(a_full_tmpfs_refuses_a_ring_and_refuses_growth);
    RUN(a_forks_child_has_nothing_of_its_parents_ring_and_makes_its_own);
    RUN(a_killed_owner_is_seen_as_dead_though_its_child_lives);
    RUN(a_reader_refuses_what_is_no_regular_file);
    CHECK(rmdir(directory) == 0);
    return REPORT();
}
