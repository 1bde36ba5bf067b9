/* emit_setup.c - what the template of each kind of kernel asks for: parameters by slot, sizes,
 * types. Attention: emit_setup_attention.c. */
#include <string.h>

#include "codegen/dot.h"
#include "codegen/emit_setup.h"
#include "ir/slots.h"

void emit_set_int(KernelText *k, const char *name, int64_t i)
{
    tmpl_set_int(&k->env, name, i);
}

int64_t emit_columns(const Type *t)
{
    int64_t n = 1;
    for (int i = 1; i < t->rank; i++) {
        n *= t->dim[i];
    }
    return n;
}

static int64_t result_columns(const KernelText *k)
{
    return emit_columns(emit_value_of(k, k->op->out[0])->type);
}

static void set_stored_columns(KernelText *k, int64_t columns)
{
    k->columns = columns;
    k->ragged = columns % k->lanes != 0;
    tmpl_set_bool(&k->env, "ragged", k->ragged);
}

static void setup_norm(KernelText *k)
{
    int64_t cols = emit_columns(emit_value_of(k, k->op->in[0])->type);
    int64_t dim = k->op->a.group > 0 ? k->op->a.group : cols;
    emit_add_slot(k, 0, "x");
    emit_add_slot(k, 1, "gain");
    emit_set_int(k, "DIM", dim);
    emit_set_int(k, "GROUPS", cols / dim);
    tmpl_set_string(&k->env, "eps", emit_f32(k->emit->ctx, k->op->a.eps));
}

void emit_setup_rmsnorm(KernelText *k)
{
    emit_add_pointer(k, "out", k->op->out[0], true);
    setup_norm(k);
}

void emit_setup_layernorm(KernelText *k)
{
    emit_add_pointer(k, "out", k->op->out[0], true);
    setup_norm(k);
    emit_add_slot(k, 2, "bias");
}

/* How numbers become codes of a dtype. */
static void set_codes(KernelText *k, DType t)
{
    bool e4m3 = t == DT_E4M3;
    emit_set_int(k, "LARGEST", (int64_t)dtype_largest_code(t));
    tmpl_set_bool(&k->env, "e4m3", e4m3);
    tmpl_set_string(&k->env, "code_of", e4m3 ? "e4m3_code_of" : "code_of");
    tmpl_set_string(&k->env, "quantize", e4m3 ? "quantize_row_e4m3" : "quantize_row");
}

void emit_setup_rmsnorm_quant(KernelText *k)
{
    emit_add_pointer(k, "codes", k->op->out[0], true);
    emit_add_pointer(k, "scales", k->op->out[1], true);
    tmpl_set_string(&k->env, "code_type",
                    emit_ctype(emit_find_param(k, emit_intern(k, "codes"))->stored));
    set_codes(k, emit_value_of(k, k->op->out[0])->type->dtype);
    setup_norm(k);
}

void emit_setup_dequant(KernelText *k)
{
    int64_t cols = result_columns(k), scales = emit_columns(emit_value_of(k, k->op->in[1])->type);
    emit_add_pointer(k, "out", k->op->out[0], true);
    emit_add_slot(k, 0, "code");
    emit_add_slot(k, 1, "scale");
    tmpl_set_string(&k->env, "code_type",
                    emit_ctype(emit_find_param(k, emit_intern(k, "code"))->stored));
    emit_set_int(k, "COLS", cols);
    emit_set_int(k, "DIM", cols / scales);
}

void emit_setup_embed(KernelText *k)
{
    emit_add_pointer(k, "out", k->op->out[0], true);
    emit_add_slot(k, EMBED_IDS, "ids");
    emit_add_slot(k, EMBED_W, "w");
    emit_add_slot(k, EMBED_W_SCALE, "w_scale");
    emit_add_slot(k, EMBED_W_ZERO, "w_zero");
    emit_set_int(k, "DIM", result_columns(k));
}

static void setup_matmul_common(KernelText *k, int first_scale)
{
    emit_add_slot(k, MATMUL_X, "x");
    emit_add_slot(k, MATMUL_W, "w");
    emit_add_slot(k, first_scale, "w_scale");
    emit_add_slot(k, first_scale + 1, "w_zero");
    emit_add_slot(k, first_scale + 2, "x_scale");
    emit_add_slot(k, first_scale + 3, "norm_gain");
    k->expr = k->op->expr;
    emit_set_int(k, "K", emit_columns(emit_value_of(k, k->op->in[MATMUL_W])->type));
    const KernelConfig *cfg = &k->kernel->config;
    emit_set_int(k, "MT", cfg->tokens);
    emit_set_int(k, "NT", cfg->tiles);
    emit_set_int(k, "BLOCK", cfg->block_rows);
    bool packs = cfg->dot != NULL && dot_family(cfg->dot)->pack != NULL;
    tmpl_set_bool(&k->env, "packs", packs);
    tmpl_set_string(&k->env, "packed_rows", packs ? emit_packed_rows(k) : "");
}

