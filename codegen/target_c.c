/* target_c.c - the instruction sets of the C target and the weight order each of them reads.
 *
 *   tile(R, cols): R rows side by side, one to a vector lane, `cols` columns of a row together
 *
 *   f32, f16  cols 1   a vector holds one column of R rows
 *   bf16      cols 2   32-bit lanes: lower half = even column, upper half = odd column (vdpbf16ps
 * order) i8        cols 4   32-bit lanes of 4 codes (vpdpbusd order) u4        cols 8   32-bit
 * lanes: low nibbles = columns 0..3, high nibbles = columns 4..7 e4m3      cols 1   widened to f32
 */
#include "codegen/target.h"

#include <string.h>
#if defined(__aarch64__)
#include <sys/auxv.h>
#endif

static const Isa isas[] = {
    {.name = "avx512",
     .words = "AVX-512F BW DQ VL VNNI BF16, FMA, F16C",
     .flags = "-mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mavx512bf16 -mfma -mf16c "
              "-mprefer-vector-width=512",
     .lanes = 16,
     .registers = 32,
     .vnni = true,
     .avx512 = true},
    {.name = "avx512-base",
     .words = "AVX-512F BW DQ VL, FMA, F16C",
     .flags = "-mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mf16c -mprefer-vector-width=512",
     .lanes = 16,
     .registers = 32,
     .avx512 = true},
    {.name = "avx2",
     .words = "AVX2, FMA, F16C",
     .flags = "-mavx2 -mfma -mf16c",
     .lanes = 8,
     .registers = 16,
     .avx2 = true},
    {.name = "neon-dot",
     .words = "AArch64 NEON, dot products",
     .flags = "-march=armv8.2-a+dotprod",
     .lanes = 4,
     .registers = 32,
     .dotprod = true,
     .neon = true},
    {.name = "neon",
     .words = "AArch64 NEON",
     .flags = "",
     .lanes = 4,
     .registers = 32,
     .neon = true},
    {.name = "portable", .words = "any CPU", .flags = "", .lanes = 4, .registers = 16},
};
enum { N_ISAS = sizeof isas / sizeof isas[0] };

const Isa *isa_find(const char *name)
{
    for (int i = 0; i < N_ISAS; i++) {
        if (strcmp(isas[i].name, name) == 0) {
            return &isas[i];
        }
    }
    return NULL;
}

#if defined(__x86_64__)
static bool has_avx512_base(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("fma");
}

const Isa *isa_native(void)
{
    __builtin_cpu_init();
    if (has_avx512_base()) {
        bool dots = __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bf16");
        return isa_find(dots ? "avx512" : "avx512-base");
    }
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    return isa_find(avx2 ? "avx2" : "portable");
}
#elif defined(__aarch64__)
const Isa *isa_native(void) /* NEON is part of the base architecture */
{
    return isa_find((getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0 ? "neon-dot" : "neon");
}
#else
const Isa *isa_native(void)
{
    return isa_find("portable");
}
#endif

const char *isa_names(Arena *a)
{
    Buf b = buf_create(a);
    buf_puts(&b, "native");
    for (int i = 0; i < N_ISAS; i++) {
        buf_printf(&b, ", %s", isas[i].name);
    }
    return b.data;
}

static bool unknown_cpu(Ctx *ctx, const char *cpu)
{
    const char *names[N_ISAS];
    for (int i = 0; i < N_ISAS; i++) {
        names[i] = isas[i].name;
    }
    const char *near = str_nearest(cpu, names, N_ISAS);
    return diag_error(ctx->diag, (Span){0}, "unknown cpu '%s'%s%s%s, allowed are %s", cpu,
                      near != NULL ? ", did you mean '" : "", near != NULL ? near : "",
                      near != NULL ? "'?" : "", isa_names(ctx->arena));
}

const Target *target_c(Ctx *ctx, const char *cpu)
{
    const Isa *isa = strcmp(cpu, "native") == 0 ? isa_native() : isa_find(cpu);
    if (isa == NULL) {
        unknown_cpu(ctx, cpu);
        return NULL;
    }
    static const char *const preludes[] = {"prelude", "prelude_vec", "prelude_math", "prelude_rows",
                                           NULL};
    Target *t = ARENA_NEW(ctx->arena, Target);
    t->preludes = preludes;
    t->name = "c";
    t->templates = "templates/c";
    t->suffix = ".c";
    t->isa = isa;
    t->block = isa->lanes;
    t->caches = (Caches){.core = 1 << 20, .chip = 32 << 20, .ahead = 8 << 10};
    t->tile[DT_F32] = t->tile[DT_F16] = t->tile[DT_U8] = (Layout){.rows = isa->lanes, .cols = 1};
    t->tile[DT_E4M3] = (Layout){.rows = isa->lanes, .cols = 1};
    t->tile[DT_BF16] = (Layout){.rows = isa->lanes, .cols = 2};
    t->tile[DT_I8] = (Layout){.rows = isa->lanes, .cols = 4};
    t->tile[DT_U4] = (Layout){.rows = isa->lanes, .cols = 8, .sub = 4};
    return t;
}

const Target *target_for_device(Ctx *ctx, const Target *t, const Device *d)
{
    Target *with = ARENA_NEW(ctx->arena, Target);
    *with = *t;
    with->caches.core = d->shared_bytes > 0 ? d->shared_bytes : t->caches.core;
    with->caches.chip = d->l2_bytes > 0 ? d->l2_bytes : t->caches.chip;
    with->caches.ahead = (int)d->ahead_bytes;
    return with;
}
