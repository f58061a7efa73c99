// SPDX-License-Identifier: Apache-2.0
// rules_line: one line of rules: an action and conditions that must all hold. See rules.conf for the language, rules.h
// for what comes back. A line that is not understood in any part is broken as a whole: a rule half obeyed is worse than
// none.
#include "bare.h"
#include "bare_lines.h"
#include "rules.h"
#include <fcntl.h>

#define CODE_BYTES 32
#define PASSWD_BYTES (1u << 20)

// One pattern, without alternatives, against a whole text. No recursion: of the stars only the last can be moved.
static bool glob_one(const char *pattern, const char *end, const char *text) {
    const char *star = NULL, *retry = NULL;
    while (*text != 0) {
        if (pattern < end && *pattern == '*') {
            star = ++pattern;
            retry = text;
        } else if (pattern < end && (*pattern == '?' || *pattern == *text)) {
            pattern++;
            text++;
        } else if (star != NULL) {
            pattern = star;
            text = ++retry;
        } else
            return false;
    }
    while (pattern < end && *pattern == '*')
        pattern++;
    return pattern == end;
}

bool rules_glob(const char *pattern, const char *text) {
    for (;;) {
        const char *end = pattern;
        while (*end != 0 && *end != '|')
            end++;
        if (glob_one(pattern, end, text))
            return true;
        if (*end == 0)
            return false;
        pattern = end + 1;
    }
}

// Each alternative without a '/' is held against the last part of a path, the others against all of it.
static bool path_matches(const char *pattern, const char *path) {
    if (path == NULL)
        return false;
    for (;;) {
        const char *end = pattern;
        bool is_whole = false;
        while (*end != 0 && *end != '|')
            is_whole |= *end++ == '/';
        if (glob_one(pattern, end, is_whole ? path : bare_base(path)))
            return true;
        if (*end == 0)
            return false;
        pattern = end + 1;
    }
}

static bool exe_matches(const char *pattern, const struct rules_case *about) {
    const struct subject *subject = about->subject;
    return path_matches(pattern, subject->exe) || (subject->argc > 0 && path_matches(pattern, subject->argv[0]));
}

static bool argument_matches(const char *pattern, const struct rules_case *about) {
    for (int at = 1; at < about->subject->argc; at++)
        if (rules_glob(pattern, about->subject->argv[at]))
            return true;
    return false;
}

// The module itself, or a package that it is in.
static bool module_matches(const char *pattern, const struct rules_case *about) {
    if (about->shape.kind != ARGV_MODULE)
        return false;
    char name[256];
    struct bare_text text;
    bare_text(&text, name, sizeof name);
    bare_add(&text, about->shape.what);
    for (size_t end = text.used; end > 0; end--)
        if (name[end] == 0 || name[end] == '.') {
            name[end] = 0;
            if (rules_glob(pattern, name))
                return true;
        }
    return false;
}

// NAME or NAME=GLOB.
static bool variable_matches(char *pattern, const struct rules_case *about) {
    char *glob = pattern;
    while (*glob != 0 && *glob != '=')
        glob++;
    bool any = *glob == 0;
    *glob = 0;
    const char *value = bare_getenv(about->subject->envp, pattern);
    return value != NULL && (any || rules_glob(glob + 1, value));
}

static bool number_at(const char **at, uint64_t *out) {
    const char *begin = *at;
    *out = bare_digits(at);
    return *at > begin;
}

// The number of a user in /etc/passwd: "name:x:1000:…".
static bool find_user(const char *name, uint64_t *uid) {
    struct bare_lines lines;
    size_t bytes, name_bytes = bare_length(name);
    bool whole, found = false;
    long fd = bare_open("/etc/passwd", O_RDONLY | O_NONBLOCK, 0);
    if (fd < 0)
        return false;
    bare_lines_begin(&lines, (int)fd, PASSWD_BYTES);
    for (const char *line; !found && (line = bare_line(&lines, &bytes, &whole)) != NULL;) {
        if (!bare_starts(line, name) || line[name_bytes] != ':')
            continue;
        for (line += name_bytes + 1; *line != 0 && *line != ':'; line++)
            ;
        found = *line++ == ':' && number_at(&line, uid);
    }
    bare_close((int)fd);
    return found;
}

