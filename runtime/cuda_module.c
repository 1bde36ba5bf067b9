/* cuda_module.c - machine code for the chip that is there, and the kernels in it.
 *
 *   a program compiled with --jit     the cache, else NVRTC: one module for each part
 *   others                            the best cubin inside, else PTX, which the driver compiles */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_parts.h"
#include "jit.h"

enum { ATTRIBUTE_MAJOR = 75, ATTRIBUTE_MINOR = 76 };

/* ---- code that is inside --------------------------------------------------------------------- */

typedef enum CodeKind { CODE_FAMILY, CODE_EXACT, CODE_PTX } CodeKind;

/* "sm_90a" -> 90, for this chip only; "compute_90" -> 90, for this chip and all later ones. */
static int chip_number(const char *arch, CodeKind *kind)
{
    int ptx = strncmp(arch, "compute_", 8) == 0;
    char *end = NULL;
    long n = strtol(arch + (ptx ? 8 : 3), &end, 10);
    *kind = ptx ? CODE_PTX : *end == 'a' ? CODE_EXACT : CODE_FAMILY;
    return (int)n;
}

static int runs_on(int n, CodeKind kind, int chip)
{
    switch (kind) {
    case CODE_FAMILY:
        return n / 10 == chip / 10 && n <= chip;
    case CODE_EXACT:
        return n == chip;
    case CODE_PTX:
        return n <= chip;
    }
    return 0;
}

/* Machine code runs on its own chip and on later ones of the same generation (8.0 on 8.6); the best
 * is the latest that does. PTX is for chips that no machine code is for. */
static const SinterCubin *best_code(const SinterGpuProgram *p, int chip)
{
    enum { MACHINE_CODE = 10000 };
    const SinterCubin *best = NULL;
    int best_score = -1;
    for (int i = 0; i < p->n_cubins; i++) {
        CodeKind kind;
        int n = chip_number(p->cubins[i].arch, &kind);
        int score = 2 * n + (kind == CODE_EXACT) + (kind == CODE_PTX ? 0 : MACHINE_CODE);
        if (runs_on(n, kind, chip) && score > best_score) {
            best = &p->cubins[i];
            best_score = score;
        }
    }
    return best;
}

/* What --arch takes for a chip. */
static const char *advice(int chip)
{
    return chip < 80    ? "--target cuda takes 8.0 at least: use --target c"
           : chip < 90  ? "compile the spec with --arch sm_80"
           : chip == 90 ? "compile the spec with --arch sm_90a"
                        : "compile the spec with --arch compute_90, or --jit";
}

static SinterStatus no_code(const SinterGpu *g, int chip, Message *m)
{
    char list[128] = "";
    size_t n = 0;
    for (int i = 0; i < g->model->gpu->n_cubins && n < sizeof list; i++)
        n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", i ? ", " : "",
                              g->model->gpu->cubins[i].arch);
    return message_set(m, SINTER_ENVIRONMENT,
                       "%s has compute capability %d.%d, and this program has machine code for %s "
                       "only; %s",
                       g->words, chip / 10, chip % 10, list, advice(chip));
}

/* ---- loading --------------------------------------------------------------------------------- */

static SinterStatus add_module(SinterGpu *g, const void *image, const char *doing, Message *m)
{
    int error = g->d.module_load(&g->module[g->n_modules], image);
    if (error)
        return gpu_error(g, error, doing, m);
    g->n_modules++;
    return SINTER_OK;
}

static SinterStatus make_room(SinterGpu *g, int modules, Message *m)
{
    g->module = calloc((size_t)modules, sizeof *g->module);
    return g->module ? SINTER_OK : message_set(m, SINTER_ENVIRONMENT, "no memory");
}

static SinterStatus load_inside(SinterGpu *g, int chip, Message *m)
{
    const SinterCubin *code = best_code(g->model->gpu, chip);
    if (!code)
        return no_code(g, chip, m);
    SinterStatus status = make_room(g, 1, m);
    if (!status)
        status = add_module(g, code->data, "does not take the machine code inside", m);
    snprintf(g->code, sizeof g->code, "%s inside", code->arch);
    return status;
}

/* Chips from 9.0 on have instructions of their own, which "a" asks for. */
static SinterStatus load_compiled(SinterGpu *g, int chip, Message *m)
{
    char arch[16];
    CubinBlock block = {0};
    int least = g->model->gpu->least_chip;
    if (chip < least)
        return message_set(m, SINTER_ENVIRONMENT,
                           "%s has compute capability %d.%d, and the kernels need %d.%d; compile "
                           "the spec with --target c to run on the CPU",
                           g->words, chip / 10, chip % 10, least / 10, least % 10);
    snprintf(arch, sizeof arch, "sm_%d%s", chip, chip >= 90 ? "a" : "");
    SinterStatus status = jit_kernels(g->model, arch, &block, g->code, sizeof g->code, m);
    if (!status)
        status = make_room(g, block.n, m);
    for (int i = 0; !status && i < block.n; i++) {
        size_t bytes = 0;
        status =
            add_module(g, cubin_image(&block, i, &bytes), "does not take the compiled code", m);
    }
    cubin_block_free(&block);
    return status;
}

static SinterStatus find_kernels(SinterGpu *g, Message *m)
{
    const SinterGpuProgram *p = g->model->gpu;
    for (int i = 0; i < p->n_kernels; i++) {
        CuHandle module = g->module[i % g->n_modules];
        int error = g->d.module_function(&g->kernel[i], module, p->kernels[i]);
        if (error == GPU_NOT_FOUND)
            g->kernel[i] = NULL; /* made for other chips */
        else if (error)
            return gpu_error(g, error, p->kernels[i], m);
    }
    return SINTER_OK;
}

SinterStatus gpu_load_kernels(SinterGpu *g, Message *m)
{
    int major = 0, minor = 0;
    int error = g->d.device_attribute(&major, ATTRIBUTE_MAJOR, g->device);
    if (!error)
        error = g->d.device_attribute(&minor, ATTRIBUTE_MINOR, g->device);
    if (error)
        return gpu_error(g, error, "does not say what chip it is", m);
    int chip = 10 * major + minor;
    SinterStatus status =
        g->model->gpu->source ? load_compiled(g, chip, m) : load_inside(g, chip, m);
    return status ? status : find_kernels(g, m);
}

void gpu_unload_kernels(SinterGpu *g)
{
    for (int i = 0; i < g->n_modules; i++)
        g->d.module_unload(g->module[i]);
    free(g->module);
}
