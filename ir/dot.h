/* dot.h - a module as a Graphviz graph: one cluster a function, constants in grey, matmuls filled.
 */
#ifndef SINTER_IR_DOT_H
#define SINTER_IR_DOT_H

#include "ir/ir.h"

void ir_print_dot(Buf *b, const Module *m);

#endif
