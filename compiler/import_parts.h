/* import_parts.h - what the files that read config.json share; not for others. */
#ifndef SINTER_COMPILER_IMPORT_PARTS_H
#define SINTER_COMPILER_IMPORT_PARTS_H

#include <jansson.h>

#include "compiler/import_hf.h"

struct ConfigReader {
    Ctx *ctx;
    const char *path;
    json_t *root;
    const ModelFamily *family;
    VEC(SpecOverride) values;
};

/* A value of JSON as compact text, cut when long; numbers as a spec writes them. */
const char *config_json_text(const ConfigReader *r, const json_t *x);
const char *config_double_text(const ConfigReader *r, double x);
const char *config_int_text(const ConfigReader *r, json_int_t x);

/* Always false: "'name' is x, but sinter can only do ...". */
bool config_refuse(const ConfigReader *r, const char *name, const json_t *x, const char *allowed);
/* x as the value of a key; false after a diagnostic about `name`. */
bool config_set_number(ConfigReader *r, const char *key, const char *name, const json_t *x);
bool config_set_int(ConfigReader *r, const char *key, const char *name, const json_t *x);

#endif
