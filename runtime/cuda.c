/* cuda.c - opens a GPU for a model compiled for it: driver -> device -> context -> kernels, stream.
 * Machine code: cuda_module.c, memory: cuda_memory.c, steps: cuda_step.c. */
#include <stdio.h>
#include <stdlib.h>

#include "cuda_parts.h"

enum { STREAM_NON_BLOCKING = 1 };

SinterStatus gpu_error(const SinterGpu *g, int error, const char *doing, Message *m)
{
    char text[256];
    return message_set(m, SINTER_ENVIRONMENT, "%s: %s: %s", g->words[0] ? g->words : "GPU", doing,
                       cuda_driver_words(&g->d, error, text, sizeof text));
}

static SinterStatus choose_device(SinterGpu *g, Message *m)
{
    const char *named = getenv("SINTER_DEVICE");
    int count = 0, ordinal = named ? atoi(named) : 0, version = 0;
    int error = g->d.init(0);
    if (error)
        return gpu_error(g, error, "the driver does not start", m);
    error = g->d.device_count(&count);
    if (error || count == 0)
        return message_set(m, SINTER_ENVIRONMENT,
                           "the NVIDIA driver sees no GPU; this program was compiled for GPUs, "
                           "compile the spec with --target c to run on the CPU");
    if (ordinal < 0 || ordinal >= count)
        return message_set(m, SINTER_BAD_INPUT, "SINTER_DEVICE is %s: there are GPUs 0 to %d",
                           named, count - 1);
    g->d.driver_version(&version);
    error = g->d.device_get(&g->device, ordinal);
    char name[96] = "GPU";
    if (!error)
        error = g->d.device_name(name, sizeof name, g->device);
    snprintf(g->words, sizeof g->words, "%s, driver for CUDA %d.%d", name, version / 1000,
             version % 1000 / 10);
    return error ? gpu_error(g, error, "no such device", m) : SINTER_OK;
}

static SinterStatus make_context(SinterGpu *g, Message *m)
{
    int error = g->d.context_retain(&g->context, g->device);
    g->has_context = !error;
    if (!error)
        error = g->d.context_set(g->context);
    if (!error)
        error = g->d.stream_create(&g->stream, STREAM_NON_BLOCKING);
    return error ? gpu_error(g, error, "cannot be used", m) : SINTER_OK;
}

static SinterStatus check_memory(const SinterGpu *g, size_t bytes, Message *m)
{
    size_t available = 0, total = 0;
    int error = g->d.memory_info(&available, &total);
    if (error)
        return gpu_error(g, error, "does not say how much memory it has", m);
    if (bytes <= available)
        return SINTER_OK;
    const char *remedy = bytes <= total - total / 20 /* what the driver keeps for itself */
                             ? "others hold the rest; stop them, or choose another GPU by "
                               "SINTER_DEVICE"
                             : "use a larger GPU, quantised weights (--quant), or a smaller "
                               "--context";
    return message_set(m, SINTER_ENVIRONMENT,
                       "%s: the model needs %.2f GB (weights, caches, activations), %.2f of %.2f "
                       "GB are free; %s",
                       g->words, (double)bytes / 1e9, (double)available / 1e9, (double)total / 1e9,
                       remedy);
}

SinterStatus gpu_open(SinterGpu **out, const SinterModel *model, size_t bytes, Message *m)
{
    SinterGpu *g = calloc(1, sizeof *g);
    *out = g;
    if (!g)
        return message_set(m, SINTER_ENVIRONMENT, "no memory");
    size_t n = (size_t)model->gpu->n_kernels;
    g->model = model;
    g->kernel = calloc(n, sizeof(CuHandle));
    g->shared = calloc(n, sizeof *g->shared);
    if (!g->kernel || !g->shared)
        return message_set(m, SINTER_ENVIRONMENT, "no memory");
    SinterStatus status = cuda_driver_open(&g->d, m);
    if (!status)
        status = choose_device(g, m);
    if (!status)
        status = make_context(g, m);
    if (!status)
        status = check_memory(g, bytes, m);
    return status ? status : gpu_load_kernels(g, m);
}

void gpu_close(SinterGpu *g)
{
    if (!g)
        return;
    if (g->has_context) {
        for (int i = 0; i < g->n_graphs; i++)
            g->d.graph_free(g->graph[i].executable);
        if (g->profiled.executable)
            g->d.graph_free(g->profiled.executable);
        gpu_draw_close(g);
        gpu_profile_close(g);
        const CuPointer all[] = {g->weights, g->scratch, g->logits, g->chunk_logits,
                                 g->control, g->input,   g->clocks, g->split};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
            if (all[i])
                g->d.release(all[i]);
        if (g->pinned)
            g->d.host_release(g->pinned);
        gpu_unload_kernels(g);
        if (g->stream)
            g->d.stream_destroy(g->stream);
        g->d.context_release(g->device);
    }
    if (g->d.library)
        cuda_driver_close(&g->d);
    free(g->kernel);
    free(g->shared);
    free(g);
}

const char *gpu_words(const SinterGpu *g)
{
    return g->words;
}

const char *gpu_code(const SinterGpu *g)
{
    return g->code;
}
