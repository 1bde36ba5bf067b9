/* plan_memory.c - where buffers lie in the scratch slab, and where threads must wait.
 *
 * Offsets: first fit over buffers that hold data at the same time. A kernel's results never overlap
 * what it reads.
 *
 * Barriers: walking the kernels in order, `since` collects what has been read and written since the
 * last barrier. A kernel that touches bytes which another thread wrote, or writes bytes which
 * another thread may still read, needs a barrier before it. Equal splits of the same buffer are
 * safe: each thread meets its own bytes; a split by heads only for some numbers of threads, so that
 * the barrier is asked for at run time. */
#include <string.h>

#include "codegen/plan_parts.h"
#include "ir/slots.h"

enum { ALIGN_BYTES = 64 };

int64_t plan_align(int64_t bytes)
{
    return (bytes + ALIGN_BYTES - 1) / ALIGN_BYTES * ALIGN_BYTES;
}

static bool live_together(const PlanBuffer *a, const PlanBuffer *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* The lowest offset from `at` on that no placed buffer living at the same time covers. */
static int64_t first_fit(const PlanFunc *pf, size_t n_placed, const PlanBuffer *b, int64_t at)
{
    bool moved = true;
    while (moved) {
        moved = false;
        for (size_t i = 0; i < n_placed; i++) {
            const PlanBuffer *o = &pf->buffers.data[i];
            int64_t end = o->offset + plan_align(o->bytes);
            if (!o->shared && !o->own && live_together(o, b) && at < end &&
                o->offset < at + plan_align(b->bytes)) {
                at = end;
                moved = true;
            }
        }
    }
    return at;
}

int64_t plan_place_buffers(PlanFunc *pf, int64_t base)
{
    int64_t end = base;
    for (size_t i = 0; i < pf->buffers.n; i++) {
        PlanBuffer *b = &pf->buffers.data[i];
        if (b->shared || b->own) {
            continue;
        }
        b->offset = first_fit(pf, i, b, base);
        int64_t b_end = b->offset + plan_align(b->bytes);
        end = b_end > end ? b_end : end;
    }
    return end;
}

/* ---- barriers -------------------------------------------------------------------------------- */

typedef struct Access {
    int space; /* 0: scratch; 1 + s: cache s */
    int64_t lo, hi, column, stride;
    bool write;
    SplitBy split;
} Access;

typedef VEC(Access) Accesses;

static bool same_split(const Access *a, const Access *b)
{
    return a->split.kind != SPLIT_NONE && a->split.kind == b->split.kind &&
           a->split.unit == b->split.unit && a->split.units == b->split.units && a->lo == b->lo &&
           a->column == b->column && a->stride == b->stride;
}

static bool overlap(const Access *a, const Access *b)
{
    return a->space == b->space && (a->write || b->write) && a->lo < b->hi && b->lo < a->hi;
}

/* What a kernel's accesses and those since the last barrier ask for. */
typedef struct Conflict {
    bool always;
    int64_t unless; /* SplitBy.units: none where that is a multiple of the threads */
} Conflict;

static Conflict conflict_of(const Accesses *since, const Accesses *next)
{
    Conflict c = {0};
    for (size_t i = 0; i < since->n; i++) {
        for (size_t j = 0; j < next->n; j++) {
            const Access *a = &since->data[i], *b = &next->data[j];
            if (overlap(a, b) && !same_split(a, b)) {
                c.always = true;
            } else if (overlap(a, b) && a->split.kind == SPLIT_HEADS) {
                c.unless = a->split.units;
            }
        }
    }
    return c;
}

static void add_access(Ctx *ctx, Accesses *list, const PlanFunc *pf, const Place *p, bool write,
                       SplitBy split)
{
    Access a = {.write = write, .split = split, .column = p->column, .stride = p->stride};
    if (p->kind == PLACE_SCRATCH) {
        const PlanBuffer *b = plan_buffer(pf, p);
        if (b->own) {
            return;
        }
        a.lo = b->offset;
        a.hi = b->offset + b->bytes;
    } else if (p->kind == PLACE_CACHE) {
        a.space = 1 + p->index;
        a.hi = 1;
        a.split = split.kind == SPLIT_HEADS ? split : (SplitBy){0};
    } else {
        return;
    }
    vec_push(ctx->arena, list, a);
}

static bool same_dims(const Type *a, const Type *b)
{
    return a->rank == b->rank && memcmp(a->dim, b->dim, sizeof a->dim) == 0;
}

/* Which part of operand i one thread reads. */
static SplitBy operand_split(const Func *f, const Kernel *k, const Op *op, int i)
{
    bool element = (op_flags(op->kind) & OPF_ELEMENT) != 0;
    bool leaf = element || (op->kind == OP_MATMUL && i >= op_slots(op->kind));
    bool own_heads = op->kind == OP_ATTENTION && k->split.kind == SPLIT_HEADS;
    if (k->split.kind == SPLIT_ROWS || (own_heads && i <= ATTN_V)) {
        return k->split;
    }
    if (leaf && same_dims(f->value[op->in[i]].type, f->value[op->out[0]].type)) {
        return k->split;
    }
    return (SplitBy){0};
}

static void add_operand(Ctx *ctx, Accesses *list, const PlanFunc *pf, const Kernel *k, int i)
{
    const Op *op = &pf->func->op[k->op];
    const Place *p = &pf->place[op->in[i]];
    add_access(ctx, list, pf, p, false, operand_split(pf->func, k, op, i));
    if (p->kind == PLACE_CACHE && p->scale_state > 0) {
        Place scale = {.kind = PLACE_CACHE, .index = p->scale_state - 1};
        add_access(ctx, list, pf, &scale, false, (SplitBy){0});
    }
}

/* A copy reads a returned value and writes the environment's buffer of that name. */
static void add_copy(Ctx *ctx, Accesses *list, const PlanFunc *pf, const Kernel *k)
{
    const Func *f = pf->func;
    add_access(ctx, list, pf, &pf->place[f->results.data[k->copy]], false, k->split);
    for (size_t i = 0; i < pf->buffers.n; i++) {
        const PlanBuffer *b = &pf->buffers.data[i];
        if (b->shared && b->name == f->result_names.data[k->copy]) {
            Place p = {.kind = PLACE_SCRATCH, .index = (int)i, .stride = b->stride};
            add_access(ctx, list, pf, &p, true, k->split);
        }
    }
}

static Accesses accesses_of(Ctx *ctx, const PlanFunc *pf, const Kernel *k)
{
    Accesses list = {0};
    if (k->op == 0) {
        add_copy(ctx, &list, pf, k);
        return list;
    }
    const Op *op = &pf->func->op[k->op];
    for (int i = 0; i < op->n_in; i++) {
        if (op->in[i] != 0) {
            add_operand(ctx, &list, pf, k, i);
        }
    }
    for (int i = 0; i < op->n_out; i++) {
        add_access(ctx, &list, pf, &pf->place[op->out[i]], true, k->split);
    }
    return list;
}

void plan_place_barriers(Ctx *ctx, PlanFunc *pf, bool ends_synced)
{
    Accesses since = {0};
    for (size_t i = 0; i < pf->kernels.n; i++) {
        Kernel *k = &pf->kernels.data[i];
        Accesses mine = accesses_of(ctx, pf, k);
        Conflict c = conflict_of(&since, &mine);
        if (c.always) {
            pf->kernels.data[i - 1].barrier_after = true;
            since.n = 0;
        } else if (c.unless > 0) {
            pf->kernels.data[i - 1].barrier_unless = c.unless;
        }
        for (size_t j = 0; j < mine.n; j++) {
            vec_push(ctx->arena, &since, mine.data[j]);
        }
    }
    if (pf->kernels.n > 0 && ends_synced) {
        pf->kernels.data[pf->kernels.n - 1].barrier_after = true;
    }
}
