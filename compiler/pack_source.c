/* pack_source.c - where the numbers of the weights come from: a checkpoint, or a seed. */
#include "compiler/pack.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "compiler/import_hf.h"
#include "ir/interp.h"

static const Span nowhere = {0, 0};

/* Numbers read between two times that the memory of the mapped files is given back. */
enum { FORGET_AFTER = 8 << 20 };

typedef struct Located {
    Str weight;
    WeightRef ref;
} Located;

struct PackSource {
    Ctx *ctx;
    Importer *importer; /* NULL: random */
    uint64_t seed;
    const Func *func;
    int layer;
    VEC(Located) located; /* of this function and layer */
    int64_t numbers_read; /* since the last import_forget */
};

PackSource *pack_source_open(Ctx *ctx, const ModelSpec *spec, const char *checkpoint, uint64_t seed)
{
    PackSource *s = ARENA_NEW(ctx->arena, PackSource);
    s->ctx = ctx;
    s->seed = seed;
    s->layer = -1;
    if (checkpoint) {
        s->importer = import_open(ctx, spec, checkpoint);
    }
    return !checkpoint || s->importer ? s : NULL;
}

void pack_source_close(PackSource *s)
{
    if (s->importer) {
        import_close(s->importer);
    }
}

void pack_source_select(PackSource *s, const Func *f, int layer)
{
    if (s->func != f || s->layer != layer) {
        s->func = f;
        s->layer = layer;
        s->located.n = 0;
    }
}

bool pack_source_check_unused(const PackSource *s)
{
    return !s->importer || import_check_unused(s->importer);
}

/* ---- random ---------------------------------------------------------------------------------- */

/* splitmix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014. */
static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Nearly N(0, 1): four uniform 16-bit numbers, whose sum has variance 4 * 2^32 / 12. */
static double gauss(uint64_t key, uint64_t index)
{
    uint64_t z = mix(key + (index + 1) * 0x9e3779b97f4a7c15u);
    uint64_t sum = (z & 0xffff) + (z >> 16 & 0xffff) + (z >> 32 & 0xffff) + (z >> 48);
    return ((double)sum - 131070.0) / 37837.2272;
}

static bool contains(const char *s, const char *word)
{
    return strstr(s, word) != NULL;
}

void pack_random_rows(uint64_t seed, int layer, const char *weight, const Type *type, int64_t row,
                      int64_t n, double *out)
{
    uint64_t key = mix(seed) + (uint64_t)(int64_t)layer;
    for (const char *c = weight; *c; c++) {
        key = mix(key ^ (unsigned char)*c);
    }
    bool vector = type->rank < 2;
    bool gain = vector && contains(weight, "norm") && !contains(weight, "bias");
    int64_t cols = vector ? 1 : type_elements(type) / type->dim[0];
    double mean = gain ? 1 : 0, spread = gain ? 0.1 : vector ? 0.01 : 0.02;
    for (int64_t i = 0; i < n * cols; i++) {
        out[i] = mean + spread * gauss(key, (uint64_t)(row * cols + i));
    }
    dtype_round_all(type->dtype, out, n * cols);
}

/* ---- checkpoint ------------------------------------------------------------------------------ */

static const WeightRef *locate(PackSource *s, Str weight, const Type *type)
{
    for (size_t i = 0; i < s->located.n; i++) {
        if (s->located.data[i].weight == weight) {
            return &s->located.data[i].ref;
        }
    }
    Located l = {.weight = weight};
    if (!import_locate(s->importer, s->layer, weight, type, &l.ref)) {
        return NULL;
    }
    vec_push(s->ctx->arena, &s->located, l);
    return &s->located.data[s->located.n - 1].ref;
}

/* x * 0 is 0 for every finite x. */
static bool all_finite(const double *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += x[i] * 0;
    }
    return sum == 0;
}

/* Names the first number of x that is not finite. what: NULL, or why it is not. */
static bool report_not_finite(const PackSource *s, const WeightRef *ref, int64_t row,
                              const double *x, const char *what)
{
    int64_t i = 0;
    while (isfinite(x[i])) {
        i++;
    }
    int64_t r = ref->first + row + i / ref->cols, c = i % ref->cols;
    what = what ? what : isnan(x[i]) ? "not a number" : "infinite";
    const char *at = ref->tensor->rank < 2
                         ? arena_printf(s->ctx->arena, "%" PRId64, r)
                         : arena_printf(s->ctx->arena, "%" PRId64 ", %" PRId64,
                                        ref->transposed ? c : r, ref->transposed ? r : c);
    return diag_error(s->ctx->diag, nowhere, "%s: tensor '%s' has a number that is %s at [%s]",
                      ref->tensor->file, ref->tensor->name, what, at);
}

/* Weights are what the IR says that they are: a checkpoint in another dtype is rounded first. */
static bool round_to(const PackSource *s, const WeightRef *ref, DType t, int64_t row, int64_t n,
                     double *x)
{
    if (ref->tensor->dtype == t || t == DT_F32) {
        return true;
    }
    dtype_round_all(t, x, n * ref->cols);
    return all_finite(x, n * ref->cols) ||
           report_not_finite(s, ref, row, x,
                             arena_printf(s->ctx->arena, "too large for %s", dtype_name(t)));
}

bool pack_source_load(void *user, Str weight, int64_t row, int64_t n, double *out)
{
    PackSource *s = user;
    ValueId v = ir_find_value(s->func, weight);
    if (v == 0) {
        BUG("@%s has no weight %s", s->func->name, weight);
    }
    const Type *type = s->func->value[v].type;
    if (!s->importer) {
        pack_random_rows(s->seed, s->layer, weight, type, row, n, out);
        return true;
    }
    const WeightRef *ref = locate(s, weight, type);
    if (!ref) {
        return false;
    }
    checkpoint_read(ref, row, n, out);
    s->numbers_read += n * ref->cols;
    if (s->numbers_read > FORGET_AFTER) {
        import_forget(s->importer);
        s->numbers_read = 0;
    }
    return (all_finite(out, n * ref->cols) || report_not_finite(s, ref, row, out, NULL)) &&
           round_to(s, ref, type->dtype, row, n, out);
}
