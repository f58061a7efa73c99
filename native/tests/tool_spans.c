// SPDX-License-Identifier: Apache-2.0
// tool_spans: makes spans by a script on standard input, and writes the requests that come of them to standard output,
// so that a test in Python can compare them with what it asked for. A line is a command with its words; texts are in
// hex,
// "-" is the empty one, "@" before a text interns it. Directory of the ring: argument 1, or private memory.
// Values: s:HEX b:HEX i:N d:HEX(8 bytes) t:0|1 a:VALUE,VALUE… (array).
#include "clock.h"
#include "otlp.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARRAY_MAX 4096

static struct ring *ring;
static struct span span;
static struct span_context parent;
static bool has_parent;
static uint8_t *pool; // decoded texts; never freed, this is a short life

static uint8_t digit(char c) {
    return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static uint32_t unhex(const char *word, uint8_t *out) {
    uint32_t bytes = 0;
    for (; word[0] != '\0' && word[0] != '-' && word[1] != '\0'; word += 2)
        out[bytes++] = (uint8_t)(digit(word[0]) << 4 | digit(word[1]));
    return bytes;
}

static const char *text_bytes(const char *word, uint32_t *bytes) {
    const char *text = (const char *)pool;
    *bytes = unhex(word, pool);
    pool += *bytes;
    return text;
}

static struct span_text text_of(const char *word) {
    struct span_text text = {0};
    text.text = text_bytes(word + (word[0] == '@'), &text.bytes);
    if (word[0] == '@')
        text.id = ring_intern(ring, text.text, text.bytes);
    return text;
}

static struct span_value value_of(char *word) {
    static struct span_value items[ARRAY_MAX];
    struct span_value value = {0};
    char *rest = word + 2;
    switch (word[0]) {
    case 's':
    case 'b':
        value.type = word[0] == 's' ? SPAN_STRING : SPAN_BYTES;
        value.text = text_bytes(rest, &value.bytes);
        break;
    case 'i':
    case 't':
        value.type = word[0] == 'i' ? SPAN_INT : SPAN_BOOL;
        value.integer = strtoll(rest, NULL, 10);
        break;
    case 'd':
        value.type = SPAN_DOUBLE;
        unhex(rest, (uint8_t *)&value.real);
        break;
    default:
        for (char *at = rest; *at != '\0' && value.count < ARRAY_MAX;) {
            char *comma = strchr(at, ',');
            if (comma != NULL)
                *comma = '\0';
            items[value.count++] = value_of(at);
            at = comma != NULL ? comma + 1 : at + strlen(at);
        }
        value.type = SPAN_ARRAY;
        value.items = items;
    }
    return value;
}

static struct span_context context_of(char **word) {
    struct span_context context = {0};
    unhex(word[1], context.trace_id);
    unhex(word[2], context.span_id);
    context.flags = (uint8_t)atoi(word[3]);
    context.remote = atoi(word[4]) != 0;
    context.tracestate = text_bytes(word[5], &context.tracestate_len);
    return context;
}

// Requests of at most `capacity` bytes until the ring is empty: { uint32 bytes, spans, skipped; body } each.
static void drain(size_t capacity) {
    struct otlp_scratch *scratch = malloc(sizeof *scratch);
    uint8_t *out = malloc(capacity); // exactly: the sanitizer sees what is written behind
    struct otlp_result result;
    do {
        struct ring_cursor cursor = ring_cursor(ring);
        otlp_encode_spans(scratch, &cursor, out, capacity, &result);
        uint32_t head[3] = {(uint32_t)result.bytes, result.spans, result.skipped};
        if (result.bytes != 0 || result.skipped != 0) {
            fwrite(head, sizeof head, 1, stdout);
            fwrite(out, 1, result.bytes, stdout);
        }
        ring_release(ring, &cursor);
    } while (result.bytes != 0 || result.skipped != 0);
    free(scratch);
    free(out);
}

static void limits(char **word) {
    uint32_t chars = (uint32_t)strtoul(word[6], NULL, 10);
    span_limits = (struct span_limits){(uint16_t)atoi(word[1]),
                                       (uint16_t)atoi(word[2]),
                                       (uint16_t)atoi(word[3]),
                                       (uint16_t)atoi(word[4]),
                                       (uint16_t)atoi(word[5]),
                                       chars,
                                       chars};
}

static void context(void) {
    struct span_context own;
    span_context_of(&span, &own);
    printf("%d ", own.flags);
    for (int i = 0; i < 16; i++)
        printf("%02x", own.trace_id[i]);
    printf(" ");
    for (int i = 0; i < 8; i++)
        printf("%02x", own.span_id[i]);
    printf(" %.*s\n", (int)own.tracestate_len, own.tracestate_len != 0 ? own.tracestate : "");
}

static void change(char **word) {
    struct span_value value;
    if (strcmp(word[0], "set") == 0 || strcmp(word[0], "last") == 0) {
        struct span_text key = text_of(word[1]);
        value = value_of(word[2]);
        (word[0][0] == 's' ? span_set : span_set_last)(&span, key, &value);
    } else if (strcmp(word[0], "name") == 0) {
        span_name(&span, text_of(word[1]));
    } else if (strcmp(word[0], "kind") == 0) {
        span_set_kind(&span, (enum span_kind)atoi(word[1]));
    } else if (strcmp(word[0], "status") == 0) {
        struct span_text message = text_of(word[2]);
        span_set_status(&span, (enum span_status)atoi(word[1]), message.text, message.bytes);
    } else if (strcmp(word[0], "event") == 0) {
        span_event(&span, text_of(word[1]), strtoull(word[2], NULL, 10));
    } else if (strcmp(word[0], "link") == 0) {
        struct span_context to = context_of(word);
        span_link(&span, &to);
    }
}

static void obey(char **word) {
    if (strcmp(word[0], "limits") == 0) {
        limits(word);
    } else if (strcmp(word[0], "sampler") == 0) {
        span_set_sampler((enum span_sampler)atoi(word[1]), strtod(word[2], NULL));
    } else if (strcmp(word[0], "parent") == 0) {
        parent = context_of(word);
        has_parent = true;
    } else if (strcmp(word[0], "begin") == 0) { // KIND NAME SCOPE START
        struct span_text scope = text_of(word[3]);
        span_begin_at(&span, has_parent ? &parent : NULL, (enum span_kind)atoi(word[1]), text_of(word[2]), scope.id,
                      strtoull(word[4], NULL, 10));
        has_parent = false;
    } else if (strcmp(word[0], "end") == 0) {
        span_end(&span, ring, strtoull(word[1], NULL, 10));
    } else if (strcmp(word[0], "flight") == 0) { // DETAIL
        struct span_text detail = text_of(word[1]);
        span.flight = ring_flight_begin(ring, &span.head, NULL, 0, detail.text, detail.bytes);
    } else if (strcmp(word[0], "count") == 0) { // COUNTER N
        ring_count(ring, (enum ring_counter)atoi(word[1]), strtoull(word[2], NULL, 10));
    } else if (strcmp(word[0], "where") == 0) {
        printf("%s\n", ring_path(ring));
        fflush(stdout);
    } else if (strcmp(word[0], "context") == 0) {
        context();
    } else if (strcmp(word[0], "drain") == 0) {
        drain(strtoull(word[1], NULL, 10));
    } else {
        change(word);
    }
}

int main(int count, char **arguments) {
    static uint8_t room[64 << 20], resource[4096];
    struct span_value name = {.type = SPAN_STRING, .bytes = 4, .text = "test"};
    struct ring_options options = {.directory = count > 1 ? arguments[1] : NULL, .resource = resource};
    size_t resource_bytes;
    pool = room;
    span_begin(&span, NULL, SPAN_INTERNAL, (struct span_text){0}, 0);
    span_set(&span, (struct span_text){0, 12, "service.name"}, &name);
    if (otlp_encode_resource(&span, resource, sizeof resource, &resource_bytes) != STATUS_OK)
        return 2;
    span_discard(&span);
    options.resource_bytes = (uint32_t)resource_bytes;
    enum status status = ring_create(&ring, &options);
    if (status != STATUS_OK) {
        fprintf(stderr, "status %d\n", status);
        return 2;
    }
    char *line = NULL;
    size_t size = 0;
    while (getline(&line, &size, stdin) > 0) {
        char *word[8] = {"", "", "", "", "", "", "", ""}, *rest;
        int words = 0;
        for (char *at = strtok_r(line, " \n", &rest); at != NULL && words < 8; at = strtok_r(NULL, " \n", &rest))
            word[words++] = at;
        obey(word);
    }
    free(line);
    ring_destroy(ring);
    return 0;
}
