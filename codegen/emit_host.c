/* emit_host.c - the functions that templates call.
 *
 *   used(name)              does the program mention the name? (prelude only)
 *   repeat(s, n)            "s, s, s"                 string(i)   the number as text
 *   run(s), runs(s, upper)  lanes of a transposition
 *   has(param)              is this operand there?    f32(x)      a float literal
 *   row(param, t)           pointer to row t          scalar(param, i)   one element as float
 *   get(param, t, n), put(param, t, n, value)         the same by row and column (GPU targets)
 *   address(param, row, k)  pointer to an element in its stored order, k a multiple of what one
 *                           address holds
 *   zero(row, g)            the zero point of a group
 *   weight(param, row, k)   one element of a matrix in its stored order, dequantised
 *   sequence(t)             whose cache row t uses    to_k, from_k ...   conversions of caches
 *   load_q, load_k, load_v  a vector of a head
 *   accs, store             the epilogue              element, scale_factors   for dot_any
 *
 * and those of emit_dot.c and emit_dot_block.c. */
#include "codegen/emit_call.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

bool call_text(const Call *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const char *s = arena_vprintf(c->ctx->arena, fmt, ap);
    va_end(ap);
    *c->out = formula_string(str_intern(c->ctx->strings, s));
    return true;
}

const char *call_string(const Call *c, int i)
{
    return c->arg[i].type == FV_STRING ? c->arg[i].s : "";
}

const KernelParam *call_param(const Call *c, int i)
{
    const KernelParam *p = emit_find_param(c->k, call_string(c, i));
    if (p == NULL) {
        diag_error(c->ctx->diag, c->at, "kernel %s has no parameter '%s'", c->k->symbol,
                   call_string(c, i));
    }
    return p;
}

const char *call_factor(const Call *c, int i)
{
    const char *s = call_string(c, i);
    for (const char *p = s; *p != '\0'; p++) {
        if (!isalnum((unsigned char)*p) && *p != '_') {
            return s[0] == '(' ? s : arena_printf(c->ctx->arena, "(%s)", s);
        }
    }
    return s;
}

/* ---- text helpers ---------------------------------------------------------------------------- */

static bool host_repeat(const Call *c)
{
    Buf b = buf_create(c->ctx->arena);
    for (int64_t i = 0; i < c->arg[1].i; i++) {
        buf_printf(&b, "%s%s", i > 0 ? ", " : "", call_string(c, 0));
    }
    return call_text(c, "%s", b.data);
}

/* run(s): lanes that change places in stage s of a transposition. */
static bool host_run(const Call *c)
{
    *c->out = formula_int((int64_t)1 << c->arg[0].i);
    return true;
}

/* runs(s, upper): of each two runs of run(s) lanes the lower (upper) ones of two vectors in turn.
 */
static bool host_runs(const Call *c)
{
    int lanes = c->k->emit->plan->target->isa->lanes, run = 1 << c->arg[0].i;
    int shift = c->arg[1].i != 0 ? run : 0;
    Buf b = buf_create(c->ctx->arena);
    for (int i = 0; i < lanes; i++) {
        bool second = (i / run) % 2 == 1;
        buf_printf(&b, "%s%d", i > 0 ? ", " : "", (second ? lanes + i - run : i) + shift);
    }
    return call_text(c, "%s", b.data);
}

static bool host_string(const Call *c)
{
    return call_text(c, "%lld", (long long)c->arg[0].i);
}

static bool host_f32(const Call *c)
{
    return call_text(c, "%s", emit_f32(c->ctx, formula_number(&c->arg[0])));
}

static bool host_has(const Call *c)
{
    *c->out = formula_bool(emit_find_param(c->k, call_string(c, 0)) != NULL);
    return true;
}

/* ---- activations ----------------------------------------------------------------------------- */

static bool host_row(const Call *c)
{
    const KernelParam *p = call_param(c, 0);
    if (p == NULL) {
        return false;
    }
    if (p->stride == 1) {
        return call_text(c, "%s + %s", p->name, call_string(c, 1));
    }
    return call_text(c, "%s + %s * %lld", p->name, call_factor(c, 1), (long long)p->stride);
}

const char *emit_as_float(Ctx *ctx, DType stored, const char *s)
{
    switch ((int)stored) {
    case DT_BF16:
        return arena_printf(ctx->arena, "float_of_bf16(%s)", s);
    case DT_F16:
        return arena_printf(ctx->arena, "float_of_f16(%s)", s);
    case DT_E4M3:
        return arena_printf(ctx->arena, "float_of_e4m3(%s)", s);
    case DT_F32:
        return s;
    default:
        return arena_printf(ctx->arena, "(float)%s", s);
    }
}

