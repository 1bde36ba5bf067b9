/* build.c - ModelSpec -> IR, one function per part of a block.
 *
 *   @embed  ids -> x, rotation angles        @layer  x -> x, caches        @head  x -> logits
 *
 * What a model is made of comes from the spec's words alone (norm kind and place, position kind,
 * MLP kind, residual shape); no family has a name here. An operator that fails returns value 0,
 * which silences the rest of its function. */
#include "compiler/build.h"

#include <string.h>

typedef struct Builder {
    Ctx *ctx;
    const ModelSpec *s;
    Module *m;
    Func *f;
    DType dtype;
    int64_t tokens, sequences;
    Span at;
    bool ok;
} Builder;

/* ---- words ----------------------------------------------------------------------------------- */

static Str name_of(const Builder *b, const char *name)
{
    return str_intern(b->ctx->strings, name);
}

/* Operators made from here on came from this key. */
static void at_key(Builder *b, SpecKey k)
{
    b->at = b->s->place[k].key;
}

static const Type *make_type(const Builder *b, DType dtype, int rank, const int64_t *dim)
{
    return type_make(b->m->types, dtype, rank, dim);
}

static ValueId weight(Builder *b, const char *name, int64_t rows, int64_t cols)
{
    int64_t dim[2] = {rows, cols};
    const Type *t = make_type(b, b->dtype, cols > 0 ? 2 : 1, dim);
    Str s = name_of(b, name);
    ValueId known = ir_find_value(b->f, s);
    return known != 0 ? known : ir_value(b->f, VALUE_WEIGHT, s, t, b->at);
}

static ValueId vector(Builder *b, const char *name, int64_t n)
{
    return weight(b, name, n, 0);
}

static ValueId param_rows(Builder *b, const char *name, DType dtype, int64_t cols)
{
    int64_t dim[2] = {b->tokens, cols};
    return ir_value(b->f, VALUE_PARAM, name_of(b, name), make_type(b, dtype, cols > 0 ? 2 : 1, dim),
                    b->at);
}

/* One operator with one result; operands 0 are absent optional slots (or failed ones: see `ok`). */
static ValueId emit(Builder *b, OpKind kind, const ValueId *in, int n_in, const Attrs *a,
                    const char *name)
{
    if (!b->ok) {
        return 0;
    }
    Op op = {.kind = kind, .n_in = (uint8_t)n_in, .at = b->at};
    memcpy(op.in, in, (size_t)n_in * sizeof in[0]);
    if (a != NULL) {
        op.a = *a;
    }
    ValueId v = ir_op1(b->f, &op, name_of(b, name));
    b->ok = v != 0;
    return v;
}

static ValueId emit2(Builder *b, OpKind kind, ValueId x, ValueId y, const char *name)
{
    return emit(b, kind, (ValueId[]){x, y}, 2, NULL, name);
}

static ValueId emit1(Builder *b, OpKind kind, ValueId x, const char *name)
{
    return emit(b, kind, &x, 1, NULL, name);
}

static const char *join(const Builder *b, const char *name, const char *suffix)
{
    return arena_printf(b->ctx->arena, "%s%s", name, suffix);
}

/* x * factor, as a map: the IR has no constants outside of expressions. */
static ValueId scale(Builder *b, ValueId x, double factor, const char *name)
{
    if (factor == 1 || !b->ok) {
        return x;
    }
    Op op = {.kind = OP_MAP, .at = b->at};
    Arena *a = b->ctx->arena;
    op.expr =
        expr_node(a, EXPR_MUL, expr_input(a, ir_expr_operand(&op, x)), expr_number(a, factor));
    ValueId v = ir_op1(b->f, &op, name_of(b, name));
    b->ok = v != 0;
    return v;
}

/* cap * tanh(x / cap) */
static ValueId softcap(Builder *b, ValueId x, double cap, const char *name)
{
    return cap == 0 ? x : scale(b, emit1(b, OP_TANH, scale(b, x, 1 / cap, name), name), cap, name);
}

/* ---- norms and projections ------------------------------------------------------------------- */

