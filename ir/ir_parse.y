/* ir_parse.y - the grammar of IR text (ir.h shows an example).
 *
 * Actions are one call each into the reader (ir_read*.c), which builds the module as it goes. An
 * error inside a line is reported once and the parser goes on behind it, so that one run reports
 * every mistake; an error in the head of a function skips to its body. */
%require "3.8"
%define api.pure full
%define api.prefix {ir_yy}
%define api.location.type {Span}
%define parse.error custom
%define parse.lac full
%expect 0
%locations
%param {void *scanner}
%parse-param {Reader *r}

%code requires {
#include "ir/ir_read.h"
}

%code {
#define YYLLOC_DEFAULT(now, rhs, n)                                                                \
    ((now).lo = (n) > 0 ? YYRHSLOC(rhs, 1).lo : YYRHSLOC(rhs, 0).hi,                               \
     (now).hi = (n) > 0 ? YYRHSLOC(rhs, n).hi : YYRHSLOC(rhs, 0).hi)
int ir_yylex(IR_YYSTYPE *value, Span *at, void *scanner);
int ir_yylex_init_extra(Reader *r, void **scanner);
int ir_yylex_destroy(void *scanner);
void *ir_yy_scan_bytes(const char *text, int n, void *scanner);
static void ir_yyerror(const Span *at, void *scanner, Reader *r, const char *message);

#define ADD(r, list, x) vec_push((r)->ctx->arena, &(list), (x))
}

%initial-action { @$ = (Span){r->pos, r->pos}; }

%union {
    ReadName name;
    ReadNames names;
    Number number;
    Numbers numbers;
    int way;
    Node *node;
    Nodes nodes;
    Item item;
    Items items;
    TypeText type;
    TypeTexts types;
    Decl decl;
    Decls decls;
    StepText step;
    StepTexts steps;
}

%token MODULE "'module'" SCHEDULE "'schedule'" FUNC "'func'" STATE "'state'" WEIGHTS "'weights'"
%token RETURN "'return'" ARROW "'->'" NL "end of line" END 0 "end of file"
%token <name> WORD "a word" TIMES "'x'" TILE "'tile'" VALUE "%name" AT_NAME "@name"
%token <number> NUMBER "a number"
%token <way> ACC "'acc'"

%type <name> word value
%type <names> words results values
%type <numbers> numbers tile
%type <node> node
%type <nodes> nodes
%type <item> item operand
%type <items> attrs items operands some_operands
%type <type> type
%type <types> types some_types
%type <decl> decl
%type <decls> decls some_decls
%type <step> step
%type <steps> steps

%%

file: lines ;
lines: %empty | lines line ;
line: NL
    | "'module'" "@name" attrs NL       { read_module(r, $2, $3); }
    | "'schedule'" steps NL             { read_schedule(r, $2, @$); }
    | func
    | error NL
    ;

steps: step                             { $$ = (StepTexts){0}; ADD(r, $$, $1); }
     | steps ';' step                   { $$ = $1; ADD(r, $$, $3); }
     ;
step: word                              { $$ = (StepText){.at = @$}; ADD(r, $$.funcs, $1); }
    | "a number" "'x'" word
      { $$ = (StepText){.repeat = $1, .layered = true, .at = @$}; ADD(r, $$.funcs, $3); }
    | "a number" "'x'" '(' words ')'
      { $$ = (StepText){.repeat = $1, .layered = true, .funcs = $4, .at = @$}; }
    ;
words: word                             { $$ = (ReadNames){0}; ADD(r, $$, $1); }
     | words ';' word                   { $$ = $1; ADD(r, $$, $3); }
     ;
word: "a word" | "'x'" | "'tile'" ;

func: head body '}'                     { read_func_end(r, @3); } ;
head: signature '{' NL
    | "'func'" error '{' NL             { read_broken_head(r); }
    ;
signature: "'func'" "@name" '(' decls ')'         { read_func(r, $2, $4); }
         | signature NL
         | signature "'state'" '(' decls ')'      { read_states(r, $4); }
         | signature "'weights'" '(' decls ')'    { read_weights(r, $4); }
         | signature "'->'" '(' decls ')'         { read_results(r, $4, @$); }
         ;
decls: %empty                           { $$ = (Decls){0}; }
     | some_decls
     ;
some_decls: decl                        { $$ = (Decls){0}; ADD(r, $$, $1); }
          | some_decls ',' decl         { $$ = $1; ADD(r, $$, $3); }
          ;
decl: value ':' type                    { $$ = (Decl){.name = $1, .type = $3}; } ;

body: %empty | body statement ;
statement: NL
         | results '=' word operands attrs types NL
           { read_op(r, $1, $3, $4, $5, $6, (Span){@3.lo, @5.hi}); }
         | "'return'" values NL         { read_return(r, $2, @$); }
         | "'return'" NL                { read_return(r, (ReadNames){0}, @1); }
         | error NL                     { read_broken_line(r, @1); }
         ;
results: "%name"                        { $$ = (ReadNames){0}; ADD(r, $$, $1); }
       | results ',' "%name"            { $$ = $1; ADD(r, $$, $3); }
       ;
