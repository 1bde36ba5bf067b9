/* safetensors.h - checkpoints in Hugging Face's format: one .safetensors file, or a folder with
 * model.safetensors or with shards and model.safetensors.index.json. Files are mapped, not read.
 *
 * A file is u64 length of the header, the JSON header, the data. Format:
 * https://github.com/huggingface/safetensors#format. Everything in it is distrusted: header size,
 * duplicate names, dtypes, shapes whose product overflows, offsets out of range or overlapping. */
#ifndef SINTER_COMPILER_SAFETENSORS_H
#define SINTER_COMPILER_SAFETENSORS_H

#include "ir/ir.h"

typedef struct CheckpointTensor {
    Str name;
    DType dtype;            /* DT_NONE: one that cannot be a weight here (dtype_name says which) */
    const char *dtype_name; /* as the file spells it */
    int rank;
    int64_t dim[IR_MAX_RANK];
    const uint8_t *data;
    const char *file;
} CheckpointTensor;

typedef struct Mapping {
    void *data;
    size_t size;
} Mapping;

typedef struct Checkpoint {
    Ctx *ctx;
    const char *path;
    VEC(CheckpointTensor) tensors; /* sorted by name */
    VEC(Mapping) maps;
} Checkpoint;

/* NULL after a diagnostic. */
Checkpoint *checkpoint_open(Ctx *ctx, const char *path);
void checkpoint_close(Checkpoint *c);
/* Gives the memory of what was read back to the system (its page cache keeps it). */
void checkpoint_forget(const Checkpoint *c);
const CheckpointTensor *checkpoint_find(const Checkpoint *c, const char *name);
/* The name in the checkpoint nearest to `name`, or NULL. */
const char *checkpoint_nearest(const Checkpoint *c, const char *name);

/* A matrix [rows, cols] (or vector: cols = 1) found in a checkpoint tensor, perhaps as some of its
 * rows, perhaps stored transposed (GPT-2's Conv1D keeps [in, out]). */
typedef struct WeightRef {
    const CheckpointTensor *tensor;
    int64_t first, rows, cols;
    bool transposed;
} WeightRef;
/* Rows [row, row + n) as doubles, [n, cols]. */
void checkpoint_read(const WeightRef *ref, int64_t row, int64_t n, double *out);

/* Parses one file's header out of memory (for the fuzzer too). */
bool safetensors_parse(Checkpoint *c, const char *path, const uint8_t *data, size_t size);

#endif
