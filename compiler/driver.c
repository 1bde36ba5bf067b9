/* driver.c - the whole compilation as one readable list of calls.
 *
 *   spec -> modules (build) -> passes -> plan -> sources -> binary
 *                                          `-> packed weights
 *
 * Each command is one function; what they share is in compilation.c. */
#include "compiler/driver.h"

#include <stdio.h>
#include <string.h>

#include "compiler/base/file.h"
#include "compiler/build.h"
#include "compiler/cache.h"
#include "compiler/device.h"
#include "compiler/doctor.h"
#include "compiler/import_hf.h"
#include "compiler/inspect.h"
#include "compiler/program.h"
#include "ir/ops_help.h"

static const Span nowhere = {0, 0};

static bool print(const Buf *b)
{
    fwrite(b->data, 1, b->len, stdout);
    return true;
}

/* To the file of --output, or to stdout. */
static bool deliver(Ctx *ctx, const Options *o, const Buf *b)
{
    return o->output ? file_write(ctx->diag, o->output, b->data, b->len) : print(b);
}

/* ---- spec ------------------------------------------------------------------------------------ */

static bool run_spec(Ctx *ctx, const Options *o)
{
    Buf b = buf_create(ctx->arena);
    if (o->help_keys || o->markdown) {
        spec_help_print(&b, o->markdown);
        return print(&b);
    }
    if (!o->operand) {
        return diag_error(ctx->diag, nowhere, "'sinter spec' needs a spec or --help-keys");
    }
    Overrides overrides = {0};
    if (!compilation_overrides(ctx, o, &overrides)) {
        return false;
    }
    const ModelSpec *spec = spec_load(ctx, o->operand, overrides.data, (int)overrides.n);
    if (!spec || !build_check(ctx, spec)) {
        return false;
    }
    if (!o->check) {
        spec_write(&b, spec);
        print(&b);
    }
    return true;
}

/* ---- opt ------------------------------------------------------------------------------------- */

static bool run_opt(Ctx *ctx, const Options *o)
{
    Compilation c;
    size_t n = 0;
    Buf b = buf_create(ctx->arena);
    if (o->help_ops || o->markdown) {
        ops_help_print(&b, o->markdown);
        return print(&b);
    }
    if (!o->operand) {
        return diag_error(ctx->diag, nowhere, "'sinter opt' needs an IR file or --help-ops");
    }
    const char *text = file_read(ctx->arena, ctx->diag, o->operand, &n);
    if (!text || !compilation_open_ir(&c, ctx, o)) {
        return false;
    }
    Module *m = ir_parse(ctx, o->operand, text, n);
    const char *list = o->passes && strcmp(o->passes, "all") == 0 ? NULL : o->passes;
    Inspection in = {.ctx = ctx, .kv_len = c.env.kv_len};
    c.env.after = inspect_record;
    c.env.user = &in;
    if (!m || (o->passes && !pass_run(m, &c.env, list, o->stop_after)) ||
        !inspect_dump(&in, o, o->output ? o->output : ".")) {
        return false;
    }
    if (o->ledger) {
        ledger_print(&b, &c.ledger);
    } else if (!o->time_passes) {
        ir_print_module(&b, m);
    }
    if (o->time_passes) {
        inspect_print_times(&in, &b);
    }
    return print(&b);
}

/* ---- inspect --------------------------------------------------------------------------------- */

static int tokens_of(const Options *o, Phase phase)
{
    return o->tokens ? (int)o->tokens : phase == PHASE_PREFILL ? 512 : 1;
}

static bool phase_of(Ctx *ctx, const Options *o, Phase *phase)
{
    *phase = o->phase && strcmp(o->phase, "prefill") == 0 ? PHASE_PREFILL : PHASE_DECODE;
    bool known = !o->phase || *phase == PHASE_PREFILL || strcmp(o->phase, "decode") == 0;
    if (!known) {
        return diag_error(ctx->diag, nowhere, "--phase is decode or prefill, not '%s'", o->phase);
    }
    if (*phase == PHASE_DECODE && tokens_of(o, *phase) > IR_MAX_BATCH) {
        return diag_error(ctx->diag, nowhere,
                          "decode takes 1 to %d sequences (--tokens %lld); more tokens at once are "
                          "--phase prefill",
                          IR_MAX_BATCH, (long long)o->tokens);
    }
    return true;
}

