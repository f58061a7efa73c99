// SPDX-License-Identifier: Apache-2.0
// tool_sender: a sender under remote control, for the tests that are written in Python. Commands come as lines on
// stdin, every command is answered and every outcome told by one JSON line on stdout.
//   tool_sender target=unix:/run/x.sock [timeout_ms= interval_ms= idle_ms= backoff_min_ms= backoff_max_ms= patience_ms=
//               version= header=name:value ...]
//   batch FILE ITEMS · wake · hurry · pause · resume · flush MS · stats · process · fork · steal FILE · stolen · stop
#include "sender.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_BATCHES 4096
#define MAX_HEADERS 64
#define MAX_STOLEN 20
#define PATH "/opentelemetry.proto.collector.trace.v1.TraceService/Export"

struct queue {
    pthread_mutex_t mutex;
    struct sender_batch list[MAX_BATCHES]; // bodies Owned
    size_t added;
    size_t taken; // next() gives the one at `taken` until done()
    bool lent;    // it was given
};

static struct queue queue = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static double now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static bool next(void *self, struct sender_batch *out) {
    struct queue *q = self;
    pthread_mutex_lock(&q->mutex);
    bool have = q->taken < q->added;
    if (have && q->lent)
        abort(); // asked again before done()
    if (have)
        *out = q->list[q->taken];
    q->lent = have;
    pthread_mutex_unlock(&q->mutex);
    return have;
}

static void done(void *self, const struct sender_batch *batch, enum sender_outcome outcome, uint64_t rejected) {
    struct queue *q = self;
    pthread_mutex_lock(&q->mutex);
    if (!q->lent || batch->body != q->list[q->taken].body)
        abort();
    printf("{\"event\": \"done\", \"index\": %zu, \"outcome\": \"%s\", \"rejected\": %llu, \"at_ms\": %.3f}\n",
           q->taken, outcome == SENDER_SENT ? "sent" : "rejected", (unsigned long long)rejected, now_ms());
    free((void *)(uintptr_t)batch->body);
    q->taken++;
    q->lent = false;
    pthread_mutex_unlock(&q->mutex);
}

static void add_batch(const char *file, uint64_t items) {
    FILE *in = fopen(file, "rb");
    if (!in || queue.added == MAX_BATCHES)
        exit(3);
    fseek(in, 0, SEEK_END);
    size_t bytes = (size_t)ftell(in);
    rewind(in);
    uint8_t *body = malloc(bytes + 1);
    if (!body || fread(body, 1, bytes, in) != bytes)
        exit(3);
    fclose(in);
    uint8_t *exact = malloc(bytes ? bytes : 1); // the sanitizer shall see a read beyond the end
    if (!exact)
        exit(3);
    memcpy(exact, body, bytes);
    free(body);
    pthread_mutex_lock(&queue.mutex);
    queue.list[queue.added++] = (struct sender_batch){PATH, exact, bytes, items};
    pthread_mutex_unlock(&queue.mutex);
    printf("{\"event\": \"added\", \"index\": %zu}\n", queue.added - 1);
}

static int count_entries(const char *path) {
    int count = 0;
    DIR *dir = opendir(path);
    while (dir && readdir(dir))
        count++;
    if (dir)
        closedir(dir);
    return count - 2;
}

static void tell_process(void) {
    printf("{\"event\": \"process\", \"threads\": %d, \"fds\": %d}\n", count_entries("/proc/self/task"),
           count_entries("/proc/self/fd") - 1);
}

static void tell_stats(struct sender *sender) {
    struct sender_stats s;
    sender_stats(sender, &s);
    printf("{\"event\": \"stats\", \"sent_batches\": %llu, \"sent_items\": %llu, \"sent_bytes\": %llu, ",
           (unsigned long long)s.sent_batches, (unsigned long long)s.sent_items, (unsigned long long)s.sent_bytes);
    printf("\"rejected_items\": %llu, \"partial\": %llu, \"attempts\": %llu, \"retries\": %llu, \"connects\": %llu, ",
           (unsigned long long)s.rejected_items, (unsigned long long)s.partial, (unsigned long long)s.attempts,
           (unsigned long long)s.retries, (unsigned long long)s.connects);
    printf("\"refused\": %llu, \"threads\": %llu, \"running\": %s, \"connected\": %s, \"in_call\": %s, ",
           (unsigned long long)s.refused, (unsigned long long)s.threads, s.running ? "true" : "false",
           s.connected ? "true" : "false", s.in_call ? "true" : "false");
    printf("\"last_code\": %d, \"last_message\": \"", s.last_code);
    for (const char *p = s.last_message; *p; p++)
        printf(*p == '"' || *p == '\\' ? "\\%c" : "%c", *p);
    printf("\"}\n");
}

