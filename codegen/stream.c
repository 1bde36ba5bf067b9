/* stream.c - the decode matmul of GPUs: what it takes, and how it divides shared memory.
 *
 * Two of its blocks share a multiprocessor while one ends and the next begins: what one asks for
 * stays below SHARED_BYTES, so that the other, padded beyond half of the memory, and an attention
 * block fit beside it (docs/decode-notes.md, "Rules for a chain with programmatic launch"). It is
 * also what chips with 100 KiB have. */
#include "codegen/stream.h"

#include "ir/slots.h"

enum { ROWS = 16, BLOCK_BITS = 512, LEAST_GRID = 64, LEAST_SLOTS = 2, MOST_SLOTS = 8 };
enum { SHARED_BYTES = 96 << 10, LARGE_BYTES = 112 << 10 }; /* large: where a ring would be small */
enum { HELD_COLUMNS = 128 };
enum { X_BYTES = 40 << 10, HELD_BYTES = 16 << 10, MOST_FIXED = 60 << 10 };

static const Type *type_of(const Func *f, const Op *op, int slot)
{
    return op->in[slot] == 0 ? NULL : f->value[op->in[slot]].type;
}

static int scale_slot(const Op *op)
{
    return op->kind == OP_MATMUL_QKV ? (int)QKV_W_SCALE : (int)MATMUL_W_SCALE;
}

/* ---- what it takes --------------------------------------------------------------------------- */

static bool takes_dtypes(const Type *x, const Type *w)
{
    bool codes = w->dtype == DT_I8 || w->dtype == DT_U4 || w->dtype == DT_E4M3;
    bool both = x->dtype == w->dtype && (x->dtype == DT_I8 || x->dtype == DT_E4M3);
    bool narrow = x->dtype == DT_BF16 || x->dtype == DT_F16; /* codes are multiplied as bf16 */
    return both || (narrow && (codes || w->dtype == x->dtype));
}

/* A lane's columns, a quarter of a block, are of one group; blocks hold whole groups or lie in one.
 */
static bool takes_groups(const Func *f, const Op *op, int64_t block_k)
{
    int64_t group = op->a.group;
    bool scale = op->in[scale_slot(op)] != 0, zeros = op->in[scale_slot(op) + 1] != 0;
    bool u4 = type_of(f, op, MATMUL_W)->dtype == DT_U4;
    if (group == 0) {
        return !scale && !zeros && !u4 && op->a.zero == 0;
    }
    return scale && type_of(f, op, scale_slot(op))->dtype == DT_F16 &&
           (u4 || (!zeros && op->a.zero == 0)) && group % (block_k / 4) == 0 &&
           (group % block_k == 0 || block_k % group == 0);
}

bool stream_takes(const Func *f, const Op *op)
{
    if (op->kind != OP_MATMUL && op->kind != OP_MATMUL_QKV) {
        return false;
    }
    const Type *x = type_of(f, op, MATMUL_X), *w = type_of(f, op, MATMUL_W);
    if (!f->value[op->in[MATMUL_W]].constant || !takes_dtypes(x, w)) {
        return false;
    }
    int64_t block_k = BLOCK_BITS / dtype_bits(w->dtype);
    return w->dim[1] % block_k == 0 && op->in[scale_slot(op) + 2] == 0 &&
           takes_groups(f, op, block_k) && (op->a.interleave == 0 || op->a.interleave == ROWS / 2);
}

bool stream_normalises(const Func *f, const Op *op)
{
    const Type *x = type_of(f, op, MATMUL_X), *w = type_of(f, op, MATMUL_W);
    return stream_takes(f, op) && stream_fits(f, op, f->module->tokens) &&
           (x->dtype == DT_BF16 || (x->dtype == DT_F16 && w->dtype != DT_F16));
}

/* ---- shared memory --------------------------------------------------------------------------- */

/* 64 more than whole lines of the banks: eight lanes read 16 bytes of two rows at once. */
static int64_t line_bytes(const StreamShape *s, int64_t k)
{
    int64_t bytes = k / s->parts * (s->codes_in ? 1 : 2);
    return (bytes + 127) / 128 * 128 + 64;
}

static int64_t x_bytes(const StreamShape *s, int64_t k)
{
    return s->tokens * line_bytes(s, k);
}

/* Sums of a tile. */
static int sum_bytes(const StreamShape *s)
{
    return s->tokens * ROWS * 4;
}

static int64_t tiles_of_block(const StreamShape *s)
{
    return (s->tiles + LEAST_GRID - 1) / LEAST_GRID;
}

static int held_bytes(const StreamShape *s)
{
    int64_t tiles = s->sweep > 0 ? s->sweep : tiles_of_block(s);
    return s->parts == 1 ? 0 : (int)tiles * sum_bytes(s);
}

/* Parts of K, whole blocks each, that leave most of the memory to the ring; sums of all tiles must
 * be held from part to part, so that with many tiles one part takes less. */
static int parts_of(StreamShape s, int64_t k)
{
    int64_t blocks = k / s.block_k;
    for (s.parts = 1; s.parts < blocks; s.parts++) {
        if (blocks % s.parts == 0 && x_bytes(&s, k) <= X_BYTES) {
            break;
        }
    }
    return held_bytes(&s) <= HELD_BYTES ? s.parts : 1;
}

