/* weights.h - the packed weights in memory: an x.weights file, mapped or copied, checked against
 * the compiled model, or random ones made from a seed. */
#ifndef SINTER_WEIGHTS_H
#define SINTER_WEIGHTS_H

#include "message.h"
#include "model.h"
#include "pool.h"
#include "weights_format.h"

typedef struct Weights {
    const uint8_t *data; /* offsets of the tensors count from here; NULL: not open */
    size_t bytes;
    int random;               /* made in memory */
    const uint8_t *tokenizer; /* the tensor "tokenizer", or NULL */
    size_t tokenizer_bytes;
} Weights;

/* Maps or reads (weights_open.c) and checks the file: header, table, every tensor against `model`,
 * and with `checksums` every byte. SINTER_BAD_INPUT says what is wrong and where; *w is then
 * closed. */
SinterStatus weights_open(Weights *w, const SinterModel *model, const char *path, int checksums,
                          Pool *pool, Message *m);
/* The same checks on a file that is already in memory (must stay there). */
SinterStatus weights_check(Weights *w, const SinterModel *model, const uint8_t *data, size_t bytes,
                           const char *path, int checksums, Pool *pool, Message *m);
/* Random weights: the same for the same seed, whatever the number of threads. */
SinterStatus weights_random(Weights *w, const SinterModel *model, uint64_t seed, Pool *pool,
                            Message *m);
/* The table they are drawn from: quantiles of the standard normal distribution,
 * [WEIGHTS_QUANTILES]; one tensor of them, [bytes of the tensor]; how large all are together. */
enum { WEIGHTS_QUANTILES = 4096 };
void weights_quantiles(float *quantile);
void weights_random_tensor(const SinterModel *model, uint64_t seed, int tensor,
                           const float *quantile, uint8_t *out);
size_t weights_random_bytes(const SinterModel *model);
void weights_close(Weights *w);

/* Checksum of header and table (header_bytes of them) as if header_checksum were 0. */
uint64_t weights_header_checksum(const void *header, size_t bytes);
uint64_t weights_checksum(const void *data, size_t bytes);

#endif
