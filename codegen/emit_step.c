/* emit_step.c - the decode step as one kernel: the variables of templates/cuda/step.cu, its
 * launching function, and the call that takes the chain's place. */
#include <string.h>

#include "codegen/emit_setup.h"
#include "codegen/step_cost.h"
#include "ir/slots.h"

/* Of a block: 10 warps have a role; registers go from warpgroup to warpgroup, so a step, which has
 * few of them, has 12 warps. */
enum { THREADS = 384, MLP_THREADS = 320 };

static void set_sizes(KernelText *k, const StepPlan *s)
{
    const Attrs *a = &s->attention->a;
    const Func *layer = s->layer->func;
    emit_set_int(k, "LAYERS", s->layers);
    emit_set_int(k, "D_MODEL", layer->value[s->gate_up->in[MATMUL_W]].type->dim[1]);
    emit_set_int(k, "D_FF", layer->value[s->down->in[MATMUL_W]].type->dim[1]);
    emit_set_int(k, "VOCAB", s->head->func->value[s->logits->in[MATMUL_W]].type->dim[0]);
    emit_set_int(k, "HEADS", a->heads);
    emit_set_int(k, "KV", a->kv_heads);
    emit_set_int(k, "HEAD_DIM", a->head_dim);
    emit_set_int(k, "window", a->window);
    emit_set_int(k, "CHUNK", s->chunk);
    emit_set_int(k, "SLOTS", s->slots);
    emit_set_int(k, "FLYING", s->flying);
    emit_set_int(k, "EXTRA", s->extra);
    emit_set_int(k, "COPIES", s->copies);
    emit_set_int(k, "ROW_TILES", s->row_tiles);
    emit_set_int(k, "TOKENS", s->tokens);
    if (s->tokens > 1) {
        emit_set_int(k, "DOWN_PARTS", s->down_parts);
        emit_set_int(k, "X_ROWS", s->x_rows);
    }
    emit_set_int(k, "LONGEST", s->longest);
    emit_set_int(k, "SHARED", s->shared);
    emit_set_int(k, "WORDS", s->words);
    emit_set_int(k, "MOST_BLOCKS", STEP_MOST_BLOCKS);
    emit_set_int(k, "HEADER_WORDS", STEP_HEADER_WORDS);
    emit_set_int(k, "TURN", STEP_TURN);
    emit_set_int(k, "MAX_SPLITS", STEP_MAX_SPLITS);
    emit_set_int(k, "SPLIT_POSITIONS", STEP_SPLIT_POSITIONS);
    emit_set_int(k, "ALONE_POSITIONS", STEP_ALONE_POSITIONS);
    enum { LOG2_E_DIGITS = 17 };
    Arena *arena = k->emit->ctx->arena;
    tmpl_set_string(&k->env, "score_scale",
                    arena_printf(arena, "%.*g", LOG2_E_DIGITS, a->scale * 1.4426950408889634));
    tmpl_set_string(&k->env, "EPS", emit_f32(k->emit->ctx, s->qkv->a.norm_eps));
}

/* ---- how matrices are stored ----------------------------------------------------------------- */

static bool any_bits(const StepPlan *s, int bits)
{
    for (int i = 0; i < STEP_PHASES; i++) {
        if (s->matrix[i].bits == bits) {
            return true;
        }
    }
    return false;
}

/* What of the kernel's text is needed. */
static void set_kinds(KernelText *k, const StepPlan *s)
{
    const StepMatrix *head = &s->matrix[STEP_HEAD];
    bool i8 = any_bits(s, 8), u4 = any_bits(s, 4);
    bool zeros = false, gain = false, bias = false;
    for (int i = 0; i < STEP_PHASES; i++) {
        zeros = zeros || s->matrix[i].zeros != 0;
        bias = bias || s->matrix[i].bias[0] != 0 || s->matrix[i].bias[1] != 0;
        gain = gain || s->matrix[i].gain != 0;
    }
    tmpl_set_bool(&k->env, "mlp", false);
    tmpl_set_bool(&k->env, "batch", s->tokens > 1);
    tmpl_set_bool(&k->env, "has_bf16", any_bits(s, 16));
    tmpl_set_bool(&k->env, "has_i8", i8);
    tmpl_set_bool(&k->env, "has_u4", u4);
    tmpl_set_bool(&k->env, "has_codes", i8 || u4);
    tmpl_set_bool(&k->env, "has_zeros", zeros);
    tmpl_set_bool(&k->env, "has_gain", gain);
    tmpl_set_bool(&k->env, "has_bias", bias);
    tmpl_set_string(&k->env, "activation",
                    arena_printf(k->emit->ctx->arena, "apply_%s", expr_name(s->activation)));
    tmpl_set_bool(&k->env, "head_norms", s->heads != s->qkv);
    tmpl_set_bool(&k->env, "head_gain", head->gain != 0);
    tmpl_set_bool(&k->env, "head_scaled", head->bits < 16);
    tmpl_set_bool(&k->env, "head_zeros", head->zeros != 0);
}

