/* cuda_parts.h - the inside of a SinterGpu, shared by the files that work on it:
 *
 *   cuda.c          driver -> device -> context -> kernels, stream
 *   cuda_module.c   machine code for the chip, inside the program or compiled now
 *   cuda_memory.c   memory of the device
 *   cuda_load.c     weights onto the device
 *   cuda_step.c     one step: launches, graphs, results back
 *   cuda_draw.c     steps that draw their own next ids
 *   cuda_profile.c  time of each kernel
 *   cuda_whole.c    a decode step as one kernel
 *   cuda_stamps.c   what its cycles went to */
#ifndef SINTER_CUDA_PARTS_H
#define SINTER_CUDA_PARTS_H

#include "cuda.h"
#include "cuda_driver.h"

/* CUDA_ERROR_INVALID_VALUE, OUT_OF_MEMORY; NOT_FOUND: a kernel that is not in the loaded machine
 * code; COOPERATIVE_LAUNCH_TOO_LARGE */
enum { GPU_BAD_VALUE = 1, GPU_NO_MEMORY = 2, GPU_NOT_FOUND = 500, GPU_TOO_LARGE = 720 };
enum { GPU_MAX_GRAPHS = 3 * SINTER_MAX_BATCH };

/* How a step ends: with logits, with ids, with the likeliest id of one row. */
enum { GPU_LOGITS, GPU_DRAW, GPU_LIKELIEST };

/* A step's kernels as they were recorded at its first run. */
typedef struct Graph {
    const SinterEntry *entry;
    int draws; /* GPU_LOGITS ... */
    CuHandle executable;
} Graph;

/* Steps that draw their own next ids. */
typedef struct GpuDraw {
    CuPointer state, work; /* SinterSample [SINTER_MAX_BATCH]; sample_work bytes each */
    SinterSample *pinned;  /* state as the host writes it */
    int32_t *ring;         /* [SINTER_RING, SINTER_MAX_BATCH], host memory that the GPU writes */
    CuHandle drawn[SINTER_RING];
    const SinterEntry *entry;
    SinterRun run; /* as the device sees it */
    uint64_t *profile;
    int rows, sent, taken; /* steps */
    int likeliest;         /* the only row's id is the likeliest one */
    int asked, inside;     /* the step being enqueued is asked to draw it; a whole step does */
} GpuDraw;

/* Events between the kernels of a profiled step: step[i] ran between mark[i - 1] and mark[i]. */
typedef struct GpuProfile {
    CuHandle *mark;
    int *step;
    int n, room;
    int recording; /* marks become part of a graph */
} GpuProfile;

struct SinterGpu {
    CudaDriver d;
    const SinterModel *model;
    int device, has_context;
    CuHandle context, stream;
    CuHandle *module; /* [n_modules] kernel i is in module i % n_modules */
    int n_modules;
    CuHandle *kernel;
    int *shared;                /* [kernels] dynamic shared memory that was asked for, plus 1 */
    int turn;                   /* of stream kernels: every second one fills a multiprocessor */
    int most_shared;            /* bytes that a block can ask for */
    int multiprocessors, early; /* early: kernels may begin before the one in front has ended */
    CuPointer weights, scratch, logits, control, input;
    CuPointer chunk_logits; /* 0 until every row's are wanted */
    CuPointer split;        /* sums of pieces of tiles, cuda_gemm.c; 0 until there are such */
    uint32_t split_turn;    /* launches that used it */
    uint8_t *pinned;        /* control as the host writes it */
    uint32_t *stalled; /* host memory: a block of a whole step waited in vain; NULL: none was run */
    int apart;         /* a whole step's blocks do not run together: the chain does its work */
    const SinterWhole *whole; /* profiled last; NULL: no whole step was */
    CuPointer clocks;         /* where it adds up its cycles; 0: there are no such steps */
    size_t control_bytes, input_bytes;
    int rows_max;
    Graph graph[GPU_MAX_GRAPHS];
    int n_graphs;
    Graph profiled;
    GpuDraw draw;
    GpuProfile profile;
    double load_seconds;
    int error; /* the first one of a step */
    const char *failed;
    char refused[192];         /* words for `failed` that no driver has */
    char words[192], code[96]; /* the device; where its machine code came from */
};

/* cuda.c: the message of a driver's error; always SINTER_ENVIRONMENT. */
SinterStatus gpu_error(const SinterGpu *g, int error, const char *doing, Message *m);
/* cuda_module.c: g->kernel for the device's chip. */
SinterStatus gpu_load_kernels(SinterGpu *g, Message *m);
void gpu_unload_kernels(SinterGpu *g);
/* cuda_memory.c: zeroed memory, freed by d.release; 0 with a message. */
CuPointer gpu_device_alloc(SinterGpu *g, size_t bytes, const char *what, Message *m);

/* cuda_step.c: keeps the first error of a step, and what it happened to. */
void gpu_note(SinterGpu *g, int error, const char *doing);
/* cuda_input.c: input_bytes of f32 rows to g->input. */
void gpu_send_input(SinterGpu *g, const float *rows);
/* The run as the step's functions see it: device pointers. */
SinterRun gpu_device_run(SinterGpu *g, const SinterEntry *e, const SinterRun *host);
/* Tokens, positions and caches to the device. */
void gpu_send_control(SinterGpu *g, const SinterEntry *e, const SinterRun *host);
/* What is enqueued between the two becomes a graph; NULL after an error, which is noted. */
int gpu_capture_begin(SinterGpu *g);
CuHandle gpu_capture_end(SinterGpu *g);
/* Where the step's logits go: run->logits. */
SinterStatus gpu_place_logits(SinterGpu *g, const SinterEntry *e, SinterRun *run, Message *m);
/* Enqueues a step, by its graph when it is one of decode; draws: GPU_LOGITS ... */
void gpu_run_kernels(SinterGpu *g, const SinterEntry *e, const SinterRun *run, int draws);

/* cuda_draw.c: the step and, unless it has drawn the likeliest id itself, the draw behind it. */
void gpu_enqueue_draw(SinterGpu *g, const SinterEntry *e, const SinterRun *run, int draws);
void gpu_draw_close(SinterGpu *g);

/* cuda_whole.c: the message of a step that stalled since the last call. */
SinterStatus gpu_check_stalled(SinterGpu *g, Message *m);

/* cuda_profile.c: the first event of a step, nothing when run->profile is NULL; graph: the step is
 * being recorded. Then, when the step has run, what each kernel took, in ns. */
void gpu_profile_begin(SinterGpu *g, const SinterRun *run, int graph);
void gpu_profile_add(SinterGpu *g, uint64_t *ns);
void gpu_profile_close(SinterGpu *g);

#endif
