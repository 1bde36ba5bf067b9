/* inspect_html.c - one self-contained page: the passes as steps on the left, the graph's text with
 * what changed highlighted in the middle, ledger and cost below. No network, little script. */
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
    ".panes{display:grid;grid-template-columns:330px 1fr;border-bottom:1px solid var(--line)}\n"
    "nav{border-right:1px solid var(--line);padding:8px 0;max-height:640px;overflow:auto}\n"
    "nav button{display:flex;width:100%;justify-content:space-between;border:0;background:none;"
    "padding:5px 20px;font:inherit;text-align:left;cursor:pointer}\n"
    "nav button.same{color:#8c959f}nav button[aria-current=true]{background:var(--sel);"
    "font-weight:600}\n"
    "nav small{color:var(--dim);font-weight:400}\n"
    ".steps{overflow:auto;max-height:656px}.step{display:none;padding:10px 20px}"
    ".step.on{display:block}\n"
    "pre{font:12px/1.5 ui-monospace,monospace;margin:0;white-space:pre}\n"
    ".add{background:var(--add)}.del{background:var(--del);color:#82071e}"
    ".hide-del .del{display:none}\n"
    ".line{display:block;padding:0 4px;min-height:1.5em}\n"
    "table{border-collapse:collapse;margin:0 20px;font-size:13px}\n"
    "td,th{padding:4px 10px;border-bottom:1px solid var(--line);text-align:left}\n"
    "td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}\n"
    "tr.no td{color:var(--dim)}.yes{color:#1a7f37;font-weight:600}\n"
    ".box{margin:0 20px;padding:12px;border:1px solid "
    "var(--line);border-radius:6px;overflow:auto}\n"
    ".box svg{max-width:none;height:auto}label{color:var(--dim);font-size:13px}\n"
    "footer{height:40px}\n</style>\n";

static const char page_script[] =
    "<script>\nconst buttons=[...document.querySelectorAll('nav button')],"
    "steps=[...document.querySelectorAll('.step')];\n"
    "function show(i){buttons.forEach((b,k)=>b.setAttribute('aria-current',k===i));"
    "steps.forEach((s,k)=>s.classList.toggle('on',k===i));at=i}\nlet at=0;\n"
    "buttons.forEach((b,i)=>b.onclick=()=>show(i));\n"
    "document.addEventListener('keydown',e=>{if(e.key==='ArrowDown'||e.key==='j')"
    "show(Math.min(at+1,steps.length-1));else if(e.key==='ArrowUp'||e.key==='k')"
    "show(Math.max(at-1,0));else return;e.preventDefault();"
    "buttons[at].scrollIntoView({block:'nearest'})});\n"
    "document.querySelector('#removed').onchange=e=>"
    "document.querySelector('.steps').classList.toggle('hide-del',!e.target.checked);\n"
    "show(buttons.length-1);\n</script>\n";

static void put_header(const Inspection *in, Buf *b)
{
    const Module *m = in->module;
    const Cost *first = &in->steps.data[0].cost, *last = &in->steps.data[in->steps.n - 1].cost;
    buf_puts(b, page_head);
    buf_printf(b, "<title>%s: passes</title></head><body>\n<header><h1>", m->name);
    buf_put_xml(b, m->name);
    buf_printf(b, "</h1><p>%s, %d token%s a step, %lld positions in the cache",
               m->phase == PHASE_DECODE ? "decode" : "prefill", m->tokens,
               m->tokens == 1 ? "" : "s", (long long)in->kv_len);
    buf_printf(b,
               " &middot; kernels %d &rarr; %d &middot; activations and caches %.1f &rarr; %.1f kB "
               "&middot; weights %.3f &rarr; %.3f MB a step</p></header>\n",
               first->launches, last->launches, (first->read_bytes + first->write_bytes) / 1e3,
               (last->read_bytes + last->write_bytes) / 1e3, first->weight_bytes / 1e6,
               last->weight_bytes / 1e6);
}

static bool step_same(const Inspection *in, size_t i)
{
    return i > 0 && strcmp(in->steps.data[i].text, in->steps.data[i - 1].text) == 0;
}

static void put_nav(const Inspection *in, Buf *b)
{
    buf_puts(b, "<div class=\"panes\"><nav>\n");
    for (size_t i = 0; i < in->steps.n; i++) {
        const InspectStep *s = &in->steps.data[i];
        buf_printf(b, "<button%s><span>%s</span><small>", step_same(in, i) ? " class=\"same\"" : "",
                   s->pass);
        if (i == 0) {
            buf_printf(b, "%d kernels", s->cost.launches);
        } else if (step_same(in, i)) {
            buf_puts(b, "no change");
        } else {
            buf_printf(b, "%d change%s, %d kernels", s->changes, s->changes == 1 ? "" : "s",
                       s->cost.launches);
        }
        buf_puts(b, "</small></button>\n");
    }
    buf_puts(b, "</nav>\n");
}

static void put_step(const Inspection *in, size_t i, Buf *b)
{
    const char *before = i ? in->steps.data[i - 1].text : in->steps.data[0].text;
    Diff d = text_diff(in->ctx->arena, before, in->steps.data[i].text);
    buf_puts(b, "<div class=\"step\"><pre>");
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

static void put_ledger_row(const LedgerEntry *e, Buf *b)
{
    double before = e->before.weight_bytes + e->before.read_bytes + e->before.write_bytes;
    double after = e->after.weight_bytes + e->after.read_bytes + e->after.write_bytes;
    buf_printf(b, "<tr%s><td>%s</td><td>@%s%s%s</td><td>", e->fired ? "" : " class=\"no\"", e->rule,
               e->func, e->site ? " %" : "", e->site ? e->site : "");
    if (e->fired) {
        buf_puts(b, "<span class=\"yes\">fired</span>");
        buf_printf(b, "</td><td class=\"n\">%d &rarr; %d</td><td class=\"n\">%.0f</td>",
                   e->before.launches, e->after.launches, before - after);
        buf_printf(b, "<td class=\"n\">%.2f</td></tr>\n",
                   (e->seconds_before - e->seconds_after) * 1e6);
    } else {
        buf_put_xml(b, e->reason ? e->reason : "");
        buf_puts(b, "</td><td></td><td></td><td></td></tr>\n");
    }
}

static void put_ledger(const Inspection *in, Buf *b)
{
    buf_puts(b,
             "<h2>Ledger: what was fused, what was not, why</h2>\n<table><tr><th>rule</th>"
             "<th>site</th><th>outcome</th><th class=\"n\">kernels</th>"
             "<th class=\"n\">bytes saved a call</th><th class=\"n\">&micro;s saved</th></tr>\n");
    for (size_t i = 0; in->ledger && i < in->ledger->entries.n; i++) {
        put_ledger_row(&in->ledger->entries.data[i], b);
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
        buf_puts(b, "<h2>Graph after all passes</h2>\n<div class=\"box\">");
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
    buf_puts(
        b, "</div></div>\n<h2><label><input type=\"checkbox\" id=\"removed\" checked> show removed "
           "lines</label></h2>\n");
    put_ledger(in, b);
    put_cost(in, b);
    put_graph(in, b);
    buf_puts(b, page_script);
    buf_puts(b, "<footer></footer></body></html>\n");
}
