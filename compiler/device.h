/* device.h - model_specs/devices/NAME.yaml: the numbers that the cost model works with. */
#ifndef SINTER_COMPILER_DEVICE_H
#define SINTER_COMPILER_DEVICE_H

#include "ir/cost.h"

/* NULL after diagnostics. */
const Device *device_read(Ctx *ctx, const char *path, const char *text, size_t n);
/* A path to a YAML file, or the name of one in the data folder's model_specs/devices; an unknown
 * name is answered with the names that are there. */
const Device *device_load(Ctx *ctx, const char *name_or_path);

#endif
