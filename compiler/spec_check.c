/* spec_check.c - the rules between keys, and what follows from a whole spec: sizes, dtypes.
 *
 * Ranges of single keys were checked while reading (spec.def). Every rule is tried, so that one run
 * reports all that is wrong. */
#include "compiler/spec.h"

#include <inttypes.h>

typedef struct Check {
    Ctx *ctx;
    const ModelSpec *s;
    bool ok;
} Check;

/* Where a key's value stands; of a default: the next best place. */
static Span place(const Check *c, SpecKey k, SpecKey otherwise)
{
    return c->s->place[k].given ? c->s->place[k].value : c->s->place[otherwise].value;
}

#define COMPLAIN(c, k, otherwise, ...)                                                             \
    ((c)->ok = diag_error((c)->ctx->diag, place((c), (k), (otherwise)), __VA_ARGS__))

/* A key that was given although another one makes it meaningless. */
static void refuse(Check *c, SpecKey k, bool useless, const char *why)
{
    if (useless && c->s->place[k].given) {
        c->ok = diag_error(c->ctx->diag, c->s->place[k].key, "'%s' means nothing %s",
                           spec_keys[k].path, why);
    }
}

/* ---- attention ------------------------------------------------------------------------------- */

static void check_heads(Check *c)
{
    const ModelSpec *s = c->s;
    if (s->heads % s->kv_heads != 0) {
        COMPLAIN(c, KEY_HEADS, KEY_KV_HEADS,
                 "heads (%" PRId64 ") is not a multiple of kv_heads (%" PRId64 ")", s->heads,
                 s->kv_heads);
    }
}

/* ---- positions ------------------------------------------------------------------------------- */

static const SpecKey rope_only[] = {
    KEY_ROPE_THETA,       KEY_ROPE_PARTIAL,     KEY_ROPE_DIMS,        KEY_ROPE_STYLE,
    KEY_SCALING_KIND,     KEY_SCALING_FACTOR,   KEY_ORIGINAL_CONTEXT, KEY_LOW_FREQ_FACTOR,
    KEY_HIGH_FREQ_FACTOR, KEY_BETA_FAST,        KEY_BETA_SLOW,        KEY_MSCALE,
    KEY_MSCALE_ALL_DIM,   KEY_ATTENTION_FACTOR, KEY_SHORT_FACTORS,    KEY_LONG_FACTORS,
};

/* Which scalings read a key. */
static const struct {
    SpecKey key;
    SpecWord kind[4];
} scaling_use[] = {
    {KEY_SCALING_FACTOR, {SPEC_LINEAR, SPEC_LLAMA3, SPEC_YARN, SPEC_LONGROPE}},
    {KEY_ORIGINAL_CONTEXT, {SPEC_LLAMA3, SPEC_YARN, SPEC_LONGROPE}},
    {KEY_LOW_FREQ_FACTOR, {SPEC_LLAMA3}},
    {KEY_HIGH_FREQ_FACTOR, {SPEC_LLAMA3}},
    {KEY_BETA_FAST, {SPEC_YARN}},
    {KEY_BETA_SLOW, {SPEC_YARN}},
    {KEY_MSCALE, {SPEC_YARN}},
    {KEY_MSCALE_ALL_DIM, {SPEC_YARN}},
    {KEY_ATTENTION_FACTOR, {SPEC_YARN, SPEC_LONGROPE}},
    {KEY_SHORT_FACTORS, {SPEC_LONGROPE}},
    {KEY_LONG_FACTORS, {SPEC_LONGROPE}},
};

static const struct {
    SpecWord kind;
    SpecKey key;
} scaling_need[] = {
    {SPEC_LINEAR, KEY_SCALING_FACTOR},     {SPEC_LLAMA3, KEY_SCALING_FACTOR},
    {SPEC_LLAMA3, KEY_ORIGINAL_CONTEXT},   {SPEC_YARN, KEY_ORIGINAL_CONTEXT},
    {SPEC_LONGROPE, KEY_ORIGINAL_CONTEXT}, {SPEC_LONGROPE, KEY_SHORT_FACTORS},
    {SPEC_LONGROPE, KEY_LONG_FACTORS},
};

