/* ops_help.h - the reference of the IR, made from its tables. */
#ifndef SINTER_IR_OPS_HELP_H
#define SINTER_IR_OPS_HELP_H

#include "ir/ir.h"

/* Operators, attributes, expressions and dtypes: as text, or as the tables of docs/ir.md. */
void ops_help_print(Buf *b, bool markdown);

#endif