static void shape_groups(StreamShape *s, const Op *op)
{
    s->zeros = op->in[scale_slot(op) + 1] != 0;
    if (op->a.group > 0) {
        s->groups_in_block = op->a.group >= s->block_k ? 1 : s->block_k / (int)op->a.group;
    }
    s->fast_groups = s->bits == 4 && op->a.group == s->block_k && !s->zeros;
    s->block_bytes = BLOCK_BITS / 8 * ROWS + s->groups_in_block * ROWS * (s->zeros ? 3 : 2);
}

/* Bytes of everything but the ring; sets the places of its parts. */
static int fixed_bytes(StreamShape *s, int64_t k)
{
    int floats = 2 * s->round * STREAM_WARPS * s->tokens * ROWS + held_bytes(s) / 4;
    s->squares_at = floats;
    floats += s->tokens * STREAM_WARPS;
    s->start_at = floats;
    floats += s->fast_groups ? (int)(k / s->parts / s->block_k) * s->tokens : 0;
    return s->x_bytes + floats * 4;
}

/* What `fixed` bytes leave; unless the chunk is given, the largest of which there are several. */
static void shape_ring(StreamShape *s, int64_t blocks, int fixed)
{
    int bytes = (fixed > MOST_FIXED ? LARGE_BYTES : SHARED_BYTES) - fixed;
    bool given = s->held;
    for (s->chunk = given ? s->chunk : s->bits == 16 ? 2 : 4;; s->chunk /= 2) {
        int slots = bytes / (STREAM_WARPS * s->chunk * s->block_bytes);
        s->slots = slots < MOST_SLOTS ? slots : MOST_SLOTS;
        if (given || s->chunk == 1 ||
            (blocks % s->chunk == 0 && s->slots >= (s->chunk > 2 ? 2 : 3))) {
            return;
        }
    }
}

/* Where registers were found to be faster: with few tokens most lanes would hold what others have.
 * Codes leave no room for what is on its way when x comes as f32, as parameters do, nor for scales
 * that multiply weights. */
static bool holding_pays(const StreamShape *s, const Value *x)
{
    bool room = x->kind == VALUE_RESULT && (s->groups_in_block == 0 || s->fast_groups);
    return s->tokens > 4 && (s->bits == 16 || room);
}

/* x in registers: the fewest parts of K, whole chunks for each warp, of which a lane can hold its
 * columns; in several parts as many tiles in a sweep as sums can be held of. */
static bool hold_x(StreamShape *s, const Type *gain, int64_t k)
{
    int64_t blocks = k / s->block_k / STREAM_WARPS;                   /* of a tile, for one warp */
    int64_t columns = s->bits == 4 ? HELD_COLUMNS / 2 : HELD_COLUMNS; /* codes need registers */
    for (s->parts = 1; s->parts <= blocks; s->parts++) {
        int64_t own = blocks / s->parts;
        if (blocks % s->parts == 0 && own * s->block_k / 4 <= columns &&
            (own % 2 == 0 || own == 1)) {
            s->chunk = own % 4 == 0 && s->bits == 8 ? 4 : own % 2 == 0 ? 2 : 1;
            s->x_bytes = gain == NULL ? 0 : (int)k * dtype_bits(gain->dtype) / 8;
            s->sweep = held_bytes(s) > HELD_BYTES ? HELD_BYTES / sum_bytes(s) : 0;
            return k / s->block_k % STREAM_WARPS == 0;
        }
    }
    return false;
}

/* x in shared memory, as many parts of K as it takes. */
static void stage_x(StreamShape *s, int64_t k)
{
    s->sweep = 0;
    s->parts = parts_of(*s, k);
    s->line = (int)line_bytes(s, k);
    s->x_bytes = (int)x_bytes(s, k);
}

static void shape_memory(StreamShape *s, int64_t k)
{
    int fixed = fixed_bytes(s, k);
    shape_ring(s, k / s->block_k / s->parts, fixed);
    s->shared = fixed + STREAM_WARPS * s->slots * s->chunk * s->block_bytes;
}

StreamShape stream_shape(const Func *f, const Op *op, int tokens)
{
    const Type *x = type_of(f, op, MATMUL_X), *w = type_of(f, op, MATMUL_W);
    const Type *gain = type_of(f, op, scale_slot(op) + 3);
    int64_t k = w->dim[1];
    StreamShape s = {.tokens = tokens, .bits = dtype_bits(w->dtype)};
    s.codes_in = dtype_is_code(x->dtype);
    s.block_k = BLOCK_BITS / s.bits;
    s.tiles = (w->dim[0] + ROWS - 1) / ROWS;
    s.round = tokens <= 2 ? 4 : tokens <= 4 ? 2 : 1;
    shape_groups(&s, op);
    s.held = holding_pays(&s, &f->value[op->in[MATMUL_X]]) && hold_x(&s, gain, k);
    if (!s.held) {
        stage_x(&s, k);
    }
    shape_memory(&s, k);
    StreamShape other = s;
    if (!s.held && s.slots < LEAST_SLOTS && tokens > 4 && hold_x(&other, gain, k)) {
        other.held = true; /* slower than x in shared memory, but that has no room */
        shape_memory(&other, k);
        return other;
    }
    return s;
}

bool stream_fits(const Func *f, const Op *op, int tokens)
{
    return stream_shape(f, op, tokens).slots >= LEAST_SLOTS;
}
