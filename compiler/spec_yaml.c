/* spec_yaml.c - libyaml events -> the text and place of every key.
 *
 *   rope: {theta: 500000}      ->  raw.value[KEY_ROPE_THETA] = "500000" at its span
 *   rope: 500000               ->  the same: a bare value of a group is its main key's
 *
 * libyaml counts characters, not bytes: marks are converted by walking the UTF-8 text. After an
 * error reading goes on, so that one run finds several. */
#include <yaml.h>

#include <string.h>

#include "compiler/spec_raw.h"

enum { MAX_SPEC_BYTES = 1 << 20, MAX_LIST = 1 << 14, MAX_NAMES = KEY_COUNT + 16 };

typedef struct Reader {
    Ctx *ctx;
    const SpecTable *table;
    uint32_t base;
    const char *text;
    size_t n;
    yaml_parser_t yaml;
    yaml_event_t event;
    bool have_event;
    size_t mark_char, mark_byte; /* a place whose two counts are known */
    RawSpec *raw;
    Span *group_at;     /* [n_groups], hi = 0: not seen */
    bool *names_listed; /* [n_groups + 1], the last for the top: its keys were listed once */
    bool ok, stopped;
} Reader;

/* ---- places ---------------------------------------------------------------------------------- */

static uint32_t offset_of(Reader *r, const yaml_mark_t *mark)
{
    if (mark->index < r->mark_char) {
        r->mark_char = r->mark_byte = 0;
    }
    while (r->mark_char < mark->index && r->mark_byte < r->n) {
        do {
            r->mark_byte++;
        } while (r->mark_byte < r->n && ((unsigned char)r->text[r->mark_byte] & 0xc0) == 0x80);
        r->mark_char++;
    }
    return r->base + (uint32_t)r->mark_byte;
}

static Span event_span(Reader *r)
{
    uint32_t lo = offset_of(r, &r->event.start_mark);
    return (Span){lo, offset_of(r, &r->event.end_mark)};
}

/* ---- events ---------------------------------------------------------------------------------- */

static void report_yaml_error(Reader *r)
{
    const yaml_parser_t *y = &r->yaml;
    Diag *d = r->ctx->diag;
    const char *problem = y->problem != NULL ? y->problem : "not YAML";
    if (y->error == YAML_READER_ERROR) {
        size_t at = y->problem_offset < r->n ? y->problem_offset : r->n;
        diag_error(d, (Span){r->base + (uint32_t)at, r->base + (uint32_t)at + 1}, "%s", problem);
        return;
    }
    uint32_t at = offset_of(r, &y->problem_mark);
    diag_error(d, (Span){at, at + 1}, "%s", problem);
    uint32_t from = offset_of(r, &y->context_mark);
    if (y->context != NULL && from != at) {
        diag_note(d, (Span){from, from + 1}, "%s that starts here", y->context);
    }
}

/* The next event; false at a syntax error, after which there is none. */
static bool next(Reader *r)
{
    if (r->have_event) {
        yaml_event_delete(&r->event);
        r->have_event = false;
    }
    if (r->stopped) {
        return false;
    }
    if (!yaml_parser_parse(&r->yaml, &r->event)) {
        report_yaml_error(r);
        r->ok = false;
        r->stopped = true;
        return false;
    }
    r->have_event = true;
    return true;
}

static bool fail(Reader *r)
{
    r->ok = false;
    return false;
}

/* Passes over the node whose first event is the current one. */
static void skip_node(Reader *r)
{
    int depth = 0;
    do {
        yaml_event_type_t t = r->event.type;
        depth += t == YAML_MAPPING_START_EVENT || t == YAML_SEQUENCE_START_EVENT;
        depth -= t == YAML_MAPPING_END_EVENT || t == YAML_SEQUENCE_END_EVENT;
    } while (depth > 0 && next(r));
}

/* Anchors, aliases and tags have no use in a page of numbers; a silent half-support would be worse.
 */