static void check_scaling_keys(Check *c)
{
    const ModelSpec *s = c->s;
    const char *kind = spec_word_text(s->scaling_kind);
    const char *why = arena_printf(c->ctx->arena, "with rope.scaling.kind: %s", kind);
    for (size_t i = 0; i < sizeof scaling_use / sizeof scaling_use[0]; i++) {
        bool used = false;
        for (int j = 0; j < 4; j++) {
            used = used || scaling_use[i].kind[j] == s->scaling_kind;
        }
        refuse(c, scaling_use[i].key, !used, why);
    }
    for (size_t i = 0; i < sizeof scaling_need / sizeof scaling_need[0]; i++) {
        SpecKey k = scaling_need[i].key;
        if (scaling_need[i].kind == s->scaling_kind && !s->place[k].given) {
            COMPLAIN(c, KEY_SCALING_KIND, KEY_SCALING_KIND, "rope.scaling.kind: %s needs '%s'",
                     kind, spec_keys[k].path);
        }
    }
}

static void check_factor_list(Check *c, SpecKey k, const DoubleList *list)
{
    int64_t pairs = c->s->rope_dims / 2;
    if (c->s->place[k].given && list->n != pairs) {
        COMPLAIN(c, k, k,
                 "'%s' has %d numbers, one for each of the %" PRId64 " rotated pairs is needed",
                 spec_keys[k].path, list->n, pairs);
    }
}

static void check_scaling(Check *c)
{
    const ModelSpec *s = c->s;
    check_scaling_keys(c);
    if (s->scaling_kind == SPEC_LLAMA3 && s->low_freq_factor >= s->high_freq_factor) {
        COMPLAIN(c, KEY_LOW_FREQ_FACTOR, KEY_HIGH_FREQ_FACTOR,
                 "low_freq_factor (%g) must be below high_freq_factor (%g)", s->low_freq_factor,
                 s->high_freq_factor);
    }
    if (s->scaling_kind == SPEC_YARN && s->beta_slow >= s->beta_fast) {
        COMPLAIN(c, KEY_BETA_SLOW, KEY_BETA_FAST, "beta_slow (%g) must be below beta_fast (%g)",
                 s->beta_slow, s->beta_fast);
    }
    if (s->scaling_kind == SPEC_YARN && s->rope_theta <= 1) {
        COMPLAIN(c, KEY_ROPE_THETA, KEY_SCALING_KIND, "yarn needs a theta above 1");
    }
    if (s->scaling_kind == SPEC_LONGROPE) {
        check_factor_list(c, KEY_SHORT_FACTORS, &s->short_factors);
        check_factor_list(c, KEY_LONG_FACTORS, &s->long_factors);
    }
}

static void check_rope(Check *c)
{
    const ModelSpec *s = c->s;
    SpecKey from = s->place[KEY_ROPE_PARTIAL].given ? KEY_ROPE_PARTIAL : KEY_HEAD_DIM;
    SpecKey from2 = s->place[from].given ? from : KEY_HEADS;
    if (s->rope_dims < 2 || s->rope_dims % 2 != 0) {
        COMPLAIN(
            c, KEY_ROPE_DIMS, from2,
            "columns are rotated in pairs: rope.dims must be even and at least 2, found %" PRId64,
            s->rope_dims);
    } else if (s->rope_dims > s->head_dim) {
        COMPLAIN(c, KEY_ROPE_DIMS, from2,
                 "rope.dims (%" PRId64 ") is more than head_dim (%" PRId64 ")", s->rope_dims,
                 s->head_dim);
    }
    check_scaling(c);
}

static void check_positions(Check *c)
{
    const ModelSpec *s = c->s;
    const char *why =
        arena_printf(c->ctx->arena, "with position: %s", spec_word_text(s->position_kind));
    refuse(c, KEY_POSITION_OFFSET, s->position_kind != SPEC_LEARNED, why);
    if (s->position_kind == SPEC_ROPE) {
        check_rope(c);
        return;
    }
    for (size_t i = 0; i < sizeof rope_only / sizeof rope_only[0]; i++) {
        refuse(c, rope_only[i], true, why);
    }
}