/* gain is "attn_norm", the bias "attn_norm_bias". */
static ValueId norm(Builder *b, ValueId x, const char *gain, const char *name)
{
    const ModelSpec *s = b->s;
    Span before = b->at;
    at_key(b, KEY_NORM_KIND);
    Attrs a = {.eps = s->norm_eps};
    ValueId in[3] = {x, vector(b, gain, s->d_model), 0};
    int n = 2;
    if (s->norm_kind == SPEC_LAYERNORM) {
        in[n++] = s->norm_bias ? vector(b, join(b, gain, "_bias"), s->d_model) : 0;
    }
    ValueId y = emit(b, s->norm_kind == SPEC_RMSNORM ? OP_RMSNORM : OP_LAYERNORM, in, n, &a, name);
    b->at = before;
    return y;
}

/* x @w^T (+ @w_bias): %name, with a bias %name_b. */
static ValueId project(Builder *b, ValueId x, const char *w, int64_t out, int64_t in, bool bias,
                       const char *name)
{
    ValueId y = emit2(b, OP_MATMUL, x, weight(b, w, out, in), name);
    return bias ? emit2(b, OP_ADD, y, vector(b, join(b, w, "_bias"), out), join(b, name, "_b")) : y;
}

/* ---- attention ------------------------------------------------------------------------------- */

typedef struct Attention {
    ValueId pos, angles;
    ValueId cache[2], scale[2]; /* of k and v; scale: caches of codes only */
} Attention;

/* DT_NONE: the cache holds the spec's dtype. */
static DType cache_codes(const ModelSpec *s)
{
    return spec_quant(s).kv_cache;
}

static ValueId state(Builder *b, const char *name, DType dtype, int rank)
{
    int64_t dim[4] = {b->sequences, b->s->context, b->s->kv_heads, b->s->head_dim};
    return ir_value(b->f, VALUE_STATE, name_of(b, name), make_type(b, dtype, rank, dim), b->at);
}

static void declare_caches(Builder *b, Attention *att)
{
    DType codes = cache_codes(b->s), dtype = codes != DT_NONE ? codes : b->dtype;
    at_key(b, codes != DT_NONE ? KEY_QUANT_KV_CACHE : KEY_CONTEXT);
    att->cache[0] = state(b, "k_cache", dtype, 4);
    att->cache[1] = state(b, "v_cache", dtype, 4);
    if (codes != DT_NONE) {
        att->scale[0] = state(b, "k_scale", DT_F32, 3);
        att->scale[1] = state(b, "v_scale", DT_F32, 3);
    }
}

static ValueId append(Builder *b, ValueId cache, ValueId x, ValueId pos, const char *name)
{
    return emit(b, OP_KV_APPEND, (ValueId[]){cache, x, pos}, 3, NULL, name);
}

/* Rows into a cache of codes: codes and scales are appended, the result reads as numbers again. */
static ValueId append_codes(Builder *b, const Attention *att, int which, ValueId x,
                            const char *name)
{
    if (!b->ok) {
        return 0;
    }
    Op op = {.kind = OP_QUANTIZE, .n_in = 1, .in = {x}, .at = b->at};
    op.a.group = b->s->head_dim;
    op.a.dtype = cache_codes(b->s) == DT_I8 ? DT_NONE : cache_codes(b->s);
    Str names[2] = {name_of(b, join(b, name, "_code")), name_of(b, join(b, name, "_scale"))};
    OpId id = ir_op(b->f, &op, names);
    b->ok = id != 0;
    if (!b->ok) {
        return 0;
    }
    ValueId code = b->f->op[id].out[0], scales = b->f->op[id].out[1];
    ValueId in[2] = {append(b, att->cache[which], code, att->pos, join(b, name, "c")),
                     append(b, att->scale[which], scales, att->pos, join(b, name, "s"))};
    return emit(b, OP_DEQUANT, in, 2, &(Attrs){.dtype = b->dtype}, join(b, name, "d"));
}

static ValueId append_rows(Builder *b, const Attention *att, int which, ValueId x, const char *name)
{
    return cache_codes(b->s) != DT_NONE
               ? append_codes(b, att, which, x, name)
               : append(b, att->cache[which], x, att->pos, join(b, name, "c"));
}

