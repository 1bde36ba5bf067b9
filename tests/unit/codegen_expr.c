/* Formulas: values, exactness, errors with their places. */
#include "unit.h"

#include <string.h>

#include "codegen/expr.h"

static bool lookup(void *user, Str name, Span at, FormulaValue *out)
{
    Ctx *ctx = user;
    if (strcmp(name, "d_model") == 0) {
        *out = formula_int(4096);
        return true;
    }
    if (strcmp(name, "k.kind") == 0) {
        *out = formula_string(str_intern(ctx->strings, "gated"));
        return true;
    }
    return diag_error(ctx->diag, at, "unknown name '%s'", name);
}

static bool call(void *user, Str name, const FormulaValue *arg, int n_args, Span at,
                 FormulaValue *out, bool *known)
{
    (void)user, (void)at;
    *known = strcmp(name, "twice") == 0 && n_args == 1;
    *out = formula_int(arg[0].i * 2);
    return true;
}

/* The printed value of a formula, or all that was said. */
static const char *eval_text(Ctx *ctx, const char *text)
{
    uint32_t base = diag_add_source(ctx->diag, "t", text, strlen(text));
    Formula *f = formula_parse(ctx, text, strlen(text), base);
    FormulaEnv env = {.ctx = ctx, .user = ctx, .lookup = lookup, .call = call};
    FormulaValue v;
    if (f == NULL || !formula_eval(&env, f, &v)) {
        return diag_text(ctx->diag);
    }
    Buf b = buf_create(ctx->arena);
    formula_print(&b, &v);
    return b.data;
}

static void test_values(void **state)
{
    (void)state;
    static const struct {
        const char *formula, *value;
    } cases[] = {
        {"1 + 2 * 3", "7"},
        {"(1 + 2) * 3", "9"},
        {"ceil_to(8 * d_model / 3, 256)", "11008"},
        {"floor_to(8 * d_model / 3, 256)", "10752"},
        {"8 * d_model / 3", "32768/3"},
        {"4096 / 3 * 3", "4096"},
        {"1 / 3 + 1 / 6", "1/2"},
        {"7 - 2 - 1", "4"},
        {"-7 % 4", "-3"},
        {"- 2 * 3", "-6"},
        {"round(5 / 2)", "3"},
        {"round(-5 / 2)", "-3"},
        {"round(2.4)", "2"},
        {"ceil(-7 / 2)", "-3"},
        {"floor(-7 / 2)", "-4"},
        {"min(3, 1 / 2, 2.5)", "1/2"},
        {"max(3, 7, 5)", "7"},
        {"sqrt(16)", "4"},
        {"1e-5", "1e-05"},
        {"0.5 * 4", "2"},
        {"abs(-3)", "3"},
        {"2 < 3 && 3 <= 3 && !(1 == 2)", "true"},
        {"1 / 3 < 0.34", "true"},
        {"false && 1 / 0 == 1", "false"},
        {"true || unknown", "true"},
        {"k.kind == 'gated' ? \"g\" + \"1\" : 2", "g1"},
        {"1 ? 2 : 3 ? 4 : 5", "2"},
        {"0 ? 2 : 0 ? 4 : 5", "5"},
        {"twice(twice(3))", "12"},
        {"9223372036854775807", "9223372036854775807"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Ctx *ctx = ctx_create();
        assert_string_equal(eval_text(ctx, cases[i].formula), cases[i].value);
        ctx_destroy(ctx);
    }
}

static void test_errors(void **state)
{
    (void)state;
    static const struct {
        const char *formula, *message;
    } cases[] = {
        {"1 +", "t:1:4: error: the end is not possible here"},
        {"1 2", "t:1:3: error: a number is not possible here"},
        {"3 * (4 - 4 % 0)", "t:1:10: error: division by zero"},
        {"1 / (2 - 2)", "t:1:1: error: division by zero"},
        {"9223372036854775807 + 1", "t:1:1: error: the result does not fit in 64 bits"},
        {"9223372036854775808", "t:1:1: error: 9223372036854775808 does not fit in 64 bits"},
        {"1e999", "t:1:1: error: 1e999 is not a finite number"},
        {"2 + cel(3)", "t:1:5: error: unknown function 'cel', did you mean 'ceil'?"},
        {"ceil_to(3)", "t:1:1: error: ceil_to takes 2 arguments, found 1"},
        {"ceil_to(3, 0)", "the second argument must be above 0"},
        {"2 * heads", "t:1:5: error: unknown name 'heads'"},
        {"'a' * 2", "t:1:1: error: arithmetic needs numbers, found string and integer"},
        {"'a' == 2", "t:1:1: error: cannot compare string with integer"},
        {"5 / 2 % 2", "t:1:1: error: % needs two integers"},
        {"1 + $", "t:1:5: error: '$' has no meaning in a formula"},
        {"sqrt(-1)", "the result is not a finite number"},
        {"min(1,2,3,4,5,6,7,8,9)", "more than 8 arguments"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Ctx *ctx = ctx_create();
        const char *said = eval_text(ctx, cases[i].formula);
        if (strstr(said, cases[i].message) == NULL) {
            fail_msg("'%s' gave:\n%s", cases[i].formula, said);
        }
        assert_int_equal(diag_error_count(ctx->diag), 1);
        ctx_destroy(ctx);
    }
}

/* Hostile nesting ends in a message, not in a full stack. */
static void test_depth(void **state)
{
    (void)state;
    Ctx *ctx = ctx_create();
    Buf open = buf_create(ctx->arena), chain = buf_create(ctx->arena),
        huge = buf_create(ctx->arena);
    for (int i = 0; i < 2000; i++) {
        buf_puts(&open, "-(");
        buf_puts(&chain, "1+");
        buf_puts(&huge, "1+1+");
    }
    buf_puts(&chain, "1");
    buf_puts(&huge, "1");
    assert_non_null(strstr(eval_text(ctx, open.data), "error"));
    assert_non_null(strstr(eval_text(ctx, chain.data), "nested deeper than 200"));
    assert_non_null(strstr(eval_text(ctx, huge.data), "longer than 4096 bytes"));
    ctx_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_depth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
