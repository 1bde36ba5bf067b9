/* emit_dot.h - what the files about register blocks share (families and sizes of blocks: dot.h):
 *
 *   emit_dot.c         the function of a block and its calls
 *   emit_dot_block.c   functions that the block's template calls
 *   emit_dot_pack.c    rows of x packed for it */
#ifndef SINTER_CODEGEN_EMIT_DOT_H
#define SINTER_CODEGEN_EMIT_DOT_H

#include "codegen/dot.h"
#include "codegen/emit_call.h"

/* ---- emit_dot.c ------------------------------------------------------------------------------ */

/* Of the kernel's block. */
const DotFamily *emit_dot_family(const KernelText *k);
/* The sums of x in each group are wanted: for what codes have too much, or zero points. */
bool emit_dot_wants_sums(const KernelText *k);
/* What codes have too much: 128 or the zero point; 0: nothing, or zero points of each row. */
int64_t emit_dot_excess(const KernelText *k);
/* The items as parameters of the function of that name, broken into lines; its template closes the
 * list. */
Str emit_dot_params(const KernelText *k, Str name, const Str *item, size_t n);
/* Makes the function of that name unless it is there: expands `file` with what `set` puts into env.
 * False after a diagnostic. */
bool emit_dot_function(KernelText *k, Str name, const char *file,
                       void (*set)(const KernelText *k, Str name, TmplEnv *env));

/* ---- emit_dot_pack.c ------------------------------------------------------------------------- */

/* Elements and sums (emit_dot_wants_sums) from one packed row of x to the next. */
int64_t emit_dot_packed_stride(const KernelText *k);
int64_t emit_dot_sums_stride(const KernelText *k);
/* pack(first, rows): a function of templates. */
bool emit_dot_pack(const Call *c);

#endif
