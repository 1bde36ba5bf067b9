/* rule_ast.h - a rule as it was written, and what the checker found out about it. Shared by the
 * rule_* files only.
 *
 *   rule_parse.y      text -> RuleOp, RuleTerm, RuleCond (names and spans)
 *   rule_check*.c     names -> variables, operators, attributes; nested calls become own lines
 *   rule_match.c      RuleLine + function -> RuleBinding
 *   rule_where.c      RuleCond + RuleBinding -> true, or the reason in words
 *   rule_where_fns.c  what conditions and attribute values may call
 *   rule_quantity.c   what a term evaluates to
 *   rule_rewrite.c    RuleLine + RuleBinding -> new operators */
#ifndef SINTER_IR_RULE_AST_H
#define SINTER_IR_RULE_AST_H

#include "ir/ir_text.h"
#include "ir/pass.h"
#include "ir/rule.h"

enum {
    RULE_MAX_VARS = 48,
    RULE_MAX_METAS = 16,
    RULE_MAX_LINES = 32,
    RULE_MAX_KINDS = 8,
    RULE_MAX_FIRED = 1000, /* rewrites of one rule in one function: more is a loop */
};

/* ---- as written ------------------------------------------------------------------------------ */

typedef struct RuleName {
    Str s;
    Span at;
} RuleName;

/* %x, @w, or `_`; with '?' behind it the operand may be missing. */
typedef struct RuleRef {
    Str name; /* NULL: `_` */
    bool constant, optional;
    Span at;
} RuleRef;

typedef enum TermKind {
    TERM_NUMBER,
    TERM_WORD,
    TERM_VAR,
    TERM_META,      /* $eps */
    TERM_ANY,       /* _ */
    TERM_CALL,      /* cols(%q), silu(acc) */
    TERM_META_CALL, /* $e(acc.0) */
    TERM_BINARY,    /* + - * / */
    TERM_LIST,      /* [1, 2], and the {..} behind `in` */
} TermKind;

typedef VEC(struct RuleTerm *) RuleTerms;

/* One grammar for values of attributes, epilogue expressions and where conditions. */
typedef struct RuleTerm {
    TermKind kind;
    Span at;
    Number number;
    Str word;      /* a word, or the name of a call, variable (without sigil) or metavariable */
    bool constant; /* TERM_VAR: written with '@' */
    char op;
    RuleTerms args;
    /* found by the checker */
    int index;                /* TERM_VAR: variable; TERM_META, TERM_META_CALL: metavariable */
    const struct WhereFn *fn; /* TERM_CALL in conditions and attribute values */
} RuleTerm;

typedef enum ItemKind {
    ITEM_COPY,    /* .. %d */
    ITEM_EXPR,    /* epilogue = .. (or expr = ..) */
    ITEM_ANY,     /* match: attr = _ */
    ITEM_LITERAL, /* attr = 1e-05 */
    ITEM_META,    /* attr = $eps: bound by match, copied by rewrite */
    ITEM_TERM,    /* rewrite: attr = cols(%q) / 2 */
} ItemKind;

typedef struct RuleItem {
    ItemKind kind;
    Span at;
    RuleName name; /* of the attribute */
    RuleTerm *value;
    RuleRef copy;
    /* found by the checker */
    AttrId attr;
    Attrs literal;
    int var; /* ITEM_COPY: the variable, defined by a matched operator */
} RuleItem;

typedef struct RuleArg {
    RuleName slot; /* s == NULL: positional */
    Span at;
    RuleRef ref;
    struct RuleOp *call; /* or a nested operator */
} RuleArg;

typedef VEC(RuleRef) RuleRefs;
typedef VEC(RuleArg) RuleArgs;
typedef VEC(RuleItem *) RuleItems;
typedef VEC(RuleName) RuleNames;

typedef struct RuleOp {
    Span at;
    RuleRefs results;
    RuleName meta; /* $act in `$act:silu|gelu`, or alone on the right side */
    RuleNames kinds;
    RuleArgs args;
    RuleItems items;
} RuleOp;

typedef enum CondKind {
    COND_CALL,
    COND_EQ,
    COND_NE,
    COND_LT,
    COND_LE,
    COND_GT,
    COND_GE,
    COND_IN,
} CondKind;

typedef struct RuleCond {
    CondKind kind;
    bool negated;
    RuleTerm *a, *b;
    Span at;
} RuleCond;

typedef VEC(RuleOp *) RuleOps;
typedef VEC(RuleCond *) RuleConds;

/* ---- as checked ------------------------------------------------------------------------------ */

typedef struct RuleVar {
    Str name; /* NULL: the result of a nested call */
    bool constant, optional;
    Span at;
    int match_line, match_result; /* the line that defines it; -1: an operand only */
    int rewrite_line;             /* -1: not defined on the right */
    int rewrite_result;
    bool used; /* an operand of a matched line */
} RuleVar;

typedef enum MetaKind { META_ATTR, META_EXPR, META_OP } MetaKind;

typedef struct RuleMeta {
    Str name;
    MetaKind kind;
    Span at;
} RuleMeta;

typedef struct RuleLineArg {
    Str slot; /* NULL: positional, number `pos` */
    int pos;
    int var; /* -1: `_` */
    Span at;
} RuleLineArg;

typedef VEC(RuleLineArg) RuleLineArgs;

