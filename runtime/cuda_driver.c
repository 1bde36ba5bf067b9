/* cuda_driver.c - see cuda_driver.h. */
#include "cuda_driver.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct Wanted {
    const char *name;
    size_t field;
} wanted[] = {
#define X(field, name, parameters) {name, offsetof(CudaDriver, field)},
    CUDA_FUNCTIONS(X)
#undef X
};

SinterStatus cuda_driver_open(CudaDriver *d, Message *m)
{
    const char *named = getenv("SINTER_LIBCUDA");
    const char *file = named && *named ? named : "libcuda.so.1";
    *d = (CudaDriver){.library = dlopen(file, RTLD_NOW | RTLD_LOCAL)};
    if (!d->library)
        return message_set(m, SINTER_ENVIRONMENT,
                           "no NVIDIA driver: %s; this program was compiled for GPUs, install the "
                           "driver or compile the spec with --target c",
                           dlerror());
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        void *p = dlsym(d->library, wanted[i].name);
        if (!p) {
            cuda_driver_close(d);
            return message_set(m, SINTER_ENVIRONMENT,
                               "the NVIDIA driver (%s) has no %s: it is older than CUDA 12; "
                               "install a newer driver",
                               file, wanted[i].name);
        }
        memcpy((char *)d + wanted[i].field, &p, sizeof p);
    }
    return SINTER_OK;
}

void cuda_driver_close(CudaDriver *d)
{
    if (d->library)
        dlclose(d->library);
    *d = (CudaDriver){0};
}

const char *cuda_driver_words(const CudaDriver *d, int error, char *out, size_t size)
{
    const char *name = NULL, *text = NULL;
    if (d->error_name(error, &name) || !name)
        name = "unknown error";
    if (d->error_text(error, &text) || !text)
        text = "";
    snprintf(out, size, "%s (%d): %s", name, error, text);
    return out;
}
