/* tmpl.c - parses templates into a tree of text, holes and directives, and expands it.
 *
 *   text --tmpl_lex.l--> pieces --tmpl_parse.y--> TmplList --tmpl_expand--> Buf */
#include "codegen/tmpl.h"

#include <ctype.h>
#include <string.h>

#include "codegen/tmpl_tree.h"
#include "codegen/tmpl_parse.h"

struct Tmpl {
    TmplList items;
};

/* ---- the tree -------------------------------------------------------------------------------- */

static TmplNode *new_node(TmplParser *p, TmplKind kind)
{
    TmplNode *n = ARENA_NEW(p->ctx->arena, TmplNode);
    n->kind = kind;
    return n;
}

static const Formula *parse_piece(TmplParser *p, const char *s, size_t n, uint32_t lo)
{
    const Formula *f = formula_parse(p->ctx, s, n, lo);
    p->failed = p->failed || f == NULL;
    return f;
}

static bool fail(TmplParser *p, const char *s, size_t n, const char *message)
{
    uint32_t lo = p->base + (uint32_t)(s - p->text);
    p->failed = true;
    return diag_error(p->ctx->diag, (Span){lo, lo + (uint32_t)n}, "%s", message);
}

TmplNode *tmpl_node_text(TmplParser *p, TmplPiece t)
{
    TmplNode *n = new_node(p, TMPL_TEXT);
    n->text = t.s;
    n->n = t.n;
    return n;
}

/* "${e}" */
TmplNode *tmpl_node_hole(TmplParser *p, TmplPiece t)
{
    TmplNode *n = new_node(p, TMPL_HOLE);
    n->a = parse_piece(p, t.s + 2, t.n - 3, t.lo + 2);
    return n;
}

/* "    ${e}  \n" */
TmplNode *tmpl_node_line_hole(TmplParser *p, TmplPiece t)
{
    size_t indent = (size_t)((const char *)memchr(t.s, '$', t.n) - t.s);
    size_t end = t.n;
    while (t.s[end - 1] != '}') {
        end--;
    }
    TmplPiece hole = {.s = t.s + indent, .n = end - indent, .lo = t.lo + (uint32_t)indent};
    TmplNode *n = tmpl_node_hole(p, hole);
    n->kind = TMPL_LINE_HOLE;
    n->text = t.s;
    n->n = indent;
    return n;
}

/* What follows the word of a directive line, without blanks at its ends. */
static TmplPiece directive_rest(TmplPiece t, const char *word)
{
    const char *s = strstr(t.s, word) + strlen(word), *end = t.s + t.n;
    while (s < end && isspace((unsigned char)*s)) {
        s++;
    }
    while (end > s && isspace((unsigned char)end[-1])) {
        end--;
    }
    return (TmplPiece){.s = s, .n = (size_t)(end - s), .lo = t.lo + (uint32_t)(s - t.s)};
}

static const char *find_range_dots(const char *s, const char *end)
{
    for (; s + 1 < end; s++) {
        if (s[0] == '.' && s[1] == '.') {
            return s;
        }
    }
    return NULL;
}

/* "//% for i in a..b" */
TmplNode *tmpl_node_for(TmplParser *p, TmplPiece directive, TmplList body)
{
    TmplPiece rest = directive_rest(directive, "for");
    const char *end = rest.s + rest.n, *name = rest.s, *s = name;
    while (s < end && (isalnum((unsigned char)*s) || *s == '_')) {
        s++;
    }
    const char *name_end = s;
    while (s < end && isblank((unsigned char)*s)) {
        s++;
    }
    const char *dots = find_range_dots(s, end);
    if (name_end == name || end - s < 3 || strncmp(s, "in ", 3) != 0 || dots == NULL) {
        fail(p, rest.s, rest.n, "a loop is written 'for NAME in FROM..TO'");
        return NULL;
    }
    TmplNode *n = new_node(p, TMPL_FOR);
    n->var = str_intern_n(p->ctx->strings, name, (size_t)(name_end - name));
    s += 3;
    n->a = parse_piece(p, s, (size_t)(dots - s), p->base + (uint32_t)(s - p->text));
    dots += 2;
    n->b = parse_piece(p, dots, (size_t)(end - dots), p->base + (uint32_t)(dots - p->text));
    n->body = body;
    return n;
}

