/* emit_attention.c - the variables of templates/cuda/attention_split.cu and attention_flash.cu. */
#include "codegen/emit_setup.h"

#include "ir/slots.h"

enum { SHARED_SUMS = 24 << 10, MAX_ROWS = 16, MAX_SLICE = 128, MAX_SPLITS = 8, FILL = 64 };

static const double log2_e = 1.4426950408889634;

static DType stored(const KernelText *k, const char *param)
{
    return emit_find_param(k, str_intern(k->emit->ctx->strings, param))->stored;
}

/* How eight elements of a cache are held, loaded, and become pairs for the tensor cores. */
static void set_cache(KernelText *k, const char *suffix, const char *param, const char *raw)
{
    Arena *a = k->emit->ctx->arena;
    DType t = stored(k, param);
    bool codes = dtype_is_code(t);
    const char *pairs = t == DT_I8 ? arena_printf(a, "bf16_of_i8x8(%s.x, %s.y, exponent)", raw, raw)
                        : t == DT_E4M3
                            ? arena_printf(a, "bf16_from_e4m3x8(%s.x, %s.y, exponent)", raw, raw)
                            : raw;
    tmpl_set_bool(&k->env, arena_printf(a, "%s_codes", suffix), codes);
    tmpl_set_string(&k->env, arena_printf(a, "octet_%s", suffix), codes ? "uint2" : "uint4");
    tmpl_set_string(&k->env, arena_printf(a, "fresh_%s", suffix),
                    codes ? "load_fresh8" : "load_fresh16");
    tmpl_set_string(&k->env, arena_printf(a, "pairs_%s", suffix), pairs);
}

static void set_arithmetic(KernelText *k)
{
    Arena *a = k->emit->ctx->arena;
    const Attrs *at = &k->op->a;
    bool f16 = stored(k, "k_cache") == DT_F16;
    double scale = at->scale > 0 || at->scale < 0 ? at->scale : 1;
    tmpl_set_string(&k->env, "pair", f16 ? "f16_pair" : "bf16_pair");
    tmpl_set_string(&k->env, "mma", f16 ? "mma_f16" : "mma_bf16");
    tmpl_set_double(&k->env, "score_factor",
                    at->softcap > 0 ? scale / at->softcap : scale * log2_e);
    tmpl_set_double(&k->env, "softcap_factor", at->softcap * log2_e);
    tmpl_set_double(&k->env, "factor", at->softcap > 0 ? 1 : scale * log2_e);
    const char *q = dtype_name(stored(k, "q"));
    tmpl_set_string(&k->env, "q_type", emit_ctype(stored(k, "q")));
    tmpl_set_string(&k->env, "q_bytes", stored(k, "q") == DT_F32 ? "32" : "16");
    tmpl_set_string(&k->env, "floats_q", arena_printf(a, "floats_of_%sx8", q));
    tmpl_set_string(&k->env, "load_q", arena_printf(a, "load_%sx8", q));
    set_cache(k, "k", "k_cache", "key[n][p]");
    set_cache(k, "v", "v_cache", "value[m][j][h]");
}

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* Blocks that share a head's positions: enough for most multiprocessors. */
static int64_t splits_of(int64_t units, int64_t slice)
{
    int64_t splits = 1;
    while (splits < MAX_SPLITS && splits * 2 <= slice / 2 && units * splits < FILL) {
        splits *= 2;
    }
    return splits;
}

/* A warp has 2 KiB to 8 KiB of keys and values on the way; partial sums of all fit in 24 KiB. */
void emit_split_variables(KernelText *k)
{
    const Attrs *at = &k->op->a;
    int64_t group = at->heads / at->kv_heads, parts = divide_up(group, MAX_ROWS);
    int64_t g = divide_up(group, parts), slices = divide_up(at->head_dim, MAX_SLICE);
    int64_t slice = divide_up(at->head_dim / 8, slices) * 8;
    int64_t units = at->kv_heads * parts * slices, line = divide_up(slice, 64) * 64 + 8;
    int64_t splits = splits_of(units * k->phase->module->tokens, slice);
    int64_t warps = at->head_dim > MAX_SLICE ? 4 : 8;
    while (warps > 2 && warps * g * line * 4 > SHARED_SUMS) {
        warps /= 2;
    }
    int64_t shared = warps * (g * line + 2 * MAX_ROWS) * 4;
    shared += splits > 1 ? (g * slice / 2 + splits + splits * MAX_ROWS) * 8 : 0;
    emit_set_int(k, "G", g);
    emit_set_int(k, "PARTS", divide_up(group, g));
    emit_set_int(k, "ROW_BLOCKS", g > 8 ? 2 : 1);
    emit_set_int(k, "SLICE", slice);
    emit_set_int(k, "SLICES", slices);
    emit_set_int(k, "SPLITS", splits);
    const char *cluster =
        arena_printf(k->emit->ctx->arena,
                     "#if __CUDA_ARCH__ >= 900\n__cluster_dims__(%d, 1, 1)\n#endif", (int)splits);
    tmpl_set_string(&k->env, "cluster", splits > 1 ? cluster : "");
    emit_set_int(k, "WARPS", warps);
    emit_set_int(k, "CHUNK", at->head_dim <= 64 && g <= 8 ? 32 : 16);
    emit_set_int(k, "BLOCKS", units * splits);
    emit_set_int(k, "SHARED", shared);
    set_arithmetic(k);
}

enum { FLASH_POSITIONS = 64, WARP_ROWS = 64 }; /* rows of one tile of each of four warps */

/* Two tiles of rows to a warp where their sums leave room for scores: each key and value that is
 * read from shared memory is then multiplied twice. */
void emit_flash_variables(KernelText *k)
{
    int64_t dim = k->op->a.head_dim;
    bool codes = dtype_is_code(stored(k, "k_cache"));
    int64_t tiles = dim <= MAX_SLICE && !codes ? 2 : 1, rows = tiles * WARP_ROWS;
    int64_t line = (divide_up(dim, 16) * 2 | 1) * 8;
    set_arithmetic(k);
    DType out = stored(k, "out");
    const char *narrow = out == DT_F16 ? "f16_pair" : "bf16_pair";
    emit_set_int(k, "TILES", tiles);
    int64_t shared = (rows + 2 * FLASH_POSITIONS) * line * 2;
    bool warpgroup = (dim == 64 || dim == 128) && !codes;
    if (warpgroup) {
        int64_t swizzled = (rows + 4 * FLASH_POSITIONS) * dim * 2 + 1024;
        shared = swizzled > shared ? swizzled : shared;
    }
    emit_set_int(k, "SHARED", shared);
    tmpl_set_bool(&k->env, "warpgroup", warpgroup);
    tmpl_set_string(&k->env, "widen",
                    stored(k, "k_cache") == DT_E4M3 ? "bf16_from_e4m3x8" : "bf16_of_i8x8");
    tmpl_set_string(&k->env, "type", stored(k, "k_cache") == DT_F16 ? "f16" : "bf16");
    tmpl_set_string(&k->env, "row_blocks",
                    arena_printf(k->emit->ctx->arena, "(rows + %lld) / %lld", (long long)rows - 1,
                                 (long long)rows));
    tmpl_set_string(&k->env, "out_pair", out == DT_F32 ? "float2" : "uint32_t");
    tmpl_set_string(&k->env, "make_out_pair", out == DT_F32 ? "make_float2" : narrow);
}
