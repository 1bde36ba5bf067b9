/* device.c - reads a device file with the machinery of model specs (spec_raw.h): same formulas,
 * same messages. */
#include "compiler/device.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/base/file.h"
#include "compiler/base/paths.h"
#include "compiler/spec_raw.h"

#define NUM_KEY(field, need, def, doc)                                                             \
    {                                                                                              \
#field, SPEC_KIND_NUM, SPEC_NEED_##need, def, 1, 1e30, NULL, doc, offsetof(Device, field)  \
    }
#define INT_KEY(field, storage, need, def, hi, doc)                                                \
    {                                                                                              \
#field, SPEC_KIND_INT, SPEC_NEED_##need, def, 0, hi, NULL, doc,                            \
            offsetof(DeviceFile, storage)                                                          \
    }

/* Device with an int64_t where it has an int. */
typedef struct DeviceFile {
    Device device;
    int64_t sms;
} DeviceFile;

_Static_assert(offsetof(DeviceFile, device) == 0, "offsets of Device are offsets of DeviceFile");

static const SpecKeyInfo keys[] = {
    {"name", SPEC_KIND_NAME, SPEC_NEED_ALWAYS, NULL, 1, 48, NULL, "name", offsetof(Device, name)},
    NUM_KEY(bandwidth, ALWAYS, NULL, "bytes per second read from device memory"),
    NUM_KEY(flops_f32, ALWAYS, NULL, "FLOP/s, a multiply-add counts as 2"),
    NUM_KEY(flops_bf16, ALWAYS, NULL, "FLOP/s in bf16 and f16"),
    NUM_KEY(flops_int8, NO, "flops_bf16", "operations per second in int8"),
    NUM_KEY(flops_fp8, NO, "flops_bf16", "FLOP/s in fp8; flops_bf16 where there is none"),
    {"launch_seconds", SPEC_KIND_NUM, SPEC_NEED_ALWAYS, NULL, 0, 1, NULL,
     "seconds from one kernel to the next", offsetof(Device, launch_seconds)},
    {"exchange_seconds", SPEC_KIND_NUM, SPEC_NEED_NO, "1e-6", 0, 1, NULL,
     "seconds that a phase of a kernel for a whole step takes beyond its bytes",
     offsetof(Device, exchange_seconds)},
    INT_KEY(sms, sms, ALWAYS, NULL, 1 << 20, "multiprocessors or cores"),
    INT_KEY(shared_bytes, device.shared_bytes, NO, "0", 1 << 30,
            "shared memory of a multiprocessor, or the cache of a core"),
    INT_KEY(l2_bytes, device.l2_bytes, NO, "0", 1e12, "last-level cache of the chip"),
    INT_KEY(ahead_bytes, device.ahead_bytes, NO, "8 * 1024", 1 << 20,
            "how far ahead a core asks for weights whose instructions would ask too late"),
};

const Device *device_read(Ctx *ctx, const char *path, const char *text, size_t n)
{
    SpecTable t = {"a device", keys, sizeof keys / sizeof keys[0], NULL, 0, -1};
    RawSpec raw = {0};
    DeviceFile *file = ARENA_NEW(ctx->arena, DeviceFile);
    if (!spec_table_read(ctx, &t, path, text, n, NULL, 0, &raw, file)) {
        return NULL;
    }
    file->device.sms = (int)file->sms;
    return &file->device;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* "a100, cpu, h100": the files of the folder without .yaml. */
static const char *device_names(Ctx *ctx, const char *dir)
{
    VEC(const char *) names = {0};
    DIR *d = opendir(dir);
    for (const struct dirent *f; d != NULL && (f = readdir(d)) != NULL;) {
        size_t n = strlen(f->d_name);
        if (n > 5 && strcmp(f->d_name + n - 5, ".yaml") == 0) {
            vec_push(ctx->arena, &names, arena_strndup(ctx->arena, f->d_name, n - 5));
        }
    }
    if (d != NULL) {
        closedir(d);
    }
    if (names.n > 1) {
        qsort(names.data, names.n, sizeof names.data[0], by_name);
    }
    Buf b = buf_create(ctx->arena);
    for (size_t i = 0; i < names.n; i++) {
        buf_printf(&b, "%s%s", i > 0 ? ", " : "", names.data[i]);
    }
    return b.data;
}

/* The file that a name stands for; NULL after a diagnostic. */
static const char *find_device(Ctx *ctx, const char *name)
{
    size_t n = strlen(name);
    if (strchr(name, '/') != NULL || (n > 5 && strcmp(name + n - 5, ".yaml") == 0)) {
        return name;
    }
    const char *data = paths_data_dir(ctx->arena);
    if (data == NULL) {
        diag_env_error(ctx->diag, "cannot find model_specs/devices: install sinter again, or point "
                                  "$SINTER_DATA at its source folder");
        return NULL;
    }
    const char *dir = path_join(ctx->arena, data, "model_specs/devices");
    const char *path = path_join(ctx->arena, dir, arena_printf(ctx->arena, "%s.yaml", name));
    if (!file_exists(path)) {
        diag_error(ctx->diag, (Span){0},
                   "unknown device '%s', there are %s, or give a path to a .yaml file", name,
                   device_names(ctx, dir));
        return NULL;
    }
    return path;
}

const Device *device_load(Ctx *ctx, const char *name_or_path)
{
    const char *path = find_device(ctx, name_or_path);
    size_t n = 0;
    const char *text = path != NULL ? file_read(ctx->arena, ctx->diag, path, &n) : NULL;
    return text != NULL ? device_read(ctx, path, text, n) : NULL;
}
