/* emit_kernel.c - one kernel as text: its parameters, and the variables of its template.
 *
 * A parameter is named after its operand slot (x, w, gain); operands of an expression after their
 * values. Pointers to activations are to the first row; a split part is a pointer into the row. */
#include "codegen/emit_parts.h"

#include "codegen/dot.h"

#include <string.h>

#include "ir/slots.h"

/* ---- parameters ------------------------------------------------------------------------------ */

const KernelParam *emit_find_param(const KernelText *k, Str name)
{
    for (size_t i = 0; i < k->params.n; i++) {
        if (strcmp(k->params.data[i].name, name) == 0) {
            return &k->params.data[i];
        }
    }
    return NULL;
}

static Str intern(const KernelText *k, const char *s)
{
    return str_intern(k->emit->ctx->strings, s);
}

static const Value *value_of(const KernelText *k, ValueId v)
{
    return &k->pf->func->value[v];
}

/* What the layer function passes for a place. */
static Str place_argument(KernelText *k, const Place *p, const char *type)
{
    StrTable *s = k->emit->ctx->strings;
    switch (p->kind) {
    case PLACE_WEIGHT: {
        const WeightTensor *t = &k->emit->plan->weights->tensors.data[p->index];
        k->uses_layer = k->uses_layer || t->layered;
        return str_internf(s, "(%s)(%s + %s)", type, t->layered ? "w" : "run->weights", t->symbol);
    }
    case PLACE_SCRATCH: {
        Str name = emit_variable(k->emit->ctx, plan_buffer(k->pf, p)->name);
        return p->column == 0 ? name : str_internf(s, "%s + %lld", name, (long long)p->column);
    }
    case PLACE_TOKENS:
        return intern(k, "run->tokens");
    case PLACE_POS:
        return intern(k, "run->pos");
    case PLACE_INPUT:
        return str_internf(s, "%srun->input",
                           p->stored == DT_F32 ? "" : "(const uint16_t *)(const void *)");
    case PLACE_LOGITS:
        return intern(k, "run->logits");
    case PLACE_CACHE:
    case PLACE_NONE:
        break;
    }
    BUG("a value of @%s has no place to pass", k->pf->func->name);
}

static void add_pointer(KernelText *k, const char *name, ValueId v, bool written)
{
    const Place *p = &k->pf->place[v];
    StrTable *s = k->emit->ctx->strings;
    KernelParam param = {.name = intern(k, name), .ir = value_of(k, v)->type, .stored = p->stored};
    param.type = str_internf(s, "%s%s *", written ? "" : "const ", emit_ctype(p->stored));
    param.shape = emit_shape(k->emit->ctx, param.ir, p->kind != PLACE_WEIGHT);
    param.stride = p->stride;
    param.arg = place_argument(k, p, param.type);
    vec_push(k->emit->ctx->arena, &k->params, param);
}

static void add_scalar(KernelText *k, const char *type, const char *name, const char *arg)
{
    KernelParam param = {.name = intern(k, name), .type = intern(k, type), .arg = intern(k, arg)};
    vec_push(k->emit->ctx->arena, &k->params, param);
}

/* Operand of a slot, under the slot's name; nothing when absent. */
static void add_slot(KernelText *k, int slot, const char *name)
{
    if (slot < k->op->n_in && k->op->in[slot] != 0) {
        add_pointer(k, name, k->op->in[slot], false);
    }
}

static void add_kv(KernelText *k)
{
    if (emit_find_param(k, "kv") == NULL) {
        bool gpu = k->emit->plan->target->gpu;
        add_scalar(k, "uint8_t *const *", "kv", gpu ? "run->kv_table" : "run->kv");
    }
}

/* A cache is passed as its offset in the memory of each sequence. */
static void add_cache_at(KernelText *k, const char *name, int state, const Type *t)
{
    StrTable *s = k->emit->ctx->strings;
    int64_t offset = plan_state_offset(k->pf->func, state);
    add_kv(k);
    k->uses_kv = true;
    Str arg = offset == 0 ? intern(k, "kv_at") : str_internf(s, "kv_at + %lld", (long long)offset);
    add_scalar(k, "size_t ", name, arg);
    k->params.data[k->params.n - 1].stored = t->dtype;
}

