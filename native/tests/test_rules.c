// SPDX-License-Identifier: Apache-2.0
// The rules' language line by line, the two files with all that may be wrong with them, and CPython's command lines.
#define _GNU_SOURCE
#include "check.h"
#include "rules.h"
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

CHECK_MAIN;

static char folder[64]; // holds root/ and the operator's rules.conf

static const char *const app[] = {"/venv/bin/python", "-X", "dev", "/srv/shop/app.py", "--port", "80 80", NULL};
static const char *const variables[] = {"A=1", "DD_SERVICE=shop", "EMPTY=", "PATHS=/a:/b/c", NULL};

static struct subject subject_of(const char *const *argv) {
    static char root[80];
    int argc = 0;
    while (argv[argc] != NULL)
        argc++;
    snprintf(root, sizeof root, "%s/root", folder);
    return (struct subject){
        .exe = "/usr/bin/python3.11", .argv = argv, .argc = argc, .envp = variables, .uid = 1000, .root = root};
}

static void differs(const char *what) {
    printf("%s\n", what);
    check_failures++;
}

// What one line says of the application, or of another command line.
static enum rules_match said(const char *text, const char *const *argv) {
    char line[512], code[32] = "";
    struct subject subject = subject_of(argv);
    struct rules_case about = {.subject = &subject};
    rules_argv(subject.argc, subject.argv, &about.shape);
    snprintf(line, sizeof line, "%s", text);
    return rules_line(line, strlen(line), &about, code);
}

static enum rules_match says(const char *text) {
    return said(text, app);
}

static void conditions_hold_or_not(void) {
    static const char *const holding[] = {
        "deny",
        "deny exe=python3.11",
        "deny exe=python*",
        "deny exe=/usr/bin/*",
        "deny exe=/venv/*",
        "deny exe=x|y|python",
        "deny script=app.py",
        "deny script=*/shop/*",
        "deny script=*.py",
        "deny arg=dev",
        "deny arg=\"80 80\"",
        "deny arg=80?80",
        "deny arg=--p*",
        "deny env=A",
        "deny env=EMPTY",
        "deny env=A=1",
        "deny env=EMPTY=",
        "deny env=A=*",
        "deny env=PATHS=*/b/*|x",
        "deny user=1000",
        "deny code=OWN_1 user=1000",
        " \tdeny\tuser=1000  # why",
        "deny exe=python* script=app.py arg=dev env=A user=1000",
        "deny script=app.py\r",
        "deny exe=\"python3.11\"",
    };
    static const char *const missing[] = {
        "deny exe=pytho",
        "deny exe=/bin/*",
        "deny exe=python3.1",
        "deny script=app",
        "deny script=shop/app.py",
        "deny module=app",
        "deny arg=80",
        "deny arg=*app",
        "deny env=B",
        "deny env=a",
        "deny env=A=2",
        "deny env=A=",
        "deny user=0",
        "deny user=root",
        "deny user=nobody-of-this-name",
        "deny exe=python* script=other.py",
        "deny arg=/venv/bin/python",
        "deny exe=",
        "deny exe=A|",
    };
    for (size_t at = 0; at < sizeof holding / sizeof *holding; at++)
        if (says(holding[at]) != RULES_DENY)
            differs(holding[at]);
    for (size_t at = 0; at < sizeof missing / sizeof *missing; at++)
        if (says(missing[at]) == RULES_DENY)
            differs(missing[at]);
    CHECK(says("allow script=app.py") == RULES_ALLOW);
    CHECK(says("") == RULES_NOTHING && says("   ") == RULES_NOTHING && says("# deny") == RULES_NOTHING);
}

static void lines_that_are_not_understood_count_for_nothing(void) {
    static const char *const broken[] = {
        "Deny",
        "denyexe=x",
        "deny exe",
        "deny exe=",
        "deny =x",
        "deny shoe=x",
        "deny exe=python* and",
        "deny \"exe=python3.11",
        "deny code=lower",
        "deny code=",
        "deny code=A123456789012345678901234567890123",
        "allow code=OWN",
        "deny env==x",
        "deny\x01",
        "deny exe=\x7f",
        "{\"deny\": true}",
        "deny exe=python3.11 nonsense",
        "deny arg=dev code=OWN x=y",
    };
    for (size_t at = 0; at < sizeof broken / sizeof *broken; at++)
        if (says(broken[at]) != RULES_BROKEN)
            differs(broken[at]);
}

