/* compilation.c - from argv to "spec read, rules loaded, passes ready": what all commands share. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/base/file.h"
#include "compiler/base/paths.h"
#include "compiler/build.h"
#include "compiler/chips.h"
#include "compiler/device.h"
#include "compiler/driver.h"

static const Span nowhere = {0, 0};

/* ---- options as overrides of the spec -------------------------------------------------------- */

static void override(Ctx *ctx, Overrides *list, const char *key, const char *value)
{
    SpecOverride x = {key, value};
    vec_push(ctx->arena, list, x);
}

/* int4z/128 -> weights int4, zero points, group 128. */
static bool override_weights(Ctx *ctx, Overrides *list, const char *word)
{
    const char *slash = strchr(word, '/');
    size_t n = slash ? (size_t)(slash - word) : strlen(word);
    bool zeros = n == 5 && strncmp(word, "int4z", 5) == 0;
    const char *kind = arena_strndup(ctx->arena, word, zeros ? 4 : n);
    bool known = strcmp(kind, "none") == 0 || strcmp(kind, "int8") == 0 ||
                 strcmp(kind, "int4") == 0 || strcmp(kind, "fp8") == 0;
    if (!known) {
        return diag_error(ctx->diag, nowhere,
                          "--quant takes none, int8, int4, int4z or fp8, with /GROUP, +a8, +kv8, "
                          "+afp8, +kvfp8, +head behind it; not '%s'",
                          word);
    }
    override(ctx, list, "quant.weights", kind);
    override(ctx, list, "quant.zero_points", zeros ? "true" : "false");
    if (slash) {
        override(ctx, list, "quant.group", slash + 1);
    }
    return true;
}

typedef struct QuantPart {
    const char *word, *key, *value;
} QuantPart;

static const QuantPart *find_part(const char *word)
{
    static const QuantPart parts[] = {
        {"a8", "quant.activations", "int8"},  {"kv8", "quant.kv_cache", "int8"},
        {"afp8", "quant.activations", "fp8"}, {"kvfp8", "quant.kv_cache", "fp8"},
        {"head", "quant.head", "true"},
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (strcmp(parts[i].word, word) == 0) {
            return &parts[i];
        }
    }
    return NULL;
}

static bool override_quant(Ctx *ctx, Overrides *list, const char *scheme)
{
    bool ok = true;
    for (bool first = true; ok; first = false) {
        size_t n = strcspn(scheme, "+");
        const char *word = arena_strndup(ctx->arena, scheme, n);
        const QuantPart *part = find_part(word);
        if (part != NULL) {
            override(ctx, list, part->key, part->value);
        } else if (first) {
            ok = override_weights(ctx, list, word);
        } else {
            ok = diag_error(ctx->diag, nowhere,
                            "--quant: unknown part '+%s': a8, kv8, afp8, kvfp8 or head", word);
        }
        if (!scheme[n]) {
            break;
        }
        scheme += n + 1;
    }
    return ok;
}

bool compilation_overrides(Ctx *ctx, const Options *o, Overrides *out)
{
    if (o->context) {
        override(ctx, out, "context", arena_printf(ctx->arena, "%lld", (long long)o->context));
    }
    if (o->dtype) {
        override(ctx, out, "dtype", o->dtype);
    }
    for (size_t i = 0; i < o->set.n; i++) {
        const char *eq = strchr(o->set.data[i], '=');
        if (!eq) {
            return diag_error(ctx->diag, nowhere, "--set takes KEY=VALUE, not '%s'",
                              o->set.data[i]);
        }
        size_t n = (size_t)(eq - o->set.data[i]);
        override(ctx, out, arena_strndup(ctx->arena, o->set.data[i], n), eq + 1);
    }
    return !o->quant || override_quant(ctx, out, o->quant);
}

/* ---- rules ----------------------------------------------------------------------------------- */

static bool add_rule_file(RuleSet *set, Ctx *ctx, const char *path, const char *shown)
{
    size_t n = 0;
    const char *text = file_read(ctx->arena, ctx->diag, path, &n);
    return text && ruleset_add(set, shown, text, n);
}