static void add_cache(KernelText *k, const char *name, ValueId v)
{
    int state = k->pf->place[v].index;
    const Func *f = k->pf->func;
    add_cache_at(k, name, state, f->value[f->states.data[state]].type);
}

/* The scales of a cache: a slot of their own, or behind a dequant. */
static bool add_cache_scale(KernelText *k, const char *name, ValueId cache, ValueId scale)
{
    int behind = k->pf->place[cache].scale_state;
    const Func *f = k->pf->func;
    if (scale != 0) {
        add_cache(k, name, scale);
    } else if (behind > 0) {
        add_cache_at(k, name, behind - 1, f->value[f->states.data[behind - 1]].type);
    }
    return scale != 0 || behind > 0;
}

static bool mentions_input(const Expr *e, int i)
{
    return e != NULL && ((e->kind == EXPR_INPUT && e->input == i) || mentions_input(e->a, i) ||
                         mentions_input(e->b, i));
}

/* Operands of the expression, each value once. */
static void add_leaves(KernelText *k)
{
    for (int i = 0; i < k->op->n_in; i++) {
        if (!mentions_input(k->expr, i)) {
            continue;
        }
        for (int j = 0; j < i; j++) {
            if (k->op->in[j] == k->op->in[i] && k->leaf_param[j] != NULL) {
                k->leaf_param[i] = k->leaf_param[j];
            }
        }
        if (k->leaf_param[i] != NULL) {
            continue;
        }
        Str name = emit_identifier(k->emit->ctx, value_of(k, k->op->in[i])->name);
        /* not a slot's name either: templates ask for slots by name */
        while (emit_find_param(k, name) != NULL || op_slot(k->op->kind, name) >= 0) {
            name = str_internf(k->emit->ctx->strings, "%s_in", name);
        }
        k->leaf_param[i] = name;
        add_pointer(k, name, k->op->in[i], false);
    }
}

static void add_threads(KernelText *k)
{
    add_scalar(k, "int ", "rows", "rows");
    if (k->emit->plan->target->gpu) {
        return;
    }
    bool alone = k->kernel->each_thread;
    add_scalar(k, "int ", "thread", alone ? "0" : "thread");
    add_scalar(k, "int ", "threads", alone ? "1" : "run->threads");
}

/* ---- variables of templates ------------------------------------------------------------------ */

static void set_int(KernelText *k, const char *name, int64_t i)
{
    tmpl_set_int(&k->env, name, i);
}

static int64_t columns_of(const Type *t)
{
    int64_t n = 1;
    for (int i = 1; i < t->rank; i++) {
        n *= t->dim[i];
    }
    return n;
}

static int64_t result_columns(const KernelText *k)
{
    return columns_of(value_of(k, k->op->out[0])->type);
}

static void set_stored_columns(KernelText *k, int64_t columns)
{
    k->columns = columns;
    k->ragged = columns % k->lanes != 0;
    tmpl_set_bool(&k->env, "ragged", k->ragged);
}

static void setup_norm(KernelText *k)
{
    int64_t cols = columns_of(value_of(k, k->op->in[0])->type);
    int64_t dim = k->op->a.group > 0 ? k->op->a.group : cols;
    add_slot(k, 0, "x");
    add_slot(k, 1, "gain");
    set_int(k, "DIM", dim);
    set_int(k, "GROUPS", cols / dim);
    tmpl_set_string(&k->env, "eps", emit_f32(k->emit->ctx, k->op->a.eps));
}

static void setup_rmsnorm(KernelText *k)
{
    add_pointer(k, "out", k->op->out[0], true);
    setup_norm(k);
}

static void setup_layernorm(KernelText *k)
{
    add_pointer(k, "out", k->op->out[0], true);
    setup_norm(k);
    add_slot(k, 2, "bias");
}

