// SPDX-License-Identifier: Apache-2.0
// A block of LZ4 unpacks to what it was made of; one that is cut, changed or too long is refused, and nothing outside
// of the two buffers is touched: they end where their memory does.
#include "check.h"
#include "unpack.h"
#include <string.h>

CHECK_MAIN;

// "abcabcabcabc…" (64 bytes) with five literals behind; one of them is written as a long run of literals.
static const uint8_t pattern[] = {0x3f, 'a', 'b', 'c', 3, 0, 42, 0x50, 'v', 'w', 'x', 'y', 'z'};
static const uint8_t literals[] = {0xf0, 3,   'q', 'w', 'e', 'r', 't', 'y', 'u', 'i',
                                   'o',  'p', 'a', 's', 'd', 'f', 'g', 'h', 'j', 'k'};

// Both buffers lie at the end of blocks of their own, so that one byte too far is seen by the sanitizer.
static bool unpacks(const uint8_t *in, size_t in_bytes, size_t out_bytes, uint8_t *out) {
    uint8_t *own = malloc(in_bytes + 1), *place = malloc(out_bytes + 1);
    REQUIRE(own != NULL && place != NULL);
    memcpy(own + 1, in, in_bytes);
    bool whole = unpack(own + 1, in_bytes, place + 1, out_bytes);
    if (out != NULL)
        memcpy(out, place + 1, out_bytes);
    free(own);
    free(place);
    return whole;
}

static void what_repeats_is_written_out(void) {
    uint8_t out[69];
    CHECK(unpacks(pattern, sizeof pattern, sizeof out, out));
    for (int i = 0; i < 64; i++)
        CHECK(out[i] == "abc"[i % 3]);
    CHECK(memcmp(out + 64, "vwxyz", 5) == 0);
}

static void literals_alone_are_copied(void) {
    uint8_t out[18];
    CHECK(unpacks(literals, sizeof literals, sizeof out, out));
    CHECK(memcmp(out, "qwertyuiopasdfghjk", sizeof out) == 0);
}

static void a_block_that_is_cut_is_refused(void) {
    for (size_t bytes = 0; bytes < sizeof pattern; bytes++)
        CHECK(!unpacks(pattern, bytes, 69, NULL));
}

static void another_size_than_the_blocks_is_refused(void) {
    for (size_t bytes = 0; bytes < 140; bytes++)
        CHECK(unpacks(pattern, sizeof pattern, bytes, NULL) == (bytes == 69));
}

static void any_changed_byte_stays_within_the_buffers(void) {
    for (size_t at = 0; at < sizeof pattern; at++)
        for (unsigned value = 0; value < 256; value++) {
            uint8_t changed[sizeof pattern];
            memcpy(changed, pattern, sizeof changed);
            changed[at] = (uint8_t)value;
            (void)unpacks(changed, sizeof changed, 69, NULL);
        }
}

int main(void) {
    RUN(what_repeats_is_written_out);
    RUN(literals_alone_are_copied);
    RUN(a_block_that_is_cut_is_refused);
    RUN(another_size_than_the_blocks_is_refused);
    RUN(any_changed_byte_stays_within_the_buffers);
    return REPORT();
}