static void modules_are_found_with_the_packages_that_they_are_in(void) {
    static const char *const pip[] = {"python3", "-Im", "pip._internal.cli", "install", NULL};
    static const char *const joined[] = {"python3", "-mpip", NULL};
    CHECK(said("deny module=pip", pip) == RULES_DENY && said("deny module=pip", joined) == RULES_DENY);
    CHECK(said("deny module=pip._internal", pip) == RULES_DENY && said("deny module=pip.*", pip) == RULES_DENY);
    CHECK(said("deny module=pi", pip) == RULES_NOTHING && said("deny module=cli", pip) == RULES_NOTHING);
    CHECK(said("deny script=install", pip) == RULES_NOTHING && said("deny arg=install", pip) == RULES_DENY);
}

static void globs_end_soon_on_any_text(void) {
    char pattern[400], text[40000];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = 0;
    for (size_t at = 0; at < sizeof pattern - 1; at++)
        pattern[at] = at % 2 ? 'a' : '*';
    pattern[sizeof pattern - 1] = 0;
    CHECK(rules_glob(pattern, text));
    pattern[sizeof pattern - 2] = 'b';
    CHECK(!rules_glob(pattern, text));
    CHECK(rules_glob("", "") && rules_glob("*", "") && rules_glob("a|*", "") && !rules_glob("?", "") &&
          !rules_glob("", "x"));
}

static void put(const char *name, const void *content, size_t bytes) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    unlink(path);
    FILE *file = fopen(path, "wb");
    REQUIRE(file != NULL && fwrite(content, 1, bytes, file) == bytes);
    fclose(file);
}

static void puts_(const char *name, const char *content) {
    put(name, content, strlen(content));
}

static struct verdict decide(void) {
    struct verdict verdict;
    struct subject subject = subject_of(app);
    rules_decide(&subject, &verdict);
    return verdict;
}

static void the_operators_file_comes_first_and_the_first_match_decides(void) {
    puts_("root/rules.conf", "deny code=BUILD_TOOL script=app.py\n");
    struct verdict verdict = decide();
    CHECK(verdict.deny && strcmp(verdict.code, "BUILD_TOOL") == 0 &&
          strstr(verdict.reason, "/root/rules.conf:1: deny"));
    puts_("rules.conf", "# mine\n\nallow user=1000\ndeny\n");
    verdict = decide();
    CHECK(!verdict.deny && strstr(verdict.reason, "/rules.conf:3: allow user=1000") != NULL && verdict.notes[0] == 0);
    puts_("rules.conf", "deny user=1000");
    verdict = decide();
    CHECK(verdict.deny && strcmp(verdict.code, "RULE") == 0);
    puts_("rules.conf", "deny user=5\n");
    CHECK(strcmp(decide().code, "BUILD_TOOL") == 0);
}

static void a_damaged_file_is_told_and_what_is_whole_in_it_counts(void) {
    puts_("root/rules.conf", "");
    static const char damaged[] = "nonsense\n\0\0\0\ndeny exe=\xff\xfe\ndeny script=app.py";
    put("rules.conf", damaged, sizeof damaged - 1);
    struct verdict verdict = decide();
    CHECK(verdict.deny && strstr(verdict.notes, "rules.conf:1: nonsense (not understood)\n") != NULL);
    CHECK(strstr(verdict.notes, ":2:") != NULL);
    static char many[200000];
    for (size_t at = 0; at + 20 < sizeof many; at += 20)
        memcpy(many + at, "deny script=other.p\n", 20);
    put("rules.conf", many, sizeof many); // 10,000 lines
    verdict = decide();
    CHECK(!verdict.deny && strstr(verdict.notes, "64 KiB") != NULL);
    memset(many, 'x', sizeof many);
    put("rules.conf", many, sizeof many); // one line
    verdict = decide();
    CHECK(!verdict.deny && strstr(verdict.notes, "not understood") != NULL && strstr(verdict.notes, "64 KiB") != NULL);
    memset(many, '\n', sizeof many);
    memcpy(many + 5000, "deny script=app.py", 18);
    memset(many, 'x', 4096 * 1); // a line that is longer than what is held at once, then others
    put("rules.conf", many, 6000);
    CHECK(decide().deny);
    for (int at = 0; at < 100; at++)
        memcpy(many + at * 3, "no\n", 3);
    put("rules.conf", many, 300);
    verdict = decide();
    CHECK(!verdict.deny && strstr(verdict.notes, "more lines are not understood") != NULL);
    CHECK(strlen(verdict.notes) < sizeof verdict.notes);
}

