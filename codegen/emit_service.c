/* emit_service.c - kernels of a GPU program that no operator asks for: drawing the next ids from
 * the logits (templates/cuda/sample.cu) and filling memory with random weights (random.cu). The
 * runtime calls their launching functions through SinterGpuProgram. */
#include <string.h>

#include "codegen/emit_parts.h"

typedef struct ServiceParam {
    const char *type, *name;
} ServiceParam;

typedef struct Service {
    const char *template, *symbol, *users, *comment;
    const ServiceParam *param;
    size_t n_params;
} Service;

/* As SinterSampleFn and SinterRandomFn (runtime/model.h). */
static const ServiceParam sample_params[] = {
    {"const float *", "logits"},
    {"SinterSample *", "state"},
    {"int32_t *", "tokens"},
    {"int32_t *", "pos"},
    {"void *", "work"},
    {"int32_t *", "ring"},
    {"int ", "rows"},
};

static const ServiceParam random_params[] = {
    {"uint8_t *", "to"}, {"uint64_t ", "bytes"}, {"int ", "kind"},
    {"float ", "scale"}, {"uint64_t ", "seed"},  {"const float *", "quantile"},
};

/* As in runtime/model.h: places of the ring, sequences of a step. */
enum { SAMPLE_RING = 16, SAMPLE_BATCH = 8 };

static const Service sample = {
    "sample",
    "sample_ids",
    "decode, where the runtime asks for ids",
    " *   ids [rows] from logits [rows, vocab]; they and their positions are the next step's "
    "input\n",
    sample_params,
    sizeof sample_params / sizeof *sample_params,
};

static const Service random = {
    "random",           "random_weights",
    "x bench --random", " *   the bytes of one tensor, from a seed\n",
    random_params,      sizeof random_params / sizeof *random_params,
};

static void add_params(KernelText *k, const Service *s)
{
    StrTable *strings = k->emit->ctx->strings;
    Str item[8];
    for (size_t i = 0; i < s->n_params; i++) {
        KernelParam p = {.name = str_intern(strings, s->param[i].name),
                         .type = str_intern(strings, s->param[i].type)};
        vec_push(k->emit->ctx->arena, &k->params, p);
        item[i] = str_internf(strings, "%s%s", p.type, p.name);
    }
    Buf b = buf_create(k->emit->ctx->arena);
    emit_wrapped(&b, "", item, s->n_params, (int)(strlen("void (") + strlen(k->symbol)), ")");
    tmpl_set_string(&k->env, "params", str_intern_n(strings, b.data, b.len - 1));
}

static bool add_service(Emit *e, const Service *s, int64_t vocab)
{
    StrTable *strings = e->ctx->strings;
    KernelText k = {.emit = e, .symbol = str_intern(strings, s->symbol)};
    k.env = (TmplEnv){.ctx = e->ctx, .user = &k, .call = emit_cuda_call};
    tmpl_set_string(&k.env, "name", k.symbol);
    tmpl_set_int(&k.env, "VOCAB", vocab);
    tmpl_set_int(&k.env, "RING", SAMPLE_RING);
    tmpl_set_int(&k.env, "BATCH", SAMPLE_BATCH);
    add_params(&k, s);
    const Tmpl *t = emit_template(e, s->template);
    Buf text = buf_create(e->ctx->arena);
    if (t == NULL || !tmpl_expand(t, &k.env, &text)) {
        return false;
    }
    EmittedKernel x = {.symbol = k.symbol, .file = str_intern(strings, s->template)};
    x.text = str_intern(strings, text.data);
    x.comment = str_intern(strings, s->comment);
    x.launch = emit_launch(&k);
    x.users = buf_create(e->ctx->arena);
    buf_puts(&x.users, s->users);
    vec_push(e->ctx->arena, &e->kernels, x);
    return true;
}

/* A decode step that ends in logits. */
static bool has_logits(const Plan *p)
{
    for (size_t i = 0; i < p->phases.n; i++) {
        if (p->phases.data[i].module->phase == PHASE_DECODE && p->phases.data[i].head >= 0) {
            return true;
        }
    }
    return false;
}

bool emit_services(Emit *e)
{
    int64_t vocab = emit_output_width(&e->plan->phases.data[0]);
    return (!has_logits(e->plan) || add_service(e, &sample, vocab)) && add_service(e, &random, 0);
}

void emit_service_fields(const Emit *e, Buf *b)
{
    /* SampleWork of sample.cu: arrived, then best, above, tied of 16 blocks, then their bins */
    enum { WORK = 8 * (16 + 3 * 16 + 8 * 16 * 256) };
    if (has_logits(e->plan)) {
        buf_printf(b, "    .sample = %s,\n    .sample_work = %d,\n", sample.symbol, WORK);
    }
    buf_printf(b, "    .random = %s,\n", random.symbol);
}
