/* model.h - what a generated source gives to the runtime, and what it gets from it.
 *
 * A step (one decode step of `rows` sequences, or one prefill chunk) is one function that every
 * thread of the pool runs from beginning to end (SPMD): each kernel takes its share by run->threads
 * and `thread`, and sinter_barrier() stands where data crosses threads. */
#ifndef SINTER_MODEL_H
#define SINTER_MODEL_H

#include <stddef.h>
#include <stdint.h>

typedef struct SinterBarrier SinterBarrier;
typedef struct SinterGpu SinterGpu; /* cuda.h */

enum { SINTER_MAX_BATCH = 8 };

enum SinterLogits { SINTER_LOGITS_NONE, SINTER_LOGITS_LAST, SINTER_LOGITS_ALL };

/* One step. Buffers are 64-byte aligned. */
typedef struct SinterRun {
    const uint8_t *weights; /* the packed file's first byte (offsets are from there) */
    uint8_t
        *kv[SINTER_MAX_BATCH]; /* caches of each sequence, model->kv_bytes each; prefill: kv[0] */
    uint8_t *scratch;          /* model->scratch_bytes: activations */
    const int32_t *tokens;     /* [rows] ids, checked to be in range by the runtime */
    const int32_t *pos;        /* [rows] positions; -1 marks an unused row */
    float *logits;             /* [rows or 1, vocab] */
    int rows;                  /* rows in use: <= the entry's rows */
    int logits_wanted;         /* enum SinterLogits (prefill; decode always computes all) */
    int threads;
    SinterBarrier *barrier;
    const float *input; /* models without @embed: activations in, [rows, d_model] */
    uint64_t *profile;  /* NULL, or ns per model->steps[i], added by thread 0; then of draws */
    /* GPU targets: every pointer above is to the GPU's memory, and kv lies there as a table. */
    SinterGpu *gpu;
    uint8_t *const *kv_table;
} SinterRun;

void sinter_barrier(SinterBarrier *b, int thread);
uint64_t sinter_now_ns(void);

typedef void (*SinterStepFn)(const SinterRun *run, int thread);

typedef struct SinterEntry {
    int rows; /* decode: sequences; prefill: largest chunk */
    SinterStepFn fn;
    int first_step, n_steps; /* its part of model->steps, for --profile */
} SinterEntry;

/* One kernel of a step, for --profile and `info`. Bytes and FLOPs are for the whole step (all
 * layers), without the cache, which grows with the position: kv_bytes_per_pos counts that, for all
 * rows of the step at once. */
typedef struct SinterKernelInfo {
    const char *name; /* "decode1_layer_ffn_up" */
    int calls;
    double weight_bytes, activation_bytes, kv_bytes_per_pos, flops;
} SinterKernelInfo;

typedef struct SinterTensorInfo {
    const char *name, *type;
    uint64_t offset, bytes;
    /* For random weights made in memory: what the bytes are. */
    char fill; /* 'f' f32, 'b' bf16, 'h' f16 weights ~ N(0, scale); 'g', 'B', 'H' the same for gains
                  ~ 1; 's', 'S' f32 and f16 quantisation scales; 'c' i8 or u4 codes, 'z' u8 zero
                  points; 'q' rope frequencies (f32, theta in scale, exact); '0' zeros */
    float scale;
} SinterTensorInfo;

/* GPU targets: machine code by chip, or the source that NVRTC compiles at start; and the kernels in
 * the order in which steps number them. */
typedef struct SinterCubin {
    const char *arch; /* "sm_90a"; "compute_90": PTX, which the driver compiles */
    const char *data, *end;
} SinterCubin;

/* How the ids of one row are drawn on the GPU (SinterSampling, and how many were drawn so far: the
 * last SINTER_RING of each row are in a ring). */
enum { SINTER_RING = 16 };

typedef struct SinterSample {
    uint64_t seed;
    float temperature;
    int32_t top_k;
    float top_p;
    uint32_t count;
} SinterSample;

/* Draws an id for each of `rows` rows of logits: it becomes the row's token, its position moves on,
 * and ring [SINTER_RING, SINTER_MAX_BATCH] gets it at count % SINTER_RING. Rows with pos < 0 are
 * left alone. `work`: rows * sample_work bytes, zero at first. */
typedef void (*SinterSampleFn)(const SinterRun *run, const float *logits, SinterSample *state,
                               int32_t *tokens, int32_t *pos, void *work, int32_t *ring, int rows);
/* Fills a tensor as weights_random.c does; kind: SinterTensorInfo.fill, 'i' for codes i8, 'e' e4m3.
 */
typedef void (*SinterRandomFn)(const SinterRun *run, uint8_t *to, uint64_t bytes, int kind,
                               float scale, uint64_t seed, const float *quantile);