/* ---- norms, head ----------------------------------------------------------------------------- */

static void check_norms(Check *c)
{
    const ModelSpec *s = c->s;
    if (s->norm_kind == SPEC_RMSNORM && s->norm_bias) {
        COMPLAIN(c, KEY_NORM_BIAS, KEY_NORM_KIND, "rmsnorm has no bias; layernorm has");
    }
    if (s->residual == SPEC_PARALLEL && s->norm_place == SPEC_POST) {
        COMPLAIN(c, KEY_NORM_PLACE, KEY_RESIDUAL,
                 "a parallel residual has its norms before (norm.place: pre)");
    }
    if (s->residual == SPEC_SEQUENTIAL && s->norm_shared) {
        COMPLAIN(c, KEY_NORM_SHARED, KEY_RESIDUAL, "only a parallel residual can share its norm");
    }
}

static void check_id(Check *c, SpecKey k, int64_t id)
{
    if (id >= c->s->vocab) {
        COMPLAIN(c, k, KEY_VOCAB, "'%s' (%" PRId64 ") is not in the vocabulary of %" PRId64,
                 spec_keys[k].path, id, c->s->vocab);
    }
}

static void check_head(Check *c)
{
    const ModelSpec *s = c->s;
    check_id(c, KEY_BOS, s->bos);
    check_id(c, KEY_EOS, s->eos);
    refuse(c, KEY_TIED, !s->head, "with head: false");
    refuse(c, KEY_LOGIT_SCALE, !s->head, "with head: false");
    refuse(c, KEY_LOGIT_SOFTCAP, !s->head, "with head: false");
}

/* ---- quantisation ---------------------------------------------------------------------------- */

/* Groups cut the columns of every matrix without rest: one message names all that they do not cut.
 */
static void check_group(Check *c)
{
    const ModelSpec *s = c->s;
    const bool all = s->parts == SPEC_ALL;
    const struct {
        const char *name;
        int64_t columns;
    } cut[] = {
        {"d_model", s->d_model},
        {"d_ff", s->d_ff},
        {"heads * head_dim", all ? s->heads * s->head_dim : 0},
        {"embed_dim", all && s->embed_dim != s->d_model ? s->embed_dim : 0},
    };
    Buf b = buf_create(c->ctx->arena);
    for (size_t i = 0; i < sizeof cut / sizeof cut[0] && s->quant_group > 0; i++) {
        if (cut[i].columns % s->quant_group != 0) {
            buf_printf(&b, "%s%s (%" PRId64 ")", b.len > 0 ? ", " : "", cut[i].name,
                       cut[i].columns);
        }
    }
    if (b.len > 0) {
        COMPLAIN(c, KEY_QUANT_GROUP, KEY_QUANT_WEIGHTS,
                 "quant.group (%" PRId64
                 ") does not divide the columns of every matrix: %s; give a "
                 "quant.group that does, or 0 for one scale per row",
                 s->quant_group, b.data);
    }
}

static void check_quant_weights(Check *c)
{
    const ModelSpec *s = c->s;
    bool none = s->quant_weights == SPEC_NONE;
    refuse(c, KEY_QUANT_GROUP, none, "without quant.weights: int8 or int4");
    refuse(c, KEY_QUANT_HEAD, none, "without quant.weights: int8, int4 or fp8");
    if (s->quant_group > 0 && s->quant_weights == SPEC_FP8) {
        COMPLAIN(
            c, KEY_QUANT_GROUP, KEY_QUANT_WEIGHTS,
            "groups of columns come with quant.weights: int8 or int4; fp8 has one scale per row");
    }
    if (s->quant_zero_points && s->quant_weights != SPEC_INT4) {
        COMPLAIN(c, KEY_QUANT_ZERO_POINTS, KEY_QUANT_WEIGHTS,
                 "zero points come with quant.weights: int4 only");
    }
    if (none) {
        return;
    }
    if (s->quant_group % 8 != 0) {
        COMPLAIN(c, KEY_QUANT_GROUP, KEY_QUANT_WEIGHTS,
                 "quant.group (%" PRId64 ") must be a multiple of 8", s->quant_group);
    }
    check_group(c);
}

