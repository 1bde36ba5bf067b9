/* engine.h - the inside of a Sinter: what sinter.c, and the commands of the binary, work with. */
#ifndef SINTER_ENGINE_H
#define SINTER_ENGINE_H

#include "cuda.h"
#include "message.h"
#include "model.h"
#include "pool.h"
#include "sampler.h"
#include "tokenizer.h"
#include "weights.h"

struct SinterSequence {
    Sinter *owner;
    uint8_t *kv;    /* model->kv_bytes; on the GPU when there is one */
    float *logits;  /* [vocab] of the last id fed */
    int32_t length; /* ids in the cache */
};

/* What is read from memory by one step: weights, and caches per position that its rows are at. */
typedef struct StepBytes {
    double weights, kv_per_pos;
} StepBytes;

struct Sinter {
    const SinterModel *model;
    Weights weights;
    Pool *pool;
    Tokenizer *tokenizer; /* NULL: the weights have none */
    Sampler *sampler;
    Message error;
    int context, max_sequences, n_sequences;
    SinterSequence sequence[SINTER_MAX_BATCH];
    SinterGpu *gpu; /* NULL: steps run on the CPU, and all pointers here are to host memory */
    uint8_t *scratch;
    int32_t *tokens, *pos; /* [rows_max] of the step */
    float *input;          /* [rows_max, d_model] of a model without an embedding, else NULL */
    int rows_max;
    float *batch_logits; /* [largest decode entry, vocab]: rows of a step of several sequences */
    float *chunk_logits; /* [prefill rows, vocab]: made when every logit of a chunk is asked for */
    uint64_t *profile;   /* NULL, or ns of each model->steps[i] */
    double bytes_read;   /* by decode steps so far */
    void (*progress)(void *user, size_t done, size_t total); /* of a long feed; may be NULL */
    void *progress_user;
};

/* sinter.c: bytes of a model's `input`. */
size_t engine_input_bytes(const Sinter *s);

/* Called for each chunk: logits of ids [first, first + n) of the feed, [n, vocab]. They are
 * overwritten by the next chunk. */
typedef void (*EngineLogitsFn)(void *user, size_t first, size_t n, const float *logits);
/* sinter_feed, and every id's logits go to `each`, chunk by chunk. */
SinterStatus engine_feed_each(SinterSequence *q, const int32_t *ids, size_t n, EngineLogitsFn each,
                              void *user);
/* The decode entry used for n sequences: the smallest that has room. NULL: none has. */
const SinterEntry *engine_decode_entry(const Sinter *s, int n);
StepBytes engine_step_bytes(const Sinter *s, const SinterEntry *e);

/* feed.c: a model without an embedding on a GPU: n <= e->rows rows through a step, `times` in a row
 * there. Seconds of one step. */
SinterStatus engine_repeat_rows(SinterSequence *q, const SinterEntry *e, int n, int times,
                                double *seconds);
/* feed.c: what sinter_step checks, and room for `steps` more; a decode step's rows, ids and
 * positions in s->tokens and s->pos; and, when one more step has been run for n sequences, their
 * lengths and the bytes read. */
SinterStatus engine_check_step(SinterSequence *const *q, const int32_t *ids, int n, int steps);
SinterRun engine_decode_run(Sinter *s, const SinterEntry *e, SinterSequence *const *q,
                            const int32_t *ids, int n);
void engine_decoded(Sinter *s, const SinterEntry *e, SinterSequence *const *q, int n);

#endif
