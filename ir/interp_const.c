/* interp_const.c - the constant half of the IR, row by row.
 *
 * Every constant operator is row-local: rows [row, row + n) of the result need only certain rows of
 * its operands (and whole vectors such as a norm's gain). eval_rows() computes such a run from a
 * fetch function; the packer fetches by recursion down to rows of the checkpoint, the whole-tensor
 * interpreter from its tensors. One code, so both agree to the last bit.
 *
 * Quantisation (codes are exact integers; scales are rounded to f32, as they are stored):
 *   8 bits symmetric    scale = max|w| / 127             code = rint(w / scale), -127..127
 *   e4m3                scale = max|w| / 448             code = w / scale to e4m3
 *   4 bits symmetric    scale = max|w| / 7               code = rint(w / scale) + zero (8), 0..15
 *   4 bits asymmetric   lo = min(0, min w), hi = max(0, max w), scale = (hi - lo) / 15
 *                       zero = rint(-lo / scale), code = rint(w / scale) + zero, both 0..15
 * A group of zeros has scale 0 and its codes are the zero point. rint: to nearest, ties to even. */
#include "ir/interp_ops.h"

#include <math.h>
#include <string.h>

typedef struct Fetch {
    bool (*rows)(void *user, ValueId v, int64_t row, int64_t n, double *out);
    void *user;
    Arena *arena;
    const Func *func;
} Fetch;

static int64_t type_rows(const Type *t)
{
    return t->rank == 0 ? 1 : t->dim[0];
}

static int64_t type_cols(const Type *t)
{
    int64_t n = 1;
    for (int i = 1; i < t->rank; i++) {
        n *= t->dim[i];
    }
    return n;
}

static const Type *type_of(const Fetch *f, ValueId v)
{
    return f->func->value[v].type;
}

/* Rows [row, row + n) of an operand, on the arena; NULL after a diagnostic. */
static double *fetch(const Fetch *f, ValueId v, int64_t row, int64_t n)
{
    int64_t count = n * type_cols(type_of(f, v));
    double *out = ARENA_ARRAY(f->arena, double, count);
    return f->rows(f->user, v, row, n, out) ? out : NULL;
}

/* ---- rows put together ----------------------------------------------------------------------- */

static bool eval_concat(const Fetch *f, const Op *op, int64_t row, int64_t n, double *out)
{
    int64_t first = 0;
    for (int i = 0; i < op->n_in && op->in[i] != 0; i++) {
        const Type *t = type_of(f, op->in[i]);
        int64_t lo = row > first ? row : first;
        int64_t end = first + type_rows(t), hi = row + n < end ? row + n : end;
        if (lo < hi) {
            double *to = out + (lo - row) * type_cols(t);
            if (!f->rows(f->user, op->in[i], lo - first, hi - lo, to)) {
                return false;
            }
        }
        first = end;
    }
    return true;
}

/* Result row r is row (r / 2B) * B + r % B of operand (r / B) % 2; rows beyond an operand's end are
 * zeros. One run of rows needs one run of each operand. */
static bool eval_interleave(const Fetch *f, const Op *op, int64_t row, int64_t n, double *out)
{
    int64_t block = op->a.block, cols = type_cols(type_of(f, op->in[0]));
    int64_t lo = row / (2 * block) * block;
    int64_t hi = (row + n + 2 * block - 1) / (2 * block) * block;
    const double *part[2];
    int64_t count[2];
    for (int i = 0; i < 2; i++) {
        int64_t rows = type_rows(type_of(f, op->in[i]));
        count[i] = (hi < rows ? hi : rows) - lo;
        if (count[i] > 0 && (part[i] = fetch(f, op->in[i], lo, count[i])) == NULL) {
            return false;
        }
    }
    for (int64_t r = row; r < row + n; r++) {
        int which = (int)(r / block % 2);
        int64_t from = r / (2 * block) * block + r % block - lo;
        double *to = out + (r - row) * cols;
        if (from < count[which]) {
            memcpy(to, part[which] + from * cols, (size_t)cols * sizeof(double));
        } else {
            memset(to, 0, (size_t)cols * sizeof(double));
        }
    }
    return true;
}

/* Result row r of a head is row (r / 2B) * B + r % B of its half (r / B) % 2. */
static bool eval_pair_rows(const Fetch *f, const Op *op, int64_t row, int64_t n, double *out)
{
    int64_t block = op->a.block, head = op->a.head_dim, cols = type_cols(type_of(f, op->in[0]));
    int64_t lo = row / head * head, hi = (row + n + head - 1) / head * head;
    const double *from = fetch(f, op->in[0], lo, hi - lo);
    for (int64_t r = row; from != NULL && r < row + n; r++) {
        int64_t in = r % head, half = in / block % 2;
        int64_t at = r - in + half * (head / 2) + in / (2 * block) * block + in % block;
        memcpy(out + (r - row) * cols, from + (at - lo) * cols, (size_t)cols * sizeof(double));
    }
    return from != NULL;
}

