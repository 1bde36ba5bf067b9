/* cost_table.c - the roofline of every kernel as a table. */
#include <math.h>
#include <string.h>

#include "compiler/inspect.h"

const char *cost_bytes_text(Arena *a, double x)
{
    if (x >= 1e9) {
        return arena_printf(a, "%.3f GB", x / 1e9);
    }
    if (x >= 1e6) {
        return arena_printf(a, "%.3f MB", x / 1e6);
    }
    return x >= 1e4 ? arena_printf(a, "%.1f kB", x / 1e3) : arena_printf(a, "%.0f B", x);
}

static void print_row(Buf *b, const Func *f, const Op *op, const Device *d, int64_t kv_len)
{
    Arena *a = b->arena;
    Cost c = cost_op(f, op, kv_len);
    double bytes = c.weight_bytes + c.read_bytes + c.write_bytes;
    const char *name = arena_printf(a, "%s %%%s", op_name(op->kind), f->value[op->out[0]].name);
    buf_printf(b, "  %-34s %11s %11s %11.3f", name, cost_bytes_text(a, c.weight_bytes),
               cost_bytes_text(a, c.read_bytes + c.write_bytes), c.flops / 1e6);
    buf_printf(b, " %9.2f",
               c.weight_bytes > 0 ? cost_intensity(f, op)
               : bytes > 0        ? c.flops / bytes
                                  : 0.0);
    if (!d) {
        buf_puts(b, "\n");
        return;
    }
    double balance = cost_balance_tokens(f, op, d);
    double seconds = cost_op_seconds(f, op, kv_len, d);
    bool memory = balance <= 0 || (double)f->module->tokens < balance;
    buf_printf(b, " %10.2f %-10s", seconds * 1e6, memory ? "memory" : "arithmetic");
    if (balance > 0 && isfinite(balance)) {
        buf_printf(b, " T >= %.0f", ceil(balance));
    }
    buf_puts(b, "\n");
}

static int repeats_of(const Module *m, const Func *f)
{
    int n = 0;
    for (size_t i = 0; i < m->steps.n; i++) {
        const Step *s = &m->steps.data[i];
        for (int k = 0; k < s->n_funcs; k++) {
            n += m->funcs.data[s->func[k]] == f ? s->repeat : 0;
        }
    }
    return n;
}

static void print_func(Buf *b, const Module *m, const Func *f, const Device *d, int64_t kv_len)
{
    int repeat = repeats_of(m, f);
    buf_printf(b, "@%s, %d x\n  %-34s %11s %11s %11s %9s%s\n", f->name, repeat, "kernel", "weights",
               "activations", "MFLOP", "FLOP/B", d ? "         us bound by   arithmetic from" : "");
    for (size_t i = 0; i < f->order.n; i++) {
        const Op *op = &f->op[f->order.data[i]];
        if (!f->value[op->out[0]].constant && !(op_flags(op->kind) & OPF_VIEW)) {
            print_row(b, f, op, d, kv_len);
        }
    }
    Cost c = cost_func(f, kv_len);
    buf_printf(b, "  %-34s %11s %11s %11.3f\n", "sum of one",
               cost_bytes_text(b->arena, c.weight_bytes),
               cost_bytes_text(b->arena, c.read_bytes + c.write_bytes), c.flops / 1e6);
}

void cost_table_print(Buf *b, const Module *m, const Device *d, int64_t kv_len)
{
    buf_printf(b, "%s of %s: %d token%s a step, %lld positions in the cache%s%s\n",
               m->phase == PHASE_DECODE ? "decode" : "prefill", m->name, m->tokens,
               m->tokens == 1 ? "" : "s", (long long)kv_len, d ? ", device " : "",
               d ? d->name : "");
    buf_puts(b, "FLOP/B: FLOPs per byte of weights (per byte moved where there are none)\n");
    for (size_t i = 0; i < m->funcs.n; i++) {
        print_func(b, m, m->funcs.data[i], d, kv_len);
    }
    Cost c = cost_module(m, kv_len);
    buf_printf(b, "whole step: weights %s, activations and caches %s, %.3f GFLOP, %d kernels\n",
               cost_bytes_text(b->arena, c.weight_bytes),
               cost_bytes_text(b->arena, c.read_bytes + c.write_bytes), c.flops / 1e9, c.launches);
    buf_printf(b, "  exactly %.0f bytes of weights; %.0f a token\n", c.weight_bytes,
               c.weight_bytes / m->tokens);
    if (d) {
        double s = cost_module_seconds(m, kv_len, d);
        buf_printf(b, "  roofline on %s: %.3f ms a step, %.1f tokens/s\n", d->name, s * 1e3,
                   (double)m->tokens / s);
    }
}
