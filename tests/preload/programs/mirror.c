// SPDX-License-Identifier: Apache-2.0
// mirror: tells all that a program can see of its start, LD_PRELOAD's own variable apart. Ends with code 7.
// In a build without PIC, environ, optind and stdout are copied into it (copy relocations).
#define _GNU_SOURCE
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <unistd.h>

static void show_file(const char *path) {
    static char text[1 << 16];
    FILE *file = fopen(path, "r");
    size_t bytes = file != NULL ? fread(text, 1, sizeof text - 1, file) : 0;
    printf("%s:", path);
    for (size_t at = 0; at < bytes; at += strlen(text + at) + 1)
        if (strncmp(text + at, "LD_PRELOAD=", 11) != 0)
            printf(" [%s]", text + at);
    putchar('\n');
    if (file != NULL)
        fclose(file);
}

int main(int argc, char **argv) {
    char line[32] = "";
    for (int i = 0; i < argc; i++)
        printf("argument %s\n", argv[i]);
    for (char **variable = environ; *variable != NULL; variable++)
        if (strncmp(*variable, "LD_PRELOAD=", 11) != 0)
            printf("variable %s\n", *variable);
    printf("secure %lu, options from %d, PYTHONPATH %s\n", getauxval(AT_SECURE), optind, getenv("PYTHONPATH"));
    sigset_t mask;
    sigprocmask(SIG_SETMASK, NULL, &mask);
    for (int number = 1; number < 32; number++) {
        struct sigaction action;
        if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_DFL)
            printf("signal %d is handled\n", number);
        if (sigismember(&mask, number))
            printf("signal %d is blocked\n", number);
    }
    DIR *folder = opendir("/proc/self/fd");
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;)
        printf("descriptor %s\n", entry->d_name);
    closedir(folder);
    prctl(PR_GET_NAME, line);
    printf("name %s\n", line);
    show_file("/proc/self/environ");
    show_file("/proc/self/cmdline");
    if (fgets(line, sizeof line, stdin) != NULL)
        printf("input %s", line);
    fputs("to stderr\n", stderr);
    return 7;
}
