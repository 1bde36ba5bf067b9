/* fake_cuda.c - a driver library without a GPU behind it: FAKE_CUDA says at which function it
 * fails, FAKE_AFTER how many calls of it are taken before. It takes every other call and does
 * nothing, so that the error paths of runtime/cuda.c are met on any machine. FAKE_CHIP: compute
 * capability times ten (90); FAKE_FREE, FAKE_TOTAL: bytes of memory. Machine code of fake_nvrtc.c
 * has only the kernels whose text it holds. FAKE_SMS: multiprocessors (64); FAKE_OCCUPANCY: blocks
 * of any kernel on one of them (1); FAKE_TOGETHER: most blocks of a cooperative launch, more are
 * refused and end a recording; FAKE_MPS: other processes' kernels run at the same time (0);
 * FAKE_LOG: a file that gets a line for each launch, "kernel blocks".
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long number(const char *name, long otherwise)
{
    const char *s = getenv(name);
    return s ? strtol(s, NULL, 10) : otherwise;
}

static int fails(const char *name, int error)
{
    static _Atomic long calls;
    const char *wanted = getenv("FAKE_CUDA");
    if (!wanted || strcmp(wanted, name) != 0)
        return 0;
    return ++calls > number("FAKE_AFTER", 0) ? error : 0;
}

int cuInit(unsigned flags)
{
    (void)flags;
    return fails("cuInit", 999);
}
int cuDriverGetVersion(int *v)
{
    *v = 13000;
    return 0;
}
int cuDeviceGetCount(int *n)
{
    *n = (int)number("FAKE_DEVICES", 1);
    return fails("cuDeviceGetCount", 100);
}
int cuDeviceGet(int *d, int i)
{
    *d = i;
    return fails("cuDeviceGet", 101);
}
int cuDeviceGetName(char *s, int n, int d)
{
    (void)d;
    snprintf(s, (size_t)n, "Fake GPU");
    return 0;
}
int cuDeviceGetAttribute(int *v, int a, int d)
{
    (void)d;
    long chip = number("FAKE_CHIP", 90);
    *v = (int)(a == 75    ? chip / 10
               : a == 76  ? chip % 10
               : a == 97  ? number("FAKE_SHARED", 227 << 10) /* of a block */
               : a == 133 ? number("FAKE_MPS", 0)
                          : number("FAKE_SMS", 64)); /* 16: multiprocessors */
    return fails("cuDeviceGetAttribute", 1);
}
int cuDeviceTotalMem_v2(size_t *n, int d)
{
    (void)d;
    *n = (size_t)1 << 34;
    return fails("cuDeviceTotalMem_v2", 1);
}
int cuDevicePrimaryCtxRetain(void **c, int d)
{
    (void)d;
    *c = (void *)1;
    return fails("cuDevicePrimaryCtxRetain", 2);
}
int cuDevicePrimaryCtxRelease_v2(int d)
{
    (void)d;
    return 0;
}
int cuCtxSetCurrent(void *c)
{
    (void)c;
    return 0;
}
int cuMemGetInfo_v2(size_t *f, size_t *t)
{
    *f = (size_t)number("FAKE_FREE", 1L << 33);
    *t = (size_t)number("FAKE_TOTAL", 1L << 34);
    return fails("cuMemGetInfo_v2", 700);
}
int cuModuleLoadData(void **m, const void *p)
{
    *m = (void *)(uintptr_t)p;
    if (strncmp(p, "FAKE CUBIN", 10) == 0) /* fake_nvrtc.c: gone when it is loaded */
        *m = strdup(p);
    return fails("cuModuleLoadData", 218);
}
int cuModuleUnload(void *m)
{
    if (strncmp(m, "FAKE CUBIN", 10) == 0)
        free(m);
    return 0;
}
int cuModuleGetFunction(void **f, void *m, const char *s)
{
    char call[256];
    snprintf(call, sizeof call, " %s(", s);
    *f = strdup(s); /* as long as the program runs */
    if (strncmp(m, "FAKE CUBIN", 10) == 0 && !strstr(m, call))
        return 500;
    return fails("cuModuleGetFunction", 1);
}
int cuFuncSetAttribute(void *f, int a, int v)
{
    (void)f;
    (void)a;
    (void)v;
    return fails("cuFuncSetAttribute", 1);
}
int cuMemAlloc_v2(uint64_t *p, size_t n)
{
    *p = (uint64_t)(uintptr_t)calloc(1, n);
    return fails("cuMemAlloc_v2", 2);
}
int cuMemFree_v2(uint64_t p)
{
    free((void *)(uintptr_t)p);
    return 0;
}
int cuMemAllocHost_v2(void **p, size_t n)
{
    *p = calloc(1, n);
    return fails("cuMemAllocHost_v2", 2);
}
int cuMemFreeHost(void *p)
{
    free(p);
    return 0;
}
int cuMemsetD8Async(uint64_t p, unsigned char c, size_t n, void *s)
{
    (void)s;
    memset((void *)(uintptr_t)p, c, n);
    return fails("cuMemsetD8Async", 700);
}
int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t n, void *s)
{
    (void)s;
    memcpy((void *)(uintptr_t)to, from, n);
    return fails("cuMemcpyHtoDAsync_v2", 700);
}
int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t n, void *s)
{
    (void)s;
    memcpy(to, (void *)(uintptr_t)from, n);
    return fails("cuMemcpyDtoHAsync_v2", 700);
}
int cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t n, void *s)
{
    (void)s;
    memmove((void *)(uintptr_t)to, (void *)(uintptr_t)from, n);
    return fails("cuMemcpyDtoDAsync_v2", 700);
}
int cuStreamCreate(void **s, unsigned f)
{
    (void)f;
    *s = (void *)4;
    return fails("cuStreamCreate", 2);
}
int cuStreamDestroy_v2(void *s)
{
    (void)s;
    return 0;
}
int cuStreamSynchronize(void *s)
{
    (void)s;
    return fails("cuStreamSynchronize", 700);
}
static int recording, broken; /* a graph; by a refused launch */