/* One operator of either side, nested calls flattened. */
typedef struct RuleLine {
    const RuleOp *src;
    int n_results, result[IR_MAX_OUT]; /* variables; -1 = `_` */
    int n_kinds;
    OpKind kind[RULE_MAX_KINDS];
    int op_meta; /* -1: none */
    RuleLineArgs args;
    /* match: what a rewritten line takes over with `..` and so need not be named here */
    uint32_t copied_attrs;
    bool copied_expr;
    int n_copied_as;
    OpKind copied_as[RULE_MAX_KINDS];
} RuleLine;

/* match, where, rewrite; a rule may have several, tried in order. */
typedef struct RuleCase {
    Span at;
    RuleOps match, rewrite;
    RuleConds where;
    bool has_match, has_where, has_rewrite;
    /* found by the checker */
    RuleVar var[RULE_MAX_VARS];
    RuleMeta meta[RULE_MAX_METAS];
    RuleLine line[RULE_MAX_LINES]; /* of the match, in the order of the search: [0] is the anchor */
    RuleLine rewritten[RULE_MAX_LINES];
    int n_vars, n_metas, n_lines, n_rewritten;
} RuleCase;

struct Rule {
    Str name, doc;
    Span at;
    VEC(RuleCase *) cases;
};

/* ---- parse and check ------------------------------------------------------------------------- */

typedef struct RuleParser {
    Ctx *ctx;
    RuleSet *set;
    uint32_t pos;    /* lexer: offset of the next byte */
    uint64_t braces; /* lexer: a stack of bits, 1 = opens a block */
    bool block_next; /* lexer: the next '{' opens a block */
    bool skipping;   /* after an error outside of a line: quiet until the next rule */
    Rule *rule;
    RuleCase *current; /* the case whose blocks are read */
    int errors;        /* before the rule began */
} RuleParser;

/* Adds the rules of a text to p->set, each checked as it ends. */
void rule_parse_text(RuleParser *p, const char *text, size_t n);
/* Resolves and type-checks one rule; false after diagnostics. */
bool rule_check(Ctx *ctx, Rule *r);

/* ---- match ----------------------------------------------------------------------------------- */

typedef enum QuantityKind {
    Q_NONE,
    Q_NUMBER,
    Q_WORD,
    Q_DTYPE,
    Q_INTS,
    Q_F64S,
    Q_TYPE, /* type(%x); dtype not compared when `shape` */
    Q_EXPR, /* an epilogue and the operator it belongs to */
    Q_OP,   /* the operator that an alternative matched */
} QuantityKind;

/* What a metavariable is bound to, and what a term evaluates to. */
typedef struct Quantity {
    QuantityKind kind;
    Number number;
    Str word;
    DType dtype;
    IntList ints;
    DoubleList doubles;
    const Type *type;
    bool shape;
    const Expr *expr; /* NULL: acc */
    OpId owner;
    OpKind op;
} Quantity;

#define VALUE_ABSENT                                                                               \
    ((ValueId)-1) /* an optional operand that the matched operator does not have                   \
                   */

typedef struct RuleBinding {
    ValueId var[RULE_MAX_VARS]; /* 0 = not bound */
    OpId line[RULE_MAX_LINES];
    Quantity meta[RULE_MAX_METAS];
} RuleBinding;

Quantity quantity_integer(int64_t x);
Quantity quantity_real(double x);
Quantity quantity_of_attr(const Attrs *a, AttrId id);
bool quantity_equal(const Quantity *x, const Quantity *y);
void quantity_print(Buf *b, const Quantity *q);

/* Calls `found` for every way the lines match with line 0 on `anchor`, until it returns true.
 * Returns whether it did. */
typedef bool RuleFoundFn(void *user, const RuleBinding *b);
bool rule_match(const Func *f, const RuleCase *c, OpId anchor, RuleFoundFn *found, void *user);

/* ---- where ----------------------------------------------------------------------------------- */

typedef struct RuleSite {
    Func *f;
    const Rule *rule;
    const RuleCase *c;
    PassEnv *env;
    RuleBinding b;
} RuleSite;

/* Names that may be called in conditions and attribute values; the table of rule_where_fns.c.
 * args: one letter an argument, v = value, n = number, w = word, + = the last one again. */
typedef struct WhereFn {
    const char *name, *args, *doc;
    bool predicate;
    /* Predicates: true, or a reason in `why`. Functions: the quantity. */
    bool (*holds)(const RuleSite *s, const RuleTerm *call, Buf *why);
    Quantity (*value)(const RuleSite *s, const RuleTerm *call);
} WhereFn;

extern const WhereFn where_fns[];
extern const int n_where_fns;

/* All conditions hold, or the first that does not, in words. */
bool rule_where(const RuleSite *s, Buf *why);
/* A term as a quantity; Q_NONE after a diagnostic (division by zero, not a number). */
Quantity rule_term_value(const RuleSite *s, const RuleTerm *t);
/* Is `word` a name for a number of the target ("target.block")? */
bool rule_is_target_word(Str word);

/* ---- rewrite --------------------------------------------------------------------------------- */

typedef enum RewriteStatus {
    REWRITE_DONE,
    REWRITE_CYCLE, /* undone */
    REWRITE_ERROR, /* after a diagnostic */
} RewriteStatus;

RewriteStatus rule_rewrite(RuleSite *s, Arena *scratch);

#endif