/* Where an operand of a layer's matrix lies in its weights; 0 for slot 0. */
static unsigned long long in_layer(KernelText *k, const StepPlan *s, int phase, int slot)
{
    bool none = phase == STEP_HEAD || slot == 0;
    const Op *op = s->matrix[phase].op;
    return none ? 0 : emit_tensor_of(k->emit, s->layer->func, op, slot, s->step)->in_block;
}

static int scale_slot(const StepMatrix *m)
{
    return m->scale != 0 ? m->scale : m->row_scale[0];
}

/* Where a phase's biases lie, if one of them has any. */
static void put_biases(KernelText *k, const StepPlan *s, int phase, Buf *b)
{
    const int *bias = s->matrix[phase].bias;
    int of[2] = {bias[0], phase == STEP_GATE_UP ? bias[1] : bias[0]};
    buf_printf(b, "    enum { BIAS = %d, MORE_BIAS = %d };\n", of[0] != 0, of[1] != 0);
    buf_printf(b, "    static constexpr size_t BIASES = %llu, MORE_BIASES = %llu;\n",
               in_layer(k, s, phase, of[0]), in_layer(k, s, phase, of[1]));
}

/* Stored<P> of each phase. */
static void set_stored(KernelText *k, const StepPlan *s)
{
    static const char *const names[] = {"QKV", "O", "GATE_UP", "DOWN", "HEAD"};
    Buf b = buf_create(k->emit->ctx->arena);
    for (int i = 0; i < STEP_PHASES; i++) {
        const StepMatrix *m = &s->matrix[i];
        buf_printf(&b, "template <> struct Stored<%s> {\n", names[i]);
        buf_printf(&b, "    enum { BITS = %d, GROUP = %d, ZERO = %d, GAIN = %d };\n", m->bits,
                   m->group, m->zero, m->gain != 0);
        /* the head's are parameters */
        buf_printf(&b, "    static constexpr size_t WEIGHTS = %llu, SCALES = %llu, ZEROS = %llu;\n",
                   in_layer(k, s, i, MATMUL_W), in_layer(k, s, i, scale_slot(m)),
                   in_layer(k, s, i, m->zeros));
        buf_printf(&b, "    static constexpr size_t MORE_SCALES = %llu, GAINS = %llu;\n",
                   in_layer(k, s, i, m->row_scale[1]), in_layer(k, s, i, m->gain));
        put_biases(k, s, i, &b);
        buf_puts(&b, "};\n");
    }
    tmpl_set_string(&k->env, "stored", str_intern_n(k->emit->ctx->strings, b.data, b.len - 1));
}

/* Offsets in a layer's weights and caches. */
static void set_places(KernelText *k, const StepPlan *s)
{
    const Emit *e = k->emit;
    const WeightTensor *qkv = emit_tensor_of(e, s->layer->func, s->qkv, QKV_W, s->step);
    const KvBlock *kv = &e->plan->kv.data[s->step]; /* a function each */
    emit_set_int(k, "LAYER_BYTES", (int64_t)qkv->stride);
    for (int i = 0; i < 2 && s->heads != s->qkv; i++) {
        const WeightTensor *gain =
            emit_tensor_of(e, s->layer->func, s->heads, (int)HEADS_Q_GAIN + i, s->step);
        emit_set_int(k, i == 0 ? "AT_Q_GAIN" : "AT_K_GAIN", (int64_t)gain->in_block);
    }
    tmpl_set_string(&k->env, "HEAD_EPS", emit_f32(e->ctx, s->heads->a.eps));
    emit_set_int(k, "CACHE_BYTES", kv->stride);
    emit_set_int(k, "AT_KEYS",
                 kv->offset +
                     plan_state_offset(s->layer->func, s->layer->place[step_cache(s, 0)].index));
    emit_set_int(k, "AT_VALUES",
                 kv->offset +
                     plan_state_offset(s->layer->func, s->layer->place[step_cache(s, 1)].index));
}

