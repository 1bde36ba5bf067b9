/* infer_attn.c - result types of positions, caches and attention. */
#include <string.h>

#include "ir/infer.h"
#include "ir/slots.h"

/* ---- positions and attention ----------------------------------------------------------------- */

static bool want_heads(const Infer *c)
{
    const Attrs *a = &c->op->a;
    if (a->heads < 1 || a->kv_heads < 1 || a->head_dim < 1) {
        return infer_fail(c, "heads, kv_heads and head_dim are at least 1, found %lld, %lld, %lld",
                          (long long)a->heads, (long long)a->kv_heads, (long long)a->head_dim);
    }
    if (a->heads > 1 << 20 || a->head_dim > 1 << 20) {
        return infer_fail(c, "heads and head_dim are at most %d", 1 << 20);
    }
    return a->heads % a->kv_heads == 0 ||
           infer_fail(c, "heads (%lld) is not a multiple of kv_heads (%lld)", (long long)a->heads,
                      (long long)a->kv_heads);
}

/* Caches hold T sequences of one token each or one sequence of T tokens. */
static bool want_sequences(const Infer *c, int slot, int64_t tokens)
{
    int64_t s = infer_in(c, slot)->dim[0];
    if (s == tokens || s == 1) {
        return true;
    }
    const char *or_one = tokens == 1 ? "" : "1 or ";
    return infer_fail(c, "%s is %s: it holds %lld sequences, expected %s%lld",
                      infer_operand(c, slot), infer_type_of(c, slot), (long long)s, or_one,
                      (long long)tokens);
}

/* [S, C, kv_heads, head_dim] */
static bool want_cache(const Infer *c, int slot, int dtype, int64_t tokens)
{
    return infer_want(c, slot, dtype, SHAPE(-1, -1, c->op->a.kv_heads, c->op->a.head_dim)) &&
           want_sequences(c, slot, tokens);
}

bool infer_rope_angles(Infer *c)
{
    const Type *pos = infer_in(c, 0), *freqs = infer_in(c, 1);
    return infer_want(c, 0, DT_I32, SHAPE(-1)) && infer_want(c, 1, DT_F32, SHAPE(-1)) &&
           infer_result(c, 0, DT_F32, SHAPE(pos->dim[0], 2 * freqs->dim[0]));
}

/* dims = 0 means the whole head. */
static bool want_rotation(const Infer *c, int slot, int64_t tokens)
{
    const Attrs *a = &c->op->a;
    int64_t dims = a->dims > 0 ? a->dims : a->head_dim;
    if (!infer_even_dims(c, dims) || !infer_want_word(c, "style", a->style, "half, adjacent")) {
        return false;
    }
    if (dims > a->head_dim) {
        return infer_fail(c, "dims (%lld) is more than head_dim (%lld)", (long long)dims,
                          (long long)a->head_dim);
    }
    return infer_want(c, slot, DT_F32, SHAPE(tokens, dims));
}

bool infer_rope(Infer *c)
{
    const Type *x = infer_in(c, 0);
    if (!infer_want(c, 0, ANY_FLOAT, SHAPE(-1, -1))) {
        return false;
    }
    int64_t head = c->op->a.head_dim;
    if (head < 1 || x->dim[1] % head != 0) {
        return infer_fail(c, "head_dim (%lld) does not divide the %lld columns", (long long)head,
                          (long long)x->dim[1]);
    }
    return want_rotation(c, 1, x->dim[0]) && infer_result(c, 0, x->dtype, 2, x->dim);
}

bool infer_kv_append(Infer *c)
{
    const Type *cache = infer_in(c, 0), *x = infer_in(c, 1);
    if (cache->rank < 3) {
        return infer_mismatch(c, 0, "a cache [sequences, context, heads (, head_dim)]");
    }
    int64_t width = cache->dim[2] * (cache->rank > 3 ? cache->dim[3] : 1);
    int dtype = dtype_is_float(cache->dtype) ? ANY_FLOAT : (int)cache->dtype;
    return infer_want(c, 1, dtype, SHAPE(-1, width)) &&
           infer_want(c, 2, DT_I32, SHAPE(x->dim[0])) && want_sequences(c, 0, x->dim[0]) &&
           infer_result(c, 0, cache->dtype, cache->rank, cache->dim);
}

