/* Every shipped rule proved by the interpreter: a function that holds its left side, over random
 * shapes and values, gives the same numbers after the rule fired. And near misses: what differs in
 * one condition stays as it is, with the reason in the ledger. */
#include "ir_case.h"

#include <dirent.h>

#include "compiler/base/file.h"
#include "ir/pass.h"
#include "ir/rule_ast.h"

static uint64_t seed;

enum { ROUNDS = 4, MAX_TEXT = 8192 };

typedef struct Proof {
    const char *rules;  /* applied one after another, each to its fixpoint */
    int fires;          /* of all of them together */
    const char *result; /* a piece of the printed function afterwards; NULL: any */
    const char *reason; /* a piece of a refusal in the ledger; NULL: none is looked for */
    const char *text;   /* <T> tokens, <K> <N> <M> features, <G> group, <2G> .. <4G> = 2 .. 4 G */
} Proof;

/* ---- the table ------------------------------------------------------------------------------- */

#define X_WEIGHTS "func @f(%x: f32[<T>, <K>]) weights"
#define ONE_RESULT " -> (%y: f32[<T>, <N>]) {\n"
#define END "  return %y\n}\n"

static const Proof proofs[] = {
    /* norm_gain */
    {"norm_gain", 1, "%y = matmul %n1, ", NULL,
     X_WEIGHTS "(@g: f32[<K>], @w: f32[<N>, <K>])" ONE_RESULT
               "  %n = rmsnorm %x, gain = @g {eps = 0.01}\n  %y = matmul %n, @w\n" END},
    {"norm_gain", 2, "scale_cols", NULL,
     X_WEIGHTS
     "(@g: f32[<K>], @w: f32[<N>, <K>], @v: f32[<N>, <K>])" ONE_RESULT
     "  %n = rmsnorm %x, gain = @g {eps = 0.01}\n  %a = matmul %n, @w {epilogue = silu(acc)}\n"
     "  %b = matmul %n, @v\n  %y = mul %a, %b\n" END},
    {"norm_gain", 1, "layernorm %x {eps = 0.01}", NULL,
     X_WEIGHTS "(@g: f32[<K>], @w: f32[<N>, <K>])" ONE_RESULT
               "  %n = layernorm %x, gain = @g {eps = 0.01}\n  %y = matmul %n, @w\n" END},
    {"norm_gain", 0, NULL, NULL, /* the layernorm has a bias */
     X_WEIGHTS
     "(@g: f32[<K>], @b: f32[<K>], @w: f32[<N>, <K>])" ONE_RESULT
     "  %n = layernorm %x, gain = @g, bias = @b {eps = 0.01}\n  %y = matmul %n, @w\n" END},
    {"norm_gain", 0, NULL, "%n is also read by add", /* another reader */
     X_WEIGHTS "(@g: f32[<K>], @w: f32[<K>, <K>]) -> (%y: f32[<T>, <K>]) {\n"
               "  %n = rmsnorm %x, gain = @g {eps = 0.01}\n  %d = matmul %n, @w\n"
               "  %y = add %d, %n\n" END},
    {"norm_gain", 0, NULL, "%n is returned",
     X_WEIGHTS "(@g: f32[<K>], @w: f32[<K>, <K>]) -> (%y: f32[<T>, <K>], %n: f32[<T>, <K>]) {\n"
               "  %n = rmsnorm %x, gain = @g {eps = 0.01}\n  %y = matmul %n, @w\n"
               "  return %y, %n\n}\n"},
    {"norm_gain", 0, NULL, "integer codes|not a floating type", /* quantised already */
     X_WEIGHTS "(@g: f32[<K>], @w: i8[<N>, <K>])" ONE_RESULT
               "  %n = rmsnorm %x, gain = @g {eps = 0.01}\n  %y = matmul %n, @w\n" END},
    {"norm_gain", 0, NULL, NULL, /* the weight is no constant */
     "func @f(%x: f32[<T>, <K>], %w: f32[<N>, <K>]) weights(@g: f32[<K>])" ONE_RESULT
     "  %n = rmsnorm %x, gain = @g {eps = 0.01}\n  %y = matmul %n, %w\n" END},
    {"norm_gain", 0, NULL, NULL, /* qk-norm: one gain for all groups of columns */
     X_WEIGHTS "(@g: f32[<G>], @w: f32[<N>, <4G>], @v: f32[<4G>, <K>])" ONE_RESULT
               "  %q = matmul %x, @v\n  %n = rmsnorm %q, gain = @g {eps = 0.01, group = <G>}\n"
               "  %y = matmul %n, @w\n" END},

    /* norm_row_scale */
    {"norm_row_scale", 1, "epilogue = mul(acc, ", NULL,
     X_WEIGHTS "(@w: f32[<N>, <K>])" ONE_RESULT
               "  %n = rmsnorm %x {eps = 0.01}\n  %y = matmul %n, @w\n" END},
    {"norm_row_scale", 1, "epilogue = silu(add(mul(acc, ", NULL,
     X_WEIGHTS "(@w: f32[<N>, <K>], @b: f32[<N>])" ONE_RESULT "  %n = rmsnorm %x {eps = 0.01}\n"
               "  %y = matmul %n, @w {epilogue = silu(add(acc, @b))}\n" END},
    {"norm_row_scale", 0, NULL, NULL, /* a gain is left */
     X_WEIGHTS "(@g: f32[<K>], @w: f32[<N>, <K>])" ONE_RESULT
               "  %n = rmsnorm %x, gain = @g {eps = 0.01}\n  %y = matmul %n, @w\n" END},
    {"norm_row_scale", 0, NULL, "%n is also read by silu",
     X_WEIGHTS "(@w: f32[<K>, <K>]) -> (%y: f32[<T>, <K>]) {\n  %n = rmsnorm %x {eps = 0.01}\n"
               "  %d = matmul %n, @w\n  %a = silu %n\n  %y = add %d, %a\n" END},

    /* dequant_channel */
    {"dequant_channel", 1, "epilogue = mul(acc, @s)", NULL,
     X_WEIGHTS "(@c: i8[<N>, <K>], @s: f32[<N>])" ONE_RESULT
               "  %w = dequant @c, @s\n  %y = matmul %x, %w\n" END},
    {"dequant_channel", 1, "zero = 8", NULL,
     X_WEIGHTS "(@c: u4[<N>, <4G>], @s: f32[<N>], @v: f32[<4G>, <K>], @b: f32[<N>])" ONE_RESULT
               "  %w = dequant @c, @s {zero = 8, dtype = f32}\n  %h = matmul %x, @v\n"
               "  %y = matmul %h, %w {epilogue = add(acc, @b)}\n" END},
    {"dequant_channel", 0, NULL, NULL, /* zero points */
     X_WEIGHTS "(@c: i8[<N>, <K>], @s: f32[<N>], @z: u8[<N>])" ONE_RESULT
               "  %w = dequant @c, @s, zero = @z\n  %y = matmul %x, %w\n" END},
    {"dequant_channel", 0, NULL, NULL, /* scales per group */
     "func @f(%x: f32[<T>, <4G>]) weights(@c: i8[<N>, <4G>], @s: f32[<N>, 4])" ONE_RESULT
     "  %w = dequant @c, @s {group = <G>}\n  %y = matmul %x, %w\n" END},

    /* dequant_token */
    {"dequant_token", 1, "mul(mul(acc, %xs), @s)", NULL,
     X_WEIGHTS "(@w: i8[<N>, <K>], @s: f32[<N>])" ONE_RESULT
               "  %xc, %xs = quantize %x\n  %xd = dequant %xc, %xs\n"
               "  %y = matmul %xd, @w {epilogue = mul(acc, @s)}\n" END},
    {"dequant_channel dequant_token", 2, "dtype = f32", NULL,
     X_WEIGHTS "(@w: i8[<N>, <K>], @s: f32[<N>])" ONE_RESULT
               "  %xc, %xs = quantize %x\n  %xd = dequant %xc, %xs\n  %wd = dequant @w, @s\n"
               "  %y = matmul %xd, %wd\n" END},
    {"dequant_token", 0, NULL, "are not codes of one kind", /* the weight is no code */
     X_WEIGHTS "(@w: f32[<N>, <K>])" ONE_RESULT "  %xc, %xs = quantize %x\n"
               "  %xd = dequant %xc, %xs\n  %y = matmul %xd, @w\n" END},
    {"dequant_token", 0, NULL, NULL, /* several scales a token */
     "func @f(%x: f32[<T>, <4G>]) weights(@w: i8[<N>, <4G>])" ONE_RESULT
     "  %xc, %xs = quantize %x {group = <G>}\n  %xd = dequant %xc, %xs {group = <G>}\n"
     "  %y = matmul %xd, @w\n" END},

    /* bias_epilogue */
    {"bias_epilogue", 1, "epilogue = add(acc, @b)", NULL,
     X_WEIGHTS "(@w: f32[<N>, <K>], @b: f32[<N>])" ONE_RESULT
               "  %m = matmul %x, @w\n  %y = add %m, @b\n" END},
    {"bias_epilogue", 1, "add(mul(acc, @s), @b)", NULL, /* the other order */
     X_WEIGHTS "(@w: f32[<N>, <K>], @b: f32[<N>], @s: f32[<N>])" ONE_RESULT
               "  %m = matmul %x, @w {epilogue = mul(acc, @s)}\n  %y = add @b, %m\n" END},
    {"bias_epilogue", 0, NULL, "%m has 2 uses (single_use(%y))",
     X_WEIGHTS "(@w: f32[<N>, <K>], @b: f32[<N>])" ONE_RESULT
               "  %m = matmul %x, @w\n  %a = add %m, @b\n  %y = mul %a, %m\n" END},
    {"bias_epilogue", 0, NULL, "rows(@b) is 1, cols(%y) is ", /* one number for all columns */
     X_WEIGHTS "(@w: f32[<N>, <K>], @b: f32[1])" ONE_RESULT
               "  %m = matmul %x, @w\n  %y = add %m, @b\n" END},
    {"bias_epilogue", 0, NULL, NULL, /* not a constant */
     "func @f(%x: f32[<T>, <K>], %b: f32[<N>]) weights(@w: f32[<N>, <K>])" ONE_RESULT
     "  %m = matmul %x, @w\n  %y = add %m, %b\n" END},
    {"bias_epilogue", 0, NULL, "not a vector",
     X_WEIGHTS "(@w: f32[<N>, <K>], @b: f32[<T>, <N>])" ONE_RESULT
               "  %m = matmul %x, @w\n  %y = add %m, @b\n" END},

    /* activation_epilogue */
    {"activation_epilogue", 1, "epilogue = gelu_tanh(add(acc, @b))", NULL,
     X_WEIGHTS "(@w: f32[<N>, <K>], @b: f32[<N>])" ONE_RESULT
               "  %m = matmul %x, @w {epilogue = add(acc, @b)}\n  %y = gelu_tanh %m\n" END},
    {"activation_epilogue", 1, "epilogue = relu(acc)", NULL,
     X_WEIGHTS "(@w: f32[<N>, <K>])" ONE_RESULT "  %m = matmul %x, @w\n  %y = relu %m\n" END},
    {"activation_epilogue", 0, NULL, "%m has 2 uses",
     X_WEIGHTS "(@w: f32[<N>, <K>])" ONE_RESULT
               "  %m = matmul %x, @w\n  %a = silu %m\n  %y = add %a, %m\n" END},

    /* residual_epilogue */
    {"residual_epilogue", 1, "epilogue = add(acc, %r)", NULL,
     "func @f(%x: f32[<T>, <K>], %r: f32[<T>, <N>]) weights(@w: f32[<N>, <K>])" ONE_RESULT
     "  %d = matmul %x, @w\n  %y = add %r, %d\n" END},
    {"residual_epilogue", 2, NULL, NULL, /* a parallel block: two matmuls into one residual */
     "func @f(%x: f32[<T>, <K>], %r: f32[<T>, <N>]) weights(@w: f32[<N>, <K>], @v: f32[<N>, "
     "<K>])" ONE_RESULT "  %d = matmul %x, @w\n  %e = matmul %x, @v\n  %a = add %r, %d\n"
     "  %y = add %a, %e\n" END},
    {"residual_epilogue", 0, NULL, "%d has 2 uses",
     "func @f(%x: f32[<T>, <K>], %r: f32[<T>, <N>]) weights(@w: f32[<N>, <K>])" ONE_RESULT
     "  %d = matmul %x, @w\n  %a = add %r, %d\n  %y = mul %a, %d\n" END},
    {"residual_epilogue", 0, NULL, "shape(%r) is [",
     "func @f(%x: f32[<T>, <K>], %r: f32[<T>, 1]) weights(@w: f32[<N>, <K>])" ONE_RESULT
     "  %d = matmul %x, @w\n  %y = add %r, %d\n" END},

    /* glu_epilogue */
    {"glu_epilogue", 1, "epilogue = mul(silu(acc.0), acc.1)", NULL,
     X_WEIGHTS "(@gate: f32[<N>, <K>], @up: f32[<N>, <K>])" ONE_RESULT
               "  %g = matmul %x, @gate\n  %u = matmul %x, @up\n  %a = silu %g\n"
               "  %y = mul %u, %a\n" END},
    {"glu_epilogue", 1, "mul(gelu(add(mul(acc.0, %r), @b)), mul(acc.1, %r))", NULL,
     "func @f(%x: f32[<T>, <K>], %r: f32[<T>, 1])"
     " weights(@gate: f32[<N>, <K>], @up: f32[<N>, <K>], @b: f32[<N>])" ONE_RESULT
     "  %g = matmul %x, @gate {epilogue = add(mul(acc, %r), @b)}\n"
     "  %u = matmul %x, @up {epilogue = mul(acc, %r)}\n  %a = gelu %g\n  %y = mul %a, %u\n" END},
    {"glu_epilogue", 0, NULL, "%g has 2 uses",
     X_WEIGHTS "(@gate: f32[<N>, <K>], @up: f32[<N>, <K>])" ONE_RESULT
               "  %g = matmul %x, @gate\n  %u = matmul %x, @up\n  %a = silu %g\n"
               "  %h = mul %a, %u\n  %y = add %h, %g\n" END},
    {"glu_epilogue", 0, NULL, NULL, /* different inputs */
     X_WEIGHTS "(@gate: f32[<N>, <K>], @up: f32[<N>, <K>])" ONE_RESULT
               "  %z = silu %x\n  %g = matmul %x, @gate\n  %u = matmul %z, @up\n  %a = silu %g\n"
               "  %y = mul %a, %u\n" END},
    {"glu_epilogue", 0, NULL, "type(@gw) is f32", /* the weights differ in dtype */
     X_WEIGHTS "(@gate: f32[<N>, <K>], @up: bf16[<N>, <K>])" ONE_RESULT
               "  %g = matmul %x, @gate\n  %u = matmul %x, @up\n  %a = silu %g\n"
               "  %y = mul %a, %u\n" END},

    /* glu_elementwise */
    {"glu_elementwise", 1, "expr = mul(relu(%g), %u)", NULL,
     "func @f(%g: f32[<T>, <N>], %u: f32[<T>, <N>])" ONE_RESULT
     "  %a = relu %g\n  %y = mul %u, %a\n" END},
    {"glu_elementwise", 0, NULL, "%a has 2 uses",
     "func @f(%g: f32[<T>, <N>], %u: f32[<T>, <N>])" ONE_RESULT
     "  %a = silu %g\n  %h = mul %a, %u\n  %y = add %h, %a\n" END},
    {"glu_elementwise", 0, NULL, "shape(%u) is [",
     "func @f(%g: f32[<T>, <N>], %u: f32[<T>, 1])" ONE_RESULT
     "  %a = silu %g\n  %y = mul %a, %u\n" END},

    /* concat_dequant, interleave_dequant, dequant_group */
    {"concat_dequant", 1, "dequant %cd, %st", NULL,
     X_WEIGHTS "(@c: i8[<N>, <K>], @s: f32[<N>], @d: i8[<M>, <K>], @t: f32[<M>])"
               " -> (%y: f32[<T>, <N+M>]) {\n"
               "  %a = dequant @c, @s\n  %b = dequant @d, @t\n  %w = concat_rows %a, %b\n"
               "  %y = matmul %x, %w\n" END},
    {"concat_dequant dequant_group", 2, "w_zero = ", NULL,
     "func @f(%x: f32[<T>, <4G>]) weights(@ca: u4[<N>, <4G>], @sa: f32[<N>, 4], @za: u8[<N>, 4], "
     "@cb: u4[<M>, <4G>], @sb: f32[<M>, 4], @zb: u8[<M>, 4]) -> (%y: f32[<T>, <N+M>]) {\n"
     "  %a = dequant @ca, @sa, zero = @za {group = <G>}\n"
     "  %b = dequant @cb, @sb, zero = @zb {group = <G>}\n  %w = concat_rows %a, %b\n"
     "  %y = matmul %x, %w\n" END},
    {"concat_dequant dequant_group", 2, "zero = 8", NULL,
     "func @f(%x: f32[<T>, <4G>]) weights(@ca: u4[<N>, <4G>], @sa: f32[<N>, 4], "
     "@cb: u4[<M>, <4G>], @sb: f32[<M>, 4], @cc: u4[<N>, <4G>], @sc: f32[<N>, 4])"
     " -> (%y: f32[<T>, <N+M+N>]) {\n"
     "  %a = dequant @ca, @sa {group = <G>, zero = 8}\n"
     "  %b = dequant @cb, @sb {group = <G>, zero = 8}\n"
     "  %c = dequant @cc, @sc {group = <G>, zero = 8}\n  %w = concat_rows %a, %b, c = %c\n"
     "  %y = matmul %x, %w\n" END},
    {"concat_dequant", 1, "c = @zc", NULL,
     "func @f(%x: f32[<T>, <4G>]) weights(@ca: u4[<N>, <4G>], @sa: f32[<N>, 4], @za: u8[<N>, 4], "
     "@cb: u4[<M>, <4G>], @sb: f32[<M>, 4], @zb: u8[<M>, 4], @cc: u4[<N>, <4G>], "
     "@sc: f32[<N>, 4], @zc: u8[<N>, 4]) -> (%y: f32[<T>, <N+M+N>]) {\n"
     "  %a = dequant @ca, @sa, zero = @za {group = <G>}\n"
     "  %b = dequant @cb, @sb, zero = @zb {group = <G>}\n"
     "  %c = dequant @cc, @sc, zero = @zc {group = <G>}\n  %w = concat_rows %a, %b, c = %c\n"
     "  %y = matmul %x, %w\n" END},
    {"concat_dequant", 0, NULL, "present(@z0) is 1, present(@z1) is 0",
     X_WEIGHTS "(@c: i8[<N>, <K>], @s: f32[<N>], @z: u8[<N>], @d: i8[<M>, <K>], @t: f32[<M>])"
               " -> (%y: f32[<T>, <N+M>]) {\n"
               "  %a = dequant @c, @s, zero = @z\n  %b = dequant @d, @t\n"
               "  %w = concat_rows %a, %b\n  %y = matmul %x, %w\n" END},
    {"concat_dequant", 0, NULL, "dtype(@c0) is i8, dtype(@c1) is u8",
     X_WEIGHTS "(@c: i8[<N>, <K>], @s: f32[<N>], @d: u8[<M>, <K>], @t: f32[<M>])"
               " -> (%y: f32[<T>, <N+M>]) {\n"
               "  %a = dequant @c, @s\n  %b = dequant @d, @t\n  %w = concat_rows %a, %b\n"
               "  %y = matmul %x, %w\n" END},
    {"interleave_dequant dequant_group", 2, "w_scale = ", NULL,
     "func @f(%x: f32[<T>, <4G>]) weights(@ca: u4[<N>, <4G>], @sa: f32[<N>, 4], @za: u8[<N>, 4], "
     "@cb: u4[<N>, <4G>], @sb: f32[<N>, 4], @zb: u8[<N>, 4])" ONE_RESULT
     "  %a = dequant @ca, @sa, zero = @za {group = <G>}\n"
     "  %b = dequant @cb, @sb, zero = @zb {group = <G>}\n"
     "  %w = interleave_rows %a, %b {block = 4}\n"
     "  %y = matmul %x, %w {n = <N>, interleave = 4, epilogue = mul(silu(acc.0), acc.1)}\n" END},
    {"interleave_dequant", 1, "dequant %cd, %st", NULL,
     X_WEIGHTS
     "(@c: i8[<N>, <K>], @s: f32[<N>], @d: i8[<N>, <K>], @t: f32[<N>])" ONE_RESULT
     "  %a = dequant @c, @s\n  %b = dequant @d, @t\n"
     "  %w = interleave_rows %a, %b {block = 4}\n"
     "  %y = matmul %x, %w {n = <N>, interleave = 4, epilogue = mul(acc.0, acc.1)}\n" END},
    {"interleave_dequant", 0, NULL, NULL, /* one is not quantised */
     X_WEIGHTS
     "(@c: i8[<N>, <K>], @s: f32[<N>], @d: f32[<N>, <K>])" ONE_RESULT
     "  %a = dequant @c, @s {dtype = f32}\n  %w = interleave_rows %a, @d {block = 4}\n"
     "  %y = matmul %x, %w {n = <N>, interleave = 4, epilogue = mul(acc.0, acc.1)}\n" END},
    {"dequant_group", 1, "x_scale = %xs", NULL,
     "func @f(%x: f32[<T>, <4G>]) weights(@c: u4[<N>, <4G>], @s: f32[<N>, 4])" ONE_RESULT
     "  %xc, %xs = quantize %x\n  %xd = dequant %xc, %xs\n"
     "  %w = dequant @c, @s {group = <G>, zero = 8}\n  %y = matmul %xd, %w\n" END},
    {"dequant_group", 1, "w_zero = @z", NULL, /* zero points per channel */
     X_WEIGHTS "(@c: i8[<N>, <K>], @s: f32[<N>], @z: u8[<N>], @b: f32[<N>])" ONE_RESULT
               "  %w = dequant @c, @s, zero = @z\n"
               "  %y = matmul %x, %w {epilogue = add(acc, @b)}\n" END},
    {"dequant_group", 0, NULL, NULL, /* the codes are no constant */
     "func @f(%x: f32[<T>, <K>], %c: i8[<N>, <K>], %s: f32[<N>, 1])" ONE_RESULT
     "  %w = dequant %c, %s\n  %y = matmul %x, %w\n" END},

    /* dequant_embed, rmsnorm_quantize */
    {"dequant_embed", 1, "w_scale = @s", NULL,
     "func @f(%ids: i32[<T>]) weights(@c: i8[<4G>, <N>], @s: f32[<4G>])" ONE_RESULT
     "  %w = dequant @c, @s\n  %y = embed %ids, %w\n" END},
    {"dequant_embed", 1, "w_zero = @z", NULL,
     "func @f(%ids: i32[<T>]) weights(@c: u4[<4G>, <4G>], @s: f32[<4G>, 4], @z: u8[<4G>, 4])"
     " -> (%y: f32[<T>, <4G>]) {\n"
     "  %w = dequant @c, @s, zero = @z {group = <G>}\n  %y = embed %ids, %w\n" END},
    {"rmsnorm_quantize", 1, "rmsnorm_quant %x, gain = @g", NULL,
     X_WEIGHTS "(@g: f32[<K>], @w: i8[<N>, <K>])" ONE_RESULT
               "  %n = rmsnorm %x, gain = @g {eps = 0.01}\n  %c, %s = quantize %n\n"
               "  %y = matmul %c, @w {dtype = f32, epilogue = mul(acc, %s)}\n" END},
    {"rmsnorm_quantize", 1, "rmsnorm_quant %x {eps = 0.01}", NULL,
     X_WEIGHTS "(@w: i8[<N>, <K>])" ONE_RESULT
               "  %n = rmsnorm %x {eps = 0.01}\n  %c, %s = quantize %n\n"
               "  %y = matmul %c, @w {dtype = f32, epilogue = mul(acc, %s)}\n" END},
    {"rmsnorm_quantize", 0, NULL, "%n has 2 uses",
     X_WEIGHTS "(@w: i8[<K>, <K>]) -> (%y: f32[<T>, <K>]) {\n"
               "  %n = rmsnorm %x {eps = 0.01}\n  %c, %s = quantize %n\n"
               "  %m = matmul %c, @w {dtype = f32, epilogue = mul(acc, %s)}\n"
               "  %y = add %m, %n\n" END},
    {"rmsnorm_quantize", 0, NULL, NULL, /* scales per group */
     "func @f(%x: f32[<T>, <4G>]) -> (%y: f32[<T>, <4G>]) {\n"
     "  %n = rmsnorm %x {eps = 0.01}\n  %c, %s = quantize %n {group = <G>}\n"
     "  %y = dequant %c, %s {group = <G>}\n" END},
};

