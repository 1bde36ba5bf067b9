/* import_names.c - the names under which checkpoints keep the weights of the IR.
 *
 * Families that share names share a table. '@' stands for the prefix of the style, which some
 * checkpoints leave out (a bare decoder saved without its head's wrapper), '#' for the layer.
 *
 *   llama   q -> model.layers.7.self_attn.q_proj.weight [out, in]
 *   phi3    q, k, v -> rows of model.layers.7.self_attn.qkv_proj.weight; gate, up: halves of
 * gate_up gpt2    q, k, v -> columns of transformer.h.7.attn.c_attn.weight, a Conv1D, [in, out] opt
 * pos_embedding -> model.decoder.embed_positions.weight without its first two rows */
#include "compiler/import_hf.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/base/file.h"

static const Span nowhere = {0, 0};

/* Which rows (of the matrix as [out, in]) a weight has in its tensor. */
typedef enum Part {
    PART_ALL,
    PART_Q, /* q, k, v one after another */
    PART_K,
    PART_V,
    PART_FIRST_HALF,
    PART_SECOND_HALF,
    PART_POSITIONS, /* as many as the context has, behind position.offset rows */
} Part;

typedef struct NameRow {
    const char *weight, *pattern;
    Part part;
    bool transposed;
} NameRow;

typedef struct NameStyle {
    const char *name;
    const char *prefix[3]; /* ends with NULL */
    const NameRow *rows;   /* ends with weight == NULL */
} NameStyle;

static const NameRow llama_rows[] = {
    {"embedding", "@embed_tokens.weight", PART_ALL, false},
    {"final_norm", "@norm.weight", PART_ALL, false},
    {"head", "lm_head.weight", PART_ALL, false},
    {"attn_norm", "@layers.#.input_layernorm.weight", PART_ALL, false},
    {"q", "@layers.#.self_attn.q_proj.weight", PART_ALL, false},
    {"q_bias", "@layers.#.self_attn.q_proj.bias", PART_ALL, false},
    {"k", "@layers.#.self_attn.k_proj.weight", PART_ALL, false},
    {"k_bias", "@layers.#.self_attn.k_proj.bias", PART_ALL, false},
    {"v", "@layers.#.self_attn.v_proj.weight", PART_ALL, false},
    {"v_bias", "@layers.#.self_attn.v_proj.bias", PART_ALL, false},
    {"o", "@layers.#.self_attn.o_proj.weight", PART_ALL, false},
    {"o_bias", "@layers.#.self_attn.o_proj.bias", PART_ALL, false},
    {"q_norm", "@layers.#.self_attn.q_norm.weight", PART_ALL, false},
    {"k_norm", "@layers.#.self_attn.k_norm.weight", PART_ALL, false},
    {"ffn_norm", "@layers.#.post_attention_layernorm.weight", PART_ALL, false},
    {"gate", "@layers.#.mlp.gate_proj.weight", PART_ALL, false},
    {"gate_bias", "@layers.#.mlp.gate_proj.bias", PART_ALL, false},
    {"up", "@layers.#.mlp.up_proj.weight", PART_ALL, false},
    {"up_bias", "@layers.#.mlp.up_proj.bias", PART_ALL, false},
    {"down", "@layers.#.mlp.down_proj.weight", PART_ALL, false},
    {"down_bias", "@layers.#.mlp.down_proj.bias", PART_ALL, false},
    {NULL, NULL, PART_ALL, false},
};

static const NameRow phi3_rows[] = {
    {"embedding", "@embed_tokens.weight", PART_ALL, false},
    {"final_norm", "@norm.weight", PART_ALL, false},
    {"head", "lm_head.weight", PART_ALL, false},
    {"attn_norm", "@layers.#.input_layernorm.weight", PART_ALL, false},
    {"q", "@layers.#.self_attn.qkv_proj.weight", PART_Q, false},
    {"k", "@layers.#.self_attn.qkv_proj.weight", PART_K, false},
    {"v", "@layers.#.self_attn.qkv_proj.weight", PART_V, false},
    {"o", "@layers.#.self_attn.o_proj.weight", PART_ALL, false},
    {"ffn_norm", "@layers.#.post_attention_layernorm.weight", PART_ALL, false},
    {"gate", "@layers.#.mlp.gate_up_proj.weight", PART_FIRST_HALF, false},
    {"up", "@layers.#.mlp.gate_up_proj.weight", PART_SECOND_HALF, false},
    {"down", "@layers.#.mlp.down_proj.weight", PART_ALL, false},
    {NULL, NULL, PART_ALL, false},
};

