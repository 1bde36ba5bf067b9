/* rule_parse.y - the grammar of rule files (docs/rules.md).
 *
 *   rule NAME "what it does" {
 *     match   { %d = matmul %x, @w {epilogue = $e} ... }
 *     where   { single_use(%d), ... }
 *     rewrite { %y = matmul %x, @w {.. %d, epilogue = ...} }
 *   }
 *
 * Actions build the tree of rule_ast.h, one call each. An error inside a line is reported and the
 * parser goes on behind it; an error outside of a line skips to the next rule. */
%require "3.8"
%define api.pure full
%define api.prefix {rule_yy}
%define api.location.type {Span}
%define parse.error custom
%define parse.lac full
%define lr.default-reduction consistent
%expect 0
%locations
%param {void *scanner}
%parse-param {RuleParser *p}

%code requires {
#include "ir/rule_ast.h"
}

%code {
#define YYLLOC_DEFAULT(now, rhs, n)                                                                \
    ((now).lo = (n) > 0 ? YYRHSLOC(rhs, 1).lo : YYRHSLOC(rhs, 0).hi,                               \
     (now).hi = (n) > 0 ? YYRHSLOC(rhs, n).hi : YYRHSLOC(rhs, 0).hi)
int rule_yylex(RULE_YYSTYPE *value, Span *at, void *scanner);
int rule_yylex_init_extra(RuleParser *p, void **scanner);
int rule_yylex_destroy(void *scanner);
void *rule_yy_scan_bytes(const char *text, int n, void *scanner);
static void rule_yyerror(const Span *at, void *scanner, RuleParser *p, const char *message);

static void rule_begin(RuleParser *p, RuleName name, RuleName doc);
static void rule_end(RuleParser *p);
static void rule_begin_block(RuleParser *p, int block, Span at);
static void rule_add_line(RuleParser *p, RuleOp *op);
static void rule_add_cond(RuleParser *p, RuleCond *cond);
static RuleOp *op_line(RuleOp *op, RuleRefs results, Span at);
static RuleOp *op_new(RuleParser *p, RuleName meta, RuleNames kinds, Span at);
static RuleOp *op_fill(RuleOp *op, RuleArgs args, RuleItems items);
static RuleRef ref_of(RuleName name, bool constant, Span at);
static RuleRef ref_optional(RuleRef r, Span at);
static RuleItem *item_new(RuleParser *p, RuleName name, RuleTerm *value, Span at);
static RuleItem *item_copy(RuleParser *p, RuleRef from, Span at);
static RuleTerm *term_new(RuleParser *p, TermKind kind, Str word, RuleTerms args, Span at);
static RuleTerm *term_var(RuleParser *p, RuleRef ref);
static RuleTerm *term_number(RuleParser *p, Number x, bool negative, Span at);
static RuleTerm *term_binary(RuleParser *p, char op, RuleTerm *a, RuleTerm *b, Span at);
static RuleTerms terms_one(RuleParser *p, RuleTerm *t);
static RuleCond *cond_new(RuleParser *p, CondKind kind, RuleTerm *a, RuleTerm *b, Span at);
static RuleCond *cond_negate(RuleCond *c, Span at);
}

%initial-action { @$ = (Span){p->pos, p->pos}; }

%union {
    RuleName name;
    Number number;
    RuleRef ref;
    RuleRefs refs;
    RuleNames names;
    RuleArg arg;
    RuleArgs args;
    RuleItem *item;
    RuleItems items;
    RuleOp *op;
    RuleTerm *term;
    RuleTerms terms;
    RuleCond *cond;
}

%token <name> NAME "a name" VAR "a value %name" WEIGHT "a constant @name" META "$name" TEXT "a text"
%token <number> NUMBER "a number"
%token RULE "'rule'" MATCH "'match'" WHERE "'where'" REWRITE "'rewrite'" IN "'in'" NOT "'not'"
%token ANY "'_'" DOTS "'..'" EQ "'=='" NE "'!='" LE "'<='" GE "'>='" NL "the end of the line"
%token BLOCK_OPEN "'{' of a block" BLOCK_CLOSE "'}' of the block"
%token END 0 "the end of the file"

%type <op> op op_head call
%type <names> names
%type <refs> results
%type <ref> ref result
%type <arg> arg value
%type <args> args some_args
%type <item> item
%type <items> attrs items
%type <term> term
%type <terms> terms some_terms
%type <cond> cond test

%left '+' '-'
%left '*' '/'

%%

file:
  %empty