/* q or k behind its projection: norm of each head, rotation. */
static ValueId head_rows(Builder *b, const Attention *att, ValueId x, const char *name)
{
    const ModelSpec *s = b->s;
    if (s->qk_norm) {
        at_key(b, KEY_QK_NORM);
        ValueId in[2] = {x, vector(b, join(b, name, "_norm"), s->head_dim)};
        x = emit(b, OP_RMSNORM, in, 2, &(Attrs){.eps = s->norm_eps, .group = s->head_dim},
                 arena_printf(b->ctx->arena, "x%s_n", name));
    }
    if (s->position_kind == SPEC_ROPE) {
        at_key(b, KEY_ROPE_THETA);
        Attrs a = {.head_dim = s->head_dim,
                   .dims = s->rope_dims,
                   .style = name_of(b, spec_word_text(s->rope_style))};
        x = emit(b, OP_ROPE, (ValueId[]){x, att->angles}, 2, &a,
                 arena_printf(b->ctx->arena, "x%s_r", name));
    }
    at_key(b, KEY_HEADS);
    return x;
}

/* softmax(q k^T) v over the cache. */
static ValueId mix(Builder *b, const Attention *att, ValueId q, ValueId k, ValueId v)
{
    const ModelSpec *s = b->s;
    Attrs a = {.heads = s->heads, .kv_heads = s->kv_heads, .head_dim = s->head_dim};
    Attrs scores = a;
    scores.scale = s->attn_scale;
    scores.softcap = s->attn_softcap;
    scores.window = s->window < s->context ? s->window : 0;
    ValueId p = emit(b, OP_ATTN_SCORES, (ValueId[]){q, k, att->pos}, 3, &scores, "s");
    p = emit1(b, OP_SOFTMAX, p, "p");
    a.dtype = b->dtype;
    return emit(b, OP_ATTN_MIX, (ValueId[]){p, v, att->pos}, 3, &a, "a");
}

/* n: the rows that attention reads. Returns what is added to the residual stream. */
static ValueId attention(Builder *b, const Attention *att, ValueId n)
{
    const ModelSpec *s = b->s;
    int64_t q_rows = s->heads * s->head_dim, kv_rows = s->kv_heads * s->head_dim;
    at_key(b, KEY_HEADS);
    ValueId q = project(b, n, "q", q_rows, s->d_model, s->qkv_bias, "xq");
    ValueId k = project(b, n, "k", kv_rows, s->d_model, s->qkv_bias, "xk");
    ValueId v = project(b, n, "v", kv_rows, s->d_model, s->qkv_bias, "xv");
    q = head_rows(b, att, q, "q");
    k = head_rows(b, att, k, "k");
    ValueId kc = append_rows(b, att, 0, k, "k");
    ValueId vc = append_rows(b, att, 1, v, "v");
    return project(b, mix(b, att, q, kc, vc), "o", s->d_model, q_rows, s->out_bias, "xo");
}

/* ---- MLP ------------------------------------------------------------------------------------- */

static OpKind activation_op(SpecWord w)
{
    return w == SPEC_SILU        ? OP_SILU
           : w == SPEC_GELU      ? OP_GELU
           : w == SPEC_GELU_TANH ? OP_GELU_TANH
                                 : OP_RELU;
}

/* n: the rows that the MLP reads. Returns what is added to the residual stream. */
static ValueId mlp(Builder *b, ValueId n)
{
    const ModelSpec *s = b->s;
    bool gated = s->mlp_kind == SPEC_GATED, bias = s->mlp_bias;
    at_key(b, KEY_D_FF);
    ValueId g = gated ? project(b, n, "gate", s->d_ff, s->d_model, bias, "g") : 0;
    ValueId u = project(b, n, "up", s->d_ff, s->d_model, bias, "u");
    at_key(b, KEY_ACTIVATION);
    ValueId h = emit1(b, activation_op(s->activation), gated ? g : u, gated ? "act" : "h");
    if (gated) {
        h = emit2(b, OP_MUL, h, u, "h");
    }
    at_key(b, KEY_D_FF);
    return project(b, h, "down", s->d_model, s->d_ff, bias, "d");
}

/* ---- block shapes ---------------------------------------------------------------------------- */

static ValueId block_sequential(Builder *b, const Attention *att, ValueId x)
{
    bool pre = b->s->norm_place == SPEC_PRE;
    ValueId n = pre ? norm(b, x, "attn_norm", "n") : x;
    ValueId x1 = emit2(b, OP_ADD, x, attention(b, att, n), "x1");
    x1 = pre ? x1 : norm(b, x1, "attn_norm", "x1_n");
    ValueId m = pre ? norm(b, x1, "ffn_norm", "m") : x1;
    ValueId x2 = emit2(b, OP_ADD, x1, mlp(b, m), "x2");
    return pre ? x2 : norm(b, x2, "ffn_norm", "x2_n");
}

