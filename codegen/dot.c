/* dot.c - see dot.h.
 *
 * A block of T rows by N tiles loads T + N vectors for T * N products: the more accumulators, the
 * fewer loads. Decode is bound by reading weights: it takes all rows at once and one tile, so that
 * one stream runs through memory. */
#include "codegen/dot.h"

#include <string.h>

static const DotFamily families[] = {
    {.name = "f32", .template = "dot_f32"},
    {.name = "f16", .template = "dot_f16"},
    {.name = "bf16", .template = "dot_bf16"},
    {.name = "pairs", .template = "dot_pairs", .pack = "pack_pairs"},
    {.name = "e4m3", .template = "dot_e4m3", .bits = 8},
    {.name = "i8", .template = "dot_i8", .bits = 8},
    {.name = "u4", .template = "dot_u4", .bits = 4},
    {"i8i8", "dot_codes", "pack_codes", 8, 1},
    {"u4i8", "dot_codes", "pack_codes", 4, 1},
    {"i8planes", "dot_codes", "pack_planes", 8, 2},
    {"u4planes", "dot_codes", "pack_planes", 4, 2},
    {.name = "any", .template = "dot_any"},
};

const DotFamily *dot_family(const char *name)
{
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        if (strcmp(families[i].name, name) == 0) {
            return &families[i];
        }
    }
    BUG("no family of register blocks is called '%s'", name);
}

enum {
    MIN_UNITS = 8,    /* blocks of a matmul, so that threads have work */
    DECODE_ROWS = 8,  /* more are cut into blocks of rows */
    PLAIN_ROWS = 8,   /* rows in a block that reads x as it lies */
    MOST_ROWS = 12,   /* of any block: code grows with it */
    SHORT_GROUP = 16, /* steps */
    TURNS = 8,        /* accumulators that hide the latency of a dot product */
    UNIT_PART = 4,    /* weights of a unit: a quarter of a core's cache, where they stay ... */
    ROWS_PART = 16,   /* ... while packed rows of x come by, a 16th of the chip's cache at once */
};

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Tiles are taken in powers of two. */
static bool tiles_fit(const DotShape *s, int tiles)
{
    return s->tiles % tiles == 0 && s->tiles / tiles >= MIN_UNITS;
}

/* The most tiles that divide the number of tiles, fit the registers and leave work for threads. */
static DotBlock plain_block(const DotShape *s)
{
    int64_t rows = s->rows;
    int most = s->isa->registers < 32 ? PLAIN_ROWS / 2 : PLAIN_ROWS;
    while (rows % most != 0) {
        most /= 2;
    }
    DotBlock b = {.tokens = rows > DECODE_ROWS || most == rows ? most : (int)rows, .tiles = 4};
    int room = s->isa->registers / 2 / b.tokens;
    while (b.tiles > s->ways && (b.tiles > room || !tiles_fit(s, b.tiles))) {
        b.tiles /= 2;
    }
    b.unroll = b.calls = 1;
    return b;
}

static int packed_tiles(const DotShape *s, int sums)
{
    int64_t tile_bytes = s->isa->lanes * s->columns * s->column_bits / 8;
    if (s->rows > DECODE_ROWS && sums == 1 && tiles_fit(s, 4) &&
        4 * tile_bytes <= s->caches.core / UNIT_PART) {
        return 4;
    }
    bool two = s->ways == 2 || (s->rows > 2 && tiles_fit(s, 2));
    return two ? 2 : 1;
}

static DotBlock packed_block(const DotFamily *f, const DotShape *s)
{
    int planes = f->planes > 0 ? f->planes : 1;
    int sums = planes + (s->grouped ? 1 : 0); /* vectors for each row and tile */
    int registers = s->isa->registers < 32 ? 8 : 24;
    DotBlock b = {.tiles = packed_tiles(s, sums), .unroll = 4};
    int64_t most = least(least(s->rows, MOST_ROWS), registers / (b.tiles * sums));
    most = most < 1 ? 1 : most;
    int64_t blocks = (s->rows + most - 1) / most; /* of equal size */
    b.tokens = (int)((s->rows + blocks - 1) / blocks);
    b.calls = b.tokens == 1 ? b.tiles : 1;
    if (s->grouped && s->steps <= SHORT_GROUP) {
        b.unroll = 2; /* the sums of the next group do not wait */
    }
    /* So many instructions for a line of weights that those in flight ask for too few of them. */
    b.ahead = f->bits == 4 && s->rows <= DECODE_ROWS ? s->caches.ahead : 0;
    while (b.unroll > 1 &&
           (s->steps % b.unroll != 0 || b.tokens * b.tiles / b.calls * planes * b.unroll > TURNS)) {
        b.unroll /= 2;
    }
    return b;
}

DotBlock dot_block(const DotFamily *family, const DotShape *shape)
{
    bool packed = family->pack != NULL;
    DotBlock b = packed ? packed_block(family, shape) : plain_block(shape);
    int64_t row_bytes = shape->columns * (packed ? family->planes == 1 ? 1 : 2 : 4);
    int64_t all = (shape->rows + b.tokens - 1) / b.tokens;
    int64_t fit = shape->caches.chip / ROWS_PART / row_bytes / b.tokens;
    b.rows = b.tokens * (fit < 1 ? 1 : least(fit, all));
    return b;
}