/* How numbers become codes of a dtype. */
static void set_codes(KernelText *k, DType t)
{
    bool e4m3 = t == DT_E4M3;
    set_int(k, "LARGEST", (int64_t)dtype_largest_code(t));
    tmpl_set_bool(&k->env, "e4m3", e4m3);
    tmpl_set_string(&k->env, "code_of", e4m3 ? "e4m3_code_of" : "code_of");
    tmpl_set_string(&k->env, "quantize", e4m3 ? "quantize_row_e4m3" : "quantize_row");
}

static void setup_rmsnorm_quant(KernelText *k)
{
    add_pointer(k, "codes", k->op->out[0], true);
    add_pointer(k, "scales", k->op->out[1], true);
    tmpl_set_string(&k->env, "code_type",
                    emit_ctype(emit_find_param(k, intern(k, "codes"))->stored));
    set_codes(k, value_of(k, k->op->out[0])->type->dtype);
    setup_norm(k);
}

static void setup_dequant(KernelText *k)
{
    int64_t cols = result_columns(k), scales = columns_of(value_of(k, k->op->in[1])->type);
    add_pointer(k, "out", k->op->out[0], true);
    add_slot(k, 0, "code");
    add_slot(k, 1, "scale");
    tmpl_set_string(&k->env, "code_type",
                    emit_ctype(emit_find_param(k, intern(k, "code"))->stored));
    set_int(k, "COLS", cols);
    set_int(k, "DIM", cols / scales);
}

static void setup_embed(KernelText *k)
{
    add_pointer(k, "out", k->op->out[0], true);
    add_slot(k, EMBED_IDS, "ids");
    add_slot(k, EMBED_W, "w");
    add_slot(k, EMBED_W_SCALE, "w_scale");
    add_slot(k, EMBED_W_ZERO, "w_zero");
    set_int(k, "DIM", result_columns(k));
}

static void setup_matmul_common(KernelText *k, int first_scale)
{
    add_slot(k, MATMUL_X, "x");
    add_slot(k, MATMUL_W, "w");
    add_slot(k, first_scale, "w_scale");
    add_slot(k, first_scale + 1, "w_zero");
    add_slot(k, first_scale + 2, "x_scale");
    add_slot(k, first_scale + 3, "norm_gain");
    k->expr = k->op->expr;
    set_int(k, "K", columns_of(value_of(k, k->op->in[MATMUL_W])->type));
    const KernelConfig *cfg = &k->kernel->config;
    set_int(k, "MT", cfg->tokens);
    set_int(k, "NT", cfg->tiles);
    set_int(k, "BLOCK", cfg->block_rows);
    bool packs = cfg->dot != NULL && dot_family(cfg->dot)->pack != NULL;
    tmpl_set_bool(&k->env, "packs", packs);
    tmpl_set_string(&k->env, "packed_rows", packs ? emit_packed_rows(k) : "");
}

static void setup_matmul(KernelText *k)
{
    const KernelConfig *cfg = &k->kernel->config;
    add_pointer(k, "out", k->op->out[0], true);
    setup_matmul_common(k, MATMUL_W_SCALE);
    add_leaves(k);
    set_int(k, "N", result_columns(k));
    set_int(k, "COLS", (int64_t)cfg->tiles / cfg->ways * k->lanes);
    set_int(k, "UNITS", cfg->units);
    tmpl_set_bool(&k->env, "blocked", cfg->tokens < k->phase->module->tokens);
    set_stored_columns(k, result_columns(k));
}

static void set_style(KernelText *k)
{
    bool adjacent = k->op->a.style != NULL && strcmp(k->op->a.style, "adjacent") == 0;
    tmpl_set_string(&k->env, "style", adjacent ? "adjacent" : "half");
}

static void set_heads(KernelText *k)
{
    const Attrs *a = &k->op->a;
    set_int(k, "HEADS", a->heads);
    set_int(k, "KV_HEADS", a->kv_heads);
    set_int(k, "HEAD_DIM", a->head_dim);
}

static void set_cache_type(KernelText *k, const char *variable, const char *param)
{
    tmpl_set_string(&k->env, variable, emit_ctype(emit_find_param(k, intern(k, param))->stored));
}

