// SPDX-License-Identifier: Apache-2.0
// The decoder against bytes that were written by hand: every cut of a request, lengths that lie, nesting, and input
// that ends at an unmapped page. What real exporters send is tests/native/test_decode.py's part.
#include "check.h"
#include "decode.h"
#include "decode_arrow.h"
#include "decode_json.h"
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

CHECK_MAIN;

#define PAGE 4096
static uint8_t *guarded; // one page, followed by one that can't be touched

// A copy of the bytes that ends where the page ends.
static const uint8_t *at_the_edge(const void *bytes, size_t count) {
    REQUIRE(count <= PAGE);
    return memcpy(guarded + PAGE - count, bytes, count);
}

struct bytes {
    uint8_t at[PAGE];
    size_t count;
};

static void add(struct bytes *out, const void *from, size_t count) {
    REQUIRE(out->count + count <= PAGE);
    memcpy(out->at + out->count, from, count);
    out->count += count;
}

static void add_varint(struct bytes *out, uint64_t value) {
    for (; value >= 0x80; value >>= 7)
        add(out, &(uint8_t){(uint8_t)(value | 0x80)}, 1);
    add(out, &(uint8_t){(uint8_t)value}, 1);
}

static void add_bytes(struct bytes *out, uint32_t number, const void *from, size_t count) {
    add_varint(out, WIRE_TAG(number, WIRE_BYTES));
    add_varint(out, count);
    add(out, from, count);
}

static void add_fixed64(struct bytes *out, uint32_t number, uint64_t value) {
    add_varint(out, WIRE_TAG(number, WIRE_FIXED64));
    add(out, &value, 8);
}

// A whole request of one span; `more` is added to the span.
static struct bytes request(const struct bytes *more) {
    static const uint8_t value[] = {0x0a, 1, 'v'};
    struct bytes span = {0}, pair = {0}, scope = {0}, resource = {0}, out = {0};
    add_bytes(&span, 1, "0123456789abcdef", 16);
    add_bytes(&span, 2, "01234567", 8);
    add_bytes(&span, 5, "name", 4);
    add_fixed64(&span, 7, 1000);
    add_fixed64(&span, 8, 3000);
    add_bytes(&pair, 1, "key", 3);
    add_bytes(&pair, 2, value, sizeof value);
    add_bytes(&span, 9, pair.at, pair.count);
    if (more)
        add(&span, more->at, more->count);
    add_bytes(&scope, 2, span.at, span.count);
    add_bytes(&resource, 2, scope.at, scope.count);
    add_bytes(&out, 1, resource.at, resource.count);
    return out;
}

static struct decode *make(enum decode_kind kind) {
    struct decode *decode = NULL;
    REQUIRE(decode_create(&decode, kind, 42) == STATUS_OK);
    return decode;
}

static enum status append(struct decode *decode, const void *bytes, size_t count, struct decode_outcome *outcome) {
    return decode_append(decode, at_the_edge(bytes, count), count, outcome);
}

static void a_whole_request_is_one_row_and_every_cut_of_it_is_refused(void) {
    struct decode *decode = make(DECODE_TRACES);
    struct bytes whole = request(NULL);
    struct decode_outcome outcome;
    for (size_t cut = 1; cut < whole.count; cut++) {
        CHECK(append(decode, whole.at, cut, &outcome) == STATUS_BAD_INPUT);
        CHECK(decode_rows(decode, DECODE_ITEMS) == 0 && decode_rows(decode, DECODE_RESOURCES) == 0);
    }
    CHECK(append(decode, whole.at, whole.count, &outcome) == STATUS_OK && outcome.accepted == 1);
    CHECK(decode_rows(decode, DECODE_ITEMS) == 1 && decode_rows(decode, DECODE_SCOPES) == 1);
    CHECK(append(decode, whole.at, 0, &outcome) == STATUS_OK && outcome.accepted == 0);
    decode_free(decode);
}

static void every_single_byte_changed_is_survived(void) {
    struct decode *decode = make(DECODE_TRACES);
    struct bytes whole = request(NULL);
    struct decode_outcome outcome;
    for (size_t at = 0; at < whole.count; at++) {
        uint8_t before = whole.at[at];
        for (int value = 0; value < 256; value++) {
            whole.at[at] = (uint8_t)value;
            enum status status = append(decode, whole.at, whole.count, &outcome);
            CHECK(status == STATUS_OK || status == STATUS_BAD_INPUT);
            CHECK(decode_clear(decode) == STATUS_OK);
        }
        whole.at[at] = before;
    }
    decode_free(decode);
}

