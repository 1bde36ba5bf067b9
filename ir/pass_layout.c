/* pass_layout.c - every matrix that a kernel streams is stored in the order in which it is read.
 *
 *   %y = matmul %x, @w : ...      =>   %w_tiled = tile @w {rows = 16, cols = 2} : bf16[N, K]
 * tile(16, 2, 0) %y = matmul %x, %w_tiled : ...
 *
 * The target gives a layout per dtype (env->tile). Scales and zero points of groups, [N, K /
 * group], are tiled rows x 1, so that the `rows` scales of one group lie together; vectors stay as
 * they are. Operators that share a constant share its tiled form: a tied embedding is stored once.
 * Where the target wants it (env->pair_heads), the rows of q, k and v are paired first, so that
 * what RoPE rotates together, rows d and d + head_dim / 2 of a head, lies in one tile:
 *
 *   matmul_qkv %x, @w, ...   =>   %p = pair_rows @w {head_dim = 64, block = 8}
 *                                 matmul_qkv %x, %p, ... {block = 8}
 *
 * Requires: weights in their final form (after dequant_group). Keeps: types but for the layout. */
#include "ir/pass.h"

#include <string.h>

#include "ir/slots.h"

/* The tiled form of v, made when there is none yet. */
static ValueId tiled(Func *f, ValueId v, Layout layout, Span at)
{
    FOR_EACH_OP(f, id)
    {
        const Op *op = &f->op[id];
        if (op->kind == OP_TILE && op->in[0] == v && op->a.rows == layout.rows &&
            op->a.cols == layout.cols && op->a.sub == layout.sub) {
            return op->out[0];
        }
    }
    Op tile = {.kind = OP_TILE, .n_in = 1, .in = {v}, .at = at};
    tile.a.rows = layout.rows;
    tile.a.cols = layout.cols;
    tile.a.sub = layout.sub;
    StrTable *strings = f->module->ctx->strings;
    tile.origin = str_intern(strings, "layout");
    return ir_op1(f, &tile, str_internf(strings, "%s_tiled", f->value[v].name));
}

static int tile_operand(Func *f, OpId id, int slot, Layout layout)
{
    const Op *op = &f->op[id];
    if (slot >= op->n_in || op->in[slot] == 0 || layout.rows == 0) {
        return 0;
    }
    const Value *v = &f->value[op->in[slot]];
    if (!v->constant || v->type->rank != 2 || v->type->layout.rows != 0) {
        return 0;
    }
    ValueId t = tiled(f, op->in[slot], layout, op->at);
    f->op[id].in[slot] = t;
    return 1;
}

static void pair_operand(Func *f, OpId id, int slot, int64_t block)
{
    const Op *op = &f->op[id];
    if (op->in[slot] == 0) {
        return;
    }
    StrTable *strings = f->module->ctx->strings;
    Op pair = {.kind = OP_PAIR_ROWS, .n_in = 1, .in = {op->in[slot]}, .at = op->at};
    pair.a.head_dim = op->a.head_dim;
    pair.a.block = block;
    pair.origin = str_intern(strings, "layout");
    Str name = str_internf(strings, "%s_paired", f->value[op->in[slot]].name);
    ValueId v = ir_op1(f, &pair, name);
    f->op[id].in[slot] = v;
}

/* A norm spans the whole head, other rotations other rows: those stay in order. */
bool pass_pairs_heads(const Func *f, const Op *op, const PassEnv *env)
{
    const Attrs *a = &op->a;
    bool norm = op->in[QKV_Q_GAIN] != 0 || op->in[QKV_K_GAIN] != 0;
    bool adjacent = a->style != NULL && strcmp(a->style, "adjacent") == 0;
    bool whole = op->in[QKV_ANGLES] == 0 || a->dims == a->head_dim;
    return env->pair_heads && op->kind == OP_MATMUL_QKV && a->block == 0 && !norm && !adjacent &&
           whole && a->head_dim % (2 * env->block) == 0 && f->value[op->in[QKV_W]].constant;
}

static int pair_heads(Func *f, OpId id, const PassEnv *env)
{
    if (!pass_pairs_heads(f, &f->op[id], env)) {
        return 0;
    }
    for (int slot = QKV_W_SCALE; slot <= QKV_W_ZERO; slot++) {
        pair_operand(f, id, slot, env->block);
    }
    pair_operand(f, id, QKV_W, env->block);
    f->op[id].a.block = env->block;
    return 1;
}

/* Where the weight is, and its scale (zero points follow it). */
static bool weight_slots(OpKind kind, int *w, int *scale)
{
    if (kind == OP_MATMUL) {
        *w = MATMUL_W;
        *scale = MATMUL_W_SCALE;
    } else if (kind == OP_MATMUL_QKV) {
        *w = QKV_W;
        *scale = QKV_W_SCALE;
    } else if (kind == OP_EMBED) {
        *w = EMBED_W;
        *scale = EMBED_W_SCALE;
    } else {
        return false;
    }
    return true;
}

int pass_layout(Func *f, PassEnv *env)
{
    int changes = 0, w = 0, scale = 0;
    uint32_t n_ops = f->n_ops;
    for (OpId id = 1; id < n_ops; id++) {
        if (f->op[id].dead || !weight_slots(f->op[id].kind, &w, &scale)) {
            continue;
        }
        const Type *type = f->value[f->op[id].in[w]].type;
        Layout layout = env->tile[type->dtype];
        if (env->whole_tiles && layout.rows > 0 && type->dim[1] % layout.cols != 0) {
            continue;
        }
        changes += pair_heads(f, id, env);
        Layout column = {.rows = layout.rows, .cols = 1};
        changes += tile_operand(f, id, w, layout);
        changes += tile_operand(f, id, scale, column);
        changes += tile_operand(f, id, scale + 1, column);
    }
    if (changes > 0 && !ir_sort(f)) {
        BUG("layout made a cycle in @%s", f->name);
    }
    return changes;
}
