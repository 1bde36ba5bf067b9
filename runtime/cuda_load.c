/* cuda_load.c - weights onto the GPU.
 *
 *   file --page cache--> threads copy pieces --> pinned buffers --their streams--> device
 *
 * Each thread has two buffers, so that reading a piece and sending the one before overlap; several
 * threads, because one cannot read as fast as the link takes. Random weights are made where they
 * are wanted, by a kernel of the program. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_parts.h"
#include "random.h"
#include "weights.h"

enum { EVENT_NO_TIMING = 2, STREAM_NON_BLOCKING = 1 };
enum {
    PIECE = 2 << 20,
    MAX_SENDERS = 8
}; /* pinning memory takes as long as sending ten times as much */

/* ---- from memory ----------------------------------------------------------------------------- */

typedef struct Load {
    SinterGpu *g;
    const uint8_t *data;
    size_t bytes;
    const GpuProgress *progress;
    _Atomic size_t next, sent; /* pieces taken; bytes on their way */
    _Atomic int error;         /* the first one */
} Load;

/* What one thread sends through. */
typedef struct Sender {
    void *buffer[2];
    CuHandle stream, free[2]; /* the buffer may be filled again */
} Sender;

static int open_sender(const CudaDriver *d, CuHandle context, Sender *s)
{
    int error = d->context_set(context);
    if (!error)
        error = d->stream_create(&s->stream, STREAM_NON_BLOCKING);
    for (int i = 0; !error && i < 2; i++) {
        error = d->host_alloc(&s->buffer[i], PIECE);
        if (!error)
            error = d->event_create(&s->free[i], EVENT_NO_TIMING);
    }
    return error;
}

static void close_sender(const CudaDriver *d, Sender *s)
{
    for (int i = 0; i < 2; i++) {
        if (s->free[i])
            d->event_destroy(s->free[i]);
        if (s->buffer[i])
            d->host_release(s->buffer[i]);
    }
    if (s->stream)
        d->stream_destroy(s->stream);
}

static int send_piece(const Load *l, Sender *s, size_t piece, int side)
{
    const CudaDriver *d = &l->g->d;
    size_t at = piece * PIECE, n = l->bytes - at < PIECE ? l->bytes - at : PIECE;
    int error = d->event_wait(s->free[side]); /* at once for one that was never recorded */
    if (error)
        return error;
    memcpy(s->buffer[side], l->data + at, n);
    error = d->to_device(l->g->weights + at, s->buffer[side], n, s->stream);
    return error ? error : d->event_record(s->free[side], s->stream);
}

static int send_pieces(Load *l, Sender *s, int thread)
{
    int error = 0;
    size_t piece;
    for (int side = 0; !error && !atomic_load(&l->error); side = !side) {
        piece = atomic_fetch_add(&l->next, 1);
        if (piece * PIECE >= l->bytes)
            break;
        error = send_piece(l, s, piece, side);
        size_t sent = atomic_fetch_add(&l->sent, PIECE) + PIECE;
        if (thread == 0 && l->progress->show)
            l->progress->show(l->progress->user, "uploading the weights", (double)sent,
                              (double)l->bytes);
    }
    return error ? error : l->g->d.stream_wait(s->stream);
}

static void load_thread(void *arg, int thread)
{
    Load *l = arg;
    Sender s = {0};
    if (thread >= MAX_SENDERS)
        return;
    int none = 0, error = open_sender(&l->g->d, l->g->context, &s);
    if (!error)
        error = send_pieces(l, &s, thread);
    if (error)
        atomic_compare_exchange_strong(&l->error, &none, error);
    close_sender(&l->g->d, &s);
}

SinterStatus gpu_load(SinterGpu *g, const uint8_t *data, size_t bytes, Pool *pool,
                      const GpuProgress *progress, Message *m)
{
    Load l = {.g = g, .data = data, .bytes = bytes, .progress = progress};
    g->weights = gpu_device_alloc(g, bytes, "weights", m);
    if (!g->weights)
        return SINTER_ENVIRONMENT;
    uint64_t start = sinter_now_ns();
    pool_run(pool, load_thread, &l);
    g->load_seconds = (double)(sinter_now_ns() - start) / 1e9;
    int error = atomic_load(&l.error);
    return error ? gpu_error(g, error, "weights cannot be copied", m) : SINTER_OK;
}

/* ---- random ---------------------------------------------------------------------------------- */

enum { OUT_OF_MEMORY = 2 };

/* What a tensor is drawn from. */
typedef struct Random {
    SinterGpu *g;
    uint64_t seed;
    float *quantile;
    CuPointer table; /* quantiles on the device */
} Random;

/* By the host: what depends on its C library. */
static void fill_here(const Random *r, int tensor, const SinterTensorInfo *t)
{
    SinterGpu *g = r->g;
    uint8_t *bytes = malloc((size_t)t->bytes);
    if (!bytes) {
        gpu_note(g, OUT_OF_MEMORY, "random weights");
        return;
    }
    weights_random_tensor(g->model, r->seed, tensor, r->quantile, bytes);
    gpu_note(g, g->d.to_device(g->weights + t->offset, bytes, (size_t)t->bytes, g->stream),
             "random weights");
    gpu_note(g, g->d.stream_wait(g->stream), "random weights");
    free(bytes);
}

static void fill_tensor(const Random *r, int tensor)
{
    const SinterTensorInfo *t = &r->g->model->tensors[tensor];
    SinterRun run = {.gpu = r->g};
    int kind = t->fill != 'c'                     ? t->fill
               : strncmp(t->type, "i8", 2) == 0   ? 'i'
               : strncmp(t->type, "e4m3", 4) == 0 ? 'e'
                                                  : 'c';
    if (kind == 'q')
        fill_here(r, tensor, t);
    else if (kind != '0')
        r->g->model->gpu->random(&run, (uint8_t *)(uintptr_t)(r->g->weights + t->offset), t->bytes,
                                 kind, t->scale, random_mix(r->seed) + ((uint64_t)tensor << 40),
                                 (const float *)(uintptr_t)r->table);
}

static void fill_all(const Random *r)
{
    SinterGpu *g = r->g;
    weights_quantiles(r->quantile);
    gpu_note(g, g->d.to_device(r->table, r->quantile, WEIGHTS_QUANTILES * sizeof(float), g->stream),
             "random weights");
    for (int i = 0; !g->error && i < g->model->n_tensors; i++)
        fill_tensor(r, i);
    if (!g->error)
        sinter_gpu_wait(g);
}

SinterStatus gpu_random(SinterGpu *g, size_t bytes, uint64_t seed, Message *m)
{
    Random r = {.g = g, .seed = seed};
    size_t size = WEIGHTS_QUANTILES * sizeof *r.quantile;
    g->weights = gpu_device_alloc(g, bytes, "weights", m);
    if (g->weights)
        r.table = gpu_device_alloc(g, size, "random weights", m);
    if (!r.table)
        return SINTER_ENVIRONMENT;
    r.quantile = malloc(size);
    if (r.quantile)
        fill_all(&r);
    else
        gpu_note(g, OUT_OF_MEMORY, "random weights");
    free(r.quantile);
    g->d.release(r.table);
    return g->error ? gpu_error(g, g->error, g->failed, m) : SINTER_OK;
}

double gpu_load_seconds(const SinterGpu *g)
{
    return g->load_seconds;
}
