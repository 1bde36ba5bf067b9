/* tokenizer_json.c - reads the JSON with jansson, refuses what the runtime cannot do, writes the
 * blob. */
#include "compiler/tokenizer_json.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/base/file.h"
#include "compiler/base/vec.h"
#include "runtime/tokenizer.h"

enum { MAX_STEPS = 32, MAX_ENDS = 16, VOCAB_LIMIT = 1 << 22 };

/* GPT-2's pattern (https://github.com/openai/gpt-2, encoder.py), the default of ByteLevel. */
static const char gpt2_pattern[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

static const Span nowhere = {0, 0};

typedef struct StepRow {
    uint32_t kind, flags;
    const char *a, *b;
} StepRow;

typedef struct Entry {
    const char *text; /* as in the JSON */
    bool added;
} Entry;

typedef struct Special {
    uint32_t id, flags;
    const char *text;
} Special;

typedef struct Converter {
    Ctx *ctx;
    const char *path;
    json_t *vocab; /* token -> id */
    uint32_t flags, n_vocab;
    Entry *entry; /* [n_vocab] */
    StepRow step[MAX_STEPS];
    int n_steps;
    VEC(Special) special;
    VEC(uint32_t) merges; /* three a merge */
    int32_t bos, eos;
    int32_t end[MAX_ENDS];
    int n_ends;
} Converter;

static bool fail(const Converter *c, const char *what, const char *name)
{
    return diag_error(c->ctx->diag, nowhere, "%s: %s '%s'", c->path, what, name ? name : "(none)");
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static bool true_at(const json_t *object, const char *key, bool absent)
{
    const json_t *x = json_object_get(object, key);
    return x ? json_is_true(x) : absent;
}

static bool add_step(Converter *c, uint32_t kind, uint32_t flags, const char *a, const char *b)
{
    if (c->n_steps == MAX_STEPS) {
        return fail(c, "more normaliser and pre-tokenizer steps than fit at", a);
    }
    c->step[c->n_steps++] = (StepRow){kind, flags, a ? a : "", b ? b : ""};
    return true;
}

static const char *quoted_pattern(const Converter *c, const char *literal)
{
    return arena_printf(c->ctx->arena, "\\Q%s\\E", literal);
}

/* {"Regex": "..."} or {"String": "..."} as a PCRE2 pattern. */
static const char *pattern_of(const Converter *c, const json_t *pattern)
{
    const char *regex = text_of(pattern, "Regex"), *literal = text_of(pattern, "String");
    return regex ? regex : literal ? quoted_pattern(c, literal) : NULL;
}

/* ---- normalisers ----------------------------------------------------------------------------- */

static bool convert_replace(Converter *c, const json_t *n)
{
    const char *from = text_of(json_object_get(n, "pattern"), "String");
    const char *to = text_of(n, "content");
    if (!from || !to) {
        return fail(c, "the normaliser Replace needs a pattern of kind", "String");
    }
    return add_step(c, STEP_REPLACE, 0, from, to);
}

static bool convert_normalizer(Converter *c, const json_t *n, int depth)
{
    static const struct {
        const char *type;
        uint32_t kind;
    } simple[] = {{"NFC", STEP_NFC},
                  {"NFKC", STEP_NFKC},
                  {"NFD", STEP_NFD},
                  {"NFKD", STEP_NFKD},
                  {"Lowercase", STEP_LOWERCASE}};
    const char *type = text_of(n, "type");
    if (!n || json_is_null(n)) {
        return true;
    }
    for (size_t i = 0; type && i < sizeof simple / sizeof *simple; i++) {
        if (strcmp(type, simple[i].type) == 0) {
            return add_step(c, simple[i].kind, 0, NULL, NULL);
        }
    }
    if (type && strcmp(type, "Sequence") == 0 && depth < 8) {
        const json_t *list = json_object_get(n, "normalizers");
        bool ok = true;
        for (size_t i = 0; ok && i < json_array_size(list); i++) {
            ok = convert_normalizer(c, json_array_get(list, i), depth + 1);
        }
        return ok;
    }
    if (type && strcmp(type, "Prepend") == 0 && text_of(n, "prepend")) {
        return add_step(c, STEP_PREPEND, 0, text_of(n, "prepend"), NULL);
    }
    if (type && strcmp(type, "Replace") == 0) {
        return convert_replace(c, n);
    }
    return fail(c, "cannot do the normaliser", type);
}

/* ---- pre-tokenizers -------------------------------------------------------------------------- */

static bool convert_byte_level(Converter *c, const json_t *p)
{
    c->flags |= TOKENIZER_BYTE_LEVEL;
    return (!true_at(p, "add_prefix_space", true) ||
            add_step(c, STEP_PREFIX_SPACE, 0, NULL, NULL)) &&
           (!true_at(p, "use_regex", true) || add_step(c, STEP_SPLIT_REGEX, 0, gpt2_pattern, NULL));
}

static bool convert_split(Converter *c, const json_t *p)
{
    const char *pattern = pattern_of(c, json_object_get(p, "pattern"));
    const char *behavior = text_of(p, "behavior");
    bool inverted = true_at(p, "invert", false);
    if (!pattern) {
        return fail(c, "the pre-tokenizer Split has no pattern in", "pattern");
    }
    bool isolated = behavior && strcmp(behavior, "Isolated") == 0;
    bool matches_kept = behavior && strcmp(behavior, "Removed") == 0 && inverted;
    if (!isolated && !matches_kept) {
        return fail(c, "cannot do the Split behaviour", behavior);
    }
    return add_step(c, STEP_SPLIT_REGEX, 0, pattern, NULL);
}

/* Every space becomes a mark, one is put in front as the scheme says, and a mark begins a piece. */
static bool convert_metaspace(Converter *c, const json_t *p)
{
    const char *scheme = text_of(p, "prepend_scheme"), *mark = text_of(p, "replacement");
    bool always = scheme ? strcmp(scheme, "always") == 0 : true_at(p, "add_prefix_space", true);
    bool first = scheme && strcmp(scheme, "first") == 0;
    mark = mark && *mark ? mark : "\xe2\x96\x81";
    const char *pattern = arena_printf(c->ctx->arena, "\\Q%s\\E[^%s]*|[^%s]+", mark, mark, mark);
    return add_step(c, STEP_REPLACE, 0, " ", mark) &&
           (!always || add_step(c, STEP_PREPEND, 1, mark, NULL)) &&
           (!first || add_step(c, STEP_PREPEND_FIRST, 0, mark, NULL)) &&
           (!true_at(p, "split", true) || add_step(c, STEP_SPLIT_REGEX, 0, pattern, NULL));
}

static bool convert_pre_tokenizer(Converter *c, const json_t *p, int depth)
{
    const char *type = text_of(p, "type");
    if (!p || json_is_null(p)) {
        return true;
    }
    if (type && strcmp(type, "Sequence") == 0 && depth < 8) {
        const json_t *list = json_object_get(p, "pretokenizers");
        bool ok = true;
        for (size_t i = 0; ok && i < json_array_size(list); i++) {
            ok = convert_pre_tokenizer(c, json_array_get(list, i), depth + 1);
        }
        return ok;
    }
    if (type && strcmp(type, "ByteLevel") == 0) {
        return convert_byte_level(c, p);
    }
    if (type && strcmp(type, "Split") == 0) {
        return convert_split(c, p);
    }
    if (type && strcmp(type, "Digits") == 0) {
        uint32_t each = true_at(p, "individual_digits", false);
        return add_step(c, STEP_DIGITS, each, NULL, NULL);
    }
    if (type && strcmp(type, "Metaspace") == 0) {
        return convert_metaspace(c, p);
    }
    return fail(c, "cannot do the pre-tokenizer", type);
}

/* ---- vocabulary and merges ------------------------------------------------------------------- */

static bool check_id(const Converter *c, const char *token, const json_t *id)
{
    if (json_is_integer(id) && json_integer_value(id) >= 0 &&
        json_integer_value(id) < VOCAB_LIMIT) {
        return true;
    }
    return fail(c, "no valid id for the token", token);
}

static bool size_vocabulary(Converter *c, const json_t *added)
{
    const char *token = NULL;
    json_t *id = NULL;
    json_int_t top = -1;
    for (void *it = json_object_iter(c->vocab); it; it = json_object_iter_next(c->vocab, it)) {
        token = json_object_iter_key(it);
        id = json_object_iter_value(it);
        if (!check_id(c, token, id)) {
            return false;
        }
        top = json_integer_value(id) > top ? json_integer_value(id) : top;
    }
    for (size_t i = 0; i < json_array_size(added); i++) {
        const json_t *entry = json_array_get(added, i);
        if (!check_id(c, text_of(entry, "content"), json_object_get(entry, "id"))) {
            return false;
        }
        json_int_t x = json_integer_value(json_object_get(entry, "id"));
        top = x > top ? x : top;
    }
    c->n_vocab = (uint32_t)(top + 1);
    c->entry = ARENA_ARRAY(c->ctx->arena, Entry, c->n_vocab + 1);
    return true;
}

static bool put_entry(Converter *c, const char *text, json_int_t id, bool added)
{
    Entry *e = &c->entry[id];
    if (e->text && strcmp(e->text, text) != 0) {
        return diag_error(c->ctx->diag, nowhere, "%s: the id %lld belongs to '%s' and to '%s'",
                          c->path, (long long)id, e->text, text);
    }
    *e = (Entry){text, added};
    return true;
}

static bool convert_added(Converter *c, const json_t *added)
{
    for (size_t i = 0; i < json_array_size(added); i++) {
        const json_t *t = json_array_get(added, i);
        const char *text = text_of(t, "content");
        json_int_t id = json_integer_value(json_object_get(t, "id"));
        if (!text || !*text || !put_entry(c, text, id, true)) {
            return text && *text ? false : fail(c, "an added token has no", "content");
        }
        if (true_at(t, "single_word", false)) {
            return fail(c, "cannot do single_word of the added token", text);
        }
        Special s = {(uint32_t)id, 0, text};
        s.flags = (true_at(t, "lstrip", false) ? SPECIAL_LSTRIP : 0u) |
                  (true_at(t, "rstrip", false) ? SPECIAL_RSTRIP : 0u) |
                  (true_at(t, "special", false) ? SPECIAL_CONTROL : 0u) |
                  (true_at(t, "normalized", false) ? SPECIAL_NORMALIZED : 0u);
        vec_push(c->ctx->arena, &c->special, s);
    }
    return true;
}

static bool convert_vocabulary(Converter *c, const json_t *added)
{
    if (!size_vocabulary(c, added)) {
        return false;
    }
    for (void *it = json_object_iter(c->vocab); it; it = json_object_iter_next(c->vocab, it)) {
        json_int_t id = json_integer_value(json_object_iter_value(it));
        if (!put_entry(c, json_object_iter_key(it), id, false)) {
            return false;
        }
    }
    return convert_added(c, added);
}

/* A merge is "left right" or ["left", "right"]. */
static bool split_merge(const Converter *c, const json_t *merge, const char **left,
                        const char **right)
{
    if (json_is_array(merge) && json_array_size(merge) == 2) {
        *left = json_string_value(json_array_get(merge, 0));
        *right = json_string_value(json_array_get(merge, 1));
        return *left && *right;
    }
    const char *text = json_string_value(merge);
    const char *space = text && *text ? strchr(text + 1, ' ') : NULL;
    if (!space) {
        return false;
    }
    *left = arena_strndup(c->ctx->arena, text, (size_t)(space - text));
    *right = space + 1;
    return true;
}

static bool convert_merges(Converter *c, const json_t *merges)
{
    for (size_t i = 0; i < json_array_size(merges); i++) {
        const char *part[3] = {NULL, NULL, NULL};
        if (!split_merge(c, json_array_get(merges, i), &part[0], &part[1])) {
            return diag_error(c->ctx->diag, nowhere, "%s: merge %zu is not a pair", c->path, i);
        }
        part[2] = arena_printf(c->ctx->arena, "%s%s", part[0], part[1]);
        for (int k = 0; k < 3; k++) {
            const json_t *id = json_object_get(c->vocab, part[k]);
            if (!json_is_integer(id)) {
                return diag_error(
                    c->ctx->diag, nowhere,
                    "%s: merge %zu makes or uses '%s', which is not in the vocabulary", c->path, i,
                    part[k]);
            }
            vec_push(c->ctx->arena, &c->merges, (uint32_t)json_integer_value(id));
        }
    }
    return true;
}

/* ---- beginning and end ----------------------------------------------------------------------- */

static void add_end(Converter *c, int32_t id)
{
    for (int i = 0; i < c->n_ends; i++) {
        if (c->end[i] == id) {
            return;
        }
    }
    if (id >= 0 && (uint32_t)id < c->n_vocab && c->n_ends < MAX_ENDS) {
        c->end[c->n_ends++] = id;
    }
}

static int32_t id_of_special(const Converter *c, const char *text)
{
    for (size_t i = 0; text && i < c->special.n; i++) {
        if (strcmp(c->special.data[i].text, text) == 0) {
            return (int32_t)c->special.data[i].id;
        }
    }
    return -1;
}

/* TemplateProcessing whose `single` begins with a special token: bos is put first. */
static void convert_post_processor(Converter *c, const json_t *p, int depth)
{
    const char *type = text_of(p, "type");
    if (type && strcmp(type, "Sequence") == 0 && depth < 8) {
        const json_t *list = json_object_get(p, "processors");
        for (size_t i = 0; i < json_array_size(list); i++) {
            convert_post_processor(c, json_array_get(list, i), depth + 1);
        }
    }
    if (type && strcmp(type, "TemplateProcessing") == 0) {
        const json_t *first = json_array_get(json_object_get(p, "single"), 0);
        const char *id = text_of(json_object_get(first, "SpecialToken"), "id");
        if (id_of_special(c, id) >= 0) {
            c->flags |= TOKENIZER_ADD_BOS;
            c->bos = id_of_special(c, id);
        }
    }
}

/* ---- writing --------------------------------------------------------------------------------- */

static void put_u32(Buf *b, uint32_t x)
{
    char bytes[4] = {(char)(x & 255), (char)(x >> 8 & 255), (char)(x >> 16 & 255), (char)(x >> 24)};
    buf_add(b, bytes, sizeof bytes);
}

static void put_bytes(Buf *b, const char *s, size_t n)
{
    put_u32(b, (uint32_t)n);
    buf_add(b, s, n);
    for (; n % 4; n++) {
        buf_putc(b, '\0');
    }
}

/* One character of UTF-8 at *s; advances. Malformed bytes stand for themselves. */
static uint32_t next_char(const unsigned char **s)
{
    const unsigned char *p = *s;
    int more = p[0] >= 0xf0 ? 3 : p[0] >= 0xe0 ? 2 : p[0] >= 0xc0 ? 1 : 0;
    uint32_t x = more == 3 ? p[0] & 7u : more == 2 ? p[0] & 15u : more == 1 ? p[0] & 31u : p[0];
    for (int i = 1; i <= more; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            *s = p + 1;
            return p[0];
        }
        x = x << 6 | (p[i] & 63u);
    }
    *s = p + 1 + more;
    return x;
}

/* GPT-2 shows every byte as a printable character: bytes 33..126, 161..172 and 174..255 as
 * themselves, the other 68, in order, as U+0100... Returns -1 for a character outside that
 * alphabet. */
static int byte_of_char(uint32_t ch)
{
    if ((ch >= 33 && ch <= 126) || (ch >= 161 && ch <= 172) || (ch >= 174 && ch <= 255)) {
        return (int)ch;
    }
    int rank = (int)ch - 256;
    for (int byte = 0; byte < 256 && rank >= 0; byte++) {
        bool printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
        if (!printable && rank-- == 0) {
            return byte;
        }
    }
    return -1;
}

static void put_token(const Converter *c, Buf *b, const Entry *e)
{
    const char *text = e->text ? e->text : "";
    if (e->added || !(c->flags & TOKENIZER_BYTE_LEVEL)) {
        put_bytes(b, text, strlen(text));
        return;
    }
    Buf raw = buf_create(c->ctx->arena);
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        const unsigned char *start = p;
        int byte = byte_of_char(next_char(&p));
        if (byte >= 0) {
            buf_putc(&raw, (char)byte);
        } else {
            buf_add(&raw, (const char *)start, (size_t)(p - start));
        }
    }
    put_bytes(b, raw.data ? raw.data : "", raw.len);
}