values: value                           { $$ = (ReadNames){0}; ADD(r, $$, $1); }
      | values ',' value                { $$ = $1; ADD(r, $$, $3); }
      ;
value: "%name" | "@name" ;

operands: %empty                        { $$ = (Items){0}; }
        | some_operands
        ;
some_operands: operand                  { $$ = (Items){0}; ADD(r, $$, $1); }
             | some_operands ',' operand { $$ = $1; ADD(r, $$, $3); }
             ;
operand: value
         { $$ = (Item){.value = read_node(r, (Node){.kind = NODE_VALUE, .at = @1, .name = $1})}; }
       | word '=' value
         { $$ = (Item){.name = $1,
                       .value = read_node(r, (Node){.kind = NODE_VALUE, .at = @3, .name = $3})}; }
       ;

attrs: %empty                           { $$ = (Items){0}; }
     | '{' items '}'                    { $$ = $2; }
     ;
items: item                             { $$ = (Items){0}; ADD(r, $$, $1); }
     | items ',' item                   { $$ = $1; ADD(r, $$, $3); }
     ;
item: word '=' node                     { $$ = (Item){.name = $1, .value = $3}; } ;
node: "a number"          { $$ = read_node(r, (Node){.kind = NODE_NUMBER, .at = @$, .number = $1}); }
    | word                { $$ = read_node(r, (Node){.kind = NODE_WORD, .at = @$, .name = $1}); }
    | value               { $$ = read_node(r, (Node){.kind = NODE_VALUE, .at = @$, .name = $1}); }
    | "'acc'"             { $$ = read_node(r, (Node){.kind = NODE_ACC, .at = @$, .way = $1}); }
    | word '(' nodes ')'
      { $$ = read_node(r, (Node){.kind = NODE_CALL, .at = @$, .name = $1, .args = $3}); }
    | '[' nodes ']'       { $$ = read_node(r, (Node){.kind = NODE_LIST, .at = @$, .args = $2}); }
    ;
nodes: node               { $$ = (Nodes){0}; ADD(r, $$, $1); }
     | nodes ',' node     { $$ = $1; ADD(r, $$, $3); }
     ;

types: %empty                           { $$ = (TypeTexts){0}; }
     | ':' some_types                   { $$ = $2; }
     ;
some_types: type                        { $$ = (TypeTexts){0}; ADD(r, $$, $1); }
          | some_types ',' type         { $$ = $1; ADD(r, $$, $3); }
          ;
type: word '[' numbers ']' tile         { $$ = read_type(r, $1, $3, $5, @$); } ;
tile: %empty                            { $$ = (Numbers){0}; }
    | "'tile'" '(' numbers ')'          { $$ = $3; }
    ;
numbers: "a number"                     { $$ = (Numbers){0}; ADD(r, $$, $1); }
       | numbers ',' "a number"         { $$ = $1; ADD(r, $$, $3); }
       ;

%%

/* "unexpected '{', expected end of line or ':'" */
static int yyreport_syntax_error(const yypcontext_t *context, void *scanner, Reader *r)
{
    (void)scanner;
    enum { MAX_EXPECTED = 5 };
    yysymbol_kind_t expected[MAX_EXPECTED];
    int n = yypcontext_expected_tokens(context, expected, MAX_EXPECTED);
    yysymbol_kind_t found = yypcontext_token(context);
    Buf b = buf_create(r->ctx->arena);
    buf_printf(&b, "unexpected %s", found == YYSYMBOL_YYEMPTY ? "text" : yysymbol_name(found));
    for (int i = 0; i < n; i++) {
        buf_printf(&b, "%s%s", i > 0 ? " or " : ", expected ", yysymbol_name(expected[i]));
    }
    diag_error(r->ctx->diag, *yypcontext_location(context), "%s", b.data);
    return 0;
}

/* Only for what the grammar's own stack cannot hold. */
static void ir_yyerror(const Span *at, void *scanner, Reader *r, const char *message)
{
    (void)scanner;
    diag_error(r->ctx->diag, *at, "nested too deeply (%s)", message);
}

Module *ir_parse(Ctx *ctx, const char *path, const char *text, size_t n)
{
    if (n > INT32_MAX) {
        diag_error(ctx->diag, (Span){0}, "%s: larger than 2 GiB", path);
        return NULL;
    }
    Reader r = {.ctx = ctx, .types = type_table_create(ctx), .line_ended = true};
    r.pos = diag_add_source(ctx->diag, path, text, n);
    int errors = diag_error_count(ctx->diag);
    void *scanner;
    if (r.pos == 0 || ir_yylex_init_extra(&r, &scanner) != 0) {
        return NULL;
    }
    ir_yy_scan_bytes(text, (int)n, scanner);
    bool parsed = ir_yyparse(scanner, &r) == 0;
    ir_yylex_destroy(scanner);
    Module *m = read_end(&r);
    bool good = parsed && m != NULL && diag_error_count(ctx->diag) == errors && ir_verify(m, NULL);
    return good ? m : NULL;
}
