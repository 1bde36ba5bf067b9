/* toolchain.h - finding and running the C compiler, and asking what else is here (doctor). */
#ifndef SINTER_COMPILER_TOOLCHAIN_H
#define SINTER_COMPILER_TOOLCHAIN_H

#include "compiler/options.h"

/* How the sources of a program are compiled and linked (the Makefile beside them says the same). */
#define TOOLCHAIN_CFLAGS                                                                           \
    "-std=c11 -O2 -fPIC -D_GNU_SOURCE -fvisibility=hidden -ffunction-sections -fno-math-errno "    \
    "-fno-trapping-math"
#define TOOLCHAIN_LIBS "-lpcre2-8 -lutf8proc -lpthread -lm -ldl"

/* Absolute path of a program on PATH, NULL when it is not there. */
char *toolchain_find(Arena *a, const char *program);
/* $CC, else the first of cc, gcc, clang that exists; NULL after an environment error that says what
 * to install. `cross` names a prefix such as "aarch64-linux-gnu-" (NULL: none). */
char *toolchain_cc(Ctx *ctx, const char *cross);

/* What the runtime's objects depend on: the compiler (its path, size and date), the flags, all
 * sources in the folder `runtime`. */
uint64_t toolchain_hash(Ctx *ctx, const char *cc, const char *runtime);

/* The words of "-a b  c", one by one. */
void toolchain_add_words(Ctx *ctx, TextList *argv, const char *words);

/* A child process. Its stdout and stderr go to a file until toolchain_wait reads them. */
typedef struct Child {
    int pid, output;
    const char *command; /* for messages */
} Child;
bool toolchain_start(Ctx *ctx, const TextList *argv, bool verbose, Child *child);
/* Waits; on failure a diagnostic with the command and what it printed (given also in *text). */
bool toolchain_wait(Ctx *ctx, Child *child, const char **text);
bool toolchain_run(Ctx *ctx, const TextList *argv, bool verbose, const char **text);

/* Runs `program arg FILE` with FILE holding `input`; what it printed goes to out. */
bool toolchain_filter(Ctx *ctx, const char *program, const char *arg, const char *input, Buf *out);

/* Compiles DIR/NAME.c and DIR/runtime/ *.c with `cflags` into DIR/NAME and DIR/libNAME.so. Objects
 * live in a temporary folder; both results appear by rename. */
typedef struct BuildRequest {
    const char *dir, *name;
    const char *cflags; /* space-separated: instruction set of the target */
    const char *cross;  /* compiler prefix or NULL */
    bool verbose;
} BuildRequest;
bool toolchain_build(Ctx *ctx, const BuildRequest *r);

#endif
