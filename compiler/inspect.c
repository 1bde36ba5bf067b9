/* inspect.c - records the passes and prints the text views. */
#include "compiler/inspect.h"

#include <string.h>

#include "compiler/base/file.h"
#include "compiler/toolchain.h"
#include "ir/dot.h"

static const Span nowhere = {0, 0};

void inspect_record(void *user, const Module *m, const char *pass, int changes, double seconds)
{
    Inspection *in = user;
    Buf text = buf_create(in->ctx->arena);
    ir_print_module(&text, m);
    InspectStep step = {.pass = pass,
                        .phase = m->phase,
                        .tokens = m->tokens,
                        .changes = changes,
                        .seconds = seconds,
                        .text = text.data,
                        .cost = cost_module(m, in->kv_len)};
    step.roofline = in->device ? cost_module_seconds(m, in->kv_len, in->device) : 0;
    vec_push(in->ctx->arena, &in->steps, step);
}

/* ---- differences ----------------------------------------------------------------------------- */

typedef struct Lines {
    size_t n, cap;
    const char **data;
} Lines;

static Lines split_lines(Arena *a, const char *text)
{
    Lines lines = {0};
    while (*text) {
        size_t n = strcspn(text, "\n");
        vec_push(a, &lines, (const char *)arena_strndup(a, text, n));
        text += n + (text[n] == '\n');
    }
    return lines;
}

Diff text_diff(Arena *a, const char *before, const char *after)
{
    Lines x = split_lines(a, before), y = split_lines(a, after);
    size_t width = y.n + 1;
    /* common[i][j]: longest common subsequence of x[i..] and y[j..] */
    uint32_t *common = ARENA_ARRAY(a, uint32_t, (x.n + 1) * width);
    for (size_t i = x.n; i-- > 0;) {
        for (size_t j = y.n; j-- > 0;) {
            uint32_t down = common[(i + 1) * width + j], right = common[i * width + j + 1];
            bool same = strcmp(x.data[i], y.data[j]) == 0;
            common[i * width + j] =
                same ? common[(i + 1) * width + j + 1] + 1 : (down > right ? down : right);
        }
    }
    Diff diff = {0};
    size_t i = 0, j = 0;
    while (i < x.n || j < y.n) {
        DiffLine line;
        if (i < x.n && j < y.n && strcmp(x.data[i], y.data[j]) == 0) {
            line = (DiffLine){' ', y.data[j++]};
            i++;
        } else if (i < x.n &&
                   (j == y.n || common[(i + 1) * width + j] >= common[i * width + j + 1])) {
            line = (DiffLine){'-', x.data[i++]};
        } else {
            line = (DiffLine){'+', y.data[j++]};
        }
        vec_push(a, &diff, line);
    }
    return diff;
}

/* Changed lines with one line of context, functions' headers kept. */
static void print_diff(Buf *b, const Diff *d)
{
    for (size_t i = 0; i < d->n; i++) {
        bool near = d->data[i].mark != ' ' || (i > 0 && d->data[i - 1].mark != ' ') ||
                    (i + 1 < d->n && d->data[i + 1].mark != ' ');
        if (near || strncmp(d->data[i].text, "func ", 5) == 0) {
            buf_printf(b, "%c %s\n", d->data[i].mark, d->data[i].text);
        }
    }
}

/* ---- the bytes between gate/up and down ------------------------------------------------------ */

static ValueId view_root(const Func *f, ValueId v)
{
    while (f->value[v].kind == VALUE_RESULT && (op_flags(f->op[f->value[v].def].kind) & OPF_VIEW)) {
        v = f->op[f->value[v].def].in[0];
    }
    return v;
}

static bool is_matmul(const Func *f, ValueId v)
{
    return f->value[v].kind == VALUE_RESULT && f->op[f->value[v].def].kind == OP_MATMUL;
}

static bool is_elementwise(const Func *f, ValueId v)
{
    if (f->value[v].kind != VALUE_RESULT) {
        return false;
    }
    int flags = op_flags(f->op[f->value[v].def].kind);
    return (flags & (OPF_ELEMENT | OPF_VIEW)) != 0;
}