static void what_is_no_file_is_told_and_never_waited_for(void) {
    char path[128];
    snprintf(path, sizeof path, "%s/rules.conf", folder);
    unlink(path);
    CHECK(decide().notes[0] == 0); // the operator has none
    REQUIRE(mkfifo(path, 0600) == 0);
    CHECK(strstr(decide().notes, "not a file") != NULL);
    unlink(path);
    REQUIRE(symlink("rules.conf", path) == 0);
    CHECK(strstr(decide().notes, "a loop of links") != NULL);
    unlink(path);
    REQUIRE(symlink("/dev/zero", path) == 0);
    CHECK(strstr(decide().notes, "not a file") != NULL);
    unlink(path);
    REQUIRE(mkdir(path, 0700) == 0);
    CHECK(strstr(decide().notes, "not a file") != NULL && !decide().deny);
    rmdir(path);
    REQUIRE(symlink("root/other.conf", path) == 0); // as a configuration that is mounted comes
    puts_("root/other.conf", "deny\n");
    CHECK(decide().deny);
    unlink(path);
    static const char *const named[] = {"PILLION_RULES=/nowhere/rules.conf", NULL};
    struct verdict verdict;
    struct subject subject = subject_of(app);
    subject.envp = named;
    rules_decide(&subject, &verdict);
    CHECK(!verdict.deny && strcmp(verdict.notes, "/nowhere/rules.conf: no such file") == 0);
    subject.envp = NULL;
    subject.root = "/nowhere";
    rules_decide(&subject, &verdict);
    CHECK(!verdict.deny && strstr(verdict.notes, "no such file") != NULL);
}

static void command_lines_are_read_as_cpython_reads_them(void) {
    static const struct {
        const char *const argv[6];
        enum argv_kind kind;
        const char *what, *flags;
    } lines[] = {
        {{"python"}, ARGV_STDIN, NULL, ""},
        {{"python", "-"}, ARGV_STDIN, NULL, ""},
        {{"python", "a.py", "-S"}, ARGV_SCRIPT, "a.py", ""},
        {{"python", "-S", "a.py"}, ARGV_SCRIPT, "a.py", "S"},
        {{"python", "-uBES", "--", "-c"}, ARGV_SCRIPT, "-c", "SE"},
        {{"python", "-Ic", "pass", "-S"}, ARGV_COMMAND, "pass", "IEs"},
        {{"python", "-cpass"}, ARGV_COMMAND, "pass", ""},
        {{"python", "-Sm"}, ARGV_UNKNOWN, NULL, "S"},
        {{"python", "-W", "-S", "a"}, ARGV_SCRIPT, "a", ""},
        {{"python", "-Werror", "-Xdev", "a"}, ARGV_SCRIPT, "a", ""},
        {{"python", "-X"}, ARGV_UNKNOWN, NULL, ""},
        {{"python", "--check-hash-based-pycs", "always", "a"}, ARGV_SCRIPT, "a", ""},
        {{"python", "--version"}, ARGV_USAGE, NULL, ""},
        {{"python", "--help-all"}, ARGV_USAGE, NULL, ""},
        {{"python", "-VV"}, ARGV_USAGE, NULL, ""},
        {{"apache2", "-k", "start"}, ARGV_UNKNOWN, NULL, ""},
        {{"uwsgi", "--http", ":80"}, ARGV_UNKNOWN, NULL, ""},
        {{NULL}, ARGV_STDIN, NULL, ""},
    };
    for (size_t at = 0; at < sizeof lines / sizeof *lines; at++) {
        struct argv_shape shape;
        int argc = 0;
        while (argc < 6 && lines[at].argv[argc] != NULL)
            argc++;
        rules_argv(argc, lines[at].argv, &shape);
        bool same = shape.kind == lines[at].kind && (shape.what == NULL) == (lines[at].what == NULL) &&
                    (shape.what == NULL || strcmp(shape.what, lines[at].what) == 0) &&
                    shape.no_site == (strchr(lines[at].flags, 'S') != NULL) &&
                    shape.ignore_environment == (strchr(lines[at].flags, 'E') != NULL) &&
                    shape.no_user_site == (strchr(lines[at].flags, 's') != NULL);
        if (!same)
            differs(lines[at].argv[1]);
    }
}

int main(void) {
    char path[96];
    snprintf(folder, sizeof folder, "/tmp/test_rules-%d", getpid());
    snprintf(path, sizeof path, "%s/root", folder);
    REQUIRE(mkdir(folder, 0700) == 0 && mkdir(path, 0700) == 0);
    RUN(conditions_hold_or_not);
    RUN(lines_that_are_not_understood_count_for_nothing);
    RUN(modules_are_found_with_the_packages_that_they_are_in);
    RUN(globs_end_soon_on_any_text);
    RUN(the_operators_file_comes_first_and_the_first_match_decides);
    RUN(a_damaged_file_is_told_and_what_is_whole_in_it_counts);
    RUN(what_is_no_file_is_told_and_never_waited_for);
    RUN(command_lines_are_read_as_cpython_reads_them);
    static const char *const left[] = {"rules.conf", "root/rules.conf", "root/other.conf", "root", ""};
    for (int at = 0; at < 5; at++) {
        snprintf(path, sizeof path, "%s/%s", folder, left[at]);
        remove(path);
    }
    return REPORT();
}