static void setup_qkv(KernelText *k)
{
    const Attrs *a = &k->op->a;
    bool straddles = a->head_dim % k->lanes != 0;
    int64_t tiles =
        straddles ? (a->head_dim + k->lanes - 2) / k->lanes + 1 : a->head_dim / k->lanes;
    add_pointer(k, "q", k->op->out[0], true);
    setup_matmul_common(k, QKV_W_SCALE);
    add_cache(k, "k_cache", k->op->in[QKV_K_CACHE]);
    add_cache(k, "v_cache", k->op->in[QKV_V_CACHE]);
    add_slot(k, QKV_POS, "pos");
    add_slot(k, QKV_ANGLES, "angles");
    add_slot(k, QKV_Q_GAIN, "q_gain");
    add_slot(k, QKV_K_GAIN, "k_gain");
    add_leaves(k);
    set_heads(k);
    set_style(k);
    set_cache_type(k, "k_type", "k_cache");
    set_cache_type(k, "v_type", "v_cache");
    set_stored_columns(k, (a->heads + 2 * a->kv_heads) * a->head_dim);
    set_int(k, "N", k->columns);
    set_int(k, "WIDTH", tiles * k->lanes);
    set_int(k, "DIMS", a->dims);
    tmpl_set_bool(&k->env, "straddles", straddles);
    bool leafy = false;
    for (int i = 0; i < k->op->n_in; i++) {
        leafy = leafy || (k->leaf_param[i] != NULL && value_of(k, k->op->in[i])->type->rank < 2);
    }
    tmpl_set_bool(&k->env, "leafy", leafy);
    tmpl_set_string(&k->env, "eps", emit_f32(k->emit->ctx, a->eps));
}

/* An elementwise operator is a map of one node. */
static const Expr *map_expr(const KernelText *k)
{
    Arena *a = k->emit->ctx->arena;
    if (k->op->kind == OP_MAP) {
        return k->op->expr;
    }
    ExprKind kind = expr_of_op(k->op->kind);
    const Expr *second = expr_arity(kind) > 1 ? expr_input(a, 1) : NULL;
    return expr_node(a, kind, expr_input(a, 0), second);
}

static void setup_map(KernelText *k)
{
    add_pointer(k, "out", k->op->out[0], true);
    k->expr = map_expr(k);
    add_leaves(k);
    set_int(k, "COLS", result_columns(k));
    set_int(k, "UNIT", k->kernel->split.unit);
    set_int(k, "UNITS", k->kernel->config.units);
    set_stored_columns(k, result_columns(k));
}

static void setup_rope_angles(KernelText *k)
{
    double scale = k->op->a.scale;
    bool scaled = scale > 0 && (scale < 1 || scale > 1);
    Buf b = buf_create(k->emit->ctx->arena);
    buf_put_double(&b, scale);
    add_pointer(k, "out", k->op->out[0], true);
    add_slot(k, 0, "pos");
    add_slot(k, 1, "freqs");
    set_int(k, "HALF", value_of(k, k->op->in[1])->type->dim[0]);
    tmpl_set_bool(&k->env, "scaled", scaled);
    tmpl_set_string(&k->env, "scale", b.data);
}

static void setup_rope(KernelText *k)
{
    const Attrs *a = &k->op->a;
    add_pointer(k, "out", k->op->out[0], true);
    add_slot(k, 0, "x");
    add_slot(k, 1, "angles");
    set_int(k, "HEADS", result_columns(k) / a->head_dim);
    set_int(k, "HEAD_DIM", a->head_dim);
    set_int(k, "DIMS", a->dims > 0 ? a->dims : a->head_dim);
    set_style(k);
}

static void setup_kv_append(KernelText *k)
{
    const Type *cache = value_of(k, k->op->in[0])->type;
    add_slot(k, 1, "x");
    add_slot(k, 2, "pos");
    add_cache(k, "cache", k->op->in[0]);
    set_int(k, "HEADS", cache->dim[2]);
    set_int(k, "DIM", cache->rank > 3 ? cache->dim[3] : 1);
    tmpl_set_string(&k->env, "x_type", emit_ctype(emit_find_param(k, intern(k, "x"))->stored));
    set_cache_type(k, "c_type", "cache");
}

