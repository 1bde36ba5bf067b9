/* cubin.c - x.cu to machine code, one file for each chip.
 *
 * nvcc runs as a child process. NVRTC is opened with dlopen and compiles the same text in the
 * process; it needs no host compiler and no headers. Its functions are declared here, so that
 * sinter builds where no CUDA is installed. */
#include "compiler/cubin.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compiler/base/file.h"
#include "compiler/toolchain.h"

char *cubin_nvcc(Arena *a)
{
    const char *named = getenv("NVCC");
    char *found = toolchain_find(a, named && *named ? named : "nvcc");
    return found || (named && *named) ? found : toolchain_find(a, "/usr/local/cuda/bin/nvcc");
}

static const char *cubin_path(Ctx *ctx, const char *dir, const char *name, const char *arch)
{
    return path_join(ctx->arena, dir, arena_printf(ctx->arena, "%s.%s.cubin", name, arch));
}

/* ---- nvcc ------------------------------------------------------------------------------------ */

static bool run_nvcc(Ctx *ctx, const char *nvcc, const char *source, const char *arch,
                     const char *out, bool verbose)
{
    const char *made = arena_printf(ctx->arena, "%s.tmp-%ld", out, (long)getpid());
    const char *const words[] = {nvcc,
                                 "-cubin",
                                 arena_printf(ctx->arena, "-arch=%s", arch),
                                 "-O3",
                                 "--std=c++17",
                                 "-Xptxas",
                                 "--warn-on-spills",
                                 "-o",
                                 made,
                                 source};
    TextList argv = {0};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        vec_push(ctx->arena, &argv, words[i]);
    }
    const char *text = NULL;
    if (!toolchain_run(ctx, &argv, verbose, &text)) {
        unlink(made);
        return false;
    }
    if (verbose && text != NULL) {
        fputs(text, stderr);
    }
    return rename(made, out) == 0 ||
           diag_env_error(ctx->diag, "cannot write %s: %s", out, strerror(errno));
}

/* ---- NVRTC ----------------------------------------------------------------------------------- */

typedef void *Nvrtc;
typedef struct NvrtcApi {
    int (*create)(Nvrtc *, const char *, const char *, int, const char *const *,
                  const char *const *);
    int (*compile)(Nvrtc, int, const char *const *);
    int (*log_size)(Nvrtc, size_t *);
    int (*log)(Nvrtc, char *);
    int (*cubin_size)(Nvrtc, size_t *);
    int (*cubin)(Nvrtc, char *);
    int (*destroy)(Nvrtc *);
    int (*version)(int *, int *);
} NvrtcApi;

/* A function pointer out of the void * that dlsym gives. */
static bool symbol(void *library, const char *name, void *to)
{
    void *p = dlsym(library, name);
    memcpy(to, &p, sizeof p);
    return p != NULL;
}

static bool nvrtc_open(NvrtcApi *api)
{
    static const char *const names[] = {"libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12",
                                        "/usr/local/cuda/lib64/libnvrtc.so"};
    const char *named = getenv("SINTER_NVRTC");
    void *library = named && *named ? dlopen(named, RTLD_NOW | RTLD_LOCAL) : NULL;
    for (size_t i = 0; !(named && *named) && !library && i < sizeof names / sizeof names[0]; i++) {
        library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    }
    return library && symbol(library, "nvrtcCreateProgram", &api->create) &&
           symbol(library, "nvrtcCompileProgram", &api->compile) &&
           symbol(library, "nvrtcGetProgramLogSize", &api->log_size) &&
           symbol(library, "nvrtcGetProgramLog", &api->log) &&
           symbol(library, "nvrtcGetCUBINSize", &api->cubin_size) &&
           symbol(library, "nvrtcGetCUBIN", &api->cubin) &&
           symbol(library, "nvrtcDestroyProgram", &api->destroy) &&
           symbol(library, "nvrtcVersion", &api->version);
}

char *cubin_nvrtc(Arena *a)
{
    NvrtcApi api = {0};
    int major = 0, minor = 0;
    if (!nvrtc_open(&api) || api.version(&major, &minor) != 0) {
        return NULL;
    }
    return arena_printf(a, "version %d.%d", major, minor);
}

static bool nvrtc_fail(Ctx *ctx, const NvrtcApi *api, Nvrtc program, const char *source)
{
    size_t n = 0;
    api->log_size(program, &n);
    char *log = arena_alloc(ctx->arena, n + 1);
    api->log(program, log);
    return diag_env_error(ctx->diag, "NVRTC does not compile %s:\n%s", source, log);
}

static bool run_nvrtc(Ctx *ctx, const NvrtcApi *api, const char *source, const char *arch,
                      const char *out)
{
    const char *const options[] = {arena_printf(ctx->arena, "--gpu-architecture=%s", arch),
                                   "--std=c++17"};
    size_t n = 0;
    const char *text = file_read(ctx->arena, ctx->diag, source, &n);
    Nvrtc program = NULL;
    if (!text || api->create(&program, text, source, 0, NULL, NULL) != 0) {
        return text ? diag_env_error(ctx->diag, "NVRTC cannot be started") : false;
    }
    bool ok = api->compile(program, 2, options) == 0 || nvrtc_fail(ctx, api, program, source);
    if (ok && api->cubin_size(program, &n) == 0) {
        char *code = arena_alloc(ctx->arena, n + 1);
        ok = api->cubin(program, code) == 0 ? file_write(ctx->diag, out, code, n)
                                            : nvrtc_fail(ctx, api, program, source);
    }
    api->destroy(&program);
    return ok;
}

/* ---- both ------------------------------------------------------------------------------------ */

bool cubin_build(Ctx *ctx, const Target *target, const char *dir, const char *name, bool verbose)
{
    const char *source = path_join(ctx->arena, dir, arena_printf(ctx->arena, "%s.cu", name));
    char *nvcc = cubin_nvcc(ctx->arena);
    NvrtcApi api = {0};
    if (!nvcc && !nvrtc_open(&api)) {
        return diag_env_error(ctx->diag,
                              "no CUDA compiler: neither nvcc (on PATH or in /usr/local/cuda/bin) "
                              "nor libnvrtc.so is here; install the CUDA toolkit, version 12 or "
                              "newer, or use --emit src and compile %s.cu elsewhere",
                              name);
    }
    bool ok = true;
    for (int i = 0; ok && i < target->n_arch; i++) {
        const char *out = cubin_path(ctx, dir, name, target->arch[i]);
        ok = nvcc ? run_nvcc(ctx, nvcc, source, target->arch[i], out, verbose)
                  : run_nvrtc(ctx, &api, source, target->arch[i], out);
    }
    return ok;
}
