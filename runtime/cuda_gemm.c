/* cuda_gemm.c - matmuls of many tokens on sm_90a: how wide their tiles are, how they are shared
 * out, and how the copy engine sees the two matrices. */
#include <stdint.h>

#include "cuda_parts.h"

enum { WIDTHS = sizeof(((SinterGemm *)0)->kernel) / sizeof(int), NARROWEST = 64 };
enum { ROWS_IN_TILE = 16, ROWS_IN_BLOCK = 128, STEP = 64, THREADS = 384 };
enum { TYPE_UINT8 = 0, TYPE_UINT16 = 1, SWIZZLE_32 = 1, SWIZZLE_64 = 2, SWIZZLE_128 = 3 };
enum { PROMOTE_256 = 3 };

/* What the driver writes: 128 bytes, read by the kernel as a parameter. */
typedef struct TensorMap {
    _Alignas(64) uint64_t opaque[16];
} TensorMap;

static void *address(const void *p)
{
    return (void *)(uintptr_t)p;
}

static int up(int n, int by)
{
    return (n + by - 1) / by;
}

/* x: rows of 16-bit elements; a copy takes 64 columns of half a tile's tokens, of those that there
 * are in the narrowest. */
static int map_x(const SinterGpu *g, const SinterGemm *m, int tokens, TensorMap *map)
{
    const int half = tokens == NARROWEST && m->rows < tokens ? up(m->rows, 16) * 8 : tokens / 2;
    const uint64_t extent[] = {(uint64_t)m->columns, (uint64_t)m->rows};
    const uint64_t stride[] = {(uint64_t)m->x_stride * 2};
    const uint32_t box[] = {STEP, (uint32_t)half}, every[] = {1, 1};
    return g->d.tensor_map(map, TYPE_UINT16, 2, address(m->x), extent, stride, box, every, 0,
                           SWIZZLE_128, PROMOTE_256, 0);
}

/* w: tiles of 16 rows x 64 bytes; a copy takes a tile across and eight down, of 4-bit codes half of
 * each row. Narrow tiles of the result see it as 8 lines of 128 bytes (wgmma_begin.cu says why). */
static int map_w(const SinterGpu *g, const SinterGemm *m, int tokens, TensorMap *map)
{
    enum { WIDEST_OF_LINES = 128, LINES = 8 };
    const int wide = m->w_bits == 16, lines = tokens <= WIDEST_OF_LINES && m->w_bits >= 8;
    const uint32_t items = (wide ? 32U : 64U) << lines,
                   rows = (uint32_t)(lines ? LINES : ROWS_IN_TILE);
    const uint64_t across = (uint64_t)m->columns * (uint64_t)m->w_bits / 512;
    const uint64_t extent[] = {items, rows, across, (uint64_t)m->w_rows / ROWS_IN_TILE};
    const uint64_t stride[] = {lines ? 128 : 64, 1024, across * 1024};
    const uint32_t every[] = {1, 1, 1, 1};
    const uint32_t box[] = {m->w_bits == 4 ? 32 : items, rows, 1, ROWS_IN_BLOCK / ROWS_IN_TILE};
    const int swizzle = m->w_bits == 4 ? SWIZZLE_32 : lines ? SWIZZLE_128 : SWIZZLE_64;
    return g->d.tensor_map(map, wide ? TYPE_UINT16 : TYPE_UINT8, 4, address(m->w), extent, stride,
                           box, every, 0, swizzle, PROMOTE_256, 0);
}

/* Blocks that have tokens in common, as the kernel was compiled. */
static int cluster_of(const SinterGemm *m)
{
    return up(m->w_rows, ROWS_IN_BLOCK) % 2 ? 1 : 2;
}

/* How a launch shares out its tiles. */
typedef struct Shares {
    int width;  /* of a tile: NARROWEST << width tokens */
    int split;  /* all steps of all tiles dealt out evenly, else whole tiles */
    int blocks; /* whole clusters */
} Shares;

