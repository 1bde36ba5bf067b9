/* step.c - the decode step as one kernel: what it takes, and how it divides shared memory. */
#include "codegen/step.h"

#include <string.h>

#include "ir/slots.h"

enum { WARPS = 8, ROWS = 16, BLOCK_BITS = 512, LEAST_BLOCKS = 64 };
enum { COPIES = 4 };
enum { LARGEST_CHUNK = 2, FLYING_KIB = 48 };
enum { SHARED_BYTES = 227 << 10, FEWEST_SLOTS = 4 };

bool step_parse_how(const char *name, DecodeHow *how)
{
    static const char *const names[] = {"auto", "chain", "stream"};
    *how = DECODE_AUTO;
    for (int i = 0; name != NULL && i < 3; i++) {
        if (strcmp(name, names[i]) == 0) {
            *how = (DecodeHow)i;
            return true;
        }
    }
    return name == NULL;
}

/* ---- the operators --------------------------------------------------------------------------- */

const Type *step_type(const PlanFunc *pf, const Op *op, int slot)
{
    return op->in[slot] == 0 ? NULL : pf->func->value[op->in[slot]].type;
}

const Op *step_kernel_op(const PlanFunc *pf, size_t i, OpKind kind)
{
    const Op *op = pf->kernels.data[i].op == 0 ? NULL : &pf->func->op[pf->kernels.data[i].op];
    return op != NULL && op->kind == kind ? op : NULL;
}

static bool is_bf16(const PlanFunc *layer)
{
    for (size_t i = 0; i < layer->kernels.n; i++) {
        const Op *op = step_kernel_op(layer, i, OP_ATTENTION);
        if (op != NULL) {
            return layer->func->value[op->out[0]].type->dtype == DT_BF16;
        }
    }
    return true;
}

static const char *find_layer(const Plan *plan, StepPlan *s)
{
    const Module *m = s->phase->module;
    if (m->steps.n != 3 || m->steps.data[1].n_funcs != 1 || !m->steps.data[1].layered ||
        m->steps.data[0].n_funcs != 1 || m->steps.data[0].repeat != 1 || s->phase->head < 0 ||
        plan->kv.n != m->steps.n) {
        return "the schedule is not embedding, equal layers, head";
    }
    s->step = 1;
    s->layers = m->steps.data[1].repeat;
    s->layer = &s->phase->funcs.data[m->steps.data[1].func[0]];
    s->head = &s->phase->funcs.data[s->phase->head];
    const PlanFunc *l = s->layer;
    if (!is_bf16(l)) {
        return "activations are not bf16";
    }
    bool apart = l->kernels.n == 6;
    if ((l->kernels.n != 5 && !apart) || s->head->kernels.n != 1) {
        return "a layer is not qkv, attention, o, gate_up, down, or the head not one matmul";
    }
    s->qkv = step_kernel_op(l, 0, apart ? OP_MATMUL : OP_MATMUL_QKV);
    s->heads = apart ? step_kernel_op(l, 1, OP_HEADS_APPEND) : s->qkv;
    s->attention = step_kernel_op(l, apart + 1, OP_ATTENTION);
    s->o = step_kernel_op(l, apart + 2, OP_MATMUL);
    s->gate_up = step_kernel_op(l, apart + 3, OP_MATMUL);
    s->down = step_kernel_op(l, apart + 4, OP_MATMUL);
    s->logits = step_kernel_op(s->head, 0, OP_MATMUL);
    bool all = s->qkv && s->heads && s->attention && s->o && s->gate_up && s->down && s->logits;
    return all ? NULL : "a layer is not qkv, attention, o, gate_up, down, or the head not a matmul";
}

/* Takes a constant with a value a row off an expression `kind`(..., constant): its operand to
 * *slot, the rest of the expression back. As it is when there is none. */
static const Expr *take_row(const StepMatrix *m, const Expr *e, ExprKind kind, DType dtype,
                            int *slot)
{
    if (e == NULL || e->kind != kind) {
        return e;
    }
    const Expr *row = e->a->kind == EXPR_INPUT ? e->a : e->b;
    const Value *v = row->kind == EXPR_INPUT ? &m->pf->func->value[m->op->in[row->input]] : NULL;
    if (v == NULL || !v->constant || v->type->dtype != dtype || v->type->rank != 1) {
        return e;
    }
    *slot = row->input;
    return row == e->a ? e->b : e->a;
}

