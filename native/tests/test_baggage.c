// SPDX-License-Identifier: Apache-2.0
// Tables of baggage headers, right and wrong, read and written. Inputs lie in buffers of exactly their size, so that
// AddressSanitizer sees any read behind the end.
#include "baggage.h"
#include <stdbool.h>
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

// Members as "key=value|properties" joined by newlines.
static const char *baggage_of(const char *in, size_t bytes) {
    static char result[3 * BAGGAGE_BYTES];
    struct baggage_member members[BAGGAGE_MEMBERS];
    char decoded[BAGGAGE_BYTES], *copy = exact_copy(in, bytes), *at = result;
    size_t count = baggage_parse(copy, bytes, members, BAGGAGE_MEMBERS, decoded);
    for (size_t i = 0; i < count; i++) {
        at += sprintf(at, "%s%.*s=%.*s", i ? "\n" : "", (int)members[i].key_bytes, members[i].key,
                      (int)members[i].value_bytes, members[i].value);
        if (members[i].properties) {
            at += sprintf(at, "|%.*s", (int)members[i].properties_bytes, members[i].properties);
        }
    }
    *at = 0;
    free(copy);
    return result;
}

static void baggage_is_decoded_and_bad_members_are_skipped(void) {
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"a=1", "a=1"},
        {"a=1,b=2", "a=1\nb=2"},
        {" a = 1 , b\t=\t2 ", "a=1\nb=2"},
        {"a=", "a="},
        {"a=b=c", "a=b=c"},
        {"user=Am%C3%A9lie%20%25%2C", "user=Am\xc3\xa9lie %,"},
        {"a=1;prop;p2=x , b=2", "a=1|prop;p2=x\nb=2"},
        {"a=1;", "a=1"},
        {"a=x+y", "a=x+y"}, // '+' is no blank here
        {"a=%ff", "a=\xef\xbf\xbd"},
        {"a=%e2%82", "a=\xef\xbf\xbd\xef\xbf\xbd"},
        {"a=%ed%a0%80", "a=\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, // a surrogate
        {"a=%f0%9f%98%80", "a=\xf0\x9f\x98\x80"},
        {"", ""},
        {",,,", ""},
        {"a", ""},
        {"=1", ""},
        {"a b=1,c=2", "c=2"},
        {"a=1 2,c=2", "c=2"},
        {"a=\"1\",c=2", "c=2"},
        {"a=\\,c=2", "c=2"},
        {"a=%,b=%2,c=%zz,d=4", "d=4"},
        {"a=\xc3\xa9,c=2", "c=2"},
        {"\xc3\xa9=1,c=2", "c=2"},
        {"a=1\r\nx: y,c=2", "c=2"},
        {"a=1;p\r\n,c=2", "c=2"},
        {"a=1;p=\xc3\xa9,c=2", "c=2"},
        {"a=1,a=2", "a=1\na=2"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        check(strcmp(baggage_of(rows[i].in, strlen(rows[i].in)), rows[i].out) == 0, "baggage", rows[i].in);
    }
    check(baggage_parse(NULL, 0, NULL, 0, NULL) == 0, "no baggage", "");
}

static void baggage_stops_at_64_members_and_8192_bytes(void) {
    static char text[20000];
    struct baggage_member members[100];
    char decoded[BAGGAGE_BYTES], *at = text;
    for (int i = 0; i < 90; i++) {
        at += sprintf(at, "k%d=v,", i);
    }
    check(baggage_parse(text, strlen(text), members, 100, decoded) == 64, "64 members", "");
    check(baggage_parse(text, strlen(text), members, 3, decoded) == 3, "the caller's capacity", "");
    strcpy(text, "a=");
    memset(text + 2, 'v', 8190);
    strcpy(text + 8192, ",b=1");
    check(baggage_parse(text, strlen(text), members, 100, decoded) == 1 && members[0].value_bytes == 8190, "8192", "");
    memset(text + 2, 'v', 8191);
    check(baggage_parse(text, 8193, members, 100, decoded) == 0, "8193", "");
}

static struct baggage_member member(const char *key, const char *value, const char *properties) {
    return (struct baggage_member){.key = key,
                                   .value = value,
                                   .properties = properties,
                                   .key_bytes = (uint32_t)strlen(key),
                                   .value_bytes = (uint32_t)strlen(value),
                                   .properties_bytes = properties ? (uint32_t)strlen(properties) : 0};
}

static void baggage_is_written_so_that_it_reads_back_equal(void) {
    struct baggage_member all[] = {
        member("a", "1", NULL),          member("user", "Am\xc3\xa9lie, \"%41\"\\;=\r\n", NULL),
        member("no token", "x", NULL),   member("", "x", NULL),
        member("p", "v", "prop;p2=x y"), member("empty", "", NULL),
    };
    char out[512];
    size_t used = baggage_format(all, 6, out, sizeof out);
    out[used] = 0;
    check(strcmp(out, "a=1,user=Am%C3%A9lie%2C%20%22%2541%22%5C%3B=%0D%0A,p=v;prop;p2=x y,empty=") == 0, "format", out);
    check(strcmp(baggage_of(out, used), "a=1\nuser=Am\xc3\xa9lie, \"%41\"\\;=\r\n\np=v|prop;p2=x y\nempty=") == 0,
          "reads back", out);
    for (size_t capacity = 0; capacity <= used; capacity++) {
        char *tight = malloc(capacity ? capacity : 1);
        size_t part = baggage_format(all, 6, tight, capacity);
        check(part <= capacity && (part == 0 || tight[part - 1] != ','), "only whole members", "");
        free(tight);
    }
    struct baggage_member many[80];
    for (int i = 0; i < 80; i++) {
        many[i] = member("k", "v", NULL);
    }
    check(baggage_format(many, 80, out, sizeof out) == 64 * 4 - 1, "64 members", "");
}

int main(void) {
    baggage_is_decoded_and_bad_members_are_skipped();
    baggage_stops_at_64_members_and_8192_bytes();
    baggage_is_written_so_that_it_reads_back_equal();
    if (!failures) {
        printf("baggage: all good\n");
    }
    return failures != 0;
}