static const NameRow gpt2_rows[] = {
    {"embedding", "@wte.weight", PART_ALL, false},
    {"pos_embedding", "@wpe.weight", PART_POSITIONS, false},
    {"final_norm", "@ln_f.weight", PART_ALL, false},
    {"final_norm_bias", "@ln_f.bias", PART_ALL, false},
    {"head", "lm_head.weight", PART_ALL, false},
    {"attn_norm", "@h.#.ln_1.weight", PART_ALL, false},
    {"attn_norm_bias", "@h.#.ln_1.bias", PART_ALL, false},
    {"q", "@h.#.attn.c_attn.weight", PART_Q, true},
    {"q_bias", "@h.#.attn.c_attn.bias", PART_Q, false},
    {"k", "@h.#.attn.c_attn.weight", PART_K, true},
    {"k_bias", "@h.#.attn.c_attn.bias", PART_K, false},
    {"v", "@h.#.attn.c_attn.weight", PART_V, true},
    {"v_bias", "@h.#.attn.c_attn.bias", PART_V, false},
    {"o", "@h.#.attn.c_proj.weight", PART_ALL, true},
    {"o_bias", "@h.#.attn.c_proj.bias", PART_ALL, false},
    {"ffn_norm", "@h.#.ln_2.weight", PART_ALL, false},
    {"ffn_norm_bias", "@h.#.ln_2.bias", PART_ALL, false},
    {"up", "@h.#.mlp.c_fc.weight", PART_ALL, true},
    {"up_bias", "@h.#.mlp.c_fc.bias", PART_ALL, false},
    {"down", "@h.#.mlp.c_proj.weight", PART_ALL, true},
    {"down_bias", "@h.#.mlp.c_proj.bias", PART_ALL, false},
    {NULL, NULL, PART_ALL, false},
};

static const NameRow opt_rows[] = {
    {"embedding", "@embed_tokens.weight", PART_ALL, false},
    {"pos_embedding", "@embed_positions.weight", PART_POSITIONS, false},
    {"embed_project", "@project_in.weight", PART_ALL, false},
    {"head_project", "@project_out.weight", PART_ALL, false},
    {"final_norm", "@final_layer_norm.weight", PART_ALL, false},
    {"final_norm_bias", "@final_layer_norm.bias", PART_ALL, false},
    {"head", "lm_head.weight", PART_ALL, false},
    {"attn_norm", "@layers.#.self_attn_layer_norm.weight", PART_ALL, false},
    {"attn_norm_bias", "@layers.#.self_attn_layer_norm.bias", PART_ALL, false},
    {"q", "@layers.#.self_attn.q_proj.weight", PART_ALL, false},
    {"q_bias", "@layers.#.self_attn.q_proj.bias", PART_ALL, false},
    {"k", "@layers.#.self_attn.k_proj.weight", PART_ALL, false},
    {"k_bias", "@layers.#.self_attn.k_proj.bias", PART_ALL, false},
    {"v", "@layers.#.self_attn.v_proj.weight", PART_ALL, false},
    {"v_bias", "@layers.#.self_attn.v_proj.bias", PART_ALL, false},
    {"o", "@layers.#.self_attn.out_proj.weight", PART_ALL, false},
    {"o_bias", "@layers.#.self_attn.out_proj.bias", PART_ALL, false},
    {"ffn_norm", "@layers.#.final_layer_norm.weight", PART_ALL, false},
    {"ffn_norm_bias", "@layers.#.final_layer_norm.bias", PART_ALL, false},
    {"up", "@layers.#.fc1.weight", PART_ALL, false},
    {"up_bias", "@layers.#.fc1.bias", PART_ALL, false},
    {"down", "@layers.#.fc2.weight", PART_ALL, false},
    {"down_bias", "@layers.#.fc2.bias", PART_ALL, false},
    {NULL, NULL, PART_ALL, false},
};

