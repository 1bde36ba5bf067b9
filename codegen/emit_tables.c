/* emit_tables.c - what the runtime reads: tensors, kernels with bytes and FLOPs, entries, the
 * model. */
#include "codegen/emit_parts.h"

#include <stdlib.h>
#include <string.h>

static void put_string(Buf *b, const char *s)
{
    buf_putc(b, '"');
    for (; s != NULL && *s != '\0'; s++) {
        if (*s == '"' || *s == '\\') {
            buf_putc(b, '\\');
        }
        buf_putc(b, *s == '\n' ? ' ' : *s);
    }
    buf_putc(b, '"');
}

/* Seven digits: a spread, or a theta that people chose. */
static Str short_f32(Ctx *ctx, double x)
{
    return emit_f32(ctx, strtod(arena_printf(ctx->arena, "%.7g", x), NULL));
}

static void put_tensor(const Emit *e, Buf *b, const WeightTensor *t, int copy)
{
    Buf type = buf_create(e->ctx->arena);
    type_print(&type, t->type);
    StrTable *strings = e->ctx->strings;
    uint64_t offset = t->offset + (uint64_t)copy * t->stride;
    Str item[] = {str_internf(strings, "\"%s\"", weights_entry_name(e->ctx, t, copy)),
                  str_internf(strings, "\"%s\"", type.data),
                  str_internf(strings, "%llu", (unsigned long long)offset),
                  str_internf(strings, "%llu", (unsigned long long)t->bytes),
                  str_internf(strings, "'%c'", t->fill),
                  short_f32(e->ctx, t->fill_scale)};
    emit_wrapped(b, "    {", item, sizeof item / sizeof item[0], 0, "},");
    buf_putc(b, '\n');
}

/* In the order of the file. */
static void put_tensors(const Emit *e, Buf *b)
{
    const WeightsPlan *w = e->plan->weights;
    const Module *m = e->plan->phases.data[0].module;
    buf_puts(b, "static const SinterTensorInfo tensors[] = {\n");
    for (size_t s = 0; s < m->steps.n; s++) {
        int copies = m->steps.data[s].layered ? m->steps.data[s].repeat : 1;
        for (int copy = 0; copy < copies; copy++) {
            for (size_t i = 0; i < w->tensors.n; i++) {
                if (w->tensors.data[i].step == (int)s && copy < w->tensors.data[i].count) {
                    put_tensor(e, b, &w->tensors.data[i], copy);
                }
            }
        }
    }
    buf_puts(b, "};\n\n");
}

static void put_kernel_info(Buf *b, const PlanFunc *pf, const Kernel *k)
{
    double calls = pf->calls;
    buf_printf(b, "    {\"%s\", %d, %.0f, %.0f, %.0f, %.0f},\n", k->name, pf->calls,
               calls * k->cost.weight_bytes, calls * (k->cost.read_bytes + k->cost.write_bytes),
               calls * k->kv_bytes_per_pos, calls * k->cost.flops);
}

static void put_kernel_infos(const Emit *e, Buf *b)
{
    buf_puts(b,
             "/* name, calls, then for all calls: weight bytes, activation bytes, cache bytes per\n"
             " * position, FLOPs */\n"
             "static const SinterKernelInfo steps[] = {\n");
    for (size_t i = 0; i < e->plan->phases.n; i++) {
        const PlanPhase *phase = &e->plan->phases.data[i];
        for (size_t f = 0; f < phase->funcs.n; f++) {
            for (size_t k = 0; k < phase->funcs.data[f].kernels.n; k++) {
                put_kernel_info(b, &phase->funcs.data[f], &phase->funcs.data[f].kernels.data[k]);
            }
        }
    }
    buf_puts(b, "};\n\n");
}

static int count_kernels(const PlanPhase *phase)
{
    size_t n = 0;
    for (size_t f = 0; f < phase->funcs.n; f++) {
        n += phase->funcs.data[f].kernels.n;
    }
    return (int)n;
}

static void put_entry(Buf *b, const PlanPhase *phase, int first)
{
    buf_printf(b, "{%d, %s, %d, %d}", phase->module->tokens, phase->name, first,
               count_kernels(phase));
}

static int layer_count(const Module *m)
{
    int n = 0;
    for (size_t s = 0; s < m->steps.n; s++) {
        const Step *step = &m->steps.data[s];
        n += step->layered ? step->repeat * step->n_funcs : 0;
    }
    return n;
}

/* Columns of the first environment value of float type: the residual stream. */
static long long model_width(const PlanPhase *phase)
{
    for (size_t i = 0; i < phase->shared.n; i++) {
        if (strcmp(phase->shared.data[i].name, "x") == 0) {
            return (long long)phase->shared.data[i].stride;
        }
    }
    const PlanFunc *first = &phase->funcs.data[0];
    return first->func->params.n > 0 ? (long long)first->place[first->func->params.data[0]].stride
                                     : 0;
}

