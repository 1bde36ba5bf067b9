/* expr_parse.y - grammar of a formula (expr.h); every action is one call into expr.c. */
%require "3.8"
%define api.pure full
%define api.prefix {formula_yy}
%define api.location.type {Span}
%define parse.error custom
%define parse.lac full
%expect 0
%locations
%param {void *scanner}
%parse-param {FormulaParse *p}

%code requires {
#include "codegen/expr_tree.h"
}

%code {
#define YYLLOC_DEFAULT(now, rhs, n)                                                                \
    ((now).lo = (n) > 0 ? YYRHSLOC(rhs, 1).lo : YYRHSLOC(rhs, 0).hi,                               \
     (now).hi = (n) > 0 ? YYRHSLOC(rhs, n).hi : YYRHSLOC(rhs, 0).hi)
int formula_yylex(FORMULA_YYSTYPE *value, Span *at, void *scanner);
static void formula_yyerror(const Span *at, void *scanner, FormulaParse *p, const char *message);
}

%initial-action { @$ = (Span){p->at, p->at}; }

%union {
    FormulaValue value;
    Str name;
    Formula *f;
    FormulaArgs args;
}

%token <value> LITERAL "a number"
%token <name> NAME "a name"
%token OR "||" AND "&&" EQ "==" NE "!=" LE "<=" GE ">="
%token END 0 "the end"
%type <f> expr
%type <args> args

%right '?' ':'
%left "||"
%left "&&"
%nonassoc "==" "!="
%nonassoc '<' "<=" '>' ">="
%left '+' '-'
%left '*' '/' '%'
%precedence UNARY

%%

formula: expr { p->result = $expr; } ;

expr:
  LITERAL                         { $$ = formula_make_literal(p, $1, @$); }
| NAME                            { $$ = formula_make_name(p, $1, @$); }
| NAME '(' args ')'               { $$ = formula_make_call(p, $1, @$, &$3); }
| NAME '(' ')'                    { $$ = formula_make_call(p, $1, @$, &(FormulaArgs){0}); }
| '(' expr ')'                    { $$ = $2; }
| '!' expr %prec UNARY            { $$ = formula_make(p, FO_NOT, @$, $2, NULL, NULL); }
| '-' expr %prec UNARY            { $$ = formula_make(p, FO_NEGATE, @$, $2, NULL, NULL); }
| expr '+' expr                   { $$ = formula_make(p, FO_ADD, @$, $1, $3, NULL); }
| expr '-' expr                   { $$ = formula_make(p, FO_SUB, @$, $1, $3, NULL); }
| expr '*' expr                   { $$ = formula_make(p, FO_MUL, @$, $1, $3, NULL); }
| expr '/' expr                   { $$ = formula_make(p, FO_DIV, @$, $1, $3, NULL); }
| expr '%' expr                   { $$ = formula_make(p, FO_MOD, @$, $1, $3, NULL); }
| expr "==" expr                  { $$ = formula_make(p, FO_EQ, @$, $1, $3, NULL); }
| expr "!=" expr                  { $$ = formula_make(p, FO_NE, @$, $1, $3, NULL); }
| expr '<' expr                   { $$ = formula_make(p, FO_LT, @$, $1, $3, NULL); }
| expr "<=" expr                  { $$ = formula_make(p, FO_LE, @$, $1, $3, NULL); }
| expr '>' expr                   { $$ = formula_make(p, FO_GT, @$, $1, $3, NULL); }
| expr ">=" expr                  { $$ = formula_make(p, FO_GE, @$, $1, $3, NULL); }
| expr "&&" expr                  { $$ = formula_make(p, FO_AND, @$, $1, $3, NULL); }
| expr "||" expr                  { $$ = formula_make(p, FO_OR, @$, $1, $3, NULL); }
| expr '?' expr ':' expr          { $$ = formula_make(p, FO_CHOOSE, @$, $1, $3, $5); }
;

args:
  expr            { $$ = (FormulaArgs){0}; formula_args_add(p, &$$, $1, @1); }
| args ',' expr   { $$ = $1; formula_args_add(p, &$$, $3, @3); }
;

%%

static void formula_yyerror(const Span *at, void *scanner, FormulaParse *p, const char *message)
{
    (void)scanner;
    p->failed = true;
    diag_error(p->ctx->diag, *at, "%s in a formula", message); /* the parser's stack is full */
}

static int yyreport_syntax_error(const yypcontext_t *at, void *scanner, FormulaParse *p)
{
    (void)scanner;
    enum { SHOWN = 4 };
    yysymbol_kind_t expected[SHOWN];
    int n = yypcontext_expected_tokens(at, expected, SHOWN);
    Buf b = buf_create(p->ctx->arena);
    yysymbol_kind_t found = yypcontext_token(at);
    buf_printf(&b, "%s is not possible here", found == YYSYMBOL_YYEMPTY ? "this" : yysymbol_name(found));
    for (int i = 0; i < n; i++) {
        buf_printf(&b, "%s%s", i == 0 ? ", expected " : " or ", yysymbol_name(expected[i]));
    }
    p->failed = true;
    diag_error(p->ctx->diag, *yypcontext_location(at), "%s", b.data);
    return 0;
}
