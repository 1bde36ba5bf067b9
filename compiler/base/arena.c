/* arena.c - a list of blocks with a bump pointer in the newest.
 *
 *   blocks -> [ used ....|free ] -> [ used ........ ] -> [ used ... ] -> NULL
 *
 * An object larger than a block gets a block of its own size. With AddressSanitizer each object is
 * a calloc of its own instead, listed in `object`, so that reading one byte too far is caught. */
#include "compiler/base/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_APART 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_APART 1
#endif
#endif
#ifndef ARENA_APART
#define ARENA_APART 0
#endif

#ifdef SINTER_SMALL_LIMITS
enum { BLOCK_BYTES = 64 };
#else
enum { BLOCK_BYTES = 64 * 1024 };
#endif
enum { ALIGN = _Alignof(max_align_t) };

typedef struct Block Block;
struct Block {
    Block *next;
    size_t used, size;
    max_align_t data[];
};

struct Arena {
    Block *blocks;
    void **object; /* only when ARENA_APART */
    size_t n_objects, cap_objects;
    size_t used;
};

static _Noreturn void out_of_memory(size_t n)
{
    fprintf(stderr, "sinter: out of memory (asked for %zu bytes)\n", n);
    abort();
}

static size_t checked_add_size(size_t a, size_t b)
{
    if (a > SIZE_MAX - b) {
        out_of_memory(SIZE_MAX);
    }
    return a + b;
}

static void *zeroed(size_t n)
{
    void *p = calloc(1, n);
    if (p == NULL) {
        out_of_memory(n);
    }
    return p;
}

Arena *arena_create(void)
{
    return zeroed(sizeof(Arena));
}

void arena_reset(Arena *a)
{
    for (size_t i = 0; i < a->n_objects; i++) {
        free(a->object[i]);
    }
    while (a->blocks != NULL) {
        Block *next = a->blocks->next;
        free(a->blocks);
        a->blocks = next;
    }
    a->n_objects = 0;
    a->used = 0;
}

void arena_destroy(Arena *a)
{
    if (a == NULL) {
        return;
    }
    arena_reset(a);
    free(a->object);
    free(a);
}

static void *alloc_apart(Arena *a, size_t n)
{
    if (a->n_objects == a->cap_objects) {
        size_t cap = a->cap_objects * 2 + 16;
        void **grown = realloc(a->object, cap * sizeof *grown);
        if (grown == NULL) {
            out_of_memory(cap * sizeof *grown);
        }
        a->object = grown;
        a->cap_objects = cap;
    }
    return a->object[a->n_objects++] = zeroed(n);
}

static void *alloc_bump(Arena *a, size_t n)
{
    size_t rounded = checked_add_size(n, ALIGN - 1) / ALIGN * ALIGN;
    if (a->blocks == NULL || a->blocks->size - a->blocks->used < rounded) {
        size_t size = rounded > BLOCK_BYTES ? rounded : BLOCK_BYTES;
        Block *b = zeroed(checked_add_size(sizeof(Block), size));
        b->size = size;
        b->next = a->blocks;
        a->blocks = b;
    }
    void *p = (char *)a->blocks->data + a->blocks->used;
    a->blocks->used += rounded;
    return p;
}

void *arena_alloc(Arena *a, size_t n)
{
    a->used = checked_add_size(a->used, n);
    size_t at_least_one = n > 0 ? n : 1; /* an empty object has an address of its own too */
    return ARENA_APART ? alloc_apart(a, at_least_one) : alloc_bump(a, at_least_one);
}

void *arena_alloc_array(Arena *a, size_t n, size_t size)
{
    if (size != 0 && n > SIZE_MAX / size) {
        out_of_memory(SIZE_MAX);
    }
    return arena_alloc(a, n * size);
}

char *arena_strndup(Arena *a, const char *s, size_t n)
{
    char *copy = arena_alloc(a, checked_add_size(n, 1));
    if (n > 0) {
        memcpy(copy, s, n);
    }
    return copy;
}

char *arena_strdup(Arena *a, const char *s)
{
    return arena_strndup(a, s, strlen(s));
}

char *arena_vprintf(Arena *a, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    if (n < 0) {
        va_end(again);
        return arena_strdup(a, "");
    }
    char *s = arena_alloc(a, (size_t)n + 1);
    vsnprintf(s, (size_t)n + 1, fmt, again);
    va_end(again);
    return s;
}

char *arena_printf(Arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *s = arena_vprintf(a, fmt, ap);
    va_end(ap);
    return s;
}

size_t arena_used(const Arena *a)
{
    return a->used;
}

bool checked_mul_i64(int64_t a, int64_t b, int64_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}
