/* doctor_gpu.c - the GPU part of `sinter doctor`: driver, devices, nvcc, NVRTC. The driver is
 * opened with dlopen and asked a few questions; nothing is left running on a device. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/cubin.h"
#include "compiler/doctor.h"
#include "compiler/toolchain.h"

/* Of the CUDA Driver API. */
enum { ATTRIBUTE_MAJOR = 75, ATTRIBUTE_MINOR = 76 };

typedef struct DriverApi {
    int (*init)(unsigned);
    int (*version)(int *);
    int (*count)(int *);
    int (*get)(int *, int);
    int (*name)(char *, int, int);
    int (*attribute)(int *, int, int);
    int (*memory)(size_t *, int);
} DriverApi;

/* A function pointer out of the void * that dlsym gives. */
static bool symbol(void *library, const char *name, void *to)
{
    void *p = dlsym(library, name);
    memcpy(to, &p, sizeof p);
    return p != NULL;
}

static bool driver_open(DriverApi *d)
{
    const char *named = getenv("SINTER_LIBCUDA");
    void *library = dlopen(named && *named ? named : "libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    return library && symbol(library, "cuInit", &d->init) &&
           symbol(library, "cuDriverGetVersion", &d->version) &&
           symbol(library, "cuDeviceGetCount", &d->count) &&
           symbol(library, "cuDeviceGet", &d->get) &&
           symbol(library, "cuDeviceGetName", &d->name) &&
           symbol(library, "cuDeviceGetAttribute", &d->attribute) &&
           symbol(library, "cuDeviceTotalMem_v2", &d->memory);
}

static void row(const char *what, const char *found)
{
    printf("  %-22s %s\n", what, found);
}

/* ---- devices --------------------------------------------------------------------------------- */

/* What --arch to give for a chip. */
static const char *advice(Arena *a, int major, int minor)
{
    int chip = 10 * major + minor;
    return chip < 80                 ? "older than sm_80: --target cuda does not run on it"
           : chip == 90              ? "--arch sm_90a"
           : chip > 90               ? "--arch compute_90, or --jit"
           : minor == 0 || chip > 86 ? arena_printf(a, "--arch sm_%d", chip)
                                     : "--arch sm_86";
}

static void report_device(Ctx *ctx, const DriverApi *d, int i)
{
    int device = 0, major = 0, minor = 0;
    size_t bytes = 0;
    char name[96] = "";
    const char *label = arena_printf(ctx->arena, "GPU %d", i);
    if (d->get(&device, i) || d->name(name, sizeof name, device) ||
        d->attribute(&major, ATTRIBUTE_MAJOR, device) ||
        d->attribute(&minor, ATTRIBUTE_MINOR, device) || d->memory(&bytes, device)) {
        row(label, "does not answer");
        return;
    }
    row(label,
        arena_printf(ctx->arena, "%s, compute capability %d.%d, %.1f GiB: %s", name, major, minor,
                     (double)bytes / (double)(1 << 30), advice(ctx->arena, major, minor)));
}

static void report_driver(Ctx *ctx)
{
    DriverApi d = {0};
    int version = 0, count = 0;
    if (!driver_open(&d)) {
        row("driver", "not here: install NVIDIA's driver to run what --target cuda compiles");
        return;
    }
    int error = d.init(0);
    d.version(&version);
    row("driver", arena_printf(ctx->arena, "for CUDA %d.%d%s", version / 1000, version % 1000 / 10,
                               version < 12000 ? ": too old, programs need 12.0" : ""));
    if (error || d.count(&count) || count == 0) {
        row("GPU", arena_printf(ctx->arena, "none that the driver can use%s",
                                error ? arena_printf(ctx->arena, " (error %d)", error) : ""));
    }
    for (int i = 0; i < count; i++) {
        report_device(ctx, &d, i);
    }
}

/* ---- compilers ------------------------------------------------------------------------------- */

/* "release 13.0" in what `nvcc --version` prints. */
static const char *nvcc_release(Ctx *ctx, const char *nvcc)
{
    TextList argv = {0};
    const char *text = NULL;
    vec_push(ctx->arena, &argv, nvcc);
    vec_push(ctx->arena, &argv, "--version");
    Ctx quiet = *ctx;
    quiet.diag = diag_create(ctx->arena);
    const char *at = toolchain_run(&quiet, &argv, false, &text) ? strstr(text, "release ") : NULL;
    return at ? arena_strndup(ctx->arena, at, strcspn(at, ",\n")) : "does not say its version";
}

static void report_compilers(Ctx *ctx)
{
    const char *nvcc = cubin_nvcc(ctx->arena), *nvrtc = cubin_nvrtc(ctx->arena);
    row("nvcc", nvcc    ? arena_printf(ctx->arena, "%s, %s", nvcc, nvcc_release(ctx, nvcc))
                : nvrtc ? "not here: NVRTC compiles --target cuda; with nvcc programs are smaller"
                        : "not here: install the CUDA toolkit to compile --target cuda, or use "
                          "--emit src or --jit");
    row("NVRTC",
        nvrtc ? nvrtc : "not here: install the CUDA toolkit (libnvrtc) to run what --jit compiles");
}

void doctor_gpu(Ctx *ctx)
{
    printf("CUDA\n");
    report_driver(ctx);
    report_compilers(ctx);
}
