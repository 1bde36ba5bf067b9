/* select_cuda.c - picks the kernel of an operator on a GPU: the first line of kernels_cuda.def that
 * fits, then how many weight rows and tokens a block takes.
 *
 * In decode a block takes all T tokens, so that every weight is read once; in prefill 8. */
#include "codegen/select.h"

#include <string.h>

#include "codegen/stream.h"
#include "ir/slots.h"

typedef struct Choice {
    const Module *module;
    const Func *func;
    const Op *op;
} Choice;

typedef struct KernelDef {
    OpKind op;
    bool (*fits)(const Choice *c);
    const char *template, *variant, *reason;
} KernelDef;

static bool always(const Choice *c)
{
    (void)c;
    return true;
}

static const Type *type_in(const Choice *c, int slot)
{
    return c->op->in[slot] == 0 ? NULL : c->func->value[c->op->in[slot]].type;
}

/* Codes of 8 bits by codes of the same kind, in whole tiles; scales are the epilogue's. */
static bool multiplies_codes(const Choice *c)
{
    const Type *w = type_in(c, MATMUL_W), *x = type_in(c, MATMUL_X);
    int scale = c->op->kind == OP_MATMUL_QKV ? (int)QKV_W_SCALE : (int)MATMUL_W_SCALE;
    return (x->dtype == DT_I8 || x->dtype == DT_E4M3) && w->dtype == x->dtype &&
           w->layout.rows > 0 && c->op->in[scale] == 0 && c->op->a.zero == 0;
}

/* Many tokens of one sequence by weights that are 16 bits wide as x is, or become it: codes are,
 * exactly, and a group's scale is multiplied into them; or by codes like its own. Whole steps along
 * K, of one group each thread. */
static bool tensor_cores(const Choice *c)
{
    enum { FEW_TOKENS = 32, TILE = 8 };
    const Type *w = type_in(c, MATMUL_W), *x = type_in(c, MATMUL_X);
    bool qkv = c->op->kind == OP_MATMUL_QKV;
    int x_scale = qkv ? (int)QKV_X_SCALE : (int)MATMUL_X_SCALE;
    bool dtype =
        w->dtype == x->dtype || w->dtype == DT_I8 || w->dtype == DT_U4 || w->dtype == DT_E4M3;
    bool narrow = x->dtype == DT_BF16 || x->dtype == DT_F16, both = multiplies_codes(c);
    int64_t step = both ? 64 : 32;
    return c->module->phase == PHASE_PREFILL && c->module->tokens >= FEW_TOKENS &&
           (both || (dtype && narrow)) && c->op->in[x_scale] == 0 && w->dim[1] % step == 0 &&
           c->op->a.group % TILE == 0 && (c->op->a.interleave == 0 || c->op->a.interleave == TILE);
}

/* Few tokens by weights in whole tiles; heads whose rotated rows lie in one. */
static bool streams(const Choice *c)
{
    bool heads = c->op->kind == OP_MATMUL_QKV;
    return c->module->phase == PHASE_DECODE && type_in(c, MATMUL_W)->layout.rows > 0 &&
           (!heads || c->op->a.block == 8) && stream_takes(c->func, c->op) &&
           stream_fits(c->func, c->op, c->module->tokens);
}

/* A thread takes eight columns of a head, a warp whole positions. */
static bool whole_octets(const Choice *c)
{
    return c->op->a.head_dim % 8 == 0 && c->op->a.head_dim <= 256;
}

/* Octets too; queries of 16 bits, keys and values alike, in 16 bits or as codes of 8 bits, which
 * are bf16 exactly. f32 keeps its bits. */
static bool tensor_attention(const Choice *c)
{
    DType q = type_in(c, ATTN_Q)->dtype, k = type_in(c, ATTN_K)->dtype;
    return whole_octets(c) && (q == DT_BF16 || q == DT_F16) && k == type_in(c, ATTN_V)->dtype &&
           (k == DT_BF16 || k == DT_F16 || k == DT_I8 || k == DT_E4M3);
}

static bool splits_cache(const Choice *c)
{
    return c->module->phase == PHASE_DECODE && tensor_attention(c);
}

/* The largest score is looked for before the scale is multiplied in. Codes of the next positions
 * wait in registers, which those of longer heads do not fit. */
static bool many_queries(const Choice *c)
{
    bool fits = !dtype_is_code(type_in(c, ATTN_K)->dtype) || c->op->a.head_dim <= 128;
    return c->module->phase == PHASE_PREFILL && tensor_attention(c) && c->op->a.scale >= 0 && fits;
}

