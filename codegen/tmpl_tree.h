/* tmpl_tree.h - what the grammar builds and tmpl.c walks; private to the template engine. */
#ifndef SINTER_CODEGEN_TMPL_TREE_H
#define SINTER_CODEGEN_TMPL_TREE_H

#include "codegen/tmpl.h"

typedef enum TmplKind {
    TMPL_TEXT,
    TMPL_HOLE,
    TMPL_LINE_HOLE, /* alone on its line: `text` is the indentation */
    TMPL_FOR,
    TMPL_IF, /* body, then `other` (an IF again for elif, or a list without a condition for else) */
} TmplKind;

typedef struct TmplNode TmplNode;

typedef struct TmplList {
    TmplNode *first, *last;
} TmplList;

struct TmplNode {
    TmplKind kind;
    const char *text; /* into the source */
    size_t n;
    Str var;              /* FOR */
    const Formula *a, *b; /* HOLE: a; IF: a; FOR: from a to b */
    TmplList body, other;
    TmplNode *next;
};

/* A token: a piece of the source and where it starts in the source map. */
typedef struct TmplPiece {
    const char *s;
    size_t n;
    uint32_t lo;
} TmplPiece;

typedef struct TmplParser {
    Ctx *ctx;
    const char *text; /* the whole source, and its offset in the source map */
    size_t n;
    uint32_t base, at; /* at: bytes lexed */
    bool failed;
    TmplList items;
} TmplParser;

/* Actions of the grammar; NULL (which lists ignore) after a diagnostic. */
TmplNode *tmpl_node_text(TmplParser *p, TmplPiece t);
TmplNode *tmpl_node_hole(TmplParser *p, TmplPiece t);
TmplNode *tmpl_node_line_hole(TmplParser *p, TmplPiece t);
TmplNode *tmpl_node_for(TmplParser *p, TmplPiece directive, TmplList body);
TmplNode *tmpl_node_if(TmplParser *p, TmplPiece directive, TmplList body, TmplList other);
TmplList tmpl_list_of(TmplNode *n);
TmplList tmpl_list_add(TmplList l, TmplNode *n);

#endif
