/* arena.h - bump allocator: the only place in the compiler that calls malloc.
 *
 * One arena lives as long as one compilation; a pass may have a scratch arena of its own. Nothing
 * in an arena is freed singly. Memory is zeroed, and zero bytes are a valid empty state everywhere.
 * Under AddressSanitizer every object is a malloc of its own, so that overruns are seen.
 * Out of memory aborts with a message. */
#ifndef SINTER_BASE_ARENA_H
#define SINTER_BASE_ARENA_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Arena Arena;

Arena *arena_create(void);
void arena_destroy(Arena *a);
void arena_reset(Arena *a); /* frees every object, keeps the arena */

/* n zeroed bytes, aligned for any type. */
void *arena_alloc(Arena *a, size_t n);
/* n objects of `size` bytes each; aborts when the product overflows. */
void *arena_alloc_array(Arena *a, size_t n, size_t size);
/* A NUL-terminated copy of n bytes. */
char *arena_strndup(Arena *a, const char *s, size_t n);
char *arena_strdup(Arena *a, const char *s);
char *arena_printf(Arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(Arena *a, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
/* Bytes handed out so far (for --time-passes and the memory report). */
size_t arena_used(const Arena *a);

#define ARENA_NEW(a, T) ((T *)arena_alloc((a), sizeof(T)))
#define ARENA_ARRAY(a, T, n) ((T *)arena_alloc_array((a), (size_t)(n), sizeof(T)))

/* a * b into *out; false when it does not fit (dims are multiplied only through this). */
bool checked_mul_i64(int64_t a, int64_t b, int64_t *out);

#endif
