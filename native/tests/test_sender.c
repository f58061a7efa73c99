// SPDX-License-Identifier: Apache-2.0
// The sender with many callers at once: four threads wake, hurry, flush, pause, resume and ask for numbers, while a
// server in a thread of its own answers. Meant for ThreadSanitizer: every batch must arrive exactly once, in order.
#define _GNU_SOURCE
#include "sender.h"

#include "http2_server.h"
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BATCHES 400
#define CALLERS 4

static int failures;

#define CHECK(what)                                                                                                    \
    do {                                                                                                               \
        if (!(what)) {                                                                                                 \
            printf("FAILED: %s:%d: %s\n", __func__, __LINE__, #what);                                                  \
            failures++;                                                                                                \
        }                                                                                                              \
    } while (0)

// The source: numbers up to `ready`, each a batch of its own. Next and done are the sender's thread's alone.
struct numbers {
    _Atomic uint32_t ready;
    _Atomic uint32_t done;
    uint32_t lent; // not atomic: ThreadSanitizer shall see two threads in next() and done()
    uint32_t body;
};

static bool next(void *self, struct sender_batch *out) {
    struct numbers *numbers = self;
    if (atomic_load(&numbers->done) >= atomic_load(&numbers->ready))
        return false;
    numbers->body = atomic_load(&numbers->done);
    numbers->lent++;
    *out = (struct sender_batch){"/pkg.Service/Export", (const uint8_t *)&numbers->body, sizeof numbers->body, 1};
    return true;
}

static void done(void *self, const struct sender_batch *batch, enum sender_outcome outcome, uint64_t rejected) {
    struct numbers *numbers = self;
    CHECK(outcome == SENDER_SENT && rejected == 0 && batch->items == 1);
    atomic_fetch_add(&numbers->done, 1);
}

// --- the server: one connection after another, one thread

struct collector {
    int listener;
    _Atomic bool stop;
    uint32_t got; // requests, which must come as 0, 1, 2, …
    bool in_order;
};

static const uint8_t empty_message[] = {0, 0, 0, 0, 0};
static const struct script script = {"200", "application/grpc", empty_message, 5, {"grpc-status", "0"}};

static void take(struct collector *collector, struct server *server) {
    while (server->got_bytes >= 9) {
        uint32_t number = 0;
        memcpy(&number, server->got + 5, sizeof number);
        collector->in_order = collector->in_order && number == collector->got;
        collector->got++;
        server->got_bytes -= 9;
        memmove(server->got, server->got + 9, server->got_bytes);
        server->answered = 0;
    }
}

static void serve(struct collector *collector, int link) {
    struct server server;
    uint8_t bytes[4096];
    const uint8_t *out = NULL;
    ssize_t count = 0;
    server_begin(&server, &script);
    do {
        while ((count = nghttp2_session_mem_send(server.session, &out)) > 0)
            (void)!send(link, out, (size_t)count, MSG_NOSIGNAL);
        count = recv(link, bytes, sizeof bytes, 0);
        if (count > 0 && nghttp2_session_mem_recv(server.session, bytes, (size_t)count) != count)
            abort();
        take(collector, &server);
    } while (count > 0);
    server_end(&server);
    close(link);
}

static void *collect(void *arg) {
    struct collector *collector = arg;
    while (!atomic_load(&collector->stop)) {
        struct pollfd ready = {.fd = collector->listener, .events = POLLIN};
        if (poll(&ready, 1, 20) > 0)
            serve(collector, accept(collector->listener, NULL, NULL));
    }
    return NULL;
}

// --- the callers

struct caller {
    struct sender *sender;
    struct numbers *numbers;
    unsigned turn;
};

static void *call_all(void *arg) {
    struct caller *caller = arg;
    struct sender_stats stats;
    for (unsigned i = caller->turn; i < BATCHES / CALLERS * 8; i++) {
        switch ((i * 7 + caller->turn) % 16) {
        case 0:
            sender_pause(caller->sender);
            sender_resume(caller->sender);
            break;
        case 1:
            sender_hurry(caller->sender);
            break;
        case 2:
            (void)!sender_flush(caller->sender, 2000000);
            break;
        case 3:
            sender_stats(caller->sender, &stats);
            CHECK(stats.rejected_items == 0);
            break;
        default:
            if (atomic_load(&caller->numbers->ready) < BATCHES)
                atomic_fetch_add(&caller->numbers->ready, 1);
            sender_wake(caller->sender);
        }
    }
    return NULL;
}

static int listen_here(void) {
    const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (const struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 64) != 0)
        abort();
    return listener;
}