TmplNode *tmpl_node_if(TmplParser *p, TmplPiece directive, TmplList body, TmplList other)
{
    TmplPiece rest = directive_rest(directive, "if"); /* the "if" of elif too */
    TmplNode *n = new_node(p, TMPL_IF);
    n->a = parse_piece(p, rest.s, rest.n, rest.lo);
    n->body = body;
    n->other = other;
    return n;
}

TmplList tmpl_list_of(TmplNode *n)
{
    return (TmplList){.first = n, .last = n};
}

TmplList tmpl_list_add(TmplList l, TmplNode *n)
{
    if (n == NULL) {
        return l;
    }
    if (l.last == NULL) {
        return tmpl_list_of(n);
    }
    l.last->next = n;
    l.last = n;
    return l;
}

/* The flex scanner's interface (its generated header defines macros that would clash here). */
int tmpl_yylex_init_extra(struct TmplParser *extra, void **scanner);
int tmpl_yylex_destroy(void *scanner);
struct yy_buffer_state *tmpl_yy_scan_bytes(const char *bytes, int n, void *scanner);

Tmpl *tmpl_parse(Ctx *ctx, const char *path, const char *text, size_t n)
{
    if (n > INT32_MAX / 2) {
        diag_error(ctx->diag, (Span){0}, "%s: a template of more than 1 GiB", path);
        return NULL;
    }
    TmplParser p = {.ctx = ctx, .text = text, .n = n};
    p.base = diag_add_source(ctx->diag, path, text, n);
    void *scanner = NULL;
    if (tmpl_yylex_init_extra(&p, &scanner) != 0) {
        BUG("no memory for a template scanner");
    }
    tmpl_yy_scan_bytes(text, (int)n, scanner);
    bool parsed = tmpl_yyparse(scanner, &p) == 0;
    tmpl_yylex_destroy(scanner);
    if (!parsed || p.failed) {
        return NULL;
    }
    Tmpl *t = ARENA_NEW(ctx->arena, Tmpl);
    t->items = p.items;
    return t;
}

/* ---- the environment ------------------------------------------------------------------------- */

static void set(TmplEnv *env, const char *name, FormulaValue v)
{
    TmplVar var = {.name = str_intern(env->ctx->strings, name), .value = v};
    vec_push(env->ctx->arena, &env->var, var);
}

void tmpl_set_int(TmplEnv *env, const char *name, int64_t i)
{
    set(env, name, formula_int(i));
}

void tmpl_set_bool(TmplEnv *env, const char *name, bool b)
{
    set(env, name, formula_bool(b));
}

void tmpl_set_double(TmplEnv *env, const char *name, double d)
{
    set(env, name, formula_double(d));
}

void tmpl_set_string(TmplEnv *env, const char *name, const char *s)
{
    set(env, name, formula_string(str_intern(env->ctx->strings, s)));
}

static bool unknown_name(const TmplEnv *env, Str name, Span at)
{
    const char **names = ARENA_ARRAY(env->ctx->arena, const char *, env->var.n + 1);
    for (size_t i = 0; i < env->var.n; i++) {
        names[i] = env->var.data[i].name;
    }
    const char *near = str_nearest(name, names, env->var.n);
    if (near != NULL) {
        return diag_error(env->ctx->diag, at, "undefined name '%s', did you mean '%s'?", name,
                          near);
    }
    return diag_error(env->ctx->diag, at, "undefined name '%s'", name);
}

static bool lookup(void *user, Str name, Span at, FormulaValue *out)
{
    const TmplEnv *env = user;
    for (size_t i = env->var.n; i-- > 0;) {
        if (env->var.data[i].name == name) {
            *out = env->var.data[i].value;
            return true;
        }
    }
    return unknown_name(env, name, at);
}

static bool call(void *user, Str name, const FormulaValue *arg, int n_args, Span at,
                 FormulaValue *out, bool *known)
{
    const TmplEnv *env = user;
    if (env->call == NULL) {
        *known = false;
        return true;
    }
    return env->call(env->user, name, arg, n_args, at, out, known);
}

/* ---- expansion ------------------------------------------------------------------------------- */

