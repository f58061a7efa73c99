// SPDX-License-Identifier: Apache-2.0
// bare_file: files of a run directory's folders, which other users may write to as well: listed, and written whole.
// Freestanding.
#ifndef PILLION_BARE_FILE_H
#define PILLION_BARE_FILE_H

#include "bare.h"

#define BARE_PATH_BYTES 4096

// "folder/name". False: too long.
bool bare_join(char *out, size_t capacity, const char *folder, const char *name);
// Calls `each` with the name of every entry of the folder, of the first `most` of them.
void bare_each(const char *folder, int most, void (*each)(void *with, const char *name), void *with);
// Makes a file that nobody can have made before, to get this name later: its path goes to `fresh` (BARE_PATH_BYTES).
// In a shared folder the collector's group reads it. Gives the descriptor, or negative, and then nothing is left.
long bare_put_begin(const char *folder, const char *name, const struct bare_text *text, char *fresh);
// Gives it its name if it is `good`; else, or when that fails, takes it away and says false.
bool bare_put_end(const char *fresh, const char *folder, const char *name, bool good);

#endif
