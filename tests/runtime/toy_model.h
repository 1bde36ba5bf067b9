/* toy_model.h - a model small enough to be checked by eye, so that the runtime is tested without
 * the compiler:
 *
 *   state(p)  = embedding[token p]                          kept in the cache
 *   hidden(p) = state(p) + mean of state(0) ... state(p)
 *   logits(p) = embedding . hidden(p)                       the head is tied
 *
 * Its source defines sinter_model; a test includes toy_model.c. */
#ifndef SINTER_TOY_MODEL_H
#define SINTER_TOY_MODEL_H

#include <stddef.h>
#include <stdint.h>

enum { TOY_VOCAB = 300, TOY_DIM = 8, TOY_CONTEXT = 32, TOY_CHUNK = 5, TOY_BATCH = 4 };

/* The embedding of a toy weights file. */
float toy_embedding(int id, int column);
/* Logits [vocab] of the last of n ids, computed in double precision without the runtime. */
void toy_logits(const int32_t *ids, size_t n, double *out);
/* A weights file in memory, for free(); tokenizer may be NULL. */
uint8_t *toy_weights(const void *tokenizer, size_t tokenizer_bytes, size_t *n);
/* The same in a file; 0 on success. */
int toy_write_weights(const char *path, const void *tokenizer, size_t tokenizer_bytes);

#endif