/* Also: no norm over the head, and RoPE rotates all of it by halves. */
static bool tensor_heads(const Choice *c)
{
    const Attrs *a = &c->op->a;
    bool norm = c->op->in[QKV_Q_GAIN] != 0 || c->op->in[QKV_K_GAIN] != 0;
    bool adjacent = a->style != NULL && strcmp(a->style, "adjacent") == 0;
    bool whole = c->op->in[QKV_ANGLES] == 0 || a->dims == a->head_dim;
    return tensor_cores(c) && !norm && !adjacent && whole && a->head_dim % 16 == 0 &&
           a->head_dim <= 128 && (a->block == 0 || a->block == 8);
}

static const KernelDef kernel_defs[] = {
#define KERNEL(op, predicate, template, variant, reason)                                           \
    {OP_##op, predicate, template, variant, reason},
#include "codegen/kernels_cuda.def"
#undef KERNEL
};

enum { PREFILL_TOKENS = 8, ROWS_IN_BLOCK = 8, FEW_ROWS = 4096 };

/* Few rows, or many tokens with a sum each: smaller blocks. */
static int rows_in_block(const Choice *c, int tokens)
{
    int64_t rows = type_in(c, MATMUL_W)->dim[0];
    if (c->op->a.group > 0 && tokens > 4) {
        return ROWS_IN_BLOCK / 4; /* scales and sums of more rows do not fit the registers */
    }
    return rows < FEW_ROWS || tokens > 2 ? ROWS_IN_BLOCK / 2 : ROWS_IN_BLOCK;
}

enum { TENSOR_TOKENS = 128 };

/* Weight rows of a tile: as many as leave a tile for every multiprocessor of a large GPU. */
static int tensor_rows(int64_t rows)
{
    enum { MULTIPROCESSORS = 132 };
    int n = 128;
    while (n > 32 && rows / n < MULTIPROCESSORS) {
        n /= 2;
    }
    return n;
}

static void configure_stream(const Choice *c, KernelConfig *cfg)
{
    StreamShape s = stream_shape(c->func, c->op, c->module->tokens);
    cfg->tokens = s.tokens;
    cfg->tiles = 1;
    cfg->units = s.tiles;
}

static void configure_matmul(const Choice *c, Kernel *k)
{
    KernelConfig *cfg = &k->config;
    const Type *y = c->func->value[c->op->out[0]].type;
    int64_t rows = type_in(c, MATMUL_W)->dim[0];
    int t = c->module->tokens;
    cfg->dot = dtype_name(type_in(c, MATMUL_W)->dtype);
    cfg->ways = c->op->a.interleave > 0 ? 2 : 1;
    cfg->tokens = t < PREFILL_TOKENS ? t : PREFILL_TOKENS;
    cfg->tiles = rows_in_block(c, cfg->tokens);
    cfg->per_phase = true;
    if (cfg->variant != NULL && strcmp(cfg->variant, "matmul_stream") == 0) {
        configure_stream(c, cfg);
        return;
    }
    if (cfg->variant != NULL) {
        cfg->tokens = TENSOR_TOKENS;
        cfg->tiles = c->op->kind == OP_MATMUL_QKV ? (int)c->op->a.head_dim : tensor_rows(rows);
        cfg->units = (rows + cfg->tiles - 1) / cfg->tiles;
        return;
    }
    int64_t columns = c->op->kind == OP_MATMUL_QKV ? rows : y->dim[y->rank - 1];
    int64_t in_block = cfg->tiles / cfg->ways;
    cfg->units = (columns + in_block - 1) / in_block;
}

bool select_cuda(Ctx *ctx, const Target *target, const Module *m, const Func *f, Kernel *k)
{
    const Op *op = &f->op[k->op];
    Choice c = {.module = m, .func = f, .op = op};
    for (size_t i = 0; i < sizeof kernel_defs / sizeof kernel_defs[0]; i++) {
        const KernelDef *def = &kernel_defs[i];
        if (def->op == op->kind && def->fits(&c)) {
            k->config.template = def->template;
            k->config.variant = def->variant;
            k->reason = str_intern(ctx->strings, def->reason);
            if (op->kind == OP_MATMUL || op->kind == OP_MATMUL_QKV) {
                configure_matmul(&c, k);
            }
            return true;
        }
    }
    return diag_error(ctx->diag, op->at, "target %s has no kernel for %s", target->name,
                      op_name(op->kind));
}
