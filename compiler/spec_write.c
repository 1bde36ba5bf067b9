/* spec_write.c - ModelSpec -> YAML: the keys that were given, in the order of spec.def. A group is
 * one line in braces; one with lists is written in block form, a list on lines of its own. */
#include <inttypes.h>
#include <string.h>

#include "compiler/spec.h"

enum { LIST_PER_LINE = 8 };

static const void *field(const ModelSpec *s, int k)
{
    return (const char *)s + spec_keys[k].offset;
}

static void put_list(Buf *b, const DoubleList *list, const char *indent)
{
    buf_putc(b, '[');
    for (int i = 0; i < list->n; i++) {
        if (i % LIST_PER_LINE == 0 && list->n > LIST_PER_LINE) {
            buf_printf(b, "%s\n%s  ", i > 0 ? "," : "", indent);
        } else if (i > 0) {
            buf_puts(b, ", ");
        }
        buf_put_double(b, list->v[i]);
    }
    buf_putc(b, ']');
}

static void put_value(Buf *b, const ModelSpec *s, int k, const char *indent)
{
    const void *p = field(s, k);
    switch (spec_keys[k].kind) {
    case SPEC_KIND_INT:
        buf_printf(b, "%" PRId64, *(const int64_t *)p);
        break;
    case SPEC_KIND_NUM:
        buf_put_double(b, *(const double *)p);
        break;
    case SPEC_KIND_BOOL:
        buf_puts(b, *(const bool *)p ? "true" : "false");
        break;
    case SPEC_KIND_WORD:
        buf_puts(b, spec_word_text(*(const SpecWord *)p));
        break;
    case SPEC_KIND_NAME:
        buf_puts(b, *(Str const *)p);
        break;
    case SPEC_KIND_NUMS:
        put_list(b, p, indent);
        break;
    }
}

/* "rope.scaling.kind" is inside of "rope" and of "rope.scaling". */
static bool is_inside(const char *path, const char *group)
{
    size_t n = strlen(group);
    return n == 0 || (strncmp(path, group, n) == 0 && path[n] == '.');
}

static bool group_has(const ModelSpec *s, const char *group, bool lists_only)
{
    for (int k = 0; k < KEY_COUNT; k++) {
        if (s->place[k].given && is_inside(spec_keys[k].path, group) &&
            (!lists_only || spec_keys[k].kind == SPEC_KIND_NUMS)) {
            return true;
        }
    }
    return false;
}

/* The group one level below `group` that holds the key, or -1: the key stands in `group` itself. */
static int subgroup_of(const char *path, const char *group)
{
    for (int g = 0; g < n_spec_groups; g++) {
        const char *sub = spec_groups[g].path;
        const char *rest = sub + (group[0] != '\0' ? strlen(group) + 1 : 0);
        if (strcmp(sub, group) != 0 && is_inside(sub, group) && strchr(rest, '.') == NULL &&
            is_inside(path, sub)) {
            return g;
        }
    }
    return -1;
}

static const char *last_part(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot != NULL ? dot + 1 : path;
}

static void put_group(Buf *b, const ModelSpec *s, const char *group, const char *indent);

static void put_flow(Buf *b, const ModelSpec *s, const char *group)
{
    bool done[32] = {false}, first = true;
    buf_putc(b, '{');
    for (int k = 0; k < KEY_COUNT; k++) {
        int g = subgroup_of(spec_keys[k].path, group);
        if (!s->place[k].given || !is_inside(spec_keys[k].path, group) || (g >= 0 && done[g])) {
            continue;
        }
        buf_puts(b, first ? "" : ", ");
        first = false;
        if (g >= 0) {
            done[g] = true;
            buf_printf(b, "%s: ", last_part(spec_groups[g].path));
            put_flow(b, s, spec_groups[g].path);
        } else {
            buf_printf(b, "%s: ", last_part(spec_keys[k].path));
            put_value(b, s, k, "");
        }
    }
    buf_putc(b, '}');
}

static void put_subgroup(Buf *b, const ModelSpec *s, int g, const char *indent)
{
    const char *path = spec_groups[g].path;
    buf_printf(b, "%s%s:", indent, last_part(path));
    if (group_has(s, path, true)) {
        buf_putc(b, '\n');
        put_group(b, s, path, arena_printf(b->arena, "%s  ", indent));
    } else {
        buf_putc(b, ' ');
        put_flow(b, s, path);
        buf_putc(b, '\n');
    }
}

static void put_group(Buf *b, const ModelSpec *s, const char *group, const char *indent)
{
    bool done[32] = {false};
    for (int k = 0; k < KEY_COUNT; k++) {
        int g = subgroup_of(spec_keys[k].path, group);
        if (!s->place[k].given || !is_inside(spec_keys[k].path, group) || (g >= 0 && done[g])) {
            continue;
        }
        if (g >= 0) {
            done[g] = true;
            put_subgroup(b, s, g, indent);
        } else {
            buf_printf(b, "%s%s: ", indent, last_part(spec_keys[k].path));
            put_value(b, s, k, indent);
            buf_putc(b, '\n');
        }
    }
}

void spec_write(Buf *b, const ModelSpec *s)
{
    put_group(b, s, "", "");
}
