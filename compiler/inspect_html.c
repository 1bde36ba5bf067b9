/* inspect_html.c - one self-contained page: the passes as steps on the left, the graph's text with
 * what changed highlighted beside them; ledger, cost and picture below. No network, little script.
 */
#include <string.h>

#include "compiler/inspect.h"
#include "compiler/toolchain.h"
#include "ir/dot.h"

static const char page_head[] =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n<style>\n"
    ":root{--line:#d8dee4;--dim:#59636e;--add:#dafbe1;--del:#ffebe9;--sel:#ddf4ff}\n"
    "body{margin:0;font:14px/1.45 system-ui,sans-serif;color:#1f2328}\n"
    "header{padding:14px 20px;border-bottom:1px solid var(--line)}h1{font-size:19px;margin:0}\n"
    "h2{font-size:16px;margin:26px 20px 8px}header p{margin:4px 0 0;color:var(--dim)}\n"
    ".panes{display:grid;grid-template-columns:250px minmax(0,1fr);"
    "border-bottom:1px solid var(--line)}\n"
    "nav{border-right:1px solid var(--line);padding:8px 0;max-height:680px;overflow:auto}\n"
    "nav button{display:flex;width:100%;justify-content:space-between;border:0;background:none;"
    "padding:4px 20px;font:inherit;text-align:left;cursor:pointer}\n"
    "nav button.same{color:#6e7781}nav button[aria-current=true]{background:var(--sel);"
    "font-weight:600}\n"
    "nav small{color:var(--dim);font-weight:400}\n"
    "nav p{margin:8px 20px;color:var(--dim);font-size:12px}\n"
    ".steps{overflow:auto;max-height:696px;position:relative}.step{display:none}"
    ".step.on{display:block}\n"
    ".bar{position:sticky;top:0;background:#fff;padding:10px 20px 8px;"
    "border-bottom:1px solid var(--line)}\n"
    ".bar b{margin-right:8px}.bar p{margin:2px 0 0;color:var(--dim);font-size:13px}\n"
    "pre{font:12px/1.5 ui-monospace,monospace;margin:0;white-space:pre}\n"
    ".step pre{white-space:pre-wrap;padding:8px 20px}\n"
    ".line{display:block;padding:0 4px 0 10ch;text-indent:-10ch;min-height:1.5em}\n"
    ".line::before{content:'  '}.add::before{content:'+ '}.del::before{content:'- '}\n"
    ".add{background:var(--add)}.del{background:var(--del);color:#82071e}"
    ".hide-del .del{display:none}\n"
    "table{border-collapse:collapse;margin:0 20px;font-size:13px}\n"
    "td,th{padding:4px 10px;border-bottom:1px solid var(--line);text-align:left;"
    "vertical-align:top}\n"
    "td.n,th.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}\n"
    "tr.no td{color:var(--dim)}tr.sum td{font-weight:600}.yes{color:#1a7f37;font-weight:600}\n"
    ".box{margin:0 20px;padding:12px;border:1px solid "
    "var(--line);border-radius:6px;overflow:auto}\n"
    ".box svg{max-width:100%;height:auto;display:block;margin:auto;cursor:zoom-in}"
    ".box.full svg{max-width:none;cursor:zoom-out}"
    "label{color:var(--dim);font-size:13px}\n"
    ".hint{margin:0 20px 8px;color:var(--dim);font-size:13px}"
    "footer{height:40px}\n</style>\n<noscript><style>.step{display:block}</style></noscript>\n";

static const char page_script[] =
    "<script>\nconst buttons=[...document.querySelectorAll('nav button')],"
    "steps=[...document.querySelectorAll('.step')],pane=document.querySelector('.steps');\n"
    "let at=0;\n"
    "function show(i){at=i;buttons.forEach((b,k)=>b.setAttribute('aria-current',k===i));"
    "steps.forEach((s,k)=>s.classList.toggle('on',k===i));"
    "const c=steps[i].querySelector('.add,.del');pane.scrollTop=c?c.offsetTop-180:0}\n"
    "buttons.forEach((b,i)=>b.onclick=()=>show(i));\n"
    "document.addEventListener('keydown',e=>{if(e.key==='j')"
    "show(Math.min(at+1,steps.length-1));else if(e.key==='k')"
    "show(Math.max(at-1,0));else return;e.preventDefault();"
    "buttons[at].scrollIntoView({block:'nearest'})});\n"
    "document.querySelector('#removed').onchange=e=>"
    "pane.classList.toggle('hide-del',!e.target.checked);\n"
    "const graph=document.querySelector('#graph');"
    "if(graph)graph.onclick=()=>graph.classList.toggle('full');\n"
    "show(Math.max(0,buttons.findIndex((b,i)=>i&&!b.classList.contains('same'))));\n</script>\n";

