/* program.c - plan, sources, weights and binary of one spec. */
#include "compiler/program.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codegen/emit.h"
#include "codegen/step.h"
#include "compiler/base/file.h"
#include "compiler/base/paths.h"
#include "compiler/chips.h"
#include "compiler/cubin.h"
#include "compiler/pack.h"
#include "compiler/toolchain.h"
#include "runtime/weights_format.h"

enum { DEFAULT_CHUNK = 256, GPU_CHUNK = 2048 };

static const Span nowhere = {0, 0};

/* ---- plan ------------------------------------------------------------------------------------ */

static bool add_module(Program *p, Phase phase, int64_t tokens)
{
    Module *m = compilation_module(p->c, phase, (int)tokens);
    p->module[p->n_modules++] = m;
    return m != NULL;
}

static bool check_sizes(const Program *p, int64_t batch)
{
    if (batch < 1 || batch > IR_MAX_BATCH) {
        return diag_error(p->c->ctx->diag, nowhere, "--batch is 1 to %d, not %lld", IR_MAX_BATCH,
                          (long long)batch);
    }
    return true;
}

static bool wants_binary(const Program *p, bool *binary)
{
    const char *emit = p->c->o->emit ? p->c->o->emit : "binary";
    *binary = strcmp(emit, "binary") == 0;
    return *binary || strcmp(emit, "src") == 0 ||
           diag_error(p->c->ctx->diag, nowhere, "--emit is binary or src, not '%s'", emit);
}

/* --decode: where the step of one token may be one kernel, and nothing else was asked for. */
static bool plan_decode(Program *p)
{
    DecodeHow how;
    if (!step_parse_how(p->c->o->decode, &how)) {
        return diag_error(p->c->ctx->diag, nowhere, "--decode is auto, chain or stream, not '%s'",
                          p->c->o->decode);
    }
    bool ok = step_plan(p->plan, how);
    if (ok && p->plan->step) {
        p->plan->step->stamped = p->c->o->stamps;
    }
    if (ok && p->plan->batch) {
        p->plan->batch->stamped = p->c->o->stamps;
    }
    return ok;
}

/* Decode of 1, 2, 4 ... sequences up to the batch, then one prefill chunk. The first module settles
 * the strategies that were left to the cost model, so that all phases read the same weights. */
bool program_plan(Program *p, Compilation *c)
{
    *p = (Program){.c = c};
    const Options *o = c->o;
    int64_t batch = o->batch ? o->batch : IR_MAX_BATCH;
    int64_t chunk = o->chunk ? o->chunk : c->target->gpu ? GPU_CHUNK : DEFAULT_CHUNK;
    bool binary = false;
    if (!check_sizes(p, batch) || !wants_binary(p, &binary)) {
        return false;
    }
    for (int64_t t = 1;; t *= 2) {
        if (!add_module(p, PHASE_DECODE, t)) {
            return false;
        }
        if (t >= batch) {
            break;
        }
    }
    int64_t context = p->module[0]->context;
    if (!add_module(p, PHASE_PREFILL, chunk < context ? chunk : context)) {
        return false;
    }
    p->plan = plan_build(c->ctx, c->target, p->module, p->n_modules);
    return p->plan != NULL && plan_decode(p);
}

/* ---- sources --------------------------------------------------------------------------------- */

bool program_emit(Program *p)
{
    const ModelSpec *spec = p->c->spec;
    Arena *a = p->c->ctx->arena;
    Buf summary = buf_create(a);
    spec_summary(&summary, spec);
    EmitOptions options = {.version = SINTER_VERSION,
                           .spec_path = spec->path,
                           .spec_summary = summary.data,
                           .bos_id = (int)spec->bos,
                           .eos_id = (int)spec->eos,
                           .jit = p->c->o->jit,
                           .least_chip = chips_least(spec)};
    p->source = buf_create(a);
    p->header = buf_create(a);
    p->device = buf_create(a);
    if (p->c->target->gpu) {
        return emit_cuda(p->plan, &options, paths_data_dir(a), &p->source, &p->header, &p->device);
    }
    return emit_c(p->plan, &options, paths_data_dir(a), &p->source, &p->header);
}

