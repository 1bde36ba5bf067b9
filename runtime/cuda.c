/* cuda.c - opens a GPU for a model compiled for it: driver -> device -> context -> machine code for
 * its chip -> kernels, stream. Memory: cuda_memory.c, steps: cuda_step.c. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cuda_parts.h"

enum { ATTRIBUTE_MAJOR = 75, ATTRIBUTE_MINOR = 76, STREAM_NON_BLOCKING = 1 };

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

/* "sm_90a" -> 90; *exact: only for this chip, not for later ones of the family. */
static int chip_number(const char *arch, int *exact)
{
    char *end = NULL;
    long n = strtol(arch + 3, &end, 10);
    *exact = *end == 'a';
    return (int)n;
}

/* Machine code runs on its own chip and on later ones of the same generation (8.0 on 8.6); the
 * best is the latest that does. */
static const SinterCubin *best_cubin(const SinterGpuProgram *p, int chip)
{
    const SinterCubin *best = NULL;
    int best_score = -1;
    for (int i = 0; i < p->n_cubins; i++) {
        int exact = 0, n = chip_number(p->cubins[i].arch, &exact);
        int fits = exact ? n == chip : n / 10 == chip / 10 && n <= chip;
        int score = 2 * n + exact;
        if (fits && score > best_score) {
            best = &p->cubins[i];
            best_score = score;
        }
    }
    return best;
}

static SinterStatus no_cubin(const SinterGpu *g, int chip, Message *m)
{
    char list[128] = "";
    size_t n = 0;
    for (int i = 0; i < g->model->gpu->n_cubins && n < sizeof list; i++)
        n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", i ? ", " : "",
                              g->model->gpu->cubins[i].arch);
    return message_set(m, SINTER_ENVIRONMENT,
                       "%s has compute capability %d.%d, and this program has machine code for %s "
                       "only; compile the spec with --arch sm_%d",
                       g->words, chip / 10, chip % 10, list, chip);
}

static SinterStatus load_module(SinterGpu *g, Message *m)
{
    const SinterGpuProgram *p = g->model->gpu;
    int major = 0, minor = 0;
    int error = g->d.device_attribute(&major, ATTRIBUTE_MAJOR, g->device);
    if (!error)
        error = g->d.device_attribute(&minor, ATTRIBUTE_MINOR, g->device);
    if (error)
        return gpu_error(g, error, "does not say what chip it is", m);
    const SinterCubin *code = best_cubin(p, 10 * major + minor);
    if (!code)
        return no_cubin(g, 10 * major + minor, m);
    error = g->d.module_load(&g->module, code->data);
    if (error)
        return gpu_error(g, error, "does not take the machine code inside", m);
    for (int i = 0; i < p->n_kernels; i++) {
        error = g->d.module_function(&g->kernel[i], g->module, p->kernels[i]);
        if (error)
            return gpu_error(g, error, p->kernels[i], m);
    }
    return SINTER_OK;
}

static SinterStatus check_memory(const SinterGpu *g, size_t bytes, Message *m)
{
    size_t available = 0, total = 0;
    int error = g->d.memory_info(&available, &total);
    if (error)
        return gpu_error(g, error, "does not say how much memory it has", m);
    if (bytes <= available)
        return SINTER_OK;
    return message_set(
        m, SINTER_ENVIRONMENT,
        "%s: the model needs %.2f GB (weights, caches, activations), %.2f of %.2f GB "
        "are free; use a larger GPU, quantised weights (--quant), or a smaller "
        "--context",
        g->words, (double)bytes / 1e9, (double)available / 1e9, (double)total / 1e9);
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
    return status ? status : load_module(g, m);
}

void gpu_close(SinterGpu *g)
{
    if (!g)
        return;
    if (g->has_context) {
        for (int i = 0; i < g->n_graphs; i++)
            g->d.graph_free(g->graph[i].executable);
        const CuPointer all[] = {g->weights, g->scratch, g->logits, g->control, g->input};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
            if (all[i])
                g->d.release(all[i]);
        if (g->pinned)
            g->d.host_release(g->pinned);
        if (g->module)
            g->d.module_unload(g->module);
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
