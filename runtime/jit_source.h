/* jit_source.h - the text of a program's kernels, cut so that several compilers can work at once.
 *
 *   declarations that all kernels share | kernel | kernel | ...
 *
 * A kernel begins with a line "/ * kernel NAME, templates/cuda/FILE.cu" (without the blank); the
 * rest of that comment says which operator it computes. */
#ifndef SINTER_JIT_SOURCE_H
#define SINTER_JIT_SOURCE_H

#include <stddef.h>

typedef struct JitSource {
    const char *name; /* "tinytales.cu", for the compiler's messages */
    const char *text; /* ended by NUL */
    size_t bytes;
    size_t *kernel; /* [n + 1] where each begins; the last: bytes */
    int n;
} JitSource;

/* 0 when memory is short or the text has no kernel. */
int jit_source_split(JitSource *s, const char *name, const char *text, size_t bytes);
void jit_source_free(JitSource *s);

/* The shared part and the kernels part, part + parts, ...; lines keep their numbers. For free(). */
char *jit_source_part(const JitSource *s, int part, int parts);

/* What a compiler's log is about, in words: its first error, the line it names, and the comment of
 * the kernel around that line. */
void jit_source_explain(const JitSource *s, const char *log, char *out, size_t size);

#endif