bool infer_attn_scores(Infer *c)
{
    const Attrs *a = &c->op->a;
    const Type *q = infer_in(c, 0), *k = infer_in(c, 1);
    return want_heads(c) && infer_want(c, 0, ANY_FLOAT, SHAPE(-1, a->heads * a->head_dim)) &&
           want_cache(c, 1, ANY_FLOAT, q->dim[0]) && infer_want(c, 2, DT_I32, SHAPE(q->dim[0])) &&
           infer_result(c, 0, DT_F32, SHAPE(q->dim[0], a->heads, k->dim[1]));
}

bool infer_softmax(Infer *c)
{
    const Type *x = infer_in(c, 0);
    if (!dtype_is_float(x->dtype) || x->rank < 1) {
        return infer_mismatch(c, 0, "float of at least one dim");
    }
    return infer_result(c, 0, x->dtype, x->rank, x->dim);
}

bool infer_attn_mix(Infer *c)
{
    const Attrs *a = &c->op->a;
    const Type *p = infer_in(c, 0), *v = infer_in(c, 1);
    return want_heads(c) && infer_want(c, 0, ANY_FLOAT, SHAPE(-1, a->heads, -1)) &&
           want_cache(c, 1, ANY_FLOAT, p->dim[0]) &&
           infer_want(c, 0, ANY_FLOAT, SHAPE(-1, a->heads, v->dim[1])) &&
           infer_want(c, 2, DT_I32, SHAPE(p->dim[0])) && infer_float_attr(c) &&
           infer_result(c, 0, infer_result_dtype(c, p), SHAPE(p->dim[0], a->heads * a->head_dim));
}

/* Caches of codes come with both scales, caches of floats with none. */
static bool want_cache_scales(const Infer *c)
{
    const Type *k = infer_in(c, ATTN_K);
    bool codes = dtype_is_code(k->dtype);
    for (int slot = ATTN_K_SCALE; slot <= ATTN_V_SCALE; slot++) {
        if (codes != (infer_in(c, slot) != NULL)) {
            return infer_fail(c, "%s is %s: %s", infer_operand(c, ATTN_K), infer_type_of(c, ATTN_K),
                              codes ? "k_scale and v_scale are missing" : "it takes no scales");
        }
    }
    return infer_want(c, ATTN_K_SCALE, DT_F32, 3, k->dim) &&
           infer_want(c, ATTN_V_SCALE, DT_F32, 3, k->dim);
}

bool infer_attention(Infer *c)
{
    const Attrs *a = &c->op->a;
    const Type *q = infer_in(c, ATTN_Q), *k = infer_in(c, ATTN_K);
    if (!want_heads(c) || !infer_want(c, ATTN_Q, ANY_FLOAT, SHAPE(-1, a->heads * a->head_dim))) {
        return false;
    }
    int dtype = k->dtype == DT_I8 || k->dtype == DT_E4M3 ? (int)k->dtype : ANY_FLOAT;
    return want_cache(c, ATTN_K, dtype, q->dim[0]) && infer_want(c, ATTN_V, dtype, 4, k->dim) &&
           infer_want(c, ATTN_POS, DT_I32, SHAPE(q->dim[0])) && want_cache_scales(c) &&
           infer_result(c, 0, q->dtype, SHAPE(q->dim[0], a->heads * a->head_dim));
}

static bool want_qkv_extras(const Infer *c, int64_t tokens)
{
    const Attrs *a = &c->op->a;
    return want_cache(c, QKV_K_CACHE, ANY_FLOAT, tokens) &&
           infer_want(c, QKV_V_CACHE, ANY_FLOAT, 4, infer_in(c, QKV_K_CACHE)->dim) &&
           infer_want(c, QKV_POS, DT_I32, SHAPE(tokens)) &&
           (infer_in(c, QKV_ANGLES) == NULL || want_rotation(c, QKV_ANGLES, tokens)) &&
           infer_want(c, QKV_Q_GAIN, ANY_FLOAT, SHAPE(a->head_dim)) &&
           infer_want(c, QKV_K_GAIN, ANY_FLOAT, SHAPE(a->head_dim));
}

