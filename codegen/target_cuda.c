/* target_cuda.c - the CUDA target: which chips machine code is made for, and the order in which the
 * kernels read weights.
 *
 * Weights come in tiles of 16 rows x 64 bytes: a KiB that a warp copies or loads at once, and the
 * rows of one mma.m16n8k16. Matrices whose columns are not whole tiles, and f32, stay in rows. Gate
 * and up alternate, 8 rows of one, 8 rows of the other, so that both accumulators of a column are
 * in one thread, on the plain path and in a tensor core's tile. A thread of the GPU is what a
 * vector lane is on a CPU, so that expressions are scalar: lanes = 1.
 */
#include <limits.h>
#include <string.h>

#include "codegen/stream.h"
#include "codegen/target.h"

enum { INTERLEAVED_ROWS = 8, TILE_ROWS = 16, TILE_BITS = 512, MAX_CHIPS = 8 };

/* compute_*: PTX, which the driver of a later chip compiles when the program starts. */
static const char *const known_chips[] = {"sm_80",  "sm_86",      "sm_89",     "sm_90",
                                          "sm_90a", "compute_80", "compute_90"};
/* Of each: KiB of shared memory that a block can have (CUDA C++ Programming Guide, "Compute
 * Capabilities"); 0: not known. */
static const int block_kib[] = {163, 99, 99, 227, 227, 0, 0};
enum { N_CHIPS = sizeof known_chips / sizeof known_chips[0] };

static bool add_chip(Ctx *ctx, Target *t, const char **list, const char *name)
{
    for (int i = 0; i < N_CHIPS; i++) {
        if (strcmp(known_chips[i], name) == 0 && t->n_arch < MAX_CHIPS) {
            list[t->n_arch++] = known_chips[i];
            return true;
        }
    }
    const char *near = str_nearest(name, known_chips, N_CHIPS);
    return diag_error(ctx->diag, (Span){0},
                      "unknown chip '%s'%s%s%s; --arch takes a list of sm_80, sm_86, sm_89, sm_90, "
                      "sm_90a, and of compute_80, compute_90 for later chips",
                      name, near != NULL ? ", did you mean '" : "", near != NULL ? near : "",
                      near != NULL ? "'?" : "");
}

static bool read_chips(Ctx *ctx, Target *t, const char *chips)
{
    const char **list = ARENA_ARRAY(ctx->arena, const char *, MAX_CHIPS);
    t->arch = list;
    while (true) {
        size_t n = strcspn(chips, ",");
        if (!add_chip(ctx, t, list, arena_strndup(ctx->arena, chips, n))) {
            return false;
        }
        if (chips[n] == '\0') {
            return true;
        }
        chips += n + 1;
    }
}

static void set_tiles(Target *t)
{
    static const DType tiled[] = {DT_BF16, DT_F16, DT_I8, DT_U4, DT_E4M3};
    for (size_t i = 0; i < sizeof tiled / sizeof tiled[0]; i++) {
        t->tile[tiled[i]] = (Layout){.rows = TILE_ROWS, .cols = TILE_BITS / dtype_bits(tiled[i])};
    }
    t->whole_tiles = true;
    t->pair_heads = true;
    t->norm_prologue = stream_normalises;
}

int target_block_shared(const char *arch)
{
    for (int i = 0; i < N_CHIPS; i++) {
        if (strcmp(known_chips[i], arch) == 0 && block_kib[i] > 0) {
            return block_kib[i] << 10;
        }
    }
    return INT_MAX;
}

const char *target_code_suffix(const char *arch)
{
    return strncmp(arch, "compute_", 8) == 0 ? "ptx" : "cubin";
}

const Target *target_cuda(Ctx *ctx, const char *chips)
{
    static const char *const preludes[] = {"prelude",       "prelude_codes", "prelude_mma",
                                           "prelude_chain", "prelude_sm90a", NULL};
    const char *list = chips != NULL ? chips : "sm_80,sm_90a,compute_90";
    Target *t = ARENA_NEW(ctx->arena, Target);
    Isa *isa = ARENA_NEW(ctx->arena, Isa);
    t->name = "cuda";
    t->templates = "templates/cuda";
    t->suffix = ".cu";
    t->preludes = preludes;
    t->gpu = true;
    t->block = INTERLEAVED_ROWS;
    set_tiles(t);
    t->isa = isa;
    isa->name = arena_strdup(ctx->arena, list);
    isa->words = arena_printf(ctx->arena, "NVIDIA GPUs, %s", list);
    isa->flags = "";
    isa->lanes = 1;
    return read_chips(ctx, t, list) ? t : NULL;
}
