/* cuda_whole.c - the decode step as one kernel: a block on every multiprocessor, all of them at
 * once, and what it says when a block waited in vain.
 *
 * A cooperative launch is all blocks or none. It costs 2 us more than a programmatic one, whose
 * blocks come as those of the kernel in front leave; that all of them come then is certain unless
 * something else has kernels on the GPU at the same time: another process under MPS, or another
 * stream of this one (two of them in this way may stop each other: the waits end, with an error).
 */
#include <stdio.h>

#include "cuda_parts.h"

enum { FUNCTION_SHARED = 8, FUNCTION_CARVEOUT = 9 };
enum { LAUNCH_COOPERATIVE = 2, LAUNCH_PROGRAMMATIC = 6, ATTRIBUTE_MPS = 133 };
enum { FEWEST = 64, MOST = 256 }; /* blocks */

uint32_t *sinter_gpu_stalled(SinterGpu *g)
{
    Message m = {0};
    if (!g->stalled)
        g->stalled = gpu_host_alloc(g, sizeof *g->stalled, &m);
    if (!g->stalled)
        gpu_note(g, GPU_NOT_FOUND, "memory that the GPU writes");
    return g->stalled;
}

/* All of its blocks are to run at the same time. When some would wait for others to end - another
 * process holds multiprocessors, or this one may use some of them only - the chain is as good. */
static int fits_together(SinterGpu *g, CuHandle kernel, const SinterWhole *w, const char *name)
{
    int blocks = 0;
    gpu_note(g, g->d.function_set(kernel, FUNCTION_CARVEOUT, 100), name);
    gpu_note(g, g->d.function_set(kernel, FUNCTION_SHARED, w->shared), name);
    gpu_note(g, g->d.occupancy(&blocks, kernel, w->block, (size_t)w->shared), name);
    return blocks > 0;
}

static int how_to_launch(SinterGpu *g, const SinterWhole *w)
{
    int mps = 0;
    int error = g->d.device_attribute(&mps, ATTRIBUTE_MPS, g->device); /* older drivers: unknown */
    return w->early && g->early && !error && !mps ? LAUNCH_PROGRAMMATIC : LAUNCH_COOPERATIVE;
}

int sinter_gpu_launch_whole(const SinterRun *run, const SinterWhole *w, void **arg)
{
    SinterGpu *g = run->gpu;
    int kernel = run->profile ? w->stamped : w->kernel;
    if (kernel < 0 || !g->kernel[kernel] || g->multiprocessors < FEWEST || !g->stalled || g->apart)
        return 0;
    const char *name = g->model->gpu->kernels[kernel];
    if (!fits_together(g, g->kernel[kernel], w, name))
        return 0;
    CuLaunchAttribute how = {.id = how_to_launch(g, w), .value.flag = 1};
    CuLaunchConfig config = {
        .gx = (unsigned)(g->multiprocessors < MOST ? g->multiprocessors : MOST),
        .gy = 1,
        .gz = 1,
        .bx = (unsigned)w->block,
        .by = 1,
        .bz = 1,
        .shared = (unsigned)w->shared,
        .stream = g->stream,
        .attributes = &how,
        .n_attributes = 1,
    };
    int error = g->d.launch(&config, g->kernel[kernel], arg, NULL);
    g->apart = error == GPU_TOO_LARGE;
    if (g->apart)
        return 0;
    gpu_note(g, error, name);
    g->draw.inside = g->draw.asked;
    if (run->profile) {
        g->whole = w;
        sinter_gpu_lap(g, w->step[0]);
    }
    return 1;
}

SinterStatus gpu_check_stalled(SinterGpu *g, Message *m)
{
    static const char *const what[] = {"x of qkv",      "queries",           "parts of attention",
                                       "x of o",        "x of gate_up",      "x of down",
                                       "x of the head", "the likeliest ids", "parts of down"};
    if (!g->stalled || !*(volatile uint32_t *)g->stalled)
        return SINTER_OK;
    uint32_t at = *(volatile uint32_t *)g->stalled;
    *(volatile uint32_t *)g->stalled = 0;
    /* what blocks left there for each other is void */
    gpu_note(g, g->d.fill8(g->scratch, 0, g->model->scratch_bytes, g->stream), "activations");
    return message_set(
        m, SINTER_ENVIRONMENT,
        "the decode step stalled: layer %u, multiprocessor %u waited for %s in vain; is "
        "another process holding the GPU? (--decode chain does not wait)",
        at >> 20 & 0x7ff, at & 0xffff, what[at >> 16 & 15]);
}
