/* cubin_cache.h - compiled kernels on disk, in $XDG_CACHE_HOME/sinter/cubins or
 * ~/.cache/sinter/cubins. Any number of programs may start, be killed, or clear the folder at the
 * same time. A cache that cannot be written is no error: the next start compiles again. */
#ifndef SINTER_CUBIN_CACHE_H
#define SINTER_CUBIN_CACHE_H

#include <stddef.h>

#include "cubin_format.h"

/* Table and images (cubin_format.h), freed by cubin_block_free. */
typedef struct CubinBlock {
    uint8_t *data;
    size_t bytes;
    int n;
} CubinBlock;

/* Image i of the block. */
const uint8_t *cubin_image(const CubinBlock *b, int i, size_t *bytes);
void cubin_block_free(CubinBlock *b);

/* 1 when the cache has the key and every byte is as it was written. */
int cubin_cache_load(const CubinKey *key, CubinBlock *out);
/* 1 when it was written: under another name first, then fsync and rename. */
int cubin_cache_store(const CubinKey *key, const CubinBlock *b);

#endif
