/* cuda_memory.c - memory of the GPU, and how fast it and the link to it are. */
#include "cuda_parts.h"

/* ---- memory ---------------------------------------------------------------------------------- */

CuPointer gpu_device_alloc(SinterGpu *g, size_t bytes, const char *what, Message *m)
{
    CuPointer p = 0;
    size_t size = bytes ? bytes : 1, available = 0, total = 0;
    int error = g->d.alloc(&p, size);
    if (error) {
        g->d.memory_info(&available, &total);
        char text[256];
        message_set(m, SINTER_ENVIRONMENT, "%s: no memory for %.1f MB of %s, %.1f MB are free: %s",
                    g->words, (double)size / 1e6, what, (double)available / 1e6,
                    cuda_driver_words(&g->d, error, text, sizeof text));
        return 0;
    }
    error = g->d.fill8(p, 0, size, g->stream);
    if (!error)
        error = g->d.stream_wait(g->stream);
    if (error) {
        gpu_error(g, error, what, m);
        g->d.release(p);
        return 0;
    }
    return p;
}

void *gpu_alloc(SinterGpu *g, size_t bytes, const char *what, Message *m)
{
    return (void *)(uintptr_t)gpu_device_alloc(g, bytes, what, m);
}

void gpu_free(SinterGpu *g, void *p)
{
    if (p)
        g->d.release((CuPointer)(uintptr_t)p);
}

void *gpu_host_alloc(SinterGpu *g, size_t bytes, Message *m)
{
    void *p = NULL;
    int error = g->d.host_alloc(&p, bytes ? bytes : 1);
    if (error)
        gpu_error(g, error, "no pinned memory", m);
    return error ? NULL : p;
}

void gpu_host_free(SinterGpu *g, void *p)
{
    if (p)
        g->d.host_release(p);
}

/* ---- speed ----------------------------------------------------------------------------------- */

double gpu_bandwidth(SinterGpu *g)
{
    enum { BYTES = 1 << 30, TIMES = 20 };
    CuPointer p = 0;
    double rate = 0;
    if (g->d.alloc(&p, BYTES))
        return 0;
    for (int i = -2, error = 0; !error && i < TIMES; i++) {
        uint64_t start = sinter_now_ns();
        error = g->d.on_device(p, p + BYTES / 2, BYTES / 2, g->stream);
        if (!error)
            error = g->d.stream_wait(g->stream);
        double now = error ? 0 : (double)BYTES / ((double)(sinter_now_ns() - start) / 1e9);
        rate = i >= 0 && now > rate ? now : rate;
    }
    g->d.release(p);
    return rate;
}

double gpu_peak(SinterGpu *g)
{
    enum { MEMORY_KHZ = 36, BUS_BITS = 37 };
    int khz = 0, bits = 0;
    if (g->d.device_attribute(&khz, MEMORY_KHZ, g->device) ||
        g->d.device_attribute(&bits, BUS_BITS, g->device))
        return 0;
    return 2e3 * khz * bits / 8; /* two transfers a clock */
}

double gpu_link(SinterGpu *g)
{
    enum { BYTES = 1 << 28, TIMES = 5 };
    CuPointer to = 0;
    void *from = NULL;
    double rate = 0;
    int error = g->d.alloc(&to, BYTES);
    if (!error)
        error = g->d.host_alloc(&from, BYTES);
    for (int i = -1; !error && i < TIMES; i++) {
        uint64_t start = sinter_now_ns();
        error = g->d.to_device(to, from, BYTES, g->stream);
        if (!error)
            error = g->d.stream_wait(g->stream);
        double now = error ? 0 : (double)BYTES / ((double)(sinter_now_ns() - start) / 1e9);
        rate = i >= 0 && now > rate ? now : rate;
    }
    if (from)
        g->d.host_release(from);
    if (to)
        g->d.release(to);
    return rate;
}