static const char *from_float(Ctx *ctx, DType stored, const char *s)
{
    return stored == DT_BF16   ? arena_printf(ctx->arena, "bf16_of_float(%s)", s)
           : stored == DT_F16  ? arena_printf(ctx->arena, "f16_of_float(%s)", s)
           : stored == DT_E4M3 ? arena_printf(ctx->arena, "e4m3_of_float(%s)", s)
                               : s;
}

/* get("x", t, n): element n of row t as a float. */
static bool host_get(const Call *c)
{
    const KernelParam *p = call_param(c, 0);
    if (p == NULL) {
        return false;
    }
    const char *at = arena_printf(c->ctx->arena, "%s[%s * %lld + %s]", p->name, call_factor(c, 1),
                                  (long long)p->stride, call_string(c, 2));
    return call_text(c, "%s", emit_as_float(c->ctx, p->stored, at));
}

static bool host_scalar(const Call *c)
{
    const KernelParam *p = call_param(c, 0);
    if (p == NULL) {
        return false;
    }
    const char *element = arena_printf(c->ctx->arena, "%s[%s]", p->name, call_string(c, 1));
    return call_text(c, "%s", emit_as_float(c->ctx, p->stored, element));
}

/* ---- matrices in their stored order ---------------------------------------------------------- */

int64_t call_columns(const Type *t)
{
    return t->rank < 2 ? 1 : t->dim[1];
}

/* Index of (row, col) as C text; both are words or numbers. u4: of the byte. */
static const char *stored_index(Ctx *ctx, const Type *t, const char *row, const char *col)
{
    Layout l = t->layout;
    long long cols = call_columns(t), rows = l.rows;
    if (t->rank < 2) {
        return row;
    }
    if (rows == 0) {
        return arena_printf(ctx->arena, "%s * %lld + %s", row, cols, col);
    }
    if (l.cols == 1) {
        return arena_printf(ctx->arena, "(%s / %lld * %lld + %s) * %lld + %s %% %lld", row, rows,
                            cols, col, rows, row, rows);
    }
    long long across = (cols + l.cols - 1) / l.cols, bytes = l.sub > 0 ? l.sub : l.cols;
    return arena_printf(ctx->arena,
                        "((%s / %lld * %lld + %s / %d) * %lld + %s %% %lld) * %lld + %s %% %lld",
                        row, rows, across, col, l.cols, rows, row, rows, bytes, col, bytes);
}

static const char *nibble(Ctx *ctx, const KernelParam *w, const char *row, const char *col)
{
    const Type *t = w->ir;
    const char *at = stored_index(ctx, t, row, col);
    if (t->layout.sub > 0) {
        return arena_printf(ctx->arena, "(%s[%s] >> %s / %d %% 2 * 4 & 15)", w->name, at, col,
                            t->layout.sub);
    }
    return arena_printf(ctx->arena, "(%s[(%s) / 2] >> (%s) %% 2 * 4 & 15)", w->name, at, at);
}

/* One weight, codes as integers. */
static const char *element(Ctx *ctx, const KernelParam *w, const char *row, const char *col)
{
    if (w->stored == DT_U4) {
        return nibble(ctx, w, row, col);
    }
    const char *e = arena_printf(ctx->arena, "%s[%s]", w->name, stored_index(ctx, w->ir, row, col));
    return w->stored == DT_I8 || w->stored == DT_U8 ? e : emit_as_float(ctx, w->stored, e);
}

/* " * scale[...]" of group g (ignored when there is one group). */
static const char *scale_text(Ctx *ctx, const KernelParam *p, const char *row, const char *g)
{
    if (p == NULL) {
        return "";
    }
    const char *group = call_columns(p->ir) == 1 ? "0" : g;
    const char *e =
        arena_printf(ctx->arena, "%s[%s]", p->name, stored_index(ctx, p->ir, row, group));
    return arena_printf(ctx->arena, " * %s", emit_as_float(ctx, p->stored, e));
}

/* "(code - zero)": zero is a parameter, an attribute or nothing. */
static const char *centred(const Call *c, const char *code, const char *row, const char *g)
{
    const KernelParam *zero = emit_find_param(c->k, "w_zero");
    int64_t constant = c->k->op->a.zero;
    if (zero != NULL) {
        const char *group = call_columns(zero->ir) == 1 ? "0" : g;
        return arena_printf(c->ctx->arena, "(%s - %s)", code, element(c->ctx, zero, row, group));
    }
    return constant != 0 ? arena_printf(c->ctx->arena, "(%s - %lld)", code, (long long)constant)
                         : code;
}

static bool is_code(const KernelParam *w)
{
    return dtype_is_code(w->stored);
}

