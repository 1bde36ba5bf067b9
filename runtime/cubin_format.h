/* cubin_format.h - a file of the cache of compiled kernels: what NVRTC made of one source for one
 * chip. Written by programs compiled with --jit, read by them and by `sinter cache`.
 *
 *   CubinHeader | CubinImage[n_images] | images, each at a multiple of 64 bytes from the table
 *
 * The file is cubins/NAME-HASH.cubin, HASH = XXH3 of the key. Its date is that of the last use.
 * Numbers are little-endian; text is ended and padded by NUL. */
#ifndef SINTER_CUBIN_FORMAT_H
#define SINTER_CUBIN_FORMAT_H

#include <stdint.h>

#define CUBIN_MAGIC "SINTCUB1"

enum { CUBIN_ALIGN = 64 };

typedef struct CubinKey {
    char name[64];    /* of the model */
    char options[96]; /* of NVRTC, but for the chip */
    char nvrtc[16];   /* "13.0" */
    char chip[16];    /* "sm_90a" */
    uint64_t source;  /* XXH3 of x.cu */
} CubinKey;

typedef struct CubinHeader {
    char magic[8];
    CubinKey key;
    uint64_t n_images, bytes; /* bytes: table and images */
    uint64_t checksum;        /* XXH3 of table and images */
    uint64_t header_checksum; /* XXH3 of all before */
} CubinHeader;

/* Part of a module; kernel i of the program is in image i % n_images. */
typedef struct CubinImage {
    uint64_t offset, bytes; /* from the table's first byte */
} CubinImage;

#endif