/* Marks every buffer that feeds v through elementwise ops; true when all paths end in matmuls. */
static bool mark_region(const Func *f, ValueId v, bool *mark)
{
    v = view_root(f, v);
    if (f->value[v].constant || mark[v]) {
        return true;
    }
    if (is_matmul(f, v)) {
        mark[v] = true;
        return true;
    }
    if (!is_elementwise(f, v)) {
        return false;
    }
    const Op *op = &f->op[f->value[v].def];
    for (int i = 0; i < op->n_in; i++) {
        if (op->in[i] && !mark_region(f, op->in[i], mark)) {
            return false;
        }
    }
    mark[v] = true;
    return true;
}

/* Bytes of v that live ops read: once per operand slot, views resolved. */
static double bytes_read(const Func *f, ValueId root)
{
    double sum = 0;
    for (size_t i = 0; i < f->order.n; i++) {
        const Op *op = &f->op[f->order.data[i]];
        for (int k = 0; k < op->n_in && !(op_flags(op->kind) & OPF_VIEW); k++) {
            if (op->in[k] && view_root(f, op->in[k]) == root) {
                sum += (double)type_bytes(f->value[op->in[k]].type);
            }
        }
    }
    return sum;
}

/* The matmul whose input comes from other matmuls through at least one multiplication or
 * activation: `down`. 0 when the function has no such thing. */
static OpId find_down(const Func *f, bool *mark)
{
    for (size_t i = f->order.n; i-- > 0;) {
        const Op *op = &f->op[f->order.data[i]];
        if (op->kind != OP_MATMUL || f->value[op->in[0]].kind != VALUE_RESULT) {
            continue;
        }
        memset(mark, 0, f->n_values * sizeof *mark);
        if (mark_region(f, op->in[0], mark)) {
            return f->order.data[i];
        }
    }
    return 0;
}

MlpTraffic mlp_traffic(const Func *f)
{
    Arena *a = f->module->ctx->arena;
    MlpTraffic t = {0};
    bool *mark = ARENA_ARRAY(a, bool, f->n_values);
    OpId down = find_down(f, mark);
    for (size_t i = 0; down && i < f->order.n; i++) {
        const Op *op = &f->op[f->order.data[i]];
        ValueId v = op->out[0];
        if (!mark[v] || (op_flags(op->kind) & OPF_VIEW)) {
            continue;
        }
        BufferTraffic row = {f->value[v].name, (double)type_bytes(f->value[v].type),
                             bytes_read(f, v)};
        if (v == view_root(f, f->op[down].in[0])) {
            row.read = 0; /* down's own read is the same for every strategy */
        }
        t.sum += row.written + row.read;
        t.kernels++;
        vec_push(a, &t, row);
    }
    return t;
}

void mlp_traffic_print(Buf *b, const char *strategy, const MlpTraffic *t)
{
    for (size_t i = 0; i < t->n; i++) {
        buf_printf(b, "  %-12s %%%-14s %12.0f %12.0f\n", i ? "" : strategy, t->data[i].name,
                   t->data[i].written, t->data[i].read);
    }
    buf_printf(b, "  %-12s %-15s %25.0f bytes in %d kernel%s\n", t->n ? "" : strategy, "sum",
               t->sum, t->kernels, t->kernels == 1 ? "" : "s");
}

/* ---- views ----------------------------------------------------------------------------------- */

bool inspect_step_same(const Inspection *in, size_t i)
{
    return i > 0 && strcmp(in->steps.data[i].text, in->steps.data[i - 1].text) == 0;
}

static void put_bytes_change(Buf *b, const char *what, double before, double after)
{
    if (before != after) {
        buf_printf(b, ", %s %s -> %s", what, cost_bytes_text(b->arena, before),
                   cost_bytes_text(b->arena, after));
    }
}

