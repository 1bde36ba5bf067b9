/* import_config.c - config.json -> the values of a ModelSpec.
 *
 *   fields of the file --tables of the family--> "key: value" texts --spec_from_values--> ModelSpec
 *
 * Every field of the file must be in a table: what is not known could change what is computed. All
 * complaints of a file are collected. */
#include "compiler/import_hf.h"

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/base/file.h"

static const Span nowhere = {0, 0};

struct ConfigReader {
    Ctx *ctx;
    const char *path;
    json_t *root;
    const ModelFamily *family;
    VEC(SpecOverride) values;
};

/* ---- values -----------------------------------------------------------------------------------
 */

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

static const char *text_of_double(const ConfigReader *r, double x)
{
    Buf b = buf_create(r->ctx->arena);
    buf_put_double(&b, x);
    return b.data;
}

static const char *text_of_int(const ConfigReader *r, json_int_t x)
{
    return arena_printf(r->ctx->arena, "%lld", (long long)x);
}

/* The compact JSON text of a value, cut when long. */
static const char *text_of_json(const ConfigReader *r, const json_t *x)
{
    char *dump = json_dumps(x, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
    const char *text = !dump                ? "?"
                       : strlen(dump) <= 60 ? arena_strdup(r->ctx->arena, dump)
                                            : arena_printf(r->ctx->arena, "%.56s ...", dump);
    free(dump);
    return text;
}

static bool refuse(const ConfigReader *r, const char *name, const json_t *x, const char *allowed)
{
    return diag_error(r->ctx->diag, nowhere, "%s: '%s' is %s, but sinter can only do %s", r->path,
                      name, text_of_json(r, x), allowed);
}

static bool set_number(ConfigReader *r, const char *key, const char *name, const json_t *x)
{
    if (!json_is_number(x)) {
        return refuse(r, name, x, "a number");
    }
    config_set(r, key,
               json_is_integer(x) ? text_of_int(r, json_integer_value(x))
                                  : text_of_double(r, json_real_value(x)));
    return true;
}

static bool set_int(ConfigReader *r, const char *key, const char *name, const json_t *x)
{
    if (!json_is_integer(x)) {
        return refuse(r, name, x, "an integer");
    }
    return set_number(r, key, name, x);
}

static bool set_bool(ConfigReader *r, const char *key, const char *name, const json_t *x)
{
    if (!json_is_boolean(x)) {
        return refuse(r, name, x, "true or false");
    }
    config_set(r, key, json_is_true(x) ? "true" : "false");
    return true;
}

/* Several ids that end a text: the first goes into the spec, the tokenizer knows all. */
static bool set_id(ConfigReader *r, const char *key, const char *name, const json_t *x)
{
    const json_t *first = json_is_array(x) ? json_array_get(x, 0) : x;
    if (!json_is_integer(first)) {
        return refuse(r, name, x, "an id or a list of ids");
    }
    return set_number(r, key, name, first);
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
    return refuse(r, name, x, allowed.data);
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
    const char *text = text_of_json(r, x);
    size_t n = strlen(text);
    for (const char *at = strstr(f->to, text); at; at = strstr(at + 1, text)) {
        if ((at == f->to || at[-1] == ' ') && (at[n] == '\0' || at[n] == ' ')) {
            return true;
        }
    }
    return refuse(r, f->name, x, f->to);
}

/* ---- fields -----------------------------------------------------------------------------------
 */

static bool read_value(ConfigReader *r, const ConfigField *f, const json_t *x)
{
    switch (f->rule) {
    case FIELD_IGNORE:
    case FIELD_LATER:
        return true;
    case FIELD_INT:
        return set_int(r, f->to, f->name, x);
    case FIELD_NUM:
        return set_number(r, f->to, f->name, x);
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
        return refuse(r, f->name, x, "a value");
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
                        r->path, name, text_of_json(r, json_object_iter_value(it)),
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
            ok = refuse(r, *name, x, "true or false");
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
            return refuse(r, "architectures", x, "causal language models (...ForCausalLM)");
        }
    }
    return true;
}

/* ---- sliding windows --------------------------------------------------------------------------
 */

/* All layers alike: 'f' full, 's' sliding, 0 no layer_types; -1 after a diagnostic. */
static int uniform_layer_type(const ConfigReader *r)
{
    const json_t *list = json_object_get(r->root, "layer_types");
    int kind = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        int found = text && strcmp(text, "full_attention") == 0      ? 'f'
                    : text && strcmp(text, "sliding_attention") == 0 ? 's'
                                                                     : -1;
        if (found < 0 || (kind && kind != found)) {
            refuse(r, "layer_types", list,
                   "the same type for every layer, full_attention or sliding_attention");
            return -1;
        }
        kind = found;
    }
    return kind;
}

static bool set_window(ConfigReader *r, const json_t *x, int64_t absent)
{
    if (!x && absent > 0) {
        config_set(r, "attention.window", text_of_int(r, absent));
    }
    if (!x || json_is_null(x)) {
        return true;
    }
    return set_int(r, "attention.window", "sliding_window", x);
}