static const char *data_dir(Ctx *ctx)
{
    const char *dir = paths_data_dir(ctx->arena);
    if (!dir) {
        diag_env_error(ctx->diag, "cannot find sinter's own files (templates, rules): install it "
                                  "again, or point $SINTER_DATA at its source folder");
    }
    return dir;
}

static int is_rule_file(const struct dirent *e)
{
    size_t n = strlen(e->d_name);
    return n > 6 && strcmp(e->d_name + n - 6, ".rules") == 0;
}

/* ir/rules/ *.rules by name. Which pass runs a rule stands in pass.c, so their order does not
 * matter. */
static bool add_shipped_rules(RuleSet *set, Ctx *ctx)
{
    const char *data = data_dir(ctx);
    struct dirent **entry = NULL;
    int n = data ? scandir(path_join(ctx->arena, data, "ir/rules"), &entry, is_rule_file, alphasort)
                 : -1;
    bool ok = n > 0;
    for (int i = 0; i < n; i++) {
        const char *shown = arena_printf(ctx->arena, "ir/rules/%s", entry[i]->d_name);
        ok = ok && add_rule_file(set, ctx, path_join(ctx->arena, data, shown), shown);
        free(entry[i]);
    }
    free(entry);
    return ok ||
           (data && n <= 0 ? diag_env_error(ctx->diag, "there are no rules in %s/ir/rules", data)
                           : false);
}

static bool load_rules(Compilation *c)
{
    RuleSet *set = ruleset_create(c->ctx);
    bool ok = add_shipped_rules(set, c->ctx);
    for (size_t i = 0; ok && i < c->o->rules.n; i++) {
        ok = add_rule_file(set, c->ctx, c->o->rules.data[i], c->o->rules.data[i]);
    }
    c->rules = set;
    return ok;
}

/* ---- what passes may ask --------------------------------------------------------------------- */

static bool known_rule(const Compilation *c, const char *name)
{
    return pass_find(name) || ruleset_find(c->rules, name);
}

static bool check_disabled(const Compilation *c)
{
    for (size_t i = 0; i < c->o->no_rule.n; i++) {
        const char *name = c->o->no_rule.data[i];
        if (!known_rule(c, name)) {
            size_t n = c->rules->rules.n;
            const char **names = ARENA_ARRAY(c->ctx->arena, const char *, n + (size_t)n_passes);
            for (size_t k = 0; k < n; k++) {
                names[k] = rule_name(c->rules->rules.data[k]);
            }
            for (int k = 0; k < n_passes; k++) {
                names[n + (size_t)k] = passes[k].name;
            }
            const char *near = str_nearest(name, names, n + (size_t)n_passes);
            return diag_error(c->ctx->diag, nowhere, "--no-rule: there is no rule or pass '%s'%s%s",
                              name, near ? "; did you mean " : "", near ? near : "");
        }
    }
    return true;
}

static void disable(Compilation *c, const char *name)
{
    TextList list = {0};
    for (int i = 0; i < c->env.n_disabled; i++) {
        vec_push(c->ctx->arena, &list, c->env.disabled[i]);
    }
    vec_push(c->ctx->arena, &list, name);
    c->env.disabled = list.data;
    c->env.n_disabled = (int)list.n;
}

/* all=none: nothing is fused; only what the spec asks for (quantize) and the target needs (layout).
 */
static void disable_all(Compilation *c)
{
    for (size_t i = 0; i < c->rules->rules.n; i++) {
        disable(c, rule_name(c->rules->rules.data[i]));
    }
    disable(c, "merge_matmul");
    c->env.mlp = MLP_NONE;
    c->env.norm = NORM_NONE;
}

static bool set_fusion(Compilation *c, const char *text)
{
    static const struct {
        const char *text;
        int mlp, norm;
    } rows[] = {
        {"mlp=auto", MLP_AUTO, -1},
        {"mlp=none", MLP_NONE, -1},
        {"mlp=elementwise", MLP_ELEMENTWISE, -1},
        {"mlp=epilogue", MLP_EPILOGUE, -1},
        {"norm=auto", -1, NORM_AUTO},
        {"norm=none", -1, NORM_NONE},
        {"norm=fold", -1, NORM_FOLD},
    };
    if (strcmp(text, "all=none") == 0) {
        disable_all(c);
        return true;
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(text, rows[i].text) == 0) {
            c->env.mlp = rows[i].mlp >= 0 ? (MlpFusion)rows[i].mlp : c->env.mlp;
            c->env.norm = rows[i].norm >= 0 ? (NormFusion)rows[i].norm : c->env.norm;
            return true;
        }
    }
    return diag_error(c->ctx->diag, nowhere,
                      "--fusion takes mlp=none|elementwise|epilogue|auto, norm=none|fold|auto or "
                      "all=none, not '%s'",
                      text);
}