/* A float word can only repeat the dtype. */
static void check_same_dtype(Check *c, SpecKey k, SpecWord w)
{
    if (w != SPEC_INT8 && w != SPEC_FP8 && w != c->s->dtype) {
        COMPLAIN(c, k, KEY_DTYPE, "'%s' can be int8, fp8 or the dtype, which is %s; found %s",
                 spec_keys[k].path, spec_word_text(c->s->dtype), spec_word_text(w));
    }
}

static void check_quant(Check *c)
{
    const ModelSpec *s = c->s;
    check_quant_weights(c);
    check_same_dtype(c, KEY_QUANT_ACTIVATIONS, s->quant_activations);
    if (s->parts == SPEC_ALL) {
        check_same_dtype(c, KEY_QUANT_KV_CACHE, s->quant_kv_cache);
    }
    bool integers = s->quant_weights == SPEC_INT8 || s->quant_weights == SPEC_INT4;
    if (s->quant_activations == SPEC_INT8 && !integers) {
        COMPLAIN(c, KEY_QUANT_ACTIVATIONS, KEY_QUANT_WEIGHTS,
                 "int8 activations need int8 or int4 weights (quant.weights)");
    }
    if (s->quant_activations == SPEC_FP8 && s->quant_weights != SPEC_FP8) {
        COMPLAIN(c, KEY_QUANT_ACTIVATIONS, KEY_QUANT_WEIGHTS,
                 "fp8 activations need fp8 weights (quant.weights)");
    }
}

/* ---- sizes ----------------------------------------------------------------------------------- */

enum { MAX_BITS = 56 }; /* elements of one tensor, or of the whole model */

static bool product(const int64_t *factor, int n, int64_t *out)
{
    *out = 1;
    for (int i = 0; i < n; i++) {
        if (!checked_mul_i64(*out, factor[i], out) || *out >= INT64_C(1) << MAX_BITS) {
            return false;
        }
    }
    return true;
}

/* rows * cols * times more weights. */
static bool add_weights(int64_t *sum, int64_t rows, int64_t cols, int64_t times)
{
    int64_t n;
    if (!product((int64_t[]){rows, cols, times}, 3, &n)) {
        return false;
    }
    *sum += n;
    return *sum < INT64_C(1) << MAX_BITS;
}

static bool add_mlp(const ModelSpec *s, int64_t layers, int64_t *sum)
{
    int64_t matrices = s->mlp_kind == SPEC_GATED ? 3 : 2, up = matrices - 1;
    return add_weights(sum, s->d_ff, s->d_model, matrices * layers) &&
           (!s->mlp_bias ||
            (add_weights(sum, s->d_ff, up, layers) && add_weights(sum, s->d_model, 1, layers)));
}

static bool add_attention(const ModelSpec *s, int64_t *sum)
{
    int64_t q, kv;
    if (!product((int64_t[]){s->heads, s->head_dim}, 2, &q) ||
        !product((int64_t[]){s->kv_heads, s->head_dim}, 2, &kv)) {
        return false;
    }
    return add_weights(sum, q + kv, s->d_model, 2 * s->layers) &&
           (!s->qkv_bias || add_weights(sum, q + 2 * kv, 1, s->layers)) &&
           (!s->out_bias || add_weights(sum, s->d_model, 1, s->layers)) &&
           (!s->qk_norm || add_weights(sum, s->head_dim, 2, s->layers));
}

static bool add_norms(const ModelSpec *s, int64_t *sum)
{
    int64_t each = s->norm_bias ? 2 : 1, per_layer = s->norm_shared ? 1 : 2;
    return add_weights(sum, s->d_model, each, per_layer * s->layers + s->norm_final);
}

static bool add_embedding(const ModelSpec *s, int64_t *sum)
{
    int64_t tables = s->head && !s->tied ? 2 : 1, projections = s->head ? 2 : 1;
    return add_weights(sum, s->vocab, s->embed_dim, tables) &&
           (s->embed_dim == s->d_model ||
            add_weights(sum, s->embed_dim, s->d_model, projections)) &&
           (s->position_kind != SPEC_LEARNED || add_weights(sum, s->context, s->d_model, 1));
}

