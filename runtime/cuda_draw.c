/* cuda_draw.c - decode steps that draw their own next ids (SinterSampleFn): each is one graph,
 * whose last kernel writes the ids where the next step reads its tokens, and into a ring in host
 * memory. An event behind each step says when its place in the ring may be read. */
#include <stdlib.h>
#include <string.h>

#include "cuda_parts.h"

enum { EVENT_NO_TIMING = 2 };

static SinterStatus result(SinterGpu *g, Message *m)
{
    return g->error ? gpu_error(g, g->error, g->failed, m) : SINTER_OK;
}

static SinterStatus make_memory(SinterGpu *g, Message *m)
{
    GpuDraw *d = &g->draw;
    size_t work = SINTER_MAX_BATCH * g->model->gpu->sample_work;
    if (d->ring)
        return SINTER_OK;
    if (!d->state)
        d->state = gpu_device_alloc(g, SINTER_MAX_BATCH * sizeof(SinterSample), "sampling", m);
    if (d->state && !d->work)
        d->work = gpu_device_alloc(g, work, "sampling", m);
    if (d->work && !d->pinned)
        d->pinned = gpu_host_alloc(g, SINTER_MAX_BATCH * sizeof *d->pinned, m);
    if (d->pinned)
        d->ring = gpu_host_alloc(g, SINTER_RING * SINTER_MAX_BATCH * sizeof *d->ring, m);
    return d->ring ? SINTER_OK : SINTER_ENVIRONMENT;
}

static SinterStatus make_events(SinterGpu *g, Message *m)
{
    for (int i = 0; i < SINTER_RING; i++)
        if (!g->draw.drawn[i])
            gpu_note(g, g->d.event_create(&g->draw.drawn[i], EVENT_NO_TIMING), "event");
    return result(g, m);
}

void gpu_draw_close(SinterGpu *g)
{
    GpuDraw *d = &g->draw;
    for (int i = 0; i < SINTER_RING; i++)
        if (d->drawn[i])
            g->d.event_destroy(d->drawn[i]);
    if (d->state)
        g->d.release(d->state);
    if (d->work)
        g->d.release(d->work);
    gpu_host_free(g, d->pinned);
    gpu_host_free(g, d->ring);
}

static void send_sampling(SinterGpu *g, const SinterSampling *sampling)
{
    GpuDraw *d = &g->draw;
    for (int i = 0; i < d->rows; i++)
        d->pinned[i] = (SinterSample){.seed = sampling[i].seed,
                                      .temperature = sampling[i].temperature,
                                      .top_k = sampling[i].top_k,
                                      .top_p = sampling[i].top_p};
    gpu_note(g, g->d.to_device(d->state, d->pinned, (size_t)d->rows * sizeof *d->pinned, g->stream),
             "sampling");
}

SinterStatus gpu_draw_begin(SinterGpu *g, const SinterEntry *e, const SinterRun *host,
                            const SinterSampling *sampling, Message *m)
{
    GpuDraw *d = &g->draw;
    SinterStatus status = make_memory(g, m);
    if (!status)
        status = make_events(g, m);
    if (status)
        return status;
    d->entry = e;
    d->rows = host->rows;
    d->likeliest = d->rows == 1 && (!(sampling[0].temperature > 0) || sampling[0].top_k == 1);
    d->run = gpu_device_run(g, e, host);
    d->profile = host->profile;
    d->sent = d->taken = 0;
    gpu_send_control(g, e, host);
    send_sampling(g, sampling);
    return result(g, m);
}

SinterSample *sinter_gpu_likeliest(SinterGpu *g)
{
    return g->draw.asked ? (SinterSample *)(uintptr_t)g->draw.state : NULL;
}

int32_t *sinter_gpu_ring(SinterGpu *g)
{
    return g->draw.ring;
}

static void enqueue_sampling(SinterGpu *g, const SinterRun *run)
{
    const GpuDraw *d = &g->draw;
    /* positions are the host's to write before a step and the draw's behind it */
    int32_t *tokens = (int32_t *)(uintptr_t)run->tokens, *pos = (int32_t *)(uintptr_t)run->pos;
    g->model->gpu->sample(run, run->logits, (SinterSample *)(uintptr_t)d->state, tokens, pos,
                          (void *)(uintptr_t)d->work, d->ring, run->rows);
    if (run->profile)
        sinter_gpu_lap(g, g->model->n_steps);
}

void gpu_enqueue_draw(SinterGpu *g, const SinterEntry *e, const SinterRun *run, int draws)
{
    GpuDraw *d = &g->draw;
    d->asked = draws == GPU_LIKELIEST;
    d->inside = 0;
    e->fn(run, 0);
    if (!d->inside)
        enqueue_sampling(g, run);
    d->asked = 0;
}

SinterStatus gpu_draw_step(SinterGpu *g, Message *m)
{
    GpuDraw *d = &g->draw;
    if (!g->error)
        gpu_run_kernels(g, d->entry, &d->run, d->likeliest ? GPU_LIKELIEST : GPU_DRAW);
    if (!g->error)
        gpu_note(g, g->d.event_record(d->drawn[d->sent++ % SINTER_RING], g->stream), "step");
    return result(g, m);
}

SinterStatus gpu_draw_ids(SinterGpu *g, int32_t *ids, Message *m)
{
    GpuDraw *d = &g->draw;
    int at = d->taken++ % SINTER_RING;
    gpu_note(g, g->d.event_wait(d->drawn[at]), "step");
    if (gpu_check_stalled(g, m))
        return SINTER_ENVIRONMENT;
    if (!g->error && d->profile)
        gpu_profile_add(g, d->profile);
    memcpy(ids, d->ring + (ptrdiff_t)at * SINTER_MAX_BATCH, (size_t)d->rows * sizeof *ids);
    return result(g, m);
}

SinterStatus gpu_draw_end(SinterGpu *g, Message *m)
{
    if (!g->error)
        sinter_gpu_wait(g);
    return result(g, m);
}