/* Columns of what leaves through run->logits. */
long long emit_output_width(const PlanPhase *phase)
{
    const Func *f = phase->funcs.data[phase->funcs.n - 1].func;
    const Module *m = phase->module;
    const Step *last = &m->steps.data[m->steps.n - 1];
    f = m->funcs.data[last->func[last->n_funcs - 1]];
    const Type *t = f->value[f->results.data[0]].type;
    return (long long)t->dim[t->rank - 1];
}

static void put_cpu_ok(const Emit *e, Buf *b)
{
    const Isa *isa = e->plan->target->isa;
    buf_puts(b, "static int cpu_ok(void)\n{\n");
    if (isa->avx512) {
        buf_puts(b, "    return __builtin_cpu_supports(\"avx512f\") && "
                    "__builtin_cpu_supports(\"avx512bw\") &&\n"
                    "           __builtin_cpu_supports(\"avx512dq\") && "
                    "__builtin_cpu_supports(\"avx512vl\")");
        buf_puts(b, isa->vnni ? " &&\n           __builtin_cpu_supports(\"avx512vnni\") && "
                                "__builtin_cpu_supports(\"avx512bf16\");\n"
                              : ";\n");
    } else if (isa->avx2) {
        buf_puts(
            b, "    return __builtin_cpu_supports(\"avx2\") && __builtin_cpu_supports(\"fma\");\n");
    } else if (isa->dotprod) {
        buf_puts(b, "    return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;\n");
    } else {
        buf_puts(b, "    return 1;\n");
    }
    buf_puts(b, "}\n\n");
}

static void put_model(const Emit *e, Buf *b)
{
    const Plan *p = e->plan;
    const PlanPhase *first = &p->phases.data[0];
    const EmitOptions *o = e->options;
    buf_puts(b, "const SinterModel sinter_model = {\n    .name = ");
    put_string(b, first->module->name);
    buf_printf(b, ",\n    .target = \"%s %s\",\n    .spec_summary =", p->target->name,
               p->target->isa->name);
    Buf summary = buf_create(e->ctx->arena);
    put_string(&summary, o->spec_summary);
    bool fits = summary.len + strlen("    .spec_summary = ,") <= 100;
    buf_printf(b, "%s%s", fits ? " " : "\n        ", summary.data);
    buf_printf(b, ",\n    .layers = %d,\n    .d_model = %lld,\n    .vocab = %lld,\n",
               layer_count(first->module), model_width(first), emit_output_width(first));
    buf_printf(b, "    .context = CONTEXT,\n    .bos_id = %d,\n    .eos_id = %d,\n", o->bos_id,
               o->eos_id);
    buf_printf(b, "    .kv_bytes = %lld,\n    .scratch_bytes = %lld,\n", (long long)p->kv_bytes,
               (long long)p->scratch_bytes);
    buf_printf(b,
               "    .weights_bytes = %llu,\n    .layout_hash = UINT64_C(0x%016llx),\n"
               "    .tensors = tensors,\n    .n_tensors = %d,\n",
               (unsigned long long)p->weights->file_bytes,
               (unsigned long long)p->weights->layout_hash, p->weights->n_entries);
}

static void put_entries(const Emit *e, Buf *b, Buf *model)
{
    const Plan *p = e->plan;
    int first = 0, n_decode = 0;
    Buf prefill = buf_create(e->ctx->arena);
    for (size_t i = 0; i < p->phases.n; i++) {
        const PlanPhase *phase = &p->phases.data[i];
        if (phase->module->phase == PHASE_DECODE) {
            buf_puts(b, n_decode == 0 ? "static const SinterEntry decode[] = {\n    " : ",\n    ");
            put_entry(b, phase, first);
            n_decode++;
        } else {
            buf_puts(&prefill, "    .prefill = ");
            put_entry(&prefill, phase, first);
            buf_puts(&prefill, phase->head < 0 ? ",\n    .every_row = 1,\n" : ",\n");
        }
        first += count_kernels(phase);
    }
    buf_puts(b, n_decode > 0 ? ",\n};\n\n" : "");
    if (n_decode > 0) {
        buf_printf(model, "    .decode = decode,\n    .n_decode = %d,\n", n_decode);
    }
    buf_add(model, prefill.data, prefill.len);
    buf_printf(model, "    .steps = steps,\n    .n_steps = %d,\n", p->n_infos);
}

void emit_tables(Emit *e, Buf *b)
{
    Buf model = buf_create(e->ctx->arena);
    put_tensors(e, b);
    put_kernel_infos(e, b);
    put_model(e, &model);
    put_entries(e, b, &model);
    if (e->plan->target->gpu) {
        buf_add(b, model.data, model.len);
        buf_printf(b, "    .cpu_needs = \"%s\",\n    .gpu = &gpu_program,\n};\n",
                   e->plan->target->isa->words);
        return;
    }
    put_cpu_ok(e, b);
    buf_add(b, model.data, model.len);
    buf_printf(b, "    .cpu_ok = cpu_ok,\n    .cpu_needs = \"%s\",\n};\n",
               e->plan->target->isa->words);
}
