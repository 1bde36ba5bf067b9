/* test_tmpl.c - directives vanish whole, holes are filled, mistakes get a caret in the template. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "codegen/tmpl.h"

static bool say_twice(void *user, Str name, const FormulaValue *arg, int n_args, Span at,
                      FormulaValue *out, bool *known)
{
    Ctx *ctx = user;
    (void)at;
    *known = strcmp(name, "twice") == 0;
    if (*known && n_args == 1) {
        *out = formula_string(str_internf(ctx->strings, "%s\n%s", arg[0].s, arg[0].s));
    }
    return true;
}

/* The expansion, or the diagnostics when there is none. */
static const char *expand(Ctx *ctx, const char *text)
{
    Buf out = buf_create(ctx->arena);
    TmplEnv env = {.ctx = ctx, .user = ctx, .call = say_twice};
    tmpl_set_int(&env, "N", 3);
    tmpl_set_bool(&env, "tail", true);
    tmpl_set_string(&env, "name", "dot");
    tmpl_set_string(&env, "none", "");
    Tmpl *t = tmpl_parse(ctx, "t.c", text, strlen(text));
    return t != NULL && tmpl_expand(t, &env, &out) ? out.data : diag_text(ctx->diag);
}

static void check(const char *text, const char *expected)
{
    Ctx *ctx = ctx_create();
    assert_string_equal(expand(ctx, text), expected);
    ctx_destroy(ctx);
}

static void check_error(const char *text, const char *message)
{
    Ctx *ctx = ctx_create();
    const char *said = expand(ctx, text);
    if (strstr(said, message) == NULL) {
        fail_msg("expected '%s' in:\n%s", message, said);
    }
    assert_true(diag_error_count(ctx->diag) > 0);
    ctx_destroy(ctx);
}

static void test_holes(void **state)
{
    (void)state;
    check("", "");
    check("int ${name}_${N * 2}[$1];\n", "int dot_6[$1];\n");
    check("a ${'}'} b", "a } b");
    check("  ${none};\n  ${name} ;\nx", "  dot\nx");
    check("${N +\n N}", "6");
    check("  ${none}\n  ${twice(name)}\nx", "  dot\n  dot\nx");
}

static void test_directives(void **state)
{
    (void)state;
    check("//# for the reader\n  //% for i in 0..N\nf(${i});\n//% end\nend\n",
          "f(0);\nf(1);\nf(2);\nend\n");
    check("//% for i in 1..N\n//% for j in 0..i\n${i}${j} \n//% end\n//% end\n", "10 \n20 \n21 \n");
    check("//% for i in N..N\nno\n//% end", "");
    check("//% if N == 2\na\n//% elif N == 3\nb\n//% else\nc\n//% end\n", "b\n");
    check("//% if !tail\na\n//% elif N == 4\nb\n//% else\nc\n//% end\n", "c\n");
    check("//% for i in 0..2\n//% if i > 0\n,\n//% end\n${i}\n//% end\n", "0\n,\n1\n");
}

static void test_errors(void **state)
{
    (void)state;
    check_error("a\nb ${nam}\n", "t.c:2:5: error: undefined name 'nam', did you mean 'name'?");
    check_error("${1 / 0}", "t.c:1:");
    check_error("//% for i in 0..9223372036854775807\n//% end\n",
                "t.c:1:17: error: the loops of the template take more than 65536 turns");
    check_error("${N + name}", "t.c:1:");
    check_error("${N", "t.c:1:1: error: unexpected a hole that is not closed");
    check_error("//% for i in 0..N\n", "expected //% end");
    check_error("//% end\n", "t.c:1:1: error: unexpected //% end");
    check_error("//% unless x\n", "unexpected an unknown directive");
    check_error("//% for i of 0..N\n//% end\n", "a loop is written 'for NAME in FROM..TO'");
    check_error("//% for i in 0..name\n//% end\n", "t.c:1:17: error: a loop needs integers");
    check_error("//% if N +\n//% end\n", "t.c:1:");
    check_error("${3 / 2}", "a fraction cannot be printed");
    check_error("${thrice(name)}", "thrice");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_holes),
        cmocka_unit_test(test_directives),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
