/* pass.h - the pass table and its runner: time, dump, verify.
 *
 * Order is data (passes[] in pass.c); a rule file is run by a table entry that names its rules. */
#ifndef SINTER_IR_PASS_H
#define SINTER_IR_PASS_H

#include "ir/ledger.h"
#include "ir/rule.h"

typedef enum MlpFusion { MLP_AUTO, MLP_NONE, MLP_ELEMENTWISE, MLP_EPILOGUE } MlpFusion;
typedef enum NormFusion { NORM_AUTO, NORM_NONE, NORM_FOLD } NormFusion;

/* From the spec's `quant` key. */
typedef struct QuantScheme {
    DType weights;     /* DT_NONE (as stored), DT_I8, DT_U4 or DT_E4M3 */
    int64_t group;     /* 0 = one scale per output channel */
    bool asym;         /* zero points */
    DType activations; /* DT_NONE, or dynamic per token: DT_I8 or DT_E4M3 */
    DType kv_cache;    /* DT_NONE = the spec's dtype, DT_I8 or DT_E4M3 */
    bool head;         /* the head (and a tied embedding) too */
} QuantScheme;

/* Everything a pass may ask. Plain data, filled by the driver: ir/ knows no target and no spec. */
typedef struct PassEnv {
    Ctx *ctx;
    const RuleSet *rules;
    const char *const *disabled; /* --no-rule names (rules or passes) */
    int n_disabled;
    MlpFusion mlp;
    NormFusion norm;
    QuantScheme quant;
    const Device *device;  /* NULL: no roofline times */
    int64_t kv_len;        /* context assumed by costs */
    Layout tile[DT_COUNT]; /* target's weight layout by dtype; rows = 0: none */
    bool whole_tiles;      /* only matrices whose columns are whole tiles */
    /* NULL, or: can the target's kernel of this decode matmul normalise x itself? */
    bool (*norm_prologue)(const Func *f, const Op *op);
    bool pair_heads; /* matmul_qkv: rows that RoPE rotates together `block` apart */
    int block;       /* target's interleave block (= tile rows) */
    Ledger *ledger;  /* may be NULL */
    /* Called after every pass with its name and number of changes (dumps, inspect's steps). */
    void (*after)(void *user, const Module *m, const char *pass, int changes, double seconds);
    void *user;
} PassEnv;

typedef struct Pass {
    const char *name, *summary;
    bool lossy; /* changes values by design (quantize): not compared before = after */
    int (*run)(Func *f, PassEnv *env); /* number of changes, -1 after a diagnostic */
    const char *rules; /* or: space-separated rule names run to a fixpoint; "*": the user's rules,
                          those that no other entry names */
} Pass;

extern const Pass passes[];
extern const int n_passes;

const Pass *pass_find(const char *name);
bool pass_disabled(const PassEnv *env, const char *name);
/* Runs the whole table, or only `list` (comma-separated names of passes or rules in the order to
 * run; NULL = all), up to and including `stop_after` (NULL = end); verifies after each. A failed
 * verify after a pass is BUG(). mlp = AUTO means EPILOGUE here. */
bool pass_run(Module *m, PassEnv *env, const char *list, const char *stop_after);
/* All passes with strategy AUTO resolved by running both and comparing cost_module_seconds (without
 * a device: bytes). *m is rewritten in place; env->mlp is left at the strategy taken. */
bool pass_run_auto(Module **m, PassEnv *env);

/* ---- ledger entries of the C passes and the rule engine; nothing happens without a ledger ---- */

/* What a function costs before a rewrite, to be entered by pass_fired() after it. */
typedef struct PassSite {
    LedgerEntry entry;
} PassSite;
PassSite pass_site(const PassEnv *env, const Func *f, const char *pass, const char *rule, Str site);
void pass_fired(PassEnv *env, const Func *f, const PassSite *site);
void pass_refused(PassEnv *env, const Func *f, const char *pass, const char *rule, Str site,
                  const char *fmt, ...) __attribute__((format(printf, 6, 7)));

/* ---- the C passes ---------------------------------------------------------------------------- */

int pass_canonicalise(Func *f, PassEnv *env);
int pass_dce(Func *f, PassEnv *env);
int pass_cse(Func *f, PassEnv *env);
int pass_quantize(Func *f, PassEnv *env);
int pass_merge_matmul(Func *f, PassEnv *env);
int pass_norm_prologue(Func *f, PassEnv *env);
int pass_layout(Func *f, PassEnv *env);

/* pass_canonicalise.c: leaves behind the fixed slots, each used value once; false when they were.
 */
bool pass_pack_leaves(Arena *arena, Op *op);
/* pass_layout.c: will the rows of this matmul_qkv be paired? */
bool pass_pairs_heads(const Func *f, const Op *op, const PassEnv *env);
/* pass_quantize.c: will this matmul or embed get quantised weights? */
bool pass_will_quantize(const Func *f, const Op *op, const PassEnv *env);
/* pass_cse.c: equal trees over equal operand numbers. */
bool expr_equal(const Expr *a, const Expr *b);

#endif
