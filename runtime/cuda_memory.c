/* cuda_memory.c - memory of the GPU, and the weights' way there: file -> pinned buffer -> device,
 * two buffers in turn, so that reading and the transfer overlap. */
#include <stdio.h>
#include <string.h>

#include "cuda_parts.h"

enum { EVENT_NO_TIMING = 2, STAGING_BYTES = 32 << 20 };

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

/* ---- weights --------------------------------------------------------------------------------- */

typedef struct Staging {
    void *buffer[2];
    CuHandle sent[2]; /* the buffer may be filled again */
} Staging;

static int make_staging(SinterGpu *g, Staging *s)
{
    int error = 0;
    for (int i = 0; !error && i < 2; i++) {
        error = g->d.host_alloc(&s->buffer[i], STAGING_BYTES);
        if (!error)
            error = g->d.event_create(&s->sent[i], EVENT_NO_TIMING);
    }
    return error;
}

static void free_staging(SinterGpu *g, Staging *s)
{
    for (int i = 0; i < 2; i++) {
        if (s->sent[i])
            g->d.event_destroy(s->sent[i]);
        if (s->buffer[i])
            g->d.host_release(s->buffer[i]);
    }
}

static int send_weights(SinterGpu *g, Staging *s, const uint8_t *data, size_t bytes)
{
    int error = 0;
    size_t piece = 0;
    for (size_t at = 0; !error && at < bytes; at += STAGING_BYTES, piece++) {
        size_t n = bytes - at < STAGING_BYTES ? bytes - at : STAGING_BYTES;
        int side = (int)(piece % 2);
        if (piece >= 2)
            error = g->d.event_wait(s->sent[side]);
        if (error)
            break;
        memcpy(s->buffer[side], data + at, n);
        error = g->d.to_device(g->weights + at, s->buffer[side], n, g->stream);
        if (!error)
            error = g->d.event_record(s->sent[side], g->stream);
    }
    return error ? error : g->d.stream_wait(g->stream);
}

SinterStatus gpu_load(SinterGpu *g, const uint8_t *data, size_t bytes, Message *m)
{
    Staging s = {0};
    g->weights = gpu_device_alloc(g, bytes, "weights", m);
    if (!g->weights)
        return SINTER_ENVIRONMENT;
    int error = make_staging(g, &s);
    if (!error)
        error = send_weights(g, &s, data, bytes);
    free_staging(g, &s);
    return error ? gpu_error(g, error, "weights cannot be copied", m) : SINTER_OK;
}

/* ---- speed ------------------------------------------------------------------------------------
 */

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
