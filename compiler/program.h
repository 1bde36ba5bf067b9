/* program.h - from a spec that was read to a program in a folder: plan, sources, weights, binary.
 */
#ifndef SINTER_COMPILER_PROGRAM_H
#define SINTER_COMPILER_PROGRAM_H

#include "codegen/plan.h"
#include "compiler/driver.h"

typedef struct Program {
    Compilation *c;
    Module *module[IR_MAX_BATCH + 1]; /* decode of 1, 2, 4, 8 sequences, then prefill */
    int n_modules;
    Plan *plan;
    Buf source, header; /* x.c, x.h */
    Buf device;         /* x.cu of a GPU target */
} Program;

/* Builds and fuses every phase and cuts it into kernels. */
bool program_plan(Program *p, Compilation *c);
/* The sources as text. */
bool program_emit(Program *p);
/* --output, or a folder named after the spec. */
const char *program_dir(const Program *p);
/* DIR/x.c, DIR/x.h, DIR/runtime/ and a Makefile that builds them without sinter. */
bool program_write(Program *p, const char *dir);
/* DIR/x.weights (dir NULL: the file of --output) from --weights or --random; nothing without them.
 */
bool program_pack(Program *p, const char *dir);
bool program_pack_random(Program *p, const char *dir, uint64_t seed);
/* DIR/x and DIR/libx.so; nothing with --emit src. */
bool program_build(Program *p, const char *dir);

/* "DIR/x" + suffix. */
const char *program_file(const Program *p, const char *dir, const char *suffix);
/* A compiler prefix when the target is not this machine's architecture; NULL when it is. */
const char *program_cross(const Program *p);

/* ---- program_cache.c --------------------------------------------------------------------------
 */

/* `sinter run` and `bench`: compiles into the cache ($XDG_CACHE_HOME/sinter, keyed by sources,
 * runtime, compilers and weights) unless it is there, then becomes the program with `args` and what
 * stood behind `--`. */
bool program_run_cached(Ctx *ctx, const Options *o, const TextList *args);

#endif