// What pthread_atfork's handlers do, with a child that looks at itself.
static void fork_once(struct sender *sender) {
    double begin = now_ms();
    sender_pause(sender);
    double paused = now_ms() - begin;
    int threads = count_entries("/proc/self/task"), status = 0;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        int before = count_entries("/proc/self/fd");
        sender_child_after_fork(sender);
        printf("{\"event\": \"child\", \"threads\": %d, \"fds_before\": %d, \"fds\": %d}\n",
               count_entries("/proc/self/task"), before - 1, count_entries("/proc/self/fd") - 1);
        fflush(stdout);
        _exit(0);
    }
    sender_resume(sender);
    waitpid(child, &status, 0);
    printf("{\"event\": \"forked\", \"pause_ms\": %.3f, \"threads\": %d, \"child_status\": %d}\n", paused, threads,
           status);
}

// What a careless application does: closes every descriptor, and gets the numbers again for a file of its own.
static void steal(const char *path) {
    int file = open(path, O_CREAT | O_RDWR | O_TRUNC, 0600);
    for (int fd = 3; fd < 3 + MAX_STOLEN; fd++) {
        if (fd != file && dup2(file, fd) < 0)
            exit(3);
    }
}

static int count_stolen(void) {
    struct stat first, other;
    int count = 0;
    for (int fd = 3; fd < 3 + MAX_STOLEN; fd++) {
        if (fstat(3, &first) == 0 && fstat(fd, &other) == 0 && S_ISREG(other.st_mode) && first.st_ino == other.st_ino)
            count++;
    }
    return count;
}

static bool command(struct sender *sender, const char *line) {
    char word[16] = "", file[1024] = "";
    unsigned long long number = 0;
    double begin = now_ms();
    int status = 0;
    if (sscanf(line, "batch %1023s %llu", file, &number) == 2) {
        add_batch(file, number);
        return true;
    }
    if (sscanf(line, "%15s %1023s", word, file) < 1)
        return true;
    number = strtoull(file, NULL, 10);
    if (strcmp(word, "wake") == 0)
        sender_wake(sender);
    else if (strcmp(word, "hurry") == 0)
        sender_hurry(sender);
    else if (strcmp(word, "pause") == 0)
        sender_pause(sender);
    else if (strcmp(word, "resume") == 0)
        sender_resume(sender);
    else if (strcmp(word, "flush") == 0)
        status = (int)sender_flush(sender, number * 1000000u);
    else if (strcmp(word, "stats") == 0)
        tell_stats(sender);
    else if (strcmp(word, "process") == 0)
        tell_process();
    else if (strcmp(word, "fork") == 0)
        fork_once(sender);
    else if (strcmp(word, "steal") == 0)
        steal(file);
    else if (strcmp(word, "stolen") == 0)
        status = count_stolen() - MAX_STOLEN;
    else if (strcmp(word, "stop") == 0)
        return false;
    printf("{\"event\": \"%s\", \"status\": %d, \"ms\": %.3f}\n", word, status, now_ms() - begin);
    return true;
}

static bool option(const char *arg, struct sender_options *options, struct grpc_header *headers) {
    const struct {
        const char *name;
        uint64_t *value;
    } numbers[] = {{"timeout_ms=", &options->timeout_ns},
                   {"interval_ms=", &options->interval_ns},
                   {"idle_ms=", &options->idle_ns},
                   {"backoff_min_ms=", &options->backoff_min_ns},
                   {"backoff_max_ms=", &options->backoff_max_ns},
                   {"patience_ms=", &options->patience_ns}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        size_t bytes = strlen(numbers[i].name);
        if (strncmp(arg, numbers[i].name, bytes) == 0) {
            *numbers[i].value = strtoull(arg + bytes, NULL, 10) * 1000000u;
            return true;
        }
    }
    if (strncmp(arg, "target=", 7) == 0)
        options->target = arg + 7;
    else if (strncmp(arg, "version=", 8) == 0)
        options->version = arg + 8;
    else if (strncmp(arg, "header=", 7) == 0 && strchr(arg, ':') && options->header_count < MAX_HEADERS) {
        char *name = strdup(arg + 7), *colon = strchr(name, ':');
        *colon = '\0';
        headers[options->header_count++] = (struct grpc_header){name, colon + 1};
    } else
        return false;
    return true;
}

int main(int argc, char **argv) {
    char line[2048];
    struct grpc_header headers[MAX_HEADERS];
    struct sender_options options = {.headers = headers, .target = ""};
    const struct sender_source source = {.self = &queue, .next = next, .done = done};
    struct sender *sender = NULL;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 1; i < argc; i++) {
        if (!option(argv[i], &options, headers))
            return 2;
    }
    enum status status = sender_open(&sender, &options, &source);
    printf("{\"event\": \"open\", \"status\": %d}\n", (int)status);
    for (size_t i = 0; i < options.header_count; i++)
        free((void *)(uintptr_t)headers[i].name);
    if (status != STATUS_OK)
        return 1;
    while (fgets(line, sizeof line, stdin) && command(sender, line))
        ;
    double begin = now_ms();
    sender_free(sender);
    printf("{\"event\": \"stopped\", \"ms\": %.3f}\n", now_ms() - begin);
    for (size_t i = queue.taken; i < queue.added; i++)
        free((void *)(uintptr_t)queue.list[i].body);
    return 0;
}
