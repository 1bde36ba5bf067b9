/* weights_random.c - random weights in memory, so that speed can be measured without a checkpoint.
 *
 * Every tensor is cut into blocks; a block's bytes depend on seed, tensor and block alone, so
 * threads take blocks in any order. Weights are drawn from a table of normal quantiles: one 64-bit
 * random number gives four weights, which is about as fast as the memory can be written. */
#include "weights.h"

#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "narrow.h"
#include "random.h"

enum { QUANTILE_BITS = 12, QUANTILES = WEIGHTS_QUANTILES, BLOCK = 1 << 20 };
_Static_assert(1 << QUANTILE_BITS == QUANTILES, "a table's index is so many bits");

typedef struct Fill {
    const SinterModel *model;
    uint8_t *data;
    uint64_t seed;
    const float *quantile; /* [QUANTILES] of the standard normal distribution */
    _Atomic uint64_t next; /* block to be taken by the next free thread */
} Fill;

/* Quantiles at (i + 1/2) / QUANTILES: Newton's method on the distribution function, each from the
 * one before. */
void weights_quantiles(float *quantile)
{
    double x = -3.7;
    for (int i = 0; i < QUANTILES; i++) {
        double want = (i + 0.5) / QUANTILES;
        for (int k = 0; k < 12; k++) {
            double have = 0.5 * erfc(-x * 0.70710678118654752);
            x -= (have - want) / (0.39894228040143268 * exp(-0.5 * x * x));
        }
        quantile[i] = (float)x;
    }
}

/* ---- one block of each kind ------------------------------------------------------------------ */

/* Eight bytes from one random number; bytes is what is left of the tensor. */
static void put_word(uint8_t *out, uint64_t bytes, uint64_t word)
{
    if (bytes >= 8)
        memcpy(out, &word, 8);
    else
        memcpy(out, &word, (size_t)bytes);
}

static void fill_half(uint8_t *out, uint64_t bytes, const uint16_t *table, uint64_t key)
{
    const uint64_t mask = QUANTILES - 1;
    for (uint64_t i = 0; i < bytes; i += 8) {
        uint64_t r = random_mix(key + i);
        uint64_t word = (uint64_t)table[r & mask] | (uint64_t)table[(r >> 16) & mask] << 16 |
                        (uint64_t)table[(r >> 32) & mask] << 32 |
                        (uint64_t)table[(r >> 48) & mask] << 48;
        put_word(out + i, bytes - i, word);
    }
}

static void fill_weights16(uint8_t *out, uint64_t bytes, const Fill *f, const SinterTensorInfo *t,
                           uint64_t key)
{
    uint16_t table[QUANTILES];
    const int gain = t->fill == 'B' || t->fill == 'H', bf16 = t->fill == 'b' || t->fill == 'B';
    for (int i = 0; i < QUANTILES; i++) {
        const float z = f->quantile[i];
        const float x = t->fill == 'S' ? t->scale * (1.0f + 0.1f * z)
                        : gain         ? 1.0f + 0.05f * z
                                       : z * t->scale;
        table[i] = bf16 ? narrow_bf16(x) : narrow_f16(x);
    }
    fill_half(out, bytes, table, key);
}

static void put_float(uint8_t *out, uint64_t i, float x)
{
    memcpy(out + 4 * i, &x, sizeof x);
}

static void fill_floats(uint8_t *out, uint64_t n, const Fill *f, const SinterTensorInfo *t,
                        uint64_t key)
{
    for (uint64_t i = 0; i < n; i++) {
        float z = f->quantile[random_mix(key + i) >> (64 - QUANTILE_BITS)];
        float scale = t->scale > 0 ? t->scale : 1.0f;
        if (t->fill == 'g')
            put_float(out, i, 1.0f + 0.05f * z);
        else if (t->fill == 's')
            put_float(out, i, scale * (1.0f + 0.1f * z));
        else
            put_float(out, i, t->scale * z);
    }
}

/* Frequencies of n rotated pairs: theta^(-i / n), as RoPE without scaling has them. */
static void fill_frequencies(uint8_t *out, uint64_t first, uint64_t n, const SinterTensorInfo *t)
{
    double pairs = (double)(t->bytes / 4);
    for (uint64_t i = 0; i < n; i++)
        put_float(out, i, (float)pow((double)t->scale, -(double)(first + i) / pairs));
}

/* r with every byte 0x80 made 0x81: the -128 that symmetric quantisation never makes. Adding 0x7f
 * to seven bits that are not all zero carries into the eighth. */
static uint64_t without_minimum(uint64_t r)
{
    const uint64_t low = 0x7f7f7f7f7f7f7f7fu;
    uint64_t flipped = r ^ ~low;
    uint64_t is_minimum = ~(((flipped & low) + low) | flipped | low);
    return r + (is_minimum >> 7);
}

