/* emit_step_mlp.c - parameters and variables of templates/cuda/step_mlp.cu: the decode step of a
 * model that is one gated MLP. */
#include "codegen/emit_setup.h"
#include "codegen/step.h"
#include "ir/slots.h"

static void add_weights(KernelText *k, const StepPlan *s, const Op *op, const char *name)
{
    const WeightTensor *w = emit_tensor_of(k->emit, s->layer->func, op, MATMUL_W, -1);
    emit_add_scalar(
        k, "const uint8_t *", name,
        str_internf(k->emit->ctx->strings, "run->weights + %llu", (unsigned long long)w->offset));
}

void emit_step_mlp_params(KernelText *k, const StepPlan *s)
{
    add_weights(k, s, s->gate_up, "gate_up");
    add_weights(k, s, s->down, "down");
    emit_add_scalar(k, "const uint16_t *", "x", "(const uint16_t *)(const void *)run->input");
    emit_add_scalar(k, "float *", "out", "run->logits");
    emit_add_scalar(k, "uint64_t *", "words",
                    str_internf(k->emit->ctx->strings, "(uint64_t *)(run->scratch + %lld)",
                                (long long)s->words_at));
    emit_add_scalar(k, "uint32_t *", "stalled", "sinter_gpu_stalled(run->gpu)");
}

void emit_step_mlp_variables(KernelText *k, const StepPlan *s)
{
    const Func *f = s->layer->func;
    emit_set_int(k, "D_MODEL", f->value[s->gate_up->in[MATMUL_W]].type->dim[1]);
    emit_set_int(k, "D_FF", f->value[s->down->in[MATMUL_W]].type->dim[1]);
    emit_set_int(k, "CHUNK", s->chunk);
    emit_set_int(k, "SLOTS", s->slots);
    emit_set_int(k, "FLYING", s->flying);
    emit_set_int(k, "SHARED", s->shared);
    emit_set_int(k, "WORDS", s->words);
    emit_set_int(k, "MOST_BLOCKS", STEP_MOST_BLOCKS);
    emit_set_int(k, "HEADER_WORDS", STEP_HEADER_WORDS);
    tmpl_set_bool(&k->env, "mlp", true);
    tmpl_set_bool(&k->env, "batch", true); /* the exchange is its own */
    tmpl_set_bool(&k->env, "has_bf16", true);
    tmpl_set_string(&k->env, "activation",
                    arena_printf(k->emit->ctx->arena, "apply_%s", expr_name(s->activation)));
}
