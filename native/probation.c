// SPDX-License-Identifier: Apache-2.0
// probation: see probation.h. A start leaves a locked file and an orderly end removes it. Who finds an unlocked one of
// its own program knows that a start before died without an orderly end, and remembers it in its own file. Three such
// deaths in a row, each found by the next start within a minute, are a verdict: the program is left alone until another
// version of pillion comes, a day has passed, or somebody lets it in again. Starts beside each other make no row, and
// one orderly end breaks it. Five programs of one executable that died, none of its others well since: all of it.
// No crash: an exec (the process lives on), Ctrl-C, what lived a minute, or 10 s under work (module_guard.c), and what
// a collector saw end by SIGTERM or with an exit code (guard_files.py). Else SIGTERM without a handler, SIGKILL and
// os._exit within that time can't be told from a crash. Children of multiprocessing are their parent's, which ends them
// so.
#include "probation.h"
#include "bare_file.h"
#include "probation_file.h"
#include "record.h"
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>

#define ROW 3                               // deaths of one program
#define PROGRAMS 5                          // of one executable that died
#define SOON_NS ((uint64_t)60 * 1000000000) // from a start to the next one
#define KEPT_NS ((uint64_t)24 * 3600 * 1000000000)
#define ENTRIES 4096 // of the folder, seen
#define OTHERS 64    // of them, of other programs of the executable, looked into

static struct {
    void *page; // holds the lock; NULL: nothing begun
    struct probation_name self;
    char *folder; // BARE_PATH_BYTES, mapped: a library's own memory is paid for by every program of a container
} own;

// What a look at the folder gives.
struct look {
    struct probation_name self;
    struct probation_file file; // ours, with the deaths to remember
    uint64_t now_ns;
    uint64_t dead[PROGRAMS]; // programs of the executable that died, none of its others well since
    struct probation_start dead_starts[PROGRAMS];
    int dead_count, others;
    bool is_part; // of a Python program that started it, and ends it by SIGTERM when a pool is done: not guarded
    bool ending;  // the process ends in order: the dead of its program are cleared away
};

static bool is_dead(long fd) {
    return bare_flock((int)fd, LOCK_SH | LOCK_NB) >= 0;
}

// The process lives, and has another program in it.
static bool is_exec(const struct probation_name *name, uint64_t pid_namespace) {
    return name->pid_namespace == pid_namespace && bare_start_ticks(name->pid) == name->ticks && name->ticks != 0;
}

// The longest row of deaths that ends with this one.
static void remember(struct look *look, const struct probation_file *dead) {
    if (dead->death_count + 1 <= look->file.death_count)
        return;
    int from = dead->death_count == PROBATION_DEATHS; // the oldest makes room
    look->file.death_count = 0;
    for (; from < dead->death_count; from++)
        look->file.deaths[look->file.death_count++] = dead->deaths[from];
    look->file.deaths[look->file.death_count++] = dead->start;
}

static void count_program(struct look *look, uint64_t program, const struct probation_file *dead) {
    for (int at = 0; at < look->dead_count; at++)
        if (look->dead[at] == program)
            return;
    if (look->dead_count == PROGRAMS || dead->is_proven)
        return;
    look->dead_starts[look->dead_count] = dead->start;
    look->dead[look->dead_count++] = program;
}

// A start of our executable that died, not long ago.
static void look_at_dead(struct look *look, long fd, bool is_ours, uint64_t program,
                         const struct probation_file *dead) {
    if (look->ending && !dead->is_proven)
        bare_write((int)fd, "proven 1\n", 9); // reading has left it at the end
    if (look->ending)
        return;
    if (is_ours)
        remember(look, dead);
    count_program(look, program, dead);
}

