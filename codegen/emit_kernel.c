/* emit_kernel.c - one kernel as text: its template, expanded with the kernel's parameters
 * (emit_params.c) and variables (emit_setup.c). */
#include <string.h>

#include "codegen/emit_setup.h"

static const struct Setup {
    const char *template;
    void (*setup)(KernelText *k);
} setups[] = {
    {"rmsnorm", emit_setup_rmsnorm},
    {"layernorm", emit_setup_layernorm},
    {"row_rms", emit_setup_rmsnorm},
    {"rmsnorm_quant", emit_setup_rmsnorm_quant},
    {"quantize", emit_setup_rmsnorm_quant},
    {"dequant", emit_setup_dequant},
    {"embed", emit_setup_embed},
    {"matmul", emit_setup_matmul},
    {"matmul_qkv", emit_setup_qkv},
    {"map", emit_setup_map},
    {"rope_angles", emit_setup_rope_angles},
    {"rope", emit_setup_rope},
    {"kv_append", emit_setup_kv_append},
    {"qkv_append", emit_setup_qkv_append},
    {"attn_scores", emit_setup_attn_scores},
    {"softmax", emit_setup_softmax},
    {"attn_mix", emit_setup_attn_mix},
    {"attention", emit_setup_attention},
    {"attention_tile", emit_setup_attention},
    {"copy", emit_setup_copy},
};

static void setup(KernelText *k)
{
    for (size_t i = 0; i < sizeof setups / sizeof setups[0]; i++) {
        if (strcmp(setups[i].template, k->kernel->config.template) == 0) {
            setups[i].setup(k);
            return;
        }
    }
    BUG("template %s has no setup", k->kernel->config.template);
}

/* "float *out /\* (1, 4096) *\/, const float *x ..." behind "static void NAME(". */
static Str param_list(const KernelText *k)
{
    Ctx *ctx = k->emit->ctx;
    Str *item = ARENA_ARRAY(ctx->arena, Str, k->params.n);
    for (size_t i = 0; i < k->params.n; i++) {
        const KernelParam *p = &k->params.data[i];
        item[i] = str_internf(ctx->strings, "%s%s%s%s%s", p->type, p->name,
                              p->shape != NULL ? " /* " : "", p->shape != NULL ? p->shape : "",
                              p->shape != NULL ? " */" : "");
    }
    Buf b = buf_create(ctx->arena);
    bool gpu = k->emit->plan->target->gpu;
    emit_wrapped(&b, "", item, k->params.n,
                 (int)(strlen(gpu ? "void (" : "static void (") + strlen(k->symbol)), ")");
    return str_intern_n(ctx->strings, b.data, b.len - 1); /* the template closes the list */
}

bool emit_kernel_text(KernelText *k, Buf *out)
{
    Ctx *ctx = k->emit->ctx;
    k->lanes = k->emit->plan->target->isa->lanes;
    k->op = k->kernel->op != 0 ? &k->pf->func->op[k->kernel->op] : NULL;
    k->params.n = 0;
    bool gpu = k->emit->plan->target->gpu;
    k->env = (TmplEnv){.ctx = ctx, .user = k, .call = gpu ? emit_cuda_call : emit_host_call};
    memset(k->leaf_param, 0, sizeof k->leaf_param);
    setup(k);
    emit_add_threads(k);
    tmpl_set_int(&k->env, "LANES", k->lanes);
    tmpl_set_string(&k->env, "name", k->symbol);
    tmpl_set_string(&k->env, "params", param_list(k));
    if (k->expr != NULL || k->kernel->config.dot != NULL) {
        tmpl_set_string(&k->env, "value", emit_value(k));
        tmpl_set_string(&k->env, "leaves", emit_leaves(k));
    }
    if (gpu) {
        emit_cuda_variables(k);
    }
    const KernelConfig *cfg = &k->kernel->config;
    const Tmpl *t = emit_template(k->emit, cfg->variant != NULL ? cfg->variant : cfg->template);
    return t != NULL && tmpl_expand(t, &k->env, out);
}
