/* inspect_json.c - everything `inspect` knows as one JSON object, for other programs. */
#include <jansson.h>
#include <stdlib.h>

#include "compiler/inspect.h"

static json_t *cost_json(const Cost *c)
{
    return json_pack("{s:f, s:f, s:f, s:f, s:i}", "weight_bytes", c->weight_bytes, "read_bytes",
                     c->read_bytes, "write_bytes", c->write_bytes, "flops", c->flops, "launches",
                     c->launches);
}

static json_t *steps_json(const Inspection *in)
{
    json_t *steps = json_array();
    for (size_t i = 0; i < in->steps.n; i++) {
        const InspectStep *s = &in->steps.data[i];
        json_array_append_new(steps,
                              json_pack("{s:s, s:i, s:s, s:o}", "pass", s->pass, "changes",
                                        s->changes, "ir", s->text, "cost", cost_json(&s->cost)));
    }
    return steps;
}

static json_t *ledger_json(const Inspection *in)
{
    json_t *rows = json_array();
    for (size_t i = 0; in->ledger && i < in->ledger->entries.n; i++) {
        const LedgerEntry *e = &in->ledger->entries.data[i];
        json_array_append_new(rows, json_pack("{s:s?, s:s?, s:s?, s:s?, s:b, s:s?, s:o, s:o}",
                                              "pass", e->pass, "rule", e->rule, "function", e->func,
                                              "site", e->site, "fired", (int)e->fired, "reason",
                                              e->reason, "before", cost_json(&e->before), "after",
                                              cost_json(&e->after)));
    }
    return rows;
}

static json_t *kernels_json(const Inspection *in)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < in->module->funcs.n; i++) {
        const Func *f = in->module->funcs.data[i];
        for (size_t k = 0; k < f->order.n; k++) {
            const Op *op = &f->op[f->order.data[k]];
            if (f->value[op->out[0]].constant || (op_flags(op->kind) & OPF_VIEW)) {
                continue;
            }
            Cost c = cost_op(f, op, in->kv_len);
            double seconds = in->device ? cost_op_seconds(f, op, in->kv_len, in->device) : 0;
            json_array_append_new(rows,
                                  json_pack("{s:s, s:s, s:s, s:o, s:f}", "function", f->name, "op",
                                            op_name(op->kind), "value", f->value[op->out[0]].name,
                                            "cost", cost_json(&c), "roofline_seconds", seconds));
        }
    }
    return rows;
}

bool inspect_json(const Inspection *in, Buf *b)
{
    json_t *root = json_pack(
        "{s:s, s:s, s:i, s:s?, s:I, s:o, s:o, s:o}", "model", in->module->name, "phase",
        in->module->phase == PHASE_DECODE ? "decode" : "prefill", "tokens", in->module->tokens,
        "device", in->device ? in->device->name : NULL, "kv_len", (json_int_t)in->kv_len, "steps",
        steps_json(in), "ledger", ledger_json(in), "kernels", kernels_json(in));
    char *text = root ? json_dumps(root, JSON_INDENT(1)) : NULL;
    json_decref(root);
    if (!text) {
        BUG("inspect: the JSON could not be built");
    }
    buf_puts(b, text);
    buf_putc(b, '\n');
    free(text);
    return true;
}
