/* import_rope.c - the parts of config.json that need more than a table: sliding windows by layer,
 * and rope settings in the forms of transformers 4 (rope_theta, rope_scaling) and 5
 * (rope_parameters). */
#include <string.h>

#include "compiler/import_parts.h"

static const Span nowhere = {0, 0};

/* ---- sliding windows ------------------------------------------------------------------------- */

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
            config_refuse(r, "layer_types", list,
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
        config_set(r, "attention.window", config_int_text(r, absent));
    }
    if (!x || json_is_null(x)) {
        return true;
    }
    return config_set_int(r, "attention.window", "sliding_window", x);
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
        return config_refuse(r, "max_window_layers", first,
                             "0 (every layer slides) or at least num_hidden_layers (none does)");
    }
    return set_window(r, json_object_get(r->root, "sliding_window"), 4096);
}

/* ---- rope ------------------------------------------------------------------------------------ */

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
    config_refuse(r, "rope_type", x, "default, linear, llama3, yarn, longrope");
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
    return config_set_number(r, "rope.scaling.mscale", "mscale", a) &&
           config_set_number(r, "rope.scaling.mscale_all_dim", "mscale_all_dim", b);
}

static bool set_factor_list(ConfigReader *r, const char *key, const char *name, const json_t *list)
{
    Buf b = buf_create(r->ctx->arena);
    buf_putc(&b, '[');
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *x = json_array_get(list, i);
        if (!json_is_number(x)) {
            return config_refuse(r, name, list, "a list of numbers");
        }
        buf_puts(&b, i ? ", " : "");
        buf_put_double(&b, json_number_value(x));
    }
    buf_putc(&b, ']');
    config_set(r, key, b.data);
    return json_is_array(list) || config_refuse(r, name, list, "a list of numbers");
}

static bool read_rope_field(ConfigReader *r, const char *name, const json_t *x, int type)
{
    int i = rope_field(name);
    if (i < 0) {
        return diag_error(r->ctx->diag, nowhere, "%s: unknown rope setting '%s' = %s", r->path,
                          name, config_json_text(r, x));
    }
    /* a field of another type says nothing; null is as good as absent */
    if (json_is_null(x) || !(rope_fields[i].takes & type)) {
        return true;
    }
    if (strcmp(name, "truncate") == 0) {
        return json_is_true(x) || config_refuse(r, name, x, "true");
    }
    if (strcmp(name, "short_factor") == 0) {
        return set_factor_list(r, "rope.scaling.short_factors", name, x);
    }
    if (strcmp(name, "long_factor") == 0) {
        return set_factor_list(r, "rope.scaling.long_factors", name, x);
    }
    return !rope_fields[i].key || config_set_number(r, rope_fields[i].key, name, x);
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
        config_set_number(r, "rope.scaling.original_context", "original_max_position_embeddings",
                          original);
    } else {
        config_set(r, "rope.scaling.original_context", "context");
    }
    if (json_is_number(json_object_get(rope, "factor")) || !json_is_integer(original) ||
        !json_is_integer(context) || json_integer_value(original) < 1) {
        return true;
    }
    double factor = json_number_value(context) / json_number_value(original);
    config_set(r, "rope.scaling.factor", config_double_text(r, factor < 1 ? 1 : factor));
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
        ok = config_set_number(r, "rope.theta", "rope_theta", theta) && ok;
    }
    if (partial && !json_is_null(partial)) {
        ok = config_set_number(r, "rope.partial", "partial_rotary_factor", partial) && ok;
    }
    json_t *rope = v5 ? v5 : v4;
    if (rope && !json_is_object(rope)) {
        return config_refuse(r, v5 ? "rope_parameters" : "rope_scaling", rope, "an object");
    }
    return (!rope || read_rope_settings(r, rope)) && ok;
}
