/* import_hf.h - Hugging Face folders: config.json -> ModelSpec, and the names and shapes under
 * which a checkpoint keeps the weights of the IR.
 *
 *   import_config.c    reads config.json by the tables of import_families.c
 *   import_rope.c      rope settings and sliding windows
 *   import_families.c  per model_type: fields, where they go, what may be ignored, HF's defaults
 *   import_names.c     weight name and layer -> tensor, slice of rows, transposition
 *
 * Only these files know model families; everything behind them is composed from the spec's keys. */
#ifndef SINTER_COMPILER_IMPORT_HF_H
#define SINTER_COMPILER_IMPORT_HF_H

#include "compiler/safetensors.h"
#include "compiler/spec.h"

/* Reads DIR/config.json (or the file itself) of model_type llama, mistral, qwen2, qwen3, phi3, gpt2
 * or opt. False after diagnostics: a field that is unknown, or a value that sinter cannot do, is an
 * error that names the field. */
bool import_config(Ctx *ctx, const char *dir_or_config, ModelSpec *out);

/* Where weights lie in a checkpoint. */
typedef struct Importer Importer;

/* Opens a folder or .safetensors file and finds out how its tensors are named. NULL after a
 * diagnostic. Warns when a config.json beside it contradicts the spec. */
Importer *import_open(Ctx *ctx, const ModelSpec *spec, const char *path);
void import_close(Importer *im);
/* See checkpoint_forget. */
void import_forget(const Importer *im);

/* The tensor of a weight of the IR ("gate" in layer 7; layer -1: outside of the layers) with the
 * type that the IR expects: shape [rows, cols] or [rows]; any float dtype will do. False after a
 * diagnostic: missing (the name expected, the nearest there), another shape (both), not floats. */
bool import_locate(Importer *im, int layer, Str weight, const Type *expected, WeightRef *out);

/* After the last import_locate: tensors that nobody read. One that is a weight of this family is an
 * error, because the spec then describes another model; other ones are a warning; buffers such as
 * rotary frequencies are passed over. */
bool import_check_unused(const Importer *im);

/* ---- import_families.c ----------------------------------------------------------------------- */

typedef enum FieldRule {
    FIELD_IGNORE, /* changes nothing that is computed when running */
    FIELD_INT,    /* number or boolean copied to the key `to` */
    FIELD_NUM,
    FIELD_BOOL,
    FIELD_ID,         /* token id; the first of a list; null = none */
    FIELD_ACTIVATION, /* Hugging Face's word for the activation */
    FIELD_DTYPE,
    FIELD_MUST,  /* only the values in `to` can be done: JSON texts separated by spaces */
    FIELD_LATER, /* read by the family's `finish` */
} FieldRule;

typedef struct ConfigField {
    const char *name;
    FieldRule rule;
    const char *to;     /* key of the spec */
    const char *absent; /* value when the field is not there (HF's default); NULL: the spec's */
    const char *null;   /* value when it is null; NULL: null is refused; "": the spec's default */
} ConfigField;

typedef struct ConfigReader ConfigReader;

typedef struct ModelFamily {
    const char *model_type;
    const ConfigField *fields; /* ends with name == NULL */
    const char *(*fixed)[2];   /* key, value; ends with NULL */
    bool (*finish)(ConfigReader *r);
} ModelFamily;

extern const ModelFamily model_families[];
extern const int n_model_families;
extern const ConfigField config_common_fields[];

/* ---- import_config.c, import_rope.c: what a family's `finish` uses --------------------------- */

/* False after a diagnostic: rope_theta + rope_scaling (v4) or rope_parameters (v5). */
bool config_read_rope(ConfigReader *r);
/* sliding_window for every layer (mistral, phi3), `absent` when the field is not there. */
bool config_read_window(ConfigReader *r, int64_t absent);
/* use_sliding_window, max_window_layers, layer_types (qwen2, qwen3). */
bool config_read_layer_window(ConfigReader *r);
bool config_bool(const ConfigReader *r, const char *name, bool absent);
void config_set(ConfigReader *r, const char *key, const char *value);

#endif
