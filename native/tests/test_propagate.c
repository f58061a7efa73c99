// SPDX-License-Identifier: Apache-2.0
// Tables of headers, right and wrong, with what must come of each. Every input is also given byte by byte shorter, in a
// buffer of exactly its size, so that AddressSanitizer sees any read behind the end.
#include "propagate.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;

static void check(bool good, const char *what, const char *input) {
    if (!good) {
        printf("FAILED: %s: \"%s\"\n", what, input);
        failures++;
    }
}

// A copy without a 0 at the end, in a heap block of exactly that size.
static char *exact_copy(const char *text, size_t bytes) {
    char *copy = malloc(bytes ? bytes : 1);
    if (!copy) {
        abort();
    }
    memcpy(copy, text, bytes);
    return copy;
}

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define SPAN "b7ad6b7169203331"

static const struct {
    const char *text;
    int flags; // -1: invalid
} traceparents[] = {
    {"00-" TRACE "-" SPAN "-01", 1},
    {"00-" TRACE "-" SPAN "-00", 0},
    {"00-" TRACE "-" SPAN "-03", 3},
    {"00-" TRACE "-" SPAN "-02", 2},
    {"00-" TRACE "-" SPAN "-ff", 3},       // unknown bits are not sent on
    {" \t00-" TRACE "-" SPAN "-01 \t", 1}, // blanks are not part of a header's value
    {"01-" TRACE "-" SPAN "-01", 1},       // a higher version
    {"cc-" TRACE "-" SPAN "-09-what", 1},  // with more behind it
    {"cc-" TRACE "-" SPAN "-01-", 1},      //
    {"fe-" TRACE "-" SPAN "-04", 0},       //
    {"cc-" TRACE "-" SPAN "-01.what", -1}, // not behind a dash
    {"01-" TRACE "-" SPAN "-0", -1},       // a higher version must not be shorter
    {"ff-" TRACE "-" SPAN "-01", -1},      // version ff is forbidden
    {"00-" TRACE "-" SPAN "-01-", -1},     // version 00 is exactly 55 characters
    {"00-" TRACE "-" SPAN "-01-00", -1},   //
    {"00-" TRACE "-" SPAN "-0", -1},       //
    {"00-" TRACE "-" SPAN, -1},            //
    {"00-" TRACE "-" SPAN "-1x", -1},      //
    {"00-" TRACE "-" SPAN "-0A", -1},      // upper case, anywhere
    {"0A-" TRACE "-" SPAN "-01", -1},      //
    {"00-0AF7651916cd43dd8448eb211c80319c-" SPAN "-01", -1},
    {"00-" TRACE "-B7ad6b7169203331-01", -1},
    {"00-00000000000000000000000000000000-" SPAN "-01", -1},
    {"00-" TRACE "-0000000000000000-01", -1},
    {"00_" TRACE "-" SPAN "-01", -1},
    {"00-" TRACE "_" SPAN "-01", -1},
    {"00-" TRACE "-" SPAN "_01", -1},
    {"00 -" TRACE "-" SPAN "-01", -1},
    {"00-" TRACE "-" SPAN "-01,00-" TRACE "-" SPAN "-01", -1}, // two headers, joined
    {"01-" TRACE "-" SPAN "-01,01-" TRACE "-" SPAN "-01", -1},
    {"00-.af7651916cd43dd8448eb211c80319c-" SPAN "-01", -1},
    {"", -1},
    {"-", -1},
    {"garbage", -1},
};

static void traceparent_follows_every_rule(void) {
    for (size_t i = 0; i < sizeof traceparents / sizeof *traceparents; i++) {
        size_t bytes = strlen(traceparents[i].text);
        char *copy = exact_copy(traceparents[i].text, bytes);
        struct span_context context;
        bool good = propagate_parse_traceparent(copy, bytes, &context);
        check(good == (traceparents[i].flags >= 0), "traceparent is judged right", traceparents[i].text);
        if (good) {
            char out[55];
            check(context.flags == traceparents[i].flags && context.remote, "flags are bits", traceparents[i].text);
            propagate_format_traceparent(&context, out);
            check(memcmp(out, "00-" TRACE "-" SPAN "-0", 54) == 0, "format gives the same ids", traceparents[i].text);
            check(out[54] == '0' + traceparents[i].flags, "format gives the same flags", traceparents[i].text);
        } else {
            static const struct span_context nothing;
            check(memcmp(&context, &nothing, sizeof nothing) == 0, "an invalid one leaves nothing",
                  traceparents[i].text);
        }
        free(copy);
    }
    check(!propagate_parse_traceparent(NULL, 0, &(struct span_context){0}), "no header", "");
    check(!propagate_parse_traceparent("00-" TRACE "\0" SPAN "-01\0\0\0\0\0", 55, &(struct span_context){0}), "NUL",
          "");
}

