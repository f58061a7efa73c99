// SPDX-License-Identifier: Apache-2.0
// The clock follows the wall clock and never runs backwards.
#include "check.h"
#include "clock.h"
#include <time.h>

CHECK_MAIN;

static uint64_t wall_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void real_time_lies_between_two_readings_of_the_wall_clock(void) {
    for (int i = 0; i < 1000; i++) {
        uint64_t before = wall_ns(), read = clock_real_ns(), after = wall_ns();
        CHECK(read + 100000000 >= before && read <= after + 100000000); // leaves room for a clock that is being set
    }
}

static void a_monotonic_read_becomes_real_time_without_another_read(void) {
    uint64_t mono = clock_mono_ns();
    uint64_t first = clock_real_of(mono);
    CHECK(clock_real_of(mono + 5) - first == 5);
    CHECK(clock_real_of(mono) == first);
}

static void time_does_not_run_backwards(void) {
    uint64_t last = clock_mono_ns();
    for (int i = 0; i < 100000; i++) {
        uint64_t now = clock_mono_ns();
        CHECK(now >= last);
        last = now;
    }
}

static void the_coarse_second_is_the_second(void) {
    uint64_t before = wall_ns() / 1000000000u;
    uint32_t coarse = clock_coarse_s();
    CHECK(coarse + 1 >= before && coarse <= wall_ns() / 1000000000u);
}

int main(void) {
    RUN(real_time_lies_between_two_readings_of_the_wall_clock);
    RUN(a_monotonic_read_becomes_real_time_without_another_read);
    RUN(time_does_not_run_backwards);
    RUN(the_coarse_second_is_the_second);
    return REPORT();
}
