/* cuda_stamps.c - what the cycles of a decode step that is one kernel went to: its blocks add them
 * up by phase and kind (templates/cuda/step_stamps.cu), here they become seconds of a block. */
#include <stdlib.h>

#include "cuda_parts.h"

/* As enum Stamped and enum Spent of the template; WARPS: who add to the first kinds together. */
enum { STEP = SINTER_STEP_PHASES, STAMPED, WARPS = 8 };
enum { ON_ALL, ON_X, ON_WEIGHTS, ON_SUMS, ON_RING, ON_FINISH, SPENT };

typedef uint64_t Cycles[STAMPED][SPENT]; /* of a block */

static size_t clocks_bytes(const SinterGpu *g)
{
    return (size_t)g->multiprocessors * sizeof(Cycles);
}

unsigned long long *sinter_gpu_clocks(SinterGpu *g)
{
    return (unsigned long long *)(uintptr_t)g->clocks;
}

SinterStatus gpu_stamps_clear(SinterGpu *g, Message *m)
{
    g->whole = NULL;
    if (!g->clocks) {
        g->clocks = gpu_device_alloc(g, clocks_bytes(g), "clocks", m);
        return g->clocks ? SINTER_OK : SINTER_ENVIRONMENT;
    }
    int error = g->d.fill8(g->clocks, 0, clocks_bytes(g), g->stream);
    return error ? gpu_error(g, error, "clocks", m) : SINTER_OK;
}

/* seconds: of a cycle and a block. */
static GpuPhase phase_of(const uint64_t *sum, double seconds)
{
    double warp = seconds / WARPS;
    return (GpuPhase){.all = (double)sum[ON_ALL] * warp,
                      .of_x = (double)sum[ON_X] * warp,
                      .of_weights = (double)sum[ON_WEIGHTS] * warp,
                      .of_sums = (double)sum[ON_SUMS] * warp,
                      .of_ring = (double)sum[ON_RING] * seconds,
                      .finishing = (double)sum[ON_FINISH] * seconds};
}

/* The step's row has cycles and the ns that they took: how long a cycle is. */
static void reduce(Cycles *of, int blocks, GpuStamps *out)
{
    Cycles sum = {{0}};
    for (int b = 0; b < blocks; b++)
        for (int phase = 0; phase < STAMPED; phase++)
            for (int kind = 0; kind < SPENT; kind++)
                sum[phase][kind] += of[b][phase][kind];
    double ns = (double)sum[STEP][ON_X], cycles = (double)sum[STEP][ON_ALL];
    for (int phase = 0; phase < SINTER_STEP_PHASES && cycles > 0; phase++)
        out->phase[phase] = phase_of(sum[phase], ns * 1e-9 / cycles / blocks);
}

SinterStatus gpu_stamps_read(SinterGpu *g, GpuStamps *out, Message *m)
{
    *out = (GpuStamps){.whole = g->whole};
    if (!g->whole || !g->clocks)
        return SINTER_OK;
    Cycles *of = malloc(clocks_bytes(g));
    if (!of)
        return message_set(m, SINTER_ENVIRONMENT, "no memory for the clocks");
    int error = g->d.to_host(of, g->clocks, clocks_bytes(g), g->stream);
    if (!error)
        error = g->d.stream_wait(g->stream);
    if (!error)
        reduce(of, g->multiprocessors, out);
    free(of);
    return error ? gpu_error(g, error, "clocks", m) : SINTER_OK;
}