| file NL
| file rule
| file error NL     { p->skipping = true; }
;

rule:
  RULE { p->skipping = false; } NAME TEXT { rule_begin(p, $NAME, $TEXT); }
  BLOCK_OPEN blocks BLOCK_CLOSE { rule_end(p); }
;

blocks:
  %empty
| blocks NL
| blocks MATCH { rule_begin_block(p, MATCH, @MATCH); } BLOCK_OPEN lines
| blocks WHERE { rule_begin_block(p, WHERE, @WHERE); } BLOCK_OPEN conds
| blocks REWRITE { rule_begin_block(p, REWRITE, @REWRITE); } BLOCK_OPEN lines
;

lines:
  some_lines line BLOCK_CLOSE
| some_lines error BLOCK_CLOSE  { yyerrok; }
;

some_lines:
  %empty
| some_lines line NL
| some_lines error NL           { yyerrok; }
;

line:
  %empty
| results '=' op    { rule_add_line(p, op_line($op, $results, @$)); }
;

results:
  result                { $$ = (RuleRefs){0}; vec_push(p->ctx->arena, &$$, $result); }
| results ',' result    { $$ = $1; vec_push(p->ctx->arena, &$$, $3); }
;

result:
  ref
| ANY               { $$ = (RuleRef){.at = @1}; }
;

ref:
  VAR               { $$ = ref_of($1, false, @1); }
| WEIGHT            { $$ = ref_of($1, true, @1); }
;

op:
  op_head args attrs    { $$ = op_fill($1, $2, $3); }
;

op_head:
  names                 { $$ = op_new(p, (RuleName){0}, $1, @$); }
| META ':' names        { $$ = op_new(p, $1, $3, @$); }
| META                  { $$ = op_new(p, $1, (RuleNames){0}, @$); }
;

names:
  NAME                  { $$ = (RuleNames){0}; vec_push(p->ctx->arena, &$$, $1); }
| names '|' NAME        { $$ = $1; vec_push(p->ctx->arena, &$$, $3); }
;

args:
  %empty                { $$ = (RuleArgs){0}; }
| some_args
;

some_args:
  arg                   { $$ = (RuleArgs){0}; vec_push(p->ctx->arena, &$$, $1); }
| some_args ',' arg     { $$ = $1; vec_push(p->ctx->arena, &$$, $3); }
;

arg:
  value
| NAME '=' value        { $$ = $3; $$.slot = $1; $$.at = @$; }
;

value:
  ref                   { $$ = (RuleArg){.ref = $1, .at = @$}; }
| ref '?'               { $$ = (RuleArg){.ref = ref_optional($1, @$), .at = @$}; }
| ANY                   { $$ = (RuleArg){.ref = {.at = @1}, .at = @$}; }
| call                  { $$ = (RuleArg){.call = $1, .at = @$}; }
;

call:
  names '(' args attrs ')'  { $$ = op_fill(op_new(p, (RuleName){0}, $1, @$), $3, $4); }
;

attrs:
  %empty                { $$ = (RuleItems){0}; }
| '{' items '}'         { $$ = $2; }
| '{' error '}'         { $$ = (RuleItems){0}; yyerrok; }
;

items:
  item                  { $$ = (RuleItems){0}; vec_push(p->ctx->arena, &$$, $1); }
| items ',' item        { $$ = $1; vec_push(p->ctx->arena, &$$, $3); }
;

item:
  DOTS ref              { $$ = item_copy(p, $2, @$); }
| NAME '=' term         { $$ = item_new(p, $1, $3, @$); }
;

conds:
  some_conds cond_or_none BLOCK_CLOSE
| some_conds error BLOCK_CLOSE  { yyerrok; }
;

some_conds:
  %empty
| some_conds cond_or_none ','
| some_conds cond_or_none NL
| some_conds error NL           { yyerrok; }
;

cond_or_none:
  %empty
| cond                  { rule_add_cond(p, $1); }
;

cond:
  test
| NOT test              { $$ = cond_negate($2, @$); }
;

test:
  term                          { $$ = cond_new(p, COND_CALL, $1, NULL, @$); }
| term EQ term                  { $$ = cond_new(p, COND_EQ, $1, $3, @$); }
| term NE term                  { $$ = cond_new(p, COND_NE, $1, $3, @$); }
| term '<' term                 { $$ = cond_new(p, COND_LT, $1, $3, @$); }
| term LE term                  { $$ = cond_new(p, COND_LE, $1, $3, @$); }
| term '>' term                 { $$ = cond_new(p, COND_GT, $1, $3, @$); }
| term GE term                  { $$ = cond_new(p, COND_GE, $1, $3, @$); }
| term IN '{' some_terms '}'    {
    $$ = cond_new(p, COND_IN, $1, term_new(p, TERM_LIST, NULL, $4, @4), @$);
}
;

