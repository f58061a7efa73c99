// SPDX-License-Identifier: Apache-2.0
// preload_path: see preload_path.h. The programs: uWSGI as Debian packs it (Python is a plug-in), Apache with mod_wsgi.
// What PYTHONPATH was is told by boot's spelling, and boot/sitecustomize.py puts it back before anything of the
// application runs: ROOT/pillion/boot/. alone: it was not set; ROOT/pillion/boot/./ alone: empty; …/boot/.:REST: REST.
#include "preload_path.h"
#include "bare.h"
#include "preload_symbol.h"
#include <sys/mman.h>

enum { VALUE_BYTES = 128 << 10 };

bool path_opens_python(unsigned long execfn) {
    if (execfn == 0)
        return false;
    const char *name = bare_base((const char *)execfn);
    return bare_starts(name, "uwsgi") || bare_equal(name, "apache2") || bare_equal(name, "httpd");
}

bool path_extend(const struct subject *subject) {
    const char *before = bare_getenv(subject->envp, "PYTHONPATH");
    int (*set)(const char *, const char *, int) = preload_symbol("setenv");
    if (set == NULL)
        return false;
    char *value = bare_map(VALUE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1); // setenv copies it
    if (value == NULL)
        return false;
    struct bare_text text;
    bare_text(&text, value, VALUE_BYTES);
    bare_add(&text, subject->root);
    bare_add(&text, "/pillion/boot/.");
    // A program that starts itself anew before it opens Python (uWSGI's reload) has it already.
    bool done = before != NULL && bare_starts(before, value);
    if (!done) {
        bare_add(&text, before == NULL ? "" : before[0] == 0 ? "/" : ":");
        bare_add(&text, before != NULL ? before : "");
        done = !text.cut && set("PYTHONPATH", value, 1) == 0;
    }
    bare_unmap(value, VALUE_BYTES);
    return done;
}