static void put_change(Buf *b, const char *what, double before, double after)
{
    buf_printf(b, " &middot; %s %s", what, cost_bytes_text(b->arena, before));
    if (before != after) {
        buf_printf(b, " &rarr; %s", cost_bytes_text(b->arena, after));
    }
}

static void put_header(const Inspection *in, Buf *b)
{
    const Module *m = in->module;
    const InspectStep *first = &in->steps.data[0], *last = &in->steps.data[in->steps.n - 1];
    const Cost *x = &first->cost, *y = &last->cost;
    buf_puts(b, page_head);
    buf_printf(b, "<title>%s: passes</title></head><body>\n<header><h1>%s</h1>", m->name, m->name);
    buf_printf(b, "<p>%s, %d token%s a step, %lld positions in the cache",
               m->phase == PHASE_DECODE ? "decode" : "prefill", m->tokens,
               m->tokens == 1 ? "" : "s", (long long)in->kv_len);
    buf_printf(b, " &middot; kernels %d &rarr; %d", x->launches, y->launches);
    put_change(b, "weights", x->weight_bytes, y->weight_bytes);
    put_change(b, "activations and caches", x->read_bytes + x->write_bytes,
               y->read_bytes + y->write_bytes);
    if (in->device) {
        buf_printf(b, " &middot; roofline on %s %.3f &rarr; %.3f ms", in->device->name,
                   first->roofline * 1e3, last->roofline * 1e3);
    }
    buf_puts(b, "</p></header>\n");
}

static void put_nav(const Inspection *in, Buf *b)
{
    buf_puts(b, "<div class=\"panes\"><nav>\n");
    for (size_t i = 0; i < in->steps.n; i++) {
        const InspectStep *s = &in->steps.data[i];
        bool same = inspect_step_same(in, i);
        buf_printf(b, "<button%s><span>%s</span><small>", same ? " class=\"same\"" : "", s->pass);
        if (same) {
            buf_puts(b, "no change");
        } else {
            buf_printf(b, "%d kernels", s->cost.launches);
        }
        buf_puts(b, "</small></button>\n");
    }
    buf_puts(b, "<p>keys j and k walk through the steps</p>\n"
                "<p><label><input type=\"checkbox\" id=\"removed\" checked> show removed "
                "lines</label></p></nav>\n");
}

/* What the pass is for and what it did here. */
static void put_step_bar(const Inspection *in, size_t i, Buf *b)
{
    const InspectStep *s = &in->steps.data[i];
    const Pass *p = pass_find(s->pass);
    Buf effect = buf_create(b->arena);
    if (i == 0) {
        buf_puts(&effect, "the graph before any pass");
    } else if (inspect_step_same(in, i)) {
        buf_puts(&effect, "no change");
    } else {
        inspect_put_effect(in, i, &effect);
    }
    buf_printf(b, "<div class=\"bar\"><b>%s</b>", s->pass);
    buf_put_xml(b, p ? p->summary : "the spec as a graph");
    buf_puts(b, "<p>");
    buf_put_xml(b, effect.data);
    buf_puts(b, "</p></div>\n");
}

static void put_step(const Inspection *in, size_t i, Buf *b)
{
    const char *before = i ? in->steps.data[i - 1].text : in->steps.data[0].text;
    Diff d = text_diff(in->ctx->arena, before, in->steps.data[i].text);
    buf_puts(b, "<div class=\"step\">");
    put_step_bar(in, i, b);
    buf_puts(b, "<pre>");
    for (size_t k = 0; k < d.n; k++) {
        const char *class_name = d.data[k].mark == '+'   ? "line add"
                                 : d.data[k].mark == '-' ? "line del"
                                                         : "line";
        buf_printf(b, "<span class=\"%s\">", class_name);
        buf_put_xml(b, d.data[k].text);
        buf_puts(b, "</span>");
    }
    buf_puts(b, "</pre></div>\n");
}

/* "1.234 MB", or "-16.4 kB" where a rewrite costs something that a later one wins back. */
static const char *saved_text(Arena *a, double bytes)
{
    return bytes < 0 ? arena_printf(a, "-%s", cost_bytes_text(a, -bytes))
                     : cost_bytes_text(a, bytes);
}

