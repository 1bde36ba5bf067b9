/* driver.h - the commands. Each is one readable list of calls in driver.c. */
#ifndef SINTER_COMPILER_DRIVER_H
#define SINTER_COMPILER_DRIVER_H

#include "codegen/target.h"
#include "compiler/options.h"
#include "compiler/spec.h"
#include "ir/pass.h"

/* False after diagnostics. Results go to stdout or into files. */
bool driver_run(Ctx *ctx, const Options *o);

/* What the commands share while they work. */
typedef struct Compilation {
    Ctx *ctx;
    const Options *o;
    const ModelSpec *spec;
    const Target *target;
    const RuleSet *rules;
    const Device *device;
    Ledger ledger;
    PassEnv env;
} Compilation;

/* ---- compilation.c: the steps that every command begins with --------------------------------- */

/* `--quant`, `--context`, `--dtype` ... as overrides of spec keys, behind `extra`. NULL after a
 * diagnostic. */
typedef struct Overrides {
    size_t n, cap;
    SpecOverride *data;
} Overrides;
bool compilation_overrides(Ctx *ctx, const Options *o, Overrides *out);
/* Spec with the options' overrides, target, device, rules, and what passes may ask. */
bool compilation_open(Compilation *c, Ctx *ctx, const Options *o);
/* The same with these overrides instead of the options' own. */
bool compilation_open_with(Compilation *c, Ctx *ctx, const Options *o, const Overrides *overrides);
/* The same without a spec, for IR text: rules, device, switched-off rules. */
bool compilation_open_ir(Compilation *c, Ctx *ctx, const Options *o);
/* A module of one phase after all passes; NULL after diagnostics. */
Module *compilation_module(Compilation *c, Phase phase, int tokens);

/* ---- check.c --------------------------------------------------------------------------------- */

bool check_run(Ctx *ctx, const Options *o);

#endif
