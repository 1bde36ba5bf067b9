/* select.c - picks the kernel of an operator: the first line of kernels.def that fits, then the
 * family and size of its register block (dot.h). */
#include "codegen/select.h"

#include <string.h>

#include "codegen/dot.h"
#include "ir/slots.h"

typedef struct Choice {
    const Target *target;
    const Module *module;
    const Func *func;
    const Op *op;
} Choice;

typedef struct KernelDef {
    OpKind op;
    bool (*fits)(const Choice *c);
    const char *template, *reason;
} KernelDef;

static bool always(const Choice *c)
{
    (void)c;
    return true;
}

static bool in_prefill(const Choice *c)
{
    return c->module->phase == PHASE_PREFILL;
}

static const Type *type_in(const Choice *c, int slot)
{
    return c->op->in[slot] == 0 ? NULL : c->func->value[c->op->in[slot]].type;
}

static int scale_slot(const Op *op)
{
    return op->kind == OP_MATMUL_QKV ? (int)QKV_W_SCALE : (int)MATMUL_W_SCALE;
}

static bool same_layout(Layout a, Layout b)
{
    return a.rows == b.rows && a.cols == b.cols && a.sub == b.sub;
}

/* Scales and zero points of a whole tile can be loaded as one vector. */
static bool scales_fit(const Choice *c, int slot)
{
    const Type *t = type_in(c, slot);
    int lanes = c->target->isa->lanes;
    if (t == NULL) {
        return true;
    }
    return t->layout.rows == lanes ? t->layout.cols == 1 : t->dim[0] % lanes == 0;
}

static bool tiled_weights(const Choice *c)
{
    const Type *w = type_in(c, MATMUL_W), *x = type_in(c, MATMUL_X);
    Layout tile = c->target->tile[w->dtype];
    bool codes = w->dtype == DT_I8 || w->dtype == DT_U4 || w->dtype == DT_E4M3;
    int64_t group = c->op->a.group;
    int64_t interleave = c->op->a.interleave;
    int slot = scale_slot(c->op);
    bool plain_scale = c->op->in[slot] == 0 && c->op->in[slot + 2] == 0 && c->op->a.zero == 0;
    return tile.rows > 0 && same_layout(w->layout, tile) && scales_fit(c, slot) &&
           scales_fit(c, slot + 1) && (codes || (x->dtype != DT_I8 && plain_scale)) &&
           (codes || group == 0) && group % tile.cols == 0 &&
           (interleave == 0 || interleave == tile.rows);
}

static const KernelDef kernel_defs[] = {
#define KERNEL(op, predicate, template, reason) {OP_##op, predicate, template, reason},
#include "codegen/kernels.def"
#undef KERNEL
};

/* ---- matmul: the register block -------------------------------------------------------------- */

/* Dot products need x packed: where the target has them, or few rows would share the widening of
 * weights, and x has no more bits than they keep. */
static const char *family_name(const Choice *c)
{
    enum { FEW_ROWS = 2 };
    DType w = type_in(c, MATMUL_W)->dtype, x = type_in(c, MATMUL_X)->dtype;
    const Isa *isa = c->target->isa;
    bool vectors = isa->avx512 || isa->avx2 || isa->neon;
    bool dots = isa->vnni || isa->dotprod || (vectors && c->module->tokens <= FEW_ROWS);
    if (!tiled_weights(c)) {
        return "any";
    }
    if (w == DT_I8) {
        return x == DT_I8 ? "i8i8" : dots && x != DT_F32 ? "i8planes" : "i8";
    }
    if (w == DT_U4) {
        return x == DT_I8 ? "u4i8" : dots && x != DT_F32 ? "u4planes" : "u4";
    }
    return w == DT_BF16 && x == DT_BF16 && isa->vnni ? "pairs" : dtype_name(w);
}

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static DotBlock matmul_block(const Choice *c, const KernelConfig *cfg, int64_t n_tiles)
{
    const Type *w = type_in(c, MATMUL_W);
    Layout tile = c->target->tile[w->dtype];
    int64_t group = c->op->a.group > 0 ? c->op->a.group : w->dim[1];
    DotShape shape = {.isa = c->target->isa,
                      .caches = c->target->caches,
                      .rows = c->module->tokens,
                      .columns = w->dim[1],
                      .tiles = n_tiles,
                      .steps = ceil_div(group, tile.cols),
                      .column_bits = 32 / tile.cols,
                      .ways = cfg->ways,
                      .grouped = c->op->a.group > 0};
    return dot_block(dot_family(cfg->dot), &shape);
}

