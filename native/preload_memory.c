// SPDX-License-Identifier: Apache-2.0
// preload_memory: the four functions that a compiler takes for granted, for libpillion.so, which has no libc to give
// them. Hidden, so that no program ever gets ours.
#include <stddef.h>

void *memcpy(void *to, const void *from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);

void *memcpy(void *to, const void *from, size_t bytes) {
    char *at = to;
    for (const char *source = from; bytes-- > 0;)
        *at++ = *source++;
    return to;
}

void *memmove(void *to, const void *from, size_t bytes) {
    if ((const char *)to <= (const char *)from)
        return memcpy(to, from, bytes);
    while (bytes-- > 0)
        ((char *)to)[bytes] = ((const char *)from)[bytes];
    return to;
}

void *memset(void *to, int value, size_t bytes) {
    for (char *at = to; bytes-- > 0;)
        *at++ = (char)value;
    return to;
}

int memcmp(const void *a, const void *b, size_t bytes) {
    const unsigned char *left = a, *right = b;
    for (size_t i = 0; i < bytes; i++)
        if (left[i] != right[i])
            return left[i] - right[i];
    return 0;
}
