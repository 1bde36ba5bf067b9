/* dot.h - the families of matmul register blocks: which weights and rows of x each multiplies, and
 * how large its block is.
 *
 *   family      weights   x                                  inner loop
 *   f32, f16    as named  f32                                convert, multiply-add
 *   bf16        bf16      f32                                shift or mask, multiply-add
 *   pairs       bf16      packed as bf16 pairs               one dot product for 2 columns
 *   e4m3        codes     f32                                widen, multiply-add
 *   i8, u4      codes     f32                                convert, multiply-add
 *   i8i8, u4i8  codes     int8 codes, packed with their sums one dot product for 4 columns, exact
 *   i8planes, u4planes    packed as two int8 codes, 15 bits  two dot products for 4 columns
 *   any         any       any                                plain loops */
#ifndef SINTER_CODEGEN_DOT_H
#define SINTER_CODEGEN_DOT_H

#include "codegen/target.h"

typedef struct DotFamily {
    const char *name;
    const char *template; /* of the register block */
    const char *pack;     /* of the function that packs x for it; NULL: x as it lies */
    int bits, planes;     /* of a weight code; int8 codes of an element of x */
} DotFamily;

/* BUG() when there is none of that name. */
const DotFamily *dot_family(const char *name);

/* What a block's size depends on. */
typedef struct DotShape {
    const Isa *isa;
    Caches caches;
    int64_t rows, columns; /* of x: tokens of the phase, K */
    int64_t tiles;         /* of weights */
    int64_t steps;         /* vectors of a tile in one group */
    int64_t column_bits;   /* of a weight */
    int ways;              /* tiles that an epilogue needs together */
    bool grouped;
} DotShape;

typedef struct DotBlock {
    int tokens, tiles; /* rows of x and tiles of weights of an epilogue */
    int calls;         /* the tiles are multiplied in so many calls: one stream of weights each */
    int unroll;        /* accumulators that take turns */
    int ahead;         /* bytes between the weights read and those asked for; 0: none asked for */
    int64_t rows;      /* of x that are packed, or kept in cache, at once */
} DotBlock;

DotBlock dot_block(const DotFamily *family, const DotShape *shape);

#endif
