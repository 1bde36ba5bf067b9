/* emit_stream.c - the variables of templates/cuda/matmul_stream.cu. */
#include "codegen/emit_setup.h"

#include "codegen/stream.h"
#include "ir/slots.h"

static void set_shape(KernelText *k, const StreamShape *s)
{
    emit_set_int(k, "TOKENS", s->tokens);
    emit_set_int(k, "BITS", s->bits);
    emit_set_int(k, "LINE", s->line);
    emit_set_int(k, "X_BYTES", s->x_bytes);
    emit_set_int(k, "WARPS", STREAM_WARPS);
    emit_set_int(k, "TILES", s->tiles);
    emit_set_int(k, "CHUNK", s->chunk);
    emit_set_int(k, "SLOTS", s->slots);
    emit_set_int(k, "ROUND", s->round);
    emit_set_int(k, "PARTS", s->parts);
    emit_set_int(k, "SWEEP", s->sweep);
    emit_set_int(k, "GROUPS_IN_BLOCK", s->groups_in_block);
    emit_set_int(k, "BLOCK_BYTES", s->block_bytes);
    emit_set_int(k, "SQUARES_AT", s->squares_at);
    emit_set_int(k, "START_AT", s->start_at);
    emit_set_int(k, "SHARED", s->shared);
    tmpl_set_bool(&k->env, "x_held", s->held);
    tmpl_set_bool(&k->env, "scaled", s->groups_in_block > 0);
    tmpl_set_bool(&k->env, "fast_groups", s->fast_groups);
}

/* How eight numbers of a dtype are loaded: "uint4", "load_bf16x8", "floats_of_bf16x8". */
static void set_gain(KernelText *k)
{
    const KernelParam *gain = emit_find_param(k, "norm_gain");
    if (gain == NULL) {
        return;
    }
    Arena *a = k->emit->ctx->arena;
    const char *type = dtype_name(gain->stored);
    tmpl_set_string(&k->env, "gain_octet", gain->stored == DT_F32 ? "Float8" : "uint4");
    tmpl_set_string(&k->env, "load_gain", arena_printf(a, "load_%sx8", type));
    tmpl_set_string(&k->env, "gain_floats", arena_printf(a, "floats_of_%sx8", type));
}

/* How x is held: the pairs that a multiplication takes together, by the width of a weight. */
static void set_held(KernelText *k, const StreamShape *s, const KernelParam *x, const char *pair)
{
    static const char order[3][9] = {"01234567", "02134657", "04152637"};
    enum { AT_ONCE_F32 = 10, AT_ONCE = 16 };
    Arena *a = k->emit->ctx->arena;
    const char *at = order[s->bits == 16 ? 0 : s->bits == 8 ? 1 : 2];
    bool wide = x->stored == DT_F32;
    emit_set_int(k, "AT_ONCE", wide ? AT_ONCE_F32 : AT_ONCE);
    tmpl_set_string(&k->env, "raw_octet", wide ? "raw[i - turn]" : "x_regs[i]");
    for (int i = 0; i < 4; i++) {
        const char *name = arena_printf(a, "x_pair_%c", 'a' + i);
        tmpl_set_string(&k->env, name,
                        arena_printf(a, "%s(xs[%c], xs[%c])", pair, at[2 * i], at[2 * i + 1]));
    }
}

void emit_stream_variables(KernelText *k)
{
    const Op *op = k->op;
    StreamShape s = stream_shape(k->pf->func, op, k->phase->module->tokens);
    const KernelParam *x = emit_find_param(k, "x");
    bool f16 = emit_find_param(k, "w")->stored == DT_F16;
    Arena *a = k->emit->ctx->arena;
    set_shape(k, &s);
    set_gain(k);
    emit_set_int(k, "ZERO", op->a.zero);
    emit_set_int(k, "GROUP", op->a.group);
    emit_set_int(k, "WAYS", op->a.interleave > 0 ? 2 : 1);
    tmpl_set_bool(&k->env, "has_norm", op->a.norm_eps > 0);
    tmpl_set_string(&k->env, "norm_eps", emit_f32(k->emit->ctx, op->a.norm_eps));
    bool e4m3 = emit_find_param(k, "w")->stored == DT_E4M3;
    tmpl_set_bool(&k->env, "codes_in", s.codes_in);
    tmpl_set_bool(&k->env, "small", e4m3 && !s.codes_in);
    tmpl_set_string(&k->env, "sum_type", s.codes_in && !e4m3 ? "int" : "float");
    tmpl_set_string(&k->env, "bf16_of_codes", e4m3 ? "bf16_of_e4m3x8" : "bf16_of_i8x8");
    tmpl_set_string(&k->env, "x_bytes", x->stored == DT_F32 ? "32" : "16");
    tmpl_set_string(&k->env, "x_floats", arena_printf(a, "floats_of_%sx8", dtype_name(x->stored)));
    const char *pair = f16 ? "f16_pair" : "bf16_pair";
    tmpl_set_string(&k->env, "pair", pair);
    tmpl_set_bool(&k->env, "x_as_it_is",
                  s.bits == 16 && x->stored != DT_F32 && op->a.norm_eps <= 0);
    set_held(k, &s, x, pair);
    tmpl_set_string(&k->env, "mma",
                    !s.codes_in ? f16 ? "mma_f16" : "mma_bf16"
                    : e4m3      ? "mma_e4m3"
                                : "mma_s8");
    tmpl_set_string(&k->env, "block", s.codes_in ? "stream_codes" : "stream_block");
    tmpl_set_string(&k->env, "block_sum", s.fast_groups ? "group" : "sum");
    tmpl_set_string(&k->env, "finish", op->kind == OP_MATMUL_QKV ? "stream_heads" : "stream_store");
}
