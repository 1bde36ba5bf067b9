/* cuda.h - a GPU as the engine sees it: memory, weights on the device, steps.
 *
 * The driver is opened when a model for GPUs is opened (dlopen), never before: a program starts and
 * explains itself on a machine without one. All errors are SINTER_ENVIRONMENT with a message. */
#ifndef SINTER_CUDA_H
#define SINTER_CUDA_H

#include "message.h"
#include "model.h"
#include "pool.h"

/* The first device (SINTER_DEVICE: its number), with the machine code made for it. `bytes`: what
 * the caller is going to allocate, checked against what is free before anything is copied. */
SinterStatus gpu_open(SinterGpu **out, const SinterModel *model, size_t bytes, Message *m);
void gpu_close(SinterGpu *g);
/* "NVIDIA H200, 139.8 GiB, driver 13.0" */
const char *gpu_words(const SinterGpu *g);
/* "sm_90a inside", "kernels compiled in 0.84 s by NVRTC 13.0", "kernels from the cache in 0.01 s"
 */
const char *gpu_code(const SinterGpu *g);

/* Device memory, zeroed; NULL with a message. Freed by gpu_free or gpu_close. */
void *gpu_alloc(SinterGpu *g, size_t bytes, const char *what, Message *m);
void gpu_free(SinterGpu *g, void *p);
/* Host memory that the device reads and writes directly; NULL with a message. */
void *gpu_host_alloc(SinterGpu *g, size_t bytes, Message *m);
void gpu_host_free(SinterGpu *g, void *p);
typedef struct GpuProgress {
    void (*show)(void *user, const char *what, double done, double total); /* NULL: nobody looks */
    void *user;
} GpuProgress;

/* Copies the weights to the device, read by the pool's threads. */
SinterStatus gpu_load(SinterGpu *g, const uint8_t *data, size_t bytes, Pool *pool,
                      const GpuProgress *progress, Message *m);
double gpu_load_seconds(const SinterGpu *g); /* that took; 0: nothing was copied */
/* Makes random weights on the device: the same bytes as weights_random's. */
SinterStatus gpu_random(SinterGpu *g, size_t bytes, uint64_t seed, Message *m);

/* Room for a step: tokens, positions, the table of caches, activations, logits. */
SinterStatus gpu_make_buffers(SinterGpu *g, int rows_max, int logit_rows, size_t input_bytes,
                              Message *m);
/* One step on the device. `host` has tokens, pos, kv (device pointers), rows, logits (host memory,
 * `logit_rows` rows are copied there; 0: none), input and profile. A decode entry is captured as a
 * graph at its first step and replayed. */
SinterStatus gpu_step(SinterGpu *g, const SinterEntry *e, const SinterRun *host, int logit_rows,
                      Message *m);
/* The step's kernels `times` in a row behind one copy of its input: seconds of one, by the device's
 * clock. For models without an embedding, whose rows come from the host. */
SinterStatus gpu_repeat(SinterGpu *g, const SinterEntry *e, const SinterRun *host, int times,
                        double *seconds, Message *m);
/* Steps that draw their own next ids: begin sends what host->rows sequences begin with, `sampling`
 * [rows] included; each step is enqueued at once; ids waits for the oldest step that was not taken
 * yet (at most SINTER_RING of them) and gives its ids [rows], -1: no logit was a number; end waits
 * for what is still on its way. The program must have `sample`. */
SinterStatus gpu_draw_begin(SinterGpu *g, const SinterEntry *e, const SinterRun *host,
                            const SinterSampling *sampling, Message *m);
SinterStatus gpu_draw_step(SinterGpu *g, Message *m);
SinterStatus gpu_draw_ids(SinterGpu *g, int32_t *ids, Message *m);
SinterStatus gpu_draw_end(SinterGpu *g, Message *m);
/* A decode step as one kernel, seconds of a block on average: of each phase, and what they went to.
 * of_x, of_weights, of_sums: the consumers waited for that; of_ring: the copies stood still before
 * a full ring; finishing: the finisher's work. Both of these go on beside the consumers. */
typedef struct GpuPhase {
    double all, of_x, of_weights, of_sums, of_ring, finishing;
} GpuPhase;

typedef struct GpuStamps {
    const SinterWhole *whole; /* NULL: no such step was run since gpu_stamps_clear */
    GpuPhase phase[SINTER_STEP_PHASES];
} GpuStamps;

/* Before the profiled steps; then what they have said. */
SinterStatus gpu_stamps_clear(SinterGpu *g, Message *m);
SinterStatus gpu_stamps_read(SinterGpu *g, GpuStamps *out, Message *m);
/* Bytes per second of a kernel-free read of device memory, measured by copying; 0 when it fails. */
double gpu_bandwidth(SinterGpu *g);
/* The same as the memory's clock and bus promise; 0 when the driver does not say. */
double gpu_peak(SinterGpu *g);
/* Bytes per second from pinned memory of the host to the device, measured; 0 when it fails. */
double gpu_link(SinterGpu *g);

#endif
