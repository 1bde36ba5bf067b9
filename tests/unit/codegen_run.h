/* codegen_run.h - a module as a running program: plan, emit, compile with cc into a shared object,
 * load, pack random weights, run on threads beside the interpreter. */
#ifndef SINTER_TESTS_CODEGEN_RUN_H
#define SINTER_TESTS_CODEGEN_RUN_H

#include "unit.h"

#include <dlfcn.h>
#include <math.h>
#include <pthread.h>
#include <string.h>

#include "codegen/emit.h"
#include "compiler/base/file.h"
#include "ir/interp.h"
#include "ir/pass.h"
#include "runtime/model.h"

enum { RUN_THREADS = 3 };

/* Random weights by layer and name, made when first asked for. */
typedef struct RandomWeight {
    Str name;
    Tensor value;
} RandomWeight;

typedef struct Program {
    Ctx *ctx;
    Module *module;
    Plan *plan;
    void *handle;
    const SinterModel *model;
    uint64_t seed;
    VEC(RandomWeight) weights;
    uint8_t *file;
    uint8_t *scratch, *kv[SINTER_MAX_BATCH];
    InterpModel interp;
} Program;

static inline double program_random(uint64_t *seed)
{
    return (double)(int64_t)unit_random(seed) * 0x1p-63;
}

static inline const Tensor *program_weight(Program *p, int layer, Str name, const Type *type)
{
    Str key = str_internf(p->ctx->strings, "%d.%s", layer, name);
    for (size_t i = 0; i < p->weights.n; i++) {
        if (p->weights.data[i].name == key) {
            return &p->weights.data[i].value;
        }
    }
    RandomWeight w = {.name = key, .value = tensor_create(p->ctx->arena, type)};
    double scale = type->rank < 2 ? 1 : 2 / sqrt((double)type->dim[1]);
    for (int64_t i = 0; i < type_elements(type); i++) {
        w.value.v[i] = dtype_round(type->dtype, scale * program_random(&p->seed));
    }
    vec_push(p->ctx->arena, &p->weights, w);
    return &p->weights.data[p->weights.n - 1].value;
}

static inline bool program_interp_weight(void *user, int layer, Str name, const Type *type,
                                         Tensor *out)
{
    *out = *program_weight(user, layer, name, type);
    return true;
}

/* ---- packing: the constant half through the interpreter, element by element ------------------ */

typedef struct PackSource {
    Program *p;
    const Func *func;
    int layer;
} PackSource;

static inline bool program_load_rows(void *user, Str weight, int64_t row, int64_t n, double *out)
{
    PackSource *s = user;
    const Type *type = s->func->value[ir_find_value(s->func, weight)].type;
    const Tensor *t = program_weight(s->p, s->layer, weight, type);
    int64_t cols = type->rank > 1 ? type->dim[1] : 1;
    memcpy(out, t->v + row * cols, (size_t)(n * cols) * sizeof *out);
    return true;
}

static inline uint16_t program_f16(double x)
{
    int e;
    double m = frexp(fabs(x), &e); /* m in [0.5, 1) */
    uint16_t sign = signbit(x) ? 0x8000 : 0;
    if (m <= 0) {
        return sign;
    }
    int bits = e > -14 ? (e + 14) << 10 | ((int)(m * 2048) & 1023) : (int)ldexp(fabs(x), 24);
    return (uint16_t)(sign | bits);
}

/* The code of a number of e4m3, by the definition of the format. */
static inline uint8_t program_e4m3(double x)
{
    for (int c = 0; c < 127; c++) {
        double m = c < 8 ? ldexp(c, -9) : ldexp(8 + c % 8, c / 8 - 10);
        if (m >= fabs(x)) {
            return (uint8_t)(signbit(x) ? c | 0x80 : c);
        }
    }
    fail_msg("%g is no e4m3 number", x);
    return 0;
}

static inline void program_put(uint8_t *to, const Type *t, int64_t index, double x)
{
    float f = (float)x;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    uint16_t half = t->dtype == DT_F16 ? program_f16(x) : (uint16_t)(bits >> 16);
    switch ((int)t->dtype) {
    case DT_F32:
        memcpy(to + index * 4, &f, 4);
        return;
    case DT_BF16:
    case DT_F16:
        memcpy(to + index * 2, &half, 2);
        return;
    case DT_E4M3:
        to[index] = program_e4m3(x);
        return;
    case DT_U4:
        to[index / 2] = (uint8_t)(to[index / 2] | (int)x << index % 2 * 4);
        return;
    default:
        to[index] = (uint8_t)(int)x;
    }
}