static bool check_plain(Reader *r)
{
    const yaml_event_t *e = &r->event;
    const yaml_char_t *anchor = NULL, *tag = NULL;
    if (e->type == YAML_ALIAS_EVENT) {
        diag_error(r->ctx->diag, event_span(r), "aliases are not supported, write the value out");
        return fail(r);
    }
    if (e->type == YAML_SCALAR_EVENT) {
        anchor = e->data.scalar.anchor;
        tag = e->data.scalar.tag;
    } else if (e->type == YAML_MAPPING_START_EVENT) {
        anchor = e->data.mapping_start.anchor;
        tag = e->data.mapping_start.tag;
    } else if (e->type == YAML_SEQUENCE_START_EVENT) {
        anchor = e->data.sequence_start.anchor;
        tag = e->data.sequence_start.tag;
    }
    if (anchor != NULL || tag != NULL) {
        diag_error(r->ctx->diag, event_span(r), "%s are not supported, write the plain value",
                   anchor != NULL ? "anchors" : "tags");
        return fail(r);
    }
    return true;
}

static RawText scalar_text(Reader *r)
{
    Span at = event_span(r);
    const char *value = (const char *)r->event.data.scalar.value;
    size_t n = r->event.data.scalar.length;
    RawText t = {.n = n, .at = at, .text = arena_strndup(r->ctx->arena, value, n)};
    t.quoted = r->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    uint32_t lo = at.lo + (t.quoted ? 1 : 0), hi = at.hi - (t.quoted ? 1 : 0);
    if (hi >= lo && hi - lo == n && memcmp(r->text + (lo - r->base), value, n) == 0) {
        t.inner = (Span){lo, hi};
    }
    return t;
}

/* ---- keys ------------------------------------------------------------------------------------ */

static bool is_child(const char *path, const char *prefix)
{
    size_t n = strlen(prefix);
    const char *rest = path;
    if (n > 0) {
        if (strncmp(path, prefix, n) != 0 || path[n] != '.') {
            return false;
        }
        rest += n + 1;
    }
    return strchr(rest, '.') == NULL;
}

static const char *last_part(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot != NULL ? dot + 1 : path;
}

/* The names that may stand in the mapping `prefix`. */
static int children(const SpecTable *t, const char *prefix, const char **name)
{
    int n = 0;
    for (int k = 0; k < t->n_keys; k++) {
        if (is_child(t->key[k].path, prefix)) {
            name[n++] = last_part(t->key[k].path);
        }
    }
    for (int g = 0; g < t->n_groups; g++) {
        if (is_child(t->group[g].path, prefix)) {
            name[n++] = last_part(t->group[g].path);
        }
    }
    return n;
}

static const char *key_elsewhere(const SpecTable *t, const char *name)
{
    for (int k = 0; k < t->n_keys; k++) {
        if (strcmp(last_part(t->key[k].path), name) == 0) {
            return t->key[k].path;
        }
    }
    return NULL;
}

/* ", allowed: a, b, c", the first time that it is asked for a mapping. */
static const char *allowed_names(Reader *r, const char *prefix, const char *const *name, int n)
{
    int g = spec_table_group(r->table, prefix);
    bool *listed = &r->names_listed[g >= 0 ? g : r->table->n_groups];
    Buf all = buf_create(r->ctx->arena);
    for (int i = 0; i < n && !*listed; i++) {
        buf_printf(&all, "%s%s", i == 0 ? ", allowed: " : ", ", name[i]);
    }
    *listed = true;
    return all.data;
}

static void report_unknown_key(Reader *r, const char *prefix, const RawText *key)
{
    const char *name[MAX_NAMES];
    int n = children(r->table, prefix, name);
    const char *where = prefix[0] != '\0' ? prefix : r->table->what;
    const char *near = str_nearest(key->text, name, (size_t)n);
    const char *other = key_elsewhere(r->table, key->text);
    r->ok = false;
    if (near != NULL) {
        diag_error(r->ctx->diag, key->at, "unknown key '%s' in %s, did you mean '%s'?", key->text,
                   where, near);
    } else if (other != NULL) {
        diag_error(r->ctx->diag, key->at, "unknown key '%s' in %s, there is '%s'", key->text, where,
                   other);
    } else {
        diag_error(r->ctx->diag, key->at, "unknown key '%s' in %s%s", key->text, where,
                   allowed_names(r, prefix, name, n));
    }
}