void inspect_put_effect(const Inspection *in, size_t i, Buf *b)
{
    const InspectStep *s = &in->steps.data[i], *p = s - 1;
    buf_printf(b, "%d change%s", s->changes, s->changes == 1 ? "" : "s");
    if (p->cost.launches != s->cost.launches) {
        buf_printf(b, ", kernels %d -> %d", p->cost.launches, s->cost.launches);
    }
    put_bytes_change(b, "weights", p->cost.weight_bytes, s->cost.weight_bytes);
    put_bytes_change(b, "activations", p->cost.read_bytes + p->cost.write_bytes,
                     s->cost.read_bytes + s->cost.write_bytes);
    if (s->roofline > 0 && p->roofline != s->roofline) {
        buf_printf(b, ", roofline %.3f -> %.3f ms", p->roofline * 1e3, s->roofline * 1e3);
    }
}

static void print_step(Buf *b, const Inspection *in, size_t i, bool diff)
{
    const InspectStep *s = &in->steps.data[i];
    bool same = inspect_step_same(in, i);
    buf_printf(b, "---- %02zu %s%s", i, s->pass, same ? " (unchanged)" : i > 0 ? ": " : "");
    if (i > 0 && !same) {
        inspect_put_effect(in, i, b);
    }
    buf_putc(b, '\n');
    if (same) {
        return;
    }
    if (diff && i > 0) {
        Diff d = text_diff(in->ctx->arena, in->steps.data[i - 1].text, s->text);
        print_diff(b, &d);
    } else {
        buf_puts(b, s->text);
    }
}

static bool unknown_step(const Inspection *in, const char *name)
{
    const char **names = ARENA_ARRAY(in->ctx->arena, const char *, in->steps.n + 1);
    for (size_t i = 0; i < in->steps.n; i++) {
        names[i] = in->steps.data[i].pass;
    }
    const char *near = str_nearest(name, names, in->steps.n);
    return diag_error(in->ctx->diag, nowhere, "there is no pass '%s'%s%s", name,
                      near ? "; did you mean " : "; 'all' stands for every one", near ? near : "");
}

static bool print_after(const Inspection *in, const Options *o, Buf *b)
{
    bool all = (o->after && strcmp(o->after, "all") == 0) || (o->diff && !o->after);
    bool found = all;
    for (size_t i = 0; i < in->steps.n; i++) {
        if (all || strcmp(in->steps.data[i].pass, o->after) == 0) {
            print_step(b, in, i, o->diff);
            found = true;
        }
    }
    return found || unknown_step(in, o->after);
}

static const char *phase_name(Phase p)
{
    return p == PHASE_DECODE ? "decode" : "prefill";
}

void inspect_print_times(const Inspection *in, Buf *b)
{
    for (size_t i = 0; i < in->steps.n; i++) {
        const InspectStep *s = &in->steps.data[i];
        if (strcmp(s->pass, "build") == 0) {
            continue;
        }
        if (i == 0 || s->tokens != s[-1].tokens || s->phase != s[-1].phase) {
            buf_printf(b, "%s, %d token%s\n", phase_name(s->phase), s->tokens,
                       s->tokens == 1 ? "" : "s");
        }
        buf_printf(b, "  %-16s %4d changes %9.3f ms\n", s->pass, s->changes, s->seconds * 1e3);
    }
}

static bool dump_step(const Inspection *in, size_t i, size_t number, const char *dir)
{
    const InspectStep *s = &in->steps.data[i];
    Ctx *ctx = in->ctx;
    const char *folder = path_join(
        ctx->arena, dir, arena_printf(ctx->arena, "passes/%s-%d", phase_name(s->phase), s->tokens));
    const char *name = arena_printf(ctx->arena, "%02zu-%s.ir", number, s->pass);
    const char *text = number > 1 && inspect_step_same(in, i) ? "# (unchanged)\n" : s->text;
    return file_make_dirs(ctx->diag, folder) &&
           file_write(ctx->diag, path_join(ctx->arena, folder, name), text, strlen(text));
}

