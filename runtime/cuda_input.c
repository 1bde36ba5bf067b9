/* cuda_input.c - activations of a model without an embedding on their way to the GPU, as wide as
 * its kernels read them. */
#include <stdlib.h>

#include "cuda_parts.h"
#include "narrow.h"

static void narrow_rows(uint16_t *to, const float *from, size_t n, int f16)
{
    for (size_t i = 0; i < n; i++)
        to[i] = f16 ? narrow_f16(from[i]) : narrow_bf16(from[i]);
}

void gpu_send_input(SinterGpu *g, const float *rows)
{
    const void *from = rows;
    size_t bytes = g->input_bytes;
    if (g->model->gpu->input != SINTER_INPUT_F32) {
        bytes /= 2;
        uint16_t *narrow = malloc(bytes);
        if (!narrow) {
            gpu_note(g, GPU_NO_MEMORY, "activations");
            return;
        }
        narrow_rows(narrow, rows, bytes / 2, g->model->gpu->input == SINTER_INPUT_F16);
        from = narrow;
    }
    int error = g->d.to_device(g->input, from, bytes, g->stream);
    if (from != rows) {
        if (!error)
            error = g->d.stream_wait(g->stream);
        free((void *)(uintptr_t)from);
    }
    gpu_note(g, error, "activations");
}