int cuStreamBeginCapture_v2(void *s, int m)
{
    (void)s;
    (void)m;
    recording = 1;
    broken = 0;
    return fails("cuStreamBeginCapture_v2", 900);
}
int cuStreamEndCapture(void *s, void **g)
{
    (void)s;
    recording = 0;
    *g = broken ? NULL : (void *)5;
    return broken ? 901 : fails("cuStreamEndCapture", 901);
}
int cuGraphInstantiateWithFlags(void **e, void *g, unsigned long long f)
{
    (void)g;
    (void)f;
    *e = (void *)6;
    return fails("cuGraphInstantiateWithFlags", 2);
}
int cuGraphLaunch(void *e, void *s)
{
    (void)e;
    (void)s;
    return fails("cuGraphLaunch", 719);
}
int cuGraphDestroy(void *g)
{
    (void)g;
    return 0;
}
int cuGraphExecDestroy(void *e)
{
    (void)e;
    return 0;
}
int cuEventCreate(void **e, unsigned f)
{
    (void)f;
    *e = (void *)7;
    return fails("cuEventCreate", 2);
}
int cuEventRecord(void *e, void *s)
{
    (void)e;
    (void)s;
    return fails("cuEventRecord", 700);
}
int cuEventRecordWithFlags(void *e, void *s, unsigned f)
{
    (void)e;
    (void)s;
    (void)f;
    return fails("cuEventRecordWithFlags", 700);
}
int cuEventElapsedTime(float *ms, void *a, void *b)
{
    (void)a;
    (void)b;
    *ms = 0.5f;
    return fails("cuEventElapsedTime", 700);
}
int cuEventSynchronize(void *e)
{
    (void)e;
    return fails("cuEventSynchronize", 719);
}
int cuEventDestroy_v2(void *e)
{
    (void)e;
    return 0;
}
int cuTensorMapEncodeTiled(void *map, int type, uint32_t rank, void *address,
                           const uint64_t *extent, const uint64_t *stride, const uint32_t *box,
                           const uint32_t *every, int interleave, int swizzle, int promotion,
                           int fill)
{
    (void)type, (void)extent, (void)stride, (void)box, (void)every;
    (void)interleave, (void)swizzle, (void)promotion, (void)fill;
    memset(map, 1, 128);
    int aligned = (uintptr_t)map % 64 == 0 && (uintptr_t)address % 16 == 0 && rank <= 5;
    return aligned ? fails("cuTensorMapEncodeTiled", 1) : 1;
}
int cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, void *f, int block, size_t shared)
{
    (void)f, (void)block, (void)shared;
    *blocks = (int)number("FAKE_OCCUPANCY", 1);
    return fails("cuOccupancyMaxActiveBlocksPerMultiprocessor", 1);
}

/* CUlaunchAttribute, CUlaunchConfig */
struct attribute {
    int id, pad;
    int value[16];
};
struct config {
    unsigned blocks, by, bz, tx, ty, tz, shared;
    void *stream;
    struct attribute *attribute;
    unsigned n_attributes;
};

static void write_launch(const char *kernel, unsigned blocks)
{
    const char *path = getenv("FAKE_LOG");
    FILE *log = path ? fopen(path, "a") : NULL;
    if (log) {
        fprintf(log, "%s %u\n", kernel, blocks);
        fclose(log);
    }
}

int cuLaunchKernelEx(const struct config *config, void *f, void **arg, void **extra)
{
    enum { COOPERATIVE = 2, TOO_LARGE = 720 };
    (void)arg, (void)extra;
    for (unsigned i = 0; i < config->n_attributes; i++) {
        if (config->attribute[i].id == COOPERATIVE &&
            (long)config->blocks > number("FAKE_TOGETHER", 1000)) {
            broken = recording;
            return TOO_LARGE;
        }
    }
    write_launch(f, config->blocks);
    return fails("cuLaunchKernelEx", 701);
}
int cuGetErrorName(int e, const char **s)
{
    (void)e;
    *s = "CUDA_ERROR_FAKE";
    return 0;
}
int cuGetErrorString(int e, const char **s)
{
    (void)e;
    *s = "as the test asked";
    return 0;
}