/* Heads of <2G> columns, <H> query heads on 2 key heads; context 8. */
#define CACHES(dtype) "state(%kc: " dtype "[1, 8, 2, <2G>], %vc: " dtype "[1, 8, 2, <2G>])"
#define HEADS "heads = <H>, kv_heads = 2, head_dim = <2G>"
#define ATTN_PARAMS "%q: f32[<T>, <HD>], %k: f32[<T>, <4G>], %v: f32[<T>, <4G>], %pos: i32[<T>]"
#define ATTN_RESULT " -> (%y: f32[<T>, <HD>]) {\n"
#define APPEND "  %k2 = kv_append %kc, %k, %pos\n  %v2 = kv_append %vc, %v, %pos\n"
#define INT8_CACHES                                                                                \
    "state(%kc: i8[1, 8, 2, <2G>], %vc: i8[1, 8, 2, <2G>], %ks: f32[1, 8, 2], %vs: f32[1, 8, 2])"
#define INT8_DEQUANT                                                                               \
    "  %k1, %k1s = quantize %k {group = <2G>}\n  %v1, %v1s = quantize %v {group = <2G>}\n"         \
    "  %k2 = kv_append %kc, %k1, %pos\n  %k2s = kv_append %ks, %k1s, %pos\n"                       \
    "  %v2 = kv_append %vc, %v1, %pos\n  %v2s = kv_append %vs, %v1s, %pos\n"                       \
    "  %k3 = dequant %k2, %k2s {dtype = f32}\n  %v3 = dequant %v2, %v2s {dtype = f32}\n"
