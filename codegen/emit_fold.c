/* emit_fold.c - lines that what was put into a template has made too long, broken as a reader
 * would: behind an assignment, else behind a comma or an operator with as few brackets around it as
 * possible, what follows below the bracket it stands in. */
#include <string.h>

#include "codegen/emit_parts.h"

enum { MAX_DEPTH = 32, STEP = 4 };

/* Where a line may be broken: text from `at` on goes to a line of its own, at column `under`. */
typedef struct Fold {
    int at, under, depth, rank; /* rank: of two at one depth the higher one */
} Fold;

typedef struct Scan {
    const char *line;
    int n, indent, depth;
    int under[MAX_DEPTH]; /* of each open bracket, the column behind it; [0]: of none */
} Scan;

/* Bytes from the space in front of a binary operator to where a line may begin: behind it, but with
 * the ? or : of a choice. 0: there is none. */
static int operator_at(const char *s)
{
    static const char *const all[] = {" + ",  " - ",  " * ", " / ",  " % ",  " & ",
                                      " >> ", " << ", " < ", " && ", " || ", " | "};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (strncmp(s, all[i], strlen(all[i])) == 0) {
            return (int)strlen(all[i]);
        }
    }
    return strncmp(s, " ? ", 3) == 0 || strncmp(s, " : ", 3) == 0;
}

static void step_over(Scan *s, int i)
{
    char c = s->line[i];
    if ((c == '(' || c == '[' || c == '{') && s->depth + 1 < MAX_DEPTH) {
        s->under[++s->depth] = i + 1;
    } else if ((c == ')' || c == ']' || c == '}') && s->depth > 0) {
        s->depth--;
    }
}

/* The break that character i allows; at 0: none. */
static Fold fold_at(const Scan *s, int i)
{
    const char *p = s->line + i;
    Fold f = {.depth = s->depth, .under = s->under[s->depth]};
    if (strncmp(p, ", ", 2) == 0) {
        f.at = i + 2, f.rank = 2;
    } else if (s->depth == 0 && strncmp(p, " = ", 3) == 0) {
        f.at = i + 3, f.under = s->indent + STEP;
        f.rank = f.under + s->n - f.at <= EMIT_COLUMNS ? 3 : 0;
    } else if (i > s->indent && operator_at(p) > 0) {
        f.at = i + operator_at(p), f.rank = 1;
        f.under = s->depth > 0 ? f.under : s->indent + STEP;
    }
    return f;
}

static bool better(const Fold *a, const Fold *b)
{
    if (b->at == 0 || a->depth != b->depth) {
        return b->at == 0 || a->depth < b->depth;
    }
    return a->rank >= b->rank;
}

/* at 0: the line has no place to break it at. */
static Fold find_fold(const char *line, int n)
{
    Scan s = {.line = line, .n = n, .indent = (int)strspn(line, " ")};
    Fold best = {0};
    s.under[0] = s.indent;
    for (int i = s.indent; i < n; i++) {
        step_over(&s, i);
        Fold f = fold_at(&s, i);
        bool fits = f.at > 0 && f.at - 1 <= EMIT_COLUMNS && f.at < n && f.at > f.under;
        if (fits && better(&f, &best)) {
            best = f;
        }
    }
    return best;
}

/* Puts what the line has too much in front of it; returns the rest, which may be all of it. */
static const char *fold_line(Arena *a, Buf *to, const char *line)
{
    Fold f;
    int n = (int)strlen(line);
    while (n > EMIT_COLUMNS && (f = find_fold(line, n)).at > 0) {
        buf_printf(to, "%.*s\n", f.at - 1, line);
        line = arena_printf(a, "%*s%s", f.under, "", line + f.at);
        n = (int)strlen(line);
    }
    return line;
}

/* A list that goes on in `next`, below the rest of a folded line: they are filled together. */
static bool goes_on(const char *rest, const char *next)
{
    size_t n = strlen(rest);
    return n > 0 && rest[n - 1] == ',' && strspn(rest, " ") == strspn(next, " ");
}

/* Does the line leave a comment open that it was in, or has begun? */
static bool in_comment(const char *line, int n, bool before)
{
    bool in = before;
    for (int i = 0; i + 1 < n; i++) {
        if (!in && line[i] == '/' && line[i + 1] == '*') {
            in = true;
        } else if (in && line[i] == '*' && line[i + 1] == '/') {
            in = false;
        }
    }
    return in;
}

void emit_folded(Arena *a, Buf *to, const char *text)
{
    bool comment = false;
    const char *rest = NULL; /* of a folded line */
    while (*text != '\0') {
        int n = (int)strcspn(text, "\n");
        bool after = in_comment(text, n, comment);
        bool as_it_is = comment || after || memchr(text, '"', (size_t)n) != NULL || *text == '#';
        const char *line = arena_printf(a, "%.*s", n, text);
        if (rest != NULL && !as_it_is && goes_on(rest, line)) {
            line = arena_printf(a, "%s %s", rest, line + strspn(line, " "));
        } else if (rest != NULL) {
            buf_printf(to, "%s\n", rest);
        }
        rest = as_it_is ? line : fold_line(a, to, line);
        if (rest == line) {
            buf_printf(to, "%s\n", rest);
            rest = NULL;
        }
        comment = after;
        text += n + (text[n] == '\n');
    }
    if (rest != NULL) {
        buf_printf(to, "%s\n", rest);
    }
}