static void look_at(void *with, const char *entry) {
    struct look *look = with;
    char path[BARE_PATH_BYTES];
    struct probation_name name;
    struct probation_file file;
    if (!probation_name_read(entry, &name) || !bare_join(path, sizeof path, own.folder, entry))
        return;
    bool is_self =
        name.pid == look->self.pid && name.ticks == look->self.ticks && name.pid_namespace == look->self.pid_namespace;
    bool is_same = name.key.exe == look->self.key.exe, is_ours = is_same && name.key.program == look->self.key.program;
    if (is_self)
        bare_unlink(path); // ours; or we were another program before an exec
    if (is_self || !is_same || (!is_ours && look->others++ >= OTHERS))
        return;
    long fd = probation_file_open(path, &file);
    if (fd < 0)
        return;
    bool is_old = look->now_ns - file.start.time_ns > SOON_NS;
    if (is_dead(fd)) {
        if (is_old || (look->ending && is_ours) || is_exec(&name, look->self.pid_namespace))
            bare_unlink(path);
        else
            look_at_dead(look, fd, is_ours, name.key.program, &file);
    }
    bare_close((int)fd);
}

static uint64_t hash_text(uint64_t before, const char *text) {
    return bare_hash(before, text, bare_length(text) + 1);
}

// The program is what the command line names; a relative path is another one in another folder. The text of a -c is
// hashed and never kept.
static void identify(const struct subject *subject, struct look *look) {
    char cwd[BARE_PATH_BYTES];
    struct argv_shape shape;
    struct stat about = {0};
    struct bare_text program;
    uint64_t numbers[4];
    bare_stat("/proc/self/exe", &about);
    numbers[0] = about.st_ino, numbers[1] = (uint64_t)about.st_size;
    numbers[2] = (uint64_t)about.st_mtim.tv_sec, numbers[3] = (uint64_t)about.st_mtim.tv_nsec;
    look->self.key.exe = bare_hash(hash_text(BARE_HASH, subject->exe), numbers, sizeof numbers);
    rules_argv(subject->argc, subject->argv, &shape);
    look->is_part = shape.kind == ARGV_COMMAND && bare_starts(shape.what, "from multiprocessing.");
    uint64_t hash = bare_hash(BARE_HASH, &shape.kind, sizeof shape.kind);
    if (shape.what != NULL)
        hash = hash_text(hash, shape.what);
    if (shape.what != NULL && shape.what[0] != '/' && shape.kind == ARGV_SCRIPT &&
        bare_readlink("/proc/self/cwd", cwd, sizeof cwd) > 0)
        hash = hash_text(hash, cwd);
    look->self.key.program = hash;
    bare_text(&program, look->file.program, sizeof look->file.program);
    if (shape.kind == ARGV_MODULE)
        bare_add(&program, "-m ");
    bare_add(&program, shape.kind == ARGV_COMMAND ? "-c" : shape.what != NULL ? shape.what : "");
    bare_text(&program, look->file.exe, sizeof look->file.exe);
    bare_add(&program, subject->exe);
    bare_text(&program, look->file.version, sizeof look->file.version);
    bare_add(&program, bare_base(subject->root));
}

// The verdict's name: of the program, or of all programs of the executable.
static void name_verdict(const struct probation_key *key, bool all, char *out, size_t out_bytes) {
    struct bare_text text;
    bare_text(&text, out, out_bytes);
    bare_add_hex(&text, key->exe);
    if (!all) {
        bare_add(&text, "-");
        bare_add_hex(&text, key->program);
    }
    bare_add(&text, ".crashed");
}

static void say(const struct probation_file *file, const char *path, bool all, struct verdict *verdict) {
    struct bare_text text;
    verdict->deny = true;
    bare_text(&text, verdict->code, sizeof verdict->code);
    bare_add(&text, "CRASHED");
    bare_text(&text, verdict->reason, sizeof verdict->reason);
    bare_add_number(&text, (uint64_t)file->death_count);
    bare_add(&text, all ? " programs of it died soon after their start:" : " starts in a row died within a minute:");
    for (int at = 0; at < file->death_count; at++) {
        bare_add(&text, at > 0 ? ", pid " : " pid ");
        bare_add_number(&text, (uint64_t)file->deaths[at].pid);
        bare_add(&text, " of ");
        bare_add_time(&text, file->deaths[at].time_ns);
    }
    char note[512];
    bare_text(&text, note, sizeof note);
    bare_add(&text, "left alone until ");
    bare_add_time(&text, file->decided_ns + KEPT_NS);
    bare_add(&text, "; sooner by `pillion why --forgive`, or by removing ");
    bare_add(&text, path);
    rules_note(verdict, note);
}

