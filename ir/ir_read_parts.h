/* ir_read_parts.h - what the files of the reader share; not for others.
 *
 *   ir_read.c       types, the module line, the schedule
 *   ir_read_func.c  a function: names, head, return
 *   ir_read_op.c    a line of it: operands, expressions, attributes, types */
#ifndef SINTER_IR_IR_READ_PARTS_H
#define SINTER_IR_IR_READ_PARTS_H

#include "ir/ir_read.h"

/* ---- ir_read.c ------------------------------------------------------------------------------- */

Diag *read_diag(const Reader *r);
/* ", did you mean '%gate'?" with `sigil` before the name; "" when `near` is NULL. */
const char *read_suggestion(Reader *r, const char *sigil, const char *near);
/* A function without a module line before it: one message, then on with a nameless module. */
void read_need_module(Reader *r, Span at);

/* ---- ir_read_func.c -------------------------------------------------------------------------- */

/* No messages about `name` from here to the end of the function. */
void read_poison(Reader *r, Str name);
/* 0 after a diagnostic here or at the name's definition. */
ValueId read_find_value(Reader *r, ReadName name);
/* May `name` be defined here: is it an identifier, and free? False after a diagnostic. */
bool read_check_new_name(Reader *r, ReadName name);

#endif