/* zero(row, g): a group's zero point, of the operand or the attribute. */
static bool host_zero(const Call *c)
{
    const KernelParam *zero = emit_find_param(c->k, "w_zero");
    if (zero == NULL) {
        return call_text(c, "%lld", (long long)c->k->op->a.zero);
    }
    const char *group = call_columns(zero->ir) == 1 ? "0" : call_string(c, 1);
    return call_text(c, "%s", element(c->ctx, zero, call_string(c, 0), group));
}

/* weight("w", row, k): a dequantised element. */
static bool host_weight(const Call *c)
{
    const KernelParam *w = call_param(c, 0);
    if (w == NULL) {
        return false;
    }
    const char *row = call_string(c, 1), *col = call_string(c, 2);
    int64_t group = c->k->op->a.group > 0 ? c->k->op->a.group : call_columns(w->ir);
    const char *g = arena_printf(c->ctx->arena, "(%s / %lld)", col, (long long)group);
    const char *e = element(c->ctx, w, row, col);
    if (!is_code(w)) {
        return call_text(c, "%s", e);
    }
    return call_text(c, "(float)%s%s", centred(c, e, row, g),
                     scale_text(c->ctx, emit_find_param(c->k, "w_scale"), row, g));
}

/* address("w", row, k): where columns from k on of a row lie; 4-bit codes: k even. */
static bool host_address(const Call *c)
{
    const KernelParam *w = call_param(c, 0);
    if (w == NULL) {
        return false;
    }
    const char *at = stored_index(c->ctx, w->ir, call_factor(c, 1), call_factor(c, 2));
    return w->stored == DT_U4 ? call_text(c, "%s + (%s) / 2", w->name, at)
                              : call_text(c, "%s + %s", w->name, at);
}

/* element(row, k, g): a weight less its zero point, not scaled. */
static bool host_element(const Call *c)
{
    const KernelParam *w = emit_find_param(c->k, "w");
    const char *e = element(c->ctx, w, call_string(c, 0), call_string(c, 1));
    bool convert = is_code(w) && emit_find_param(c->k, "x")->stored != DT_I8;
    const char *zeroed = is_code(w) ? centred(c, e, call_string(c, 0), call_string(c, 2)) : e;
    return call_text(c, "%s%s", convert ? "(float)" : "", zeroed);
}

/* scale_factors(row, g, t) */
static bool host_scale_factors(const Call *c)
{
    const KernelParam *w = emit_find_param(c->k, "w_scale"), *x = emit_find_param(c->k, "x_scale");
    return call_text(c, "%s%s", scale_text(c->ctx, w, call_string(c, 0), call_string(c, 1)),
                     scale_text(c->ctx, x, call_string(c, 2), call_string(c, 1)));
}

/* ---- the epilogue ---------------------------------------------------------------------------- */

/* accs("acc", t, j): the accumulators of LANES columns as vectors acc0 (and acc1). */
static bool host_accs(const Call *c)
{
    const KernelConfig *cfg = &c->k->kernel->config;
    long long row = (long long)cfg->tiles * c->k->lanes;
    Buf b = buf_create(c->ctx->arena);
    const char *t = call_string(c, 1), *j = call_string(c, 2);
    for (int way = 0; way < cfg->ways; way++) {
        buf_printf(&b, "const VecF acc%d = vec_load(%s + %s * %lld + %s%s%s);\n", way,
                   call_string(c, 0), t, row, cfg->ways > 1 ? "2 * " : "", j,
                   way > 0 ? " + LANES" : "");
    }
    return call_text(c, "%s", b.data);
}

/* GPU targets: element n of row t, in the dtype in which the parameter is stored. */
static bool put_element(const Call *c, const KernelParam *p, const char *value)
{
    return call_text(c, "%s[%s * %lld + %s] = %s;", p->name, call_factor(c, 1),
                     (long long)p->stride, call_string(c, 2), from_float(c->ctx, p->stored, value));
}

/* put("q", t, n, value) */
static bool host_put(const Call *c)
{
    const KernelParam *p = call_param(c, 0);
    return p != NULL && put_element(c, p, call_string(c, 3));
}

/* store("out", t, n, left) of the kernel's value. */
static bool host_store(const Call *c)
{
    const KernelParam *p = call_param(c, 0);
    if (p == NULL) {
        return false;
    }
    if (c->k->lanes == 1) {
        return put_element(c, p, emit_value(c->k));
    }
    return call_text(c, "vec_store%s(%s + %s * %lld + %s, %s%s);", c->k->ragged ? "_n" : "",
                     p->name, call_factor(c, 1), (long long)p->stride, call_string(c, 2),
                     emit_value(c->k), c->k->ragged ? ", left" : "");
}

/* ---- caches ---------------------------------------------------------------------------------- */

static bool host_sequence(const Call *c)
{
    bool one = c->k->phase->module->phase == PHASE_PREFILL;
    return call_text(c, "%s", one ? "0" : call_string(c, 0));
}

