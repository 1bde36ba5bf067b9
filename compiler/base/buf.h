/* buf.h - growable text buffer. `data` is always NUL-terminated after buf_create; an all-zero Buf
 * is a valid empty one once `arena` is set (its data is NULL until the first byte). Memory comes
 * from the arena (old blocks are abandoned there). */
#ifndef SINTER_BASE_BUF_H
#define SINTER_BASE_BUF_H

#include "compiler/base/arena.h"

typedef struct Buf {
    Arena *arena;
    char *data;
    size_t len, cap;
} Buf;

Buf buf_create(Arena *a);
void buf_add(Buf *b, const char *s, size_t n);
void buf_puts(Buf *b, const char *s);
void buf_putc(Buf *b, char c);
void buf_printf(Buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(Buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
/* The shortest decimal that reads back to the same bits ("1e-05", "0.125", "inf"). */
void buf_put_double(Buf *b, double x);
/* s with XML/HTML specials escaped. */
void buf_put_xml(Buf *b, const char *s);

#endif