int64_t spec_parameters(const ModelSpec *s)
{
    int64_t sum = 0;
    bool ok = s->parts == SPEC_FFN ? add_mlp(s, 1, &sum)
                                   : add_mlp(s, s->layers, &sum) && add_attention(s, &sum) &&
                                         add_norms(s, &sum) && add_embedding(s, &sum);
    return ok ? sum : -1;
}

static void check_sizes(Check *c)
{
    const ModelSpec *s = c->s;
    int64_t n;
    if (spec_parameters(s) < 0) {
        COMPLAIN(c, KEY_D_MODEL, KEY_D_FF,
                 "the model has more than 2^%d weights; check d_model, d_ff, "
                 "heads, layers and vocab",
                 MAX_BITS);
    }
    if (s->parts == SPEC_ALL &&
        !product((int64_t[]){IR_MAX_BATCH, s->context, s->kv_heads, s->head_dim}, 4, &n)) {
        COMPLAIN(c, KEY_CONTEXT, KEY_HEADS,
                 "the KV cache of one layer has more than 2^%d numbers; check context, kv_heads "
                 "and head_dim",
                 MAX_BITS);
    }
}

bool spec_check(Ctx *ctx, const ModelSpec *s)
{
    Check c = {ctx, s, true};
    check_quant(&c);
    if (s->parts == SPEC_ALL) {
        check_heads(&c);
        check_positions(&c);
        check_norms(&c);
        check_head(&c);
    }
    check_sizes(&c);
    return c.ok;
}

/* ---- what follows from a spec ---------------------------------------------------------------- */

DType spec_dtype(const ModelSpec *s)
{
    return s->dtype == SPEC_F32 ? DT_F32 : s->dtype == SPEC_F16 ? DT_F16 : DT_BF16;
}

/* DT_NONE for a float word: the spec's dtype. */
static DType code_dtype(SpecWord w)
{
    return w == SPEC_INT8 ? DT_I8 : w == SPEC_INT4 ? DT_U4 : w == SPEC_FP8 ? DT_E4M3 : DT_NONE;
}

QuantScheme spec_quant(const ModelSpec *s)
{
    return (QuantScheme){.weights = code_dtype(s->quant_weights),
                         .group = s->quant_group,
                         .asym = s->quant_zero_points,
                         .activations = code_dtype(s->quant_activations),
                         .kv_cache = code_dtype(s->quant_kv_cache),
                         .head = s->quant_head};
}

static void put_quant(Buf *b, const ModelSpec *s)
{
    if (s->quant_weights != SPEC_NONE) {
        buf_printf(b, ", %s", spec_word_text(s->quant_weights));
        if (s->quant_group > 0) {
            buf_printf(b, "/%" PRId64, s->quant_group);
        }
        buf_puts(b, s->quant_zero_points ? " with zero points" : "");
        buf_puts(b, s->quant_head ? ", head too" : "");
    }
    QuantScheme q = spec_quant(s);
    if (q.activations != DT_NONE) {
        buf_printf(b, ", %s activations", spec_word_text(s->quant_activations));
    }
    if (q.kv_cache != DT_NONE) {
        buf_printf(b, ", %s cache", spec_word_text(s->quant_kv_cache));
    }
}

void spec_summary(Buf *b, const ModelSpec *s)
{
    buf_puts(b, spec_word_text(s->dtype));
    put_quant(b, s);
    buf_puts(b, ", ");
    if (s->parts == SPEC_FFN) {
        buf_printf(b, "one %s MLP, ", spec_word_text(s->mlp_kind));
    } else {
        buf_printf(b, "%" PRId64 " layers, ", s->layers);
    }
    buf_printf(b, "d_model %" PRId64 ", d_ff %" PRId64, s->d_model, s->d_ff);
    if (s->parts == SPEC_ALL) {
        buf_printf(b, ", %" PRId64 "/%" PRId64 " heads, vocab %" PRId64 ", context %" PRId64,
                   s->heads, s->kv_heads, s->vocab, s->context);
    }
}
