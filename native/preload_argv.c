// SPDX-License-Identifier: Apache-2.0
// preload_argv: see preload_argv.h. Options end at the first argument that is none, at "-", "--", -c or -m; -W and -X
// take the rest of their word or the next one. Letters that a version doesn't know make it stop with its usage.
#include "preload_argv.h"
#include "bare.h"

static bool has(const char *letters, char letter) {
    for (; *letters != 0; letters++)
        if (*letters == letter)
            return true;
    return false;
}

enum argv_says preload_argv(int argc, const char *const *argv) {
    enum argv_says says = ARGV_SITE;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (word[0] != '-' || word[1] == 0 || bare_equal(word, "--"))
            break;
        if (bare_starts(word, "--")) {
            if (bare_starts(word, "--help") || bare_equal(word, "--version"))
                return ARGV_NOTHING;
            if (bare_equal(word, "--check-hash-based-pycs"))
                i++;
            continue;
        }
        for (const char *letter = word + 1; *letter != 0; letter++) {
            if (has("cm", *letter))
                return says;
            if (has("Vh?", *letter))
                return ARGV_NOTHING;
            if (*letter == 'S')
                says = ARGV_NO_SITE;
            if (has("WX", *letter)) {
                i += letter[1] == 0;
                break;
            }
        }
    }
    return says;
}