#define CODED_QKV                                                                                  \
    "func @f(%p: f32[<T>, <QKV>], %angles: f32[<T>, <2G>], %pos: i32[<T>])\n " INT8_CACHES         \
    "\n weights(@qg: f32[<2G>], @kg: f32[<2G>])\n" ATTN_RESULT                                     \
    "  %q, %k, %v = split %p {sizes = [<HD>, <4G>, <4G>]}\n"
#define CODED_APPEND(k)                                                                            \
    "  %k1, %k1s = quantize " k " {group = <2G>}\n  %v1, %v1s = quantize %v {group = <2G>}\n"      \
    "  %k2 = kv_append %kc, %k1, %pos\n  %k2s = kv_append %ks, %k1s, %pos\n"                       \
    "  %v2 = kv_append %vc, %v1, %pos\n  %v2s = kv_append %vs, %v1s, %pos\n"
#define CODED_END(q)                                                                               \
    "  %y = attention " q ", %k2, %v2, %pos, k_scale = %k2s, v_scale = %v2s {" HEADS               \
    ", scale = 0.5}\n" END
#define QKV                                                                                        \
    "func @f(%x: f32[<T>, <K>], %angles: f32[<T>, <2G>], %pos: i32[<T>])\n " CACHES(               \
        "bf16") "\n weights(@w: f32[<QKV>, <K>], @b: f32[<QKV>], @qg: f32[<2G>], @kg: "            \
                "f32[<2G>])\n" ATTN_RESULT "  %p = matmul %x, @w {epilogue = add(acc, @b)}\n"      \
                "  %q, %k, %v = split %p {sizes = [<HD>, <4G>, <4G>]}\n"
