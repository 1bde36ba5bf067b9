/* toy_model.c - see toy_model.h. */
#include "tests/runtime/toy_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/model.h"
#include "runtime/weights.h"

enum {
    TOY_OFFSET = 768,
    TOY_BYTES = TOY_VOCAB * TOY_DIM * 4,
    GAIN_OFFSET = (TOY_OFFSET + TOY_BYTES + 255) / 256 * 256
};
enum { GAIN_BYTES = 20, TOY_END = GAIN_OFFSET + GAIN_BYTES };

/* ---- the step -------------------------------------------------------------------------------- */

/* Vocabulary rows of one thread: logits of one hidden row. */
static void toy_head(const SinterRun *run, int thread, const float *hidden, float *logits)
{
    const float *w = (const void *)(run->weights + TOY_OFFSET); /* (vocab, dim) */
    for (int i = thread; i < TOY_VOCAB; i += run->threads) {
        float sum = 0;
        for (int k = 0; k < TOY_DIM; k++)
            sum += w[i * TOY_DIM + k] * hidden[k];
        logits[i] = sum;
    }
}

static void toy_hidden(const float *cache, int pos, float *hidden)
{
    for (int k = 0; k < TOY_DIM; k++) {
        float sum = 0;
        for (int p = 0; p <= pos; p++)
            sum += cache[p * TOY_DIM + k];
        hidden[k] = cache[pos * TOY_DIM + k] + sum / (float)(pos + 1);
    }
}

static void toy_append(const SinterRun *run, float *cache, int row)
{
    const float *w = (const void *)(run->weights + TOY_OFFSET);
    memcpy(cache + run->pos[row] * TOY_DIM, w + run->tokens[row] * TOY_DIM,
           TOY_DIM * sizeof(float));
}

/* `one` = all rows belong to the first sequence (prefill). */
static void toy_step(const SinterRun *run, int thread, int rows, int one)
{
    float *scratch = (void *)run->scratch; /* (rows, dim) */
    uint64_t start = sinter_now_ns();
    for (int r = 0; thread == 0 && r < rows; r++)
        if (run->pos[r] >= 0)
            toy_append(run, (void *)run->kv[one ? 0 : r], r);
    sinter_barrier(run->barrier, thread);
    for (int r = thread; r < rows; r += run->threads)
        if (run->pos[r] >= 0)
            toy_hidden((void *)run->kv[one ? 0 : r], run->pos[r], scratch + r * TOY_DIM);
    sinter_barrier(run->barrier, thread);
    for (int r = 0; r < run->rows; r++) {
        int only = run->logits_wanted == SINTER_LOGITS_LAST;
        if (run->logits_wanted == SINTER_LOGITS_NONE || (only && r + 1 < run->rows))
            continue;
        toy_head(run, thread, scratch + r * TOY_DIM, run->logits + (only ? 0 : r) * TOY_VOCAB);
    }
    sinter_barrier(run->barrier, thread);
    if (run->profile && thread == 0)
        run->profile[one ? 2 : rows == 1 ? 0 : 1] += sinter_now_ns() - start;
}

static void toy_decode1(const SinterRun *run, int thread)
{
    toy_step(run, thread, 1, 0);
}

static void toy_decode4(const SinterRun *run, int thread)
{
    toy_step(run, thread, TOY_BATCH, 0);
}

static void toy_prefill(const SinterRun *run, int thread)
{
    toy_step(run, thread, TOY_CHUNK, 1);
}

/* ---- the model ------------------------------------------------------------------------------- */

static const SinterTensorInfo toy_tensors[] = {
    {"embedding", "f32[300, 8]", TOY_OFFSET, TOY_BYTES, 'f', 0.5f},
    {"gain", "f32[5]", GAIN_OFFSET, GAIN_BYTES, 'g', 1.0f},
};

static const SinterEntry toy_entries[] = {
    {1, toy_decode1, 0, 1},
    {TOY_BATCH, toy_decode4, 1, 1},
};

static const SinterKernelInfo toy_steps[] = {
    {"decode1_all", 1, TOY_BYTES, 64, 32, 2.0 * TOY_BYTES / 4},
    {"decode4_all", 1, TOY_BYTES, 256, 128, 8.0 * TOY_BYTES / 4},
    {"prefill_all", 1, TOY_BYTES, 320, 160, 10.0 * TOY_BYTES / 4},
};

static int toy_cpu_ok(void)
{
    return 1;
}

