// SPDX-License-Identifier: Apache-2.0
// What a process leaves for the collector: a ring that ended in order, positions from which another reader goes on, the
// metrics, requests in flight with their last name, and how much all rings of a folder may take. Needs /dev/shm.
#define _GNU_SOURCE
#include "check.h"
#include "ring_layout.h"
#include "ring_reader.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

CHECK_MAIN;

static char directory[64];
static char path[128];

static enum status try_make(struct ring **ring, uint64_t folder_bytes) {
    struct ring_options options = {.directory = directory, .folder_bytes = folder_bytes};
    return ring_create(ring, &options);
}

static struct ring *make(void) {
    struct ring *ring;
    REQUIRE(try_make(&ring, 0) == STATUS_OK);
    snprintf(path, sizeof path, "%s", ring_path(ring));
    return ring;
}

static void push(struct ring *ring, int records) {
    static const uint8_t body[1000];
    for (int i = 0; i < records; i++)
        CHECK(ring_push(ring, RING_SPAN, &i, sizeof i, body, sizeof body) == STATUS_OK);
}

static struct ring_image left_behind(void) {
    struct ring_image image;
    REQUIRE(ring_image_read(&image, path, RING_WHOLE, true) == STATUS_OK);
    return image;
}

static int walk(struct ring_cursor cursor) {
    struct ring_entry entry;
    int count = 0;
    while (ring_next(&cursor, &entry))
        count++;
    return count;
}

static int64_t size_of_file(void) {
    struct stat about;
    return stat(path, &about) == 0 ? about.st_size : -1;
}

static void an_empty_ring_that_is_left_has_no_segment_and_says_that_it_ended(void) {
    struct ring *ring = make();
    uint8_t id[RING_ID_BYTES];
    memcpy(id, ring_id(ring), sizeof id);
    ring_count(ring, RING_RECORDED, 3);
    struct ring_image image = left_behind();
    CHECK(!image.ended);
    ring_image_free(&image);
    ring_leave(ring);
    CHECK(size_of_file() == RING_SEGMENTS_AT);
    image = left_behind();
    CHECK(image.ended && image.counters[RING_RECORDED] == 3 && memcmp(image.ring_id, id, sizeof id) == 0);
    CHECK(walk(ring_image_cursor(&image)) == 0);
    ring_image_free(&image);
    unlink(path);
}

static void a_ring_that_is_left_keeps_its_records_and_no_segment_without_any(void) {
    struct ring *ring = make();
    REQUIRE(ring_grow(ring) == STATUS_OK);
    int64_t grown = size_of_file();
    push(ring, 300); // two segments
    ring_leave(ring);
    CHECK(size_of_file() > RING_SEGMENTS_AT && size_of_file() < grown);
    struct ring_image image = left_behind();
    CHECK(walk(ring_image_cursor(&image)) == 300);
    ring_image_free(&image);
    unlink(path);
}

static void a_reader_goes_on_where_another_walk_ended(void) {
    struct ring *ring = make();
    struct ring_entry entry;
    uint64_t positions[600], foreign;
    push(ring, 600); // over two links
    struct ring_cursor cursor = ring_cursor(ring);
    for (int i = 0; i < 600; i++) {
        positions[i] = ring_cursor_at(&cursor);
        CHECK(ring_next(&cursor, &entry));
    }
    foreign = ring_cursor_at(&cursor) + 8;
    struct ring_image image = left_behind();
    for (int i = 0; i < 600; i += 7) {
        struct ring_cursor again = ring_image_cursor(&image);
        CHECK(ring_cursor_seek(&again, positions[i]) && walk(again) == 600 - i);
    }
    struct ring_cursor at_end = ring_image_cursor(&image), astray = at_end, behind = cursor;
    CHECK(ring_cursor_seek(&at_end, foreign - 8) && walk(at_end) == 0);
    CHECK(!ring_cursor_seek(&astray, foreign) && !ring_cursor_seek(&behind, positions[0]));
    ring_image_free(&image);
    ring_leave(ring);
    unlink(path);
}

static void a_position_behind_a_torn_record_is_found_again(void) {
    struct ring *ring = make();
    uint8_t *room;
    push(ring, 1);
    REQUIRE(ring_reserve(ring, RING_SPAN, 50, &room) == STATUS_OK); // never committed
    push(ring, 1);
    struct ring_image image = left_behind();
    struct ring_cursor cursor = ring_image_cursor(&image), again = cursor;
    struct ring_entry entry;
    while (ring_next(&cursor, &entry))
        ;
    CHECK(cursor.skipped == 1 && ring_cursor_seek(&again, ring_cursor_at(&cursor)) && again.skipped == 1);
    ring_image_free(&image);
    ring_leave(ring);
    unlink(path);
}