#define ROPE(x) " = rope " x ", %angles {head_dim = <2G>, dims = <2G>, style = half}\n"
#define TURN(x, dims, style)                                                                       \
    " = rope " x ", %angles {head_dim = <2G>, dims = " dims ", style = " style "}\n"
#define WIDE "head_dim = 136"
#define QKV_END                                                                                    \
    "  %v2 = kv_append %vc, %v, %pos\n"                                                            \
    "  %y = attention %qr, %k2, %v2, %pos {" HEADS ", scale = 0.5}\n  return %y\n}\n"

static const Proof attention_proofs[] = {
    {"attention_fusion", 1, "attention %q, %k2, %v2, %pos", NULL,
     "func @f(" ATTN_PARAMS ") " CACHES("f32") ATTN_RESULT APPEND
     "  %s = attn_scores %q, %k2, %pos {" HEADS ", scale = 0.5, window = 3, softcap = 2}\n"
     "  %p = softmax %s\n  %y = attn_mix %p, %v2, %pos {" HEADS "}\n" END},
    {"attention_fusion", 0, NULL, "%p has 2 uses",
     "func @f(" ATTN_PARAMS
     ") " CACHES("f32") " -> (%y: f32[<T>, <HD>], %p: f32[<T>, <H>, 8]) {\n" APPEND
                        "  %s = attn_scores %q, %k2, %pos {" HEADS ", scale = 0.5}\n"
                        "  %p = softmax %s\n  %y = attn_mix %p, %v2, %pos {" HEADS
                        "}\n  return %y, %p\n}\n"},
    {"attention_fusion", 0, NULL, "dtype(%a) is bf16", /* the result is rounded */
     "func @f(" ATTN_PARAMS ") " CACHES(
         "f32") " -> (%y: bf16[<T>, <HD>]) {\n" APPEND "  %s = attn_scores %q, %k2, %pos {" HEADS
                ", scale = 0.5}\n"
                "  %p = softmax %s\n  %y = attn_mix %p, %v2, %pos {" HEADS ", dtype = bf16}\n" END},
    {"kv_dequant", 1, "k_scale = %k2s, v_scale = %v2s", NULL,
     "func @f(" ATTN_PARAMS ") " INT8_CACHES ATTN_RESULT INT8_DEQUANT
     "  %s = attn_scores %q, %k3, %pos {" HEADS ", scale = 0.5}\n"
     "  %p = softmax %s\n  %y = attn_mix %p, %v3, %pos {" HEADS "}\n" END},
    {"kv_dequant", 1, "k_scale = %k2s, v_scale = %v2s", NULL,
     "func @f(" ATTN_PARAMS ") " INT8_CACHES ATTN_RESULT INT8_DEQUANT
     "  %y = attention %q, %k3, %v3, %pos {" HEADS ", scale = 0.5}\n" END},
    {"qkv_rope_append", 1, "matmul_qkv %x, @w, %kc, %vc, %pos, angles = %angles {", NULL,
     QKV "  %qr" ROPE("%q") "  %kr" ROPE("%k") "  %k2 = kv_append %kc, %kr, %pos\n" QKV_END},
    {"qkv_rope_append", 1, "angles = %angles, q_gain = @qg, k_gain = @kg {", NULL,
     QKV "  %qn = rmsnorm %q, gain = @qg {eps = 0.01, group = <2G>}\n"
         "  %kn = rmsnorm %k, gain = @kg {eps = 0.01, group = <2G>}\n"
         "  %qr" ROPE("%qn") "  %kr" ROPE("%kn") "  %k2 = kv_append %kc, %kr, %pos\n" QKV_END},
    {"qkv_rope_append", 1, "matmul_qkv %x, @w, %kc, %vc, %pos {", NULL,
     QKV "  %k2 = kv_append %kc, %k, %pos\n  %v2 = kv_append %vc, %v, %pos\n"
         "  %y = attention %q, %k2, %v2, %pos {" HEADS ", scale = 0.5}\n" END},
    {"qkv_rope_append", 1, "%pos, q_gain = @qg, k_gain = @kg {", NULL,
     QKV "  %qr = rmsnorm %q, gain = @qg {eps = 0.01, group = <2G>}\n"
         "  %kn = rmsnorm %k, gain = @kg {eps = 0.01, group = <2G>}\n"
         "  %k2 = kv_append %kc, %kn, %pos\n" QKV_END},
    {"heads_append", 1, "angles = %angles, q_gain = @qg, k_gain = @kg {", NULL,
     QKV "  %qn = rmsnorm %q, gain = @qg {eps = 0.01, group = <2G>}\n"
         "  %kn = rmsnorm %k, gain = @kg {eps = 0.01, group = <2G>}\n"
         "  %qr" ROPE("%qn") "  %kr" ROPE("%kn") "  %k2 = kv_append %kc, %kr, %pos\n" QKV_END},
    {"heads_append", 1, "heads_append %p, %kc, %vc, %pos, q_gain = @qg, k_gain = @kg {", NULL,
     QKV "  %qr = rmsnorm %q, gain = @qg {eps = 0.01, group = <2G>}\n"
         "  %kn = rmsnorm %k, gain = @kg {eps = 0.01, group = <2G>}\n"
         "  %k2 = kv_append %kc, %kn, %pos\n" QKV_END},
    {"heads_append", 1, "heads_append %p, %kc, %vc, %pos, angles = %angles {", NULL,
     "func @f(%x: f32[<T>, <K>], %angles: f32[<T>, 2], %pos: i32[<T>])\n " CACHES(
         "bf16") "\n weights(@w: f32[<QKV>, <K>])\n" ATTN_RESULT "  %p = matmul %x, @w\n"
                 "  %q, %k, %v = split %p {sizes = [<HD>, <4G>, <4G>]}\n"
                 "  %qr" TURN("%q", "2", "half") "  %kr" TURN(
                     "%k", "2", "half") "  %k2 = kv_append %kc, %kr, %pos\n" QKV_END},
    {"heads_append", 1, "style = adjacent}", NULL,
     QKV "  %qr" TURN("%q", "<2G>", "adjacent") "  %kr" TURN(
         "%k", "<2G>", "adjacent") "  %k2 = kv_append %kc, %kr, %pos\n" QKV_END},
    {"heads_append", 1, "heads = 2, kv_heads = 1, " WIDE, NULL,
     "func @f(%x: f32[<T>, <K>], %angles: f32[<T>, 136], %pos: i32[<T>])\n "
     "state(%kc: bf16[1, 8, 1, 136], %vc: bf16[1, 8, 1, 136])\n weights(@w: f32[544, <K>])\n"
     " -> (%y: f32[<T>, 272]) {\n  %p = matmul %x, @w\n"
     "  %q, %k, %v = split %p {sizes = [272, 136, 136]}\n"
     "  %qr = rope %q, %angles {" WIDE ", dims = 136, style = half}\n"
     "  %kr = rope %k, %angles {" WIDE ", dims = 136, style = half}\n"
     "  %k2 = kv_append %kc, %kr, %pos\n  %v2 = kv_append %vc, %v, %pos\n"
     "  %y = attention %qr, %k2, %v2, %pos {heads = 2, kv_heads = 1, " WIDE ", scale = 0.5}\n" END},
    {"heads_append", 0, NULL, "$d > 128", /* the projection does all of it */
     QKV "  %qr" ROPE("%q") "  %kr" ROPE("%k") "  %k2 = kv_append %kc, %kr, %pos\n" QKV_END},
    {"heads_append", 0, NULL, "%v has 2 uses",
     QKV "  %qr = rmsnorm %q, gain = @qg {eps = 0.01, group = <2G>}\n"
         "  %kn = rmsnorm %k, gain = @kg {eps = 0.01, group = <2G>}\n"
         "  %k2 = kv_append %kc, %kn, %pos\n"
         "  %v2 = kv_append %vc, %v, %pos\n  %v3 = kv_append %v2, %v, %pos\n"
         "  %y = attention %qr, %k2, %v3, %pos {" HEADS ", scale = 0.5}\n" END},
    {"qkv_quant_append", 1, "qkv_append %p, %kc, %vc, %ks, %vs, %pos, angles = %angles {", NULL,
     CODED_QKV "  %qr" ROPE("%q") "  %kr" ROPE("%k") CODED_APPEND("%kr") CODED_END("%qr")},
    {"qkv_quant_append", 1, "angles = %angles, q_gain = @qg, k_gain = @kg {", NULL,
     CODED_QKV "  %qn = rmsnorm %q, gain = @qg {eps = 0.01, group = <2G>}\n"
               "  %kn = rmsnorm %k, gain = @kg {eps = 0.01, group = <2G>}\n"
               "  %qr" ROPE("%qn") "  %kr" ROPE("%kn") CODED_APPEND("%kr") CODED_END("%qr")},
    {"qkv_quant_append", 1, "qkv_append %p, %kc, %vc, %ks, %vs, %pos {", NULL,
     CODED_QKV CODED_APPEND("%k") CODED_END("%q")},
    {"qkv_quant_append", 1, "%pos, q_gain = @qg, k_gain = @kg {", NULL,
     CODED_QKV "  %qn = rmsnorm %q, gain = @qg {eps = 0.01, group = <2G>}\n"
               "  %kn = rmsnorm %k, gain = @kg {eps = 0.01, group = <2G>}\n" CODED_APPEND("%kn")
                   CODED_END("%qn")},
    {"qkv_quant_append", 0, NULL, NULL, /* scales of half a head */
     CODED_QKV "  %k1, %k1s = quantize %k {group = <2G>}\n  %v1, %v1s = quantize %v\n"
               "  %k2 = kv_append %kc, %k1, %pos\n  %k2s = kv_append %ks, %k1s, %pos\n"
               "  %y = attention %q, %k2, %vc, %pos, k_scale = %k2s, v_scale = %vs {" HEADS
               ", scale = 0.5}\n" END},
    {"qkv_rope_append", 0, NULL, "%v has 2 uses",
     QKV "  %qr" ROPE("%q") "  %kr" ROPE(
         "%k") "  %k2 = kv_append %kc, %kr, %pos\n"
               "  %v2 = kv_append %vc, %v, %pos\n  %v3 = kv_append %v2, %v, %pos\n"
               "  %y = attention %qr, %k2, %v3, %pos {" HEADS ", scale = 0.5}\n" END},
    {"qkv_rope_append", 0, NULL, NULL, /* only q is rotated by the full head */
     QKV
     "  %qr" ROPE("%q") "  %kr = rope %k, %angles {head_dim = <4G>, dims = <2G>, style = half}\n"
                        "  %k2 = kv_append %kc, %kr, %pos\n" QKV_END},
};

