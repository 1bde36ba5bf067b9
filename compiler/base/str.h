/* str.h - interned strings: equal text is the same pointer, so `==` compares. */
#ifndef SINTER_BASE_STR_H
#define SINTER_BASE_STR_H

#include "compiler/base/arena.h"

typedef const char *Str; /* NUL-terminated, interned; NULL = no string */

typedef struct StrTable StrTable;

StrTable *str_table_create(Arena *a);
Str str_intern(StrTable *t, const char *s);
Str str_intern_n(StrTable *t, const char *s, size_t n);
Str str_internf(StrTable *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Edit distance (insert, delete, substitute, swap of neighbours), or `limit` when it is more. */
int str_distance(const char *a, const char *b, int limit);
/* The candidate nearest to `name`, or NULL when none is near enough to suggest. */
const char *str_nearest(const char *name, const char *const *candidates, size_t n);

#endif