/* ---- parameters ------------------------------------------------------------------------------ */

static Str scratch_arg(KernelText *k, const StepPlan *s, ValueId v)
{
    const PlanBuffer *b = plan_buffer(s->layer, &s->layer->place[v]);
    return str_internf(k->emit->ctx->strings, "(const float *)(run->scratch + %lld)",
                       (long long)b->offset);
}

/* Scales and zero points of the head's codes. */
static void add_head_codes(KernelText *k, const StepPlan *s)
{
    static const char *const names[] = {"head_scale", "head_zero"};
    const StepMatrix *m = &s->matrix[STEP_HEAD];
    const int slot[] = {scale_slot(m), m->zeros};
    for (int i = 0; i < 2; i++) {
        if (slot[i] != 0) {
            const WeightTensor *w = emit_tensor_of(k->emit, s->head->func, m->op, slot[i], -1);
            emit_add_scalar(k, "const uint8_t *", names[i],
                            str_internf(k->emit->ctx->strings, "run->weights + %llu",
                                        (unsigned long long)w->offset));
        }
    }
}

static void add_params(KernelText *k, const StepPlan *s)
{
    if (s->mlp) {
        emit_step_mlp_params(k, s);
        return;
    }
    const Emit *e = k->emit;
    StrTable *t = e->ctx->strings;
    const WeightTensor *qkv = emit_tensor_of(e, s->layer->func, s->qkv, QKV_W, s->step);
    const WeightTensor *head = emit_tensor_of(e, s->head->func, s->logits, MATMUL_W, -1);
    emit_add_scalar(
        k, "const uint8_t *", "weights",
        str_internf(t, "run->weights + %llu", (unsigned long long)(qkv->offset - qkv->in_block)));
    emit_add_scalar(k, "const uint8_t *", "head",
                    str_internf(t, "run->weights + %llu", (unsigned long long)head->offset));
    add_head_codes(k, s);
    if (s->logits->in[MATMUL_NORM_GAIN] != 0) {
        const WeightTensor *gain =
            emit_tensor_of(e, s->head->func, s->logits, MATMUL_NORM_GAIN, -1);
        emit_add_scalar(k, "const uint16_t *", "final_gain",
                        str_internf(t, "(const uint16_t *)(run->weights + %llu)",
                                    (unsigned long long)gain->offset));
    }
    if (s->begin == NULL) {
        emit_add_scalar(k, "const float *", "x", scratch_arg(k, s, s->qkv->in[QKV_X]));
        emit_add_scalar(k, "const float *", "angles", scratch_arg(k, s, step_angles(s)));
    }
    emit_step_ends(k, s);
    emit_add_scalar(k, "uint8_t *const *", "kv", "run->kv_table");
    emit_add_scalar(k, "float *", "logits", "run->logits");
    emit_add_scalar(k, "uint64_t *", "words",
                    str_internf(t, "(uint64_t *)(run->scratch + %lld)", (long long)s->words_at));
    emit_add_scalar(k, "uint32_t *", "stalled", "sinter_gpu_stalled(run->gpu)");
}

/* The parameters as the kernel's declaration has them. */
static Str declared_params(const KernelText *k)
{
    StrTable *s = k->emit->ctx->strings;
    Str *item = ARENA_ARRAY(k->emit->ctx->arena, Str, k->params.n);
    for (size_t i = 0; i < k->params.n; i++) {
        item[i] = str_internf(s, "%s%s", k->params.data[i].type, k->params.data[i].name);
    }
    Buf b = buf_create(k->emit->ctx->arena);
    emit_wrapped(&b, "", item, k->params.n, (int)(strlen("void (") + strlen(k->symbol)), ")");
    return str_intern_n(s, b.data, b.len - 1);
}

/* Fields of struct Step, and what they are set to: the parameters. */
static void set_fields(KernelText *k)
{
    Buf fields = buf_create(k->emit->ctx->arena);
    Str *item = ARENA_ARRAY(k->emit->ctx->arena, Str, k->params.n);
    for (size_t i = 0; i < k->params.n; i++) {
        const KernelParam *p = &k->params.data[i];
        buf_printf(&fields, "%s%s%s;", i > 0 ? "\n" : "", p->type, p->name);
        item[i] = p->name;
    }
    Buf values = buf_create(k->emit->ctx->arena);
    emit_wrapped(&values, "", item, k->params.n, (int)strlen("    const Step step = {"), "");
    tmpl_set_string(&k->env, "fields", fields.data);
    tmpl_set_string(&k->env, "values", values.data);
}