static ValueId block_parallel(Builder *b, const Attention *att, ValueId x)
{
    ValueId n = norm(b, x, "attn_norm", "n");
    ValueId m = b->s->norm_shared ? n : norm(b, x, "ffn_norm", "m");
    ValueId x1 = emit2(b, OP_ADD, x, attention(b, att, n), "x1");
    at_key(b, KEY_RESIDUAL);
    return emit2(b, OP_ADD, x1, mlp(b, m), "x2");
}

/* ---- functions ------------------------------------------------------------------------------- */

static void begin_func(Builder *b, const char *name, SpecKey k)
{
    at_key(b, k);
    b->f = ir_func(b->m, name_of(b, name));
    b->f->at = b->at;
}

static ValueId rope_freqs(Builder *b)
{
    const ModelSpec *s = b->s;
    bool is_long = s->context > s->original_context;
    Attrs a = {.dims = s->rope_dims, .theta = s->rope_theta};
    if (s->scaling_kind != SPEC_DEFAULT) {
        a.kind = name_of(b, spec_word_text(s->scaling_kind));
    }
    if (s->scaling_kind == SPEC_LINEAR || s->scaling_kind == SPEC_LLAMA3 ||
        s->scaling_kind == SPEC_YARN) {
        a.factor = s->scaling_factor;
    }
    if (s->scaling_kind == SPEC_LLAMA3) {
        a.low_freq_factor = s->low_freq_factor;
        a.high_freq_factor = s->high_freq_factor;
    }
    if (s->scaling_kind == SPEC_LLAMA3 || s->scaling_kind == SPEC_YARN) {
        a.original_context = s->original_context;
    }
    if (s->scaling_kind == SPEC_YARN) {
        a.beta_fast = s->beta_fast;
        a.beta_slow = s->beta_slow;
    }
    if (s->scaling_kind == SPEC_LONGROPE) {
        a.factors = is_long ? s->long_factors : s->short_factors;
    }
    return emit(b, OP_ROPE_FREQS, (ValueId[]){0}, 0, &a, "freqs");
}

/* Adds learned positions to x; returns the rotation angles, or 0 when there are none. */
static ValueId embed_positions(Builder *b, ValueId *x, ValueId pos)
{
    const ModelSpec *s = b->s;
    if (s->position_kind == SPEC_LEARNED) {
        at_key(b, KEY_POSITION_KIND);
        ValueId table = weight(b, "pos_embedding", s->context, s->d_model);
        *x = emit2(b, OP_ADD, *x, emit2(b, OP_EMBED, pos, table, "p"), "x_p");
    }
    if (s->position_kind != SPEC_ROPE) {
        return 0;
    }
    at_key(b, KEY_ROPE_THETA);
    ValueId in[2] = {pos, rope_freqs(b)};
    return emit(b, OP_ROPE_ANGLES, in, 2, &(Attrs){.scale = s->attention_factor}, "angles");
}

static void build_embed(Builder *b)
{
    const ModelSpec *s = b->s;
    begin_func(b, "embed", KEY_VOCAB);
    ValueId tokens = param_rows(b, "tokens", DT_I32, 0);
    ValueId pos = s->position_kind == SPEC_NONE ? 0 : param_rows(b, "pos", DT_I32, 0);
    ValueId x = emit2(b, OP_EMBED, tokens, weight(b, "embedding", s->vocab, s->embed_dim), "x");
    at_key(b, KEY_EMBED_SCALE);
    x = scale(b, x, s->embed_scale, "x_s");
    if (s->embed_dim != s->d_model) {
        at_key(b, KEY_EMBED_DIM);
        x = project(b, x, "embed_project", s->d_model, s->embed_dim, false, "x_e");
    }
    ValueId angles = embed_positions(b, &x, pos);
    ir_return(b->f, x, name_of(b, "x"));
    if (s->position_kind == SPEC_ROPE) {
        ir_return(b->f, angles, name_of(b, "angles"));
    }
}

