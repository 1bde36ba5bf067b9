/* interp_norm.c - norms, dynamic quantisation and embedding, in double precision.
 *
 * quantize: scale = max|x| / 127 (e4m3: 448) rounded to f32 (it is stored so), code = x / scale to
 * the nearest integer (e4m3: number of that dtype), ties to even. A row of zeros has scale 0 and
 * codes 0. */
#include "ir/interp_ops.h"

#include <math.h>
#include <string.h>

static double inverse_rms(const double *x, int64_t n, double eps)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += x[i] * x[i];
    }
    return 1 / sqrt(sum / (double)n + eps);
}

void interp_rms_row(double *x, int64_t n, double eps, const double *gain)
{
    double r = inverse_rms(x, n, eps);
    for (int64_t i = 0; i < n; i++) {
        x[i] *= r * (gain == NULL ? 1 : gain[i]);
    }
}

void interp_rmsnorm(Frame *fr, const Op *op)
{
    const Tensor *x = frame_in(fr, op, 0), *gain = frame_in(fr, op, 1);
    Tensor *y = frame_new(fr, op, 0);
    int64_t n = type_elements(x->type);
    int64_t group = op->a.group > 0 ? op->a.group : tensor_cols(x);
    memcpy(y->v, x->v, (size_t)n * sizeof(double));
    for (int64_t i = 0; i < n; i += group) {
        interp_rms_row(y->v + i, group, op->a.eps, gain == NULL ? NULL : gain->v);
    }
}

static void layernorm_row(double *x, int64_t n, double eps, const Tensor *gain, const Tensor *bias)
{
    double mean = 0, var = 0;
    for (int64_t i = 0; i < n; i++) {
        mean += x[i];
    }
    mean /= (double)n;
    for (int64_t i = 0; i < n; i++) {
        var += (x[i] - mean) * (x[i] - mean);
    }
    double r = 1 / sqrt(var / (double)n + eps);
    for (int64_t i = 0; i < n; i++) {
        double g = gain == NULL ? 1 : gain->v[i];
        x[i] = (x[i] - mean) * r * g + (bias == NULL ? 0 : bias->v[i]);
    }
}

void interp_layernorm(Frame *fr, const Op *op)
{
    const Tensor *x = frame_in(fr, op, 0);
    Tensor *y = frame_new(fr, op, 0);
    int64_t n = type_elements(x->type), cols = tensor_cols(x);
    memcpy(y->v, x->v, (size_t)n * sizeof(double));
    for (int64_t i = 0; i < n; i += cols) {
        layernorm_row(y->v + i, cols, op->a.eps, frame_in(fr, op, 1), frame_in(fr, op, 2));
    }
}

void interp_row_rms(Frame *fr, const Op *op)
{
    const Tensor *x = frame_in(fr, op, 0);
    Tensor *y = frame_new(fr, op, 0);
    for (int64_t t = 0, cols = tensor_cols(x); t < tensor_rows(x); t++) {
        y->v[t] = inverse_rms(x->v + t * cols, cols, op->a.eps);
    }
}

void interp_quantize_group(DType t, const double *x, int64_t n, double *code, double *scale)
{
    double most = dtype_largest_code(t);
    double max = 0;
    for (int64_t i = 0; i < n; i++) {
        max = fmax(max, fabs(x[i]));
    }
    *scale = dtype_round(DT_F32, max / most);
    for (int64_t i = 0; i < n; i++) {
        double c = *scale > 0 ? dtype_round(t, x[i] / *scale) : 0;
        code[i] = fmin(fmax(c, -most), most);
    }
}

static void quantize_all(const double *x, int64_t group, Tensor *code, Tensor *scale)
{
    for (int64_t i = 0, n = type_elements(code->type) / group; i < n; i++) {
        interp_quantize_group(code->type->dtype, x + i * group, group, code->v + i * group,
                              &scale->v[i]);
    }
}

void interp_quantize(Frame *fr, const Op *op)
{
    const Tensor *x = frame_in(fr, op, 0);
    Tensor *code = frame_new(fr, op, 0), *scale = frame_new(fr, op, 1);
    quantize_all(x->v, op->a.group > 0 ? op->a.group : tensor_cols(x), code, scale);
}

void interp_rmsnorm_quant(Frame *fr, const Op *op)
{
    const Tensor *x = frame_in(fr, op, 0), *gain = frame_in(fr, op, 1);
    Tensor *code = frame_new(fr, op, 0), *scale = frame_new(fr, op, 1);
    Tensor y = tensor_create(fr->arena, x->type);
    int64_t cols = tensor_cols(x);
    memcpy(y.v, x->v, (size_t)type_elements(x->type) * sizeof(double));
    for (int64_t t = 0; t < tensor_rows(x); t++) {
        interp_rms_row(y.v + t * cols, cols, op->a.eps, gain == NULL ? NULL : gain->v);
    }
    quantize_all(y.v, cols, code, scale);
}

/* ---- embedding ------------------------------------------------------------------------------- */

static void embed_row(const Frame *fr, const Op *op, int64_t id, double *out)
{
    const Tensor *w = frame_in(fr, op, EMBED_W), *scale = frame_in(fr, op, EMBED_W_SCALE);
    const Tensor *zero = frame_in(fr, op, EMBED_W_ZERO);
    int64_t cols = tensor_cols(w);
    int64_t group = scale == NULL ? cols : type_elements(w->type) / type_elements(scale->type);
    for (int64_t k = 0; k < cols; k++) {
        int64_t i = id * cols + k;
        double z = zero == NULL ? (double)op->a.zero : zero->v[i / group];
        out[k] = scale == NULL ? w->v[i] : (w->v[i] - z) * scale->v[i / group];
    }
}

/* Negative ids mark unused rows (pos = -1) and give zeros. */
bool interp_embed(Frame *fr, const Op *op)
{
    const Tensor *ids = frame_in(fr, op, EMBED_IDS), *w = frame_in(fr, op, EMBED_W);
    Tensor *y = frame_new(fr, op, 0);
    int64_t cols = tensor_cols(w);
    for (int64_t t = 0; t < tensor_rows(ids); t++) {
        int64_t id = (int64_t)ids->v[t];
        if (id >= tensor_rows(w)) {
            return frame_error(fr, op,
                               "id %lld at row %lld is out of range, the table has %lld rows",
                               (long long)id, (long long)t, (long long)tensor_rows(w));
        }
        if (id >= 0) {
            embed_row(fr, op, id, y->v + t * cols);
        }
    }
    return true;
}