void emit_setup_matmul(KernelText *k)
{
    const KernelConfig *cfg = &k->kernel->config;
    emit_add_pointer(k, "out", k->op->out[0], true);
    setup_matmul_common(k, MATMUL_W_SCALE);
    emit_add_leaves(k);
    emit_set_int(k, "N", result_columns(k));
    emit_set_int(k, "COLS", (int64_t)cfg->tiles / cfg->ways * k->lanes);
    emit_set_int(k, "UNITS", cfg->units);
    tmpl_set_bool(&k->env, "blocked", cfg->tokens < k->phase->module->tokens);
    set_stored_columns(k, result_columns(k));
}

static void set_style(KernelText *k)
{
    bool adjacent = k->op->a.style != NULL && strcmp(k->op->a.style, "adjacent") == 0;
    tmpl_set_string(&k->env, "style", adjacent ? "adjacent" : "half");
}

void emit_set_heads(KernelText *k)
{
    const Attrs *a = &k->op->a;
    emit_set_int(k, "HEADS", a->heads);
    emit_set_int(k, "KV_HEADS", a->kv_heads);
    emit_set_int(k, "HEAD_DIM", a->head_dim);
}

void emit_set_cache_type(KernelText *k, const char *variable, const char *param)
{
    tmpl_set_string(&k->env, variable,
                    emit_ctype(emit_find_param(k, emit_intern(k, param))->stored));
}

