/* stream.h - the decode matmul of GPUs (templates/cuda/matmul_stream.cu): what it can multiply, and
 * how it divides shared memory. */
#ifndef SINTER_CODEGEN_STREAM_H
#define SINTER_CODEGEN_STREAM_H

#include "ir/ir.h"

enum { STREAM_WARPS = 8 };

/* Shared memory: [ring: warps x slots x chunk blocks][x: tokens rows of a part of K, or gains]
 * [sums, twice][sums of earlier parts][square sums][start sums]. */
typedef struct StreamShape {
    int bits;            /* of a weight */
    bool codes_in;       /* x holds codes of the weights' kind: 8 bits by 8 bits */
    bool held;           /* a warp has the same columns of every tile, and x in registers */
    int line;            /* else: bytes of a row of a part of x */
    int x_bytes;         /* in shared memory: the part of x; gains of the norm if x is held */
    int block_k;         /* columns of a block of 16 rows x 64 bytes */
    int tokens, parts;   /* parts of K that x is read in */
    int sweep;           /* tiles that a block takes through all parts before the next; 0: all */
    int chunk, slots;    /* blocks copied at once; such chunks in a warp's ring */
    int round;           /* tiles whose sums are added at once */
    int groups_in_block; /* whose scales lie beside a block; 0: no groups */
    int block_bytes;     /* with scales and zero points */
    bool zeros;          /* zero points beside the scales, which are f16 */
    bool fast_groups;    /* a group is a block: its scale multiplies the block's sums */
    int64_t tiles;       /* of 16 rows */
    int squares_at, start_at, shared; /* floats behind the sums' start; bytes in all */
} StreamShape;

/* Can it take this matmul or matmul_qkv at all: dtypes, whole blocks, groups. Layouts, which come
 * later, are not looked at. */
bool stream_takes(const Func *f, const Op *op);
/* Is there room for `tokens` rows of x and a ring beside them? */
bool stream_fits(const Func *f, const Op *op, int tokens);
/* Also with a norm in front: x times gain, before 1/rms is known, may be too large for f16. */
bool stream_normalises(const Func *f, const Op *op);
/* For an operator that it takes, `tokens` <= 8. */
StreamShape stream_shape(const Func *f, const Op *op, int tokens);

#endif