static FormulaEnv formula_env(TmplEnv *env)
{
    return (FormulaEnv){.ctx = env->ctx, .user = env, .lookup = lookup, .call = call};
}

static bool eval_int(TmplEnv *env, const Formula *f, int64_t *out)
{
    FormulaEnv fe = formula_env(env);
    FormulaValue v;
    if (!formula_eval(&fe, f, &v)) {
        return false;
    }
    if (v.type != FV_INT) {
        return diag_error(env->ctx->diag, formula_span(f),
                          "a loop needs integers as its ends, found a %s",
                          formula_type_name(v.type));
    }
    *out = v.i;
    return true;
}

/* A loop that nobody meant ends with a message, not with the machine's memory. */
enum { MAX_TURNS = 1 << 16, MAX_EXPANSION = 1 << 26 };

static bool expand_list(TmplList l, TmplEnv *env, Buf *out);

static bool check_length(const TmplNode *n, const TmplEnv *env, const Buf *out)
{
    if (env->turns > MAX_TURNS || out->len > MAX_EXPANSION) {
        return diag_error(
            env->ctx->diag, formula_span(n->b),
            "the loops of the template take more than %d turns or give more than %d MB", MAX_TURNS,
            MAX_EXPANSION >> 20);
    }
    return true;
}

static bool expand_for(const TmplNode *n, TmplEnv *env, Buf *out)
{
    int64_t from = 0, to = 0;
    if (!eval_int(env, n->a, &from) || !eval_int(env, n->b, &to)) {
        return false;
    }
    size_t depth = env->var.n;
    for (int64_t i = from; i < to; i++) {
        set(env, n->var, formula_int(i));
        env->turns++;
        if (!check_length(n, env, out) || !expand_list(n->body, env, out)) {
            return false;
        }
        env->var.n = depth;
    }
    return true;
}

static bool expand_if(const TmplNode *n, TmplEnv *env, Buf *out)
{
    FormulaEnv fe = formula_env(env);
    bool yes;
    return formula_eval_bool(&fe, n->a, &yes) && expand_list(yes ? n->body : n->other, env, out);
}

static bool eval_text(TmplEnv *env, const Formula *f, Buf *text)
{
    FormulaEnv fe = formula_env(env);
    FormulaValue v;
    if (!formula_eval(&fe, f, &v)) {
        return false;
    }
    if (v.type == FV_RATIO) {
        return diag_error(env->ctx->diag, formula_span(f),
                          "a fraction cannot be printed, round it with floor or ceil");
    }
    formula_print(text, &v);
    return true;
}

/* Each line of the value behind the hole's indentation; nothing at all for an empty value. */
static bool expand_line_hole(const TmplNode *n, TmplEnv *env, Buf *out)
{
    Buf text = buf_create(env->ctx->arena);
    if (!eval_text(env, n->a, &text)) {
        return false;
    }
    const char *s = text.data, *end = text.data + text.len;
    while (s < end) {
        const char *nl = memchr(s, '\n', (size_t)(end - s));
        const char *stop = nl != NULL ? nl : end;
        if (stop > s) {
            buf_add(out, n->text, n->n);
            buf_add(out, s, (size_t)(stop - s));
        }
        buf_putc(out, '\n');
        s = nl != NULL ? nl + 1 : end;
    }
    return true;
}

static bool expand_node(const TmplNode *n, TmplEnv *env, Buf *out)
{
    switch (n->kind) {
    case TMPL_TEXT:
        buf_add(out, n->text, n->n);
        return true;
    case TMPL_HOLE:
        return eval_text(env, n->a, out);
    case TMPL_LINE_HOLE:
        return expand_line_hole(n, env, out);
    case TMPL_FOR:
        return expand_for(n, env, out);
    case TMPL_IF:
        return expand_if(n, env, out);
    }
    BUG("template node of kind %d", (int)n->kind);
}

static bool expand_list(TmplList l, TmplEnv *env, Buf *out)
{
    for (const TmplNode *n = l.first; n != NULL; n = n->next) {
        if (!expand_node(n, env, out)) {
            return false;
        }
    }
    return true;
}

bool tmpl_expand(const Tmpl *t, TmplEnv *env, Buf *out)
{
    env->turns = 0;
    return expand_list(t->items, env, out);
}
