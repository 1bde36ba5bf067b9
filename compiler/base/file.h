/* file.h - whole files in and out. Nothing half-written is ever left under its final name. */
#ifndef SINTER_BASE_FILE_H
#define SINTER_BASE_FILE_H

#include <stdbool.h>

#include "compiler/base/diag.h"

/* The whole file, NUL-terminated; NULL after a diagnostic. */
char *file_read(Arena *a, Diag *d, const char *path, size_t *n);
bool file_exists(const char *path);
bool file_is_dir(const char *path);
/* Writes through a temporary name in the same folder, fsync, rename; leaves an equal file
 * untouched. */
bool file_write(Diag *d, const char *path, const char *data, size_t n);
/* The same without waiting for the disk, for what the next run would make again and compare
 * (sources: 50 waits took 140 of 160 ms). After a loss of power such a file may be empty. */
bool file_write_again(Diag *d, const char *path, const char *data, size_t n);
/* mkdir -p. */
bool file_make_dirs(Diag *d, const char *path);
/* "dir/name" on the arena; just `name` when it is absolute or dir is empty. */
char *path_join(Arena *a, const char *dir, const char *name);
/* "a/b/x.yaml" -> "x". */
char *path_stem(Arena *a, const char *path);
/* "a/b/x.yaml" -> "a/b"; "x.yaml" -> ".". */
char *path_dir(Arena *a, const char *path);

#endif
