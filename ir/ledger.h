/* ledger.h - what every rule and pass did at every site: fired, or the first condition that failed,
 * in words; bytes of memory traffic, launches and roofline time before and after. */
#ifndef SINTER_IR_LEDGER_H
#define SINTER_IR_LEDGER_H

#include "ir/cost.h"

typedef struct LedgerEntry {
    Str pass; /* the pass that ran the rule */
    Str rule;
    Str func;
    Str site; /* name of the root value matched, e.g. "h" */
    bool fired;
    Str reason;                           /* not fired: "%g has 2 uses (single_use(%g))" */
    Cost before, after;                   /* of the function, per call */
    double seconds_before, seconds_after; /* on the device; 0 without one */
} LedgerEntry;

typedef struct Ledger {
    Arena *arena;
    VEC(LedgerEntry) entries;
} Ledger;

void ledger_add(Ledger *l, LedgerEntry e);  /* an equal not-fired entry is kept once */
void ledger_print(Buf *b, const Ledger *l); /* the table, sums at the end */

#endif