static void setup_qkv_append(KernelText *k)
{
    const Attrs *a = &k->op->a;
    add_pointer(k, "q", k->op->out[0], true);
    add_slot(k, APPEND_X, "x");
    add_cache(k, "k_cache", k->op->in[APPEND_K_CACHE]);
    add_cache(k, "v_cache", k->op->in[APPEND_V_CACHE]);
    add_cache(k, "k_scale", k->op->in[APPEND_K_SCALE]);
    add_cache(k, "v_scale", k->op->in[APPEND_V_SCALE]);
    add_slot(k, APPEND_POS, "pos");
    add_slot(k, APPEND_ANGLES, "angles");
    add_slot(k, APPEND_Q_GAIN, "q_gain");
    add_slot(k, APPEND_K_GAIN, "k_gain");
    set_heads(k);
    set_style(k);
    set_cache_type(k, "k_type", "k_cache");
    set_int(k, "DIMS", a->dims > 0 ? a->dims : a->head_dim);
    set_codes(k, value_of(k, k->op->in[APPEND_K_CACHE])->type->dtype);
    tmpl_set_string(&k->env, "eps", emit_f32(k->emit->ctx, a->eps));
}

static double score_scale(const Attrs *a)
{
    return a->scale > 0 || a->scale < 0 ? a->scale : 1;
}

static void setup_attn_scores(KernelText *k)
{
    const Attrs *a = &k->op->a;
    add_pointer(k, "out", k->op->out[0], true);
    add_slot(k, 0, "q");
    add_cache(k, "k_cache", k->op->in[1]);
    tmpl_set_bool(&k->env, "k_scaled", add_cache_scale(k, "k_scale", k->op->in[1], 0));
    add_slot(k, 2, "pos");
    set_heads(k);
    set_cache_type(k, "k_type", "k_cache");
    tmpl_set_string(&k->env, "hidden",
                    a->window > 0
                        ? arena_printf(k->emit->ctx->arena, "p > pos[t] || p <= pos[t] - %lld",
                                       (long long)a->window)
                        : "p > pos[t]");
    tmpl_set_double(&k->env, "softcap", a->softcap);
    tmpl_set_double(&k->env, "scale", score_scale(a));
}

static void setup_softmax(KernelText *k)
{
    const Type *t = value_of(k, k->op->in[0])->type;
    add_pointer(k, "out", k->op->out[0], true);
    add_slot(k, 0, "x");
    set_int(k, "DIM", t->dim[t->rank - 1]);
    set_int(k, "ROWS", columns_of(t) / t->dim[t->rank - 1]);
}

static void setup_attn_mix(KernelText *k)
{
    add_pointer(k, "out", k->op->out[0], true);
    add_slot(k, 0, "p");
    add_cache(k, "v_cache", k->op->in[1]);
    tmpl_set_bool(&k->env, "v_scaled", add_cache_scale(k, "v_scale", k->op->in[1], 0));
    add_slot(k, 2, "pos");
    set_heads(k);
    set_cache_type(k, "v_type", "v_cache");
}

/* The largest part of n that is at most `most`. */
static int64_t part_of(int64_t n, int64_t most)
{
    int64_t part = n < most ? n : most;
    while (n % part != 0) {
        part--;
    }
    return part;
}

/* Parameters of a part of an attention kernel and what is passed for them. */
typedef struct PartParam {
    const char *param, *arg; /* NULL: this kernel has none */
} PartParam;

/* The function NAME_part: variables part_name, part_params (a template closes the list) and part,
 * the call at this depth. */