/* ---- the kernel ------------------------------------------------------------------------------ */

/* " *   qkv      %q, %kc, %vc = matmul_qkv ...", of the operator's line. */
static void put_phase(Buf *b, Arena *a, const char *name, const Func *f, const Op *op)
{
    enum { WIDTH = 78 };
    Buf line = buf_create(a);
    ir_print_op(&line, f, op);
    const char *s = line.data + strspn(line.data, " ");
    buf_printf(b, " *   %-9s", name);
    while (strlen(s) > WIDTH) {
        size_t n = WIDTH;
        while (n > 1 && s[n] != ' ') {
            n--;
        }
        buf_printf(b, " %.*s\n *            ", (int)n, s);
        s += n + 1;
    }
    buf_printf(b, " %s\n", s);
}

static Str phases_text(const Emit *e, const StepPlan *s)
{
    Arena *a = e->ctx->arena;
    Buf b = buf_create(a);
    buf_puts(&b, " *\n");
    if (s->mlp) {
        put_phase(&b, a, "gate_up", s->layer->func, s->gate_up);
        put_phase(&b, a, "down", s->layer->func, s->down);
        return str_intern_n(e->ctx->strings, b.data, b.len - 1);
    }
    put_phase(&b, a, "qkv", s->layer->func, s->qkv);
    if (s->heads != s->qkv) {
        put_phase(&b, a, "", s->layer->func, s->heads);
    }
    put_phase(&b, a, "attention", s->layer->func, s->attention);
    put_phase(&b, a, "o", s->layer->func, s->o);
    put_phase(&b, a, "gate_up", s->layer->func, s->gate_up);
    put_phase(&b, a, "down", s->layer->func, s->down);
    put_phase(&b, a, "head", s->head->func, s->logits);
    step_cost_comment(&b, s);
    return str_intern_n(e->ctx->strings, b.data, b.len - 1);
}

/* The two kernels, where the phases' rows are in the table of kernels. */
static void put_whole(Buf *b, const Emit *e, const StepPlan *s, Str symbol, Str stamped)
{
    if (s->mlp) {
        buf_printf(b,
                   "    static const SinterWhole whole = {\n"
                   "        .kernel = %s, .stamped = -1, .early = 1, .block = %d, .shared = %lld,\n"
                   "    };\n",
                   emit_kernel_id(e, symbol), MLP_THREADS, (long long)s->shared);
        return;
    }
    const Kernel *layer = s->layer->kernels.data + (s->heads != s->qkv),
                 *head = s->head->kernels.data;
    const char *second = s->stamped ? emit_kernel_id(e, stamped) : "-1";
    buf_printf(b,
               "    static const SinterWhole whole = {\n"
               "        .kernel = %s, .stamped = %s,\n"
               "        .block = %d, .shared = %lld, .step = {%d, %d, %d, %d, %d, %d},\n    };\n",
               emit_kernel_id(e, symbol), second, THREADS, (long long)s->shared,
               s->layer->kernels.data[0].info, layer[1].info, layer[2].info, layer[3].info,
               layer[4].info, head[0].info);
}

/* Reports whether a kernel was launched: a chip that it is not made for runs the chain. */
static Str launch_text(const KernelText *k, const StepPlan *s)
{
    Ctx *ctx = k->emit->ctx;
    Buf b = buf_create(ctx->arena);
    Str *address = ARENA_ARRAY(ctx->arena, Str, k->params.n);
    buf_printf(&b, "/* %s in one kernel; 0: it is not for this GPU. */\n",
               s->mlp ? "The MLP" : "All layers and the head");
    buf_printf(&b, "static int %s(const SinterRun *run)\n{\n", emit_step_symbol(k->emit, s));
    for (size_t i = 0; i < k->params.n; i++) {
        const KernelParam *p = &k->params.data[i];
        buf_printf(&b, "    %s%s = %s;\n", p->type, p->name, p->arg);
        address[i] = str_internf(ctx->strings, "&%s", p->name);
    }
    emit_wrapped(&b, "    void *arg[] = {", address, k->params.n, 0, "};");
    buf_puts(&b, "\n");
    put_whole(&b, k->emit, s, emit_step_symbol(k->emit, s), k->symbol);
    buf_puts(&b, "    return sinter_gpu_launch_whole(run, &whole, arg);\n}\n");
    return str_intern(ctx->strings, b.data);
}

