/* ir_read_func.c - the frame of a function as it is read: names and what they stand for, the head
 * with its declarations, return. A name whose definition was wrong is poisoned: what reads it says
 * nothing more. */
#include <string.h>

#include "ir/ir_read_parts.h"

/* ---- names in a function --------------------------------------------------------------------- */

/* Names inside a function become identifiers of the generated code. */
static bool check_identifier(Reader *r, ReadName name)
{
    if (name.s[strcspn(name.s, ".-")] == '\0' && strspn(name.s, "0123456789") == 0) {
        return true;
    }
    return diag_error(read_diag(r), name.at,
                      "'%c%s': a name starts with a letter and has letters, digits and '_'",
                      name.sigil, name.s);
}

void read_poison(Reader *r, Str name)
{
    vec_push(r->ctx->arena, &r->poisoned, name);
}

static bool is_poisoned(const Reader *r, Str name)
{
    bool found = r->broken;
    for (size_t i = 0; i < r->poisoned.n && !found; i++) {
        found = r->poisoned.data[i] == name;
    }
    return found;
}

static bool unknown_value(Reader *r, ReadName name)
{
    VEC(const char *) known = {0};
    for (ValueId v = 1; v < r->func->n_values; v++) {
        vec_push(r->ctx->arena, &known, r->func->value[v].name);
    }
    const char *near = str_nearest(name.s, known.data, known.n);
    const char *sigil = "";
    if (near != NULL) {
        ValueId v = ir_find_value(r->func, str_intern(r->ctx->strings, near));
        sigil = r->func->value[v].kind == VALUE_WEIGHT ? "@" : "%";
    }
    return diag_error(read_diag(r), name.at, "unknown value '%c%s'%s", name.sigil, name.s,
                      read_suggestion(r, sigil, near));
}

ValueId read_find_value(Reader *r, ReadName name)
{
    ValueId v = ir_find_value(r->func, name.s);
    if (v == 0) {
        if (!is_poisoned(r, name.s)) {
            unknown_value(r, name);
        }
        return 0;
    }
    bool weight = r->func->value[v].kind == VALUE_WEIGHT;
    if (weight != (name.sigil == '@')) {
        diag_error(read_diag(r), name.at, "'%s' is a %s: write %c%s", name.s,
                   weight ? "weight" : "value", weight ? '@' : '%', name.s);
        return 0;
    }
    return v;
}

bool read_check_new_name(Reader *r, ReadName name)
{
    ValueId v = ir_find_value(r->func, name.s);
    if (v == 0) {
        return check_identifier(r, name);
    }
    diag_error(read_diag(r), name.at, "'%c%s' is defined twice", name.sigil, name.s);
    diag_note(read_diag(r), r->func->value[v].at, "first here");
    return false;
}

/* ---- the head of a function ------------------------------------------------------------------ */

static void declare(Reader *r, ValueKind kind, const Decl *d)
{
    char sigil = kind == VALUE_WEIGHT ? '@' : '%';
    if (d->name.sigil != sigil) {
        diag_error(read_diag(r), d->name.at, "%s starts with '%c'",
                   kind == VALUE_WEIGHT ? "the name of a weight" : "the name of a value", sigil);
    }
    bool good = d->name.sigil == sigil && read_check_new_name(r, d->name) && d->type.type != NULL;
    if (good) {
        ir_value(r->func, kind, d->name.s, d->type.type, d->name.at);
    } else {
        read_poison(r, d->name.s);
    }
}

static void declare_all(Reader *r, ValueKind kind, const Decls *decls)
{
    for (size_t i = 0; i < decls->n; i++) {
        declare(r, kind, &decls->data[i]);
    }
}

static void begin_func(Reader *r, Str name, Span at)
{
    read_need_module(r, at);
    r->func = ir_func(r->module, name);
    r->func->at = at;
    r->returned = r->broken = r->has_results = false;
    r->results = (Decls){0};
    r->poisoned.n = 0;
}

void read_func(Reader *r, ReadName name, Decls params)
{
    read_need_module(r, name.at);
    const Func *other = ir_find_func(r->module, name.s);
    if (other != NULL) {
        diag_error(read_diag(r), name.at, "'@%s' is defined twice", name.s);
        diag_note(read_diag(r), other->at, "first here");
    } else {
        check_identifier(r, name);
    }
    begin_func(r, name.s, name.at);
    declare_all(r, VALUE_PARAM, &params);
}

void read_broken_head(Reader *r)
{
    begin_func(r, str_internf(r->ctx->strings, "broken head %u", r->pos), (Span){0});
    r->broken = true;
}

void read_states(Reader *r, Decls decls)
{
    declare_all(r, VALUE_STATE, &decls);
}

void read_weights(Reader *r, Decls decls)
{
    declare_all(r, VALUE_WEIGHT, &decls);
}

void read_results(Reader *r, Decls decls, Span at)
{
    if (r->has_results) {
        diag_error(read_diag(r), at, "'->' is given twice");
    }
    r->has_results = true;
    r->results = decls;
    for (size_t i = 0; i < decls.n; i++) {
        if (decls.data[i].name.sigil != '%') {
            diag_error(read_diag(r), decls.data[i].name.at,
                       "the name of a result starts with '%%'");
        } else {
            check_identifier(r, decls.data[i].name);
        }
    }
}

/* ---- lines that did not parse ---------------------------------------------------------------- */

/* The names before '=' of a line that did not parse. */
void read_broken_line(Reader *r, Span at)
{
    size_t n;
    const char *s = diag_span_text(read_diag(r), at, &n);
    for (size_t i = 0; i < n && s[i] != '=' && s[i] != '\n'; i++) {
        if (s[i] != '%') {
            continue;
        }
        size_t len = 0;
        while (i + 1 + len < n && strchr(" \t\r\n,=", s[i + 1 + len]) == NULL) {
            len++;
        }
        read_poison(r, str_intern_n(r->ctx->strings, s + i + 1, len));
    }
    r->returned = r->returned || (n >= 6 && memcmp(s, "return", 6) == 0);
    r->broken = r->broken || r->returned;
}

/* ---- the end of a function ------------------------------------------------------------------- */

/* Without '->' a result keeps its own name in the environment. */
static void read_result(Reader *r, ReadName name, size_t i)
{
    ValueId v = read_find_value(r, name);
    if (v == 0) {
        return;
    }
    const Decl *d = r->has_results ? &r->results.data[i] : NULL;
    const Type *type = r->func->value[v].type;
    if (d != NULL && d->type.type != NULL && d->type.type != type) {
        diag_error(read_diag(r), name.at, "%c%s is %s, but result %%%s is %s", name.sigil, name.s,
                   type_text(r->ctx->arena, type), d->name.s,
                   type_text(r->ctx->arena, d->type.type));
        diag_note(read_diag(r), d->name.at, "declared here");
    }
    ir_return(r->func, v, d != NULL ? d->name.s : name.s);
}

void read_return(Reader *r, ReadNames values, Span at)
{
    if (r->returned) {
        diag_error(read_diag(r), at, "a second 'return'");
        return;
    }
    r->returned = true;
    if (r->has_results && values.n != r->results.n) {
        diag_error(read_diag(r), at, "@%s has %zu result%s, found %zu", r->func->name, r->results.n,
                   r->results.n == 1 ? "" : "s", values.n);
        return;
    }
    for (size_t i = 0; i < values.n; i++) {
        read_result(r, values.data[i], i);
    }
}

void read_func_end(Reader *r, Span at)
{
    if (!r->returned && !r->broken) {
        diag_error(read_diag(r), at, "@%s does not return", r->func->name);
    }
    r->func = NULL;
}