static void set_part(KernelText *k, const char *part, int depth, const PartParam *p, size_t n)
{
    Ctx *ctx = k->emit->ctx;
    Str *param = ARENA_ARRAY(ctx->arena, Str, n), *arg = ARENA_ARRAY(ctx->arena, Str, n);
    size_t have = 0;
    for (size_t i = 0; i < n; i++) {
        if (p[i].param != NULL) {
            param[have] = str_intern(ctx->strings, p[i].param);
            arg[have++] = str_intern(ctx->strings, p[i].arg);
        }
    }
    Str name = str_internf(ctx->strings, "%s_%s", k->symbol, part);
    Buf params = buf_create(ctx->arena), call = buf_create(ctx->arena);
    emit_wrapped(&params, "", param, have, (int)(strlen("static void (") + strlen(name)), ")");
    emit_wrapped(&call, arena_printf(ctx->arena, "%s(", name), arg, have, 4 * depth, ");");
    tmpl_set_string(&k->env, arena_printf(ctx->arena, "%s_name", part), name);
    tmpl_set_string(&k->env, arena_printf(ctx->arena, "%s_params", part),
                    str_intern_n(ctx->strings, params.data, params.len - 1));
    tmpl_set_string(&k->env, part, str_intern(ctx->strings, call.data));
}

enum { ATTENTION_BLOCK = 64, ATTENTION_ROWS = 64, PRODUCT_ROWS = 4 };

/* The functions of attention.c: scores of a block of keys, its values mixed. */
static void setup_attention_row(KernelText *k, const char *keys, const char *values,
                                PartParam key_scales, PartParam value_scales)
{
    Arena *a = k->emit->ctx->arena;
    const PartParam scores[] = {{"float *weight", "weight"},
                                {"const float *query", "query"},
                                {keys, "keys + p0 * HEAD_DIM"},
                                {values, "values + p0 * HEAD_DIM"},
                                {arena_printf(a, "%.*snext", (int)strlen(keys) - 4, keys), "next"},
                                key_scales,
                                {"int64_t n", "n"}};
    const PartParam mix[] = {{"float *sum", "sum"},
                             {"const float *weight", "weight"},
                             {"const float *shrink", "shrink"},
                             {values, "values + p0 * HEAD_DIM"},
                             value_scales,
                             {"int64_t n", "n"}};
    set_part(k, "scores", 3, scores, 7);
    set_part(k, "mix", 3, mix, 6);
    const int64_t vectors = (k->op->a.head_dim + k->lanes - 1) / k->lanes;
    const int registers = k->emit->plan->target->isa->registers;
    bool padded = k->op->a.head_dim % k->lanes != 0; /* the last vector is loaded in its own way */
    const int64_t mixed = padded ? vectors : part_of(vectors, registers / 4);
    set_int(k, "WIDTH", vectors * k->lanes);
    set_int(k, "MIX_VECS", mixed);
    set_int(k, "MIX_HEADS",
            part_of(k->op->a.heads / k->op->a.kv_heads, (registers / 2 + mixed - 1) / mixed));
}

/* The functions of attention_tile.c: a block of keys, of values, four queries that meet them. */
static void setup_attention_tile(KernelText *k, const char *keys, const char *values,
                                 PartParam key_scales, PartParam value_scales)
{
    const Attrs *a = &k->op->a;
    const PartParam key_part[] = {{"float *to", "turned"},
                                  {"float *rows", "block"},
                                  {keys, "keys + p0 * HEAD_DIM"},
                                  key_scales,
                                  {"int64_t n", "n"}};
    const PartParam value_part[] = {{"float *to", "block"},
                                    {values, "values + p0 * HEAD_DIM"},
                                    value_scales,
                                    {"int64_t n", "n"}};
    static const PartParam block[] = {{"float *sum", "sum + r * WIDTH"},
                                      {"float *max", "max + r"},
                                      {"float *total", "total + r"},
                                      {"const float *query", "query + r * HEAD_DIM"},
                                      {"const float *keys", "turned"},
                                      {"const float *values", "block"},
                                      {"const int64_t *first", "first + r"},
                                      {"const int64_t *end", "end + r"},
                                      {"int64_t p0", "p0"},
                                      {"int64_t n", "n"}};
    set_part(k, "keys", 3, key_part, 5);
    set_part(k, "values", 3, value_part, 4);
    set_part(k, "block", 4, block, 10);
    const int64_t group = a->heads / a->kv_heads;
    const int64_t panel = k->lanes * EMIT_PANEL(k->emit->plan->target->isa);
    int64_t tokens = ATTENTION_ROWS / group > 0 ? ATTENTION_ROWS / group : 1;
    tokens = tokens < k->phase->module->tokens ? tokens : k->phase->module->tokens;
    set_int(k, "TOKENS", tokens);
    set_int(k, "ROWS", (tokens * group + PRODUCT_ROWS - 1) / PRODUCT_ROWS * PRODUCT_ROWS);
    set_int(k, "WIDTH", (a->head_dim + panel - 1) / panel * panel);
    set_int(k, "PANEL", panel);
}

