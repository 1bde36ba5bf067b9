/* cuda_driver.h - the functions of the CUDA driver (libcuda) that the runtime uses, declared here
 * so that programs build where no CUDA is installed. Names and meanings: CUDA Driver API,
 * version 12. */
#ifndef SINTER_CUDA_DRIVER_H
#define SINTER_CUDA_DRIVER_H

#include <stddef.h>
#include <stdint.h>

#include "message.h"

typedef uint64_t CuPointer;
typedef struct CuObject *CuHandle; /* context, module, function, stream, graph, event */

/* CUlaunchConfig, CUlaunchAttribute */
typedef struct CuLaunchAttribute {
    int id, pad;
    union {
        int flag;
        char bytes[64];
    } value;
} CuLaunchAttribute;

typedef struct CuLaunchConfig {
    unsigned gx, gy, gz, bx, by, bz, shared;
    CuHandle stream;
    CuLaunchAttribute *attributes;
    unsigned n_attributes;
} CuLaunchConfig;

/* name, parameters; every function returns 0 or an error */
#define CUDA_FUNCTIONS(X)                                                                          \
    X(init, "cuInit", (unsigned flags))                                                            \
    X(driver_version, "cuDriverGetVersion", (int *version))                                        \
    X(device_count, "cuDeviceGetCount", (int *count))                                              \
    X(device_get, "cuDeviceGet", (int *device, int ordinal))                                       \
    X(device_name, "cuDeviceGetName", (char *name, int size, int device))                          \
    X(device_attribute, "cuDeviceGetAttribute", (int *value, int attribute, int device))           \
    X(context_retain, "cuDevicePrimaryCtxRetain", (CuHandle * context, int device))                \
    X(context_release, "cuDevicePrimaryCtxRelease_v2", (int device))                               \
    X(context_set, "cuCtxSetCurrent", (CuHandle context))                                          \
    X(memory_info, "cuMemGetInfo_v2", (size_t * free, size_t * total))                             \
    X(module_load, "cuModuleLoadData", (CuHandle * module, const void *image))                     \
    X(module_unload, "cuModuleUnload", (CuHandle module))                                          \
    X(module_function, "cuModuleGetFunction",                                                      \
      (CuHandle * function, CuHandle module, const char *))                                        \
    X(function_set, "cuFuncSetAttribute", (CuHandle function, int attribute, int value))           \
    X(occupancy, "cuOccupancyMaxActiveBlocksPerMultiprocessor",                                    \
      (int *blocks, CuHandle function, int block, size_t shared))                                  \
    X(alloc, "cuMemAlloc_v2", (CuPointer * p, size_t bytes))                                       \
    X(release, "cuMemFree_v2", (CuPointer p))                                                      \
    X(host_alloc, "cuMemAllocHost_v2", (void **p, size_t bytes))                                   \
    X(host_release, "cuMemFreeHost", (void *p))                                                    \
    X(fill8, "cuMemsetD8Async", (CuPointer p, unsigned char byte, size_t n, CuHandle stream))      \
    X(to_device, "cuMemcpyHtoDAsync_v2", (CuPointer to, const void *, size_t n, CuHandle stream))  \
    X(to_host, "cuMemcpyDtoHAsync_v2", (void *to, CuPointer from, size_t n, CuHandle stream))      \
    X(on_device, "cuMemcpyDtoDAsync_v2", (CuPointer to, CuPointer from, size_t n, CuHandle))       \
    X(stream_create, "cuStreamCreate", (CuHandle * stream, unsigned flags))                        \
    X(stream_destroy, "cuStreamDestroy_v2", (CuHandle stream))                                     \
    X(stream_wait, "cuStreamSynchronize", (CuHandle stream))                                       \
    X(capture_begin, "cuStreamBeginCapture_v2", (CuHandle stream, int mode))                       \
    X(capture_end, "cuStreamEndCapture", (CuHandle stream, CuHandle * graph))                      \
    X(graph_make, "cuGraphInstantiateWithFlags",                                                   \
      (CuHandle * executable, CuHandle graph, unsigned long long flags))                           \
    X(graph_launch, "cuGraphLaunch", (CuHandle executable, CuHandle stream))                       \
    X(graph_destroy, "cuGraphDestroy", (CuHandle graph))                                           \
    X(graph_free, "cuGraphExecDestroy", (CuHandle executable))                                     \
    X(event_create, "cuEventCreate", (CuHandle * event, unsigned flags))                           \
    X(event_record, "cuEventRecord", (CuHandle event, CuHandle stream))                            \
    X(event_mark, "cuEventRecordWithFlags", (CuHandle event, CuHandle stream, unsigned flags))     \
    X(event_elapsed, "cuEventElapsedTime", (float *ms, CuHandle from, CuHandle to))                \
    X(event_wait, "cuEventSynchronize", (CuHandle event))                                          \
    X(event_destroy, "cuEventDestroy_v2", (CuHandle event))                                        \
    X(launch, "cuLaunchKernelEx",                                                                  \
      (const CuLaunchConfig *config, CuHandle function, void **arg, void **extra))                 \
    X(tensor_map, "cuTensorMapEncodeTiled",                                                        \
      (void *map, int type, uint32_t rank, void *address, const uint64_t *extent,                  \
       const uint64_t *stride, const uint32_t *box, const uint32_t *every, int interleave,         \
       int swizzle, int promotion, int fill))                                                      \
    X(error_name, "cuGetErrorName", (int error, const char **name))                                \
    X(error_text, "cuGetErrorString", (int error, const char **text))

typedef struct CudaDriver {
    void *library;
#define X(field, name, parameters) int(*field) parameters;
    CUDA_FUNCTIONS(X)
#undef X
} CudaDriver;

/* Opens libcuda.so.1 (SINTER_LIBCUDA: another file); SINTER_ENVIRONMENT says what is missing. */
SinterStatus cuda_driver_open(CudaDriver *d, Message *m);
void cuda_driver_close(CudaDriver *d);
/* "CUDA_ERROR_OUT_OF_MEMORY: out of memory" */
const char *cuda_driver_words(const CudaDriver *d, int error, char *out, size_t size);

#endif
