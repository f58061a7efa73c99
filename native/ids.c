// SPDX-License-Identifier: Apache-2.0
// ids: see ids.h. One atomic counter, sent through a keyed bijection of 64 bits: within a process ids can't repeat
// before 2^64 of them, and the keys (192 bits) come from the kernel, so that processes don't meet. Fork: the child
// reseeds. This is not cryptography: whoever sees many ids may guess later ones, as with every tracer.
#include "ids.h"
#include "clock.h"
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define GOLDEN 0x9e3779b97f4a7c15u
#define GRND_NONBLOCK_FLAG 1u // <sys/random.h> is younger than the oldest libc we load in

enum { KEY_IN = 0, KEY_OUT = 1, KEY_OTHER = 2, KEYS = 3 };

static _Atomic uint64_t counter;
static _Atomic uint64_t keys[KEYS];
static _Atomic int seeded; // 1: keys are set

// A bijection of 64 bits with full avalanche (Stafford's variant 13 of the murmur3 finaliser).
static uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static uint64_t permute(uint64_t n, unsigned key) {
    uint64_t in = atomic_load_explicit(&keys[key], memory_order_relaxed);
    uint64_t out = atomic_load_explicit(&keys[KEY_OUT], memory_order_relaxed);
    return mix(n * GOLDEN + in) ^ out;
}

// Fills from getrandom without ever blocking (early boot), else from /dev/urandom. What neither gave stays.
static void from_kernel(void *out, size_t bytes) {
    if (syscall(SYS_getrandom, out, bytes, GRND_NONBLOCK_FLAG) == (long)bytes)
        return;
    int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t got = read(fd, out, bytes);
    (void)got;
    close(fd);
}

void ids_reseed(void) {
    uint64_t fresh[KEYS + 1];
    uint64_t salt = clock_mono_ns() ^ ((uint64_t)getpid() << 32) ^ (uint64_t)(uintptr_t)&fresh;
    for (unsigned i = 0; i <= KEYS; i++)
        fresh[i] = mix(salt + i * GOLDEN);
    from_kernel(fresh, sizeof fresh);
    for (unsigned i = 0; i < KEYS; i++)
        atomic_store_explicit(&keys[i], fresh[i], memory_order_relaxed);
    atomic_store_explicit(&counter, fresh[KEYS], memory_order_relaxed);
    atomic_store_explicit(&seeded, 1, memory_order_release);
}

static uint64_t next(void) {
    if (__builtin_expect(!atomic_load_explicit(&seeded, memory_order_acquire), 0))
        ids_reseed();
    return atomic_fetch_add_explicit(&counter, 1, memory_order_relaxed);
}

uint64_t ids_random(void) {
    return permute(next(), KEY_OTHER);
}

void ids_span(uint8_t out[8]) {
    uint64_t id;
    do
        id = permute(next(), KEY_IN);
    while (__builtin_expect(id == 0, 0));
    memcpy(out, &id, 8);
}

void ids_trace(uint8_t out[16], uint32_t seconds) {
    uint64_t n = next();
    uint64_t low = permute(n, KEY_IN);
    uint64_t high = permute(n, KEY_OTHER);
    uint32_t big_endian = __builtin_bswap32(seconds);
    memcpy(out, &big_endian, 4);
    memcpy(out + 4, &high, 4);
    low += low == 0;
    memcpy(out + 8, &low, 8);
}

void ids_bytes(uint8_t *out, uint32_t bytes) {
    for (uint32_t done = 0; done < bytes; done += 8) {
        uint64_t word = ids_random();
        memcpy(out + done, &word, bytes - done < 8 ? bytes - done : 8);
    }
}
