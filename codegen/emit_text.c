/* emit_text.c - pieces of C text: types, identifiers that collide with nothing, shapes, floats,
 * lists broken into lines. */
#include "codegen/emit_parts.h"

#include <ctype.h>
#include <string.h>

const char *emit_ctype(DType t)
{
    switch (t) {
    case DT_F32:
        return "float";
    case DT_BF16:
    case DT_F16:
        return "uint16_t";
    case DT_I32:
        return "int32_t";
    case DT_I8:
        return "int8_t";
    case DT_E4M3:
    case DT_U8:
    case DT_U4:
        return "uint8_t";
    case DT_NONE:
    case DT_COUNT:
        break;
    }
    BUG("dtype %d has no C type", (int)t);
}

/* Words that the templates and C use themselves. */
static bool reserved(const char *s)
{
    static const char *const words[] = {
        "acc",   "run",    "rows",  "thread", "threads", "kv",      "w",      "i",
        "j",     "k",      "n",     "t",      "t0",      "t_end",   "left",   "unit",
        "out",   "slice",  "end",   "to",     "from",    "float",   "int",    "double",
        "for",   "if",     "else",  "do",     "return",  "char",    "long",   "short",
        "const", "static", "void",  "while",  "case",    "break",   "switch", "enum",
        "goto",  "struct", "union", "auto",   "inline",  "clock",   "lap",    "head",
        "tile",  "first",  "K",     "N",      "DIM",     "COLS",    "UNIT",   "UNITS",
        "tiles", "x",      "pos",   "row",    "x_pairs", "x_codes", "x_sum",  "x_unit",
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(words[i], s) == 0) {
            return true;
        }
    }
    return false;
}

static Str sanitised(Ctx *ctx, const char *name)
{
    Buf b = buf_create(ctx->arena);
    if (!isalpha((unsigned char)name[0])) {
        buf_putc(&b, 'v');
    }
    for (const char *s = name; *s != '\0'; s++) {
        buf_putc(&b, isalnum((unsigned char)*s) ? *s : '_');
    }
    return str_intern(ctx->strings, b.data);
}

Str emit_identifier(Ctx *ctx, const char *name)
{
    Str s = sanitised(ctx, name);
    return reserved(s) ? str_internf(ctx->strings, "%s_in", s) : s;
}

Str emit_variable(Ctx *ctx, const char *name)
{
    static const char *const taken[] = {"run", "rows", "w", "kv_at", "thread", "clock", "if", "do"};
    Str s = sanitised(ctx, name);
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
        if (strcmp(s, taken[i]) == 0) {
            return str_internf(ctx->strings, "%s_rows", s);
        }
    }
    bool keyword = strlen(s) > 2 && reserved(s);
    return keyword ? str_internf(ctx->strings, "%s_rows", s) : s;
}

Str emit_shape(Ctx *ctx, const Type *t, bool activation)
{
    Buf b = buf_create(ctx->arena);
    buf_puts(&b, activation ? "(rows" : "(");
    for (int i = activation ? 1 : 0; i < t->rank; i++) {
        buf_printf(&b, "%s%lld", i > 0 ? ", " : "", (long long)t->dim[i]);
    }
    buf_putc(&b, ')');
    if (t->layout.rows > 0) {
        buf_printf(&b, " tile(%d, %d)", t->layout.rows, t->layout.cols);
    }
    return str_intern(ctx->strings, b.data);
}

Str emit_f32(Ctx *ctx, double x)
{
    Buf b = buf_create(ctx->arena);
    buf_put_double(&b, x);
    bool point = strpbrk(b.data, ".en") != NULL;
    buf_puts(&b, point ? "f" : ".0f");
    return str_intern(ctx->strings, b.data);
}

/* Is an item too wide for a line of its own below the head's end? */
static bool too_wide(const Str *item, size_t n, size_t column)
{
    for (size_t i = 0; i < n; i++) {
        if (column + strlen(item[i]) + 1 > EMIT_COLUMNS) {
            return true;
        }
    }
    return false;
}

void emit_wrapped(Buf *b, const char *head, const Str *item, size_t n, int indent, const char *tail)
{
    enum { STEP = 4 };
    size_t column = (size_t)indent + strlen(head);
    bool below = head[0] != '\0' && too_wide(item, n, column);
    size_t under = below ? (size_t)indent + STEP : column;
    const int spaces = (int)under - (head[0] != '\0' ? indent : 0);
    buf_puts(b, head);
    for (size_t i = 0; i < n; i++) {
        size_t width = strlen(item[i]) + (i + 1 < n ? 1 : strlen(tail));
        if (i == 0 ? below : column + 1 + width > EMIT_COLUMNS) {
            buf_printf(b, "\n%*s", spaces, "");
            column = under;
        } else if (i > 0) {
            buf_putc(b, ' ');
            column++;
        }
        buf_printf(b, "%s%s", item[i], i + 1 < n ? "," : tail);
        column += width;
    }
}

void emit_lines(Buf *b, const EmitLine *line, size_t n)
{
    size_t width = 0;
    for (size_t i = 0; i < n; i++) {
        width = strlen(line[i].code) > width ? strlen(line[i].code) : width;
    }
    for (size_t i = 0; i < n; i++) {
        buf_printf(b, "%-*s /* %s */\n", (int)width, line[i].code, line[i].comment);
    }
}