static const NameStyle styles[] = {
    {"llama", {"model.", "", NULL}, llama_rows},
    {"phi3", {"model.", "", NULL}, phi3_rows},
    {"gpt2", {"transformer.", "", NULL}, gpt2_rows},
    {"opt", {"model.decoder.", "decoder.", NULL}, opt_rows},
};
enum { N_STYLES = sizeof styles / sizeof *styles };

/* Ends of names of buffers that old versions saved: recomputed from the config everywhere. */
static const char *const ignorable[] = {
    ".rotary_emb.inv_freq",   ".attn.bias", ".attn.masked_bias", ".attention.bias",
    ".attention.masked_bias",
};

struct Importer {
    Ctx *ctx;
    const ModelSpec *spec;
    Checkpoint *checkpoint;
    const NameStyle *style;
    const char *prefix;
    bool *used; /* by index in checkpoint->tensors */
};

/* ---- names ----------------------------------------------------------------------------------- */

/* Pattern with prefix and layer put in. */
static const char *expand(Arena *a, const char *pattern, const char *prefix, int layer)
{
    Buf b = buf_create(a);
    for (const char *c = pattern; *c; c++) {
        if (*c == '@') {
            buf_puts(&b, prefix);
        } else if (*c == '#') {
            buf_printf(&b, "%d", layer);
        } else {
            buf_putc(&b, *c);
        }
    }
    return b.data;
}

static int count_names(const Importer *im, const NameStyle *style, const char *prefix)
{
    int n = 0;
    for (const NameRow *row = style->rows; row->weight; row++) {
        const char *name = expand(im->ctx->arena, row->pattern, prefix, 0);
        n += checkpoint_find(im->checkpoint, name) != NULL;
    }
    return n;
}

/* The style and prefix of which most names are there. */
static bool find_style(Importer *im)
{
    int best = 1; /* lm_head.weight alone says nothing */
    for (int i = 0; i < N_STYLES; i++) {
        for (int k = 0; styles[i].prefix[k]; k++) {
            int n = count_names(im, &styles[i], styles[i].prefix[k]);
            if (n > best) {
                best = n;
                im->style = &styles[i];
                im->prefix = styles[i].prefix[k];
            }
        }
    }
    return im->style || diag_error(im->ctx->diag, nowhere,
                                   "%s: tensors are not named as in llama, mistral, qwen, phi3, "
                                   "gpt2 or opt models; the first one is '%s'",
                                   im->checkpoint->path, im->checkpoint->tensors.data[0].name);
}

static const NameRow *find_row(const Importer *im, const char *weight)
{
    for (const NameRow *row = im->style->rows; row->weight; row++) {
        if (strcmp(row->weight, weight) == 0) {
            return row;
        }
    }
    return NULL;
}

/* ---- locate ---------------------------------------------------------------------------------- */

static bool report_missing(const Importer *im, const char *name, int layer, const char *weight)
{
    const char *near = checkpoint_nearest(im->checkpoint, name);
    const char *where =
        layer < 0 ? weight : arena_printf(im->ctx->arena, "layers.%d.%s", layer, weight);
    diag_error(im->ctx->diag, nowhere, "%s: weight %s is missing: no tensor '%s'%s%s%s",
               im->checkpoint->path, where, name, near ? "; the nearest name is '" : "",
               near ? near : "", near ? "'" : "");
    if (strcmp(weight, "head") == 0) {
        diag_note(im->ctx->diag, nowhere,
                  "a model whose head uses the embedding's weights has `tied: true` in its spec");
    }
    return false;
}

static const char *shape_text(Arena *a, int rank, const int64_t *dim)
{
    Buf b = buf_create(a);
    buf_putc(&b, '[');
    for (int i = 0; i < rank; i++) {
        buf_printf(&b, "%s%" PRId64, i ? ", " : "", dim[i]);
    }
    buf_putc(&b, ']');
    return b.data;
}

typedef struct Rows {
    int64_t first, total;
} Rows;

/* Where the expected rows lie in a tensor, and how many rows that must have (-1: at least first +
 * expected). */
static Rows rows_of_part(const ModelSpec *s, Part part, int64_t expected)
{
    int64_t q = s->heads * s->head_dim, kv = s->kv_heads * s->head_dim;
    switch (part) {
    case PART_ALL:
        return (Rows){0, expected};
    case PART_Q:
        return (Rows){0, q + 2 * kv};
    case PART_K:
        return (Rows){q, q + 2 * kv};
    case PART_V:
        return (Rows){q + kv, q + 2 * kv};
    case PART_FIRST_HALF:
        return (Rows){0, 2 * expected};
    case PART_SECOND_HALF:
        return (Rows){expected, 2 * expected};
    case PART_POSITIONS:
        return (Rows){s->position_offset, -1};
    }
    BUG("no such part");
}