static bool report_duplicate(Reader *r, Span now, Span first, const char *path)
{
    diag_error(r->ctx->diag, now, "'%s' is given twice", path);
    diag_note(r->ctx->diag, first, "first here");
    return fail(r);
}

/* ---- values ---------------------------------------------------------------------------------- */

static void read_list(Reader *r, RawValue *v)
{
    v->is_list = true;
    Span all = event_span(r);
    while (next(r) && r->event.type != YAML_SEQUENCE_END_EVENT) {
        if (!check_plain(r)) {
            skip_node(r);
        } else if (r->event.type != YAML_SCALAR_EVENT) {
            diag_error(r->ctx->diag, event_span(r), "a list of numbers cannot hold another %s",
                       r->event.type == YAML_SEQUENCE_START_EVENT ? "list" : "mapping");
            r->ok = false;
            skip_node(r);
        } else if (v->items.n == MAX_LIST) {
            diag_error(r->ctx->diag, event_span(r), "more than %d numbers in a list", MAX_LIST);
            r->ok = false;
            r->stopped = true;
        } else {
            vec_push(r->ctx->arena, &v->items, scalar_text(r));
        }
    }
    v->at = r->have_event ? (Span){all.lo, event_span(r).hi} : all;
}

static void read_leaf(Reader *r, int k, Span key)
{
    RawValue *v = &r->raw->value[k];
    if (v->given) {
        report_duplicate(r, key, v->key, r->table->key[k].path);
        skip_node(r);
        return;
    }
    v->given = true;
    v->key = key;
    v->at = event_span(r);
    if (r->event.type == YAML_SCALAR_EVENT) {
        v->one = scalar_text(r);
    } else if (r->event.type == YAML_SEQUENCE_START_EVENT) {
        read_list(r, v);
    } else {
        diag_error(r->ctx->diag, v->at, "'%s' is a single value, found a mapping",
                   r->table->key[k].path);
        r->ok = false;
        skip_node(r);
    }
}

static void read_mapping(Reader *r, const char *prefix);

static void read_group(Reader *r, int g, Span key)
{
    const SpecGroupInfo *group = &r->table->group[g];
    if (r->group_at[g].hi != 0) {
        report_duplicate(r, key, r->group_at[g], group->path);
        skip_node(r);
        return;
    }
    r->group_at[g] = key;
    if (r->event.type == YAML_MAPPING_START_EVENT) {
        read_mapping(r, group->path);
    } else if (r->event.type == YAML_SCALAR_EVENT && group->main != NULL) {
        read_leaf(r,
                  spec_table_key(r->table,
                                 arena_printf(r->ctx->arena, "%s.%s", group->path, group->main)),
                  key);
    } else {
        const char *name[MAX_NAMES];
        int n = children(r->table, group->path, name);
        diag_error(r->ctx->diag, event_span(r), "'%s' is a mapping, like {%s: ...%s%s%s}",
                   group->path, name[0], n > 1 ? ", " : "", n > 1 ? name[1] : "",
                   n > 1 ? ": ..." : "");
        r->ok = false;
        skip_node(r);
    }
}

