/* cuda_parts.h - the inside of a SinterGpu, shared by the files that work on it:
 *
 *   cuda.c          driver -> device -> context -> kernels, stream
 *   cuda_module.c   machine code for the chip, inside the program or compiled now
 *   cuda_memory.c   memory of the device, weights through pinned buffers
 *   cuda_step.c     one step: launches, graphs, results back */
#ifndef SINTER_CUDA_PARTS_H
#define SINTER_CUDA_PARTS_H

#include "cuda.h"
#include "cuda_driver.h"

enum { GPU_MAX_GRAPHS = SINTER_MAX_BATCH };

/* A step's kernels as they were recorded at its first run. */
typedef struct Graph {
    const SinterEntry *entry;
    CuHandle executable;
} Graph;

struct SinterGpu {
    CudaDriver d;
    const SinterModel *model;
    int device, has_context;
    CuHandle context, stream;
    CuHandle *module; /* [n_modules] kernel i is in module i % n_modules */
    int n_modules;
    CuHandle *kernel;
    int *shared; /* [kernels] dynamic shared memory that was asked for */
    CuPointer weights, scratch, logits, control, input;
    uint8_t *pinned; /* control as the host writes it */
    size_t control_bytes, input_bytes;
    int rows_max;
    Graph graph[GPU_MAX_GRAPHS];
    int n_graphs;
    int error; /* the first one of a step */
    const char *failed;
    char words[192], code[96]; /* the device; where its machine code came from */
};

/* cuda.c: the message of a driver's error; always SINTER_ENVIRONMENT. */
SinterStatus gpu_error(const SinterGpu *g, int error, const char *doing, Message *m);
/* cuda_module.c: g->kernel for the device's chip. */
SinterStatus gpu_load_kernels(SinterGpu *g, Message *m);
void gpu_unload_kernels(SinterGpu *g);
/* cuda_memory.c: zeroed memory, freed by d.release; 0 with a message. */
CuPointer gpu_device_alloc(SinterGpu *g, size_t bytes, const char *what, Message *m);

#endif
