/* import_config.c - config.json -> the values of a ModelSpec.
 *
 *   fields of the file --tables of the family--> "key: value" texts --spec_from_values--> ModelSpec
 *
 * Every field of the file must be in a table: what is not known could change what is computed. All
 * complaints of a file are collected. */
#include "compiler/import_hf.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/base/file.h"
#include "compiler/import_parts.h"

static const Span nowhere = {0, 0};

/* ---- values ---------------------------------------------------------------------------------- */

void config_set(ConfigReader *r, const char *key, const char *value)
{
    SpecOverride o = {key, value};
    for (size_t i = 0; i < r->values.n; i++) {
        if (strcmp(r->values.data[i].key, key) == 0) {
            r->values.data[i] = o;
            return;
        }
    }
    vec_push(r->ctx->arena, &r->values, o);
}

const char *config_double_text(const ConfigReader *r, double x)
{
    Buf b = buf_create(r->ctx->arena);
    buf_put_double(&b, x);
    return b.data;
}

const char *config_int_text(const ConfigReader *r, json_int_t x)
{
    return arena_printf(r->ctx->arena, "%lld", (long long)x);
}

/* The compact JSON text of a value, cut when long. */
const char *config_json_text(const ConfigReader *r, const json_t *x)
{
    char *dump = json_dumps(x, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
    const char *text = !dump                ? "?"
                       : strlen(dump) <= 60 ? arena_strdup(r->ctx->arena, dump)
                                            : arena_printf(r->ctx->arena, "%.56s ...", dump);
    free(dump);
    return text;
}

bool config_refuse(const ConfigReader *r, const char *name, const json_t *x, const char *allowed)
{
    return diag_error(r->ctx->diag, nowhere, "%s: '%s' is %s, but sinter can only do %s", r->path,
                      name, config_json_text(r, x), allowed);
}

bool config_set_number(ConfigReader *r, const char *key, const char *name, const json_t *x)
{
    if (!json_is_number(x)) {
        return config_refuse(r, name, x, "a number");
    }
    config_set(r, key,
               json_is_integer(x) ? config_int_text(r, json_integer_value(x))
                                  : config_double_text(r, json_real_value(x)));
    return true;
}

bool config_set_int(ConfigReader *r, const char *key, const char *name, const json_t *x)
{
    if (!json_is_integer(x)) {
        return config_refuse(r, name, x, "an integer");
    }
    return config_set_number(r, key, name, x);
}

static bool set_bool(ConfigReader *r, const char *key, const char *name, const json_t *x)
{
    if (!json_is_boolean(x)) {
        return config_refuse(r, name, x, "true or false");
    }
    config_set(r, key, json_is_true(x) ? "true" : "false");
    return true;
}

/* Several ids that end a text: the first goes into the spec, the tokenizer knows all. */
static bool set_id(ConfigReader *r, const char *key, const char *name, const json_t *x)
{
    const json_t *first = json_is_array(x) ? json_array_get(x, 0) : x;
    if (!json_is_integer(first)) {
        return config_refuse(r, name, x, "an id or a list of ids");
    }
    return config_set_number(r, key, name, first);
}

typedef struct WordPair {
    const char *theirs, *ours;
} WordPair;

static bool set_word(ConfigReader *r, const char *key, const char *name, const json_t *x,
                     const WordPair *pairs)
{
    const char *text = json_string_value(x);
    Buf allowed = buf_create(r->ctx->arena);
    for (const WordPair *p = pairs; p->theirs; p++) {
        if (text && strcmp(text, p->theirs) == 0) {
            config_set(r, key, p->ours);
            return true;
        }
        buf_printf(&allowed, "%s%s", p == pairs ? "" : ", ", p->theirs);
    }
    return config_refuse(r, name, x, allowed.data);
}

static const WordPair activation_words[] = {
    {"silu", "silu"},
    {"swish", "silu"},
    {"gelu", "gelu"},
    {"gelu_new", "gelu_tanh"},
    {"gelu_pytorch_tanh", "gelu_tanh"},
    {"gelu_fast", "gelu_tanh"},
    {"relu", "relu"},
    {NULL, NULL},
};

static const WordPair dtype_words[] = {
    {"float32", "f32"},
    {"bfloat16", "bf16"},
    {"float16", "f16"},
    {"torch.float32", "f32"},
    {"torch.bfloat16", "bf16"},
    {"torch.float16", "f16"},
    {NULL, NULL},
};

/* `allowed`: JSON texts separated by spaces. */
static bool check_must(const ConfigReader *r, const ConfigField *f, const json_t *x)
{
    const char *text = config_json_text(r, x);
    size_t n = strlen(text);
    for (const char *at = strstr(f->to, text); at; at = strstr(at + 1, text)) {
        if ((at == f->to || at[-1] == ' ') && (at[n] == '\0' || at[n] == ' ')) {
            return true;
        }
    }
    return config_refuse(r, f->name, x, f->to);
}

/* ---- fields ---------------------------------------------------------------------------------- */

static bool read_value(ConfigReader *r, const ConfigField *f, const json_t *x)
{
    switch (f->rule) {
    case FIELD_IGNORE:
    case FIELD_LATER:
        return true;
    case FIELD_INT:
        return config_set_int(r, f->to, f->name, x);
    case FIELD_NUM:
        return config_set_number(r, f->to, f->name, x);
    case FIELD_BOOL:
        return set_bool(r, f->to, f->name, x);
    case FIELD_ID:
        return set_id(r, f->to, f->name, x);
    case FIELD_ACTIVATION:
        return set_word(r, f->to, f->name, x, activation_words);
    case FIELD_DTYPE:
        return set_word(r, f->to, f->name, x, dtype_words);
    case FIELD_MUST:
        return check_must(r, f, x);
    }
    BUG("field %s has no rule", f->name);
}

static bool read_null(ConfigReader *r, const ConfigField *f, const json_t *x)
{
    if (!f->null && f->rule != FIELD_IGNORE) {
        return config_refuse(r, f->name, x, "a value");
    }
    if (f->null && *f->null && f->to) {
        config_set(r, f->to, f->null);
    }
    return true;
}

static bool read_fields(ConfigReader *r, const ConfigField *fields)
{
    bool ok = true;
    for (const ConfigField *f = fields; f->name; f++) {
        const json_t *x = json_object_get(r->root, f->name);
        if (!x) {
            if (f->absent) {
                config_set(r, f->to, f->absent);
            }
        } else {
            ok = (json_is_null(x) ? read_null(r, f, x) : read_value(r, f, x)) && ok;
        }
    }
    return ok;
}

static bool is_field(const ConfigField *fields, const char *name)
{
    for (; fields->name; fields++) {
        if (strcmp(fields->name, name) == 0) {
            return true;
        }
    }
    return false;
}

static const char *nearest_field(const ConfigReader *r, const char *name)
{
    VEC(const char *) names = {0};
    for (const ConfigField *f = r->family->fields; f->name; f++) {
        vec_push(r->ctx->arena, &names, f->name);
    }
    return str_nearest(name, names.data, names.n);
}

static bool check_unknown(const ConfigReader *r)
{
    bool ok = true;
    for (void *it = json_object_iter(r->root); it; it = json_object_iter_next(r->root, it)) {
        const char *name = json_object_iter_key(it);
        if (is_field(r->family->fields, name) || is_field(config_common_fields, name)) {
            continue;
        }
        const char *near = nearest_field(r, name);
        ok = diag_error(r->ctx->diag, nowhere,
                        "%s: unknown field '%s' = %s for model_type %s%s%s%s; remove it if it "
                        "does not change what the model computes",
                        r->path, name, config_json_text(r, json_object_iter_value(it)),
                        r->family->model_type, near ? ", did you mean '" : "", near ? near : "",
                        near ? "'?" : "");
    }
    return ok;
}

bool config_bool(const ConfigReader *r, const char *name, bool absent)
{
    const json_t *x = json_object_get(r->root, name);
    return json_is_boolean(x) ? json_is_true(x) : absent;
}

/* Fields that a `finish` reads with config_bool. */
static bool check_bools(const ConfigReader *r)
{
    static const char *const names[] = {"use_sliding_window",       "scale_attn_weights",
                                        "do_layer_norm_before",     "enable_bias",
                                        "_remove_final_layer_norm", NULL};
    bool ok = true;
    for (const char *const *name = names; *name; name++) {
        const json_t *x = json_object_get(r->root, *name);
        if (x && !json_is_boolean(x)) {
            ok = config_refuse(r, *name, x, "true or false");
        }
    }
    return ok;
}

/* "LlamaForCausalLM", "GPT2LMHeadModel", "OPTModel": not a classifier. */
static bool check_architectures(const ConfigReader *r)
{
    static const char *const ends[] = {"ForCausalLM", "LMHeadModel", "Model"};
    const json_t *list = json_object_get(r->root, "architectures");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *x = json_array_get(list, i);
        const char *name = json_string_value(x);
        bool known = false;
        for (size_t k = 0; name && k < sizeof ends / sizeof *ends; k++) {
            size_t n = strlen(name), m = strlen(ends[k]);
            known = known || (n >= m && strcmp(name + n - m, ends[k]) == 0);
        }
        if (!known) {
            return config_refuse(r, "architectures", x, "causal language models (...ForCausalLM)");
        }
    }
    return true;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static const ModelFamily *find_family(const ConfigReader *r)
{
    const json_t *type = json_object_get(r->root, "model_type");
    const char *names[16], *text = json_string_value(type);
    Buf all = buf_create(r->ctx->arena);
    for (int i = 0; i < n_model_families; i++) {
        if (text && strcmp(text, model_families[i].model_type) == 0) {
            return &model_families[i];
        }
        names[i] = model_families[i].model_type;
        buf_printf(&all, "%s%s", i ? ", " : "", names[i]);
    }
    const char *near = text ? str_nearest(text, names, (size_t)n_model_families) : NULL;
    diag_error(r->ctx->diag, nowhere, "%s: model_type '%s' cannot be imported%s%s%s; known: %s",
               r->path, text ? text : "(none)", near ? ", did you mean '" : "", near ? near : "",
               near ? "'" : "", all.data);
    return NULL;
}

/* The folder's name with what a spec's name may not hold replaced. */
static const char *model_name(const ConfigReader *r)
{
    char *full = realpath(path_dir(r->ctx->arena, r->path), NULL);
    const char *slash = full ? strrchr(full, '/') : NULL;
    char *name = arena_strndup(r->ctx->arena, slash ? slash + 1 : "", 48);
    free(full);
    for (char *c = name; *c; c++) {
        if (!isalnum((unsigned char)*c) && !strchr("-_.", *c)) {
            *c = '-';
        }
    }
    return isalnum((unsigned char)name[0]) ? name : r->family->model_type;
}

/* ---- a short spec ---------------------------------------------------------------------------- */

static bool same_spec(const ModelSpec *a, const ModelSpec *b)
{
    static const size_t size[] = {sizeof(int64_t), sizeof(double), sizeof(bool), sizeof(SpecWord),
                                  sizeof(Str)};
    for (int k = 0; k < KEY_COUNT; k++) {
        size_t at = spec_keys[k].offset;
        if (spec_keys[k].kind != SPEC_KIND_NUMS &&
            memcmp((const char *)a + at, (const char *)b + at, size[spec_keys[k].kind]) != 0) {
            return false;
        }
    }
    return true;
}

/* A switch or a word; the dtype is always worth saying. */
static bool is_choice(const char *path)
{
    for (int k = 0; k < KEY_COUNT; k++) {
        if (strcmp(spec_keys[k].path, path) == 0) {
            return (spec_keys[k].kind == SPEC_KIND_BOOL || spec_keys[k].kind == SPEC_KIND_WORD) &&
                   k != KEY_DTYPE;
        }
    }
    return false;
}

/* Switches and words that say what holds anyway are left out, one after another; numbers stay. */
static const ModelSpec *shorten(ConfigReader *r, const ModelSpec *s)
{
    Ctx quiet = {r->ctx->arena, r->ctx->strings, diag_create(r->ctx->arena)};
    for (size_t i = r->values.n; i-- > 0;) {
        SpecOverride removed = r->values.data[i];
        if (!is_choice(removed.key)) {
            continue;
        }
        r->values.data[i] = r->values.data[r->values.n - 1];
        const ModelSpec *less =
            spec_from_values(&quiet, r->path, r->values.data, (int)r->values.n - 1);
        if (less && same_spec(less, s)) {
            r->values.n--;
        } else {
            r->values.data[i] = removed;
        }
    }
    return spec_from_values(r->ctx, r->path, r->values.data, (int)r->values.n);
}

static bool read_root(ConfigReader *r, ModelSpec *out)
{
    if (!json_is_object(r->root)) {
        return diag_error(r->ctx->diag, nowhere, "%s: the root is not an object", r->path);
    }
    r->family = find_family(r);
    if (!r->family) {
        return false;
    }
    config_set(r, "name", model_name(r));
    config_set(r, "dtype", "f32"); /* what Hugging Face takes a missing dtype for */
    for (size_t i = 0; r->family->fixed[i][0]; i++) {
        config_set(r, r->family->fixed[i][0], r->family->fixed[i][1]);
    }
    bool ok = check_unknown(r);
    ok = check_architectures(r) && ok;
    ok = check_bools(r) && ok;
    ok = read_fields(r, config_common_fields) && ok;
    ok = read_fields(r, r->family->fields) && ok;
    ok = r->family->finish(r) && ok;
    const ModelSpec *s =
        ok ? spec_from_values(r->ctx, r->path, r->values.data, (int)r->values.n) : NULL;
    if (!s || !spec_check(r->ctx, s)) {
        if (ok) {
            diag_note(r->ctx->diag, nowhere, "the values come from %s", r->path);
        }
        return false;
    }
    *out = *shorten(r, s);
    return true;
}

bool import_config(Ctx *ctx, const char *dir_or_config, ModelSpec *out)
{
    ConfigReader r = {.ctx = ctx, .path = dir_or_config};
    if (file_is_dir(dir_or_config)) {
        r.path = path_join(ctx->arena, dir_or_config, "config.json");
    }
    size_t n = 0;
    const char *text = file_read(ctx->arena, ctx->diag, r.path, &n);
    if (!text) {
        return false;
    }
    json_error_t error;
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error);
    if (!root) {
        return diag_error(ctx->diag, nowhere, "%s:%d:%d: error in the JSON: %s", r.path, error.line,
                          error.column, error.text);
    }
    r.root = root;
    bool ok = read_root(&r, out);
    json_decref(root);
    return ok;
}