static bool eval_scale_cols(const Fetch *f, const Op *op, int64_t row, int64_t n, double *out)
{
    int64_t cols = type_cols(type_of(f, op->in[0]));
    const double *gain = fetch(f, op->in[1], 0, type_rows(type_of(f, op->in[1])));
    if (gain == NULL || !f->rows(f->user, op->in[0], row, n, out)) {
        return false;
    }
    for (int64_t r = 0; r < n; r++) {
        for (int64_t k = 0; k < cols; k++) {
            out[r * cols + k] *= gain[k];
        }
    }
    return true;
}

/* ---- quantisation ---------------------------------------------------------------------------- */

static int64_t group_of(const Op *op, int64_t cols)
{
    return op->a.group > 0 ? op->a.group : cols;
}

/* Minimum and maximum of w and 0; four of each at a time, because one comparison waits for the one
 * before it. */
static void range_with_zero(const double *w, int64_t n, double *lo, double *hi)
{
    double low[4] = {0}, high[4] = {0};
    for (int64_t i = 0; i < n; i++) {
        low[i % 4] = w[i] < low[i % 4] ? w[i] : low[i % 4];
        high[i % 4] = w[i] > high[i % 4] ? w[i] : high[i % 4];
    }
    *lo = fmin(fmin(low[0], low[1]), fmin(low[2], low[3]));
    *hi = fmax(fmax(high[0], high[1]), fmax(high[2], high[3]));
}

static double symmetric_scale(const double *w, int64_t n, double levels)
{
    double lo, hi;
    range_with_zero(w, n, &lo, &hi);
    return fmax(-lo, hi) / levels;
}

/* rint for |x| < 2^51: the sum has no room for a fraction and is rounded to even. */
static double round_even(double x)
{
    const double shift = 0x1.8p52;
    return (x + shift) - shift;
}

static void quantize_group(const double *w, int64_t n, double scale, double zero, double lo,
                           double hi, double *out)
{
    for (int64_t i = 0; i < n; i++) {
        double code = (scale > 0 ? round_even(w[i] / scale) : 0) + zero;
        code = code < lo ? lo : code;
        out[i] = code > hi ? hi : code;
    }
}

static void quantize_group_e4m3(const double *w, int64_t n, double scale, double *out)
{
    for (int64_t i = 0; i < n; i++) {
        out[i] = scale > 0 ? dtype_round(DT_E4M3, w[i] / scale) : 0;
    }
}

static double group_scale(const Op *op, const double *w, int64_t n)
{
    if (op->a.dtype == DT_E4M3) {
        return symmetric_scale(w, n, dtype_largest_code(DT_E4M3));
    }
    double levels = (double)((INT64_C(1) << op->a.bits) - 1); /* 15 or 255 */
    if (op->a.asym == 0) {
        return symmetric_scale(w, n, (levels - 1) / 2);
    }
    double lo, hi;
    range_with_zero(w, n, &lo, &hi);
    return (hi - lo) / levels;
}

/* As it is stored, before a code is made with it. A group that is not zero keeps a scale: the
 * smallest, where the nearest is 0. */
static double stored_scale(DType t, double scale)
{
    double rounded = dtype_round(t, scale);
    return t == DT_F16 && scale > 0 && rounded <= 0 ? 0x1p-24 : rounded;
}

static bool eval_quant_scale(const Fetch *f, const Op *op, int64_t row, int64_t n, double *out)
{
    int64_t cols = type_cols(type_of(f, op->in[0])), group = group_of(op, cols);
    DType t = type_of(f, op->out[0])->dtype;
    const double *w = fetch(f, op->in[0], row, n);
    if (w == NULL) {
        return false;
    }
    for (int64_t i = 0; i < n * cols / group; i++) {
        out[i] = stored_scale(t, group_scale(op, w + i * group, group));
    }
    return true;
}

static bool eval_quant_zero(const Fetch *f, const Op *op, int64_t row, int64_t n, double *out)
{
    int64_t cols = type_cols(type_of(f, op->in[0])), group = group_of(op, cols);
    double levels = (double)((INT64_C(1) << op->a.bits) - 1);
    const double *w = fetch(f, op->in[0], row, n), *scale = fetch(f, op->in[1], row, n);
    if (w == NULL || scale == NULL) {
        return false;
    }
    for (int64_t i = 0; i < n * cols / group; i++) {
        double lo, hi;
        range_with_zero(w + i * group, group, &lo, &hi);
        out[i] = scale[i] > 0 ? fmin(fmax(rint(-lo / scale[i]), 0), levels) : 0;
    }
    return true;
}