static inline void program_pack_tensor(Program *p, const WeightTensor *t, int copy)
{
    Arena *a = arena_create();
    PackSource s = {p, t->func, t->layered ? t->first_layer + copy * t->layer_step : -1};
    ConstSource source = {.load = program_load_rows, .user = &s};
    int64_t rows = t->type->dim[0], cols = t->type->rank > 1 ? t->type->dim[1] : 1;
    double *v = ARENA_ARRAY(a, double, rows *cols);
    assert_true(interp_const_rows(a, t->func, t->value, 0, rows, &source, v));
    uint8_t *to = p->file + t->offset + (uint64_t)copy * t->stride;
    memset(to, 0, t->bytes);
    for (int64_t i = 0; i < rows * cols; i++) {
        double x = dtype_round(t->type->dtype, v[i]);
        program_put(to, t->type, type_physical_index(t->type, i / cols, i % cols), x);
    }
    arena_destroy(a);
}

/* ---- building -------------------------------------------------------------------------------- */

static inline const char *program_cc(void)
{
    return getenv("CC") != NULL ? getenv("CC") : "cc";
}

static inline void program_write(const char *dir, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static inline void program_compile(Program *p, const char *dir, const char *source)
{
    program_write(dir, "model.c", source);
    program_write(dir, "stub.c",
                  "#define _GNU_SOURCE\n#include <pthread.h>\n#include \"model.h\"\n"
                  "void sinter_barrier(SinterBarrier *b, int thread)\n"
                  "{ (void)thread; pthread_barrier_wait((pthread_barrier_t *)b); }\n"
                  "uint64_t sinter_now_ns(void) { return 1; }\n");
    char command[1024];
    snprintf(command, sizeof command,
             "%s -std=c11 -O1 -Wall -Wextra -Werror %s -Iruntime -shared -fPIC -o %s/model.so "
             "%s/model.c %s/stub.c -lm",
             program_cc(), p->plan->target->isa->flags, dir, dir, dir);
    if (system(command) != 0) {
        fail_msg("the compiler refuses %s/model.c", dir);
    }
}

static inline void program_load(Program *p, const char *dir)
{
    char path[256];
    snprintf(path, sizeof path, "%s/model.so", dir);
    p->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (p->handle == NULL) {
        fail_msg("%s", dlerror());
    }
    p->model = dlsym(p->handle, "sinter_model");
    assert_non_null(p->model);
}

static inline uint8_t *program_poisoned(size_t n)
{
    uint8_t *m = aligned_alloc(64, (n + 127) / 64 * 64);
    assert_non_null(m);
    memset(m, 0xff, n); /* NaN in every float type */
    return m;
}

/* Weights are tiled but when the text says "plain" in its module's name: then as they come. */
static inline Module *program_module(Ctx *ctx, const Target *target, const char *text)
{
    const char *list = strncmp(text, "module @plain", 13) == 0 ? "dce" : "layout,dce";
    Module *m = ir_parse(ctx, "test.ir", text, strlen(text));
    PassEnv env = {.ctx = ctx, .block = target->block};
    memcpy(env.tile, target->tile, sizeof env.tile);
    if (m == NULL || !pass_run(m, &env, list, NULL)) {
        fail_msg("%s\n%s", text, diag_text(ctx->diag));
    }
    return m;
}

/* text: a module that every layer of a test made up. tiles: run the layout pass. */
static inline Program *program_create(Ctx *ctx, const char *cpu, const char *text, uint64_t seed)
{
    Program *p = ARENA_NEW(ctx->arena, Program);
    char dir[] = "/tmp/sinter-codegen-XXXXXX", command[64];
    const Target *target = target_c(ctx, cpu);
    Buf source = buf_create(ctx->arena), header = buf_create(ctx->arena);
    EmitOptions options = {.bos_id = -1, .eos_id = -1};
    p->ctx = ctx;
    p->seed = seed;
    p->module = program_module(ctx, target, text);
    p->plan = plan_build(ctx, target, &p->module, 1);
    if (p->plan == NULL || !emit_c(p->plan, &options, ".", &source, &header)) {
        fail_msg("%s\n%s", text, diag_text(ctx->diag));
    }
    assert_non_null(mkdtemp(dir));
    program_compile(p, dir, source.data);
    program_load(p, dir);
    p->file = program_poisoned(p->plan->weights->file_bytes);
    for (size_t i = 0; i < p->plan->weights->tensors.n; i++) {
        for (int c = 0; c < p->plan->weights->tensors.data[i].count; c++) {
            program_pack_tensor(p, &p->plan->weights->tensors.data[i], c);
        }
    }
    for (int s = 0; s < SINTER_MAX_BATCH; s++) {
        p->kv[s] = program_poisoned(p->model->kv_bytes);
    }
    p->scratch = program_poisoned(p->model->scratch_bytes);
    p->interp = (InterpModel){.module = p->module, .weight = program_interp_weight, .user = p};
    p->interp.round = true;
    interp_states(ctx->arena, &p->interp);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    if (getenv("SINTER_KEEP") == NULL && system(command) != 0) {
        fail();
    }
    return p;
}

static inline void program_destroy(Program *p)
{
    free(p->file);
    free(p->scratch);
    for (int s = 0; s < SINTER_MAX_BATCH; s++) {
        free(p->kv[s]);
    }
    dlclose(p->handle);
}

/* ---- running --------------------------------------------------------------------------------- */

typedef struct StepThread {
    const SinterRun *run;
    SinterStepFn fn;
    int thread;
} StepThread;

static inline void *program_thread(void *user)
{
    const StepThread *t = user;
    t->fn(t->run, t->thread);
    return NULL;
}

static inline void program_run_threads(SinterRun *run, SinterStepFn fn)
{
    pthread_barrier_t barrier;
    pthread_t id[RUN_THREADS];
    StepThread t[RUN_THREADS];
    assert_int_equal(pthread_barrier_init(&barrier, NULL, RUN_THREADS), 0);
    run->threads = RUN_THREADS;
    run->barrier = (SinterBarrier *)(void *)&barrier;
    for (int i = 0; i < RUN_THREADS; i++) {
        t[i] = (StepThread){run, fn, i};
        assert_int_equal(pthread_create(&id[i], NULL, program_thread, &t[i]), 0);
    }
    for (int i = 0; i < RUN_THREADS; i++) {
        pthread_join(id[i], NULL);
    }
    pthread_barrier_destroy(&barrier);
}

/* Relative L2 distance of got [n] from what the interpreter says. */
static inline double program_distance(const float *got, const double *want, int64_t n)
{
    double diff = 0, sum = 0;
    for (int64_t i = 0; i < n; i++) {
        diff += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
        sum += want[i] * want[i];
    }
    return isnan(diff) ? 1e9 : sqrt(diff / (sum > 0 ? sum : 1));
}

/* One step of `rows` <= T rows at positions pos; the distance of its logits from the oracle's. With
 * wanted = LAST only the last row is made and compared. input: rows of a model without @embed. */
static inline double program_step(Program *p, const int32_t *tokens, const int32_t *pos, int rows,
                                  int wanted)
{
    int t_max = p->module->tokens, width = p->model->vocab;
    int32_t ids[256] = {0}, at[256];
    for (int t = 0; t < t_max; t++) {
        ids[t] = t < rows ? tokens[t] : 0;
        at[t] = t < rows ? pos[t] : -1;
    }
    Tensor want;
    if (!interp_module(p->ctx->arena, &p->interp, ids, at, &want)) {
        fail_msg("%s", diag_text(p->ctx->diag));
    }
    float *logits = (float *)(void *)program_poisoned((size_t)(t_max * width) * sizeof(float));
    SinterRun run = {.weights = p->file,
                     .scratch = p->scratch,
                     .tokens = tokens,
                     .pos = pos,
                     .logits = logits,
                     .rows = rows,
                     .logits_wanted = wanted};
    memcpy(run.kv, p->kv, sizeof run.kv);
    memset(p->scratch, 0xff, p->model->scratch_bytes);
    program_run_threads(&run, p->module->phase == PHASE_DECODE ? p->model->decode[0].fn
                                                               : p->model->prefill.fn);
    int first = wanted == SINTER_LOGITS_LAST ? rows - 1 : 0;
    double d =
        program_distance(logits, want.v + (int64_t)first * width, (int64_t)(rows - first) * width);
    free(logits);
    return d;
}

#endif