static void put_saved(const LedgerEntry *e, Buf *b)
{
    buf_printf(b,
               "<td class=\"n\">%d &rarr; %d</td><td class=\"n\">%s</td><td class=\"n\">%.2f</td>",
               e->before.launches, e->after.launches,
               saved_text(b->arena, cost_bytes(&e->before) - cost_bytes(&e->after)),
               (e->seconds_before - e->seconds_after) * 1e6);
}

static void put_ledger_row(const LedgerEntry *e, Buf *b)
{
    buf_printf(b, "<tr%s><td>%s</td><td>@%s%s%s</td><td>", e->fired ? "" : " class=\"no\"", e->rule,
               e->func, e->site ? " %" : "", e->site ? e->site : "");
    if (e->fired) {
        buf_puts(b, "<span class=\"yes\">fired</span></td>");
        put_saved(e, b);
    } else {
        buf_put_xml(b, e->reason ? e->reason : "");
        buf_puts(b, "</td><td></td><td></td><td></td>");
    }
    buf_puts(b, "</tr>\n");
}

/* From before the first rewrite of a function to after its last. */
static void put_ledger_sum(const Ledger *l, Str func, Buf *b)
{
    LedgerEntry sum = {0};
    int fired = 0;
    for (size_t i = 0; i < l->entries.n; i++) {
        const LedgerEntry *e = &l->entries.data[i];
        if (e->fired && e->func == func) {
            LedgerEntry first = fired++ ? sum : *e;
            sum = *e;
            sum.before = first.before;
            sum.seconds_before = first.seconds_before;
        }
    }
    if (fired) {
        buf_printf(b, "<tr class=\"sum\"><td>sum</td><td>@%s</td><td>%d fired</td>", func, fired);
        put_saved(&sum, b);
        buf_puts(b, "</tr>\n");
    }
}

static void put_ledger(const Inspection *in, Buf *b)
{
    const Ledger *l = in->ledger;
    buf_puts(b,
             "<h2>Ledger: what was fused, what was not, why</h2>\n<table><tr><th>rule</th>"
             "<th>site</th><th>outcome</th><th class=\"n\">kernels</th>"
             "<th class=\"n\">bytes saved a call</th><th class=\"n\">&micro;s saved</th></tr>\n");
    for (size_t i = 0; l && i < l->entries.n; i++) {
        put_ledger_row(&l->entries.data[i], b);
    }
    for (size_t i = 0; l && i < in->module->funcs.n; i++) {
        put_ledger_sum(l, in->module->funcs.data[i]->name, b);
    }
    buf_puts(b, "</table>\n");
}

static void put_cost(const Inspection *in, Buf *b)
{
    Buf table = buf_create(in->ctx->arena);
    cost_table_print(&table, in->module, in->device, in->kv_len);
    buf_puts(b, "<h2>Cost</h2>\n<div class=\"box\"><pre>");
    buf_put_xml(b, table.data);
    buf_puts(b, "</pre></div>\n");
    if (in->mlp_table) {
        buf_puts(b, "<h2>Intermediate traffic of the MLP, bytes</h2>\n<div class=\"box\"><pre>");
        buf_printf(b, "  %-12s %-15s %12s %12s\n", "strategy", "buffer", "written", "read");
        buf_put_xml(b, in->mlp_table);
        buf_puts(b, "</pre></div>\n");
    }
}

/* The picture of the graph, when Graphviz is here. */
static void put_graph(const Inspection *in, Buf *b)
{
    if (!toolchain_find(in->ctx->arena, "dot")) {
        return;
    }
    Buf dot = buf_create(in->ctx->arena), svg = buf_create(in->ctx->arena);
    ir_print_dot(&dot, in->module);
    if (toolchain_filter(in->ctx, "dot", "-Tsvg", dot.data, &svg)) {
        const char *start = strstr(svg.data, "<svg");
        buf_puts(b,
                 "<h2>Graph after all passes</h2>\n<p class=\"hint\">a click on the picture: full "
                 "size or as wide as the page; a node shows its line of IR</p>\n"
                 "<div class=\"box\" id=\"graph\">");
        buf_puts(b, start ? start : "");
        buf_puts(b, "</div>\n");
    }
}

void inspect_html(const Inspection *in, Buf *b)
{
    put_header(in, b);
    put_nav(in, b);
    buf_puts(b, "<div class=\"steps\">\n");
    for (size_t i = 0; i < in->steps.n; i++) {
        put_step(in, i, b);
    }
    buf_puts(b, "</div></div>\n");
    put_ledger(in, b);
    put_cost(in, b);
    put_graph(in, b);
    buf_puts(b, page_script);
    buf_puts(b, "<footer></footer></body></html>\n");
}