static void every_shorter_traceparent_is_refused(void) {
    const char *whole = "cc-" TRACE "-" SPAN "-01";
    for (size_t bytes = 0; bytes < 55; bytes++) {
        char *copy = exact_copy(whole, bytes);
        struct span_context context;
        check(!propagate_parse_traceparent(copy, bytes, &context), "shorter than 55", whole);
        free(copy);
    }
}

// The result as text for comparing; "" for nothing.
static const char *state_of(const char *in, size_t bytes, size_t capacity) {
    static char result[4096];
    char *copy = exact_copy(in, bytes), *out = malloc(capacity ? capacity : 1);
    if (!out) {
        abort();
    }
    size_t used = propagate_tracestate(copy, bytes, out, capacity);
    check(used <= capacity, "within the capacity", in);
    memcpy(result, out, used);
    result[used] = 0;
    if (capacity >= bytes) { // in place
        size_t again = propagate_tracestate(copy, bytes, copy, bytes);
        check(again == used && memcmp(copy, result, used) == 0, "the same in place", in);
    }
    free(copy);
    free(out);
    return result;
}

static void tracestate_keeps_what_is_foreign_and_drops_what_is_malformed(void) {
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"a=1", "a=1"},
        {"a=1,b=2", "a=1,b=2"},
        {" a=1 ,\tb=2\t", "a=1,b=2"},
        {",,a=1,, ,b=2,", "a=1,b=2"}, // empty members are allowed
        {"", ""},
        {",", ""},
        {"0a=1", "0a=1"},
        {"a_-*/@z=1", "a_-*/@z=1"},
        {"t@v=1,x@y@z=2", "t@v=1,x@y@z=2"},
        {"a= 1", "a= 1"}, // a blank may begin a value, not end it
        {"a=!\"#$%&'()*+-./:;<>?@[\\]^_`{|}~", "a=!\"#$%&'()*+-./:;<>?@[\\]^_`{|}~"},
        {"a=1,a=2", "a=1,a=2"}, // foreign keys are kept, twice too
        {"a=", ""},
        {"a", ""},
        {"=1", ""},
        {"a=1,b", ""}, // one bad member spoils it all
        {"a=1=2", ""},
        {"A=1", ""},
        {"-a=1", ""},
        {"@a=1", ""},
        {"a =1", ""},
        {"a=\x7f", ""},
        {"a=1\tb", ""},
        {"a=\xc3\xa9", ""},
        {"\xc3\xa9=1", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        check(strcmp(state_of(rows[i].in, strlen(rows[i].in), 512), rows[i].out) == 0, "tracestate", rows[i].in);
    }
    check(propagate_tracestate(NULL, 0, NULL, 0) == 0, "no tracestate", "");
    check(strcmp(state_of("a=\0b", 4, 512), "") == 0, "NUL in a value", "");
}

static void tracestate_limits_are_32_members_and_256_characters(void) {
    char text[2048] = "";
    for (int i = 0; i < 32; i++) {
        sprintf(text + strlen(text), "%sk%d=v", i ? "," : "", i);
    }
    check(strcmp(state_of(text, strlen(text), 512), text) == 0, "32 members", text);
    strcat(text, ",,");
    check(state_of(text, strlen(text), 512)[0] == 'k', "empty ones do not count", text);
    strcat(text, "k32=v");
    check(strcmp(state_of(text, strlen(text), 512), "") == 0, "33 members", text);

    memset(text, 'k', 256);
    strcpy(text + 256, "=v");
    check(strlen(state_of(text, strlen(text), 512)) == 258, "a key of 256", text);
    memset(text, 'k', 257);
    strcpy(text + 257, "=v");
    check(strcmp(state_of(text, strlen(text), 512), "") == 0, "a key of 257", text);
    strcpy(text, "k=");
    memset(text + 2, 'v', 256);
    text[258] = 0;
    check(strlen(state_of(text, strlen(text), 512)) == 258, "a value of 256", text);
    strcat(text, "v");
    check(strcmp(state_of(text, strlen(text), 512), "") == 0, "a value of 257", text);
}