const SinterModel sinter_model = {
    .name = "toy",
    .target = "c toy",
    .spec_summary = "mean of embeddings",
    .layers = 1,
    .d_model = TOY_DIM,
    .vocab = TOY_VOCAB,
    .context = TOY_CONTEXT,
    .bos_id = 256,
    .eos_id = 257,
    .kv_bytes = TOY_CONTEXT * TOY_DIM * sizeof(float),
    .scratch_bytes = TOY_CHUNK * TOY_DIM * sizeof(float),
    .weights_bytes = TOY_END,
    .layout_hash = 0x1234,
    .tensors = toy_tensors,
    .n_tensors = 2,
    .decode = toy_entries,
    .n_decode = 2,
    .prefill = {TOY_CHUNK, toy_prefill, 2, 1},
    .steps = toy_steps,
    .n_steps = 3,
    .cpu_ok = toy_cpu_ok,
    .cpu_needs = "nothing",
};

/* ---- reference and weights ------------------------------------------------------------------- */

float toy_embedding(int id, int column)
{
    return (float)((id * 37 + column * 101 + id * column) % 64 - 32) / 32.0f;
}

void toy_logits(const int32_t *ids, size_t n, double *out)
{
    for (int i = 0; i < TOY_VOCAB; i++) {
        out[i] = 0;
        for (int k = 0; k < TOY_DIM; k++) {
            double mean = 0;
            for (size_t p = 0; p < n; p++)
                mean += (double)toy_embedding(ids[p], k) / (double)n;
            out[i] += (double)toy_embedding(i, k) * ((double)toy_embedding(ids[n - 1], k) + mean);
        }
    }
}

static void put_entry(uint8_t *file, int i, const char *name, const char *type, size_t at,
                      size_t bytes)
{
    WeightsEntry e;
    memset(&e, 0, sizeof e);
    snprintf(e.name, sizeof e.name, "%s", name);
    snprintf(e.type, sizeof e.type, "%s", type);
    e.offset = at;
    e.bytes = bytes;
    e.checksum = weights_checksum(file + at, bytes);
    memcpy(file + sizeof(WeightsHeader) + (size_t)i * sizeof e, &e, sizeof e);
}

static void put_header(uint8_t *file, size_t bytes, uint32_t n_tensors)
{
    WeightsHeader h;
    memset(&h, 0, sizeof h);
    memcpy(h.magic, WEIGHTS_MAGIC, sizeof h.magic);
    h.n_tensors = n_tensors;
    h.header_bytes = sizeof h + n_tensors * sizeof(WeightsEntry);
    h.file_bytes = bytes;
    h.layout_hash = sinter_model.layout_hash;
    snprintf(h.model, sizeof h.model, "toy");
    snprintf(h.layout, sizeof h.layout, "c toy");
    memcpy(file, &h, sizeof h);
    h.header_checksum = weights_header_checksum(file, (size_t)h.header_bytes);
    memcpy(file, &h, sizeof h);
}

uint8_t *toy_weights(const void *tokenizer, size_t tokenizer_bytes, size_t *n)
{
    size_t blob_at = ((size_t)TOY_END + 255) / 256 * 256;
    *n = tokenizer ? blob_at + tokenizer_bytes : TOY_END;
    uint8_t *file = calloc(*n, 1);
    if (!file)
        return NULL;
    for (int i = 0; i < TOY_VOCAB * TOY_DIM; i++) {
        float x = toy_embedding(i / TOY_DIM, i % TOY_DIM);
        memcpy(file + TOY_OFFSET + 4 * i, &x, sizeof x);
    }
    for (int i = 0; i < 5; i++)
        memcpy(file + GAIN_OFFSET + 4 * i, &(float){1}, sizeof(float));
    put_entry(file, 0, "embedding", "f32[300, 8]", TOY_OFFSET, TOY_BYTES);
    put_entry(file, 1, "gain", "f32[5]", GAIN_OFFSET, GAIN_BYTES);
    if (tokenizer) {
        memcpy(file + blob_at, tokenizer, tokenizer_bytes);
        put_entry(file, 2, "tokenizer", "bytes", blob_at, tokenizer_bytes);
    }
    put_header(file, *n, tokenizer ? 3 : 2);
    return file;
}

int toy_write_weights(const char *path, const void *tokenizer, size_t tokenizer_bytes)
{
    size_t n;
    uint8_t *file = toy_weights(tokenizer, tokenizer_bytes, &n);
    FILE *f = file ? fopen(path, "wb") : NULL;
    int ok = f && fwrite(file, 1, n, f) == n;
    if (f && fclose(f) != 0)
        ok = 0;
    free(file);
    return ok ? 0 : -1;
}
