/* weights_format.h - the layout of an x.weights file, shared by `sinter pack` and the runtime.
 *
 *   [WeightsHeader][WeightsEntry x n_tensors]  ...256-byte aligned tensor data, in reading order...
 *
 * Little-endian. Every tensor has an XXH3-64 checksum, the header and table have one of their own
 * (computed with header_checksum = 0). layout_hash is a hash of all names, types, layouts and
 * offsets that the generated source was compiled for: a file packed for another spec, quantisation
 * or CPU is refused. The tokenizer, when there is one, is the tensor "tokenizer" (bytes,
 * tokenizer.h). */
#ifndef SINTER_WEIGHTS_FORMAT_H
#define SINTER_WEIGHTS_FORMAT_H

#include <stdint.h>

#define WEIGHTS_MAGIC "SINTERW1"
enum { WEIGHTS_ALIGN = 256, WEIGHTS_NAME = 64 };

typedef struct WeightsHeader {
    char magic[8];
    uint32_t n_tensors;
    uint32_t reserved;
    uint64_t header_bytes; /* header and table */
    uint64_t file_bytes;
    uint64_t layout_hash;
    uint64_t header_checksum;
    char model[64];  /* name in the spec */
    char layout[64]; /* words for people: "c avx512 int4/128" */
} WeightsHeader;

typedef struct WeightsEntry {
    char name[WEIGHTS_NAME]; /* "layers.7.gate_up", "embedding" */
    char type[WEIGHTS_NAME]; /* as the IR prints it: "bf16[28672, 4096] tile(16, 2, 0)" */
    uint64_t offset, bytes;
    uint64_t checksum;
} WeightsEntry;

#endif
