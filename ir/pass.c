/* pass.c - the pass table, and the runner: rules to a fixpoint, strategies, time, verify.
 *
 * The table below is the order of docs/pipeline.md and is run from top to bottom. */
#include "ir/pass.h"

#include <string.h>
#include <time.h>

const Pass passes[] = {
    {.name = "canonicalise", .summary = "one way to write each thing", .run = pass_canonicalise},
    {.name = "cse", .summary = "equal operators are computed once", .run = pass_cse},
    {.name = "dce", .summary = "unused operators and weights go", .run = pass_dce},
    /* before quantize: the codes must be those of the folded weights */
    {.name = "norm_fold",
     .summary = "a norm's gain goes into the next weights, 1/rms into their epilogue",
     .rules = "norm_gain norm_row_scale"},
    /* every consumer got a copy of the norm of its own: merge_matmul wants equal operands */
    {.name = "cse", .summary = "equal operators are computed once", .run = pass_cse},
    {.name = "quantize",
     .summary = "the spec's quantisation scheme, as operators on weights and activations",
     .lossy = true,
     .run = pass_quantize},
    /* per-channel and per-token scales commute with the sum: afterwards codes are plain operands */
    {.name = "dequant_fold",
     .summary = "scales per channel and per token move into the epilogue",
     .rules = "dequant_channel dequant_token"},
    {.name = "epilogue",
     .summary = "biases are added to the accumulators",
     .rules = "bias_epilogue"},
    /* before merge_matmul: gate and up are merged here when the epilogue strategy takes them */
    {.name = "glu",
     .summary = "act(gate) * up on the accumulators, or in one kernel",
     .rules = "glu_epilogue glu_elementwise"},
    {.name = "merge_matmul",
     .summary = "matmuls that share an input become one",
     .run = pass_merge_matmul},
    /* after merge_matmul: equal epilogues are a condition there */
    {.name = "residual",
     .summary = "activations and residuals are applied to the accumulators",
     .rules = "activation_epilogue residual_epilogue"},
    {.name = "dequant_group",
     .summary = "scales per group go into the main loop of the matmul",
     .rules = "concat_dequant interleave_dequant dequant_group dequant_embed"},
    {.name = "quant_fuse",
     .summary = "a norm quantises its own result",
     .rules = "rmsnorm_quantize"},
    {.name = "attention",
     .summary = "one pass over the cache; q, k, v with norm, RoPE and append in one kernel",
     .rules = "kv_dequant attention_fusion heads_append qkv_rope_append qkv_quant_append"},
    /* after every rule that looks for a norm */
    {.name = "norm_prologue",
     .summary = "a decode matmul normalises x while it reads it, where the target can",
     .run = pass_norm_prologue},
    {.name = "user_rules", .summary = "rules from --rules that no pass above names", .rules = "*"},
    /* last of the rewrites: nothing may look at a weight's rows after it */
    {.name = "layout",
     .summary = "weights are stored as the kernels read them",
     .run = pass_layout},
    {.name = "canonicalise", .summary = "one way to write each thing", .run = pass_canonicalise},
    {.name = "cse", .summary = "equal operators are computed once", .run = pass_cse},
    {.name = "dce", .summary = "unused operators and weights go", .run = pass_dce},
};
const int n_passes = sizeof passes / sizeof passes[0];

enum { MAX_ROUNDS = 1000 }; /* of a rule group: more means that rules undo each other */

const Pass *pass_find(const char *name)
{
    for (int i = 0; i < n_passes; i++) {
        if (strcmp(passes[i].name, name) == 0) {
            return &passes[i];
        }
    }
    return NULL;
}

