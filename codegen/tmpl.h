/* tmpl.h - the template language in which kernels are written.
 *
 *   //# a comment for the reader of the template: the whole line vanishes
 *   //% for j in 0..NT            whole-line directives vanish too: no stray blank lines
 *       VecF acc${j} = vec_zero();
 *   //% end
 *   //% if N % LANES == 0 ... //% elif e ... //% else ... //% end
 *       ${epilogue};              a hole alone on its line, semicolon or not (it vanishes): an
 *                                 empty value drops the line, several lines are indented alike
 *
 * Expressions are formulas (expr.h). A template is legal-looking C, so that clang-format and
 * editors accept it. `for i in a..b` counts from a to b - 1. */
#ifndef SINTER_CODEGEN_TMPL_H
#define SINTER_CODEGEN_TMPL_H

#include "codegen/expr.h"
#include "compiler/base/vec.h"

typedef struct Tmpl Tmpl;

typedef struct TmplVar {
    Str name;
    FormulaValue value;
} TmplVar;

/* What holes and directives can name. `call` as in FormulaEnv, may be NULL. */
typedef struct TmplEnv {
    Ctx *ctx;
    VEC(TmplVar) var; /* a later one of the same name hides the earlier */
    int turns;        /* of all loops of the expansion that is under way */
    void *user;
    bool (*call)(void *user, Str name, const FormulaValue *arg, int n_args, Span at,
                 FormulaValue *out, bool *known);
} TmplEnv;

void tmpl_set_int(TmplEnv *env, const char *name, int64_t i);
void tmpl_set_bool(TmplEnv *env, const char *name, bool b);
void tmpl_set_double(TmplEnv *env, const char *name, double d);
void tmpl_set_string(TmplEnv *env, const char *name, const char *s);

/* Registers the text as a source (it must stay) and parses it; NULL after a diagnostic. */
Tmpl *tmpl_parse(Ctx *ctx, const char *path, const char *text, size_t n);
/* Appends the expansion to out; false after a diagnostic with a caret in the template. */
bool tmpl_expand(const Tmpl *t, TmplEnv *env, Buf *out);

#endif
