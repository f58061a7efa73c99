// SPDX-License-Identifier: Apache-2.0
// The parts of libpillion.so that can be tried without a process to be mapped into: texts, maps, switches, names.
// Its files are included whole: no library has them but itself.
#include "../preload_path.c"
#include "../preload_self.c"
#include "check.h"
#include <string.h>
#include <unistd.h>

CHECK_MAIN;

// The text at the end of a page, so that reading past its NUL is a crash; the caller's until the next call.
static const char *at_the_edge(const char *text) {
    static char *pages;
    size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = strlen(text) + 1;
    if (pages == NULL) {
        pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        REQUIRE(pages != MAP_FAILED && mprotect(pages + page, page, PROT_NONE) == 0);
    }
    return memcpy(pages + page - bytes, text, bytes);
}

static void a_growing_text_is_cut_and_says_so(void) {
    char memory[8];
    struct bare_text text;
    bare_text(&text, memory, sizeof memory);
    bare_add(&text, "abc");
    bare_add_number(&text, 0);
    CHECK(strcmp(memory, "abc0") == 0 && !text.cut && text.used == 4);
    bare_add_number(&text, UINT64_MAX);
    CHECK(strcmp(memory, "abc0184") == 0 && text.cut && text.used == 7);
    bare_text(&text, memory, 1);
    bare_add(&text, "");
    CHECK(!text.cut);
    bare_add(&text, "x");
    CHECK(text.cut && memory[0] == 0);
}

static void texts_are_read_to_their_end_and_no_further(void) {
    CHECK(bare_length(at_the_edge("four")) == 4 && bare_length(at_the_edge("")) == 0);
    CHECK(bare_starts(at_the_edge("ab"), "ab") && !bare_starts(at_the_edge("ab"), "abc"));
    CHECK(bare_ends(at_the_edge("ab"), "b") && !bare_ends(at_the_edge("b"), "ab") && bare_ends(at_the_edge("a"), ""));
    CHECK(bare_find(at_the_edge("xaab"), "ab") != NULL && bare_find(at_the_edge("xaa"), "aab") == NULL);
    CHECK(strcmp(bare_base(at_the_edge("/a/b")), "b") == 0 && bare_base(at_the_edge("a/"))[0] == 0);
    const char *at = at_the_edge("99999999999999999999x");
    CHECK(bare_digits(&at) == UINT64_MAX && *at == 'x');
    at = at_the_edge("18446744073709551615");
    CHECK(bare_digits(&at) == UINT64_MAX && *at == 0);
    at = at_the_edge("");
    CHECK(bare_digits(&at) == 0);
}

static void a_variable_is_found_by_its_whole_name(void) {
    const char *const envp[] = {"PATH", "PATHS=1", "=PATH", "PATH=", "PATH=2", NULL};
    CHECK(strcmp(bare_getenv(envp, "PATH"), "") == 0);
    CHECK(strcmp(bare_getenv(envp, "PATHS"), "1") == 0);
    CHECK(bare_getenv(envp, "PAT") == NULL && bare_getenv(NULL, "PATH") == NULL);
}

static void a_line_of_maps_tells_its_file(void) {
    const char *line = "7f00-7f80 r-xp 00000000 fe:00 123                        /opt/a b/lib x.so";
    CHECK(mapped_at(at_the_edge(line), 0x7eff) == NULL && mapped_at(at_the_edge(line), 0x7f80) == NULL);
    const char *path = mapped_at(at_the_edge(line), 0x7f7f);
    CHECK(path != NULL && strcmp(path, "/opt/a b/lib x.so") == 0);
    CHECK(mapped_at(at_the_edge("7f00-7f80 rw-p 00000000 00:00 0 "), 0x7f00) == NULL);
    CHECK(mapped_at(at_the_edge("7f00-7f80 rw-p 00000000 00:00 0    [heap]"), 0x7f00) == NULL);
    const char *const broken[] = {"", "7f00", "7f00-", "-", "x-y /z", "7f00-7f80"};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
        CHECK(mapped_at(at_the_edge(broken[i]), 0x7f00) == NULL);
}

static void a_program_finds_the_file_it_was_mapped_from(void) {
    char path[4096], found[4096];
    ssize_t bytes = readlink("/proc/self/exe", path, sizeof path - 1);
    REQUIRE(bytes > 0);
    path[bytes] = 0;
    for (size_t room = 512; room <= 8192; room *= 2) { // lines are put together from any reads
        char *buffer = malloc(room);
        CHECK(library_path(buffer, room, found, sizeof found) && strcmp(found, path) == 0);
        free(buffer);
    }
    char few[4], room[8192];
    CHECK(!library_path(room, sizeof room, few, sizeof few)); // a path that is cut is none
}

static void switches_know_the_words_of_the_settings(void) {
    const char *const off[] = {"0", "false", "FALSE", " no\t", "Off", "\n0"}, *const on[] = {
                                                                                  "",  " ",   "1",  "true", "falsey",
                                                                                  "n", "noo", "00", "o ff", "@ff"};
    for (size_t i = 0; i < sizeof off / sizeof *off; i++)
        CHECK(preload_is_off(at_the_edge(off[i])));
    for (size_t i = 0; i < sizeof on / sizeof *on; i++)
        CHECK(!preload_is_off(at_the_edge(on[i])));
}

static bool opens(const char *program) {
    return path_opens_python((unsigned long)at_the_edge(program));
}

static void programs_that_open_python_late_are_known_by_name(void) {
    CHECK(opens("/usr/bin/uwsgi") && opens("uwsgi-core") && opens("uwsgi_python3") && opens("/usr/sbin/apache2"));
    CHECK(opens("httpd") && !opens("/usr/bin/uwsgi/x") && !opens("httpd2") && !opens("") && !path_opens_python(0));
}

static void pythonpath_is_spelled_so_that_it_can_be_put_back(void) {
    static const char *const spelled[][2] = {{NULL, "/r/pillion/boot/."},
                                             {"PYTHONPATH=", "/r/pillion/boot/./"},
                                             {"PYTHONPATH=/a:/b", "/r/pillion/boot/.:/a:/b"},
                                             {"PYTHONPATH=/r/pillion/boot/.:/a", "/r/pillion/boot/.:/a"}};
    for (size_t i = 0; i < sizeof spelled / sizeof *spelled; i++) {
        const char *const envp[] = {spelled[i][0], NULL};
        struct subject subject = {.root = "/r", .envp = envp};
        unsetenv("PYTHONPATH");
        if (spelled[i][0] != NULL)
            setenv("PYTHONPATH", spelled[i][0] + strlen("PYTHONPATH="), 1);
        CHECK(path_extend(&subject) && strcmp(getenv("PYTHONPATH"), spelled[i][1]) == 0);
    }
}

int main(void) {
    RUN(a_growing_text_is_cut_and_says_so);
    RUN(texts_are_read_to_their_end_and_no_further);
    RUN(a_variable_is_found_by_its_whole_name);
    RUN(a_line_of_maps_tells_its_file);
    RUN(a_program_finds_the_file_it_was_mapped_from);
    RUN(switches_know_the_words_of_the_settings);
    RUN(programs_that_open_python_late_are_known_by_name);
    RUN(pythonpath_is_spelled_so_that_it_can_be_put_back);
    return REPORT();
}
