// SPDX-License-Identifier: Apache-2.0
// preload: libpillion.so, mapped into every program of a container by LD_PRELOAD or /etc/ld.so.preload.
// Its constructor runs before main. Where no CPython is linked in it returns at once: no system call, no change.
// In a Python it decides (rules, probation) and either leaves a record why not, or sees to it that `import
// sitecustomize` starts pillion (preload_python.c). The environment stays as it is, so children and /proc know nothing
// of it; programs that open libpython later are the exception (preload_path.c). Needs no libc: every foreign symbol is
// weak, and what it calls of the kernel is in bare.c. Never fails: only stands down.
#include "bare.h"
#include "preload_path.h"
#include "preload_python.h"
#include "preload_self.h"
#include "probation.h"
#include "record.h"
#include "rules.h"
#include <sys/auxv.h>

enum road { NONE, BY_IMPORT, BY_PATH };

#pragma weak getauxval

static bool on_probation; // this process, not what it forks: probation.c knows the difference

static void say(struct verdict *verdict, const char *code, const char *reason, const char *evidence) {
    struct bare_text text;
    bare_text(&text, verdict->code, sizeof verdict->code);
    bare_add(&text, code);
    bare_text(&text, verdict->reason, sizeof verdict->reason);
    bare_add(&text, reason);
    bare_add(&text, evidence);
    verdict->deny = true;
}

// What speaks against it before any rule is asked.
static bool unfit(const struct self *self, enum road road, struct verdict *verdict) {
    const char *enabled = bare_getenv(self->subject.envp, "PILLION_ENABLED");
    if (enabled != NULL && preload_is_off(enabled))
        say(verdict, "DISABLED", "PILLION_ENABLED=", enabled);
    else if (road == BY_PATH)
        return false; // which Python it will open is not known yet: start.py looks
    else if (!python_known(self->python))
        say(verdict, "VERSION", "CPython 3.8 to 3.15 are supported, this is ", self->python);
    else if (python_free_threaded())
        say(verdict, "FREE_THREADED", "a free-threaded build of CPython ", self->python);
    else if (!python_usable())
        say(verdict, "IMPLEMENTATION", "no ordinary CPython: parts of its C API are not there, or traced; version ",
            self->python);
    return verdict->deny;
}

static void tell(const struct self *self, const struct verdict *verdict) {
    if (self->run_dir[0] != 0)
        record_write(self->run_dir, &self->subject, self->python, verdict);
}

static void decide(struct self *self, enum road road) {
    struct verdict verdict = {0};
    struct argv_shape shape = {0};
    char *run_dir = self->run_dir;
    if (!run_dir_find(&self->subject, run_dir, sizeof self->run_dir))
        run_dir[0] = 0;
    if (road == BY_IMPORT)
        rules_argv(self->subject.argc, self->subject.argv, &shape);
    if (shape.kind == ARGV_USAGE)
        return; // --version, --help: no program runs
    if (run_dir[0] != 0)
        record_make_room(run_dir);
    if (!unfit(self, road, &verdict))
        rules_decide(&self->subject, &verdict);
    if (!verdict.deny && shape.no_site) {
        say(&verdict, "NO_SITE", "started with -S: site, which would start pillion, is not imported", "");
        if (!bare_starts(bare_base(self->subject.exe), "python")) {
            // An embedder's -S may mean anything: the start is waited for, and if it comes its record replaces this.
            tell(self, &verdict);
            verdict = (struct verdict){0};
        }
    }
    // Probation comes last: what it begins, only a start that takes place may end.
    if (verdict.deny || !probation_begin(&self->subject, run_dir, &verdict)) {
        tell(self, &verdict);
        return;
    }
    on_probation = road == BY_PATH ? path_extend(&self->subject) : python_expect(self->subject.root);
    if (!on_probation)
        probation_end();
}

__attribute__((constructor)) static void preload_begin(void) {
    enum road road = python_linked()                                                ? BY_IMPORT
                     : getauxval != NULL && path_opens_python(getauxval(AT_EXECFN)) ? BY_PATH
                                                                                    : NONE;
    // With raised privileges neither the environment nor a folder that it names is to be trusted: nothing is left.
    if (road == NONE || getauxval == NULL || getauxval(AT_SECURE) != 0)
        return;
    struct self *self = self_read(road == BY_IMPORT ? python_version() : "");
    if (self == NULL)
        return;
    decide(self, road);
    self_free(self);
}

__attribute__((destructor)) static void preload_end(void) {
    if (on_probation)
        probation_end();
}

// AddressSanitizer ends a program whose libraries don't begin with its own run-time library, as they can't with any
// preloaded one. The only name that is seen from outside; a program's own function of this name wins over it.
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void) {
    return "verify_asan_link_order=0";
}
