/* chips.c - see chips.h. A new need is a row of `needs`. */
#include "compiler/chips.h"

#include <stdlib.h>
#include <string.h>

enum { LEAST_CHIP = 80 }; /* of the CUDA target: mma.sync on bf16, cp.async */

typedef struct Need {
    bool (*asks)(const ModelSpec *);
    SpecKey key;                          /* that asks */
    int chip;                             /* compute capability times ten that has it */
    const char *reason, *instead, *chips; /* chips: the default of --arch */
} Need;

/* mma on e4m3 operands (PTX ISA, "mma"): compute capability 8.9. */
static bool multiplies_fp8(const ModelSpec *s)
{
    return s->quant_activations == SPEC_FP8;
}

static const Need needs[] = {
    {multiplies_fp8, KEY_QUANT_ACTIVATIONS, 89, "fp8 activations meet fp8 weights on tensor cores",
     "fp8 weights alone (--quant fp8), or int8 activations (--quant int8+a8)", "sm_90a,compute_90"},
};
enum { N_NEEDS = sizeof needs / sizeof needs[0] };

const char *chips_default(const ModelSpec *s)
{
    for (int i = 0; i < N_NEEDS; i++) {
        if (needs[i].asks(s)) {
            return needs[i].chips;
        }
    }
    return NULL;
}

int chips_least(const ModelSpec *s)
{
    int least = LEAST_CHIP;
    for (int i = 0; i < N_NEEDS; i++) {
        if (needs[i].asks(s) && needs[i].chip > least) {
            least = needs[i].chip;
        }
    }
    return least;
}

static bool check_need(Ctx *ctx, const ModelSpec *s, const Target *t, const Need *n)
{
    for (int i = 0; i < t->n_arch; i++) {
        const char *arch = t->arch[i];
        if (atoi(arch + strcspn(arch, "0123456789")) < n->chip) {
            return diag_error(ctx->diag, s->place[n->key].value,
                              "%s, which %s cannot: that takes sm_%d or later; use %s, or leave %s "
                              "out of --arch",
                              n->reason, arch, n->chip, n->instead, arch);
        }
    }
    return true;
}

bool chips_check(Ctx *ctx, const ModelSpec *s, const Target *t)
{
    bool ok = true;
    for (int i = 0; i < N_NEEDS; i++) {
        ok = (!needs[i].asks(s) || check_need(ctx, s, t, &needs[i])) && ok;
    }
    return ok;
}