/* As the kernel's parameter: wgmma_begin.cu, wgmma_join.cu. */
typedef struct Split {
    CuPointer sums, ready;
    uint32_t turn;
} Split;

/* What a step of so many tokens costs: an H200 takes 41 us for 64 steps of 256 tokens, 30 for those
 * of 128. */
static int64_t step_cost(int tokens)
{
    return tokens + 200;
}

static int least_of(int a, int b)
{
    return a < b ? a : b;
}

/* Whole tiles or pieces of them, whichever is done first; pieces cost some steps more, for the sums
 * that are left and taken over. Returns the steps. */
static int share_out(const SinterGemm *m, int width, int clusters, Shares *shares)
{
    enum { JOIN_STEPS = 10, LEAST_STEPS = 4, WIDEST_SPLIT = 128, MOST_PIECES = 8 };
    int tokens = NARROWEST << width, cluster = cluster_of(m), steps = m->columns / STEP;
    int tiles = up(m->rows, tokens) * up(m->w_rows, ROWS_IN_BLOCK * cluster);
    int whole = up(tiles, clusters) * steps, sharers = least_of(clusters, tiles * MOST_PIECES);
    int even = up(tiles * steps, sharers);
    int split = tokens <= WIDEST_SPLIT && even >= LEAST_STEPS && even + JOIN_STEPS < whole;
    *shares = (Shares){width, split, (split ? sharers : least_of(clusters, tiles)) * cluster};
    return split ? even + JOIN_STEPS : whole;
}

/* The way in which the multiprocessors are done first. */
static Shares choose_shares(const SinterGemm *m, int multiprocessors)
{
    int clusters = multiprocessors / cluster_of(m);
    int64_t least = INT64_MAX;
    Shares best = {0};
    for (int i = 0; i < WIDTHS; i++) {
        Shares shares;
        int64_t cost = share_out(m, i, clusters > 0 ? clusters : 1, &shares);
        cost *= step_cost(NARROWEST << i);
        if (m->kernel[i] >= 0 && cost < least) {
            least = cost;
            best = shares;
        }
    }
    return best;
}

/* Memory for the sums of every block's last piece, made for the first launch that needs it. */
static Split get_split(SinterGpu *g, int wanted)
{
    enum { SUMS = ROWS_IN_BLOCK * 128 * 4, READY = 8 * 4 };
    Split s = {0};
    size_t blocks = (size_t)g->multiprocessors;
    if (!wanted)
        return s;
    if (!g->split) {
        gpu_note(g, g->d.alloc(&g->split, blocks * (SUMS + READY)), "sums of pieces");
        if (!g->error)
            gpu_note(g, g->d.fill8(g->split, 0, blocks * (SUMS + READY), g->stream), "sums");
    }
    s.sums = g->split;
    s.ready = g->split + blocks * SUMS;
    g->split_turn = g->split_turn == UINT32_MAX ? 1 : g->split_turn + 1;
    s.turn = g->split_turn;
    return s;
}

int sinter_gpu_gemm(SinterGpu *g, const SinterGemm *m, void **arg)
{
    TensorMap x, w;
    if (!g->kernel[m->kernel[0]])
        return 0;
    const Shares shares = choose_shares(m, g->multiprocessors);
    Split split = get_split(g, shares.split);
    int error = map_x(g, m, NARROWEST << shares.width, &x);
    if (!error)
        error = map_w(g, m, NARROWEST << shares.width, &w);
    gpu_note(g, error, g->model->gpu->kernels[m->kernel[shares.width]]);
    arg[0] = &x;
    arg[1] = &w;
    arg[2] = &split;
    const SinterGrid grid = {
        .x = shares.blocks, .y = 1, .block = THREADS, .shared = m->shared, .when = SINTER_EARLY};
    if (!g->error)
        sinter_gpu_launch(g, m->kernel[shares.width], grid, arg);
    arg[0] = arg[1] = arg[2] = NULL; /* what they point to ends here */
    return 1;
}