static void setup_attention_parts(KernelText *k, bool k_scaled, bool v_scaled)
{
    Arena *a = k->emit->ctx->arena;
    static const PartParam none = {NULL, NULL};
    const PartParam k_scale = {"const float *scales", "key_scales + p0"};
    const PartParam v_scale = {"const float *scales", "value_scales + p0"};
    const char *k_type = emit_ctype(emit_find_param(k, intern(k, "k_cache"))->stored);
    const char *v_type = emit_ctype(emit_find_param(k, intern(k, "v_cache"))->stored);
    bool tile = strcmp(k->kernel->config.template, "attention_tile") == 0;
    set_int(k, "VECS", (k->op->a.head_dim + k->lanes - 1) / k->lanes);
    (tile ? setup_attention_tile : setup_attention_row)(
        k, arena_printf(a, "const %s *keys", k_type), arena_printf(a, "const %s *values", v_type),
        k_scaled ? k_scale : none, v_scaled ? v_scale : none);
}

static void setup_attention(KernelText *k)
{
    const Attrs *a = &k->op->a;
    ValueId k_scale = k->op->n_in > ATTN_K_SCALE ? k->op->in[ATTN_K_SCALE] : 0;
    ValueId v_scale = k->op->n_in > ATTN_V_SCALE ? k->op->in[ATTN_V_SCALE] : 0;
    add_pointer(k, "out", k->op->out[0], true);
    add_slot(k, ATTN_Q, "q");
    add_cache(k, "k_cache", k->op->in[ATTN_K]);
    add_cache(k, "v_cache", k->op->in[ATTN_V]);
    bool k_scaled = add_cache_scale(k, "k_scale", k->op->in[ATTN_K], k_scale);
    bool v_scaled = add_cache_scale(k, "v_scale", k->op->in[ATTN_V], v_scale);
    tmpl_set_bool(&k->env, "k_scaled", k_scaled);
    tmpl_set_bool(&k->env, "v_scaled", v_scaled);
    add_slot(k, ATTN_POS, "pos");
    set_heads(k);
    set_int(k, "GROUP", a->heads / a->kv_heads);
    set_int(k, "BLOCK", ATTENTION_BLOCK);
    set_cache_type(k, "k_type", "k_cache");
    set_cache_type(k, "v_type", "v_cache");
    set_int(k, "window", a->window);
    tmpl_set_string(&k->env, "first", a->window > 0 ? "first" : "0");
    tmpl_set_double(&k->env, "softcap", a->softcap);
    double scale = score_scale(a);
    tmpl_set_double(&k->env, "score_scale", a->softcap > 0 ? scale / a->softcap : scale);
    if (!k->emit->plan->target->gpu) {
        setup_attention_parts(k, k_scaled, v_scaled);
    }
}

/* A returned value into the environment's buffer of that name. */
static void setup_copy(KernelText *k)
{
    const Func *f = k->pf->func;
    ValueId v = f->results.data[k->kernel->copy];
    Str name = f->result_names.data[k->kernel->copy];
    add_pointer(k, "x", v, false);
    const Place *from = &k->pf->place[v];
    KernelParam out = {.name = intern(k, "out"), .ir = value_of(k, v)->type};
    out.stored = from->stored;
    out.type = str_internf(k->emit->ctx->strings, "%s *", emit_ctype(from->stored));
    out.shape = emit_shape(k->emit->ctx, out.ir, true);
    out.stride = columns_of(out.ir);
    bool output = true;
    for (size_t i = 0; i < k->pf->buffers.n; i++) {
        output = output && !(k->pf->buffers.data[i].shared && k->pf->buffers.data[i].name == name);
    }
    out.arg = output ? intern(k, "run->logits") : emit_variable(k->emit->ctx, name);
    vec_push(k->emit->ctx->arena, &k->params, out);
    set_int(k, "COLS", columns_of(out.ir));
}

