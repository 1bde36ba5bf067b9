/* emit_step_ends.c - parameters and variables of templates/cuda/step_ends.cu: embedding and angles
 * inside the decode step that is one kernel, and the greedy draw. */
#include <string.h>

#include "codegen/emit_setup.h"
#include "codegen/step.h"
#include "ir/slots.h"

/* As in runtime/model.h: places of the ring, sequences of a step. */
enum { RING = 16, BATCH = 8 };

/* A constant of the function in front of the layers, as parameter `name`; without a name: the
 * operand is absent. */
static KernelParam add_constant(KernelText *k, const StepPlan *s, const Op *op, int slot,
                                const char *name)
{
    Ctx *ctx = k->emit->ctx;
    if (slot >= op->n_in || op->in[slot] == 0) {
        return (KernelParam){0};
    }
    const WeightTensor *t = emit_tensor_of(k->emit, s->begin->func, op, slot, -1);
    KernelParam p = {.ir = t->type, .stored = t->type->dtype, .name = emit_intern(k, name)};
    p.type = str_internf(ctx->strings, "const %s *", emit_ctype(p.stored));
    p.arg = str_internf(ctx->strings, "(%s)(run->weights + %llu)", p.type,
                        (unsigned long long)t->offset);
    vec_push(ctx->arena, &k->params, p);
    return p;
}

/* The element's text is that of embed.cu. */
static const char *element_text(KernelText *embed)
{
    Ctx *ctx = embed->emit->ctx;
    FormulaValue text,
        arg[] = {formula_string(emit_intern(embed, "w")), formula_string(emit_intern(embed, "id")),
                 formula_string(emit_intern(embed, "k"))};
    bool known;
    if (!emit_host_call(embed, str_intern(ctx->strings, "weight"), arg, 3, (Span){0}, &text,
                        &known)) {
        BUG("the embedding's element has no text");
    }
    return text.s;
}

/* Parameters table, table_scale, table_zero; w, w_scale, w_zero are their names in the element. */
static void add_table(KernelText *k, const StepPlan *s)
{
    static const struct {
        const char *param, *local, *type;
    } parts[] = {{"table", "w", "table_type"},
                 {"table_scale", "w_scale", "table_scale_type"},
                 {"table_zero", "w_zero", "table_zero_type"}};
    KernelText embed = {.emit = k->emit, .op = s->embed, .symbol = k->symbol, .lanes = 1};
    for (int i = 0; i < 3; i++) {
        KernelParam p = add_constant(k, s, s->embed, EMBED_W + i, parts[i].param);
        tmpl_set_bool(&k->env, parts[i].param, p.name != NULL);
        if (p.name != NULL) {
            p.name = emit_intern(k, parts[i].local);
            vec_push(k->emit->ctx->arena, &embed.params, p);
            tmpl_set_string(&k->env, parts[i].type, emit_ctype(p.stored));
        }
    }
    tmpl_set_string(&k->env, "embedded", element_text(&embed));
}

static void set_angles(KernelText *k, const Op *op)
{
    double scale = op->a.scale;
    Buf b = buf_create(k->emit->ctx->arena);
    buf_put_double(&b, scale);
    tmpl_set_bool(&k->env, "scaled", scale > 0 && (scale < 1 || scale > 1));
    tmpl_set_string(&k->env, "scale", b.data);
}

void emit_step_ends(KernelText *k, const StepPlan *s)
{
    tmpl_set_bool(&k->env, "inside", s->begin != NULL);
    tmpl_set_int(&k->env, "RING", RING);
    tmpl_set_int(&k->env, "BATCH", BATCH);
    if (s->begin != NULL) {
        add_table(k, s);
        add_constant(k, s, s->angles, 1, "freqs");
        set_angles(k, s->angles);
    }
    emit_add_scalar(k, "int32_t *", "tokens", "(int32_t *)(uintptr_t)run->tokens");
    emit_add_scalar(k, "int32_t *", "pos", "(int32_t *)(uintptr_t)run->pos");
    if (s->tokens > 1) {
        emit_add_scalar(k, "int ", "rows", "run->rows");
        return;
    }
    emit_add_scalar(k, "SinterSample *", "drawn", "sinter_gpu_likeliest(run->gpu)");
    emit_add_scalar(k, "int32_t *", "ring", "sinter_gpu_ring(run->gpu)");
}
