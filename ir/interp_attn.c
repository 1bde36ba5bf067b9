/* interp_attn.c - positions, caches and attention, in double precision.
 *
 * A cache is [S, C, heads, head_dim] (S sequences, C positions) or, for scales, [S, C, heads]. Row
 * t of the activations belongs to sequence t, or to the only one when S is 1. */
#include "ir/interp_ops.h"

#include <math.h>
#include <string.h>

/* ---- RoPE ------------------------------------------------------------------------------------ */

void interp_rope_angles(Frame *fr, const Op *op)
{
    const Tensor *pos = frame_in(fr, op, 0), *freqs = frame_in(fr, op, 1);
    Tensor *y = frame_new(fr, op, 0);
    int64_t half = tensor_rows(freqs);
    double scale = op->a.scale == 0 ? 1 : op->a.scale;
    for (int64_t t = 0; t < tensor_rows(pos); t++) {
        double *row = y->v + t * 2 * half;
        for (int64_t i = 0; i < half; i++) {
            row[i] = scale * cos(pos->v[t] * freqs->v[i]);
            row[half + i] = scale * sin(pos->v[t] * freqs->v[i]);
        }
    }
}

bool interp_rope_adjacent(const Op *op)
{
    return op->a.style != NULL && strcmp(op->a.style, "adjacent") == 0;
}

void interp_rope_head(double *x, const double *angles, int64_t dims, bool adjacent)
{
    int64_t half = dims / 2;
    for (int64_t i = 0; i < half; i++) {
        int64_t lo = adjacent ? 2 * i : i, hi = adjacent ? 2 * i + 1 : i + half;
        double c = angles[i], s = angles[half + i], a = x[lo], b = x[hi];
        x[lo] = a * c - b * s;
        x[hi] = b * c + a * s;
    }
}

void interp_rope(Frame *fr, const Op *op)
{
    const Tensor *x = frame_in(fr, op, 0), *angles = frame_in(fr, op, 1);
    Tensor *y = frame_new(fr, op, 0);
    int64_t cols = tensor_cols(x), dims = op->a.dims > 0 ? op->a.dims : op->a.head_dim;
    memcpy(y->v, x->v, (size_t)type_elements(x->type) * sizeof(double));
    for (int64_t t = 0; t < tensor_rows(x); t++) {
        const double *at = angles->v + t * tensor_cols(angles);
        for (int64_t h = 0; h < cols; h += op->a.head_dim) {
            interp_rope_head(y->v + t * cols + h, at, dims, interp_rope_adjacent(op));
        }
    }
}

/* ---- caches ---------------------------------------------------------------------------------- */

bool interp_append_row(const Frame *fr, const Op *op, Tensor *cache, int64_t t, double pos,
                       const double *x)
{
    const Type *type = cache->type;
    int64_t context = type->dim[1], cols = tensor_cols(cache) / context;
    int64_t s = type->dim[0] == 1 ? 0 : t, p = (int64_t)pos;
    if (p < 0) {
        return true;
    }
    if (p >= context) {
        return frame_error(fr, op, "position %lld is beyond the context of %lld", (long long)p,
                           (long long)context);
    }
    double *to = cache->v + (s * context + p) * cols;
    for (int64_t i = 0; i < cols; i++) {
        to[i] = fr->round ? dtype_round(type->dtype, x[i]) : x[i];
    }
    return true;
}

bool interp_kv_append(Frame *fr, const Op *op)
{
    const Tensor *x = frame_in(fr, op, 1), *pos = frame_in(fr, op, 2);
    Tensor *cache = &fr->value[op->out[0]];
    *cache = *frame_in(fr, op, 0);
    for (int64_t t = 0; t < tensor_rows(x); t++) {
        if (!interp_append_row(fr, op, cache, t, pos->v[t], x->v + t * tensor_cols(x))) {
            return false;
        }
    }
    return true;
}

/* One row of k or v heads, quantised head by head, into a cache and its scales. */
static bool append_codes(Frame *fr, const Op *op, int cache, int64_t t, const double *x)
{
    int64_t heads = op->a.kv_heads, dim = op->a.head_dim;
    double *code = ARENA_ARRAY(fr->arena, double, heads *dim);
    double *scale = ARENA_ARRAY(fr->arena, double, heads);
    Tensor *to = &fr->value[op->out[cache]], *scales = &fr->value[op->out[cache + 2]];
    for (int64_t h = 0; h < heads; h++) {
        interp_quantize_group(to->type->dtype, x + h * dim, dim, code + h * dim, &scale[h]);
    }
    double pos = frame_in(fr, op, APPEND_POS)->v[t];
    return interp_append_row(fr, op, to, t, pos, code) &&
           interp_append_row(fr, op, scales, t, pos, scale);
}

