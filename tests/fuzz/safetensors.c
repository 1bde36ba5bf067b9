/* safetensors.c - any bytes as a checkpoint: refused with a message, or every tensor lies inside of
 * the file and can be read to its last number. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void die(const char *what)
{
    fprintf(stderr, "%s\n", what);
    abort();
}

/* First and last row through checkpoint_read: an address outside of the file is seen. */
static void read_tensor(Ctx *ctx, const CheckpointTensor *t)
{
    bool floats = t->dtype == DT_F32 || t->dtype == DT_BF16 || t->dtype == DT_F16;
    int64_t rows = t->rank > 0 ? t->dim[0] : 1, cols = t->rank > 1 ? t->dim[1] : 1;
    if (!floats || t->rank > 2 || rows == 0 || cols == 0) {
        return;
    }
    WeightRef ref = {.tensor = t, .rows = rows, .cols = cols};
    double *row = ARENA_ARRAY(ctx->arena, double, cols);
    checkpoint_read(&ref, 0, 1, row);
    checkpoint_read(&ref, rows - 1, 1, row);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Ctx *ctx = ctx_create();
    Checkpoint c = {.ctx = ctx, .path = "fuzz.safetensors"};
    bool ok = safetensors_parse(&c, c.path, data, size);
    if (ok != (diag_error_count(ctx->diag) == 0)) {
        die(ok ? "read with an error" : "refused without a word");
    }
    for (size_t i = 0; ok && i < c.tensors.n; i++) {
        read_tensor(ctx, &c.tensors.data[i]);
    }
    ctx_destroy(ctx);
    return 0;
}