static int longest_first(const void *a, const void *b)
{
    const Special *x = a, *y = b;
    size_t n = strlen(x->text), m = strlen(y->text);
    return n != m ? (n < m ? 1 : -1) : x->id < y->id ? -1 : x->id > y->id;
}

static void write_blob(Converter *c, Buf *b)
{
    if (c->special.n) {
        qsort(c->special.data, c->special.n, sizeof *c->special.data, longest_first);
    }
    buf_add(b, "STOK", 4);
    const uint32_t head[] = {1,
                             c->flags,
                             c->n_vocab,
                             (uint32_t)c->bos,
                             (uint32_t)c->eos,
                             (uint32_t)c->n_ends,
                             (uint32_t)(c->merges.n / 3),
                             (uint32_t)c->special.n,
                             (uint32_t)c->n_steps};
    for (size_t i = 0; i < sizeof head / sizeof *head; i++) {
        put_u32(b, head[i]);
    }
    for (int i = 0; i < c->n_ends; i++) {
        put_u32(b, (uint32_t)c->end[i]);
    }
    for (uint32_t i = 0; i < c->n_vocab; i++) {
        put_token(c, b, &c->entry[i]);
    }
    for (size_t i = 0; i < c->merges.n; i++) {
        put_u32(b, c->merges.data[i]);
    }
    for (size_t i = 0; i < c->special.n; i++) {
        put_u32(b, c->special.data[i].id);
        put_u32(b, c->special.data[i].flags);
        put_bytes(b, c->special.data[i].text, strlen(c->special.data[i].text));
    }
    for (int i = 0; i < c->n_steps; i++) {
        put_u32(b, c->step[i].kind);
        put_u32(b, c->step[i].flags);
        put_bytes(b, c->step[i].a, strlen(c->step[i].a));
        put_bytes(b, c->step[i].b, strlen(c->step[i].b));
    }
}

