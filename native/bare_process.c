// SPDX-License-Identifier: Apache-2.0
// bare_process: see bare_process.h.
#include "bare_process.h"

uint64_t bare_start_ticks(int32_t pid) {
    char path[32], stat[1024];
    struct bare_text name;
    bare_text(&name, path, sizeof path);
    bare_add(&name, "/proc/");
    if (pid > 0)
        bare_add_number(&name, (uint64_t)pid);
    else
        bare_add(&name, "self");
    bare_add(&name, "/stat");
    long bytes = bare_read_file(path, stat, sizeof stat);
    while (bytes > 0 && stat[bytes - 1] != ')') // the command may hold blanks and brackets
        bytes--;
    if (bytes <= 0)
        return 0;
    const char *at = stat + bytes;
    if (pid > 0 && at[0] == ' ' && (at[1] == 'Z' || at[1] == 'X'))
        return 0;
    for (int blanks = 0; blanks < 20; blanks += *at++ == ' ')
        if (*at == 0)
            return 0;
    return bare_digits(&at);
}

uint64_t bare_pid_namespace(void) {
    struct stat about;
    return bare_stat("/proc/self/ns/pid", &about) < 0 ? 0 : about.st_ino;
}

bool bare_may_write(void) {
    struct rlimit limit;
    return bare_limit(RLIMIT_FSIZE, &limit) >= 0 && limit.rlim_cur >= 1u << 20;
}

uint64_t bare_now_ns(void) {
    struct timespec now = {0};
    bare_clock(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void bare_add_process(struct bare_text *text, int32_t pid, uint64_t ticks, uint64_t pid_namespace) {
    bare_add_number(text, (uint64_t)pid);
    bare_add(text, "-");
    bare_add_number(text, ticks);
    if (pid_namespace != 0 && pid_namespace != BARE_FIRST_NAMESPACE) {
        bare_add(text, "-");
        bare_add_number(text, pid_namespace);
    }
}

void bare_add_hex(struct bare_text *text, uint64_t number) {
    char digits[16];
    for (int at = 15; at >= 0; at--, number >>= 4)
        digits[at] = "0123456789abcdef"[number & 15];
    bare_add_bytes(text, digits, sizeof digits);
}

static void add_two(struct bare_text *text, uint64_t number, char after) {
    const char both[3] = {(char)('0' + number / 10 % 10), (char)('0' + number % 10), after};
    bare_add_bytes(text, both, sizeof both);
}

static bool is_leap(uint64_t year) {
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

void bare_add_time(struct bare_text *text, uint64_t ns) {
    static const uint8_t days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    uint64_t s = ns / 1000000000u, left = s / 86400, year = 1970, month = 0;
    for (; left >= 365u + is_leap(year); year++)
        left -= 365u + is_leap(year);
    for (; left >= days[month] + (uint64_t)(month == 1 && is_leap(year)); month++)
        left -= days[month] + (uint64_t)(month == 1 && is_leap(year));
    bare_add_number(text, year);
    bare_add(text, "-");
    add_two(text, month + 1, '-');
    add_two(text, left + 1, 'T');
    add_two(text, s / 3600 % 24, ':');
    add_two(text, s / 60 % 60, ':');
    add_two(text, s % 60, 'Z');
}

uint64_t bare_hash(uint64_t before, const void *bytes, size_t count) {
    const unsigned char *at = bytes;
    for (; count > 0; count--, at++)
        before = (before ^ *at) * 1099511628211u;
    return before;
}