static bool eval_quant_code(const Fetch *f, const Op *op, int64_t row, int64_t n, double *out)
{
    int64_t cols = type_cols(type_of(f, op->in[0])), group = group_of(op, cols);
    double lo = op->a.bits == 8 ? -127 : 0, hi = op->a.bits == 8 ? 127 : 15;
    const double *w = fetch(f, op->in[0], row, n), *scale = fetch(f, op->in[1], row, n);
    bool zeros = op->n_in > 2 && op->in[2] != 0;
    const double *zero = zeros ? fetch(f, op->in[2], row, n) : NULL;
    if (w == NULL || scale == NULL || (zeros && zero == NULL)) {
        return false;
    }
    for (int64_t g = 0; g < n * cols / group; g++) {
        double z = zeros ? zero[g] : (double)op->a.zero;
        if (op->a.dtype == DT_E4M3) {
            quantize_group_e4m3(w + g * group, group, scale[g], out + g * group);
            continue;
        }
        quantize_group(w + g * group, group, scale[g], z, lo, hi, out + g * group);
    }
    return true;
}

/* The scale's shape tells the group: as many neighbours share one as it has fewer elements. */
static bool eval_dequant(const Fetch *f, const Op *op, int64_t row, int64_t n, double *out)
{
    const Type *code = type_of(f, op->in[0]), *st = type_of(f, op->in[1]);
    int64_t cols = type_cols(code), group = cols / type_cols(st);
    const double *scale = fetch(f, op->in[1], row, n);
    bool zeros = op->n_in > 2 && op->in[2] != 0;
    const double *zero = zeros ? fetch(f, op->in[2], row, n) : NULL;
    if (scale == NULL || (zeros && zero == NULL) || !f->rows(f->user, op->in[0], row, n, out)) {
        return false;
    }
    for (int64_t i = 0; i < n * cols; i++) {
        double z = zeros ? zero[i / group] : (double)op->a.zero;
        out[i] = (out[i] - z) * scale[i / group];
    }
    return true;
}

/* Rounding to a float dtype is the caller's (every cast is rounded in round mode). */
static bool eval_cast(const Fetch *f, const Op *op, int64_t row, int64_t n, double *out)
{
    DType t = type_of(f, op->out[0])->dtype;
    if (!f->rows(f->user, op->in[0], row, n, out)) {
        return false;
    }
    for (int64_t i = 0; !dtype_is_float(t) && i < n * type_cols(type_of(f, op->out[0])); i++) {
        out[i] = dtype_round(t, out[i]);
    }
    return true;
}

/* ---- RoPE frequencies ------------------------------------------------------------------------ */

static double ramp(double x, double lo, double hi)
{
    return fmin(fmax((x - lo) / (hi - lo), 0), 1);
}

/* Llama 3.1: wavelengths longer than original_context / low_freq_factor are stretched by `factor`,
 * those shorter than original_context / high_freq_factor are kept, in between they are blended
 * (Hugging Face transformers, modeling_rope_utils.py, _compute_llama3_parameters). */
static double llama3_freq(const Attrs *a, double freq)
{
    double wavelength = 2 * acos(-1) / freq;
    double rotations = (double)a->original_context / wavelength;
    double keep = a->high_freq_factor > a->low_freq_factor
                      ? ramp(rotations, a->low_freq_factor, a->high_freq_factor)
                      : (rotations >= a->low_freq_factor ? 1 : 0);
    return (1 - keep) * freq / a->factor + keep * freq;
}

/* The (fractional) pair that turns `rotations` times within the original context. */
static double yarn_pair(const Attrs *a, double rotations)
{
    double per_rotation = (double)a->original_context / (rotations * 2 * acos(-1));
    return (double)a->dims * log(per_rotation) / (2 * log(a->theta));
}

/* YaRN (Peng et al. 2023, arXiv 2309.00071, "NTK-by-parts"): fast pairs are kept, slow ones divided
 * by `factor`, a linear ramp over pair numbers in between; the bounds are whole pairs as in Hugging
 * Face's _compute_yarn_parameters. beta_fast, beta_slow absent: 32 and 1. */
static double yarn_freq(const Attrs *a, int64_t pair, double freq)
{
    double fast = a->beta_fast > 0 ? a->beta_fast : 32, slow = a->beta_slow > 0 ? a->beta_slow : 1;
    double lo = fmax(floor(yarn_pair(a, fast)), 0);
    double hi = fmin(ceil(yarn_pair(a, slow)), (double)a->dims - 1);
    if (lo == hi) {
        hi += 0.001;
    }
    double stretch = ramp((double)pair, lo, hi);
    return freq / a->factor * stretch + freq * (1 - stretch);
}