bool pass_disabled(const PassEnv *env, const char *name)
{
    for (int i = 0; i < env->n_disabled; i++) {
        if (strcmp(env->disabled[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- ledger ---------------------------------------------------------------------------------- */

static double seconds_of(const PassEnv *env, const Func *f)
{
    return env->device == NULL ? 0 : cost_func_seconds(f, env->kv_len, env->device);
}

PassSite pass_site(const PassEnv *env, const Func *f, const char *pass, const char *rule, Str site)
{
    PassSite s = {.entry = {.func = f->name, .site = site}};
    if (env->ledger != NULL) {
        s.entry.pass = str_intern(env->ctx->strings, pass);
        s.entry.rule = str_intern(env->ctx->strings, rule);
        s.entry.before = cost_func(f, env->kv_len);
        s.entry.seconds_before = seconds_of(env, f);
    }
    return s;
}

void pass_fired(PassEnv *env, const Func *f, const PassSite *site)
{
    if (env->ledger == NULL) {
        return;
    }
    LedgerEntry e = site->entry;
    e.fired = true;
    e.after = cost_func(f, env->kv_len);
    e.seconds_after = seconds_of(env, f);
    ledger_add(env->ledger, e);
}

void pass_refused(PassEnv *env, const Func *f, const char *pass, const char *rule, Str site,
                  const char *fmt, ...)
{
    if (env->ledger == NULL) {
        return;
    }
    va_list ap;
    va_start(ap, fmt);
    const char *why = arena_vprintf(env->ctx->arena, fmt, ap);
    va_end(ap);
    StrTable *strings = env->ctx->strings;
    ledger_add(env->ledger, (LedgerEntry){.pass = str_intern(strings, pass),
                                          .rule = str_intern(strings, rule),
                                          .func = f->name,
                                          .site = site,
                                          .reason = str_intern(strings, why)});
}

/* ---- strategies ------------------------------------------------------------------------------ */

/* Why a norm's gain should not go into this function's weights; NULL when it should. */
static const char *why_keep_gain(const Func *f, const PassEnv *env)
{
    FOR_EACH_OP(f, id)
    {
        const Op *op = &f->op[id];
        if (op->kind != OP_MATMUL || !f->value[op->in[1]].constant) {
            continue;
        }
        DType t = f->value[op->in[1]].type->dtype;
        if (t != DT_F32 && !pass_will_quantize(f, op, env)) {
            return arena_printf(
                env->ctx->arena,
                "the weights of %%%s stay %s: a folded gain would round them a second "
                "time (norm = auto)",
                f->value[op->out[0]].name, dtype_name(t));
        }
    }
    return NULL;
}

static bool is_norm_rule(const char *rule)
{
    return strcmp(rule, "norm_gain") == 0 || strcmp(rule, "norm_row_scale") == 0;
}

static bool has_gain(const Func *f)
{
    FOR_EACH_OP(f, id)
    {
        if (f->op[id].kind == OP_RMSNORM && f->op[id].in[1] != 0) {
            return true;
        }
    }
    return false;
}

/* Where many rows meet a target that multiplies them as they lie in memory, they lie there
 * normalised: one kernel writes them so, and 1/rms has no place in the epilogues. */
static bool normalises_once(const Func *f, const char *rule, const PassEnv *env)
{
    FOR_EACH_OP(f, id)
    {
        const Op *op = &f->op[id];
        if (op->kind == OP_RMSNORM && f->value[op->out[0]].type->dim[0] > IR_MAX_BATCH) {
            return env->norm_prologue != NULL && strcmp(rule, "norm_row_scale") == 0;
        }
    }
    return false;
}

/* A norm that quantises its result is one kernel; 1/rms apart and a quantisation are two. */
static bool quantises_rows(const Func *f, const PassEnv *env)
{
    FOR_EACH_OP(f, id)
    {
        const Op *op = &f->op[id];
        if (op->kind == OP_MATMUL && pass_will_quantize(f, op, env)) {
            return env->quant.activations != DT_NONE;
        }
    }
    return false;
}

static bool norm_allows(const Func *f, const char *rule, const char *pass, PassEnv *env)
{
    if (env->norm != NORM_NONE && normalises_once(f, rule, env)) {
        pass_refused(env, f, pass, rule, NULL, "many rows are normalised once, by one kernel");
        return false;
    }
    if (env->norm == NORM_FOLD) {
        return true;
    }
    if (env->norm == NORM_NONE) {
        return false;
    }
    if (quantises_rows(f, env)) {
        pass_refused(env, f, pass, rule, NULL, "a norm quantises its rows itself");
        return false;
    }
    const char *why = why_keep_gain(f, env);
    if (why != NULL && has_gain(f)) {
        pass_refused(env, f, pass, rule, NULL, "%s", why);
    }
    return why == NULL;
}

/* mlp = none also keeps activations out of epilogues: it is the plain graph to compare with. */
static bool strategy_allows(const Func *f, const char *rule, const char *pass, PassEnv *env)
{
    if (is_norm_rule(rule)) {
        return norm_allows(f, rule, pass, env);
    }
    bool epilogue = strcmp(rule, "glu_epilogue") == 0;
    bool mlp = epilogue || strcmp(rule, "glu_elementwise") == 0 ||
               strcmp(rule, "activation_epilogue") == 0;
    if (env->mlp == MLP_NONE) {
        return !mlp;
    }
    return !(epilogue && env->mlp == MLP_ELEMENTWISE);
}

/* ---- rules to a fixpoint --------------------------------------------------------------------- */

typedef VEC(const Rule *) RuleList;

static bool has_word(const char *words, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = words; (p = strstr(p, word)) != NULL; p += n) {
        if ((p == words || p[-1] == ' ') && (p[n] == ' ' || p[n] == '\0')) {
            return true;
        }
    }
    return false;
}

static bool is_named(const char *rule)
{
    for (int i = 0; i < n_passes; i++) {
        if (passes[i].rules != NULL && has_word(passes[i].rules, rule)) {
            return true;
        }
    }
    return false;
}

static void add_rule(RuleList *list, const Rule *r, const Func *f, const char *pass, PassEnv *env)
{
    if (r == NULL || pass_disabled(env, rule_name(r))) {
        return;
    }
    if (strategy_allows(f, rule_name(r), pass, env)) {
        vec_push(env->ctx->arena, list, r);
    }
}

/* The rules that a table entry runs on f, in its order. */
static RuleList rules_of(const Func *f, const Pass *p, PassEnv *env)
{
    RuleList list = {0};
    if (env->rules == NULL) {
        return list;
    }
    if (strcmp(p->rules, "*") == 0) {
        for (size_t i = 0; i < env->rules->rules.n; i++) {
            const Rule *r = env->rules->rules.data[i];
            add_rule(&list, is_named(rule_name(r)) ? NULL : r, f, p->name, env);
        }
        return list;
    }
    for (const char *s = p->rules; *s != '\0';) {
        size_t n = strcspn(s, " ");
        const char *name = str_intern_n(env->ctx->strings, s, n);
        add_rule(&list, ruleset_find(env->rules, name), f, p->name, env);
        s += n + strspn(s + n, " ");
    }
    return list;
}

static int run_rules(Func *f, const Pass *p, PassEnv *env)
{
    RuleList list = rules_of(f, p, env);
    Str pass = str_intern(env->ctx->strings, p->name);
    int total = 0;
    for (int round = 0; round < MAX_ROUNDS; round++) {
        int changes = 0;
        for (size_t i = 0; i < list.n; i++) {
            int n = rule_apply(f, list.data[i], env, pass);
            if (n < 0) {
                return -1;
            }
            changes += n;
        }
        total += changes;
        if (changes == 0) {
            return total;
        }
    }
    diag_error(env->ctx->diag, f->at,
               "the rules of %s undo each other in @%s: no end after %d rounds", p->name, f->name,
               MAX_ROUNDS);
    return -1;
}

/* ---- the runner ------------------------------------------------------------------------------ */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int run_on_func(Func *f, const Pass *p, PassEnv *env)
{
    return p->run != NULL ? p->run(f, env) : run_rules(f, p, env);
}

static bool run_pass(Module *m, const Pass *p, PassEnv *env)
{
    int changes = 0;
    double start = now();
    for (size_t i = 0; i < m->funcs.n && !pass_disabled(env, p->name); i++) {
        int n = run_on_func(m->funcs.data[i], p, env);
        if (n < 0) {
            return false;
        }
        changes += n;
    }
    double seconds = now() - start;
    if (changes > 0 && !ir_verify(m, p->name)) {
        BUG("%s broke the graph:\n%s", p->name, diag_text(env->ctx->diag));
    }
    if (env->after != NULL) {
        env->after(env->user, m, p->name, changes, seconds);
    }
    return true;
}

static bool unknown_pass(PassEnv *env, const char *name)
{
    const char *names[sizeof passes / sizeof passes[0]];
    for (int i = 0; i < n_passes; i++) {
        names[i] = passes[i].name;
    }
    const char *near = str_nearest(name, names, (size_t)n_passes);
    return diag_error(env->ctx->diag, (Span){0}, "there is no pass or rule %s%s%s", name,
                      near != NULL ? "; did you mean " : "", near != NULL ? near : "");
}

/* A name from the command line: a pass, or a single rule. */
static bool run_named(Module *m, PassEnv *env, Str name)
{
    const Pass *p = pass_find(name);
    if (p != NULL) {
        return run_pass(m, p, env);
    }
    if (env->rules == NULL || ruleset_find(env->rules, name) == NULL) {
        return unknown_pass(env, name);
    }
    Pass one = {.name = name, .summary = "one rule", .rules = name};
    return run_pass(m, &one, env);
}

static bool run_list(Module *m, PassEnv *env, const char *list, const char *stop_after)
{
    for (const char *s = list; *s != '\0';) {
        size_t n = strcspn(s, ",");
        Str name = str_intern_n(env->ctx->strings, s, n);
        if (n > 0 && !run_named(m, env, name)) {
            return false;
        }
        if (stop_after != NULL && strcmp(name, stop_after) == 0) {
            return true;
        }
        s += n + strspn(s + n, ",");
    }
    return true;
}

bool pass_run(Module *m, PassEnv *env, const char *list, const char *stop_after)
{
    bool is_rule = list != NULL && stop_after != NULL && env->rules != NULL &&
                   ruleset_find(env->rules, stop_after) != NULL;
    if (stop_after != NULL && pass_find(stop_after) == NULL && !is_rule) {
        return unknown_pass(env, stop_after);
    }
    if (list != NULL) {
        return run_list(m, env, list, stop_after);
    }
    for (int i = 0; i < n_passes; i++) {
        if (!run_pass(m, &passes[i], env)) {
            return false;
        }
        if (stop_after != NULL && strcmp(passes[i].name, stop_after) == 0) {
            break;
        }
    }
    return true;
}

/* ---- mlp = auto ------------------------------------------------------------------------------ */

/* Seconds (bytes without a device) of the module under one strategy; negative after a diagnostic.
 */
static double try_strategy(const Module *m, const PassEnv *env, MlpFusion mlp)
{
    Module *copy = ir_clone(m);
    PassEnv quiet = *env;
    quiet.mlp = mlp;
    quiet.ledger = NULL;
    quiet.after = NULL;
    if (!pass_run(copy, &quiet, NULL, NULL)) {
        return -1;
    }
    if (env->device != NULL) {
        return cost_module_seconds(copy, env->kv_len, env->device);
    }
    Cost c = cost_module(copy, env->kv_len);
    return cost_bytes(&c);
}

/* The first function that multiplies two activations, as act(gate) * up does; NULL when none does.
 */
static const Func *find_glu(const Module *m)
{
    for (size_t i = 0; i < m->funcs.n; i++) {
        const Func *f = m->funcs.data[i];
        FOR_EACH_OP(f, id)
        {
            const Op *op = &f->op[id];
            if (op->kind == OP_MUL && !f->value[op->in[0]].constant &&
                !f->value[op->in[1]].constant) {
                return f;
            }
        }
    }
    return NULL;
}

static void say_strategy(PassEnv *env, const Func *f, double epilogue, double elementwise)
{
    bool timed = env->device != NULL;
    double unit = timed ? 1e6 : 1e-6;
    bool first = epilogue <= elementwise;
    pass_refused(env, f, "glu", first ? "glu_elementwise" : "glu_epilogue", NULL,
                 "mlp = auto takes %s: %.3f %s a step, %s would be %.3f",
                 first ? "epilogue" : "elementwise", (first ? epilogue : elementwise) * unit,
                 timed ? "us" : "MB", first ? "elementwise" : "epilogue",
                 (first ? elementwise : epilogue) * unit);
}

bool pass_run_auto(Module **m, PassEnv *env)
{
    const Func *glu = env->mlp == MLP_AUTO ? find_glu(*m) : NULL;
    if (glu != NULL) {
        double epilogue = try_strategy(*m, env, MLP_EPILOGUE);
        double elementwise = epilogue < 0 ? -1 : try_strategy(*m, env, MLP_ELEMENTWISE);
        if (elementwise < 0) {
            return false;
        }
        say_strategy(env, glu, epilogue, elementwise);
        env->mlp = epilogue <= elementwise ? MLP_EPILOGUE : MLP_ELEMENTWISE;
    }
    return pass_run(*m, env, NULL, NULL);
}
