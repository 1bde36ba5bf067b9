/* nvrtc.c - see nvrtc.h. */
#include "nvrtc.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

static const struct Wanted {
    const char *name;
    size_t field;
} wanted[] = {
#define X(field, name, parameters) {name, offsetof(Nvrtc, field)},
    NVRTC_FUNCTIONS(X)
#undef X
};

static void *open_library(void)
{
    static const char *const names[] = {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so",
                                        "/usr/local/cuda/lib64/libnvrtc.so"};
    const char *named = getenv("SINTER_NVRTC");
    if (named && *named)
        return dlopen(named, RTLD_LAZY | RTLD_LOCAL);
    void *library = NULL;
    for (size_t i = 0; !library && i < sizeof names / sizeof *names; i++)
        library = dlopen(names[i], RTLD_LAZY | RTLD_LOCAL);
    return library;
}

SinterStatus nvrtc_open(Nvrtc *n, Message *m)
{
    *n = (Nvrtc){.library = open_library()};
    if (!n->library)
        return message_set(m, SINTER_ENVIRONMENT,
                           "this program compiles its kernels when it starts, and NVRTC is not "
                           "here: %s; install it (libnvrtc.so, part of the CUDA toolkit) or "
                           "compile the spec without --jit",
                           dlerror());
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        void *p = dlsym(n->library, wanted[i].name);
        if (!p)
            return message_set(m, SINTER_ENVIRONMENT,
                               "NVRTC has no %s: it is older than CUDA 12; install a newer one",
                               wanted[i].name);
        memcpy((char *)n + wanted[i].field, &p, sizeof p);
    }
    if (n->version(&n->major, &n->minor))
        return message_set(m, SINTER_ENVIRONMENT, "NVRTC does not say its version");
    return SINTER_OK;
}