bool config_read_window(ConfigReader *r, int64_t absent)
{
    int type = uniform_layer_type(r);
    if (type < 0 || type == 'f') {
        return type > 0;
    }
    return set_window(r, json_object_get(r->root, "sliding_window"), absent);
}

/* qwen: layers from max_window_layers on slide, those before see everything. */
bool config_read_layer_window(ConfigReader *r)
{
    int type = uniform_layer_type(r);
    if (type < 0) {
        return false;
    }
    if (!config_bool(r, "use_sliding_window", false) || type == 'f') {
        return true;
    }
    const json_t *layers = json_object_get(r->root, "num_hidden_layers");
    const json_t *first = json_object_get(r->root, "max_window_layers");
    json_int_t n = layers ? json_integer_value(layers) : 32;
    json_int_t from = first ? json_integer_value(first) : 28;
    if (type == 0 && from >= n) {
        return true;
    }
    if (type == 0 && from > 0) {
        return refuse(r, "max_window_layers", first,
                      "0 (every layer slides) or at least num_hidden_layers (none does)");
    }
    return set_window(r, json_object_get(r->root, "sliding_window"), 4096);
}

/* ---- rope -------------------------------------------------------------------------------------
 */

enum {
    ROPE_DEFAULT = 1,
    ROPE_LINEAR = 2,
    ROPE_LLAMA3 = 4,
    ROPE_YARN = 8,
    ROPE_LONG = 16,
    ROPE_ANY = 31,
};

static const struct {
    const char *theirs, *ours;
    int bit;
} rope_types[] = {
    {"default", "default", ROPE_DEFAULT}, {"linear", "linear", ROPE_LINEAR},
    {"llama3", "llama3", ROPE_LLAMA3},    {"yarn", "yarn", ROPE_YARN},
    {"longrope", "longrope", ROPE_LONG},  {"su", "longrope", ROPE_LONG},
};

/* Which types of rope take a field, which cannot do without, and where it goes. */
static const struct {
    const char *name, *key;
    int takes, needs;
} rope_fields[] = {
    {"rope_type", NULL, ROPE_ANY, 0},
    {"type", NULL, ROPE_ANY, 0},
    {"rope_theta", "rope.theta", ROPE_ANY, 0},
    {"partial_rotary_factor", "rope.partial", ROPE_ANY, 0},
    {"factor", "rope.scaling.factor", ROPE_LINEAR | ROPE_LLAMA3 | ROPE_YARN | ROPE_LONG,
     ROPE_LINEAR | ROPE_LLAMA3},
    {"original_max_position_embeddings", "rope.scaling.original_context",
     ROPE_LLAMA3 | ROPE_YARN | ROPE_LONG, ROPE_LLAMA3},
    {"low_freq_factor", "rope.scaling.low_freq_factor", ROPE_LLAMA3, ROPE_LLAMA3},
    {"high_freq_factor", "rope.scaling.high_freq_factor", ROPE_LLAMA3, ROPE_LLAMA3},
    {"attention_factor", "rope.scaling.attention_factor", ROPE_YARN | ROPE_LONG, 0},
    {"beta_fast", "rope.scaling.beta_fast", ROPE_YARN, 0},
    {"beta_slow", "rope.scaling.beta_slow", ROPE_YARN, 0},
    {"mscale", NULL, ROPE_YARN, 0},
    {"mscale_all_dim", NULL, ROPE_YARN, 0},
    {"truncate", NULL, ROPE_YARN, 0},
    {"short_factor", NULL, ROPE_LONG, ROPE_LONG},
    {"long_factor", NULL, ROPE_LONG, ROPE_LONG},
};
enum { N_ROPE_FIELDS = sizeof rope_fields / sizeof *rope_fields };

static int rope_type_bit(ConfigReader *r, const json_t *rope)
{
    const json_t *x = json_object_get(rope, "rope_type");
    x = x ? x : json_object_get(rope, "type");
    const char *text = x ? json_string_value(x) : "default";
    for (size_t i = 0; text && i < sizeof rope_types / sizeof *rope_types; i++) {
        if (strcmp(text, rope_types[i].theirs) == 0) {
            config_set(r, "rope.scaling.kind", rope_types[i].ours);
            return rope_types[i].bit;
        }
    }
    refuse(r, "rope_type", x, "default, linear, llama3, yarn, longrope");
    return 0;
}

static int rope_field(const char *name)
{
    for (int i = 0; i < N_ROPE_FIELDS; i++) {
        if (strcmp(name, rope_fields[i].name) == 0) {
            return i;
        }
    }
    return -1;
}

/* Hugging Face lets both weights count only when both are given and not 0. */
static bool set_mscales(ConfigReader *r, const json_t *rope)
{
    const json_t *a = json_object_get(rope, "mscale"), *b = json_object_get(rope, "mscale_all_dim");
    if (json_number_value(a) == 0.0 || json_number_value(b) == 0.0) {
        return true;
    }
    return set_number(r, "rope.scaling.mscale", "mscale", a) &&
           set_number(r, "rope.scaling.mscale_all_dim", "mscale_all_dim", b);
}