const char *program_dir(const Program *p)
{
    return p->c->o->output ? p->c->o->output : p->c->spec->name;
}

const char *program_file(const Program *p, const char *dir, const char *suffix)
{
    Arena *a = p->c->ctx->arena;
    return path_join(a, dir, arena_printf(a, "%s%s", p->c->spec->name, suffix));
}

static bool copy_file(Ctx *ctx, const char *from, const char *to)
{
    size_t n = 0;
    const char *text = file_read(ctx->arena, ctx->diag, from, &n);
    return text && file_write_again(ctx->diag, to, text, n);
}

static bool is_source(const char *name)
{
    size_t n = strlen(name);
    return n > 2 && name[n - 2] == '.' && (name[n - 1] == 'c' || name[n - 1] == 'h');
}

/* The runtime's sources beside the model's, so that the folder builds anywhere. */
static bool copy_runtime(Ctx *ctx, const char *dir)
{
    const char *from = path_join(ctx->arena, paths_data_dir(ctx->arena), "runtime");
    const char *to = path_join(ctx->arena, dir, "runtime");
    DIR *d = file_make_dirs(ctx->diag, to) ? opendir(from) : NULL;
    bool ok = d != NULL;
    for (struct dirent *e = d ? readdir(d) : NULL; ok && e; e = readdir(d)) {
        if (is_source(e->d_name)) {
            const char *name = arena_strdup(ctx->arena, e->d_name);
            ok = copy_file(ctx, path_join(ctx->arena, from, name), path_join(ctx->arena, to, name));
        }
    }
    if (d) {
        closedir(d);
    }
    return ok || diag_error_count(ctx->diag) > 0
               ? ok
               : diag_env_error(ctx->diag, "cannot read the runtime's sources in %s: %s", from,
                                strerror(errno));
}

static bool write_makefile(const Program *p, const char *dir)
{
    const char *name = p->c->spec->name;
    Buf b = buf_create(p->c->ctx->arena);
    buf_printf(&b, "# Builds %s without sinter: make [CC=...]\n", name);
    buf_printf(&b, "CFLAGS = %s\n", TOOLCHAIN_CFLAGS);
    buf_printf(&b, "LDLIBS = %s\n", TOOLCHAIN_LIBS);
    buf_printf(&b, "MODEL_CFLAGS = %s\n", p->c->target->isa->flags);
    buf_puts(&b, "RUNTIME = $(patsubst %.c,%.o,$(wildcard runtime/*.c))\n\n");
    buf_printf(&b, "all: %s lib%s.so\n\n", name, name);
    buf_printf(&b, "%s: %s.o $(RUNTIME)\n", name, name);
    buf_puts(&b, "\t$(CC) -s -Wl,--gc-sections -o $@ $^ $(LDLIBS)\n\n");
    buf_printf(&b, "lib%s.so: %s.o $(filter-out runtime/main.o,$(RUNTIME))\n", name, name);
    buf_puts(&b, "\t$(CC) -shared -s -Wl,--gc-sections -o $@ $^ $(LDLIBS)\n\n");
    buf_printf(&b, "clean:\n\trm -f *.o runtime/*.o %s lib%s.so\n\n", name, name);
    buf_printf(&b, "%s.o: CFLAGS += $(MODEL_CFLAGS)\n", name);
    if (p->c->o->jit) {
        buf_printf(&b, "%s.o: %s.cu\n", name, name);
    }
    for (int i = 0; !p->c->o->jit && i < p->c->target->n_arch; i++) {
        const char *arch = p->c->target->arch[i], *code = target_code_suffix(arch);
        buf_printf(&b, "%s.o: %s.%s.%s\n%s.%s.%s: %s.cu\n", name, name, arch, code, name, arch,
                   code, name);
        buf_printf(&b, "\tnvcc %s -o $@ $<\n", cubin_nvcc_flags(p->c->ctx->arena, arch));
    }
    buf_puts(&b, "%.o: %.c\n\t$(CC) $(CFLAGS) -Iruntime -c $< -o $@\n\n.PHONY: all clean\n");
    return file_write_again(p->c->ctx->diag, path_join(p->c->ctx->arena, dir, "Makefile"), b.data,
                            b.len);
}