static bool user_matches(const char *user, const struct rules_case *about) {
    const char *end = user;
    uint64_t uid;
    bool is_number = number_at(&end, &uid) && *end == 0;
    return (is_number || find_user(user, &uid)) && uid == about->subject->uid;
}

static bool is_code(const char *text) {
    size_t bytes = 0;
    for (; text[bytes] != 0; bytes++)
        if (!((text[bytes] >= 'A' && text[bytes] <= 'Z') || (text[bytes] >= '0' && text[bytes] <= '9') ||
              text[bytes] == '_'))
            return false;
    return bytes > 0 && bytes < CODE_BYTES;
}

// One condition; broken (false) when it isn't known. *holds becomes false when it doesn't hold; asked only while it
// does.
static bool condition(const char *key, char *value, const struct rules_case *about, bool *holds, char *code) {
    if (value[0] == 0)
        return false;
    if (bare_equal(key, "exe"))
        *holds = *holds && exe_matches(value, about);
    else if (bare_equal(key, "script"))
        *holds = *holds && about->shape.kind == ARGV_SCRIPT && path_matches(value, about->shape.what);
    else if (bare_equal(key, "arg"))
        *holds = *holds && argument_matches(value, about);
    else if (bare_equal(key, "module"))
        *holds = *holds && module_matches(value, about);
    else if (bare_equal(key, "env") && value[0] != '=')
        *holds = *holds && variable_matches(value, about);
    else if (bare_equal(key, "user"))
        *holds = *holds && user_matches(value, about);
    else if (bare_equal(key, "code") && is_code(value)) {
        struct bare_text out;
        bare_text(&out, code, CODE_BYTES);
        bare_add(&out, value);
    } else
        return false;
    return true;
}

static bool is_text(const char *line, size_t bytes) {
    for (size_t at = 0; at < bytes; at++)
        if (((unsigned char)line[at] < ' ' && line[at] != '\t') || line[at] == 127)
            return false;
    return true;
}

// The next word, its quotes taken off, ended by a NUL, *at moved behind it; NULL at the end, or before a comment. A
// quote that isn't closed makes *broken.
static char *next_word(char **at, bool *broken) {
    char *in = *at;
    while (*in == ' ' || *in == '\t')
        in++;
    if (*in == 0 || *in == '#')
        return NULL;
    char *word = in, *out = in;
    bool quoted = false;
    for (; *in != 0 && (quoted || (*in != ' ' && *in != '\t')); in++) {
        if (*in == '"')
            quoted = !quoted;
        else
            *out++ = *in;
    }
    *broken |= quoted;
    *at = *in == 0 ? in : in + 1;
    *out = 0;
    return word;
}

enum rules_match rules_line(char *line, size_t bytes, const struct rules_case *about, char *code) {
    if (bytes > 0 && line[bytes - 1] == '\r')
        line[--bytes] = 0;
    bool broken = !is_text(line, bytes), holds = true;
    char own[CODE_BYTES] = "";
    const char *action = broken ? NULL : next_word(&line, &broken);
    if (action == NULL)
        return broken ? RULES_BROKEN : RULES_NOTHING;
    bool deny = bare_equal(action, "deny");
    broken |= !deny && !bare_equal(action, "allow");
    for (char *word; !broken && (word = next_word(&line, &broken)) != NULL && !broken;) {
        char *value = word;
        while (*value != 0 && *value != '=')
            value++;
        if (*value == 0)
            return RULES_BROKEN;
        *value++ = 0;
        broken |= !condition(word, value, about, &holds, own) || (own[0] != 0 && !deny);
    }
    if (broken)
        return RULES_BROKEN;
    if (!holds)
        return RULES_NOTHING;
    struct bare_text out;
    bare_text(&out, code, CODE_BYTES);
    bare_add(&out, !deny ? "" : own[0] != 0 ? own : "RULE");
    return deny ? RULES_DENY : RULES_ALLOW;
}