static double rope_freq(const Op *op, int64_t pair)
{
    const Attrs *a = &op->a;
    double freq = pow(a->theta, -2 * (double)pair / (double)a->dims);
    if (a->kind == NULL || strcmp(a->kind, "default") == 0) {
        return freq;
    }
    if (strcmp(a->kind, "linear") == 0) {
        return freq / a->factor;
    }
    if (strcmp(a->kind, "llama3") == 0) {
        return llama3_freq(a, freq);
    }
    if (strcmp(a->kind, "yarn") == 0) {
        return yarn_freq(a, pair, freq);
    }
    if (strcmp(a->kind, "longrope") == 0 && pair < a->factors.n) {
        return freq / a->factors.v[pair];
    }
    BUG("rope_freqs: kind %s with %d factors passed the verifier", a->kind, a->factors.n);
}

/* Frequencies are f32 numbers from the start: the angle of a position is the position times the
 * stored frequency, here and in every kernel. */
static void eval_rope_freqs(const Op *op, int64_t row, int64_t n, double *out)
{
    for (int64_t i = 0; i < n; i++) {
        out[i] = dtype_round(DT_F32, rope_freq(op, row + i));
    }
}

/* ---- one operator, and a whole tree of them -------------------------------------------------- */

static bool eval_rows(const Fetch *f, const Op *op, int64_t row, int64_t n, double *out)
{
    if (op->kind == OP_CONCAT_ROWS) {
        return eval_concat(f, op, row, n, out);
    }
    if (op->kind == OP_INTERLEAVE_ROWS) {
        return eval_interleave(f, op, row, n, out);
    }
    if (op->kind == OP_PAIR_ROWS) {
        return eval_pair_rows(f, op, row, n, out);
    }
    if (op->kind == OP_SCALE_COLS) {
        return eval_scale_cols(f, op, row, n, out);
    }
    if (op->kind == OP_QUANT_SCALE) {
        return eval_quant_scale(f, op, row, n, out);
    }
    if (op->kind == OP_QUANT_ZERO) {
        return eval_quant_zero(f, op, row, n, out);
    }
    if (op->kind == OP_QUANT_CODE) {
        return eval_quant_code(f, op, row, n, out);
    }
    if (op->kind == OP_DEQUANT) {
        return eval_dequant(f, op, row, n, out);
    }
    if (op->kind == OP_CAST) {
        return eval_cast(f, op, row, n, out);
    }
    if (op->kind == OP_TILE) {
        return f->rows(f->user, op->in[0], row, n, out);
    }
    if (op->kind == OP_ROPE_FREQS) {
        eval_rope_freqs(op, row, n, out);
        return true;
    }
    BUG("%s is not an operator on constants", op_name(op->kind));
}

static bool fetch_tensor(void *user, ValueId v, int64_t row, int64_t n, double *out)
{
    const Frame *fr = user;
    const Tensor *t = &fr->value[v];
    int64_t cols = tensor_cols(t);
    memcpy(out, t->v + row * cols, (size_t)(n * cols) * sizeof(double));
    return true;
}

bool interp_const_op(Frame *fr, const Op *op)
{
    Fetch f = {.rows = fetch_tensor, .user = fr, .arena = fr->arena, .func = fr->func};
    Tensor *y = frame_new(fr, op, 0);
    return eval_rows(&f, op, 0, tensor_rows(y), y->v);
}

typedef struct Stream {
    Fetch fetch;
    const ConstSource *src;
    const bool *stored;
    ValueId root;
} Stream;

static bool stream_rows(void *user, ValueId v, int64_t row, int64_t n, double *out)
{
    Stream *s = user;
    const Func *f = s->fetch.func;
    const Value *value = &f->value[v];
    if (value->kind == VALUE_WEIGHT) {
        return s->src->load(s->src->user, value->name, row, n, out);
    }
    if (!value->constant) {
        BUG("%%%s is not a constant", value->name);
    }
    const Op *op = &f->op[value->def];
    if (!eval_rows(&s->fetch, op, row, n, out)) {
        return false;
    }
    bool root = v == s->root && dtype_is_float(value->type->dtype);
    if (root || interp_rounds(f, s->stored, op, v)) {
        dtype_round_all(value->type->dtype, out, n * type_cols(value->type));
    }
    return true;
}

bool interp_const_rows(Arena *scratch, const Func *f, ValueId v, int64_t row, int64_t n,
                       const ConstSource *src, double *out)
{
    Stream s = {.fetch = {.rows = stream_rows, .arena = scratch, .func = f},
                .src = src,
                .stored = interp_stored_values(scratch, f),
                .root = v};
    s.fetch.user = &s;
    return stream_rows(&s, v, row, n, out);
}
