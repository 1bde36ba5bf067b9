/* ir.c - any bytes as IR text. What parses prints to text that parses to the same text; every pass
 * runs on it under settings that the input's size chooses, and its result prints and parses too. */
#include <stdint.h>
#include <string.h>

#include "ir/pass.h"
#include "tests/fuzz/shipped_rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *print(Ctx *ctx, const Module *m)
{
    Buf b = buf_create(ctx->arena);
    ir_print_module(&b, m);
    return b.data;
}

/* print -> parse -> print is byte-identical. */
static void check_text(Ctx *ctx, const Module *m, const char *when)
{
    const char *once = print(ctx, m);
    const Module *again = ir_parse(ctx, "printed.ir", once, strlen(once));
    const char *twice = again ? print(ctx, again) : diag_text(ctx->diag);
    if (again == NULL || strcmp(once, twice) != 0) {
        fprintf(stderr, "%s: the text does not survive\n---- printed\n%s\n---- again\n%s\n", when,
                once, twice);
        abort();
    }
}

static PassEnv settings(Ctx *ctx, size_t n)
{
    static const MlpFusion mlp[] = {MLP_EPILOGUE, MLP_ELEMENTWISE, MLP_NONE};
    static const NormFusion norm[] = {NORM_FOLD, NORM_AUTO, NORM_NONE};
    static const QuantScheme quant[] = {
        {.weights = DT_NONE},
        {.weights = DT_I8, .activations = DT_I8, .kv_cache = DT_I8},
        {.weights = DT_U4, .group = 4, .asym = true, .head = true},
        {.weights = DT_U4, .group = 8},
    };
    static Ledger ledger;
    ledger = (Ledger){.arena = ctx->arena};
    PassEnv env = {.ctx = ctx,
                   .rules = shipped_rules(ctx),
                   .mlp = mlp[n % 3],
                   .norm = norm[n / 3 % 3],
                   .quant = quant[n / 9 % 4],
                   .kv_len = 16,
                   .block = 4,
                   .ledger = &ledger};
    env.tile[DT_F32] = (Layout){.rows = 4, .cols = 1};
    env.tile[DT_BF16] = env.tile[DT_F16] = (Layout){.rows = 4, .cols = 2};
    env.tile[DT_I8] = (Layout){.rows = 4, .cols = 4};
    env.tile[DT_U4] = (Layout){.rows = 4, .cols = 8, .sub = 4};
    return env;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Ctx *ctx = ctx_create();
    const char *text = arena_strndup(ctx->arena, (const char *)data, size);
    Module *m = ir_parse(ctx, "fuzz.ir", text, size);
    if (m != NULL) {
        check_text(ctx, m, "as read");
        PassEnv env = settings(ctx, size);
        if (pass_run(m, &env, NULL, NULL)) {
            check_text(ctx, m, "after all passes");
            Buf b = buf_create(ctx->arena);
            ledger_print(&b, env.ledger);
        }
    } else if (diag_error_count(ctx->diag) == 0) {
        abort();
    }
    ctx_destroy(ctx);
    return 0;
}
