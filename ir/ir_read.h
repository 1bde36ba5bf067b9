/* ir_read.h - what the grammar (ir_parse.y) hands to the reader (ir_read*.c): names, small trees
 * and lists with their places. The reader builds the module and reports everything a grammar cannot
 * see. */
#ifndef SINTER_IR_IR_READ_H
#define SINTER_IR_IR_READ_H

#include "ir/ir_text.h"

typedef struct ReadName {
    Str s;      /* without sigil */
    char sigil; /* '%', '@', or 0 for a plain word */
    Span at;
} ReadName;
typedef VEC(ReadName) ReadNames;

typedef enum NodeKind {
    NODE_WORD,
    NODE_NUMBER,
    NODE_VALUE,
    NODE_ACC,
    NODE_CALL,
    NODE_LIST
} NodeKind;

typedef VEC(struct Node *) Nodes;

/* The right side of an attribute, an argument of an expression, an operand. */
typedef struct Node {
    NodeKind kind;
    Span at;
    ReadName name; /* NODE_WORD, NODE_VALUE, NODE_CALL */
    Number number;
    int way; /* NODE_ACC */
    Nodes args;
} Node;

/* `name = value`; name.s is NULL for an operand by position. */
typedef struct Item {
    ReadName name;
    Node *value;
} Item;
typedef VEC(Item) Items;

typedef struct TypeText {
    const Type *type; /* NULL: already reported */
    Span at;
} TypeText;
typedef VEC(TypeText) TypeTexts;

/* `%x: bf16[1, 4096]` */
typedef struct Decl {
    ReadName name;
    TypeText type;
} Decl;
typedef VEC(Decl) Decls;

typedef VEC(Number) Numbers;

/* `21 x (local; global)` */
typedef struct StepText {
    Number repeat;
    bool layered;
    ReadNames funcs;
    Span at;
} StepText;
typedef VEC(StepText) StepTexts;

typedef struct Reader {
    Ctx *ctx;
    uint32_t pos;     /* lexer: offset of the next byte */
    bool line_ended;  /* lexer: the last token was a newline */
    TypeTable *types; /* of the module, made before it */
    Module *module;
    bool named;      /* a module line was read */
    StepTexts steps; /* resolved at the end, when all functions are known */
    /* of the function that is being read */
    Func *func;
    bool returned, broken; /* broken: its head did not parse, unknown names say nothing */
    bool has_results;
    Decls results;
    VEC(Str) poisoned; /* names whose definition was wrong: no follow-up messages */
} Reader;

/* ---- ir_read.c ------------------------------------------------------------------------------- */

Node *read_node(Reader *r, Node node);
TypeText read_type(Reader *r, ReadName dtype, Numbers dims, Numbers tile, Span at);
void read_module(Reader *r, ReadName name, Items attrs);
void read_schedule(Reader *r, StepTexts steps, Span at);
Module *read_end(Reader *r); /* NULL after diagnostics */

/* ---- ir_read_func.c -------------------------------------------------------------------------- */

void read_func(Reader *r, ReadName name, Decls params);
void read_states(Reader *r, Decls decls);
void read_weights(Reader *r, Decls decls);
void read_results(Reader *r, Decls decls, Span at);
void read_broken_head(Reader *r);
void read_broken_line(Reader *r, Span at); /* its results are poisoned */
void read_return(Reader *r, ReadNames values, Span at);
void read_func_end(Reader *r, Span at);

/* ---- ir_read_op.c ---------------------------------------------------------------------------- */

void read_op(Reader *r, ReadNames results, ReadName op, Items operands, Items attrs,
             TypeTexts types, Span at);

#endif