/* The shape that the tensor must have, as stored. */
static void wanted_shape(const NameRow *row, const Type *expected, Rows rows, int64_t dim[2])
{
    int64_t n = rows.total < 0 ? rows.first + expected->dim[0] : rows.total;
    dim[0] = row->transposed ? expected->dim[1] : n;
    dim[1] = row->transposed ? n : expected->dim[1];
}

static bool check_shape(const Importer *im, const NameRow *row, const CheckpointTensor *t,
                        const Type *expected, Rows rows)
{
    int64_t want[2];
    wanted_shape(row, expected, rows, want);
    bool ok = t->rank == expected->rank;
    for (int i = 0; ok && i < t->rank; i++) {
        bool at_least = rows.total < 0 && i == 0;
        ok = at_least ? t->dim[i] >= want[i] : t->dim[i] == want[i];
    }
    if (ok) {
        return true;
    }
    Arena *a = im->ctx->arena;
    return diag_error(im->ctx->diag, nowhere,
                      "%s: tensor '%s' has shape %s, but the spec needs %s%s for %s", t->file,
                      t->name, shape_text(a, t->rank, t->dim), rows.total < 0 ? "at least " : "",
                      shape_text(a, expected->rank, want), row->weight);
}

static bool is_float(const CheckpointTensor *t)
{
    return t->dtype == DT_F32 || t->dtype == DT_BF16 || t->dtype == DT_F16;
}

bool import_locate(Importer *im, int layer, Str weight, const Type *expected, WeightRef *out)
{
    const NameRow *row = find_row(im, weight);
    if (!row) {
        return diag_error(im->ctx->diag, nowhere,
                          "%s: the spec needs the weight %s, which checkpoints named like %s do "
                          "not have",
                          im->checkpoint->path, weight, im->style->name);
    }
    const char *name = expand(im->ctx->arena, row->pattern, im->prefix, layer);
    const CheckpointTensor *t = checkpoint_find(im->checkpoint, name);
    if (!t) {
        return report_missing(im, name, layer, weight);
    }
    im->used[t - im->checkpoint->tensors.data] = true;
    if (!is_float(t)) {
        return diag_error(
            im->ctx->diag, nowhere,
            "%s: tensor '%s' has dtype %s, but weights are read from F32, BF16 or F16", t->file,
            name, t->dtype_name);
    }
    Rows rows = rows_of_part(im->spec, row->part, expected->dim[0]);
    if (!check_shape(im, row, t, expected, rows)) {
        return false;
    }
    *out = (WeightRef){.tensor = t,
                       .first = rows.first,
                       .rows = expected->dim[0],
                       .cols = expected->rank > 1 ? expected->dim[1] : 1,
                       .transposed = row->transposed};
    return true;
}

/* ---- what nobody read ------------------------------------------------------------------------ */

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

static bool is_ignorable(const Importer *im, const char *name)
{
    for (size_t i = 0; i < sizeof ignorable / sizeof *ignorable; i++) {
        if (ends_with(name, ignorable[i])) {
            return true;
        }
    }
    bool no_head = im->spec->tied || !im->spec->head;
    return no_head && strcmp(name, "lm_head.weight") == 0;
}

/* Does the name match the pattern with any layer? */
static bool matches(const Importer *im, const char *pattern, const char *name)
{
    const char *hash = strchr(pattern, '#');
    if (!hash) {
        return strcmp(expand(im->ctx->arena, pattern, im->prefix, 0), name) == 0;
    }
    const char *head = arena_strndup(im->ctx->arena, pattern, (size_t)(hash - pattern));
    head = expand(im->ctx->arena, head, im->prefix, 0);
    size_t n = strlen(head),
           digits = strncmp(name, head, n) == 0 ? strspn(name + n, "0123456789") : 0;
    return digits > 0 && strcmp(name + n + digits, hash + 1) == 0;
}

