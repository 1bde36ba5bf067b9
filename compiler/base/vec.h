/* vec.h - typed growable array on an arena: `VEC(ValueId) ids = {0}; vec_push(arena, &ids, v);`
 * Fields: data, n, cap. A pointer into `data` dies at the next push. */
#ifndef SINTER_BASE_VEC_H
#define SINTER_BASE_VEC_H

#include <string.h>

#include "compiler/base/arena.h"

#define VEC(T)                                                                                     \
    struct {                                                                                       \
        T *data;                                                                                   \
        size_t n, cap;                                                                             \
    }

#define vec_push(arena, v, x)                                                                      \
    do {                                                                                           \
        if ((v)->n == (v)->cap) {                                                                  \
            (v)->data = vec_grow((arena), (v)->data, (v)->n, &(v)->cap, sizeof *(v)->data);        \
        }                                                                                          \
        (v)->data[(v)->n++] = (x);                                                                 \
    } while (0)

/* A larger copy of `data`; *cap becomes the new capacity (starts at 1 in debug builds). */
void *vec_grow(Arena *a, const void *data, size_t n, size_t *cap, size_t size);

#endif