/* Operand slots of the two operators that finish heads side by side. */
typedef struct HeadSlots {
    int angles, q_gain, k_gain;
} HeadSlots;

/* Finishes row t of x in `row`: q goes to the first result. */
static void finish_row(Frame *fr, const Op *op, HeadSlots slot, int64_t t, double *row)
{
    const Tensor *x = frame_in(fr, op, 0), *angles = frame_in(fr, op, slot.angles);
    Tensor *q = &fr->value[op->out[0]];
    int64_t nq = op->a.heads * op->a.head_dim;
    const double *at = angles == NULL ? NULL : angles->v + t * tensor_cols(angles);
    memcpy(row, x->v + t * tensor_cols(x), (size_t)tensor_cols(x) * sizeof *row);
    interp_finish_heads(op, row, op->a.heads, frame_in(fr, op, slot.q_gain), at);
    interp_finish_heads(op, row + nq, op->a.kv_heads, frame_in(fr, op, slot.k_gain), at);
    memcpy(q->v + t * nq, row, (size_t)nq * sizeof *row);
}

/* Room for a row; the caches among the results are those of the operands. */
static double *begin_rows(Frame *fr, const Op *op)
{
    frame_new(fr, op, 0);
    for (int i = 1; i < op->n_out; i++) {
        fr->value[op->out[i]] = fr->value[op->in[op_cache_slot(op->kind, i)]];
    }
    return ARENA_ARRAY(fr->arena, double, tensor_cols(frame_in(fr, op, 0)));
}

bool interp_qkv_append(Frame *fr, const Op *op)
{
    const HeadSlots slot = {APPEND_ANGLES, APPEND_Q_GAIN, APPEND_K_GAIN};
    int64_t nq = op->a.heads * op->a.head_dim, nk = op->a.kv_heads * op->a.head_dim;
    double *row = begin_rows(fr, op);
    for (int64_t t = 0; t < tensor_rows(frame_in(fr, op, APPEND_X)); t++) {
        finish_row(fr, op, slot, t, row);
        if (!append_codes(fr, op, 1, t, row + nq) || !append_codes(fr, op, 2, t, row + nq + nk)) {
            return false;
        }
    }
    return true;
}

bool interp_heads_append(Frame *fr, const Op *op)
{
    const HeadSlots slot = {HEADS_ANGLES, HEADS_Q_GAIN, HEADS_K_GAIN};
    int64_t nq = op->a.heads * op->a.head_dim, nk = op->a.kv_heads * op->a.head_dim;
    double *row = begin_rows(fr, op);
    Tensor *k = &fr->value[op->out[1]], *v = &fr->value[op->out[2]];
    for (int64_t t = 0; t < tensor_rows(frame_in(fr, op, HEADS_X)); t++) {
        finish_row(fr, op, slot, t, row);
        double pos = frame_in(fr, op, HEADS_POS)->v[t];
        if (!interp_append_row(fr, op, k, t, pos, row + nq) ||
            !interp_append_row(fr, op, v, t, pos, row + nq + nk)) {
            return false;
        }
    }
    return true;
}

/* ---- attention ------------------------------------------------------------------------------- */

/* One head of one sequence's cache. */
typedef struct Cache {
    const double *v, *scale; /* scale: NULL, or one per position */
    int64_t stride, scale_stride;
} Cache;

static Cache cache_of(const Tensor *cache, const Tensor *scale, int64_t t, int64_t head)
{
    const int64_t *dim = cache->type->dim;
    int64_t s = dim[0] == 1 ? 0 : t;
    Cache c = {.v = cache->v + (s * dim[1] * dim[2] + head) * dim[3], .stride = dim[2] * dim[3]};
    if (scale != NULL) {
        c.scale = scale->v + s * dim[1] * dim[2] + head;
        c.scale_stride = dim[2];
    }
    return c;
}

static double cache_at(const Cache *c, int64_t p, int64_t d)
{
    return c->v[p * c->stride + d] * (c->scale == NULL ? 1 : c->scale[p * c->scale_stride]);
}

static bool visible(const Op *op, double pos, int64_t p)
{
    double at = (double)p;
    return at <= pos && (op->a.window == 0 || at > pos - (double)op->a.window);
}

