// SPDX-License-Identifier: Apache-2.0
// tool_cost: one step of a span's way again and again, for counting its instructions:  tool_cost STEP ROUNDS
// Each step does what the ones before it do: begin (and forget), set (three attributes), end (into the ring), send
// (encoded in requests of SPANS and released).
#include "otlp.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPANS 256

static struct ring *ring;
static struct span span;
static struct otlp_scratch scratch;
static uint8_t body[1 << 20];
static volatile size_t sent; // bytes

static struct span_text interned(const char *text) {
    return (struct span_text){.id = ring_intern(ring, text, strlen(text))};
}

static void set_all(const struct span_text keys[3]) {
    struct span_value text = {.type = SPAN_STRING, .bytes = 12, .text = "a short text"};
    struct span_value number = {.type = SPAN_INT, .integer = 5}, flag = {.type = SPAN_BOOL, .integer = 1};
    span_set(&span, keys[0], &text);
    span_set(&span, keys[1], &number);
    span_set(&span, keys[2], &flag);
}

static void drain(void) {
    struct ring_cursor cursor = ring_cursor(ring);
    struct otlp_result result;
    otlp_encode_spans(&scratch, &cursor, body, sizeof body, &result);
    sent += result.bytes;
    ring_release(ring, &cursor);
}

int main(int count, char **arguments) {
    static const char *const steps[] = {"begin", "set", "end", "send"};
    static const uint8_t resource[1];
    struct ring_options options = {.resource = resource};
    int depth = -1, rounds = count == 3 ? atoi(arguments[2]) : 0;
    for (int i = 0; i < 4 && count == 3; i++)
        depth = strcmp(arguments[1], steps[i]) == 0 ? i : depth;
    if (depth < 0 || ring_create(&ring, &options) != STATUS_OK)
        return 2;
    struct span_text name = interned("work");
    struct span_text keys[3] = {interned("bench.text"), interned("bench.number"), interned("bench.flag")};
    for (int round = 1; round <= rounds; round++) {
        span_begin(&span, NULL, SPAN_INTERNAL, name, 0);
        if (depth >= 1)
            set_all(keys);
        if (depth >= 2)
            span_end(&span, ring, 0);
        else
            span_discard(&span);
        if (depth >= 3 && round % SPANS == 0)
            drain();
    }
    ring_destroy(ring);
    return 0;
}