void emit_setup_qkv(KernelText *k)
{
    const Attrs *a = &k->op->a;
    bool straddles = a->head_dim % k->lanes != 0;
    int64_t tiles =
        straddles ? (a->head_dim + k->lanes - 2) / k->lanes + 1 : a->head_dim / k->lanes;
    emit_add_pointer(k, "q", k->op->out[0], true);
    setup_matmul_common(k, QKV_W_SCALE);
    emit_add_cache(k, "k_cache", k->op->in[QKV_K_CACHE]);
    emit_add_cache(k, "v_cache", k->op->in[QKV_V_CACHE]);
    emit_add_slot(k, QKV_POS, "pos");
    emit_add_slot(k, QKV_ANGLES, "angles");
    emit_add_slot(k, QKV_Q_GAIN, "q_gain");
    emit_add_slot(k, QKV_K_GAIN, "k_gain");
    emit_add_leaves(k);
    emit_set_heads(k);
    set_style(k);
    emit_set_cache_type(k, "k_type", "k_cache");
    emit_set_cache_type(k, "v_type", "v_cache");
    set_stored_columns(k, (a->heads + 2 * a->kv_heads) * a->head_dim);
    emit_set_int(k, "N", k->columns);
    emit_set_int(k, "WIDTH", tiles * k->lanes);
    emit_set_int(k, "DIMS", a->dims);
    tmpl_set_bool(&k->env, "straddles", straddles);
    bool leafy = false;
    for (int i = 0; i < k->op->n_in; i++) {
        leafy =
            leafy || (k->leaf_param[i] != NULL && emit_value_of(k, k->op->in[i])->type->rank < 2);
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

void emit_setup_map(KernelText *k)
{
    emit_add_pointer(k, "out", k->op->out[0], true);
    k->expr = map_expr(k);
    emit_add_leaves(k);
    emit_set_int(k, "COLS", result_columns(k));
    emit_set_int(k, "UNIT", k->kernel->split.unit);
    emit_set_int(k, "UNITS", k->kernel->config.units);
    set_stored_columns(k, result_columns(k));
}

void emit_setup_rope_angles(KernelText *k)
{
    double scale = k->op->a.scale;
    bool scaled = scale > 0 && (scale < 1 || scale > 1);
    Buf b = buf_create(k->emit->ctx->arena);
    buf_put_double(&b, scale);
    emit_add_pointer(k, "out", k->op->out[0], true);
    emit_add_slot(k, 0, "pos");
    emit_add_slot(k, 1, "freqs");
    emit_set_int(k, "HALF", emit_value_of(k, k->op->in[1])->type->dim[0]);
    tmpl_set_bool(&k->env, "scaled", scaled);
    tmpl_set_string(&k->env, "scale", b.data);
}

void emit_setup_rope(KernelText *k)
{
    const Attrs *a = &k->op->a;
    emit_add_pointer(k, "out", k->op->out[0], true);
    emit_add_slot(k, 0, "x");
    emit_add_slot(k, 1, "angles");
    emit_set_int(k, "HEADS", result_columns(k) / a->head_dim);
    emit_set_int(k, "HEAD_DIM", a->head_dim);
    emit_set_int(k, "DIMS", a->dims > 0 ? a->dims : a->head_dim);
    set_style(k);
}

void emit_setup_kv_append(KernelText *k)
{
    const Type *cache = emit_value_of(k, k->op->in[0])->type;
    emit_add_slot(k, 1, "x");
    emit_add_slot(k, 2, "pos");
    emit_add_cache(k, "cache", k->op->in[0]);
    emit_set_int(k, "HEADS", cache->dim[2]);
    emit_set_int(k, "DIM", cache->rank > 3 ? cache->dim[3] : 1);
    tmpl_set_string(&k->env, "x_type", emit_ctype(emit_find_param(k, emit_intern(k, "x"))->stored));
    emit_set_cache_type(k, "c_type", "cache");
}

/* Caches of codes have their scales beside them. */
static void add_caches(KernelText *k, bool codes)
{
    emit_add_cache(k, "k_cache", k->op->in[codes ? (int)APPEND_K_CACHE : (int)HEADS_K_CACHE]);
    emit_add_cache(k, "v_cache", k->op->in[codes ? (int)APPEND_V_CACHE : (int)HEADS_V_CACHE]);
    emit_set_cache_type(k, "k_type", "k_cache");
    emit_set_cache_type(k, "v_type", "v_cache");
    tmpl_set_bool(&k->env, "codes", codes);
    if (codes) {
        emit_add_cache(k, "k_scale", k->op->in[APPEND_K_SCALE]);
        emit_add_cache(k, "v_scale", k->op->in[APPEND_V_SCALE]);
        set_codes(k, emit_value_of(k, k->op->in[APPEND_K_CACHE])->type->dtype);
    }
}

/* qkv_append, and heads_append, whose operands stand two slots before. */
void emit_setup_qkv_append(KernelText *k)
{
    const Attrs *a = &k->op->a;
    bool codes = k->op->kind == OP_QKV_APPEND;
    int back = codes ? 0 : (int)APPEND_POS - (int)HEADS_POS;
    emit_add_pointer(k, "q", k->op->out[0], true);
    emit_add_slot(k, APPEND_X, "x");
    add_caches(k, codes);
    emit_add_slot(k, APPEND_POS - back, "pos");
    emit_add_slot(k, APPEND_ANGLES - back, "angles");
    emit_add_slot(k, APPEND_Q_GAIN - back, "q_gain");
    emit_add_slot(k, APPEND_K_GAIN - back, "k_gain");
    emit_set_heads(k);
    set_style(k);
    emit_set_int(k, "DIMS", a->dims > 0 ? a->dims : a->head_dim);
    tmpl_set_string(&k->env, "eps", emit_f32(k->emit->ctx, a->eps));
}

/* A returned value into the environment's buffer of that name. */
void emit_setup_copy(KernelText *k)
{
    const Func *f = k->pf->func;
    ValueId v = f->results.data[k->kernel->copy];
    Str name = f->result_names.data[k->kernel->copy];
    emit_add_pointer(k, "x", v, false);
    const Place *from = &k->pf->place[v];
    KernelParam out = {.name = emit_intern(k, "out"), .ir = emit_value_of(k, v)->type};
    out.stored = from->stored;
    out.type = str_internf(k->emit->ctx->strings, "%s *", emit_ctype(from->stored));
    out.shape = emit_shape(k->emit->ctx, out.ir, true);
    out.stride = emit_columns(out.ir);
    bool output = true;
    for (size_t i = 0; i < k->pf->buffers.n; i++) {
        output = output && !(k->pf->buffers.data[i].shared && k->pf->buffers.data[i].name == name);
    }
    out.arg = output ? emit_intern(k, "run->logits") : emit_variable(k->emit->ctx, name);
    vec_push(k->emit->ctx->arena, &k->params, out);
    emit_set_int(k, "COLS", emit_columns(out.ir));
}
