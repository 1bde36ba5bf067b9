/* step_cost.c - bytes of a step's phases. Which block has which tile is as templates/cuda/step.cu
 * shares them out: Shape::first_tile, share_of. */
#include "codegen/step_cost.h"

#include "ir/slots.h"

enum { ROWS = 16 };

/* Of the weights, of scales and of zero points. */
static double matrix_bytes(const PlanFunc *pf, const Op *op)
{
    bool qkv = op->kind == OP_MATMUL_QKV;
    int scale = qkv ? (int)QKV_W_SCALE : (int)MATMUL_W_SCALE;
    const int slot[] = {MATMUL_W, scale, scale + 1};
    double bytes = 0;
    for (int i = 0; i < 3; i++) {
        ValueId v = slot[i] < op->n_in ? op->in[slot[i]] : 0;
        bytes += v != 0 ? (double)type_bytes(pf->func->value[v].type) : 0;
    }
    return bytes;
}

static int64_t matrix_tiles(const StepPlan *s, StepPhase phase)
{
    const StepMatrix *m = &s->matrix[phase];
    return m->pf->func->value[m->op->in[MATMUL_W]].type->dim[0] / ROWS;
}

/* Adds a layer's tiles to the shares; the first block's first tile is `turned` tiles on. */
static void share_tiles(double *share, int blocks, int64_t tiles, int64_t turned, double bytes)
{
    for (int b = 0; b < blocks; b++) {
        int64_t first = (b + turned) % blocks;
        int64_t n = first < tiles ? (tiles - first - 1) / blocks + 1 : 0;
        share[b] += (double)n * bytes;
    }
}

static void sum_shares(StepPhaseCost *p, const double *share, int blocks, double *step)
{
    for (int b = 0; b < blocks; b++) {
        p->mean += share[b] / blocks;
        p->most = share[b] > p->most ? share[b] : p->most;
        step[b] += share[b];
    }
}

static StepPhaseCost matrix_cost(Arena *a, const StepPlan *s, const char *name, const Op *op,
                                 int blocks, double *step)
{
    const PlanFunc *pf = op == s->logits ? s->head : s->layer;
    StepPhaseCost p = {.name = name, .calls = op == s->logits ? 1 : s->layers};
    p.tiles = pf->func->value[op->in[MATMUL_W]].type->dim[0] / ROWS;
    double bytes = matrix_bytes(pf, op), *share = ARENA_ARRAY(a, double, blocks);
    for (int layer = 0; layer < p.calls; layer++) {
        int64_t turned = op == s->qkv       ? (int64_t)layer * STEP_TURN
                         : op == s->gate_up ? (int64_t)layer * STEP_TURN + p.tiles
                                            : 0;
        share_tiles(share, blocks, p.tiles, turned, bytes / (double)p.tiles);
    }
    p.bytes = bytes * p.calls;
    sum_shares(&p, share, blocks, step);
    return p;
}

static int64_t up_to(int64_t n, int64_t unit)
{
    return (n + unit - 1) / unit * unit;
}

static int64_t at_most(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Positions of a head that block `rank` in the order of attention's shares has: plan_shares. */
static int64_t share_of(const StepPlan *s, int64_t positions, int blocks, int64_t rank)
{
    enum { GROUP = 16 };
    int64_t kv_heads = s->attention->a.kv_heads, split = rank / kv_heads, splits = 1;
    if (positions > STEP_ALONE_POSITIONS) {
        splits = (positions + STEP_SPLIT_POSITIONS - 1) / STEP_SPLIT_POSITIONS;
        splits = at_most(splits, at_most(STEP_MAX_SPLITS, blocks / kv_heads));
    }
    int64_t each = up_to(positions, splits * GROUP) / splits;
    int64_t first = at_most(split * each, positions);
    return split < splits ? at_most(first + each, positions) - first : 0;
}

/* The blocks with the fewest tiles of qkv read the caches. */
static StepPhaseCost attention_cost(Arena *a, const StepPlan *s, int64_t kv_len, int blocks,
                                    double *step)
{
    enum { CACHES = 2, BYTES = 2 };
    const Attrs *at = &s->attention->a;
    StepPhaseCost p = {.name = "attention", .calls = s->layers};
    double position = (double)(CACHES * BYTES * at->head_dim);
    int64_t tiles = matrix_tiles(s, STEP_QKV);
    int64_t seen = at->window > 0 ? at_most(kv_len, at->window) : kv_len;
    double *share = ARENA_ARRAY(a, double, blocks);
    for (int layer = 0; layer < p.calls; layer++) {
        for (int b = 0; b < blocks; b++) {
            int64_t first = (b + (int64_t)layer * STEP_TURN) % blocks;
            int64_t rank = (first + blocks - tiles % blocks) % blocks;
            share[b] += (double)share_of(s, seen, blocks, rank) * position;
        }
    }
    p.bytes = position * (double)(at->kv_heads * seen) * p.calls;
    sum_shares(&p, share, blocks, step);
    return p;
}

static void add_phase(StepPhaseCost *sum, StepPhaseCost *p, const Device *d)
{
    p->stream = p->bytes / d->bandwidth;
    p->exchange = p->calls * d->exchange_seconds;
    sum->calls += p->calls;
    sum->bytes += p->bytes;
    sum->stream += p->stream;
    sum->exchange += p->exchange;
}

StepCost step_cost(const StepPlan *s, int64_t kv_len, const Device *d)
{
    Arena *a = s->phase->module->ctx->arena;
    int blocks = d->sms < STEP_MOST_BLOCKS ? d->sms : STEP_MOST_BLOCKS;
    double *step = ARENA_ARRAY(a, double, blocks);
    StepCost c = {.blocks = blocks,
                  .phase = {matrix_cost(a, s, "qkv", s->qkv, blocks, step),
                            attention_cost(a, s, kv_len, blocks, step),
                            matrix_cost(a, s, "o", s->o, blocks, step),
                            matrix_cost(a, s, "gate_up", s->gate_up, blocks, step),
                            matrix_cost(a, s, "down", s->down, blocks, step),
                            matrix_cost(a, s, "head", s->logits, blocks, step)},
                  .sum = {.name = "sum"}};
    sum_shares(&c.sum, step, blocks, ARENA_ARRAY(a, double, blocks));
    for (int i = 0; i < STEP_COST_PHASES; i++) {
        add_phase(&c.sum, &c.phase[i], d);
    }
    return c;
}

static void put_matrix(Buf *b, const StepPlan *s, const char *name, const Op *op)
{
    double step[1] = {0};
    StepPhaseCost p = matrix_cost(b->arena, s, name, op, 1, step);
    buf_printf(b, " *   %-9s %5d %7lld %10.1f %12.3f\n", name, p.calls, (long long)p.tiles,
               p.bytes / p.calls / (double)p.tiles / 1024, p.bytes / 1e6);
}

void step_cost_comment(Buf *b, const StepPlan *s)
{
    buf_puts(b, " *\n *   weights    times   tiles  KiB of one   MB a step\n");
    put_matrix(b, s, "qkv", s->qkv);
    put_matrix(b, s, "o", s->o);
    put_matrix(b, s, "gate_up", s->gate_up);
    put_matrix(b, s, "down", s->down);
    put_matrix(b, s, "head", s->logits);
}