static void build_layer(Builder *b)
{
    const ModelSpec *s = b->s;
    begin_func(b, "layer", KEY_LAYERS);
    ValueId x = param_rows(b, "x", b->dtype, s->d_model);
    Attention att = {0};
    att.angles = s->position_kind == SPEC_ROPE ? param_rows(b, "angles", DT_F32, s->rope_dims) : 0;
    att.pos = param_rows(b, "pos", DT_I32, 0);
    declare_caches(b, &att);
    x = s->residual == SPEC_PARALLEL ? block_parallel(b, &att, x) : block_sequential(b, &att, x);
    ir_return(b->f, x, name_of(b, "x"));
}

static void build_logits(Builder *b, ValueId x)
{
    const ModelSpec *s = b->s;
    if (s->embed_dim != s->d_model) {
        at_key(b, KEY_EMBED_DIM);
        x = project(b, x, "head_project", s->embed_dim, s->d_model, false, "x_e");
    }
    at_key(b, s->tied ? KEY_TIED : KEY_VOCAB);
    ValueId in[2] = {x, weight(b, s->tied ? "embedding" : "head", s->vocab, s->embed_dim)};
    ValueId y = emit(b, OP_MATMUL, in, 2, &(Attrs){.dtype = DT_F32}, "logits");
    at_key(b, KEY_LOGIT_SCALE);
    y = scale(b, y, s->logit_scale, "logits_s");
    at_key(b, KEY_LOGIT_SOFTCAP);
    y = softcap(b, y, s->logit_softcap, "logits_c");
    ir_return(b->f, y, name_of(b, "logits"));
}

static void build_head(Builder *b)
{
    const ModelSpec *s = b->s;
    begin_func(b, "head", KEY_VOCAB);
    ValueId x = param_rows(b, "x", b->dtype, s->d_model);
    if (s->norm_final) {
        x = norm(b, x, "final_norm", "n");
    }
    if (s->head) {
        build_logits(b, x);
    } else {
        ir_return(b->f, x, name_of(b, "x"));
    }
}

static void build_ffn(Builder *b)
{
    begin_func(b, "ffn", KEY_D_FF);
    ValueId x = param_rows(b, "x", b->dtype, b->s->d_model);
    ir_return(b->f, mlp(b, x), name_of(b, "y"));
}

/* ---- the module ------------------------------------------------------------------------------ */

static void add_step(Builder *b, int func, int64_t repeat, bool layered)
{
    Step step = {.repeat = (int)repeat, .n_funcs = 1, .func = {func}, .layered = layered};
    vec_push(b->ctx->arena, &b->m->steps, step);
}

static void build_model(Builder *b)
{
    build_embed(b);
    build_layer(b);
    add_step(b, 0, 1, false);
    add_step(b, 1, b->s->layers, true);
    if (b->s->head || b->s->norm_final) {
        build_head(b);
        add_step(b, 2, 1, false);
    }
}

/* An MLP keeps nothing between rows: how many it takes in all is bounded by no cache. */
enum { FFN_ROWS = 1 << 16 };

Module *build_module(Ctx *ctx, const ModelSpec *s, Phase phase, int tokens)
{
    if (tokens < 1 || (phase == PHASE_DECODE && tokens > IR_MAX_BATCH)) {
        BUG("a module for %d tokens", tokens);
    }
    Builder b = {.ctx = ctx, .s = s, .dtype = spec_dtype(s), .ok = true};
    b.tokens = tokens;
    b.sequences = phase == PHASE_DECODE ? tokens : 1;
    b.m = ir_module(ctx, s->name, phase, tokens, s->parts == SPEC_FFN ? FFN_ROWS : s->context);
    if (s->parts == SPEC_FFN) {
        build_ffn(&b);
        add_step(&b, 0, 1, false);
    } else {
        build_model(&b);
    }
    return b.ok ? b.m : NULL;
}

bool build_check(Ctx *ctx, const ModelSpec *s)
{
    enum { CHUNK = 64 };
    const Module *decode = build_module(ctx, s, PHASE_DECODE, 1);
    const Module *prefill = build_module(ctx, s, PHASE_PREFILL, CHUNK);
    return decode != NULL && prefill != NULL && ir_verify(decode, NULL) && ir_verify(prefill, NULL);
}
