/* jit_source.c - see jit_source.h. */
#include "jit_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char mark[] = "\n/* kernel ";

/* ---- cutting --------------------------------------------------------------------------------- */

int jit_source_split(JitSource *s, const char *name, const char *text, size_t bytes)
{
    *s = (JitSource){.name = name, .text = text, .bytes = bytes};
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, mark)) != NULL; p++)
        n++;
    s->kernel = malloc((n + 1) * sizeof *s->kernel);
    if (!s->kernel || n == 0)
        return 0;
    for (const char *p = text; (p = strstr(p, mark)) != NULL; p++)
        s->kernel[s->n++] = (size_t)(p + 1 - text);
    s->kernel[n] = bytes;
    return 1;
}

void jit_source_free(JitSource *s)
{
    free(s->kernel);
    *s = (JitSource){0};
}

static int line_of(const JitSource *s, size_t offset)
{
    int line = 1;
    for (size_t i = 0; i < offset; i++)
        line += s->text[i] == '\n';
    return line;
}

char *jit_source_part(const JitSource *s, int part, int parts)
{
    enum { LINE_WORDS = 32 };
    size_t shared = s->kernel[0], most = s->bytes + 1;
    most += (size_t)s->n * (LINE_WORDS + strlen(s->name));
    char *out = malloc(most), *to = out;
    if (!out)
        return NULL;
    memcpy(to, s->text, shared);
    to += shared;
    for (int i = part; i < s->n; i += parts) {
        size_t at = s->kernel[i], n = s->kernel[i + 1] - at;
        to += sprintf(to, "#line %d \"%s\"\n", line_of(s, at), s->name);
        memcpy(to, s->text + at, n);
        to += n;
    }
    *to = 0;
    return out;
}

/* ---- explaining ------------------------------------------------------------------------------ */

/* The line of x.cu in "x.cu(123): error: ..."; 0 when it names none. */
static int line_in(const char *message, const char *name)
{
    const char *at = strstr(message, name), *end = strchr(message, '\n');
    if (!at || (end && at > end))
        return 0;
    at += strlen(name);
    return *at == '(' || *at == ':' ? atoi(at + 1) : 0;
}

static const char *start_of_line(const JitSource *s, int line)
{
    const char *p = s->text;
    for (; line > 1 && p; line--) {
        p = strchr(p, '\n');
        p = p ? p + 1 : NULL;
    }
    return p;
}

static int kernel_at(const JitSource *s, const char *p)
{
    int k = -1;
    while (k + 1 < s->n && s->kernel[k + 1] <= (size_t)(p - s->text))
        k++;
    return k;
}

/* ptxas names no line but the kernel: "Entry function 'decode1_head' uses ...". */
static int kernel_named(const JitSource *s, const char *message)
{
    const char *end = strchr(message, '\n');
    for (int k = 0; k < s->n; k++) {
        const char *name = s->text + s->kernel[k] + sizeof mark - 2;
        char quoted[128];
        snprintf(quoted, sizeof quoted, "'%.*s'", (int)strcspn(name, ","), name);
        const char *at = strstr(message, quoted);
        if (at && (!end || at < end))
            return k;
    }
    return -1;
}

/* The first line of the log that says error, else its first line. */
static const char *first_error(const char *log)
{
    const char *at = strstr(log, "error");
    while (at && at > log && at[-1] != '\n')
        at--;
    return at ? at : log;
}

/* The inner lines of the kernel's comment. */
static int comment_length(const char *comment)
{
    const char *end = strstr(comment, "*/");
    return end ? (int)(end - comment) - (end > comment && end[-1] == ' ') : 0;
}

void jit_source_explain(const JitSource *s, const char *log, char *out, size_t size)
{
    const char *error = first_error(log);
    int line = line_in(error, s->name);
    const char *text = line ? start_of_line(s, line) : NULL;
    int kernel = text ? kernel_at(s, text) : kernel_named(s, error);
    int n = snprintf(out, size, "%.*s", (int)strcspn(error, "\n"), error);
    if (text && n > 0 && (size_t)n < size)
        n += snprintf(out + n, size - (size_t)n, "\n%.*s", (int)strcspn(text, "\n"), text);
    if (n <= 0 || (size_t)n >= size)
        return;
    if (kernel < 0) {
        snprintf(out + n, size - (size_t)n,
                 "\nin what all kernels share, templates/cuda/prelude*.cu");
        return;
    }
    const char *comment = s->text + s->kernel[kernel] + 3;
    snprintf(out + n, size - (size_t)n, "\nin %.*s", comment_length(comment), comment);
}