/* The sums of a way, times the rows' scales where the matrix has int8 codes, and a bias. */
static bool is_sum(StepMatrix *m, const Expr *e, int way)
{
    e = take_row(m, e, EXPR_ADD, DT_BF16, &m->bias[way > 0]);
    if (m->bits == 8) {
        e = take_row(m, e, EXPR_MUL, DT_F32, &m->row_scale[way > 0]);
    }
    return e != NULL && e->kind == EXPR_ACC && e->way == way &&
           (m->bits != 8 || m->row_scale[way > 0] != 0);
}

/* Nothing but the sums: no expression, or one that scales them. */
static bool is_plain(StepMatrix *m)
{
    return (m->bits != 8 && m->op->expr == NULL) || is_sum(m, m->op->expr, -1);
}

/* The sums + the operand `with`, in either order. */
static bool adds(StepMatrix *m, ValueId with)
{
    const Expr *e = m->op->expr;
    if (e == NULL || e->kind != EXPR_ADD) {
        return false;
    }
    bool first = e->a->kind == EXPR_INPUT;
    const Expr *in = first ? e->a : e->b;
    return in->kind == EXPR_INPUT && m->op->in[in->input] == with &&
           is_sum(m, first ? e->b : e->a, -1);
}

/* activation(sums 0) * sums 1 */
static bool is_gated(StepPlan *s)
{
    StepMatrix *m = &s->matrix[STEP_GATE_UP];
    const Expr *e = m->op->expr;
    if (m->op->a.interleave != 8 || e == NULL || e->kind != EXPR_MUL) {
        return false;
    }
    s->activation = e->a->kind;
    bool known = s->activation == EXPR_SILU || s->activation == EXPR_GELU ||
                 s->activation == EXPR_GELU_TANH || s->activation == EXPR_RELU;
    return known && is_sum(m, e->a->a, 0) && is_sum(m, e->b, 1);
}

static const char *check_flow(StepPlan *s)
{
    const Func *f = s->layer->func;
    ValueId x = s->qkv->in[QKV_X];
    bool chained = (s->heads == s->qkv || s->heads->in[HEADS_X] == s->qkv->out[0]) &&
                   s->attention->in[ATTN_Q] == s->heads->out[0] &&
                   s->o->in[MATMUL_X] == s->attention->out[0] &&
                   s->gate_up->in[MATMUL_X] == s->o->out[0] &&
                   s->down->in[MATMUL_X] == s->gate_up->out[0];
    if (!chained || f->value[x].kind != VALUE_PARAM || !is_plain(&s->matrix[STEP_QKV]) ||
        !is_plain(&s->matrix[STEP_HEAD]) || !adds(&s->matrix[STEP_O], x) ||
        !adds(&s->matrix[STEP_DOWN], s->o->out[0])) {
        return "o and down do not add to one residual, or something is added besides";
    }
    if (s->layer->place[x].stored != DT_F32 || s->layer->place[step_angles(s)].stored != DT_F32) {
        return "the residual is not f32";
    }
    if (s->matrix[STEP_HEAD].bias[0] != 0) {
        return "the head has a bias";
    }
    return is_gated(s) ? NULL : "the MLP is not activation(gate) * up in one matmul";
}

/* Groups of int4 weights: a quarter of a block's columns has one scale. */
static const char *check_groups(StepMatrix *m, int scale)
{
    const Op *op = m->op;
    if (m->bits != 4) {
        bool grouped = op->in[scale] != 0 || op->in[scale + 1] != 0 || op->a.group > 0;
        return grouped ? "weights of 8 or 16 bits have scales of groups" : NULL;
    }
    const Type *of_groups = step_type(m->pf, op, scale);
    if (of_groups == NULL || of_groups->dtype != DT_F16 || op->a.group % (BLOCK_BITS / 16) != 0) {
        return "groups of int4 weights are no multiple of 32";
    }
    m->group = (int)op->a.group;
    m->scale = scale;
    m->zeros = op->in[scale + 1] != 0 ? scale + 1 : 0;
    m->zero = m->zeros != 0 ? -1 : (int)op->a.zero;
    return NULL;
}

