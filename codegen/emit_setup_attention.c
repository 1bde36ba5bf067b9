/* emit_setup_attention.c - what the templates of attention ask for: scores, softmax and mix apart,
 * or one kernel whose parts are functions of their own (templates/c/attention.c, attention_tile.c).
 */
#include <string.h>

#include "codegen/emit_setup.h"
#include "ir/slots.h"

static double score_scale(const Attrs *a)
{
    return a->scale > 0 || a->scale < 0 ? a->scale : 1;
}

void emit_setup_attn_scores(KernelText *k)
{
    const Attrs *a = &k->op->a;
    emit_add_pointer(k, "out", k->op->out[0], true);
    emit_add_slot(k, 0, "q");
    emit_add_cache(k, "k_cache", k->op->in[1]);
    tmpl_set_bool(&k->env, "k_scaled", emit_add_cache_scale(k, "k_scale", k->op->in[1], 0));
    emit_add_slot(k, 2, "pos");
    emit_set_heads(k);
    emit_set_cache_type(k, "k_type", "k_cache");
    tmpl_set_string(&k->env, "hidden",
                    a->window > 0
                        ? arena_printf(k->emit->ctx->arena, "p > pos[t] || p <= pos[t] - %lld",
                                       (long long)a->window)
                        : "p > pos[t]");
    tmpl_set_double(&k->env, "softcap", a->softcap);
    tmpl_set_double(&k->env, "scale", score_scale(a));
}

void emit_setup_softmax(KernelText *k)
{
    const Type *t = emit_value_of(k, k->op->in[0])->type;
    emit_add_pointer(k, "out", k->op->out[0], true);
    emit_add_slot(k, 0, "x");
    emit_set_int(k, "DIM", t->dim[t->rank - 1]);
    emit_set_int(k, "ROWS", emit_columns(t) / t->dim[t->rank - 1]);
}

void emit_setup_attn_mix(KernelText *k)
{
    emit_add_pointer(k, "out", k->op->out[0], true);
    emit_add_slot(k, 0, "p");
    emit_add_cache(k, "v_cache", k->op->in[1]);
    tmpl_set_bool(&k->env, "v_scaled", emit_add_cache_scale(k, "v_scale", k->op->in[1], 0));
    emit_add_slot(k, 2, "pos");
    emit_set_heads(k);
    emit_set_cache_type(k, "v_type", "v_cache");
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
    emit_set_int(k, "WIDTH", vectors * k->lanes);
    emit_set_int(k, "MIX_VECS", mixed);
    emit_set_int(k, "MIX_HEADS",
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
    emit_set_int(k, "TOKENS", tokens);
    emit_set_int(k, "ROWS", (tokens * group + PRODUCT_ROWS - 1) / PRODUCT_ROWS * PRODUCT_ROWS);
    emit_set_int(k, "WIDTH", (a->head_dim + panel - 1) / panel * panel);
    emit_set_int(k, "PANEL", panel);
}

static void setup_attention_parts(KernelText *k, bool k_scaled, bool v_scaled)
{
    Arena *a = k->emit->ctx->arena;
    static const PartParam none = {NULL, NULL};
    const PartParam k_scale = {"const float *scales", "key_scales + p0"};
    const PartParam v_scale = {"const float *scales", "value_scales + p0"};
    const char *k_type = emit_ctype(emit_find_param(k, emit_intern(k, "k_cache"))->stored);
    const char *v_type = emit_ctype(emit_find_param(k, emit_intern(k, "v_cache"))->stored);
    bool tile = strcmp(k->kernel->config.template, "attention_tile") == 0;
    emit_set_int(k, "VECS", (k->op->a.head_dim + k->lanes - 1) / k->lanes);
    (tile ? setup_attention_tile : setup_attention_row)(
        k, arena_printf(a, "const %s *keys", k_type), arena_printf(a, "const %s *values", v_type),
        k_scaled ? k_scale : none, v_scaled ? v_scale : none);
}

void emit_setup_attention(KernelText *k)
{
    const Attrs *a = &k->op->a;
    ValueId k_scale = k->op->n_in > ATTN_K_SCALE ? k->op->in[ATTN_K_SCALE] : 0;
    ValueId v_scale = k->op->n_in > ATTN_V_SCALE ? k->op->in[ATTN_V_SCALE] : 0;
    emit_add_pointer(k, "out", k->op->out[0], true);
    emit_add_slot(k, ATTN_Q, "q");
    emit_add_cache(k, "k_cache", k->op->in[ATTN_K]);
    emit_add_cache(k, "v_cache", k->op->in[ATTN_V]);
    bool k_scaled = emit_add_cache_scale(k, "k_scale", k->op->in[ATTN_K], k_scale);
    bool v_scaled = emit_add_cache_scale(k, "v_scale", k->op->in[ATTN_V], v_scale);
    tmpl_set_bool(&k->env, "k_scaled", k_scaled);
    tmpl_set_bool(&k->env, "v_scaled", v_scaled);
    emit_add_slot(k, ATTN_POS, "pos");
    emit_set_heads(k);
    emit_set_int(k, "GROUP", a->heads / a->kv_heads);
    emit_set_int(k, "BLOCK", ATTENTION_BLOCK);
    emit_set_cache_type(k, "k_type", "k_cache");
    emit_set_cache_type(k, "v_type", "v_cache");
    emit_set_int(k, "window", a->window);
    tmpl_set_string(&k->env, "first", a->window > 0 ? "first" : "0");
    tmpl_set_double(&k->env, "softcap", a->softcap);
    double scale = score_scale(a);
    tmpl_set_double(&k->env, "score_scale", a->softcap > 0 ? scale / a->softcap : scale);
    if (!k->emit->plan->target->gpu) {
        setup_attention_parts(k, k_scaled, v_scaled);
    }
}
