/* Sizes of register blocks follow the device: its caches, and how far ahead weights are asked for.
 */
#include "unit.h"

#include <string.h>

#include "codegen/dot.h"
#include "compiler/device.h"

static const char most_of_a_device[] = "name: small\nbandwidth: 1e9\nflops_f32: 1e9\n"
                                       "flops_bf16: 1e9\nlaunch_seconds: 1e-6\nsms: 1\n";

static const Target *target_with(Ctx *ctx, const char *caches)
{
    const char *text = arena_printf(ctx->arena, "%s%s", most_of_a_device, caches);
    const Device *d = device_read(ctx, "small.yaml", text, strlen(text));
    const Target *t = target_c(ctx, "avx512");
    if (d == NULL || t == NULL) {
        fail_msg("%s", diag_text(ctx->diag));
    }
    return target_for_device(ctx, t, d);
}

static DotBlock block_of(const Target *t, const char *family, int64_t rows)
{
    DotShape shape = {.isa = t->isa,
                      .caches = t->caches,
                      .rows = rows,
                      .columns = 4096,
                      .tiles = 256,
                      .steps = 4096 / 4,
                      .column_bits = 8,
                      .ways = 1};
    return dot_block(dot_family(family), &shape);
}

static void test_ahead(void **state)
{
    (void)state;
    Ctx *ctx = ctx_create();
    assert_int_equal(block_of(target_with(ctx, "ahead_bytes: 4096\n"), "u4planes", 1).ahead, 4096);
    assert_int_equal(block_of(target_with(ctx, "ahead_bytes: 0\n"), "u4planes", 1).ahead, 0);
    assert_int_equal(block_of(target_with(ctx, ""), "u4planes", 1).ahead, 8192);
    assert_int_equal(block_of(target_with(ctx, ""), "u4planes", 64).ahead, 0);
    assert_int_equal(block_of(target_with(ctx, ""), "i8planes", 1).ahead, 0);
    ctx_destroy(ctx);
}

/* A tile of 16 rows x 4096 bytes: four of them are a quarter of 1 MiB, not of less. */
static void test_cache_of_a_core(void **state)
{
    (void)state;
    Ctx *ctx = ctx_create();
    assert_int_equal(block_of(target_with(ctx, "shared_bytes: 1024 * 1024\n"), "i8i8", 256).tiles,
                     4);
    assert_int_equal(block_of(target_with(ctx, "shared_bytes: 1000000\n"), "i8i8", 256).tiles, 2);
    ctx_destroy(ctx);
}

/* Packed rows of 4096 bytes in a 16th of the cache; as many as there are when it is large. */
static void test_cache_of_the_chip(void **state)
{
    (void)state;
    Ctx *ctx = ctx_create();
    DotBlock small = block_of(target_with(ctx, "l2_bytes: 4 * 1024 * 1024\n"), "i8i8", 256);
    DotBlock large = block_of(target_with(ctx, "l2_bytes: 64 * 1024 * 1024\n"), "i8i8", 256);
    assert_int_equal(small.rows, 64 / small.tokens * small.tokens);
    assert_true(large.rows >= 256 && large.rows < 256 + large.tokens);
    ctx_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ahead),
        cmocka_unit_test(test_cache_of_a_core),
        cmocka_unit_test(test_cache_of_the_chip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
