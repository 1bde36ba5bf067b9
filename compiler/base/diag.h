/* diag.h - diagnostics with spans and carets.
 *
 *   specs/x.yaml:7:8: error: heads (30) is not a multiple of kv_heads (8)
 *     heads: 30
 *            ^~
 *
 * All sources of a compilation share one space of byte offsets, so a Span alone names file, line
 * and column; they are computed only when a message is printed. Messages are collected in `out`
 * (text) and counted; after 20 errors further ones are only counted. Wording: lower case, no full
 * stop, what was found and what is allowed. */
#ifndef SINTER_BASE_DIAG_H
#define SINTER_BASE_DIAG_H

#include <stdbool.h>
#include <stdio.h>

#include "compiler/base/buf.h"
#include "compiler/base/str.h"

typedef struct Span {
    uint32_t lo, hi; /* byte offsets, hi exclusive; {0, 0} = nowhere */
} Span;

typedef struct Diag Diag;

Diag *diag_create(Arena *a);
/* Registers a source text (kept, not copied) and returns the offset of its first byte. */
uint32_t diag_add_source(Diag *d, const char *path, const char *text, size_t n);

/* Always false, so that `return diag_error(...)` reads well. */
bool diag_error(Diag *d, Span at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The environment lacks something (exit code 2): counts as an error. */
bool diag_env_error(Diag *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void diag_warning(Diag *d, Span at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* A second place that belongs to the message before ("declared here"). */
void diag_note(Diag *d, Span at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

int diag_error_count(const Diag *d);
bool diag_is_env_error(const Diag *d); /* only environment errors so far: exit code 2, not 1 */
const char *diag_text(const Diag *d);  /* everything said so far */
void diag_flush(Diag *d, FILE *f);     /* prints and forgets the text; counts stay */

/* Where a span starts; false for {0, 0}. Line and column count from 1, column in characters. */
bool diag_locate(const Diag *d, Span at, const char **path, int *line, int *column);
/* The text of a span ("" for nowhere). */
const char *diag_span_text(const Diag *d, Span at, size_t *n);

/* A broken invariant of ours: message with place, then abort (the command exits with 3). */
_Noreturn void bug_at(const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
#define BUG(...) bug_at(__FILE__, __LINE__, __VA_ARGS__)

#endif