static const struct Setup {
    const char *template;
    void (*setup)(KernelText *k);
} setups[] = {
    {"rmsnorm", setup_rmsnorm},
    {"layernorm", setup_layernorm},
    {"row_rms", setup_rmsnorm},
    {"rmsnorm_quant", setup_rmsnorm_quant},
    {"quantize", setup_rmsnorm_quant},
    {"dequant", setup_dequant},
    {"embed", setup_embed},
    {"matmul", setup_matmul},
    {"matmul_qkv", setup_qkv},
    {"map", setup_map},
    {"rope_angles", setup_rope_angles},
    {"rope", setup_rope},
    {"kv_append", setup_kv_append},
    {"qkv_append", setup_qkv_append},
    {"attn_scores", setup_attn_scores},
    {"softmax", setup_softmax},
    {"attn_mix", setup_attn_mix},
    {"attention", setup_attention},
    {"attention_tile", setup_attention},
    {"copy", setup_copy},
};

static void setup(KernelText *k)
{
    for (size_t i = 0; i < sizeof setups / sizeof setups[0]; i++) {
        if (strcmp(setups[i].template, k->kernel->config.template) == 0) {
            setups[i].setup(k);
            return;
        }
    }
    BUG("template %s has no setup", k->kernel->config.template);
}

/* "float *out /\* (1, 4096) *\/, const float *x ..." behind "static void NAME(". */
static Str param_list(const KernelText *k)
{
    Ctx *ctx = k->emit->ctx;
    Str *item = ARENA_ARRAY(ctx->arena, Str, k->params.n);
    for (size_t i = 0; i < k->params.n; i++) {
        const KernelParam *p = &k->params.data[i];
        item[i] = str_internf(ctx->strings, "%s%s%s%s%s", p->type, p->name,
                              p->shape != NULL ? " /* " : "", p->shape != NULL ? p->shape : "",
                              p->shape != NULL ? " */" : "");
    }
    Buf b = buf_create(ctx->arena);
    bool gpu = k->emit->plan->target->gpu;
    emit_wrapped(&b, "", item, k->params.n,
                 (int)(strlen(gpu ? "void (" : "static void (") + strlen(k->symbol)), ")");
    return str_intern_n(ctx->strings, b.data, b.len - 1); /* the template closes the list */
}

bool emit_kernel_text(KernelText *k, Buf *out)
{
    Ctx *ctx = k->emit->ctx;
    k->lanes = k->emit->plan->target->isa->lanes;
    k->op = k->kernel->op != 0 ? &k->pf->func->op[k->kernel->op] : NULL;
    k->params.n = 0;
    bool gpu = k->emit->plan->target->gpu;
    k->env = (TmplEnv){.ctx = ctx, .user = k, .call = gpu ? emit_cuda_call : emit_host_call};
    memset(k->leaf_param, 0, sizeof k->leaf_param);
    setup(k);
    add_threads(k);
    tmpl_set_int(&k->env, "LANES", k->lanes);
    tmpl_set_string(&k->env, "name", k->symbol);
    tmpl_set_string(&k->env, "params", param_list(k));
    if (k->expr != NULL || k->kernel->config.dot != NULL) {
        tmpl_set_string(&k->env, "value", emit_value(k));
        tmpl_set_string(&k->env, "leaves", emit_leaves(k));
    }
    if (gpu) {
        emit_cuda_variables(k);
    }
    const KernelConfig *cfg = &k->kernel->config;
    const Tmpl *t = emit_template(k->emit, cfg->variant != NULL ? cfg->variant : cfg->template);
    return t != NULL && tmpl_expand(t, &k->env, out);
}
