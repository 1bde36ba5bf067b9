/* rules.c - any bytes as a rule file. What loads prints to text that loads to the same text, and is
 * applied to a small block; whatever it rewrites must verify and survive as text. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/pass.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char block[] =
    "module @block {phase = decode, tokens = 2, context = 8}\n"
    "schedule embed; 2 x layer\n"
    "func @embed(%tokens: i32[2], %pos: i32[2]) weights(@embedding: bf16[32, 16])\n"
    "    -> (%x: bf16[2, 16], %angles: f32[2, 4]) {\n"
    "  %x = embed %tokens, @embedding\n"
    "  %freqs = rope_freqs {dims = 4, theta = 10000}\n"
    "  %angles = rope_angles %pos, %freqs {scale = 1}\n"
    "  return %x, %angles\n"
    "}\n"
    "func @layer(%x: bf16[2, 16], %angles: f32[2, 4], %pos: i32[2])\n"
    "    state(%k_cache: bf16[2, 8, 2, 4], %v_cache: bf16[2, 8, 2, 4])\n"
    "    weights(@attn_norm: bf16[16], @q: bf16[16, 16], @k: bf16[8, 16], @v: bf16[8, 16],\n"
    "        @b: bf16[16], @o: bf16[16, 16], @ffn_norm: bf16[16], @gate: bf16[24, 16],\n"
    "        @up: bf16[24, 16], @down: bf16[16, 24])\n"
    "    -> (%x: bf16[2, 16]) {\n"
    "  %n = rmsnorm %x, gain = @attn_norm {eps = 1e-05}\n"
    "  %q0 = matmul %n, @q\n"
    "  %q1 = add %q0, @b\n"
    "  %k1 = matmul %n, @k\n"
    "  %v1 = matmul %n, @v\n"
    "  %q_r = rope %q1, %angles {head_dim = 4, dims = 4, style = half}\n"
    "  %k_r = rope %k1, %angles {head_dim = 4, dims = 4, style = half}\n"
    "  %kc = kv_append %k_cache, %k_r, %pos\n"
    "  %vc = kv_append %v_cache, %v1, %pos\n"
    "  %s = attn_scores %q_r, %kc, %pos {heads = 4, kv_heads = 2, head_dim = 4, scale = 0.5}\n"
    "  %p = softmax %s\n"
    "  %a = attn_mix %p, %vc, %pos {dtype = bf16, heads = 4, kv_heads = 2, head_dim = 4}\n"
    "  %o1 = matmul %a, @o\n"
    "  %x1 = add %x, %o1\n"
    "  %m = rmsnorm %x1, gain = @ffn_norm {eps = 1e-05}\n"
    "  %g = matmul %m, @gate\n"
    "  %u = matmul %m, @up\n"
    "  %act = silu %g\n"
    "  %h = mul %act, %u\n"
    "  %d = matmul %h, @down\n"
    "  %x2 = add %x1, %d\n"
    "  return %x2\n"
    "}\n";

static void die(const char *what, const char *a, const char *b)
{
    fprintf(stderr, "%s\n---- first\n%s\n---- second\n%s\n", what, a, b);
    abort();
}

static const char *print_rules(Ctx *ctx, const RuleSet *set)
{
    Buf b = buf_create(ctx->arena);
    for (size_t i = 0; i < set->rules.n; i++) {
        rule_print(&b, set->rules.data[i]);
    }
    return b.data ? b.data : "";
}

static void check_printed(Ctx *ctx, const RuleSet *set)
{
    const char *once = print_rules(ctx, set);
    RuleSet *again = ruleset_create(ctx);
    if (!ruleset_add(again, "printed.rules", once, strlen(once))) {
        die("the rules as printed are refused", once, diag_text(ctx->diag));
    }
    const char *twice = print_rules(ctx, again);
    if (strcmp(once, twice) != 0) {
        die("the rules as printed are others", once, twice);
    }
}

static void apply_all(Ctx *ctx, const RuleSet *set)
{
    Module *m = ir_parse(ctx, "block.ir", block, sizeof block - 1);
    Ledger ledger = {.arena = ctx->arena};
    PassEnv env = {.ctx = ctx, .rules = set, .kv_len = 8, .block = 4, .ledger = &ledger};
    for (size_t i = 0; i < set->rules.n; i++) {
        if (!pass_run(m, &env, rule_name(set->rules.data[i]), NULL)) {
            return;
        }
    }
    Buf b = buf_create(ctx->arena);
    ir_print_module(&b, m);
    if (ir_parse(ctx, "printed.ir", b.data, b.len) == NULL) {
        die("the rewritten block does not parse", b.data, diag_text(ctx->diag));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Ctx *ctx = ctx_create();
    const char *text = arena_strndup(ctx->arena, (const char *)data, size);
    RuleSet *set = ruleset_create(ctx);
    if (ruleset_add(set, "fuzz.rules", text, size)) {
        check_printed(ctx, set);
        apply_all(ctx, set);
    } else if (diag_error_count(ctx->diag) == 0) {
        die("refused without a word", text, "");
    }
    ctx_destroy(ctx);
    return 0;
}
