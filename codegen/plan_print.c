/* plan_print.c - the plan as text: weights, then each phase with its buffers and kernels. */
#include "codegen/plan_parts.h"
#include "codegen/select.h"

static void print_weights(Buf *b, const WeightsPlan *w)
{
    buf_printf(b, "weights %llu bytes, %d tensors, layout %016llx\n",
               (unsigned long long)w->file_bytes, w->n_entries, (unsigned long long)w->layout_hash);
    for (size_t i = 0; i < w->tensors.n; i++) {
        const WeightTensor *t = &w->tensors.data[i];
        buf_printf(b, "  %-24s ", t->name);
        type_print(b, t->type);
        buf_printf(b, " at %llu", (unsigned long long)t->offset);
        if (t->layered) {
            buf_printf(b, " + i * %llu, %d layers", (unsigned long long)t->stride, t->count);
        }
        buf_putc(b, '\n');
    }
}

static void print_buffer(Buf *b, const PlanBuffer *x)
{
    buf_printf(b, "    buffer %-20s %s(%lld, %lld) at %lld, %lld bytes%s\n", x->name,
               dtype_name(x->stored), (long long)x->rows, (long long)x->stride,
               (long long)x->offset, (long long)x->bytes,
               x->shared ? ", shared"
               : x->own  ? ", each thread's own"
                         : "");
}

static void print_kernel(Buf *b, const PlanFunc *pf, const Kernel *k)
{
    buf_printf(b, "    kernel %-28s ", k->name);
    select_print(b, &k->config);
    buf_printf(b, "; %s\n           weights %.0f, activations %.0f bytes, %.0f flops", k->reason,
               k->cost.weight_bytes, k->cost.read_bytes + k->cost.write_bytes, k->cost.flops);
    if (k->kv_bytes_per_pos > 0) {
        buf_printf(b, ", cache %.0f bytes a position", k->kv_bytes_per_pos);
    }
    buf_putc(b, '\n');
    if (k->op != 0) {
        buf_puts(b, "           ");
        ir_print_op(b, pf->func, &pf->func->op[k->op]);
        buf_putc(b, '\n');
    }
    buf_puts(b, k->barrier_after ? "    barrier\n" : "");
    if (k->barrier_unless > 0) {
        buf_printf(b, "    barrier unless %lld is a multiple of the threads\n",
                   (long long)k->barrier_unless);
    }
}

static void print_phase(Buf *b, const PlanPhase *phase)
{
    buf_printf(b, "\nphase %s, scratch %lld bytes\n", phase->name, (long long)phase->scratch_bytes);
    for (size_t f = 0; f < phase->funcs.n; f++) {
        const PlanFunc *pf = &phase->funcs.data[f];
        buf_printf(b, "  @%s, %d call%s\n", pf->func->name, pf->calls, pf->calls == 1 ? "" : "s");
        for (size_t i = 0; i < pf->buffers.n; i++) {
            print_buffer(b, &pf->buffers.data[i]);
        }
        for (size_t i = 0; i < pf->kernels.n; i++) {
            print_kernel(b, pf, &pf->kernels.data[i]);
        }
    }
}

void plan_print(Buf *b, const Plan *p)
{
    buf_printf(b, "target %s %s (%s)\n", p->target->name, p->target->isa->name,
               p->target->isa->words);
    buf_printf(b, "caches %lld bytes a sequence, scratch %lld bytes\n", (long long)p->kv_bytes,
               (long long)p->scratch_bytes);
    if (p->step != NULL || p->chain != NULL) {
        buf_printf(b, "decode of one token: %s%s\n",
                   p->step != NULL ? "one kernel" : "a chain of kernels: ",
                   p->step != NULL ? "" : p->chain);
    }
    if (p->batch != NULL || p->batch_chain != NULL) {
        buf_printf(b, "decode of several sequences: %s%s\n",
                   p->batch != NULL ? "one kernel" : "a chain of kernels: ",
                   p->batch != NULL ? "" : p->batch_chain);
    }
    print_weights(b, p->weights);
    for (size_t i = 0; i < p->phases.n; i++) {
        print_phase(b, &p->phases.data[i]);
    }
}
