/* diag.c - the source map, and messages as text with a caret line.
 *
 *   offset 0   1          n+1  n+2
 *   nowhere    [ source 0 | end ][ source 1 ...
 *
 * Every source takes one offset more than it has bytes, so that its end is a place too. */
#include "compiler/base/diag.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/base/vec.h"

enum {
    MAX_ERRORS = 20,   /* shown; the rest is counted */
    MAX_LINE = 160,    /* bytes of a source line that are shown */
    LEFT_OF_CARET = 60 /* of them before the caret when the line is longer */
};

typedef struct Source {
    const char *path, *text;
    uint32_t base;
    size_t n;
} Source;

struct Diag {
    Arena *arena;
    VEC(Source) source;
    uint32_t next_base;
    Buf out;
    int n_errors, n_env_errors;
    int n_hidden;     /* errors past the limit since the last flush */
    bool hiding_note; /* the message before was not shown, so neither are its notes */
};

Diag *diag_create(Arena *a)
{
    Diag *d = ARENA_NEW(a, Diag);
    d->arena = a;
    d->out = buf_create(a);
    d->next_base = 1;
    return d;
}

uint32_t diag_add_source(Diag *d, const char *path, const char *text, size_t n)
{
    if (n >= UINT32_MAX - d->next_base) {
        diag_error(d, (Span){0}, "%s: the inputs are larger than 4 GiB together", path);
        return 0;
    }
    Source s = {.path = path, .text = text, .base = d->next_base, .n = n};
    vec_push(d->arena, &d->source, s);
    d->next_base += (uint32_t)n + 1;
    return s.base;
}

static const Source *find_source(const Diag *d, uint32_t offset)
{
    for (size_t i = 0; i < d->source.n; i++) {
        const Source *s = &d->source.data[i];
        if (offset >= s->base && offset - s->base <= s->n) {
            return s;
        }
    }
    return NULL;
}

static bool is_utf8_tail(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* The line that holds byte `at` of a source: [lo, hi) without the line end. */
static void find_line(const Source *s, size_t at, size_t *lo, size_t *hi)
{
    *lo = at;
    while (*lo > 0 && s->text[*lo - 1] != '\n') {
        (*lo)--;
    }
    const char *end = at < s->n ? memchr(s->text + at, '\n', s->n - at) : NULL;
    *hi = end != NULL ? (size_t)(end - s->text) : s->n;
    if (*hi > *lo && s->text[*hi - 1] == '\r') {
        (*hi)--;
    }
}

bool diag_locate(const Diag *d, Span at, const char **path, int *line, int *column)
{
    const Source *s = find_source(d, at.lo);
    if (s == NULL) {
        return false;
    }
    *path = s->path;
    *line = 1;
    *column = 1;
    for (size_t i = 0; i < at.lo - s->base; i++) {
        if (s->text[i] == '\n') {
            ++*line;
            *column = 1;
        } else if (!is_utf8_tail(s->text[i])) {
            ++*column;
        }
    }
    return true;
}

const char *diag_span_text(const Diag *d, Span at, size_t *n)
{
    const Source *s = find_source(d, at.lo);
    if (s == NULL || at.hi <= at.lo) {
        *n = 0;
        return "";
    }
    size_t lo = at.lo - s->base, hi = at.hi - s->base;
    *n = (hi < s->n ? hi : s->n) - lo;
    return s->text + lo;
}

/* A line may be megabytes long (minified JSON): only the part around the caret is shown. */
static void clip_line(const Source *s, size_t at, size_t *lo, size_t *hi)
{
    if (*hi - *lo <= MAX_LINE) {
        return;
    }
    if (at - *lo > LEFT_OF_CARET) {
        *lo = at - LEFT_OF_CARET;
        while (*lo < at && is_utf8_tail(s->text[*lo])) {
            (*lo)++;
        }
    }
    if (*hi - *lo > MAX_LINE) {
        *hi = *lo + MAX_LINE;
        while (*hi > at && is_utf8_tail(s->text[*hi])) {
            (*hi)--;
        }
    }
}

/* The source line, then ^~~ below: tabs are copied and each character takes one column. */
static void put_excerpt(Diag *d, const Source *s, Span span)
{
    size_t at = span.lo - s->base, end = span.hi > span.lo ? span.hi - s->base : at;
    size_t lo, hi;
    find_line(s, at, &lo, &hi);
    clip_line(s, at, &lo, &hi);
    buf_puts(&d->out, "  ");
    for (size_t i = lo; i < hi; i++) {
        unsigned char c = (unsigned char)s->text[i];
        buf_putc(&d->out, (c < ' ' && c != '\t') || c == 0x7f ? '?' : s->text[i]);
    }
    buf_puts(&d->out, "\n  ");
    for (size_t i = lo; i < at; i++) {
        if (!is_utf8_tail(s->text[i])) {
            buf_putc(&d->out, s->text[i] == '\t' ? '\t' : ' ');
        }
    }
    buf_putc(&d->out, '^');
    for (size_t i = at + 1; i < end && i < hi; i++) {
        if (!is_utf8_tail(s->text[i])) {
            buf_putc(&d->out, '~');
        }
    }
    buf_putc(&d->out, '\n');
}

static void __attribute__((format(printf, 4, 0)))
put_message(Diag *d, Span at, const char *kind, const char *fmt, va_list ap)
{
    const Source *s = find_source(d, at.lo);
    const char *path;
    int line, column;
    if (diag_locate(d, at, &path, &line, &column)) {
        buf_printf(&d->out, "%s:%d:%d: ", path, line, column);
    }
    buf_printf(&d->out, "%s: ", kind);
    buf_vprintf(&d->out, fmt, ap);
    buf_putc(&d->out, '\n');
    if (s != NULL) {
        put_excerpt(d, s, at);
    }
}

static void __attribute__((format(printf, 3, 0)))
put_error(Diag *d, Span at, const char *fmt, va_list ap)
{
    d->n_errors++;
    d->hiding_note = d->n_errors > MAX_ERRORS;
    if (d->hiding_note) {
        d->n_hidden++;
    } else {
        put_message(d, at, "error", fmt, ap);
    }
}

bool diag_error(Diag *d, Span at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    put_error(d, at, fmt, ap);
    va_end(ap);
    return false;
}

bool diag_env_error(Diag *d, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    d->n_env_errors++;
    put_error(d, (Span){0}, fmt, ap);
    va_end(ap);
    return false;
}

void diag_warning(Diag *d, Span at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    d->hiding_note = false;
    put_message(d, at, "warning", fmt, ap);
    va_end(ap);
}

void diag_note(Diag *d, Span at, const char *fmt, ...)
{
    if (d->hiding_note) {
        return;
    }
    va_list ap;
    va_start(ap, fmt);
    put_message(d, at, "note", fmt, ap);
    va_end(ap);
}

int diag_error_count(const Diag *d)
{
    return d->n_errors;
}

bool diag_is_env_error(const Diag *d)
{
    return d->n_errors > 0 && d->n_env_errors == d->n_errors;
}

const char *diag_text(const Diag *d)
{
    return d->out.data;
}

void diag_flush(Diag *d, FILE *f)
{
    if (d->n_hidden > 0) {
        buf_printf(&d->out, "%d more error%s not shown\n", d->n_hidden,
                   d->n_hidden == 1 ? "" : "s");
    }
    fwrite(d->out.data, 1, d->out.len, f);
    fflush(f);
    d->n_hidden = 0;
    d->out.len = 0;
    d->out.data[0] = '\0';
}

_Noreturn void bug_at(const char *file, int line, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "sinter: defect at %s:%d: ", file, line);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    abort();
}