/* ---- shapes ---------------------------------------------------------------------------------- */

typedef struct Shape {
    const char *name;
    int64_t n;
} Shape;

enum { N_SHAPES = 13 };

static int64_t pick(int64_t lo, int64_t hi)
{
    return lo + (int64_t)(unit_random(&seed) % (uint64_t)(hi - lo + 1));
}

static void random_shapes(Shape *s, int64_t *tokens)
{
    int64_t t = pick(2, 4), k = pick(2, 9), n = pick(2, 9), m = pick(2, 9), g = 2 * pick(1, 3);
    int64_t heads = 2 * pick(1, 3);
    *tokens = t;
    const Shape made[N_SHAPES] = {{"<T>", t},
                                  {"<K>", k},
                                  {"<N>", n},
                                  {"<M>", m},
                                  {"<G>", g},
                                  {"<2G>", 2 * g},
                                  {"<3G>", 3 * g},
                                  {"<4G>", 4 * g},
                                  {"<N+M>", n + m},
                                  {"<N+M+N>", n + m + n},
                                  {"<H>", heads},
                                  {"<HD>", heads * 2 * g},
                                  {"<QKV>", heads * 2 * g + 8 * g}};
    memcpy(s, made, sizeof made);
}

static void put_shape(Buf *b, const char *at, size_t n, const Shape *shapes)
{
    for (int i = 0; i < N_SHAPES; i++) {
        if (strlen(shapes[i].name) == n && strncmp(shapes[i].name, at, n) == 0) {
            buf_printf(b, "%lld", (long long)shapes[i].n);
            return;
        }
    }
    fail_msg("no shape %.*s", (int)n, at);
}

