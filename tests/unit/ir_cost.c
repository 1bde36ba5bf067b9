/* Bytes, FLOPs and seconds worked out by hand: a gated FFN, a quantised matmul, attention. */
#include "ir_case.h"

#include "ir/cost.h"

static Func *func_of(IrCase *c, int tokens, int context, const char *text)
{
    *c = case_create(tokens, context, text);
    return c->func;
}

static const Op *op_of(const Func *f, OpKind kind)
{
    FOR_EACH_OP(f, id)
    {
        if (f->op[id].kind == kind) {
            return &f->op[id];
        }
    }
    fail();
    return NULL;
}

static const BufferCost *buffer(const BufferCosts *list, const Func *f, const char *name)
{
    for (size_t i = 0; i < list->n; i++) {
        if (strcmp(f->value[list->data[i].value].name, name) == 0) {
            return &list->data[i];
        }
    }
    print_message("# no buffer %s\n", name);
    fail();
    return NULL;
}

/* M = 4, N = d_ff = 2048, K = d_model = 4096, bf16: MN is 16384 bytes. */
enum { MN = 4 * 2048 * 2 };

#define FFN(body)                                                                                  \
    "func @ffn(%x: bf16[4, 4096]) weights(@gate: bf16[2048, 4096], @up: bf16[2048, 4096], "        \
    "@down: bf16[4096, 2048]) -> (%y: bf16[4, 4096]) {\n" body                                     \
    "  %y = matmul %h, @down\n  return %y\n}\n"

static const char ffn_plain[] =
    FFN("  %g = matmul %x, @gate\n  %u = matmul %x, @up\n  %a = silu %g\n  %h = mul %a, %u\n");
static const char ffn_elementwise[] = FFN("  %w = concat_rows @gate, @up\n  %gu = matmul %x, %w\n"
                                          "  %g, %u = split %gu {sizes = [2048, 2048]}\n"
                                          "  %h = map {expr = mul(silu(%g), %u)}\n");
static const char ffn_epilogue[] =
    FFN("  %w = interleave_rows @gate, @up {block = 16}\n"
        "  %h = matmul %x, %w {n = 2048, interleave = 16, epilogue = mul(silu(acc.0), acc.1)}\n");

static void check_buffer(const char *text, const char *name, double written, double read)
{
    IrCase c;
    Func *f = func_of(&c, 4, 1, text);
    BufferCosts list = cost_buffers(c.ctx->arena, f, 0);
    const BufferCost *b = buffer(&list, f, name);
    assert_true(b->written == written && b->read == read);
    ctx_destroy(c.ctx);
}

static void ffn_traffic_per_buffer(void **state)
{
    (void)state;
    check_buffer(ffn_plain, "g", MN, MN);
    check_buffer(ffn_plain, "u", MN, MN);
    check_buffer(ffn_plain, "a", MN, MN);
    check_buffer(ffn_plain, "h", MN, MN);
    check_buffer(ffn_plain, "x", 0, 2 * 4 * 4096 * 2);
    check_buffer(ffn_elementwise, "gu", 2 * MN, 2 * MN); /* both views are one buffer */
    check_buffer(ffn_elementwise, "h", MN, MN);
    check_buffer(ffn_epilogue, "h", MN, MN);
    check_buffer(ffn_epilogue, "x", 0, 4 * 4096 * 2);
}

static void check_ffn(const char *text, int launches, double activations)
{
    IrCase c;
    Cost cost = cost_func(func_of(&c, 4, 1, text), 0);
    double flops = 3 * 2.0 * 4 * 2048 * 4096;
    assert_int_equal(cost.launches, launches);
    assert_true(cost.weight_bytes == 3.0 * 2048 * 4096 * 2);
    assert_true(cost.read_bytes + cost.write_bytes == activations);
    assert_true(cost.flops >= flops && cost.flops < flops * 1.001);
    ctx_destroy(c.ctx);
}

static void ffn_sums(void **state)
{
    (void)state;
    double x = 4 * 4096 * 2;
    check_ffn(ffn_plain, 5, 2 * x + 2 * MN + 2 * MN + 3 * MN + MN + x);
    check_ffn(ffn_elementwise, 3, x + 2 * MN + 2 * MN + MN + MN + x);
    check_ffn(ffn_epilogue, 2, x + MN + MN + x);
}

