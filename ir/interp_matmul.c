/* interp_matmul.c - matmul with its quantised slots and epilogue, and the merged q/k/v projection.
 *
 * Accumulators: acc[way] of output column n comes from weight row n, or with `interleave` = B from
 * row (n / B) * 2B + way * B + n % B; q/k/v with `block` = B: column d of a head of D from row (d %
 * (D / 2) / B) * 2B + (d / (D / 2)) * B + d % B. Sums of integer codes are exact in a double. */
#include "ir/interp_ops.h"

#include <string.h>

typedef struct Slots {
    const Tensor *x, *w, *w_scale, *w_zero, *x_scale;
    double zero;
    int64_t group, groups; /* columns that share a scale; how many such groups */
} Slots;

static const double *scale_at(const Tensor *scale, int64_t row, int64_t g)
{
    int64_t cols = tensor_cols(scale);
    return &scale->v[row * cols + (cols > 1 ? g : 0)];
}

/* The rows of x as a norm in front leaves them. */
static const Tensor *normed(const Frame *fr, const Op *op, const Tensor *x, const Tensor *gain)
{
    int64_t k = tensor_cols(x), rows = tensor_rows(x);
    Tensor *y = ARENA_NEW(fr->arena, Tensor);
    *y = *x;
    y->v = ARENA_ARRAY(fr->arena, double, rows *k);
    memcpy(y->v, x->v, (size_t)(rows * k) * sizeof(double));
    for (int64_t t = 0; t < rows; t++) {
        interp_rms_row(y->v + t * k, k, op->a.norm_eps, gain == NULL ? NULL : gain->v);
    }
    return y;
}

static Slots slots_of(const Frame *fr, const Op *op, int w_scale)
{
    Slots s = {.x = frame_in(fr, op, 0),
               .w = frame_in(fr, op, 1),
               .w_scale = frame_in(fr, op, w_scale),
               .w_zero = frame_in(fr, op, w_scale + 1),
               .x_scale = frame_in(fr, op, w_scale + 2),
               .zero = (double)op->a.zero};
    if (op->a.norm_eps > 0) {
        s.x = normed(fr, op, s.x, frame_in(fr, op, w_scale + 3));
    }
    int64_t k = tensor_cols(s.w);
    s.group = op->a.group > 0 ? op->a.group : k;
    s.groups = k / s.group;
    return s;
}

/* sum over k of x[t, k] * w[n, k], group by group with its scales. */
static double accumulate(const Slots *s, int64_t t, int64_t n)
{
    int64_t cols = tensor_cols(s->w);
    const double *x = s->x->v + t * cols, *w = s->w->v + n * cols;
    double acc = 0;
    for (int64_t g = 0; g < s->groups; g++) {
        double sum = 0;
        double zero = s->w_zero == NULL ? s->zero : *scale_at(s->w_zero, n, g);
        for (int64_t k = g * s->group; k < (g + 1) * s->group; k++) {
            sum += x[k] * (w[k] - zero);
        }
        double w_scale = s->w_scale == NULL ? 1 : *scale_at(s->w_scale, n, g);
        double x_scale = s->x_scale == NULL ? 1 : *scale_at(s->x_scale, t, g);
        acc += sum * w_scale * x_scale;
    }
    return acc;
}

/* Row of a head's column d when pair_rows has stored its halves in turn. */
static int64_t paired_row(const Attrs *a, int64_t n)
{
    int64_t d = n % a->head_dim, half = a->head_dim / 2;
    return n - d + d % half / a->block * 2 * a->block + d / half * a->block + d % a->block;
}

static double output_at(const Frame *fr, const Op *op, const Slots *s, const Type *out,
                        int64_t flat)
{
    int64_t cols = out->dim[out->rank - 1], t = flat / cols, n = flat % cols;
    int64_t block = op->a.interleave;
    double acc[2];
    if (block > 0) {
        int64_t row = n / block * 2 * block + n % block;
        acc[0] = accumulate(s, t, row);
        acc[1] = accumulate(s, t, row + block);
    } else if (op->kind == OP_MATMUL_QKV && op->a.block > 0) {
        acc[0] = acc[1] = accumulate(s, t, paired_row(&op->a, n));
    } else {
        acc[0] = acc[1] = accumulate(s, t, n);
    }
    return op->expr == NULL ? acc[0] : interp_expr(fr, op, op->expr, out, flat, acc);
}

void interp_matmul(Frame *fr, const Op *op)
{
    Tensor *y = frame_new(fr, op, 0);
    Slots s = slots_of(fr, op, MATMUL_W_SCALE);
    for (int64_t i = 0, n = type_elements(y->type); i < n; i++) {
        y->v[i] = output_at(fr, op, &s, y->type, i);
    }
}

/* ---- matmul_qkv ------------------------------------------------------------------------------ */

void interp_finish_heads(const Op *op, double *x, int64_t heads, const Tensor *gain,
                         const double *angles)
{
    for (int64_t h = 0; h < heads; h++) {
        double *head = x + h * op->a.head_dim;
        if (gain != NULL) {
            interp_rms_row(head, op->a.head_dim, op->a.eps, gain->v);
        }
        if (angles != NULL) {
            int64_t dims = op->a.dims > 0 ? op->a.dims : op->a.head_dim;
            interp_rope_head(head, angles, dims, interp_rope_adjacent(op));
        }
    }
}

/* One token: row = [q heads | k heads | v heads]. */
static bool finish_row(Frame *fr, const Op *op, int64_t t, double *row, Tensor *q)
{
    int64_t nq = op->a.heads * op->a.head_dim, nk = op->a.kv_heads * op->a.head_dim;
    const Tensor *angles = frame_in(fr, op, QKV_ANGLES);
    const double *at = angles == NULL ? NULL : angles->v + t * tensor_cols(angles);
    interp_finish_heads(op, row, op->a.heads, frame_in(fr, op, QKV_Q_GAIN), at);
    interp_finish_heads(op, row + nq, op->a.kv_heads, frame_in(fr, op, QKV_K_GAIN), at);
    memcpy(q->v + t * nq, row, (size_t)nq * sizeof(double));
    double pos = frame_in(fr, op, QKV_POS)->v[t];
    return interp_append_row(fr, op, &fr->value[op->out[1]], t, pos, row + nq) &&
           interp_append_row(fr, op, &fr->value[op->out[2]], t, pos, row + nq + nk);
}

bool interp_matmul_qkv(Frame *fr, const Op *op)
{
    Tensor *q = frame_new(fr, op, 0);
    fr->value[op->out[1]] = fr->value[op->in[QKV_K_CACHE]];
    fr->value[op->out[2]] = fr->value[op->in[QKV_V_CACHE]];
    Slots s = slots_of(fr, op, QKV_W_SCALE);
    int64_t cols = (op->a.heads + 2 * op->a.kv_heads) * op->a.head_dim;
    Type merged = {.dtype = q->type->dtype, .rank = 2, .dim = {tensor_rows(s.x), cols}};
    double *row = ARENA_ARRAY(fr->arena, double, cols);
    for (int64_t t = 0; t < merged.dim[0]; t++) {
        for (int64_t n = 0; n < cols; n++) {
            row[n] = output_at(fr, op, &s, &merged, t * cols + n);
        }
        if (!finish_row(fr, op, t, row, q)) {
            return false;
        }
    }
    return true;
}
