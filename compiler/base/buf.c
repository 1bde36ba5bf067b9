/* buf.c - growable text buffer on an arena. */
#include "compiler/base/buf.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef SINTER_SMALL_LIMITS
enum { FIRST_CAP = 1 };
#else
enum { FIRST_CAP = 256 };
#endif

/* Room for n more bytes and the NUL. */
static void reserve(Buf *b, size_t n)
{
    if (b->cap - b->len > n) {
        return;
    }
    size_t cap = b->cap == 0 ? FIRST_CAP : b->cap;
    while (cap - b->len <= n) {
        cap *= 2;
    }
    char *data = arena_alloc(b->arena, cap);
    if (b->len > 0) {
        memcpy(data, b->data, b->len);
    }
    b->data = data;
    b->cap = cap;
}

Buf buf_create(Arena *a)
{
    Buf b = {.arena = a};
    reserve(&b, 0);
    return b;
}

void buf_add(Buf *b, const char *s, size_t n)
{
    reserve(b, n);
    if (n > 0) {
        memcpy(b->data + b->len, s, n);
    }
    b->len += n;
    b->data[b->len] = '\0';
}

void buf_puts(Buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

void buf_putc(Buf *b, char c)
{
    buf_add(b, &c, 1);
}

void buf_vprintf(Buf *b, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    if (n >= 0) {
        reserve(b, (size_t)n);
        vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
}

void buf_printf(Buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(b, fmt, ap);
    va_end(ap);
}

/* Significant digits that are needed for x to read back to the same bits: 1 to 17. */
static int digits_needed(double x)
{
    for (int digits = 1; digits < 17; digits++) {
        char text[40];
        snprintf(text, sizeof text, "%.*g", digits, x);
        double back = strtod(text, NULL);
        if (memcmp(&back, &x, sizeof x) == 0) {
            return digits;
        }
    }
    return 17;
}

/* %g alone would say 5e+05 for 500000: below 1e16 every digit before the point is asked for. */
void buf_put_double(Buf *b, double x)
{
    if (isnan(x)) {
        buf_puts(b, "nan");
        return;
    }
    int digits = digits_needed(x);
    if (fabs(x) >= 10 && fabs(x) < 1e16) {
        int before_point = (int)floor(log10(fabs(x))) + 1;
        digits = digits > before_point ? digits : before_point;
    }
    buf_printf(b, "%.*g", digits, x);
}

void buf_put_xml(Buf *b, const char *s)
{
    for (; *s != '\0'; s++) {
        switch (*s) {
        case '&':
            buf_puts(b, "&amp;");
            break;
        case '<':
            buf_puts(b, "&lt;");
            break;
        case '>':
            buf_puts(b, "&gt;");
            break;
        case '"':
            buf_puts(b, "&quot;");
            break;
        case '\'':
            buf_puts(b, "&#39;");
            break;
        default:
            buf_putc(b, *s);
        }
    }
}
