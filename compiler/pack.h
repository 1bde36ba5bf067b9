/* pack.h - x.weights: the constant half of the IR evaluated over a checkpoint, written in the order
 * in which the kernels read it (runtime/weights_format.h).
 *
 * Everything streams: a block of rows is read, evaluated in double precision, encoded, checksummed
 * and written; memory does not depend on the size of the model. The result depends on nothing but
 * its inputs: the same bytes every time. */
#ifndef SINTER_COMPILER_PACK_H
#define SINTER_COMPILER_PACK_H

#include <stdio.h>

#include "codegen/weights_plan.h"
#include "compiler/spec.h"

typedef struct PackRequest {
    Ctx *ctx;
    const ModelSpec *spec;
    const WeightsPlan *plan;
    const char *checkpoint; /* Hugging Face folder or .safetensors file; NULL: random numbers */
    uint64_t seed;          /* of the random numbers */
    const char *output;
    const char *layout; /* words for people, in the header: "c avx512, int4/128" */
    FILE *progress;     /* a bar when it is a terminal, and the final line; NULL: silent */
} PackRequest;

/* False after a diagnostic; then nothing is left under `output` or any other name. */
bool pack_write(const PackRequest *r);

/* ---- pack_source.c: rows of the weights that the constant half reads ------------------------- */

typedef struct PackSource PackSource;

/* checkpoint NULL: random. NULL after a diagnostic. */
PackSource *pack_source_open(Ctx *ctx, const ModelSpec *spec, const char *checkpoint,
                             uint64_t seed);
void pack_source_close(PackSource *s);
/* From now on weights of this function in this layer (-1: outside of the layers). */
void pack_source_select(PackSource *s, const Func *f, int layer);
/* ConstSource.load with a PackSource as user. A number that is not finite is an error that names
 * tensor and element. */
bool pack_source_load(void *user, Str weight, int64_t row, int64_t n, double *out);
/* Was everything read that should have been? See import_check_unused. */
bool pack_source_check_unused(const PackSource *s);

/* Rows [row, row + n) of random weight `weight`: a function of seed, layer, name and index alone.
 * Matrices are N(0, 0.02), norm gains near 1, biases small; rounded to the type's dtype. */
void pack_random_rows(uint64_t seed, int layer, const char *weight, const Type *type, int64_t row,
                      int64_t n, double *out);

/* ---- pack_encode.c: numbers -> bytes in physical order --------------------------------------- */

/* Encodes rows [row, row + n) of a value of type t. in: [n, columns], each number one that the
 * dtype can hold; row is a multiple of the layout's tile rows (of 2 when there are no tiles). out:
 * the bytes from pack_row_offset(t, row) on, pack_rows_bytes(t, row, n) of them; padding is zero.
 */
void pack_encode_rows(Arena *scratch, const Type *t, int64_t row, int64_t n, const double *in,
                      uint8_t *out);
/* Bytes before logical row `row` (a multiple as above). */
int64_t pack_row_offset(const Type *t, int64_t row);
int64_t pack_rows_bytes(const Type *t, int64_t row, int64_t n);

#endif
