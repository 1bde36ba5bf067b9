/* cubin.c - x.cu to machine code, one file for each chip.
 *
 * nvcc runs as a child process; what it makes is compressed (a fatbin, which the driver takes like
 * a bare cubin): a fifth of the size, so that a program with code for three chips stays below 1 MB.
 * NVRTC is opened with dlopen and compiles the same text in the process; it needs no host compiler
 * and no headers. Its functions are declared here, so that sinter builds where no CUDA is
 * installed. */
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

static bool is_ptx(const char *arch)
{
    return strcmp(target_code_suffix(arch), "ptx") == 0;
}

static const char *code_path(Ctx *ctx, const char *dir, const char *name, const char *arch)
{
    return path_join(
        ctx->arena, dir,
        arena_printf(ctx->arena, "%s.%s.%s", name, arch, is_ptx(arch) ? "ptx" : "cubin"));
}

/* ---- nvcc ------------------------------------------------------------------------------------ */

const char *cubin_nvcc_flags(Arena *a, const char *arch)
{
    const char *chip = arch + strcspn(arch, "0123456789");
    return arena_printf(a,
                        "-fatbin -gencode arch=compute_%s,code=%s -Xfatbin -compress-all -O3 "
                        "--std=c++17",
                        chip, arch);
}

typedef struct NvccJob {
    const char *made, *out; /* `out` appears by rename */
    Child child;
} NvccJob;

static bool start_nvcc(Ctx *ctx, const char *nvcc, const char *source, const char *arch,
                       bool verbose, NvccJob *job)
{
    TextList argv = {0};
    vec_push(ctx->arena, &argv, nvcc);
    toolchain_add_words(ctx, &argv, cubin_nvcc_flags(ctx->arena, arch));
    toolchain_add_words(ctx, &argv, "-Xptxas --warn-on-spills -o");
    vec_push(ctx->arena, &argv, job->made);
    vec_push(ctx->arena, &argv, source);
    return toolchain_start(ctx, &argv, verbose, &job->child);
}

static bool finish_nvcc(Ctx *ctx, NvccJob *job, bool verbose)
{
    const char *text = NULL;
    if (!toolchain_wait(ctx, &job->child, &text)) {
        unlink(job->made);
        return false;
    }
    if (verbose) {
        fputs(text, stderr);
    }
    return rename(job->made, job->out) == 0 ||
           diag_env_error(ctx->diag, "cannot write %s: %s", job->out, strerror(errno));
}

/* One process for each chip, all at once. */
static bool run_nvcc(Ctx *ctx, const char *nvcc, const Target *t, const char *dir, const char *name,
                     bool verbose)
{
    NvccJob *job = ARENA_ARRAY(ctx->arena, NvccJob, (size_t)t->n_arch);
    const char *source = path_join(ctx->arena, dir, arena_printf(ctx->arena, "%s.cu", name));
    int started = 0;
    bool ok = true;
    for (; ok && started < t->n_arch; started += ok) {
        NvccJob *j = &job[started];
        j->out = code_path(ctx, dir, name, t->arch[started]);
        j->made = arena_printf(ctx->arena, "%s.tmp-%ld", j->out, (long)getpid());
        ok = start_nvcc(ctx, nvcc, source, t->arch[started], verbose, j);
    }
    for (int i = 0; i < started; i++) {
        ok = finish_nvcc(ctx, &job[i], verbose) && ok;
    }
    return ok;
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
    int (*ptx_size)(Nvrtc, size_t *);
    int (*ptx)(Nvrtc, char *);
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
           symbol(library, "nvrtcGetPTXSize", &api->ptx_size) &&
           symbol(library, "nvrtcGetPTX", &api->ptx) &&
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

static bool take_code(Ctx *ctx, const NvrtcApi *api, Nvrtc program, const char *arch,
                      const char *out)
{
    size_t n = 0;
    int error = is_ptx(arch) ? api->ptx_size(program, &n) : api->cubin_size(program, &n);
    char *code = arena_alloc(ctx->arena, n + 1);
    if (!error) {
        error = is_ptx(arch) ? api->ptx(program, code) : api->cubin(program, code);
    }
    return error ? diag_env_error(ctx->diag, "NVRTC gives no code for %s: error %d", arch, error)
                 : file_write(ctx->diag, out, code, n);
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
    bool ok = (api->compile(program, 2, options) == 0 || nvrtc_fail(ctx, api, program, source)) &&
              take_code(ctx, api, program, arch, out);
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
                              "newer, or use --emit src and compile %s.cu elsewhere, or --jit",
                              name);
    }
    if (nvcc) {
        return run_nvcc(ctx, nvcc, target, dir, name, verbose);
    }
    bool ok = true;
    for (int i = 0; ok && i < target->n_arch; i++) {
        const char *arch = target->arch[i];
        ok = run_nvrtc(ctx, &api, source, arch, code_path(ctx, dir, name, arch));
    }
    return ok;
}
