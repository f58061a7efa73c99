// SPDX-License-Identifier: Apache-2.0
// Rings as nobody would write them: cut anywhere, with flipped bits, with links that run in circles. Built on the fuzz
// target, whose healthy sample is damaged here in a fixed way, so that it also runs where there is no libFuzzer.
#include "../fuzz/fuzz_ring.c"
#include "check.h"

CHECK_MAIN;

static uint64_t seed = 1;

static uint64_t random_number(void) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return seed >> 33;
}

// Exactly so large: the sanitizer sees a read behind the end.
static uint8_t *copy_of_sample(size_t bytes) {
    uint8_t *memory = malloc(bytes);
    REQUIRE(memory != NULL);
    memcpy(memory, sample, bytes);
    return memory;
}

static void the_healthy_sample_gives_all_its_spans(void) {
    CHECK(read_all(copy_of_sample(SAMPLE_BYTES), SAMPLE_BYTES) == 6);
}

static void a_ring_that_was_cut_anywhere_is_read_as_far_as_it_goes(void) {
    for (size_t bytes = 1; bytes < 600; bytes++)
        CHECK(read_all(copy_of_sample(bytes), bytes) == 0);
    for (size_t bytes = SAMPLE_BYTES; bytes > RING_SEGMENTS_AT - 5000; bytes -= 997)
        CHECK(read_all(copy_of_sample(bytes), bytes) <= 6);
}

static void flipped_bits_are_survived(void) {
    const size_t interesting = RING_SEGMENTS_AT + sample_used;
    for (int round = 0; round < 3000; round++) {
        uint8_t *memory = copy_of_sample(SAMPLE_BYTES);
        for (uint64_t flips = random_number() % 8 + 1; flips > 0; flips--) {
            bool header = random_number() % 2 == 0;
            size_t at = header ? random_number() % 512 : RING_SEGMENTS_AT + random_number() % sample_used;
            CHECK(at < interesting);
            memory[at] ^= (uint8_t)(1 << random_number() % 8);
        }
        CHECK(read_all(memory, SAMPLE_BYTES) <= 6);
    }
}

static void random_records_are_survived(void) {
    uint8_t data[600];
    for (int round = 0; round < 3000; round++) {
        size_t bytes = random_number() % sizeof data;
        for (size_t i = 0; i < bytes; i++)
            data[i] = (uint8_t)(random_number() % 4 == 0 ? random_number() : random_number() % 7);
        LLVMFuzzerTestOneInput(data, bytes);
    }
}

static struct ring_file *file_of(uint8_t *memory) {
    return (struct ring_file *)memory;
}

static void links_in_a_circle_come_to_an_end(void) {
    uint8_t *memory = copy_of_sample(SAMPLE_BYTES);
    uint64_t link = ring_word(0, RING_LINK, RING_COMMITTED, 0);
    memcpy(memory + RING_SEGMENTS_AT + sample_used, &link, 8); // the only segment links to itself
    CHECK(read_all(memory, SAMPLE_BYTES) == 12);               // walked a second time, and no third
    memory = copy_of_sample(SAMPLE_BYTES);
    memcpy(memory + RING_SEGMENTS_AT, &link, 8);
    CHECK(read_all(memory, SAMPLE_BYTES) == 0);
    memory = copy_of_sample(SAMPLE_BYTES);
    link = ring_word(0, RING_LINK, RING_COMMITTED, UINT32_MAX);
    memcpy(memory + RING_SEGMENTS_AT, &link, 8);
    CHECK(read_all(memory, SAMPLE_BYTES) == 0);
}

static void numbers_out_of_range_are_refused_or_clipped(void) {
    uint8_t *memory = copy_of_sample(SAMPLE_BYTES);
    file_of(memory)->resource_bytes = UINT32_MAX;
    CHECK(read_all(memory, SAMPLE_BYTES) == 0);
    memory = copy_of_sample(SAMPLE_BYTES);
    file_of(memory)->segments_at = 0;
    CHECK(read_all(memory, SAMPLE_BYTES) == 0);
    memory = copy_of_sample(SAMPLE_BYTES);
    file_of(memory)->segment_count = UINT32_MAX;
    file_of(memory)->strings_bytes = UINT32_MAX;
    CHECK(read_all(memory, SAMPLE_BYTES) == 6);
    memory = copy_of_sample(SAMPLE_BYTES);
    file_of(memory)->head = UINT64_MAX;
    CHECK(read_all(memory, SAMPLE_BYTES) == 0);
    memory = copy_of_sample(SAMPLE_BYTES);
    file_of(memory)->layout = RING_LAYOUT + 1;
    CHECK(read_all(memory, SAMPLE_BYTES) == 0);
}

static void endless_empty_records_come_to_an_end(void) {
    uint8_t *memory = copy_of_sample(SAMPLE_BYTES);
    uint64_t word = ring_word(0, RING_SPAN, RING_COMMITTED, 0);
    for (uint32_t at = 0; at < RING_SEGMENT_BYTES; at += 8)
        memcpy(memory + RING_SEGMENTS_AT + at, &word, 8);
    CHECK(read_all(memory, SAMPLE_BYTES) == 0);
}

int main(void) {
    make_sample();
    RUN(the_healthy_sample_gives_all_its_spans);
    RUN(a_ring_that_was_cut_anywhere_is_read_as_far_as_it_goes);
    RUN(flipped_bits_are_survived);
    RUN(random_records_are_survived);
    RUN(links_in_a_circle_come_to_an_end);
    RUN(numbers_out_of_range_are_refused_or_clipped);
    RUN(endless_empty_records_come_to_an_end);
    free(sample);
    free(scratch);
    free(body);
    return REPORT();
}
