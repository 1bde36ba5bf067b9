/* ops_help.c - `sinter opt --help-ops [--markdown]`: every operator with its operands, attributes
 * and meaning, from ops.def, attrs.def, exprs.def and dtypes.def, so that the reference cannot rot.
 */
#include "ir/ops_help.h"

#include <string.h>

#include "ir/ir_text.h"

/* "x w w_scale? w_zero? ..." */
static void put_operands(Buf *b, OpKind k)
{
    int n = op_slots(k);
    for (int i = 0; i < n; i++) {
        buf_printf(b, "%s%s%s", i ? " " : "", op_slot_name(k, i),
                   op_slot_optional(k, i) ? "?" : "");
    }
    if (op_variadic(k)) {
        buf_puts(b, n ? " ..." : "...");
    }
}

static void put_attrs(Buf *b, OpKind k)
{
    const char *before = "";
    for (int i = 0; i < ATTR_COUNT; i++) {
        if (op_takes_attr(k, (AttrId)i)) {
            buf_printf(b, "%s%s", before, attr_name((AttrId)i));
            before = " ";
        }
    }
    if (op_expr_attr(k) != NULL) {
        buf_printf(b, "%s%s", before, op_expr_attr(k));
    }
}

/* "const view element": the flags that a reader of a graph wants to know. */
static void put_flags(Buf *b, OpKind k)
{
    static const struct {
        int flag;
        const char *word;
    } rows[] = {
        {OPF_CONST, "constant"}, {OPF_VIEW, "view"},   {OPF_ELEMENT, "elementwise"},
        {OPF_STATE, "state"},    {OPF_ROWWISE, "row"},
    };
    const char *before = "";
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (op_flags(k) & rows[i].flag) {
            buf_printf(b, "%s%s", before, rows[i].word);
            before = " ";
        }
    }
}

/* Text in a cell of a table: '|' would end it. */
static void put_cell(Buf *b, const char *s)
{
    for (; *s != '\0'; s++) {
        buf_puts(b, *s == '|' ? "\\|" : (char[]){*s, '\0'});
    }
}

static const char *const attr_kind_text[] = {
    [AK_F64] = "number",   [AK_INT] = "integer", [AK_INTS] = "integers",
    [AK_F64S] = "numbers", [AK_DTYPE] = "dtype", [AK_WORD] = "word",
};

typedef struct NamedDoc {
    const char *name, *extra, *doc;
} NamedDoc;

static const NamedDoc exprs[] = {
#define EXPR(id, name, arity, doc) {name, #arity, doc},
#include "ir/exprs.def"
#undef EXPR
};

static const NamedDoc dtypes[] = {
#define DTYPE(id, name, bits, is_float, doc) {name, #bits, doc},
#include "ir/dtypes.def"
#undef DTYPE
};

static void put_row(Buf *b, const NamedDoc *d)
{
    buf_printf(b, "| `%s` | %s | ", d->name, d->extra);
    put_cell(b, d->doc);
    buf_puts(b, " |\n");
}

static void put_op_row(Buf *b, OpKind k)
{
    buf_printf(b, "| `%s` | ", op_name(k));
    put_operands(b, k);
    buf_puts(b, " | ");
    put_attrs(b, k);
    buf_puts(b, " | ");
    put_flags(b, k);
    buf_puts(b, " | ");
    put_cell(b, op_doc(k));
    buf_puts(b, " |\n");
}

static void put_markdown(Buf *b)
{
    buf_puts(b, "### Operators\n\n| operator | operands | attributes | flags | result |\n"
                "|---|---|---|---|---|\n");
    for (int k = OP_NONE + 1; k < OP_COUNT; k++) {
        put_op_row(b, (OpKind)k);
    }
    buf_puts(b, "\n### Attributes\n\n| attribute | kind | meaning |\n|---|---|---|\n");
    for (int i = 0; i < ATTR_COUNT; i++) {
        NamedDoc d = {attr_name((AttrId)i), attr_kind_text[attr_kind((AttrId)i)],
                      attr_doc((AttrId)i)};
        put_row(b, &d);
    }
    buf_puts(b, "\n### Expressions\n\n| function | operands | meaning |\n|---|---|---|\n");
    for (size_t i = 0; i < sizeof exprs / sizeof exprs[0]; i++) {
        put_row(b, &exprs[i]);
    }
    buf_puts(b, "\n### Dtypes\n\n| dtype | bits | meaning |\n|---|---|---|\n");
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
        put_row(b, &dtypes[i]);
    }
}

static void put_text(Buf *b)
{
    for (int k = OP_NONE + 1; k < OP_COUNT; k++) {
        buf_printf(b, "%s ", op_name((OpKind)k));
        put_operands(b, (OpKind)k);
        buf_printf(b, "\n    %s\n", op_doc((OpKind)k));
        if (op_attr_mask((OpKind)k) != 0 || op_expr_attr((OpKind)k) != NULL) {
            buf_puts(b, "    attributes: ");
            put_attrs(b, (OpKind)k);
            buf_putc(b, '\n');
        }
    }
}

void ops_help_print(Buf *b, bool markdown)
{
    if (markdown) {
        put_markdown(b);
    } else {
        put_text(b);
    }
}