static const char *with_shapes(Arena *a, const char *text, const Shape *shapes)
{
    Buf b = buf_create(a);
    while (*text != '\0') {
        const char *end = *text == '<' ? strchr(text, '>') : NULL;
        if (end == NULL) {
            buf_putc(&b, *text++);
            continue;
        }
        put_shape(&b, text, (size_t)(end + 1 - text), shapes);
        text = end + 1;
    }
    return b.data;
}

/* ---- running --------------------------------------------------------------------------------- */

static bool is_rule_file(const char *name)
{
    size_t n = strlen(name);
    return n > 6 && strcmp(name + n - 6, ".rules") == 0;
}

static RuleSet *shipped_rules(Ctx *ctx)
{
    RuleSet *set = ruleset_create(ctx);
    DIR *dir = opendir("ir/rules");
    assert_non_null(dir);
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        if (!is_rule_file(e->d_name)) {
            continue;
        }
        size_t n;
        const char *path = path_join(ctx->arena, "ir/rules", e->d_name);
        const char *text = file_read(ctx->arena, ctx->diag, path, &n);
        if (text == NULL || !ruleset_add(set, path, text, n)) {
            print_message("%s", diag_text(ctx->diag));
            fail();
        }
    }
    closedir(dir);
    return set;
}

static int apply_rules(const IrCase *c, const RuleSet *set, const char *names, PassEnv *env)
{
    int fired = 0;
    for (const char *s = names; *s != '\0';) {
        size_t n = strcspn(s, " ");
        Str name = str_intern_n(c->ctx->strings, s, n);
        const Rule *r = ruleset_find(set, name);
        assert_non_null(r);
        int more = rule_apply(c->func, r, env, name);
        if (more < 0) {
            print_message("%s", diag_text(c->ctx->diag));
            fail();
        }
        fired += more;
        s += n + strspn(s + n, " ");
    }
    return fired;
}

