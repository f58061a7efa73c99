// SPDX-License-Identifier: Apache-2.0
// Opens the bundle's core as a program of this libc and asks it something:  load_core LIBRARY
// Its functions are offered with a prefix; __wrap_unpack needs nothing, __wrap_clock_mono_ns a call into libc.
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
    void *core = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    if (core == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    uint64_t (*now)(void) = (uint64_t (*)(void))dlsym(core, "__wrap_clock_mono_ns");
    _Bool (*unpack)(const uint8_t *, size_t, uint8_t *, size_t) =
        (_Bool (*)(const uint8_t *, size_t, uint8_t *, size_t))dlsym(core, "__wrap_unpack");
    uint8_t out[5];
    if (now == NULL || unpack == NULL || now() == 0 || !unpack((const uint8_t *)"\x50hello", 6, out, sizeof out))
        return 2;
    return memcmp(out, "hello", sizeof out) == 0 ? 0 : 3;
}