static void malformed_fields_are_refused(void) {
    static const struct {
        const char *what;
        const char *bytes;
        size_t count;
    } table[] = {
        {"a varint that never ends", "\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11},
        {"a length beyond the end", "\x2a\x7f", 2},
        {"a length of 2^63", "\x2a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 11},
        {"a length of 2^64-1", "\x2a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11},
        {"field number 0", "\x02\x00", 2},
        {"wire type 6", "\x2e\x00", 2},
        {"wire type 7", "\x2f\x00", 2},
        {"a tag over 32 bits", "\xfa\xff\xff\xff\xff\x01\x00", 7},
        {"an end without a group", "\xa4\x06", 2},
        {"a group without an end", "\xa3\x06\x08\x01", 4},
        {"a group that ends as another", "\xa3\x06\xac\x06", 4},
        {"half a fixed64", "\x39\x01\x02", 3},
    };
    struct decode *decode = make(DECODE_TRACES);
    struct decode_outcome outcome;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct bytes more = {0};
        add(&more, table[i].bytes, table[i].count);
        struct bytes whole = request(&more);
        enum status status = append(decode, whole.at, whole.count, &outcome);
        if (status != STATUS_BAD_INPUT)
            printf("%s: %d\n", table[i].what, status);
        CHECK(status == STATUS_BAD_INPUT);
        CHECK(decode_rows(decode, DECODE_ITEMS) == 0);
    }
    decode_free(decode);
}

static void unknown_fields_and_groups_are_skipped(void) {
    struct bytes more = {0};
    add(&more, "\xa3\x06\x0b\x10\x05\x0c\xa4\x06", 8); // group 100 with group 1 inside
    add_bytes(&more, 999, "whatever", 8);
    add(&more, "\x08\x05", 2); // the trace id's number with another wire type
    struct bytes whole = request(&more);
    struct decode *decode = make(DECODE_TRACES);
    struct decode_outcome outcome;
    CHECK(append(decode, whole.at, whole.count, &outcome) == STATUS_OK && outcome.accepted == 1);
    decode_free(decode);
}

// An AnyValue of `depth` arrays, one in the other.
static struct bytes nested(size_t depth) {
    struct bytes inner = {0};
    add(&inner, "\x18\x07", 2);
    for (size_t i = 0; i < depth; i++) {
        struct bytes array = {0}, value = {0};
        add_bytes(&array, 1, inner.at, inner.count);
        add_bytes(&value, 5, array.at, array.count);
        inner = value;
    }
    return inner;
}

static void a_value_nests_so_deep_and_no_deeper(void) {
    struct pairs pairs = {.seed = 7};
    struct buffer out = {0};
    struct bytes fits = nested(JSON_DEPTH), over = nested(JSON_DEPTH + 1), far = nested(600);
    CHECK(json_add_value(&out, &pairs, (struct slice){fits.at, fits.count}) == STATUS_OK);
    CHECK(out.bytes == 2 * JSON_DEPTH + 1 && out.data[JSON_DEPTH] == '7');
    buffer_cut(&out, 0);
    CHECK(json_add_value(&out, &pairs, (struct slice){over.at, over.count}) == STATUS_TOO_LARGE);
    CHECK(json_add_value(&out, &pairs, (struct slice){far.at, far.count}) == STATUS_TOO_LARGE);
    CHECK(out.bytes == 0 && pairs.count == 0);
    buffer_free(&out);
    pairs_free(&pairs);
}

static void memory_is_a_small_multiple_of_the_input(void) {
    struct bytes name = {0}, gauge = {0}, metric = {0}, scope = {0}, resource = {0};
    static uint8_t text[1500], points[2 * 900], body[2000 * PAGE];
    for (size_t i = 0; i < sizeof points; i += 2)
        points[i] = 0x0a; // an empty data point, two bytes; each row repeats the metric's description
    add_bytes(&name, 2, text, sizeof text);
    add(&gauge, points, sizeof points);
    add(&metric, name.at, name.count);
    add_bytes(&metric, 5, gauge.at, gauge.count);
    add_bytes(&scope, 2, metric.at, metric.count);
    add_bytes(&resource, 2, scope.at, scope.count);
    size_t count = 0;
    struct bytes one = {0};
    add_bytes(&one, 1, resource.at, resource.count);
    for (size_t i = 0; i < 8; i++, count += one.count)
        memcpy(body + count, one.at, one.count);
    struct decode *decode = make(DECODE_METRICS);
    struct decode_outcome outcome;
    CHECK(decode_append(decode, body, count, &outcome) == STATUS_TOO_LARGE);
    CHECK(decode_rows(decode, DECODE_ITEMS) == 0);
    decode_free(decode);
}

static void memory_lives_as_long_as_the_last_array(void) {
    struct decode *decode = make(DECODE_TRACES);
    struct bytes whole = request(NULL);
    struct decode_outcome outcome;
    struct ArrowArrayStream stream;
    struct ArrowArray array, end, name;
    struct ArrowSchema schema;
    REQUIRE(append(decode, whole.at, whole.count, &outcome) == STATUS_OK);
    REQUIRE(decode_stream(decode, DECODE_ITEMS, &stream) == STATUS_OK);
    REQUIRE(stream.get_schema(&stream, &schema) == 0 && stream.get_next(&stream, &array) == 0);
    CHECK(stream.get_next(&stream, &end) == 0 && end.release == NULL);
    CHECK(decode_clear(decode) == STATUS_BUSY);
    CHECK(append(decode, whole.at, whole.count, &outcome) == STATUS_BUSY);
    stream.release(&stream);
    decode_free(decode);
    name = *array.children[5]; // a child may be moved out and outlive its parent
    array.children[5]->release = NULL;
    array.release(&array);
    CHECK(strcmp(schema.children[5]->name, "name") == 0 && strcmp(schema.children[5]->format, "u") == 0);
    CHECK(memcmp(name.buffers[2], "name", 4) == 0);
    name.release(&name);
    schema.release(&schema);
}

int main(void) {
    guarded = mmap(NULL, (size_t)2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(guarded != MAP_FAILED && mprotect(guarded + PAGE, PAGE, PROT_NONE) == 0);
    RUN(a_whole_request_is_one_row_and_every_cut_of_it_is_refused);
    RUN(every_single_byte_changed_is_survived);
    RUN(malformed_fields_are_refused);
    RUN(unknown_fields_and_groups_are_skipped);
    RUN(a_value_nests_so_deep_and_no_deeper);
    RUN(memory_is_a_small_multiple_of_the_input);
    RUN(memory_lives_as_long_as_the_last_array);
    return REPORT();
}