static bool has_piece(const char *text, const char *pieces)
{
    bool found = false;
    for (const char *p = pieces; !found && *p != '\0';) {
        size_t n = strcspn(p, "|");
        char piece[MAX_TEXT];
        snprintf(piece, sizeof piece, "%.*s", (int)n, p);
        found = strstr(text, piece) != NULL;
        p += n + (p[n] == '|');
    }
    return found;
}

static void check_reason(const Ledger *ledger, const char *reason, const char *text)
{
    for (size_t i = 0; i < ledger->entries.n; i++) {
        const LedgerEntry *e = &ledger->entries.data[i];
        if (!e->fired && has_piece(e->reason, reason)) {
            return;
        }
        print_message("%s: %s\n", e->rule, e->fired ? "fired" : e->reason);
    }
    print_message("%s# no refusal says '%s'\n", text, reason);
    fail();
}

static const char *func_text(const IrCase *c)
{
    Buf b = buf_create(c->ctx->arena);
    ir_print_func(&b, c->func);
    return b.data;
}

static void check_function(const IrCase *c, const Proof *p, const char *before, int fired)
{
    const char *after = func_text(c);
    if (fired != p->fires || (p->result != NULL && strstr(after, p->result) == NULL)) {
        print_message("# %s fired %d times, expected %d, and '%s' in\n%s# from\n%s", p->rules,
                      fired, p->fires, p->result != NULL ? p->result : "", after, before);
        fail();
    }
    if (!ir_verify_func(c->func, p->rules)) {
        print_message("%s%s", after, diag_text(c->ctx->diag));
        fail();
    }
}

static void prove(const Proof *p)
{
    int64_t tokens;
    Shape shapes[N_SHAPES];
    random_shapes(shapes, &tokens);
    Arena *a = arena_create();
    const char *text = with_shapes(a, p->text, shapes);
    IrCase before = case_create((int)tokens, 8, text), after = case_create((int)tokens, 8, text);
    Ledger ledger = {.arena = after.ctx->arena};
    RuleSet *set = shipped_rules(after.ctx);
    PassEnv env = {.ctx = after.ctx,
                   .rules = set,
                   .block = 4,
                   .pair_heads = true,
                   .kv_len = 8,
                   .ledger = &ledger};
    int fired = apply_rules(&after, set, p->rules, &env);
    check_function(&after, p, text, fired);
    if (p->reason != NULL) {
        check_reason(&ledger, p->reason, text);
    }
    assert_same_function(before.func, after.func, unit_random(&seed), 1e-12);
    ctx_destroy(before.ctx);
    ctx_destroy(after.ctx);
    arena_destroy(a);
}

static void test_every_rule_keeps_the_numbers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof proofs / sizeof proofs[0]; i++) {
        for (int round = 0; round < ROUNDS; round++) {
            prove(&proofs[i]);
        }
    }
}

static void test_attention_rules_keep_the_numbers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof attention_proofs / sizeof attention_proofs[0]; i++) {
        for (int round = 0; round < ROUNDS; round++) {
            prove(&attention_proofs[i]);
        }
    }
}

static bool is_proved(const char *rule, const Proof *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (list[i].fires > 0 && strstr(list[i].rules, rule) != NULL) {
            return true;
        }
    }
    return false;
}

/* A rule added to ir/rules without a proof above fails here. */
static void test_no_rule_is_without_proof(void **state)
{
    (void)state;
    Ctx *ctx = ctx_create();
    RuleSet *set = shipped_rules(ctx);
    assert_true(set->rules.n >= 15);
    for (size_t i = 0; i < set->rules.n; i++) {
        const char *name = rule_name(set->rules.data[i]);
        bool proved =
            is_proved(name, proofs, sizeof proofs / sizeof proofs[0]) ||
            is_proved(name, attention_proofs, sizeof attention_proofs / sizeof attention_proofs[0]);
        if (!proved) {
            fail_msg("rule %s has no proof in this file", name);
        }
    }
    ctx_destroy(ctx);
}

/* Every predicate and function is explained in docs/rules.md, with its name as it is called. */
static void test_the_reference_knows_every_condition(void **state)
{
    (void)state;
    Ctx *ctx = ctx_create();
    size_t n;
    const char *text = file_read(ctx->arena, ctx->diag, "docs/rules.md", &n);
    assert_non_null(text);
    for (int i = 0; i < n_where_fns; i++) {
        const char *call = arena_printf(ctx->arena, "`%s(", where_fns[i].name);
        if (strstr(text, call) == NULL || strstr(text, where_fns[i].doc) == NULL) {
            fail_msg("docs/rules.md lacks %s: %s", where_fns[i].name, where_fns[i].doc);
        }
    }
    ctx_destroy(ctx);
}

/* ---- printing -------------------------------------------------------------------------------- */

static const char *print_all(const RuleSet *set)
{
    Buf b = buf_create(set->ctx->arena);
    for (size_t i = 0; i < set->rules.n; i++) {
        rule_print(&b, set->rules.data[i]);
    }
    return b.data;
}

static void test_printed_rules_read_back(void **state)
{
    (void)state;
    Ctx *ctx = ctx_create();
    const char *once = print_all(shipped_rules(ctx));
    RuleSet *again = ruleset_create(ctx);
    if (!ruleset_add(again, "printed.rules", once, strlen(once))) {
        print_message("%s", diag_text(ctx->diag));
        fail();
    }
    assert_string_equal(print_all(again), once);
    ctx_destroy(ctx);
}

/* ---- the engine ------------------------------------------------------------------------------ */

typedef struct Engine {
    IrCase c;
    RuleSet *set;
    Ledger ledger;
    PassEnv env;
} Engine;

static Engine engine_create(const char *rules, const char *func)
{
    Engine e = {.c = case_create(2, 8, func)};
    e.set = ruleset_create(e.c.ctx);
    if (!ruleset_add(e.set, "user.rules", rules, strlen(rules))) {
        print_message("%s", diag_text(e.c.ctx->diag));
        fail();
    }
    return e;
}

static int engine_apply(Engine *e, const char *rule)
{
    e->ledger.arena = e->c.ctx->arena;
    e->env = (PassEnv){.ctx = e->c.ctx, .rules = e->set, .ledger = &e->ledger};
    const Rule *r = ruleset_find(e->set, rule);
    assert_non_null(r);
    return rule_apply(e->c.func, r, &e->env, str_intern(e->c.ctx->strings, "test"));
}