/* bf16, int8 or int4 by bf16, rows in whole tiles; `normed`: 1 / rms of x inside. */
static const char *check_matmul(StepMatrix *m, const PlanFunc *pf, const Op *op, bool normed)
{
    bool qkv = op->kind == OP_MATMUL_QKV;
    const Type *w = step_type(pf, op, MATMUL_W);
    int scale = qkv ? (int)QKV_W_SCALE : (int)MATMUL_W_SCALE;
    int gain = qkv ? (int)QKV_NORM_GAIN : (int)MATMUL_NORM_GAIN;
    *m = (StepMatrix){.pf = pf, .op = op, .bits = dtype_bits(w->dtype)};
    if ((w->dtype != DT_BF16 && w->dtype != DT_I8 && w->dtype != DT_U4) ||
        step_type(pf, op, MATMUL_X)->dtype != DT_BF16 || op->in[scale + 2] != 0) {
        return "weights are not bf16, int8 or int4, or activations not bf16";
    }
    if (w->layout.rows != ROWS || w->dim[0] % ROWS != 0) {
        return "a matrix has rows that are no multiple of 16";
    }
    const char *why = check_groups(m, scale);
    if (why != NULL) {
        return why;
    }
    if ((op->a.norm_eps > 0) != normed) {
        return "a norm is not inside the matmul behind it";
    }
    m->gain = op->in[gain] != 0 ? gain : 0;
    return op->in[gain] == 0 || step_type(pf, op, gain)->dtype == DT_BF16
               ? NULL
               : "a norm's gain is not bf16";
}

ValueId step_angles(const StepPlan *s)
{
    return s->heads->in[s->heads == s->qkv ? (int)QKV_ANGLES : (int)HEADS_ANGLES];
}

ValueId step_cache(const StepPlan *s, int which)
{
    return s->heads->in[(s->heads == s->qkv ? (int)QKV_K_CACHE : (int)HEADS_K_CACHE) + which];
}

/* Rotated as a whole by halves: in the projection, whose rows are paired for that, or behind it,
 * normed before. */
static const char *check_rotation(const StepPlan *s)
{
    const Attrs *q = &s->heads->a;
    bool half = q->style == NULL || strcmp(q->style, "half") == 0;
    if (!half || step_angles(s) == 0 || q->dims != q->head_dim) {
        return "heads are not rotated as a whole by halves";
    }
    if (s->heads == s->qkv) {
        bool norms = s->qkv->in[QKV_Q_GAIN] != 0 || s->qkv->in[QKV_K_GAIN] != 0;
        return q->block != 8 || norms ? "heads have norms in their projection" : NULL;
    }
    const Type *of_q = step_type(s->layer, s->heads, HEADS_Q_GAIN);
    const Type *of_k = step_type(s->layer, s->heads, HEADS_K_GAIN);
    bool both = of_q != NULL && of_k != NULL && of_q->dtype == DT_BF16 && of_k->dtype == DT_BF16;
    return both ? NULL : "norms of heads have no gains in bf16";
}

static const char *check_heads(const StepPlan *s)
{
    const Attrs *a = &s->attention->a;
    const char *why = check_rotation(s);
    if (why != NULL) {
        return why;
    }
    if (a->head_dim != 64 && a->head_dim != 128) {
        return "heads are not 64 or 128 wide";
    }
    if (a->heads % a->kv_heads != 0 || a->heads / a->kv_heads > 8 || a->kv_heads > LEAST_BLOCKS) {
        return "more than 8 query heads to a key/value head";
    }
    const Value *value = s->layer->func->value;
    if (a->softcap > 0 || a->scale <= 0 || s->attention->in[ATTN_K_SCALE] != 0 ||
        value[step_cache(s, 0)].type->dtype != DT_BF16 ||
        value[step_cache(s, 1)].type->dtype != DT_BF16) {
        return "attention has a soft cap, or its cache is not bf16";
    }
    return NULL;
}

static const char *check_norms(const StepPlan *s)
{
    double eps = s->qkv->a.norm_eps;
    bool equal = !(eps < s->gate_up->a.norm_eps) && !(eps > s->gate_up->a.norm_eps) &&
                 !(eps < s->logits->a.norm_eps) && !(eps > s->logits->a.norm_eps);
    return equal ? NULL : "norms differ in eps";
}