static bool set_factor_list(ConfigReader *r, const char *key, const char *name, const json_t *list)
{
    Buf b = buf_create(r->ctx->arena);
    buf_putc(&b, '[');
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *x = json_array_get(list, i);
        if (!json_is_number(x)) {
            return refuse(r, name, list, "a list of numbers");
        }
        buf_puts(&b, i ? ", " : "");
        buf_put_double(&b, json_number_value(x));
    }
    buf_putc(&b, ']');
    config_set(r, key, b.data);
    return json_is_array(list) || refuse(r, name, list, "a list of numbers");
}

static bool read_rope_field(ConfigReader *r, const char *name, const json_t *x, int type)
{
    int i = rope_field(name);
    if (i < 0) {
        return diag_error(r->ctx->diag, nowhere, "%s: unknown rope setting '%s' = %s", r->path,
                          name, text_of_json(r, x));
    }
    /* a field of another type says nothing; null is as good as absent */
    if (json_is_null(x) || !(rope_fields[i].takes & type)) {
        return true;
    }
    if (strcmp(name, "truncate") == 0) {
        return json_is_true(x) || refuse(r, name, x, "true");
    }
    if (strcmp(name, "short_factor") == 0) {
        return set_factor_list(r, "rope.scaling.short_factors", name, x);
    }
    if (strcmp(name, "long_factor") == 0) {
        return set_factor_list(r, "rope.scaling.long_factors", name, x);
    }
    return !rope_fields[i].key || set_number(r, rope_fields[i].key, name, x);
}

static bool check_rope_needs(const ConfigReader *r, const json_t *rope, int type)
{
    bool ok = true;
    for (int i = 0; i < N_ROPE_FIELDS; i++) {
        const json_t *x = json_object_get(rope, rope_fields[i].name);
        if ((rope_fields[i].needs & type) && (!x || json_is_null(x))) {
            ok = diag_error(r->ctx->diag, nowhere, "%s: rope scaling of this type needs '%s'",
                            r->path, rope_fields[i].name);
        }
    }
    return ok;
}

/* yarn and longrope derive the factor from the two contexts when it is not given; it is written
 * down so that a spec with another context keeps it. */
static bool set_rope_factor(ConfigReader *r, const json_t *rope)
{
    const json_t *original = json_object_get(rope, "original_max_position_embeddings");
    const json_t *top = json_object_get(r->root, "original_max_position_embeddings");
    const json_t *context = json_object_get(r->root, "max_position_embeddings");
    original = json_is_integer(original) ? original : json_is_integer(top) ? top : context;
    if (json_is_integer(original)) {
        set_number(r, "rope.scaling.original_context", "original_max_position_embeddings",
                   original);
    } else {
        config_set(r, "rope.scaling.original_context", "context");
    }
    if (json_is_number(json_object_get(rope, "factor")) || !json_is_integer(original) ||
        !json_is_integer(context) || json_integer_value(original) < 1) {
        return true;
    }
    double factor = json_number_value(context) / json_number_value(original);
    config_set(r, "rope.scaling.factor", text_of_double(r, factor < 1 ? 1 : factor));
    return true;
}

static bool read_rope_settings(ConfigReader *r, json_t *rope)
{
    int type = rope_type_bit(r, rope);
    bool ok = type != 0;
    for (void *it = json_object_iter(rope); it; it = json_object_iter_next(rope, it)) {
        ok = read_rope_field(r, json_object_iter_key(it), json_object_iter_value(it), type) && ok;
    }
    ok = check_rope_needs(r, rope, type) && ok;
    if (type == ROPE_YARN) {
        ok = set_mscales(r, rope) && ok;
    }
    if (type == ROPE_YARN || type == ROPE_LONG) {
        ok = set_rope_factor(r, rope) && ok;
    }
    return ok;
}

bool config_read_rope(ConfigReader *r)
{
    const json_t *theta = json_object_get(r->root, "rope_theta");
    const json_t *partial = json_object_get(r->root, "partial_rotary_factor");
    json_t *v4 = json_object_get(r->root, "rope_scaling");
    json_t *v5 = json_object_get(r->root, "rope_parameters");
    v4 = json_is_null(v4) ? NULL : v4;
    v5 = json_is_null(v5) ? NULL : v5;
    bool ok = true;
    if (theta && !json_is_null(theta)) {
        ok = set_number(r, "rope.theta", "rope_theta", theta) && ok;
    }
    if (partial && !json_is_null(partial)) {
        ok = set_number(r, "rope.partial", "partial_rotary_factor", partial) && ok;
    }
    json_t *rope = v5 ? v5 : v4;
    if (rope && !json_is_object(rope)) {
        return refuse(r, v5 ? "rope_parameters" : "rope_scaling", rope, "an object");
    }
    return (!rope || read_rope_settings(r, rope)) && ok;
}

/* ---- the whole --------------------------------------------------------------------------------
 */

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
    *out = *s;
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
