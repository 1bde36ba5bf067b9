/* step_batch.c - the decode step of several sequences as one kernel (templates/cuda/step_batch.cu):
 * what it takes besides what the step of one token takes, and how it divides shared memory.
 *
 * Shared memory has x of all tokens beside the ring. Where the columns of down do not fit, a block
 * works on one part of them. */
#include "codegen/step.h"
#include "ir/slots.h"

enum { WARPS = 8, ROWS = 16, COLUMNS = 32, LEAST_BLOCKS = 64 };
enum { TOKENS = 8, MOST_PARTS = 8 };
enum { LARGEST_CHUNK = 2, FLYING_KIB = 48, SHARED_BYTES = 227 << 10, FEWEST_SLOTS = 4 };

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Columns of a phase's matrix. */
static int64_t columns(const StepPlan *s, StepPhase phase)
{
    const StepMatrix *m = &s->matrix[phase];
    return step_type(m->pf, m->op, MATMUL_W)->dim[1];
}

/* Columns that a slot has of a tile, and a row of x. */
static int row_columns(const StepPlan *s)
{
    return WARPS * s->chunk * COLUMNS;
}

static const char *check_matrices(const StepPlan *s)
{
    for (int i = 0; i < STEP_PHASES; i++) {
        if (s->matrix[i].bits != 16) {
            return "weights are codes of 8 or 4 bits";
        }
        if (s->matrix[i].bias[0] != 0 || s->matrix[i].bias[1] != 0) {
            return "a matrix has biases";
        }
    }
    if (s->heads != s->qkv) {
        return "heads have norms";
    }
    if (s->attention->a.window > 0) {
        return "attention has a window";
    }
    bool ends = s->begin != NULL;
    return ends ? NULL : "something stands in front of the layers besides embedding and angles";
}

/* As struct Shared of step_batch.cu, without the ring. */
static int64_t fixed_shared(const StepPlan *s)
{
    enum { PARTS = 2, SUM_STRIDE = 20, ALIGN = 1024 };
    const Attrs *a = &s->attention->a;
    int64_t group = a->heads / a->kv_heads;
    int64_t partial = group * (a->head_dim / 2 + 2) * 8 + 2 * 8 * 4;
    int64_t attention = WARPS * partial + 2 * a->head_dim * 2;
    int64_t sums = PARTS * WARPS * TOKENS * SUM_STRIDE * 4;
    int64_t residual = s->row_tiles * ROWS * TOKENS * 4, angles = TOKENS * a->head_dim * 4;
    int64_t barriers = 2 * PARTS * 8;
    return larger(s->longest * TOKENS * 2, attention) + sums + residual + angles + TOKENS * 12 +
           barriers + ALIGN;
}

/* As enum Exchange of step_batch.cu. */
static int64_t exchange_words(const StepPlan *s)
{
    enum { LANES = 32, TURNS = 4 };
    const Attrs *a = &s->attention->a;
    int64_t d_model = columns(s, STEP_QKV), d_ff = columns(s, STEP_DOWN);
    int64_t q = a->heads * a->head_dim, kv = a->kv_heads * a->head_dim;
    int64_t splits = STEP_MOST_BLOCKS * (a->heads / a->kv_heads) * (a->head_dim + 2);
    int64_t sums = d_model / ROWS * s->down_parts * 4 * LANES;
    int64_t squares = 2 * d_model / ROWS * TOKENS;
    int64_t vectors = TURNS * (2 * d_model + q + d_ff) * TOKENS / 4;
    return STEP_HEADER_WORDS + TOKENS * (q + 2 * kv) / 2 + splits + sums + squares + vectors;
}

/* Slots of the ring, when down is worked on in so many parts; 0: columns are not whole slots. */
static int slots_with(StepPlan *s, int parts)
{
    int64_t down = columns(s, STEP_DOWN), row = row_columns(s);
    int64_t others = larger(columns(s, STEP_QKV), columns(s, STEP_O));
    if (columns(s, STEP_QKV) % row != 0 || columns(s, STEP_O) % row != 0 ||
        down % (parts * row) != 0) {
        return 0;
    }
    s->down_parts = parts;
    s->longest = larger(others, down / parts);
    s->x_rows = (int)(s->longest / row);
    int64_t slot = WARPS * s->chunk * 1024 + 16; /* and its two barriers */
    int64_t left = SHARED_BYTES - fixed_shared(s);
    return left < 0 ? 0 : (int)(left / slot);
}

/* The fewest parts of down with which the ring is as long as it can be. */
static bool divide(StepPlan *s)
{
    s->row_tiles = (int)((columns(s, STEP_QKV) / ROWS + LEAST_BLOCKS - 1) / LEAST_BLOCKS);
    s->shared = SHARED_BYTES;
    for (s->chunk = LARGEST_CHUNK; s->chunk > 0; s->chunk /= 2) {
        int best = 0;
        s->slots = 0;
        for (int parts = 1; parts <= MOST_PARTS; parts++) {
            int slots = slots_with(s, parts);
            if (slots > s->slots) {
                s->slots = slots;
                best = parts;
            }
        }
        if (s->slots >= FEWEST_SLOTS) {
            s->flying = FLYING_KIB / (WARPS * s->chunk);
            return slots_with(s, best) == s->slots;
        }
    }
    return false;
}

static const PlanPhase *largest_decode(const Plan *plan)
{
    const PlanPhase *largest = NULL;
    for (size_t i = 0; i < plan->phases.n; i++) {
        const Module *m = plan->phases.data[i].module;
        if (m->phase == PHASE_DECODE && m->tokens > 1 && m->tokens <= TOKENS) {
            largest = &plan->phases.data[i];
        }
    }
    return largest;
}

void step_plan_batch(Plan *plan)
{
    enum { ALIGN = 256 };
    StepPlan *s = ARENA_NEW(plan->ctx->arena, StepPlan);
    s->phase = largest_decode(plan);
    s->tokens = TOKENS;
    if (s->phase == NULL) {
        return;
    }
    const char *why = step_check(plan, s);
    if (why == NULL) {
        step_find_ends(s);
        why = check_matrices(s);
    }
    if (why == NULL && !divide(s)) {
        why = "activations leave no room for a ring of weights, or columns are no multiple of 256";
    }
    if (why != NULL) {
        plan->batch_chain = str_intern(plan->ctx->strings, why);
        return;
    }
    s->words = exchange_words(s);
    s->words_at = (plan->scratch_bytes + ALIGN - 1) / ALIGN * ALIGN;
    plan->scratch_bytes = s->words_at + s->words * 8;
    plan->batch = s;
}