static void quantised_weights_count_codes_and_scales(void **state)
{
    (void)state;
    IrCase c;
    Func *f = func_of(&c, 1, 1,
                      "func @f(%x: bf16[1, 256]) weights(@c: u4[100, 256], @s: f32[100, 2]) "
                      "-> (%y: bf16[1, 100]) {\n"
                      "  %t = tile @c {rows = 16, cols = 8, sub = 4}\n"
                      "  %y = matmul %x, %t, w_scale = @s {group = 128, zero = 8}\n"
                      "  return %y\n}\n");
    Cost cost = cost_op(f, op_of(f, OP_MATMUL), 0);
    assert_true(cost.weight_bytes == 112 * 256 / 2 + 100 * 2 * 4); /* rows padded to 112 */
    assert_true(cost.read_bytes == 512 && cost.write_bytes == 200);
    assert_true(cost.flops == 2.0 * 100 * 256);
    cost = cost_op(f, op_of(f, OP_TILE), 0);
    assert_true(cost_bytes(&cost) == 0 && cost.launches == 0);
    ctx_destroy(c.ctx);
}

static void check_attention(int tokens, const char *q, const char *cache, const char *attrs,
                            int kv_len, double read, double flops)
{
    Ctx *scratch = ctx_create();
    bool sequences = strstr(cache, "[1,") == NULL;
    IrCase c =
        case_phase(sequences ? "decode" : "prefill", tokens, 1024,
                   arena_printf(scratch->arena,
                                "func @f(%%q: %s, %%p: i32[%d]) state(%%k: %s, %%v: %s) "
                                "-> (%%y: %s) {\n  %%y = attention %%q, %%k, %%v, %%p "
                                "{heads = 8, kv_heads = 2, head_dim = 64%s}\n  return %%y\n}\n",
                                q, tokens, cache, cache, q, attrs));
    const Func *f = c.func;
    Cost cost = cost_op(f, op_of(f, OP_ATTENTION), kv_len);
    double row = 8 * 64 * 2;
    assert_true(cost.read_bytes == read + tokens * (row + 4));
    assert_true(cost.write_bytes == tokens * row);
    assert_true(cost.flops == flops);
    ctx_destroy(c.ctx);
    ctx_destroy(scratch);
}

static void attention_reads_what_it_sees(void **state)
{
    (void)state;
    double position = 2 * 2 * 64 * 2; /* k and v, 2 kv heads, bf16 */
    const char *one = "bf16[1, 1024, 2, 64]", *four = "bf16[4, 1024, 2, 64]";
    check_attention(1, "bf16[1, 512]", one, "", 100, 100 * position, 4.0 * 512 * 100);
    check_attention(1, "bf16[1, 512]", one, "", 5000, 1024 * position, 4.0 * 512 * 1024);
    check_attention(1, "bf16[1, 512]", one, ", window = 32", 100, 32 * position, 4.0 * 512 * 32);
    check_attention(4, "bf16[4, 512]", four, "", 100, 4 * 100 * position, 4.0 * 4 * 512 * 100);
    /* a chunk of one sequence: its rows share the positions */
    check_attention(4, "bf16[4, 512]", one, "", 100, 100 * position, 4.0 * 4 * 512 * 100);
    check_attention(4, "bf16[4, 512]", one, ", window = 32", 100, 35 * position,
                    4.0 * 4 * 512 * 35);
}

static void appends_write_rows_and_embeds_read_rows(void **state)
{
    (void)state;
    IrCase c = case_phase("decode", 2, 64,
                          "func @f(%t: i32[2], %p: i32[2]) state(%k: bf16[2, 64, 2, 4]) "
                          "weights(@w: bf16[100, 8]) -> (%x: bf16[2, 8]) {\n"
                          "  %x = embed %t, @w\n  %y = kv_append %k, %x, %p\n  return %x\n}\n");
    const Func *f = c.func;
    Cost e = cost_op(f, op_of(f, OP_EMBED), 0), a = cost_op(f, op_of(f, OP_KV_APPEND), 0);
    assert_true(e.weight_bytes == 2 * 8 * 2 && e.read_bytes == 8 && e.write_bytes == 32);
    assert_true(a.weight_bytes == 0 && a.read_bytes == 32 + 8 && a.write_bytes == 32);
    ctx_destroy(c.ctx);
}

