/* nvrtc.h - the functions of NVRTC, NVIDIA's compiler as a library, that programs use; declared
 * here so that they build where no CUDA is installed. Names and meanings: NVRTC, version 12. */
#ifndef SINTER_NVRTC_H
#define SINTER_NVRTC_H

#include <stddef.h>

#include "message.h"

typedef struct NvrtcObject *NvrtcProgram;

/* name, parameters; every function returns 0 or an error */
#define NVRTC_FUNCTIONS(X)                                                                         \
    X(version, "nvrtcVersion", (int *major, int *minor))                                           \
    X(create, "nvrtcCreateProgram",                                                                \
      (NvrtcProgram * program, const char *source, const char *name, int n_headers,                \
       const char *const *headers, const char *const *names))                                      \
    X(compile, "nvrtcCompileProgram", (NvrtcProgram program, int n, const char *const *options))   \
    X(log_size, "nvrtcGetProgramLogSize", (NvrtcProgram program, size_t * bytes))                  \
    X(log, "nvrtcGetProgramLog", (NvrtcProgram program, char *log))                                \
    X(cubin_size, "nvrtcGetCUBINSize", (NvrtcProgram program, size_t * bytes))                     \
    X(cubin, "nvrtcGetCUBIN", (NvrtcProgram program, char *cubin))                                 \
    X(destroy, "nvrtcDestroyProgram", (NvrtcProgram * program))

typedef struct Nvrtc {
    void *library;
#define X(field, name, parameters) int(*field) parameters;
    NVRTC_FUNCTIONS(X)
#undef X
    int major, minor;
} Nvrtc;

/* Opens libnvrtc (SINTER_NVRTC: another file) from where the system looks or /usr/local/cuda;
 * SINTER_ENVIRONMENT says what is missing. The library stays open: it cannot be unloaded safely
 * once it has compiled. */
SinterStatus nvrtc_open(Nvrtc *n, Message *m);

#endif
