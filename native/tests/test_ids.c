// SPDX-License-Identifier: Apache-2.0
// Ids are never zero, never the same twice, spread evenly, and differ after a fork once the child has reseeded.
#include "check.h"
#include "ids.h"
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

CHECK_MAIN;

#define MANY 200000

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void span_ids_are_never_zero_and_never_the_same(void) {
    static uint64_t seen[MANY];
    for (int i = 0; i < MANY; i++) {
        ids_span((uint8_t *)&seen[i]);
        CHECK(seen[i] != 0);
    }
    qsort(seen, MANY, sizeof *seen, by_value);
    for (int i = 1; i < MANY; i++)
        CHECK(seen[i] != seen[i - 1]);
}

static void every_bit_of_an_id_is_set_half_of_the_time(void) {
    int ones[96] = {0};
    for (int i = 0; i < 20000; i++) {
        uint8_t id[16];
        ids_trace(id, 0);
        for (int bit = 0; bit < 96; bit++)
            ones[bit] += id[4 + bit / 8] >> bit % 8 & 1;
    }
    for (int bit = 0; bit < 96; bit++) // 12 standard deviations
        CHECK(ones[bit] > 10000 - 850 && ones[bit] < 10000 + 850);
}

static void a_trace_id_begins_with_the_second_in_big_endian(void) {
    uint8_t id[16], other[16];
    ids_trace(id, 0x01020304);
    ids_trace(other, 0x01020304);
    CHECK(memcmp(id, "\x01\x02\x03\x04", 4) == 0);
    CHECK(memcmp(id + 4, other + 4, 12) != 0);
}

static void a_reseeded_child_makes_other_ids_than_its_parent(void) {
    uint8_t mine[8], childs[8];
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        ids_reseed();
        ids_span(mine);
        _exit(write(ends[1], mine, 8) == 8 ? 0 : 1);
    }
    int how;
    ids_span(mine);
    REQUIRE(read(ends[0], childs, 8) == 8 && waitpid(child, &how, 0) == child && how == 0);
    CHECK(memcmp(mine, childs, 8) != 0);
}

static void random_bytes_fill_exactly_what_was_asked_for(void) {
    for (uint32_t bytes = 0; bytes < 40; bytes++) {
        uint8_t room[48];
        memset(room, 0xaa, sizeof room);
        ids_bytes(room, bytes);
        for (uint32_t i = bytes; i < sizeof room; i++)
            CHECK(room[i] == 0xaa);
    }
}

int main(void) {
    RUN(span_ids_are_never_zero_and_never_the_same);
    RUN(every_bit_of_an_id_is_set_half_of_the_time);
    RUN(a_trace_id_begins_with_the_second_in_big_endian);
    RUN(a_reseeded_child_makes_other_ids_than_its_parent);
    RUN(random_bytes_fill_exactly_what_was_asked_for);
    return REPORT();
}