/* 1e9 bytes/s, 8e9 and 64e9 flops, 1 us a launch. */
static const Device device = {.bandwidth = 1e9,
                              .flops_f32 = 4e9,
                              .flops_bf16 = 8e9,
                              .flops_int8 = 64e9,
                              .launch_seconds = 1e-6};

static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-12 * fabs(b);
}

static void roofline_seconds(void **state)
{
    (void)state;
    IrCase c;
    Func *f = func_of(&c, 4, 1,
                      "func @f(%x: bf16[4, 64]) weights(@w: bf16[32, 64]) -> (%y: bf16[4, 32]) {\n"
                      "  %y = matmul %x, @w\n  return %y\n}\n");
    const Op *op = op_of(f, OP_MATMUL);
    double bytes = 32 * 64 * 2 + 4 * 64 * 2 + 4 * 32 * 2, flops = 2.0 * 4 * 32 * 64;
    assert_true(near(cost_op_seconds(f, op, 0, &device), bytes / 1e9 + 1e-6));
    Device slow = device;
    slow.flops_bf16 = 1e9;
    assert_true(near(cost_op_seconds(f, op, 0, &slow), flops / 1e9 + 1e-6));
    assert_true(near(cost_intensity(f, op), 4)); /* T FLOP per weight byte in bf16: 2 T / 2 */
    /* 4096 bytes of weights; per token 192 bytes and 4096 flops at 8 per byte of bandwidth */
    assert_true(near(cost_balance_tokens(f, op, &device), 4096 / (4096 / 8.0 - 192)));
    slow.flops_bf16 = 64e9;
    assert_true(isinf(cost_balance_tokens(f, op, &slow)));
    ctx_destroy(c.ctx);
}

static void rates_follow_operand_dtypes(void **state)
{
    (void)state;
    IrCase c;
    Func *f = func_of(&c, 1, 1,
                      "func @f(%x: i8[1, 64], %z: bf16[1, 64]) weights(@w: i8[32, 64]) "
                      "-> (%y: f32[1, 32], %u: bf16[1, 32]) {\n"
                      "  %y = matmul %x, @w\n  %u = matmul %z, @w\n  return %y, %u\n}\n");
    const Op *codes = &f->op[f->order.data[0]], *mixed = &f->op[f->order.data[1]];
    assert_true(near(cost_op_rate(f, codes, &device), 64e9));
    assert_true(near(cost_op_rate(f, mixed, &device), 8e9));
    assert_true(near(cost_intensity(f, mixed), 2)); /* 2 T FLOP per byte of int8 weights */
    ctx_destroy(c.ctx);
}

static void modules_count_every_layer(void **state)
{
    (void)state;
    Ctx *ctx = ctx_create();
    Module *m = case_module(ctx, "module @m {phase = decode, tokens = 1, context = 2}\n"
                                 "schedule 3 x (a; b); a\n\n"
                                 "func @a(%x: f32[1, 8]) weights(@w: f32[8, 8]) -> (%x: f32[1, 8]) "
                                 "{\n  %y = matmul %x, @w\n  return %y\n}\n\n"
                                 "func @b(%x: f32[1, 8]) -> (%x: f32[1, 8]) {\n"
                                 "  %y = silu %x\n  %z = silu %y\n  return %z\n}\n");
    Cost c = cost_module(m, 0);
    assert_int_equal(c.launches, 3 * (1 + 2) + 1);
    assert_true(c.weight_bytes == 4 * 256);
    double a = cost_func_seconds(m->funcs.data[0], 0, &device);
    double b = cost_func_seconds(m->funcs.data[1], 0, &device);
    assert_true(near(cost_module_seconds(m, 0, &device), 4 * a + 3 * b));
    ctx_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ffn_traffic_per_buffer),
        cmocka_unit_test(ffn_sums),
        cmocka_unit_test(quantised_weights_count_codes_and_scales),
        cmocka_unit_test(attention_reads_what_it_sees),
        cmocka_unit_test(appends_write_rows_and_embeds_read_rows),
        cmocka_unit_test(roofline_seconds),
        cmocka_unit_test(rates_follow_operand_dtypes),
        cmocka_unit_test(modules_count_every_layer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