static const char *check_mlp(StepPlan *s, bool normed)
{
    const char *why = check_matmul(&s->matrix[STEP_GATE_UP], s->layer, s->gate_up, normed);
    return why ? why : check_matmul(&s->matrix[STEP_DOWN], s->layer, s->down, false);
}

const char *step_check_mlp(StepPlan *s)
{
    const char *why = check_mlp(s, false);
    if (why != NULL) {
        return why;
    }
    bool all = s->down->in[MATMUL_X] == s->gate_up->out[0] && is_plain(&s->matrix[STEP_DOWN]) &&
               is_gated(s);
    return all ? NULL : "the MLP is not activation(gate) * up in one matmul, and down";
}

const char *step_check(const Plan *plan, StepPlan *s)
{
    const char *why = find_layer(plan, s);
    StepMatrix *m = s->matrix;
    why = why ? why : check_matmul(&m[STEP_QKV], s->layer, s->qkv, true);
    why = why ? why : check_matmul(&m[STEP_O], s->layer, s->o, false);
    why = why ? why : check_mlp(s, true);
    why = why ? why : check_matmul(&m[STEP_HEAD], s->head, s->logits, true);
    why = why ? why : check_heads(s);
    why = why ? why : check_norms(s);
    return why ? why : check_flow(s);
}

static bool same_buffer(const PlanFunc *a, ValueId x, const PlanFunc *b, ValueId y)
{
    const Place *p = &a->place[x], *q = &b->place[y];
    return p->kind == PLACE_SCRATCH && q->kind == PLACE_SCRATCH && p->stored == DT_F32 &&
           plan_buffer(a, p)->offset == plan_buffer(b, q)->offset;
}

/* Embedding and angles, when nothing else stands in front of the layers. */
void step_find_ends(StepPlan *s)
{
    const PlanFunc *f = &s->phase->funcs.data[s->phase->module->steps.data[0].func[0]];
    if (f->kernels.n != 2) {
        return;
    }
    s->embed = step_kernel_op(f, 0, OP_EMBED);
    s->angles = step_kernel_op(f, 1, OP_ROPE_ANGLES);
    bool ends = s->embed != NULL && s->angles != NULL &&
                step_type(f, s->angles, 1)->dtype == DT_F32 &&
                same_buffer(f, s->embed->out[0], s->layer, s->qkv->in[QKV_X]) &&
                same_buffer(f, s->angles->out[0], s->layer, step_angles(s));
    s->begin = ends ? f : NULL;
}

/* ---- memory ---------------------------------------------------------------------------------- */

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Columns that a slot has of a matrix. */
static int slot_columns(const StepPlan *s, const StepMatrix *m)
{
    return WARPS * s->chunk * (BLOCK_BITS / m->bits);
}

/* Do all matrices come in whole slots, and slots in whole groups? */
static bool chunk_fits(const StepPlan *s)
{
    for (int i = 0; i < STEP_PHASES; i++) {
        const StepMatrix *m = &s->matrix[i];
        int columns = slot_columns(s, m);
        if (step_type(m->pf, m->op, MATMUL_W)->dim[1] % columns != 0 ||
            (m->group > 0 && columns % m->group != 0)) {
            return false;
        }
    }
    return true;
}

static bool has_codes(const StepPlan *s)
{
    return s->matrix[STEP_O].bits < 16 || s->matrix[STEP_HEAD].bits < 16;
}

/* The slots of the ring: how much of each warp, and how many bytes of scales behind it. */
static const char *shape_slot(StepPlan *s)
{
    enum { ALIGN = 128 };
    for (s->chunk = LARGEST_CHUNK; s->chunk > 0 && !chunk_fits(s); s->chunk /= 2) {
    }
    if (s->chunk == 0) {
        return "a matrix has columns that are no multiple of 256 (bf16), 512 (int8), 1024 (int4)";
    }
    s->flying = FLYING_KIB / (WARPS * s->chunk);
    for (int i = 0; i < STEP_PHASES; i++) {
        const StepMatrix *m = &s->matrix[i];
        int groups = m->group > 0 ? slot_columns(s, m) / m->group : 0;
        int bytes = groups * ROWS * (m->zeros != 0 ? 3 : 2);
        s->extra = (int)larger(s->extra, (bytes + ALIGN - 1) / ALIGN * ALIGN);
    }
    return NULL;
}