/* ---- the whole ------------------------------------------------------------------------------- */

static bool convert_model(Converter *c, const json_t *root)
{
    const json_t *model = json_object_get(root, "model");
    const char *type = text_of(model, "type");
    const json_t *merges = json_object_get(model, "merges");
    c->vocab = json_object_get(model, "vocab");
    if ((type && strcmp(type, "BPE") != 0) || !json_is_object(c->vocab) || !json_is_array(merges)) {
        return fail(c, "only BPE models with vocab and merges can be used, not", type);
    }
    static const char *const unsupported[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    for (size_t i = 0; i < 2; i++) {
        const char *x = text_of(model, unsupported[i]);
        if (x && *x) {
            return fail(c, "cannot do the BPE setting", unsupported[i]);
        }
    }
    c->flags |= (true_at(model, "byte_fallback", false) ? TOKENIZER_BYTE_FALLBACK : 0u) |
                (true_at(model, "ignore_merges", false) ? TOKENIZER_IGNORE_MERGES : 0u);
    return convert_vocabulary(c, json_object_get(root, "added_tokens")) &&
           convert_merges(c, merges);
}

static bool convert_root(Converter *c, const json_t *root)
{
    if (!convert_normalizer(c, json_object_get(root, "normalizer"), 0) ||
        !convert_pre_tokenizer(c, json_object_get(root, "pre_tokenizer"), 0) ||
        !convert_model(c, root)) {
        return false;
    }
    convert_post_processor(c, json_object_get(root, "post_processor"), 0);
    return true;
}

bool tokenizer_json_convert(Ctx *ctx, const char *path, const char *text, size_t n, int32_t bos,
                            const int32_t *ends, int n_ends, Buf *blob)
{
    Converter c = {.ctx = ctx, .path = path, .bos = -1, .eos = -1};
    json_error_t error;
    json_t *root = json_loadb(text, n, 0, &error);
    if (!root) {
        return diag_error(ctx->diag, nowhere, "%s:%d:%d: %s", path, error.line, error.column,
                          error.text);
    }
    bool ok = json_is_object(root) ? convert_root(&c, root) : fail(&c, "the root is no", "object");
    if (ok) {
        c.bos = bos >= 0 && (uint32_t)bos < c.n_vocab ? bos : c.bos;
        for (int i = 0; i < n_ends; i++) {
            add_end(&c, ends[i]);
        }
        c.eos = c.n_ends ? c.end[0] : -1;
        write_blob(&c, blob);
    }
    json_decref(root);
    return ok;
}

/* "key": 2 or "key": [2, 3] of one of the neighbours, behind those already found. */
static int read_ids(Ctx *ctx, const char *dir, const char *file, const char *key, int32_t *ids,
                    int n)
{
    json_t *root = json_load_file(path_join(ctx->arena, dir, file), 0, NULL);
    const json_t *x = json_object_get(root, key);
    if (json_is_integer(x) && n < MAX_ENDS) {
        ids[n++] = (int32_t)json_integer_value(x);
    }
    for (size_t i = 0; i < json_array_size(x) && n < MAX_ENDS; i++) {
        ids[n++] = (int32_t)json_integer_value(json_array_get(x, i));
    }
    json_decref(root);
    return n;
}

bool tokenizer_json_pack(Ctx *ctx, const char *dir, Buf *blob, bool *found)
{
    const char *path = path_join(ctx->arena, dir, "tokenizer.json");
    *found = file_is_dir(dir) && file_exists(path);
    if (!*found) {
        return true;
    }
    size_t n = 0;
    const char *text = file_read(ctx->arena, ctx->diag, path, &n);
    int32_t bos[MAX_ENDS] = {-1}, ends[MAX_ENDS];
    int n_ends = read_ids(ctx, dir, "config.json", "eos_token_id", ends, 0);
    n_ends = read_ids(ctx, dir, "generation_config.json", "eos_token_id", ends, n_ends);
    int32_t first = read_ids(ctx, dir, "config.json", "bos_token_id", bos, 0) ? bos[0] : -1;
    return text && tokenizer_json_convert(ctx, path, text, n, first, ends, n_ends, blob);
}