static void many_callers_lose_and_repeat_nothing(void) {
    struct collector collector = {.listener = listen_here(), .in_order = true};
    struct numbers numbers = {0};
    struct sender *sender = NULL;
    struct sender_stats stats;
    pthread_t server, threads[CALLERS];
    struct caller callers[CALLERS];
    const struct sender_source source = {.self = &numbers, .next = next, .done = done};
    const struct sender_options options = {
        .target = "unix:socket", .interval_ns = 1000000, .idle_ns = 1, .timeout_ns = 60000000000u};
    CHECK(sender_open(&sender, &options, &source) == STATUS_OK);
    pthread_create(&server, NULL, collect, &collector);
    for (unsigned i = 0; i < CALLERS; i++) {
        callers[i] = (struct caller){sender, &numbers, i};
        pthread_create(&threads[i], NULL, call_all, &callers[i]);
    }
    for (unsigned i = 0; i < CALLERS; i++)
        pthread_join(threads[i], NULL);
    CHECK(sender_flush(sender, 60000000000u) == STATUS_OK);
    uint32_t ready = atomic_load(&numbers.ready);
    CHECK(atomic_load(&numbers.done) == ready);
    sender_stop(sender);
    sender_stats(sender, &stats);
    CHECK(stats.sent_batches == ready && stats.retries == 0 && stats.attempts == ready && !stats.running);
    sender_wake(sender); // nothing any more
    CHECK(sender_flush(sender, 1000000000u) == STATUS_OK);
    sender_free(sender);
    atomic_store(&collector.stop, true);
    pthread_join(server, NULL);
    CHECK(collector.got == ready && collector.in_order);
    close(collector.listener);
    unlink("socket");
}

static void without_a_collector_nothing_is_lost_and_nobody_waits(void) {
    struct numbers numbers = {.ready = 3};
    struct sender *sender = NULL;
    struct sender_stats stats;
    const struct sender_source source = {.self = &numbers, .next = next, .done = done};
    const struct sender_options options = {.target = "unix:socket"};
    CHECK(sender_open(&sender, &options, &source) == STATUS_OK);
    sender_stats(sender, &stats);
    CHECK(stats.threads == 0 && !stats.running);
    for (int turn = 0; turn < 20; turn++) {
        CHECK(sender_flush(sender, 600000000000u) == STATUS_IO);
        sender_pause(sender);
        sender_pause(sender);
        sender_resume(sender);
        sender_wake(sender);
        sender_stats(sender, &stats);
        CHECK(!stats.running && !stats.connected);
        sender_resume(sender);
    }
    CHECK(atomic_load(&numbers.done) == 0 && numbers.lent == 1);
    sender_free(sender);
    sender_free(NULL);
}

// --- a resolver that hangs: this definition stands before libc's

static _Atomic bool resolver_open;
static _Atomic int lookups;

int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **out) {
    (void)port, (void)out;
    if (hints->ai_flags & AI_NUMERICHOST)
        return EAI_NONAME;
    CHECK(strcmp(host, "collector.test") == 0);
    atomic_fetch_add(&lookups, 1);
    while (!atomic_load(&resolver_open))
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    return EAI_NONAME;
}

static void a_name_lookup_that_hangs_holds_up_neither_fork_nor_flush(void) {
    struct numbers numbers = {.ready = 1};
    struct sender *sender = NULL;
    struct sender_stats stats;
    const struct sender_source source = {.self = &numbers, .next = next, .done = done};
    const struct sender_options options = {.target = "collector.test:4317"};
    int status = 0;
    CHECK(sender_open(&sender, &options, &source) == STATUS_OK);
    sender_wake(sender);
    while (atomic_load(&lookups) == 0)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    sender_pause(sender); // returns, though the thread cannot
    pid_t child = fork();
    if (child == 0) {
        sender_child_after_fork(sender);
        _exit(0);
    }
    sender_resume(sender);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(sender_flush(sender, 10000000) == STATUS_BUSY);
    sender_stats(sender, &stats);
    CHECK(stats.running && stats.threads == 1 && stats.refused == 0);
    atomic_store(&resolver_open, true);
    while (stats.refused == 0) {
        sender_wake(sender);
        sender_stats(sender, &stats);
    }
    CHECK(strstr(stats.last_message, "name is not known") && stats.last_code == GRPC_UNAVAILABLE);
    CHECK(sender_flush(sender, 600000000000u) == STATUS_IO);
    sender_free(sender);
}

int main(void) {
    char folder[] = "sender-XXXXXX"; // below TMPDIR, and a short path: the name of a socket has 107 characters at most
    if (getenv("TMPDIR") && chdir(getenv("TMPDIR")) != 0)
        return 1;
    if (!mkdtemp(folder) || chdir(folder) != 0)
        return 1;
    many_callers_lose_and_repeat_nothing();
    without_a_collector_nothing_is_lost_and_nobody_waits();
    a_name_lookup_that_hangs_holds_up_neither_fork_nor_flush();
    if (chdir("..") != 0 || rmdir(folder) != 0)
        return 1;
    printf(failures ? "%d failures\n" : "ok\n", failures);
    return failures != 0;
}