static void requests_in_flight_have_their_last_name_and_detail(void) {
    struct ring *ring = make();
    struct span_record head = {.start_ns = 7, .kind = SPAN_SERVER, .parent_id = {1}};
    struct ring_image_flight flight;
    int32_t token = ring_flight_begin(ring, &head, "GET", 3, NULL, 0);
    int32_t other = ring_flight_begin(ring, &head, "POST", 4, NULL, 0);
    ring_flight_detail(ring, token, "GET /cart/17", 12);
    ring_flight_name(ring, token, 0, "GET /cart/{id}", 14);
    ring_flight_name(ring, other, ring_intern(ring, "POST /pay", 9), NULL, 0);
    ring_flight_name(ring, -1, 0, "nobody", 6);
    ring_flight_detail(NULL, token, "nothing", 7);
    struct ring_image image = left_behind();
    CHECK(ring_image_flight(&image, 0, &flight) && flight.head.start_ns == 7 && flight.head.parent_id[0] == 1);
    CHECK(flight.name_bytes == 14 && memcmp(flight.name, "GET /cart/{id}", 14) == 0 && flight.head.name_id == 0);
    CHECK(flight.detail_bytes == 12 && memcmp(flight.detail, "GET /cart/17", 12) == 0);
    CHECK(ring_image_flight(&image, 1, &flight) && flight.name_bytes == 0 && flight.head.name_id != 0);
    CHECK(!ring_image_flight(&image, 2, &flight));
    ring_image_free(&image);
    ring_flight_end(ring, token);
    ring_flight_name(ring, other, 0, "POST", 4);
    ring_flight_end(ring, other);
    ring_leave(ring);
    image = left_behind();
    CHECK(!ring_image_flight(&image, 0, &flight) && !ring_image_flight(&image, 1, &flight));
    ring_image_free(&image);
    unlink(path);
}

static void a_folder_with_too_much_of_the_dead_takes_no_further_ring(void) {
    struct ring *first, *second, *none;
    char first_path[128];
    REQUIRE(try_make(&first, 1) == STATUS_OK); // the first one always fits
    snprintf(first_path, sizeof first_path, "%s", ring_path(first));
    REQUIRE(try_make(&second, 1) == STATUS_OK); // the living are never refused
    push(first, 1);
    ring_destroy(first); // its records stay
    CHECK(access(first_path, F_OK) == 0 && try_make(&none, 1) == STATUS_FULL && none == NULL);
    REQUIRE(try_make(&none, 4 << 20) == STATUS_OK);
    ring_destroy(none);
    REQUIRE(unlink(first_path) == 0 && try_make(&none, 1) == STATUS_OK);
    ring_destroy(none);
    ring_destroy(second);
}

static void a_folder_with_too_many_rings_takes_no_further_one(void) {
    struct ring *none;
    char name[128];
    for (int i = 0; i < 4096; i++) {
        snprintf(name, sizeof name, "%s/%d-1.ring", directory, i);
        int fd = open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        REQUIRE(fd >= 0);
        close(fd);
    }
    CHECK(try_make(&none, 0) == STATUS_FULL && none == NULL);
    unlink(name);
    CHECK(try_make(&none, 0) == STATUS_OK);
    ring_destroy(none);
    for (int i = 0; i < 4095; i++) {
        snprintf(name, sizeof name, "%s/%d-1.ring", directory, i);
        unlink(name);
    }
}

int main(void) {
    snprintf(directory, sizeof directory, "/dev/shm/pillion-left-%d", getpid());
    REQUIRE(mkdir(directory, 0700) == 0);
    RUN(an_empty_ring_that_is_left_has_no_segment_and_says_that_it_ended);
    RUN(a_ring_that_is_left_keeps_its_records_and_no_segment_without_any);
    RUN(a_reader_goes_on_where_another_walk_ended);
    RUN(a_position_behind_a_torn_record_is_found_again);
    RUN(requests_in_flight_have_their_last_name_and_detail);
    RUN(a_folder_with_too_much_of_the_dead_takes_no_further_ring);
    RUN(a_folder_with_too_many_rings_takes_no_further_one);
    CHECK(rmdir(directory) == 0);
    return REPORT();
}