/* What each MLP strategy would move between gate/up and down, whatever strategy is in force. */
static const char *compare_mlp(const Compilation *c, Phase phase, int tokens)
{
    static const struct {
        MlpFusion mlp;
        const char *name;
    } rows[] = {{MLP_NONE, "none"}, {MLP_ELEMENTWISE, "elementwise"}, {MLP_EPILOGUE, "epilogue"}};
    Buf b = buf_create(c->ctx->arena);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        PassEnv env = c->env;
        env.mlp = rows[i].mlp;
        env.ledger = NULL;
        env.after = NULL;
        Module *m = build_module(c->ctx, c->spec, phase, tokens);
        if (!m || !pass_run(m, &env, NULL, NULL)) {
            return NULL;
        }
        for (size_t k = 0; k < m->funcs.n; k++) {
            MlpTraffic t = mlp_traffic(m->funcs.data[k]);
            if (t.n) {
                mlp_traffic_print(&b, rows[i].name, &t);
            }
        }
    }
    return b.len ? b.data : NULL;
}

static const char *launch_words(Ctx *ctx, const StepPlan *step, Str chain)
{
    return step ? "one kernel" : arena_printf(ctx->arena, "a chain of kernels: %s", chain);
}

/* How a decode step would be launched on a GPU; NULL for any other. */
static const char *decode_words(Ctx *ctx, const Target *target, Module *m, const StepPlan **step)
{
    if (!target->gpu || m->phase != PHASE_DECODE) {
        return NULL;
    }
    Plan *plan = plan_build(ctx, target, &m, 1);
    if (plan && m->tokens > 1) {
        step_plan_batch(plan);
        return launch_words(ctx, plan->batch, plan->batch_chain);
    }
    if (!plan || !step_plan(plan, DECODE_AUTO)) {
        return NULL;
    }
    *step = plan->step && !plan->step->mlp ? plan->step : NULL; /* whose cost there is a table of */
    return launch_words(ctx, plan->step, plan->chain);
}

static bool run_inspect(Ctx *ctx, const Options *o)
{
    Compilation c;
    Phase phase;
    if (!phase_of(ctx, o, &phase) || !compilation_open(&c, ctx, o)) {
        return false;
    }
    int tokens = tokens_of(o, phase);
    Inspection in = {.ctx = ctx,
                     .spec_path = o->operand,
                     .device = c.device,
                     .kv_len = c.env.kv_len,
                     .ledger = &c.ledger};
    bool wants_table = o->ledger || (o->format && strcmp(o->format, "html") == 0);
    in.mlp_table = wants_table ? compare_mlp(&c, phase, tokens) : NULL;
    Module *m = build_module(ctx, c.spec, phase, tokens);
    if (!m) {
        return false;
    }
    inspect_record(&in, m, "build", 0, 0);
    c.env.after = inspect_record;
    c.env.user = &in;
    if (!pass_run_auto(&m, &c.env)) {
        return false;
    }
    in.module = m;
    in.decode = o->cost ? decode_words(ctx, c.target, m, &in.step) : NULL;
    Buf b = buf_create(ctx->arena);
    return inspect_view(&in, o, &b) && deliver(ctx, o, &b);
}

/* ---- import ---------------------------------------------------------------------------------- */

static bool run_import(Ctx *ctx, const Options *o)
{
    ModelSpec spec;
    if (!import_config(ctx, o->operand, &spec)) {
        return false;
    }
    Buf b = buf_create(ctx->arena);
    spec_write(&b, &spec);
    return deliver(ctx, o, &b);
}

/* ---- compile and what builds on it ----------------------------------------------------------- */

/* The steps are recorded only when an option asks for them: printing a graph takes longer than most
 * passes. */