static void test_a_rule_that_never_ends_is_an_error(void **state)
{
    (void)state;
    Engine e = engine_create("rule again \"loops\" {\n  match { %y = silu %x }\n"
                             "  rewrite { %y = silu %x }\n}\n",
                             "func @f(%x: f32[2, 4]) -> (%y: f32[2, 4]) {\n  %y = silu %x\n"
                             "  return %y\n}\n");
    assert_int_equal(engine_apply(&e, "again"), -1);
    assert_non_null(strstr(diag_text(e.c.ctx->diag),
                           "user.rules:1:6: error: rule again fired 1000 times in @f: does its "
                           "right side contain its left side?"));
    ctx_destroy(e.c.ctx);
}

static void test_a_rewrite_to_another_type_is_an_error(void **state)
{
    (void)state;
    Engine e = engine_create("rule narrow \"wrong\" {\n  match { %y = silu %x }\n"
                             "  rewrite { %y = cast %x {dtype = bf16} }\n}\n",
                             "func @f(%x: f32[2, 4]) -> (%y: f32[2, 4]) {\n  %y = silu %x\n"
                             "  return %y\n}\n");
    assert_int_equal(engine_apply(&e, "narrow"), -1);
    assert_non_null(strstr(diag_text(e.c.ctx->diag), "user.rules:3:13: error: rule narrow rewrites "
                                                     "%y from type f32[2, 4] to bf16[2, 4] in @f"));
    assert_true(ir_verify_func(e.c.func, NULL)); /* undone */
    assert_int_equal(count_ops(e.c.func, OP_SILU), 1);
    ctx_destroy(e.c.ctx);
}

/* Merging two additions into one operator with two results would need %b to compute %b. */
static void test_a_cycle_is_undone_and_reported(void **state)
{
    (void)state;
    Engine e = engine_create(
        "rule merge \"one matmul of two\" {\n"
        "  match {\n    %a = matmul %x, @v\n    %b = matmul %z, @v\n"
        "    %c = matmul %x, @w\n  }\n  where { not same(%x, %z) }\n"
        "  rewrite {\n    %a = matmul %x, @v {epilogue = mul(acc, %b)}\n"
        "    %c = matmul %x, @w\n    %b = matmul %z, @v\n  }\n}\n",
        "func @f(%x: f32[2, 4]) weights(@v: f32[4, 4], @w: f32[4, 4]) -> (%b: f32[2, 4]) {\n"
        "  %a = matmul %x, @v\n  %c = matmul %x, @w\n  %z = add %a, %c\n  %b = matmul %z, @v\n"
        "  return %b\n}\n");
    (void)engine_apply(&e, "merge");
    assert_int_equal(e.ledger.entries.n, 1);
    assert_string_equal(e.ledger.entries.data[0].reason,
                        "the rewritten operators would need each other's results");
    assert_int_equal(count_ops(e.c.func, OP_MATMUL), 3);
    assert_true(ir_verify_func(e.c.func, NULL));
    ctx_destroy(e.c.ctx);
}

static void test_fired_sites_are_in_the_ledger(void **state)
{
    (void)state;
    Engine e = engine_create("rule twice \"x + x\" {\n  match { %y = add %x, %x }\n"
                             "  rewrite { %y = map {expr = mul(%x, 2)} }\n}\n",
                             "func @f(%x: f32[2, 4]) -> (%y: f32[2, 4]) {\n  %d = add %x, %x\n"
                             "  %y = silu %d\n  return %y\n}\n");
    assert_int_equal(engine_apply(&e, "twice"), 1);
    assert_int_equal(e.ledger.entries.n, 1);
    const LedgerEntry *entry = &e.ledger.entries.data[0];
    assert_true(entry->fired);
    assert_string_equal(entry->rule, "twice");
    assert_string_equal(entry->pass, "test");
    assert_string_equal(entry->func, "f");
    assert_string_equal(entry->site, "d");
    assert_true(entry->before.launches == 2 && entry->after.launches == 2);
    ctx_destroy(e.c.ctx);
}

static void test_a_later_rule_replaces_its_namesake(void **state)
{
    (void)state;
    Ctx *ctx = ctx_create();
    RuleSet *set = ruleset_create(ctx);
    const char *a = "rule r \"first\" {\n  match { %y = silu %x }\n  rewrite { %y = relu %x }\n}\n";
    const char *b =
        "rule r \"second\" {\n  match { %y = relu %x }\n  rewrite { %y = silu %x }\n}\n";
    assert_true(ruleset_add(set, "a.rules", a, strlen(a)));
    assert_true(ruleset_add(set, "b.rules", b, strlen(b)));
    assert_int_equal(set->rules.n, 1);
    assert_string_equal(rule_doc(ruleset_find(set, "r")), "second");
    assert_null(ruleset_find(set, "s"));
    ctx_destroy(ctx);
}

/* The tied table is read by @embed too: folding a gain into it would store it twice. */
static void test_a_shared_weight_is_not_changed(void **state)
{
    (void)state;
    Ctx *ctx = ctx_create();
    Module *m = case_module(
        ctx, "module @test {phase = decode, tokens = 1, context = 8}\nschedule embed; head\n\n"
             "func @embed(%tokens: i32[1]) weights(@embedding: f32[8, 4]) -> (%x: f32[1, 4]) {\n"
             "  %x = embed %tokens, @embedding\n  return %x\n}\n\n"
             "func @head(%x: f32[1, 4]) weights(@norm: f32[4], @embedding: f32[8, 4])"
             " -> (%logits: f32[1, 8]) {\n  %n = rmsnorm %x, gain = @norm {eps = 0.01}\n"
             "  %logits = matmul %n, @embedding\n  return %logits\n}\n");
    Ledger ledger = {.arena = ctx->arena};
    PassEnv env = {.ctx = ctx, .rules = shipped_rules(ctx), .ledger = &ledger};
    Str name = str_intern(ctx->strings, "norm_gain");
    assert_int_equal(rule_apply(m->funcs.data[1], ruleset_find(env.rules, name), &env, name), 0);
    assert_int_equal(ledger.entries.n, 1);
    assert_string_equal(ledger.entries.data[0].reason,
                        "@embedding is shared with @embed (feeds_matmuls(%n))");
    ctx_destroy(ctx);
}

int main(void)
{
    seed = unit_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_rule_keeps_the_numbers),
        cmocka_unit_test(test_attention_rules_keep_the_numbers),
        cmocka_unit_test(test_no_rule_is_without_proof),
        cmocka_unit_test(test_the_reference_knows_every_condition),
        cmocka_unit_test(test_printed_rules_read_back),
        cmocka_unit_test(test_a_rule_that_never_ends_is_an_error),
        cmocka_unit_test(test_a_rewrite_to_another_type_is_an_error),
        cmocka_unit_test(test_a_cycle_is_undone_and_reported),
        cmocka_unit_test(test_fired_sites_are_in_the_ledger),
        cmocka_unit_test(test_a_later_rule_replaces_its_namesake),
        cmocka_unit_test(test_a_shared_weight_is_not_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