/* r with every byte 0x7f or 0xff, the NaN of e4m3, less by one. */
static uint64_t without_nan(uint64_t r)
{
    const uint64_t low = 0x7f7f7f7f7f7f7f7fu;
    return r - ((((r & low) + 0x0101010101010101u) & ~low) >> 7);
}

/* Codes over their whole range. */
static void fill_codes(uint8_t *out, uint64_t bytes, const char *type, uint64_t key)
{
    const int is_i8 = strncmp(type, "i8", 2) == 0, is_e4m3 = strncmp(type, "e4m3", 4) == 0;
    for (uint64_t i = 0; i < bytes; i += 8) {
        uint64_t r = random_mix(key + i);
        put_word(out + i, bytes - i, is_i8 ? without_minimum(r) : is_e4m3 ? without_nan(r) : r);
    }
}

static void fill_zero_points(uint8_t *out, uint64_t bytes, uint64_t key)
{
    for (uint64_t i = 0; i < bytes; i++)
        out[i] = (uint8_t)(7 + (random_mix(key + i) & 1));
}

/* `out`: where the tensor's byte `at` goes. */
static void fill_block(const Fill *f, int tensor, uint64_t at, uint8_t *out)
{
    const SinterTensorInfo *t = &f->model->tensors[tensor];
    uint64_t bytes = t->bytes - at < BLOCK ? t->bytes - at : BLOCK;
    uint64_t key = random_mix(random_mix(f->seed) + ((uint64_t)tensor << 40) + at);
    switch (t->fill) {
    case 'b':
    case 'h':
    case 'B':
    case 'H':
    case 'S':
        fill_weights16(out, bytes, f, t, key);
        break;
    case 'f':
    case 'g':
    case 's':
        fill_floats(out, bytes / 4, f, t, key);
        break;
    case 'c':
        fill_codes(out, bytes, t->type, key);
        break;
    case 'z':
        fill_zero_points(out, bytes, key);
        break;
    case 'q':
        fill_frequencies(out, at / 4, bytes / 4, t);
        break;
    default: /* '0': the mapping is zero already */
        break;
    }
}

/* ---- all blocks ------------------------------------------------------------------------------ */

/* Threads walk over all tensors in step; a block is done by the thread that draws its number. */
static void fill_all(void *arg, int thread)
{
    (void)thread;
    Fill *f = arg;
    uint64_t mine = atomic_fetch_add(&f->next, 1), block = 0;
    for (int i = 0; i < f->model->n_tensors; i++) {
        for (uint64_t at = 0; at < f->model->tensors[i].bytes; at += BLOCK, block++) {
            if (block != mine)
                continue;
            fill_block(f, i, at, f->data + f->model->tensors[i].offset + at);
            mine = atomic_fetch_add(&f->next, 1);
        }
    }
}

size_t weights_random_bytes(const SinterModel *model)
{
    uint64_t end = model->weights_bytes;
    for (int i = 0; i < model->n_tensors; i++) {
        const SinterTensorInfo *t = &model->tensors[i];
        if (t->offset + t->bytes > end)
            end = t->offset + t->bytes;
    }
    return (size_t)end;
}

void weights_random_tensor(const SinterModel *model, uint64_t seed, int tensor,
                           const float *quantile, uint8_t *out)
{
    const Fill f = {.model = model, .seed = seed, .quantile = quantile};
    for (uint64_t at = 0; at < model->tensors[tensor].bytes; at += BLOCK)
        fill_block(&f, tensor, at, out + at);
}

SinterStatus weights_random(Weights *w, const SinterModel *model, uint64_t seed, Pool *pool,
                            Message *m)
{
    *w = (Weights){.bytes = weights_random_bytes(model), .random = 1};
    uint64_t have = memory_physical();
    if (have > 0 && w->bytes > have)
        return message_set(m, SINTER_ENVIRONMENT,
                           "random weights of %s need %.1f GB of memory, this machine has %.1f GB",
                           model->name, (double)w->bytes / 1e9, (double)have / 1e9);
    float *quantile = malloc(QUANTILES * sizeof *quantile);
    uint8_t *data = quantile ? memory_map(w->bytes) : NULL;
    w->data = data;
    if (!data) {
        free(quantile);
        return message_set(m, SINTER_ENVIRONMENT, "no memory for %.1f GB of random weights",
                           (double)w->bytes / 1e9);
    }
    weights_quantiles(quantile);
    Fill f = {.model = model, .data = data, .seed = seed, .quantile = quantile};
    atomic_init(&f.next, 0);
    pool_run(pool, fill_all, &f);
    free(quantile);
    return SINTER_OK;
}