static void read_entry(Reader *r, const char *prefix)
{
    if (!check_plain(r) || r->event.type != YAML_SCALAR_EVENT) {
        if (r->event.type != YAML_SCALAR_EVENT && r->event.type != YAML_ALIAS_EVENT) {
            diag_error(r->ctx->diag, event_span(r), "a key must be a single word");
            r->ok = false;
        }
        skip_node(r);
        if (next(r)) {
            skip_node(r);
        }
        return;
    }
    RawText key = scalar_text(r);
    const char *path =
        prefix[0] == '\0' ? key.text : arena_printf(r->ctx->arena, "%s.%s", prefix, key.text);
    bool known_form = strlen(key.text) == key.n && strchr(key.text, '.') == NULL;
    int k = known_form ? spec_table_key(r->table, path) : -1,
        g = known_form ? spec_table_group(r->table, path) : -1;
    if (k < 0 && g < 0) {
        report_unknown_key(r, prefix, &key);
    }
    if (!next(r)) {
        return;
    }
    if ((k < 0 && g < 0) || !check_plain(r)) {
        skip_node(r);
    } else if (k >= 0) {
        read_leaf(r, k, key.at);
    } else {
        read_group(r, g, key.at);
    }
}

static void read_mapping(Reader *r, const char *prefix)
{
    while (next(r) && r->event.type != YAML_MAPPING_END_EVENT) {
        read_entry(r, prefix);
    }
}

/* ---- the document ---------------------------------------------------------------------------- */

static void read_document(Reader *r)
{
    if (!next(r) || !next(r)) { /* stream start, document start */
        return;
    }
    if (r->event.type == YAML_STREAM_END_EVENT || !next(r)) {
        if (!r->stopped) {
            diag_error(r->ctx->diag, r->raw->top, "%s cannot be empty", r->table->what);
            r->ok = false;
            r->stopped = true;
        }
        return;
    }
    if (!check_plain(r)) {
        return;
    }
    if (r->event.type != YAML_MAPPING_START_EVENT) {
        diag_error(r->ctx->diag, event_span(r), "%s is a mapping of keys to values, like name: x",
                   r->table->what);
        r->ok = false;
        r->stopped = true;
        return;
    }
    read_mapping(r, "");
    if (next(r) && next(r) && r->event.type == YAML_DOCUMENT_START_EVENT) {
        diag_error(r->ctx->diag, event_span(r), "%s is one document, here a second one starts",
                   r->table->what);
        r->ok = false;
        r->stopped = true;
    }
}

static bool starts_with(const char *text, size_t n, const char *mark)
{
    return n >= strlen(mark) && memcmp(text, mark, strlen(mark)) == 0;
}

/* What libyaml would accept and the conversion of places could not follow. */
static bool check_encoding(Ctx *ctx, uint32_t base, const char *text, size_t n)
{
    Span at = {base, base + 1};
    if (n > MAX_SPEC_BYTES) {
        return diag_error(ctx->diag, at, "the file has %zu bytes, at most %d are read", n,
                          MAX_SPEC_BYTES);
    }
    if (starts_with(text, n, "\xff\xfe") || starts_with(text, n, "\xfe\xff")) {
        return diag_error(ctx->diag, at, "the file is UTF-16, save it as UTF-8");
    }
    return true;
}

bool spec_yaml_read(Ctx *ctx, const SpecTable *t, uint32_t base, const char *text, size_t n,
                    RawSpec *raw)
{
    raw->top = (Span){base, base + (n > 0 ? 1 : 0)};
    raw->value = ARENA_ARRAY(ctx->arena, RawValue, t->n_keys);
    if (!check_encoding(ctx, base, text, n)) {
        return false;
    }
    size_t skip = starts_with(text, n, "\xef\xbb\xbf") ? 3 : 0;
    Reader r = {.ctx = ctx, .table = t, .raw = raw, .ok = true};
    r.base = base + (uint32_t)skip;
    r.text = text + skip;
    r.n = n - skip;
    r.group_at = ARENA_ARRAY(ctx->arena, Span, t->n_groups);
    r.names_listed = ARENA_ARRAY(ctx->arena, bool, t->n_groups + 1);
    if (!yaml_parser_initialize(&r.yaml)) {
        BUG("no memory for the YAML parser");
    }
    yaml_parser_set_encoding(&r.yaml, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.yaml, (const unsigned char *)r.text, r.n);
    read_document(&r);
    if (r.have_event) {
        yaml_event_delete(&r.event);
    }
    yaml_parser_delete(&r.yaml);
    raw->partial = r.stopped;
    return r.ok;
}