/* out[p] for every position of the context: scale * q . k, capped; -inf where not visible. */
static void score_row(const Op *op, const double *q, const Cache *k, double pos, int64_t context,
                      double *out)
{
    double scale = op->a.scale == 0 ? 1 : op->a.scale, cap = op->a.softcap;
    for (int64_t p = 0; p < context; p++) {
        out[p] = -(double)INFINITY;
        if (!visible(op, pos, p)) {
            continue;
        }
        double sum = 0;
        for (int64_t d = 0; d < op->a.head_dim; d++) {
            sum += q[d] * cache_at(k, p, d);
        }
        out[p] = cap > 0 ? cap * tanh(sum * scale / cap) : sum * scale;
    }
}

static void softmax_row(const double *x, int64_t n, double *out)
{
    double max = -(double)INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++) {
        max = fmax(max, x[i]);
    }
    for (int64_t i = 0; i < n; i++) {
        out[i] = isinf(max) ? 0 : exp(x[i] - max);
        sum += out[i];
    }
    for (int64_t i = 0; i < n; i++) {
        out[i] = sum > 0 ? out[i] / sum : 0;
    }
}

static void mix_row(const double *p, const Cache *v, int64_t context, int64_t head_dim, double *out)
{
    for (int64_t d = 0; d < head_dim; d++) {
        double sum = 0;
        for (int64_t i = 0; i < context; i++) {
            sum += p[i] == 0 ? 0 : p[i] * cache_at(v, i, d);
        }
        out[d] = sum;
    }
}

static int64_t kv_head(const Op *op, int64_t head)
{
    return head / (op->a.heads / op->a.kv_heads);
}

void interp_attn_scores(Frame *fr, const Op *op)
{
    const Tensor *q = frame_in(fr, op, 0), *k = frame_in(fr, op, 1), *pos = frame_in(fr, op, 2);
    Tensor *y = frame_new(fr, op, 0);
    int64_t context = k->type->dim[1];
    for (int64_t i = 0; i < tensor_rows(q) * op->a.heads; i++) {
        int64_t t = i / op->a.heads;
        Cache c = cache_of(k, NULL, t, kv_head(op, i % op->a.heads));
        score_row(op, q->v + i * op->a.head_dim, &c, pos->v[t], context, y->v + i * context);
    }
}

void interp_softmax(Frame *fr, const Op *op)
{
    const Tensor *x = frame_in(fr, op, 0);
    Tensor *y = frame_new(fr, op, 0);
    int64_t n = x->type->dim[x->type->rank - 1];
    for (int64_t i = 0; i < type_elements(x->type); i += n) {
        softmax_row(x->v + i, n, y->v + i);
    }
}

void interp_attn_mix(Frame *fr, const Op *op)
{
    const Tensor *p = frame_in(fr, op, 0), *v = frame_in(fr, op, 1);
    Tensor *y = frame_new(fr, op, 0);
    int64_t context = v->type->dim[1];
    for (int64_t i = 0; i < tensor_rows(p) * op->a.heads; i++) {
        Cache c = cache_of(v, NULL, i / op->a.heads, kv_head(op, i % op->a.heads));
        mix_row(p->v + i * context, &c, context, op->a.head_dim, y->v + i * op->a.head_dim);
    }
}

void interp_attention(Frame *fr, const Op *op)
{
    const Tensor *q = frame_in(fr, op, ATTN_Q), *k = frame_in(fr, op, ATTN_K);
    const Tensor *v = frame_in(fr, op, ATTN_V), *pos = frame_in(fr, op, ATTN_POS);
    const Tensor *k_scale = frame_in(fr, op, ATTN_K_SCALE);
    const Tensor *v_scale = frame_in(fr, op, ATTN_V_SCALE);
    Tensor *y = frame_new(fr, op, 0);
    int64_t context = k->type->dim[1], dim = op->a.head_dim;
    double *scores = ARENA_ARRAY(fr->arena, double, context);
    for (int64_t i = 0; i < tensor_rows(q) * op->a.heads; i++) {
        int64_t t = i / op->a.heads, head = kv_head(op, i % op->a.heads);
        Cache kc = cache_of(k, k_scale, t, head), vc = cache_of(v, v_scale, t, head);
        score_row(op, q->v + i * dim, &kc, pos->v[t], context, scores);
        softmax_row(scores, context, scores);
        mix_row(scores, &vc, context, dim, y->v + i * dim);
    }
}