/* As struct Shared of step.cu, without the ring and its barriers. */
static int64_t fixed_shared(const StepPlan *s)
{
    const Attrs *a = &s->attention->a;
    int64_t group = a->heads / a->kv_heads;
    int64_t partial = group * (a->head_dim / 2 + 2) * 8 + 2 * 8 * 4;
    int64_t d_model = step_type(s->layer, s->gate_up, MATMUL_W)->dim[1];
    int64_t behind = larger(d_model, a->heads * a->head_dim) * 2 + WARPS * partial;
    int64_t sums = 4 * WARPS * (16 + 1) * 4 + s->row_tiles * 16 * 4 + a->head_dim * 4;
    int64_t quarters = has_codes(s) ? s->longest / 32 * 8 : 0;
    return larger(s->longest * 2, behind) + quarters + sums + 4 * 4 + 2 * 4 * 8;
}

static int64_t exchange_words(const StepPlan *s)
{
    const Attrs *a = &s->attention->a;
    int64_t d_model = step_type(s->layer, s->gate_up, MATMUL_W)->dim[1];
    int64_t d_ff = step_type(s->layer, s->down, MATMUL_W)->dim[1];
    int64_t q = a->heads * a->head_dim / 2, kv = a->kv_heads * a->head_dim / 2;
    return STEP_HEADER_WORDS + COPIES * (d_model + 2 * q + 2 * kv) + d_ff / 2 +
           STEP_MAX_SPLITS * a->heads * a->head_dim + 2 * STEP_MOST_BLOCKS;
}

static const char *divide(StepPlan *s)
{
    int64_t d_model = step_type(s->layer, s->gate_up, MATMUL_W)->dim[1];
    int64_t heads = step_type(s->layer, s->o, MATMUL_W)->dim[1];
    s->longest = larger(larger(d_model, heads), step_type(s->layer, s->down, MATMUL_W)->dim[1]);
    s->row_tiles = (int)((d_model / ROWS + LEAST_BLOCKS - 1) / LEAST_BLOCKS);
    s->copies = COPIES;
    const char *why = shape_slot(s);
    if (why != NULL) {
        return why;
    }
    enum { MARGIN = 128 }; /* alignment */
    int64_t fixed = fixed_shared(s) + MARGIN;
    int64_t slot = WARPS * s->chunk * 1024 + s->extra + 16; /* and its two barriers */
    s->slots = fixed < SHARED_BYTES ? (int)((SHARED_BYTES - fixed) / slot) : 0;
    s->shared = SHARED_BYTES;
    s->words = exchange_words(s);
    return s->slots >= FEWEST_SLOTS ? NULL : "activations leave no room for a ring of weights";
}

static const PlanPhase *decode_of_one(const Plan *plan)
{
    for (size_t i = 0; i < plan->phases.n; i++) {
        const Module *m = plan->phases.data[i].module;
        if (m->phase == PHASE_DECODE && m->tokens == 1) {
            return &plan->phases.data[i];
        }
    }
    return NULL;
}

static const char *plan_decoder(const Plan *plan, StepPlan *s)
{
    const char *why = step_check(plan, s);
    why = why ? why : divide(s);
    if (why == NULL) {
        step_find_ends(s);
    }
    return why;
}

bool step_plan(Plan *plan, DecodeHow how)
{
    enum { ALIGN = 256 };
    StepPlan *s = ARENA_NEW(plan->ctx->arena, StepPlan);
    s->tokens = 1;
    s->phase = decode_of_one(plan);
    const char *why = how == DECODE_CHAIN     ? "asked for"
                      : !plan->target->gpu    ? "one kernel for the step is made for GPUs"
                      : s->phase == NULL      ? "there is no decode of one sequence"
                      : step_is_mlp(s->phase) ? step_plan_mlp(s)
                                              : plan_decoder(plan, s);
    if (why == NULL) {
        s->words_at = (plan->scratch_bytes + ALIGN - 1) / ALIGN * ALIGN;
        plan->scratch_bytes = s->words_at + s->words * 8;
        plan->step = s;
        if (!s->mlp) {
            step_plan_batch(plan);
        }
        return true;
    }
    plan->chain = str_intern(plan->ctx->strings, why);
    return how != DECODE_STREAM ||
           diag_error(plan->ctx->diag, (Span){0}, "--decode stream: %s; --decode chain works", why);
}