bool program_write(Program *p, const char *dir)
{
    Diag *d = p->c->ctx->diag;
    return file_make_dirs(d, dir) &&
           file_write_again(d, program_file(p, dir, ".c"), p->source.data, p->source.len) &&
           (!p->c->target->gpu ||
            file_write_again(d, program_file(p, dir, ".cu"), p->device.data, p->device.len)) &&
           file_write_again(d, program_file(p, dir, ".h"), p->header.data, p->header.len) &&
           copy_runtime(p->c->ctx, dir) && write_makefile(p, dir);
}

/* ---- weights --------------------------------------------------------------------------------- */

/* "c avx512, bf16, int4/128, 4 layers ...": what the weights were packed for, as many of the words
 * as the file's header has room for. */
static const char *layout_words(const Program *p)
{
    Arena *a = p->c->ctx->arena;
    Buf summary = buf_create(a);
    spec_summary(&summary, p->c->spec);
    char *words =
        arena_printf(a, "%s %s, %s", p->c->target->name, p->c->target->isa->name, summary.data);
    while (strlen(words) >= sizeof((WeightsHeader *)NULL)->layout && strrchr(words, ',')) {
        *strrchr(words, ',') = '\0';
    }
    return words;
}

static bool pack(Program *p, const char *output, const char *checkpoint, uint64_t seed,
                 FILE *progress)
{
    PackRequest r = {.ctx = p->c->ctx,
                     .spec = p->c->spec,
                     .plan = p->plan->weights,
                     .layout = layout_words(p),
                     .checkpoint = checkpoint,
                     .seed = seed,
                     .output = output,
                     .progress = progress};
    return pack_write(&r);
}

bool program_pack(Program *p, const char *dir)
{
    const Options *o = p->c->o;
    if (!o->weights && !o->has_random) {
        return true;
    }
    const char *out = dir ? program_file(p, dir, ".weights") : o->output;
    return pack(p, out ? out : program_file(p, ".", ".weights"), o->weights, (uint64_t)o->random,
                stderr);
}

bool program_pack_random(Program *p, const char *dir, uint64_t seed)
{
    return pack(p, program_file(p, dir, ".weights"), NULL, seed, NULL);
}

/* ---- binary ---------------------------------------------------------------------------------- */

const char *program_cross(const Program *p)
{
#if defined(__aarch64__)
    bool here = p->c->target->isa->neon || !p->c->target->isa->avx2;
#else
    bool here = !p->c->target->isa->neon;
#endif
    return here ? NULL : "aarch64-linux-gnu-";
}

bool program_build(Program *p, const char *dir)
{
    bool binary = false;
    if (!wants_binary(p, &binary) || !binary) {
        return !diag_error_count(p->c->ctx->diag);
    }
    Ctx *ctx = p->c->ctx;
    const char *name = p->c->spec->name, *cflags = p->c->target->isa->flags;
    if (p->c->target->gpu) {
        cflags = arena_printf(ctx->arena, "-Wa,-I%s", dir); /* where .incbin finds machine code */
        if (!p->c->o->jit && !cubin_build(ctx, p->c->target, dir, name, p->c->o->verbose)) {
            return false;
        }
    }
    BuildRequest r = {.dir = dir,
                      .name = name,
                      .cflags = cflags,
                      .cross = program_cross(p),
                      .verbose = p->c->o->verbose};
    return toolchain_build(ctx, &r);
}