static bool fill_env(Compilation *c)
{
    const Options *o = c->o;
    c->ledger.arena = c->ctx->arena;
    c->env = (PassEnv){
        .ctx = c->ctx,
        .rules = c->rules,
        .disabled = o->no_rule.data,
        .n_disabled = (int)o->no_rule.n,
        .device = c->device,
        .kv_len = o->kv_len ? o->kv_len : 128,
        .block = c->target->block,
        .whole_tiles = c->target->whole_tiles,
        .pair_heads = c->target->pair_heads,
        .norm_prologue = c->target->norm_prologue,
        .ledger = &c->ledger,
    };
    memcpy(c->env.tile, c->target->tile, sizeof c->env.tile);
    if (c->spec) {
        c->env.quant = spec_quant(c->spec);
    }
    bool ok = check_disabled(c);
    for (size_t i = 0; ok && i < o->fusion.n; i++) {
        ok = set_fusion(c, o->fusion.data[i]);
    }
    return ok;
}

static bool choose_gpus(Compilation *c)
{
    const Options *o = c->o;
    if (o->jit && o->arch) {
        return diag_error(c->ctx->diag, nowhere,
                          "--jit compiles for the GPU that is there: leave out --arch");
    }
    const char *chips = o->arch ? o->arch : c->spec ? chips_default(c->spec) : NULL;
    c->target = target_cuda(c->ctx, chips);
    return c->target && (!c->spec || chips_check(c->ctx, c->spec, c->target));
}

static bool choose_target(Compilation *c)
{
    const char *target = c->o->target ? c->o->target : "c";
    if (strcmp(target, "cuda") == 0) {
        return choose_gpus(c);
    }
    if (strcmp(target, "c") != 0) {
        return diag_error(c->ctx->diag, nowhere, "there is no target '%s': c or cuda", target);
    }
    if (c->o->arch) {
        return diag_error(c->ctx->diag, nowhere,
                          "--arch is for --target cuda; the C target takes "
                          "--cpu");
    }
    if (c->o->jit) {
        return diag_error(c->ctx->diag, nowhere, "--jit is for --target cuda");
    }
    c->target = target_c(c->ctx, c->o->cpu ? c->o->cpu : "native");
    return c->target != NULL;
}

static bool choose_device(Compilation *c)
{
    c->device = device_load(c->ctx, c->o->device ? c->o->device : c->target->gpu ? "h200" : "cpu");
    if (c->device != NULL && !c->target->gpu) {
        c->target = target_for_device(c->ctx, c->target, c->device);
    }
    return c->device != NULL;
}

bool compilation_open_with(Compilation *c, Ctx *ctx, const Options *o, const Overrides *overrides)
{
    *c = (Compilation){.ctx = ctx, .o = o};
    c->spec = spec_load(ctx, o->operand, overrides->data, (int)overrides->n);
    return c->spec && choose_target(c) && choose_device(c) && load_rules(c) && fill_env(c);
}

bool compilation_open(Compilation *c, Ctx *ctx, const Options *o)
{
    Overrides overrides = {0};
    return compilation_overrides(ctx, o, &overrides) &&
           compilation_open_with(c, ctx, o, &overrides);
}

bool compilation_open_ir(Compilation *c, Ctx *ctx, const Options *o)
{
    *c = (Compilation){.ctx = ctx, .o = o};
    return choose_target(c) && choose_device(c) && load_rules(c) && fill_env(c);
}

Module *compilation_module(Compilation *c, Phase phase, int tokens)
{
    Module *m = build_module(c->ctx, c->spec, phase, tokens);
    return m && pass_run_auto(&m, &c->env) ? m : NULL;
}