term:
  NUMBER                    { $$ = term_number(p, $1, false, @$); }
| '-' NUMBER    { $$ = term_number(p, $2, true, @$); }
| NAME                      { $$ = term_new(p, TERM_WORD, $1.s, (RuleTerms){0}, @$); }
| ref                       { $$ = term_var(p, $1); }
| META                      { $$ = term_new(p, TERM_META, $1.s, (RuleTerms){0}, @$); }
| ANY                       { $$ = term_new(p, TERM_ANY, NULL, (RuleTerms){0}, @$); }
| NAME '(' terms ')'        { $$ = term_new(p, TERM_CALL, $1.s, $3, @$); }
| META '(' term ')'         { $$ = term_new(p, TERM_META_CALL, $1.s, terms_one(p, $3), @$); }
| '[' terms ']'             { $$ = term_new(p, TERM_LIST, NULL, $2, @$); }
| '(' term ')'              { $$ = $2; }
| term '+' term             { $$ = term_binary(p, '+', $1, $3, @$); }
| term '-' term             { $$ = term_binary(p, '-', $1, $3, @$); }
| term '*' term             { $$ = term_binary(p, '*', $1, $3, @$); }
| term '/' term             { $$ = term_binary(p, '/', $1, $3, @$); }
;

terms:
  %empty                    { $$ = (RuleTerms){0}; }
| some_terms
;

some_terms:
  term                      { $$ = terms_one(p, $1); }
| some_terms ',' term       { $$ = $1; vec_push(p->ctx->arena, &$$, $3); }
;

%%

/* ---- building the tree ----------------------------------------------------------------------- */

static void rule_begin(RuleParser *p, RuleName name, RuleName doc)
{
    p->rule = ARENA_NEW(p->ctx->arena, Rule);
    p->current = NULL;
    p->rule->name = name.s;
    p->rule->doc = doc.s;
    p->rule->at = name.at;
    p->errors = diag_error_count(p->ctx->diag);
}

/* A rule without errors joins the set, in place of one with the same name. */
static void rule_end(RuleParser *p)
{
    Rule *r = p->rule;
    if (diag_error_count(p->ctx->diag) > p->errors || !rule_check(p->ctx, r)) {
        return;
    }
    for (size_t i = 0; i < p->set->rules.n; i++) {
        if (p->set->rules.data[i]->name == r->name) {
            p->set->rules.data[i] = r;
            return;
        }
    }
    vec_push(p->ctx->arena, &p->set->rules, r);
}

/* `match` starts a case; the other blocks belong to the one before. */
static void rule_begin_block(RuleParser *p, int block, Span at)
{
    RuleCase *c = p->current;
    if (block == MATCH || c == NULL) {
        if (block != MATCH) {
            diag_error(p->ctx->diag, at, "a rule begins with its match block");
        }
        c = ARENA_NEW(p->ctx->arena, RuleCase);
        c->at = at;
        vec_push(p->ctx->arena, &p->rule->cases, c);
        c->has_match = true;
        p->current = c;
        return;
    }
    bool *seen = block == WHERE ? &c->has_where : &c->has_rewrite;
    if (*seen || c->has_rewrite) {
        diag_error(p->ctx->diag, at, "the order of blocks is match, where, rewrite");
    }
    *seen = true;
}

static void rule_add_line(RuleParser *p, RuleOp *op)
{
    RuleCase *c = p->current;
    vec_push(p->ctx->arena, c->has_rewrite ? &c->rewrite : &c->match, op);
}

static void rule_add_cond(RuleParser *p, RuleCond *cond)
{
    vec_push(p->ctx->arena, &p->current->where, cond);
}

static RuleOp *op_new(RuleParser *p, RuleName meta, RuleNames kinds, Span at)
{
    RuleOp *op = ARENA_NEW(p->ctx->arena, RuleOp);
    op->meta = meta;
    op->kinds = kinds;
    op->at = at;
    return op;
}

static RuleOp *op_fill(RuleOp *op, RuleArgs args, RuleItems items)
{
    op->args = args;
    op->items = items;
    return op;
}

static RuleOp *op_line(RuleOp *op, RuleRefs results, Span at)
{
    op->results = results;
    op->at = at;
    return op;
}