static bool watch_passes(Compilation *c, Inspection *in)
{
    if (c->o->dump_after || c->o->time_passes) {
        in->kv_len = c->env.kv_len;
        c->env.after = inspect_record;
        c->env.user = in;
    }
    return true;
}

static bool report_passes(const Inspection *in, const Options *o, const char *dir)
{
    Buf b = buf_create(in->ctx->arena);
    if (o->time_passes) {
        inspect_print_times(in, &b);
        print(&b);
    }
    return inspect_dump(in, o, dir);
}

static bool run_compile(Ctx *ctx, const Options *o)
{
    Compilation c;
    Program p;
    Inspection in = {.ctx = ctx};
    return compilation_open(&c, ctx, o) && /* spec, target, device, rules */
           watch_passes(&c, &in) &&        /* --dump-after, --time-passes */
           program_plan(&p, &c) &&         /* modules, passes, plan */
           report_passes(&in, o, program_dir(&p)) && program_emit(&p) && /* x.c and x.h as text */
           program_write(&p, program_dir(&p)) && /* sources and runtime into the folder */
           program_pack(&p, program_dir(&p)) &&  /* x.weights, when weights were given */
           program_build(&p, program_dir(&p));   /* the binary and libx.so */
}

static bool run_pack(Ctx *ctx, const Options *o)
{
    Compilation c;
    Program p;
    if (!o->weights && !o->has_random) {
        return diag_error(ctx->diag, nowhere,
                          "'sinter pack' needs --weights FOLDER or --random SEED");
    }
    return compilation_open(&c, ctx, o) && program_plan(&p, &c) && program_pack(&p, NULL);
}

/* With a device named, shares are of the bandwidth that its file has. */
static bool run_bench(Ctx *ctx, const Options *o)
{
    TextList args = {0};
    const Device *device = o->device ? device_load(ctx, o->device) : NULL;
    vec_push(ctx->arena, &args, "bench");
    vec_push(ctx->arena, &args, "--random");
    vec_push(ctx->arena, &args, "1");
    if (o->device && !device) {
        return false;
    }
    if (device) {
        vec_push(ctx->arena, &args, "--peak");
        vec_push(ctx->arena, &args,
                 (const char *)arena_printf(ctx->arena, "%.9g", device->bandwidth / 1e9));
    }
    return program_run_cached(ctx, o, &args);
}

static bool run_run(Ctx *ctx, const Options *o)
{
    TextList args = {0};
    if (o->prompt) {
        vec_push(ctx->arena, &args, "-p");
        vec_push(ctx->arena, &args, o->prompt);
    }
    if (o->n_tokens) {
        vec_push(ctx->arena, &args, "-n");
        vec_push(ctx->arena, &args,
                 (const char *)arena_printf(ctx->arena, "%lld", (long long)o->n_tokens));
    }
    return program_run_cached(ctx, o, &args);
}

/* ---- all of them ----------------------------------------------------------------------------- */

bool driver_run(Ctx *ctx, const Options *o)
{
    switch (o->command) {
    case COMMAND_SPEC:
        return run_spec(ctx, o);
    case COMMAND_OPT:
        return run_opt(ctx, o);
    case COMMAND_INSPECT:
        return run_inspect(ctx, o);
    case COMMAND_COMPILE:
        return run_compile(ctx, o);
    case COMMAND_RUN:
        return run_run(ctx, o);
    case COMMAND_PACK:
        return run_pack(ctx, o);
    case COMMAND_IMPORT:
        return run_import(ctx, o);
    case COMMAND_CHECK:
        return check_run(ctx, o);
    case COMMAND_BENCH:
        return run_bench(ctx, o);
    case COMMAND_CACHE:
        return cache_run(ctx, o);
    case COMMAND_DOCTOR:
        return doctor_run(ctx);
    case COMMAND_NONE:
    case COMMAND_HELP:
    case COMMAND_VERSION:
    case COMMAND_COUNT:
        break;
    }
    BUG("no such command: %d", (int)o->command);
}
