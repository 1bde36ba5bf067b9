/* cuda_gemm.c - matmuls of many tokens on sm_90a: how wide their tiles are, and how the copy engine
 * sees the two matrices. */
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

/* x: rows of 16-bit elements; a copy takes 64 columns of half a tile's tokens. */
static int map_x(const SinterGpu *g, const SinterGemm *m, int tokens, TensorMap *map)
{
    const uint64_t extent[] = {(uint64_t)m->columns, (uint64_t)m->rows};
    const uint64_t stride[] = {(uint64_t)m->x_stride * 2};
    const uint32_t box[] = {STEP, (uint32_t)tokens / 2}, every[] = {1, 1};
    return g->d.tensor_map(map, TYPE_UINT16, 2, address(m->x), extent, stride, box, every, 0,
                           SWIZZLE_128, PROMOTE_256, 0);
}

/* w: tiles of 16 rows x 64 bytes; a copy takes a tile across and eight down, of 4-bit codes half of
 * each row. */
static int map_w(const SinterGpu *g, const SinterGemm *m, TensorMap *map)
{
    const int wide = m->w_bits == 16;
    const uint32_t items = wide ? 32 : 64;
    const uint64_t across = (uint64_t)m->columns * (uint64_t)m->w_bits / 512;
    const uint64_t extent[] = {items, ROWS_IN_TILE, across, (uint64_t)m->w_rows / ROWS_IN_TILE};
    const uint64_t stride[] = {64, 1024, across * 1024};
    const uint32_t every[] = {1, 1, 1, 1};
    const uint32_t box[] = {m->w_bits == 4 ? 32 : items, ROWS_IN_TILE, 1,
                            ROWS_IN_BLOCK / ROWS_IN_TILE};
    return g->d.tensor_map(map, wide ? TYPE_UINT16 : TYPE_UINT8, 4, address(m->w), extent, stride,
                           box, every, 0, m->w_bits == 4 ? SWIZZLE_32 : SWIZZLE_64, PROMOTE_256, 0);
}

static int up(int n, int by)
{
    return (n + by - 1) / by;
}

/* The width with which the multiprocessors are done first: rounds of tiles by their tokens, and
 * what each tile costs besides (an H200 takes 41 us for 256 tokens, 30 for 128, K = 4096). */
static int choose_width(const SinterGemm *m, int blocks)
{
    enum { TILE_COST = 200 };
    int best = 0;
    int64_t least = INT64_MAX;
    for (int i = 0; i < WIDTHS; i++) {
        int tokens = NARROWEST << i;
        int tiles = up(m->rows, tokens) * up(m->w_rows, ROWS_IN_BLOCK);
        int64_t cost = (int64_t)up(tiles, blocks) * (tokens + TILE_COST);
        if (m->kernel[i] >= 0 && cost < least) {
            least = cost;
            best = i;
        }
    }
    return best;
}

int sinter_gpu_gemm(SinterGpu *g, const SinterGemm *m, void **arg)
{
    TensorMap x, w;
    if (!g->kernel[m->kernel[0]])
        return 0;
    int blocks = g->multiprocessors;
    int cluster = up(m->w_rows, ROWS_IN_BLOCK) % 2 ? 1 : 2;
    int width = choose_width(m, blocks > 1 ? blocks : 2), tokens = NARROWEST << width;
    int tiles = up(m->rows, tokens) * up(m->w_rows, ROWS_IN_BLOCK);
    int error = map_x(g, m, tokens, &x);
    if (!error)
        error = map_w(g, m, &w);
    gpu_note(g, error, g->model->gpu->kernels[m->kernel[width]]);
    arg[0] = &x;
    arg[1] = &w;
    blocks = (blocks < tiles ? blocks : tiles) / cluster * cluster;
    const SinterGrid grid = {
        .x = blocks, .y = 1, .block = THREADS, .shared = m->shared, .when = SINTER_EARLY};
    if (!error)
        sinter_gpu_launch(g, m->kernel[width], grid, arg);
    return 1;
}