Str emit_step_symbol(const Emit *e, const StepPlan *s)
{
    return str_internf(e->ctx->strings, "%s_step", s->tokens > 1 ? "batch" : s->phase->name);
}

/* The step's kernel, or the one that stamps clocks: the same but for hooks that are empty in the
 * other. */
typedef struct StepText {
    KernelText k; /* first: templates' functions are given it */
    bool stamped;
} StepText;

/* stamp(text): that text in the kernel that stamps clocks. */
static bool call_step(void *user, Str name, const FormulaValue *arg, int n_args, Span at,
                      FormulaValue *out, bool *known)
{
    const StepText *t = user;
    if (strcmp(name, "stamp") != 0 || n_args != 1) {
        return emit_cuda_call(user, name, arg, n_args, at, out, known);
    }
    *known = true;
    *out = formula_string(t->stamped ? arg[0].s : str_intern(t->k.emit->ctx->strings, ""));
    return true;
}

static void set_variables(StepText *t, const StepPlan *s)
{
    KernelText *k = &t->k;
    set_fields(k);
    tmpl_set_string(&k->env, "name", k->symbol);
    Arena *a = k->emit->ctx->arena;
    tmpl_set_string(&k->env, "begin_parts", arena_printf(a, "namespace %s_parts\n{", k->symbol));
    tmpl_set_string(&k->env, "end_parts", arena_printf(a, "} // namespace %s_parts", k->symbol));
    tmpl_set_string(&k->env, "use_parts", arena_printf(a, "using namespace %s_parts;", k->symbol));
    tmpl_set_string(&k->env, "params", declared_params(k));
    tmpl_set_string(&k->env, "phases", phases_text(k->emit, s));
    tmpl_set_bool(&k->env, "stamped", t->stamped);
    tmpl_set_string(&k->env, "step_launch",
                    str_internf(k->emit->ctx->strings,
                                "extern \"C\" __global__ __launch_bounds__(%d, 1)",
                                s->mlp ? MLP_THREADS : THREADS));
    if (s->mlp) {
        emit_step_mlp_variables(k, s);
        return;
    }
    set_sizes(k, s);
    set_places(k, s);
    set_kinds(k, s);
    set_stored(k, s);
}

static Str template_of(const StepPlan *s)
{
    return s->mlp ? "step_mlp" : s->tokens > 1 ? "step_batch" : "step";
}

static bool add_kernel(Emit *e, StepText *text, const StepPlan *s)
{
    StrTable *strings = e->ctx->strings;
    KernelText *k = &text->k;
    const char *what = text->stamped ? "the same, and where its cycles go"
                       : s->mlp      ? "the MLP"
                                     : "all layers and the head";
    const Tmpl *t = emit_template(e, template_of(s));
    Buf b = buf_create(e->ctx->arena);
    set_variables(text, s);
    if (t == NULL || !tmpl_expand(t, &k->env, &b)) {
        return false;
    }
    EmittedKernel x = {.symbol = k->symbol, .file = str_intern(strings, template_of(s))};
    x.text = str_intern(strings, b.data);
    x.comment = str_internf(strings, " *   %s of a step of %s: a ring of %d x %d KiB\n", what,
                            s->tokens > 1 ? "several tokens" : "one token", s->slots, 8 * s->chunk);
    x.launch = text->stamped == s->stamped ? launch_text(k, s) : str_intern(strings, "");
    x.users = buf_create(e->ctx->arena);
    buf_puts(&x.users, s->phase->name);
    vec_push(e->ctx->arena, &e->kernels, x);
    return true;
}

/* The launching function stands behind the last kernel: its arguments are for both. */
static bool emit_kernels(Emit *e, const StepPlan *s)
{
    for (int stamped = 0; s != NULL && stamped <= (int)s->stamped; stamped++) {
        StepText text = {.stamped = stamped != 0, .k = {.emit = e, .phase = s->phase}};
        text.k.symbol =
            str_internf(e->ctx->strings, "%s%s", emit_step_symbol(e, s), stamped ? "_stamped" : "");
        text.k.env = (TmplEnv){.ctx = e->ctx, .user = &text, .call = call_step};
        add_params(&text.k, s);
        if (stamped) {
            emit_add_scalar(&text.k, "unsigned long long *", "clocks",
                            "sinter_gpu_clocks(run->gpu)");
        }
        if (!add_kernel(e, &text, s)) {
            return false;
        }
    }
    return true;
}

bool emit_step(Emit *e)
{
    return emit_kernels(e, e->plan->step) && emit_kernels(e, e->plan->batch);
}
