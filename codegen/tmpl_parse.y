/* tmpl_parse.y - nesting of directives; expressions are parsed by expr.h from the pieces' text. */
%require "3.8"
%define api.pure full
%define api.prefix {tmpl_yy}
%define api.location.type {Span}
%define parse.error custom
%define parse.lac full
%expect 0
%locations
%param {void *scanner}
%parse-param {TmplParser *p}

%code requires {
#include "codegen/tmpl_tree.h"
}
%code {
#define YYLLOC_DEFAULT(cur, rhs, n)                                                                \
    do {                                                                                           \
        (cur).lo = (n) > 0 ? YYRHSLOC(rhs, 1).lo : YYRHSLOC(rhs, 0).hi;                            \
        (cur).hi = YYRHSLOC(rhs, n).hi;                                                            \
    } while (0)
int tmpl_yylex(TMPL_YYSTYPE *value, Span *at, void *scanner);
static void tmpl_yyerror(const Span *at, void *scanner, TmplParser *p, const char *message);
}
%initial-action { @$ = (Span){p->base, p->base}; }

%union {
    TmplPiece piece;
    TmplNode *node;
    TmplList list;
}
%token END_OF_FILE 0 "end of the template"
%token <piece> TMPL_TEXT_TOKEN "text" TMPL_HOLE_TOKEN "${...}" TMPL_HOLE_LINE "a line of ${...}"
%token <piece> TMPL_FOR_LINE "//% for" TMPL_IF_LINE "//% if" TMPL_ELIF_LINE "//% elif"
%token <piece> TMPL_ELSE_LINE "//% else" TMPL_END_LINE "//% end"
%token <piece> TMPL_BAD_LINE "an unknown directive" TMPL_OPEN_HOLE "a hole that is not closed"
%type <list> items tail
%type <node> item

%%
template: items                              { p->items = $1; };
items: %empty                                { $$ = (TmplList){0}; }
     | items item                            { $$ = tmpl_list_add($1, $2); };
item: TMPL_TEXT_TOKEN                        { $$ = tmpl_node_text(p, $1); }
    | TMPL_HOLE_TOKEN                        { $$ = tmpl_node_hole(p, $1); }
    | TMPL_HOLE_LINE                         { $$ = tmpl_node_line_hole(p, $1); }
    | TMPL_FOR_LINE items TMPL_END_LINE      { $$ = tmpl_node_for(p, $1, $2); }
    | TMPL_IF_LINE items tail TMPL_END_LINE  { $$ = tmpl_node_if(p, $1, $2, $3); };
tail: %empty                                 { $$ = (TmplList){0}; }
    | TMPL_ELSE_LINE items                   { $$ = $2; }
    | TMPL_ELIF_LINE items tail              { $$ = tmpl_list_of(tmpl_node_if(p, $1, $2, $3)); };
%%

static void tmpl_yyerror(const Span *at, void *scanner, TmplParser *p, const char *message)
{
    (void)scanner;
    p->failed = true;
    diag_error(p->ctx->diag, *at, "%s", message);
}

/* "unexpected '//% else', expected '//% end'"; text and holes fit everywhere and are not listed. */
static int yyreport_syntax_error(const yypcontext_t *context, void *scanner, TmplParser *p)
{
    (void)scanner;
    yysymbol_kind_t found = yypcontext_token(context);
    yysymbol_kind_t expected[YYNTOKENS];
    int n = yypcontext_expected_tokens(context, expected, YYNTOKENS);
    Buf b = buf_create(p->ctx->arena);
    buf_puts(&b, "unexpected ");
    buf_puts(&b, yysymbol_name(found));
    const char *before = ", expected ";
    for (int i = 0; i < n; i++) {
        if (expected[i] == YYSYMBOL_TMPL_END_LINE || expected[i] == YYSYMBOL_TMPL_ELSE_LINE ||
            expected[i] == YYSYMBOL_YYEOF) {
            buf_printf(&b, "%s%s", before, yysymbol_name(expected[i]));
            before = " or ";
        }
    }
    p->failed = true;
    diag_error(p->ctx->diag, *yypcontext_location(context), "%s", b.data);
    return 0;
}
