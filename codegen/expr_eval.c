/* expr_eval.c - walks the tree of a formula: names from the surroundings, operators from
 * expr_arith.c, functions from the surroundings or expr_call.c. */
#include "codegen/expr_eval.h"

static bool eval_call(const FormulaEnv *env, const Formula *f, FormulaValue *out)
{
    FormulaValue arg[FORMULA_MAX_ARGS];
    for (int i = 0; i < f->n_args; i++) {
        if (!formula_eval(env, f->arg[i], &arg[i])) {
            return false;
        }
    }
    if (env->call != NULL) {
        bool known = true;
        bool done = env->call(env->user, f->name, arg, f->n_args, f->at, out, &known);
        if (known) {
            return done;
        }
    }
    FormulaEval e = {env, f->at};
    return formula_call(&e, f->name, arg, f->n_args, out);
}

bool formula_eval_bool(const FormulaEnv *env, const Formula *f, bool *out)
{
    FormulaValue v;
    if (!formula_eval(env, f, &v)) {
        return false;
    }
    if (v.type != FV_BOOL && !formula_is_number(&v)) {
        return diag_error(env->ctx->diag, f->at, "a condition must be true or false, found a %s",
                          formula_type_name(v.type));
    }
    *out = v.type == FV_DOUBLE ? v.d != 0 : v.i != 0;
    return true;
}

static bool eval_logic(const FormulaEnv *env, const Formula *f, FormulaValue *out)
{
    bool b = false;
    if (!formula_eval_bool(env, f->arg[0], &b)) {
        return false;
    }
    if (f->op == FO_NOT) {
        b = !b;
    } else if (b == (f->op == FO_AND) && !formula_eval_bool(env, f->arg[1], &b)) {
        return false;
    }
    *out = formula_bool(b);
    return true;
}

static bool eval_choose(const FormulaEnv *env, const Formula *f, FormulaValue *out)
{
    bool b = false;
    return formula_eval_bool(env, f->arg[0], &b) && formula_eval(env, f->arg[b ? 1 : 2], out);
}

static bool eval_binary(const FormulaEnv *env, const Formula *f, FormulaValue *out)
{
    FormulaValue a, b;
    if (!formula_eval(env, f->arg[0], &a) || !formula_eval(env, f->arg[1], &b)) {
        return false;
    }
    FormulaEval e = {env, f->at};
    return f->op >= FO_EQ && f->op <= FO_GE ? formula_compare(&e, f->op, &a, &b, out)
                                            : formula_arithmetic(&e, f->op, &a, &b, out);
}

static bool eval_negate(const FormulaEnv *env, const Formula *f, FormulaValue *out)
{
    FormulaValue zero = formula_int(0), a;
    FormulaEval e = {env, f->at};
    return formula_eval(env, f->arg[0], &a) && formula_arithmetic(&e, FO_SUB, &zero, &a, out);
}

bool formula_eval(const FormulaEnv *env, const Formula *f, FormulaValue *out)
{
    switch (f->op) {
    case FO_LITERAL:
        *out = f->value;
        return true;
    case FO_NAME:
        return env->lookup(env->user, f->name, f->at, out);
    case FO_CALL:
        return eval_call(env, f, out);
    case FO_NEGATE:
        return eval_negate(env, f, out);
    case FO_NOT:
    case FO_AND:
    case FO_OR:
        return eval_logic(env, f, out);
    case FO_CHOOSE:
        return eval_choose(env, f, out);
    case FO_ADD:
    case FO_SUB:
    case FO_MUL:
    case FO_DIV:
    case FO_MOD:
    case FO_EQ:
    case FO_NE:
    case FO_LT:
    case FO_LE:
    case FO_GT:
    case FO_GE:
        return eval_binary(env, f, out);
    }
    BUG("formula operator %d", (int)f->op);
}