static RuleRef ref_of(RuleName name, bool constant, Span at)
{
    return (RuleRef){.name = name.s, .constant = constant, .at = at};
}

static RuleRef ref_optional(RuleRef r, Span at)
{
    r.optional = true;
    r.at = at;
    return r;
}

static RuleItem *item_new(RuleParser *p, RuleName name, RuleTerm *value, Span at)
{
    RuleItem *item = ARENA_NEW(p->ctx->arena, RuleItem);
    item->name = name;
    item->value = value;
    item->at = at;
    return item;
}

static RuleItem *item_copy(RuleParser *p, RuleRef from, Span at)
{
    RuleItem *item = ARENA_NEW(p->ctx->arena, RuleItem);
    item->kind = ITEM_COPY;
    item->copy = from;
    item->at = at;
    return item;
}

static RuleTerm *term_new(RuleParser *p, TermKind kind, Str word, RuleTerms args, Span at)
{
    RuleTerm *t = ARENA_NEW(p->ctx->arena, RuleTerm);
    t->kind = kind;
    t->word = word;
    t->args = args;
    t->at = at;
    return t;
}

static RuleTerm *term_var(RuleParser *p, RuleRef ref)
{
    RuleTerm *t = term_new(p, TERM_VAR, ref.name, (RuleTerms){0}, ref.at);
    t->constant = ref.constant;
    return t;
}

static RuleTerm *term_number(RuleParser *p, Number x, bool negative, Span at)
{
    RuleTerm *t = term_new(p, TERM_NUMBER, NULL, (RuleTerms){0}, at);
    t->number = negative ? (Number){.d = -x.d, .i = -x.i, .integer = x.integer} : x;
    return t;
}

static RuleTerms terms_one(RuleParser *p, RuleTerm *t)
{
    RuleTerms list = {0};
    vec_push(p->ctx->arena, &list, t);
    return list;
}

static RuleTerm *term_binary(RuleParser *p, char op, RuleTerm *a, RuleTerm *b, Span at)
{
    RuleTerms args = terms_one(p, a);
    vec_push(p->ctx->arena, &args, b);
    RuleTerm *t = term_new(p, TERM_BINARY, NULL, args, at);
    t->op = op;
    return t;
}

static RuleCond *cond_new(RuleParser *p, CondKind kind, RuleTerm *a, RuleTerm *b, Span at)
{
    RuleCond *c = ARENA_NEW(p->ctx->arena, RuleCond);
    c->kind = kind;
    c->a = a;
    c->b = b;
    c->at = at;
    return c;
}

static RuleCond *cond_negate(RuleCond *c, Span at)
{
    c->negated = true;
    c->at = at;
    return c;
}

/* ---- errors ---------------------------------------------------------------------------------- */

/* Only "memory exhausted" comes here: syntax errors go to yyreport_syntax_error. */
static void rule_yyerror(const Span *at, void *scanner, RuleParser *p, const char *message)
{
    (void)scanner;
    diag_error(p->ctx->diag, *at, "%s", message);
}

static int yyreport_syntax_error(const yypcontext_t *c, void *scanner, RuleParser *p)
{
    enum { MOST = 5 };
    (void)scanner;
    if (p->skipping) {
        return 0;
    }
    yysymbol_kind_t expected[MOST];
    int n = yypcontext_expected_tokens(c, expected, MOST);
    Buf b = buf_create(p->ctx->arena);
    yysymbol_kind_t found = yypcontext_token(c);
    buf_printf(&b, "unexpected %s", found == YYSYMBOL_YYEMPTY ? "text" : yysymbol_name(found));
    for (int i = 0; i < n; i++) {
        buf_printf(&b, "%s%s", i == 0 ? ", expected " : " or ", yysymbol_name(expected[i]));
    }
    diag_error(p->ctx->diag, *yypcontext_location(c), "%s", b.data);
    return 0;
}

void rule_parse_text(RuleParser *p, const char *text, size_t n)
{
    void *scanner = NULL;
    p->braces = 1;
    if (n > INT32_MAX) {
        diag_error(p->ctx->diag, (Span){p->pos, p->pos}, "a rule file may hold 2 GiB at most");
        return;
    }
    if (rule_yylex_init_extra(p, &scanner) != 0) {
        BUG("out of memory");
    }
    rule_yy_scan_bytes(text, (int)n, scanner);
    rule_yyparse(scanner, p);
    rule_yylex_destroy(scanner);
}