static void member_of(char *out, const char *key, size_t bytes) {
    size_t used = (size_t)sprintf(out, "%s=", key);
    memset(out + used, 'v', bytes - used);
    out[bytes] = 0;
}

static void long_tracestate_is_cut_by_whole_entries_long_ones_first(void) {
    char a[300], b[300], c[300], d[300], text[1200], want[1200];
    member_of(a, "a", 200);
    member_of(b, "b", 100);
    member_of(c, "c", 200);
    member_of(d, "d", 100);
    sprintf(text, "%s,%s,%s,%s", a, b, c, d); // 603
    sprintf(want, "%s,%s,%s", a, b, d);       // the right-most of the long ones goes
    check(strcmp(state_of(text, strlen(text), 512), want) == 0, "one long entry goes", "a200,b100,c200,d100");
    sprintf(want, "%s,%s", b, d);
    check(strcmp(state_of(text, strlen(text), 201), want) == 0, "both long entries go", "201");
    check(strcmp(state_of(text, strlen(text), 200), b) == 0, "then from the right", "200");
    check(strcmp(state_of(text, strlen(text), 99), "") == 0, "nothing fits", "99");
    check(strcmp(state_of(text, strlen(text), 0), "") == 0, "no room at all", "0");
    member_of(a, "a", 128);
    member_of(b, "b", 128);
    member_of(c, "c", 128);
    member_of(d, "d", 125);
    sprintf(text, "%s,%s,%s,%s", a, b, c, d);
    check(strlen(text) == 512 && strcmp(state_of(text, 512, 512), text) == 0, "512 characters are carried", "512");
    check(strlen(state_of(text, 512, 511)) == 386, "128 is not long: the right-most goes", "511");
}

static void own_tracestate_entry_goes_to_the_left(void) {
    static const struct {
        const char *key, *value, *in, *out;
    } rows[] = {
        {"p", "1", "", "p=1"},        {"p", "1", "a=2", "p=1,a=2"},   {"p", "1", "a=2,p=0,b=3", "p=1,a=2,b=3"},
        {"p", "1", "p=0,p=9", "p=1"}, {"p", "1", "pp=0", "p=1,pp=0"}, {"p", "1", "not valid", "p=1"},
        {"P", "1", "a=2", "a=2"},     {"p", "", "a=2", "a=2"},        {"p", "x,y", "a=2", "a=2"},
    };
    char out[512];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t used = propagate_tracestate_put(rows[i].key, strlen(rows[i].key), rows[i].value, strlen(rows[i].value),
                                               rows[i].in, strlen(rows[i].in), out, sizeof out);
        check(used == strlen(rows[i].out) && memcmp(out, rows[i].out, used) == 0, "own entry", rows[i].in);
    }
    char text[2048] = "";
    for (int i = 0; i < 32; i++) {
        sprintf(text + strlen(text), "%sk%d=v", i ? "," : "", i);
    }
    size_t used = propagate_tracestate_put("p", 1, "1", 1, text, strlen(text), out, sizeof out);
    out[used] = 0;
    check(strncmp(out, "p=1,k0=v,", 9) == 0 && strstr(out, ",k30=v") && !strstr(out, "k31"), "32 with ours", out);
    for (size_t capacity = 0; capacity < 40; capacity++) {
        char *tight = malloc(capacity ? capacity : 1);
        check(propagate_tracestate_put("p", 1, "1", 1, "aa=22,bb=33,cc=44", 17, tight, capacity) <= capacity, "tight",
              "");
        free(tight);
    }
}

int main(void) {
    traceparent_follows_every_rule();
    every_shorter_traceparent_is_refused();
    tracestate_keeps_what_is_foreign_and_drops_what_is_malformed();
    tracestate_limits_are_32_members_and_256_characters();
    long_tracestate_is_cut_by_whole_entries_long_ones_first();
    own_tracestate_entry_goes_to_the_left();
    if (!failures) {
        printf("propagate: all good\n");
    }
    return failures != 0;
}