/* What kernels take run->input for. */
enum SinterInput { SINTER_INPUT_F32, SINTER_INPUT_BF16, SINTER_INPUT_F16 };

typedef struct SinterGpuProgram {
    const SinterCubin *cubins;
    int n_cubins;
    const char *source, *source_end; /* NULL when there is machine code */
    int least_chip;                  /* of the source: compute capability times ten */
    const char *const *kernels;
    int n_kernels;
    int input;             /* enum SinterInput */
    SinterSampleFn sample; /* NULL: the results are no logits */
    size_t sample_work;
    SinterRandomFn random;
} SinterGpuProgram;

/* When a kernel begins. EARLY and STREAM kernels may begin before the one in front has ended, where
 * the chip can (programmatic dependent launch): they wait for its results themselves. */
enum SinterLaunch {
    SINTER_AFTER,
    SINTER_EARLY,
    SINTER_STREAM, /* one block on every multiprocessor (64 at least) */
};

/* Blocks in two directions, threads of a block, bytes of dynamic shared memory. */
typedef struct SinterGrid {
    int x, y, block, shared, when;
} SinterGrid;

/* Called by steps: enqueue on the step's stream. The first error is kept and ends the step. */
void sinter_gpu_launch(SinterGpu *g, int kernel, SinterGrid grid, void **arg);
/* A matmul of many tokens with kernels for sm_90a: x [rows, columns] of 16-bit elements, w tiles of
 * 16 rows x 64 bytes. */
typedef struct SinterGemm {
    int kernel[3]; /* for tiles of 64, 128 and 256 tokens; -1: there is none */
    const void *x, *w;
    int rows, columns, x_stride, w_rows, w_bits;
    int shared; /* bytes of dynamic shared memory */
} SinterGemm;

/* arg: places for two tensor maps and a Split, then the parameters. 0: these kernels are not in the
 * machine code that was loaded. */
int sinter_gpu_gemm(SinterGpu *g, const SinterGemm *m, void **arg);
/* The decode step as one kernel, whose blocks wait for each other, one on every multiprocessor.
 * stamped: the same kernel with one argument more, where it says what its cycles went to; -1: there
 * is none. early: its blocks may begin beside those of the kernel in front, which they wait for
 * themselves. step: the phases' places in model->steps: qkv, attention, o, gate_up, down, head. */
enum { SINTER_STEP_PHASES = 6 };
typedef struct SinterWhole {
    int kernel, stamped, early, block, shared;
    int step[SINTER_STEP_PHASES];
} SinterWhole;

/* 0: this GPU cannot, or a profile is asked for and nothing would tell it. */
int sinter_gpu_launch_whole(const SinterRun *run, const SinterWhole *w, void **arg);
/* How a whole step draws its id, where that is the likeliest (NULL: it does not), and where the id
 * goes besides: as SinterSampleFn's state and ring. */
SinterSample *sinter_gpu_likeliest(SinterGpu *g);
int32_t *sinter_gpu_ring(SinterGpu *g);
/* Where the stamped kernel adds up its cycles (runtime/cuda_stamps.c); NULL: no profile is wanted.
 */
unsigned long long *sinter_gpu_clocks(SinterGpu *g);
/* Where such a kernel says that a block waited in vain. */
uint32_t *sinter_gpu_stalled(SinterGpu *g);
void sinter_gpu_copy(SinterGpu *g, void *to, const void *from, size_t bytes);
/* Until all that was enqueued has run. */
void sinter_gpu_wait(SinterGpu *g);
/* The time since the last lap was spent on model->steps[step]. */
void sinter_gpu_lap(SinterGpu *g, int step);

typedef struct SinterModel {
    const char *name, *target; /* "tinytales", "c avx512" */
    const char *spec_summary;  /* one line: "4 layers, d_model 256, ... int4/128" */
    int layers, d_model, vocab;
    int context;
    int bos_id, eos_id; /* -1: none; the tokenizer in the weights wins */
    size_t kv_bytes;    /* caches of one sequence at full context */
    size_t scratch_bytes;
    uint64_t weights_bytes, layout_hash;
    const SinterTensorInfo *tensors;
    int n_tensors;
    const SinterEntry *decode; /* ascending rows */
    int n_decode;
    SinterEntry prefill;
    int every_row; /* no head apart: prefill leaves the results of all rows, whatever is wanted;
                      the last row's move to the first place when only they are */
    const SinterKernelInfo *steps;
    int n_steps;
    int (*cpu_ok)(void);         /* 1 when this CPU has the instructions compiled in */
    const char *cpu_needs;       /* "AVX-512F BW VL VNNI BF16" */
    const SinterGpuProgram *gpu; /* NULL: runs on the CPU */
} SinterModel;

/* The generated source defines exactly this. */
extern const SinterModel sinter_model;

#endif
