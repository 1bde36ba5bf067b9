/* step_mlp.c - the decode step of a model that is one gated MLP as one kernel
 * (templates/cuda/step_mlp.cu): what it takes, and how it divides shared memory. */
#include "codegen/step.h"
#include "ir/slots.h"

enum { WARPS = 8, ROWS = 16, COLUMNS = 32 };
enum { LARGEST_CHUNK = 2, FLYING_KIB = 64, SHARED_BYTES = 227 << 10, FEWEST_SLOTS = 6 };

bool step_is_mlp(const PlanPhase *phase)
{
    return phase->funcs.n == 1 && phase->funcs.data[0].kernels.n == 2 &&
           step_kernel_op(&phase->funcs.data[0], 0, OP_MATMUL) != NULL &&
           step_kernel_op(&phase->funcs.data[0], 1, OP_MATMUL) != NULL;
}

static const char *check(StepPlan *s)
{
    const char *why = step_check_mlp(s);
    if (why != NULL) {
        return why;
    }
    const StepMatrix *gate_up = &s->matrix[STEP_GATE_UP], *down = &s->matrix[STEP_DOWN];
    if (gate_up->bits != 16 || down->bits != 16) {
        return "weights are codes of 8 or 4 bits";
    }
    if (gate_up->bias[0] != 0 || gate_up->bias[1] != 0 || down->bias[0] != 0) {
        return "a matrix has biases";
    }
    const Place *place = s->layer->place;
    bool ends = place[s->gate_up->in[MATMUL_X]].kind == PLACE_INPUT &&
                place[s->down->out[0]].kind == PLACE_LOGITS && s->phase->module->steps.n == 1 &&
                s->phase->module->steps.data[0].repeat == 1;
    return ends ? NULL : "the MLP is not all there is";
}

static int64_t columns(const StepPlan *s, const Op *op)
{
    return step_type(s->layer, op, MATMUL_W)->dim[1];
}

/* As struct Shared of step_mlp.cu, without the ring and its barriers. */
static int64_t fixed_shared(const StepPlan *s)
{
    enum { PARTS = 2, ALIGN = 16 };
    return s->longest * 2 + (int64_t)PARTS * WARPS * ROWS * 4 + 2 * PARTS * 8 + ALIGN;
}

static const char *divide(StepPlan *s)
{
    int64_t d_model = columns(s, s->gate_up), d_ff = columns(s, s->down);
    s->longest = d_model > d_ff ? d_model : d_ff;
    for (s->chunk = LARGEST_CHUNK; s->chunk > 0; s->chunk /= 2) {
        int64_t slot_columns = (int64_t)WARPS * s->chunk * COLUMNS;
        int64_t slot = WARPS * s->chunk * 1024 + 16; /* and its two barriers */
        int64_t left = SHARED_BYTES - fixed_shared(s);
        s->slots = left < 0 ? 0 : (int)(left / slot);
        if (d_model % slot_columns == 0 && d_ff % slot_columns == 0 && s->slots >= FEWEST_SLOTS) {
            s->flying = FLYING_KIB / (WARPS * s->chunk);
            return NULL;
        }
    }
    return "columns are no multiple of 256, or activations leave no room for a ring of weights";
}

const char *step_plan_mlp(StepPlan *s)
{
    s->mlp = true;
    s->layer = &s->phase->funcs.data[0];
    s->gate_up = step_kernel_op(s->layer, 0, OP_MATMUL);
    s->down = step_kernel_op(s->layer, 1, OP_MATMUL);
    const char *why = check(s);
    why = why ? why : divide(s);
    s->shared = SHARED_BYTES;
    s->words = STEP_HEADER_WORDS + STEP_MOST_BLOCKS * ROWS + columns(s, s->down) / 2;
    return why;
}