static DType cache_dtype(const Call *c, const char *name)
{
    const KernelParam *p = emit_find_param(c->k, name);
    return p != NULL ? p->stored : DT_F32;
}

static bool host_to_cache(const Call *c)
{
    return call_text(c, "%s", from_float(c->ctx, cache_dtype(c, "cache"), call_string(c, 0)));
}

static bool host_to_k(const Call *c)
{
    return call_text(c, "%s", from_float(c->ctx, cache_dtype(c, "k_cache"), call_string(c, 0)));
}

static bool host_to_v(const Call *c)
{
    return call_text(c, "%s", from_float(c->ctx, cache_dtype(c, "v_cache"), call_string(c, 0)));
}

static bool host_from_k(const Call *c)
{
    return call_text(c, "%s", emit_as_float(c->ctx, cache_dtype(c, "k_cache"), call_string(c, 0)));
}

static bool host_from_v(const Call *c)
{
    return call_text(c, "%s", emit_as_float(c->ctx, cache_dtype(c, "v_cache"), call_string(c, 0)));
}

/* ---- attention ------------------------------------------------------------------------------- */

/* Vector c of a head at p; heads that are not whole vectors end with zeros. */
static bool load_of_head(const Call *c, DType stored)
{
    const char *kind = stored == DT_BF16   ? "_bf16"
                       : stored == DT_F16  ? "_f16"
                       : stored == DT_I8   ? "_i8"
                       : stored == DT_E4M3 ? "_e4m3"
                                           : "";
    long long at = (long long)c->arg[1].i * c->k->lanes;
    const char *from = at == 0 ? call_string(c, 0)
                               : arena_printf(c->ctx->arena, "%s + %lld", call_string(c, 0), at);
    int64_t head_dim = c->k->op->a.head_dim;
    if (head_dim % c->k->lanes == 0) {
        return call_text(c, "vec_load%s(%s)", kind, from);
    }
    return call_text(c, "vec_load%s_n(%s, %lld)", kind, from, (long long)head_dim - at);
}

static bool host_load_q(const Call *c)
{
    return load_of_head(c, DT_F32);
}

static bool host_load_k(const Call *c)
{
    return load_of_head(c, cache_dtype(c, "k_cache"));
}

static bool host_load_v(const Call *c)
{
    return load_of_head(c, cache_dtype(c, "v_cache"));
}

/* ---- dispatch -------------------------------------------------------------------------------- */

static const TemplateFunction host_functions[] = {
    {"repeat", 2, host_repeat},     {"string", 1, host_string},
    {"run", 1, host_run},           {"runs", 2, host_runs},
    {"f32", 1, host_f32},           {"has", 1, host_has},
    {"row", 2, host_row},           {"scalar", 2, host_scalar},
    {"get", 3, host_get},           {"address", 3, host_address},
    {"zero", 2, host_zero},         {"weight", 3, host_weight},
    {"element", 3, host_element},   {"scale_factors", 3, host_scale_factors},
    {"accs", 3, host_accs},         {"store", 3, host_store},
    {"put", 4, host_put},           {"sequence", 1, host_sequence},
    {"to_cache", 1, host_to_cache}, {"to_k", 1, host_to_k},
    {"to_v", 1, host_to_v},         {"from_k", 1, host_from_k},
    {"from_v", 1, host_from_v},     {"load_q", 2, host_load_q},
    {"load_k", 2, host_load_k},     {"load_v", 2, host_load_v},
};

static const TemplateFunction *find(const TemplateFunction *f, size_t n, Str name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(f[i].name, name) == 0) {
            return &f[i];
        }
    }
    return NULL;
}

static const TemplateFunction *find_function(Str name)
{
    size_t n_dot, n_block;
    const TemplateFunction *of_dot = emit_dot_functions(&n_dot);
    const TemplateFunction *of_block = emit_dot_block_functions(&n_block);
    const TemplateFunction *f =
        find(host_functions, sizeof host_functions / sizeof host_functions[0], name);
    f = f != NULL ? f : find(of_dot, n_dot, name);
    return f != NULL ? f : find(of_block, n_block, name);
}

bool emit_host_call(void *user, Str name, const FormulaValue *arg, int n_args, Span at,
                    FormulaValue *out, bool *known)
{
    KernelText *k = user;
    const TemplateFunction *f = find_function(name);
    *known = f != NULL;
    if (f == NULL) {
        return true;
    }
    if (f->n_args != n_args) {
        return diag_error(k->emit->ctx->diag, at, "%s takes %d arguments, found %d", name,
                          f->n_args, n_args);
    }
    Call c = {.k = k, .ctx = k->emit->ctx, .arg = arg, .n = n_args, .at = at, .out = out};
    return f->fn(&c);
}