bool inspect_dump(const Inspection *in, const Options *o, const char *dir)
{
    bool all = o->dump_after && strcmp(o->dump_after, "all") == 0, found = all;
    size_t number = 0;
    for (size_t i = 0; o->dump_after && i < in->steps.n; i++) {
        const InspectStep *s = &in->steps.data[i];
        bool first = i == 0 || s->tokens != s[-1].tokens || s->phase != s[-1].phase;
        number = first ? 1 : number + 1;
        if (all || strcmp(s->pass, o->dump_after) == 0) {
            found = true;
            if (!dump_step(in, i, number, dir)) {
                return false;
            }
        }
    }
    return !o->dump_after || found || unknown_step(in, o->dump_after);
}

/* A profile is that of a step which is one kernel, on a device. */
static bool check_profile(const Inspection *in, const Options *o)
{
    return o->profile == NULL || (in->step != NULL && in->device != NULL) ||
           diag_error(in->ctx->diag, nowhere,
                      "--profile %s: there is no step of one kernel to compare it with; it needs "
                      "--target cuda and --device%s%s",
                      o->profile, in->decode ? ", and the step is " : "",
                      in->decode ? in->decode : "");
}

static bool view_cost(const Inspection *in, const Options *o, Buf *b)
{
    if (!check_profile(in, o)) {
        return false;
    }
    cost_table_print(b, in->module, in->device, in->kv_len);
    if (in->decode) {
        buf_printf(b, "\ndecode of %s: %s\n",
                   in->module->tokens > 1 ? "several sequences" : "one token", in->decode);
    }
    return in->step == NULL || in->device == NULL ||
           step_table_print(b, in->step, in->device, in->kv_len, o->profile);
}

static bool view_text(const Inspection *in, const Options *o, Buf *b)
{
    bool other = o->ledger || o->cost || o->time_passes;
    if ((o->after || o->diff) && !print_after(in, o, b)) {
        return false;
    }
    if (!o->after && !o->diff && !other) {
        ir_print_module(b, in->module);
    }
    if (o->ledger) {
        ledger_print(b, in->ledger);
        if (in->mlp_table) {
            buf_printf(b,
                       "\nintermediate traffic of the MLP, bytes (from the gate/up matmuls to the "
                       "input of down)\n  %-12s %-15s %12s %12s\n%s",
                       "strategy", "buffer", "written", "read", in->mlp_table);
        }
    }
    if (o->cost && !view_cost(in, o, b)) {
        return false;
    }
    if (o->time_passes) {
        inspect_print_times(in, b);
    }
    return true;
}

/* Runs Graphviz's dot on the text; its SVG goes to b. */
static bool view_svg(const Inspection *in, const char *dot, Buf *b)
{
    Ctx *ctx = in->ctx;
    if (!toolchain_find(ctx->arena, "dot")) {
        return diag_env_error(ctx->diag, "Graphviz's 'dot' is not here: install graphviz, or use "
                                         "--format dot");
    }
    return toolchain_filter(ctx, "dot", "-Tsvg", dot, b);
}

bool inspect_view(const Inspection *in, const Options *o, Buf *b)
{
    static const char *const formats[] = {"text", "dot", "svg", "html", "json"};
    const char *format = o->format ? o->format : "text";
    if (strcmp(format, "text") == 0) {
        return view_text(in, o, b);
    }
    if (strcmp(format, "html") == 0) {
        inspect_html(in, b);
        return true;
    }
    if (strcmp(format, "json") == 0) {
        return inspect_json(in, b);
    }
    Buf dot = buf_create(in->ctx->arena);
    ir_print_dot(&dot, in->module);
    if (strcmp(format, "dot") == 0) {
        buf_add(b, dot.data, dot.len);
        return true;
    }
    if (strcmp(format, "svg") == 0) {
        return view_svg(in, dot.data, b);
    }
    const char *near = str_nearest(format, formats, 5);
    return diag_error(in->ctx->diag, nowhere,
                      "--format is text, dot, svg, html or json, not '%s'%s%s", format,
                      near ? "; did you mean " : "", near ? near : "");
}