bool infer_matmul_qkv(Infer *c)
{
    const Attrs *a = &c->op->a;
    const Type *x = infer_in(c, QKV_X), *w = infer_in(c, QKV_W);
    if (!want_heads(c) || !infer_want(c, QKV_X, DT_NONE, SHAPE(-1, -1)) ||
        !infer_want_weight(c, QKV_W, QKV_W_SCALE, x->dim[1]) ||
        !infer_want_product(c, QKV_W_SCALE)) {
        return false;
    }
    int64_t n = infer_features(c, w->dim[0]), heads = a->heads + 2 * a->kv_heads;
    if (n > 0 && n != heads * a->head_dim) {
        return infer_fail(c,
                          "%lld output features, expected (heads + 2 * kv_heads) * head_dim = %lld",
                          (long long)n, (long long)(heads * a->head_dim));
    }
    if (n < 1 || (a->block != 0 && !infer_head_blocks(c, n)) || !want_qkv_extras(c, x->dim[0])) {
        return false;
    }
    const Type *k = infer_in(c, QKV_K_CACHE), *v = infer_in(c, QKV_V_CACHE);
    Type all = {.dtype = DT_F32, .rank = 2, .dim = {x->dim[0], n}};
    return infer_check_tree(c, &all) &&
           infer_result(c, 0, infer_result_dtype(c, x), SHAPE(x->dim[0], a->heads * a->head_dim)) &&
           infer_result(c, 1, k->dtype, 4, k->dim) && infer_result(c, 2, v->dtype, 4, v->dim);
}

/* Two caches of codes with their scales, and what heads need on their way there. */
static bool want_coded_caches(const Infer *c, int64_t tokens)
{
    const Attrs *a = &c->op->a;
    const Type *k = infer_in(c, APPEND_K_CACHE);
    int dtype = k->dtype == DT_E4M3 ? DT_E4M3 : DT_I8;
    return want_cache(c, APPEND_K_CACHE, dtype, tokens) &&
           infer_want(c, APPEND_V_CACHE, dtype, 4, k->dim) &&
           infer_want(c, APPEND_K_SCALE, DT_F32, 3, k->dim) &&
           infer_want(c, APPEND_V_SCALE, DT_F32, 3, k->dim) &&
           infer_want(c, APPEND_POS, DT_I32, SHAPE(tokens)) &&
           (infer_in(c, APPEND_ANGLES) == NULL || want_rotation(c, APPEND_ANGLES, tokens)) &&
           infer_want(c, APPEND_Q_GAIN, ANY_FLOAT, SHAPE(a->head_dim)) &&
           infer_want(c, APPEND_K_GAIN, ANY_FLOAT, SHAPE(a->head_dim));
}

/* Heads of q, k and v side by side. */
static bool want_all_heads(const Infer *c, int slot)
{
    const Attrs *a = &c->op->a;
    return want_heads(c) &&
           infer_want(c, slot, ANY_FLOAT, SHAPE(-1, (a->heads + 2 * a->kv_heads) * a->head_dim));
}

bool infer_qkv_append(Infer *c)
{
    const Attrs *a = &c->op->a;
    const Type *x = infer_in(c, APPEND_X);
    if (!want_all_heads(c, APPEND_X) || !want_coded_caches(c, x->dim[0]) ||
        !infer_result(c, 0, x->dtype, SHAPE(x->dim[0], a->heads * a->head_dim))) {
        return false;
    }
    for (int i = 1; i < 5; i++) {
        c->out[i] = infer_in(c, op_cache_slot(c->op->kind, i));
    }
    return true;
}

bool infer_heads_append(Infer *c)
{
    const Attrs *a = &c->op->a;
    const Type *x = infer_in(c, HEADS_X), *k = infer_in(c, HEADS_K_CACHE);
    if (!want_all_heads(c, HEADS_X) || !want_cache(c, HEADS_K_CACHE, ANY_FLOAT, x->dim[0]) ||
        !infer_want(c, HEADS_V_CACHE, ANY_FLOAT, 4, k->dim) ||
        !infer_want(c, HEADS_POS, DT_I32, SHAPE(x->dim[0])) ||
        (infer_in(c, HEADS_ANGLES) != NULL && !want_rotation(c, HEADS_ANGLES, x->dim[0])) ||
        !infer_want(c, HEADS_Q_GAIN, ANY_FLOAT, SHAPE(a->head_dim)) ||
        !infer_want(c, HEADS_K_GAIN, ANY_FLOAT, SHAPE(a->head_dim)) ||
        !infer_result(c, 0, x->dtype, SHAPE(x->dim[0], a->heads * a->head_dim))) {
        return false;
    }
    for (int i = 1; i < 3; i++) {
        c->out[i] = infer_in(c, op_cache_slot(c->op->kind, i));
    }
    return true;
}