static bool is_family_weight(const Importer *im, const char *name)
{
    for (const NameRow *row = im->style->rows; row->weight; row++) {
        if (matches(im, row->pattern, name)) {
            return true;
        }
    }
    return false;
}

bool import_check_unused(const Importer *im)
{
    const char *weight = NULL, *other = NULL;
    int n_weights = 0, n_others = 0;
    for (size_t i = 0; i < im->checkpoint->tensors.n; i++) {
        const char *name = im->checkpoint->tensors.data[i].name;
        if (im->used[i] || is_ignorable(im, name)) {
            continue;
        }
        if (is_family_weight(im, name)) {
            weight = n_weights++ ? weight : name;
        } else {
            other = n_others++ ? other : name;
        }
    }
    if (other) {
        diag_warning(im->ctx->diag, nowhere, "%s: %d tensors are not used, the first is '%s'",
                     im->checkpoint->path, n_others, other);
    }
    return !weight ||
           diag_error(im->ctx->diag, nowhere,
                      "%s: the spec describes another model: it leaves out %d weights, the first "
                      "is '%s'",
                      im->checkpoint->path, n_weights, weight);
}

/* ---- a config.json beside the checkpoint ----------------------------------------------------- */

/* Keys that say how to run, not what the model is. */
static bool is_choice(const char *key)
{
    static const char *const keys[] = {"name",
                                       "dtype",
                                       "context",
                                       "bos",
                                       "eos",
                                       "head",
                                       "rope.scaling.short_factors",
                                       "rope.scaling.long_factors"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (strcmp(key, keys[i]) == 0) {
            return true;
        }
    }
    return strncmp(key, "quant.", 6) == 0;
}

static const char *value_text(Arena *a, const ModelSpec *s, int key)
{
    const SpecKeyInfo *info = &spec_keys[key];
    const char *field = (const char *)s + info->offset;
    Buf b = buf_create(a);
    switch (info->kind) {
    case SPEC_KIND_INT:
        buf_printf(&b, "%" PRId64, *(const int64_t *)(const void *)field);
        break;
    case SPEC_KIND_NUM:
        buf_put_double(&b, *(const double *)(const void *)field);
        break;
    case SPEC_KIND_BOOL:
        buf_puts(&b, *(const bool *)field ? "true" : "false");
        break;
    case SPEC_KIND_WORD:
        buf_puts(&b, spec_word_text(*(const SpecWord *)(const void *)field));
        break;
    case SPEC_KIND_NAME:
    case SPEC_KIND_NUMS:
        break;
    }
    return b.data ? b.data : "";
}

/* Warns of keys in which the spec differs from the config.json that came with the weights. A config
 * that cannot be imported says nothing. */
static void compare_config(const Importer *im)
{
    Arena *a = im->ctx->arena;
    const char *dir = im->checkpoint->path;
    const char *path = path_join(a, file_is_dir(dir) ? dir : path_dir(a, dir), "config.json");
    Ctx quiet = {.arena = a, .strings = im->ctx->strings, .diag = diag_create(a)};
    ModelSpec theirs = {0};
    if (!file_exists(path) || !import_config(&quiet, path, &theirs)) {
        return;
    }
    for (int key = 0; key < KEY_COUNT; key++) {
        const char *mine = value_text(a, im->spec, key), *other = value_text(a, &theirs, key);
        if (!is_choice(spec_keys[key].path) && strcmp(mine, other) != 0) {
            diag_warning(im->ctx->diag, im->spec->place[key].value,
                         "'%s' is %s in the spec, but %s says %s", spec_keys[key].path, mine, path,
                         other);
        }
    }
}

/* ---- opening --------------------------------------------------------------------------------- */

Importer *import_open(Ctx *ctx, const ModelSpec *spec, const char *path)
{
    Importer *im = ARENA_NEW(ctx->arena, Importer);
    im->ctx = ctx;
    im->spec = spec;
    im->checkpoint = checkpoint_open(ctx, path);
    if (!im->checkpoint) {
        return NULL;
    }
    im->used = ARENA_ARRAY(ctx->arena, bool, im->checkpoint->tensors.n);
    if (!find_style(im)) {
        import_close(im);
        return NULL;
    }
    compare_config(im);
    return im;
}

void import_close(Importer *im)
{
    checkpoint_close(im->checkpoint);
}

void import_forget(const Importer *im)
{
    checkpoint_forget(im->checkpoint);
}