static void configure_matmul(const Choice *c, Kernel *k)
{
    int lanes = c->target->isa->lanes;
    const Type *w = type_in(c, MATMUL_W), *y = c->func->value[c->op->out[0]].type;
    KernelConfig *cfg = &k->config;
    cfg->dot = family_name(c);
    cfg->ways = c->op->a.interleave > 0 ? 2 : 1;
    cfg->per_phase = true;
    int64_t columns = c->op->kind == OP_MATMUL_QKV ? w->dim[0] : y->dim[y->rank - 1];
    int64_t n_tiles = ceil_div(columns, lanes) * cfg->ways;
    DotBlock block = matmul_block(c, cfg, n_tiles);
    cfg->tokens = block.tokens;
    cfg->tiles = block.tiles;
    cfg->calls = block.calls;
    cfg->unroll = block.unroll;
    cfg->ahead = block.ahead;
    cfg->block_rows = block.rows;
    cfg->units = n_tiles / cfg->tiles;
    k->split = (SplitBy){SPLIT_COLS, lanes * cfg->tiles / cfg->ways, cfg->units};
}

/* In decode a thread that makes the keys of some heads also attends to them. */
static SplitBy split_by_heads(const Choice *c)
{
    bool decode = c->module->phase == PHASE_DECODE;
    return decode ? (SplitBy){SPLIT_HEADS, 1, c->op->a.kv_heads} : (SplitBy){SPLIT_NONE, 0, 0};
}

/* Tiles of one head; a thread computes a head's tiles whole, so a tile across two heads twice. */
static void configure_qkv(const Choice *c, Kernel *k)
{
    const Attrs *a = &c->op->a;
    int lanes = c->target->isa->lanes;
    configure_matmul(c, k);
    int64_t head_tiles = a->head_dim % lanes == 0 ? a->head_dim / lanes : 1;
    while (head_tiles % k->config.tiles != 0) {
        k->config.tiles /= 2;
        k->config.calls = 1;
    }
    k->config.units = a->heads + 2 * a->kv_heads;
    k->split = split_by_heads(c);
}

/* ---- elementwise: blocks of columns ---------------------------------------------------------- */

static void configure_map(const Choice *c, Kernel *k)
{
    const Type *y = c->func->value[c->op->out[0]].type;
    int64_t unit = c->target->isa->lanes * 4;
    k->config.units = ceil_div(y->dim[y->rank - 1], unit);
    k->split = (SplitBy){SPLIT_COLS, unit, k->config.units};
}

/* A norm of few rows is done sooner by every thread for itself than by one for all that wait. */
static bool each_for_itself(const Choice *c)
{
    enum { MOST_ELEMENTS = 8192 }; /* of x: results lie on the threads' stacks */
    const Type *x = type_in(c, 0);
    bool norm = c->op->kind == OP_ROW_RMS || c->op->kind == OP_RMSNORM ||
                c->op->kind == OP_LAYERNORM || c->op->kind == OP_RMSNORM_QUANT ||
                c->op->kind == OP_QUANTIZE;
    return norm && c->module->phase == PHASE_DECODE && x->dim[0] * x->dim[1] <= MOST_ELEMENTS;
}

static void configure(const Choice *c, Kernel *k)
{
    k->split = (SplitBy){SPLIT_ROWS, 1, 0};
    k->each_thread = each_for_itself(c);
    switch ((int)c->op->kind) {
    case OP_MATMUL:
        configure_matmul(c, k);
        break;
    case OP_MATMUL_QKV:
        configure_qkv(c, k);
        break;
    case OP_QKV_APPEND:
    case OP_ATTENTION:
        k->split = split_by_heads(c);
        break;
    case OP_ATTN_SCORES:
    case OP_ATTN_MIX:
    case OP_SOFTMAX:
        k->split = (SplitBy){SPLIT_NONE, 0, 0};
        break;
    case OP_RMSNORM: /* groups of a row go to different threads */
        k->split.kind = c->op->a.group > 0 ? SPLIT_NONE : SPLIT_ROWS;
        break;
    default:
        if ((op_flags(c->op->kind) & OPF_ELEMENT) != 0) {
            configure_map(c, k);
        }
    }
}

bool select_kernel(Ctx *ctx, const Target *target, const Module *m, const Func *f, Kernel *k)
{
    if (target->gpu) {
        return select_cuda(ctx, target, m, f, k);
    }
    const Op *op = &f->op[k->op];
    Choice c = {.target = target, .module = m, .func = f, .op = op};
    for (size_t i = 0; i < sizeof kernel_defs / sizeof kernel_defs[0]; i++) {
        const KernelDef *def = &kernel_defs[i];
        if (def->op == op->kind && def->fits(&c)) {
            k->config.template = def->template;
            k->reason = str_intern(ctx->strings, def->reason);
            configure(&c, k);
            return true;
        }
    }
    return diag_error(ctx->diag, op->at, "target %s has no kernel for %s", target->name,
                      op_name(op->kind));
}

void select_print(Buf *b, const KernelConfig *c)
{
    buf_puts(b, c->variant != NULL ? c->variant : c->template);
    if (c->dot != NULL) {
        buf_printf(b, " %s, %d token%s x %d tile%s", c->dot, c->tokens, c->tokens == 1 ? "" : "s",
                   c->tiles, c->tiles == 1 ? "" : "s");
    }
    if (c->units > 0) {
        buf_printf(b, ", %lld units", (long long)c->units);
    }
}
