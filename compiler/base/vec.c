/* vec.c - the growth rule of VEC: double, starting at 8 (at 1 with small limits). */
#include "compiler/base/vec.h"

#ifdef SINTER_SMALL_LIMITS
enum { FIRST_CAP = 1 };
#else
enum { FIRST_CAP = 8 };
#endif

void *vec_grow(Arena *a, const void *data, size_t n, size_t *cap, size_t size)
{
    size_t grown = *cap == 0 ? FIRST_CAP : *cap * 2;
    void *copy = arena_alloc_array(a, grown, size);
    if (n > 0) {
        memcpy(copy, data, n * size);
    }
    *cap = grown;
    return copy;
}