// Whether a verdict stands. One that is over is removed.
static bool stands(const struct look *look, const char *folder, bool all, struct verdict *verdict) {
    char name[64], path[BARE_PATH_BYTES];
    struct probation_file file;
    name_verdict(&look->self.key, all, name, sizeof name);
    if (!bare_join(path, sizeof path, folder, name))
        return false;
    long fd = probation_file_open(path, &file);
    if (fd < 0)
        return false;
    bare_close((int)fd);
    if (file.decided_ns == 0 || look->now_ns - file.decided_ns > KEPT_NS ||
        !bare_equal(file.version, look->file.version)) {
        bare_unlink(path);
        return false;
    }
    say(&file, path, all, verdict);
    return true;
}

static void decide(struct look *look, const char *folder, bool all, struct verdict *verdict) {
    char name[64], path[BARE_PATH_BYTES];
    name_verdict(&look->self.key, all, name, sizeof name);
    look->file.decided_ns = look->now_ns;
    if (all) {
        look->file.program[0] = 0;
        look->file.death_count = look->dead_count;
        for (int at = 0; at < look->dead_count; at++)
            look->file.deaths[at] = look->dead_starts[at];
    }
    if (probation_file_write(folder, name, &look->file, NULL) && bare_join(path, sizeof path, folder, name))
        say(&look->file, path, all, verdict);
}

static bool begin(struct look *look, struct verdict *verdict) {
    if (stands(look, own.folder, false, verdict) || stands(look, own.folder, true, verdict))
        return false;
    if (look->is_part)
        return true;
    bare_each(own.folder, ENTRIES, look_at, look);
    if (look->file.death_count >= ROW)
        decide(look, own.folder, false, verdict);
    else if (look->dead_count == PROGRAMS)
        decide(look, own.folder, true, verdict);
    if (verdict->deny)
        return false;
    char name[128];
    struct bare_text text;
    bare_text(&text, name, sizeof name);
    probation_name_add(&text, &look->self);
    look->file.start = (struct probation_start){look->now_ns, look->self.pid};
    if (!probation_file_write(own.folder, name, &look->file, &own.page))
        own.page = NULL;
    return true;
}

bool probation_begin(const struct subject *subject, const char *run_dir, struct verdict *verdict) {
    char made[BARE_PATH_BYTES];
    struct look look = {.now_ns = bare_now_ns()};
    if (run_dir[0] == 0 && !run_dir_make(subject, made, sizeof made))
        return true;
    if (own.folder == NULL)
        own.folder = bare_map(BARE_PATH_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    if (own.folder == NULL || !run_dir_part(run_dir[0] != 0 ? run_dir : made, "guard", own.folder, BARE_PATH_BYTES))
        return true;
    look.self.pid = bare_pid();
    look.self.ticks = bare_start_ticks(0);
    look.self.pid_namespace = bare_pid_namespace();
    if (look.self.pid_namespace == BARE_FIRST_NAMESPACE)
        look.self.pid_namespace = 0; // as in the files' names
    identify(subject, &look);
    bool may_start = begin(&look, verdict);
    own.self = look.self;
    return may_start;
}

void probation_end(void) {
    struct look look = {.self = own.self, .ending = true};
    if (own.page == NULL || own.self.pid != bare_pid())
        return;
    probation_file_unlock(own.page);
    own.page = NULL;
    look.now_ns = bare_now_ns();
    bare_each(own.folder, ENTRIES, look_at, &look);
}
