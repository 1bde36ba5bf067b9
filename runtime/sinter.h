/* sinter.h - public C interface of a compiled model (libx.so, or the sources linked in).
 *
 *   Sinter *s = NULL;
 *   if (sinter_open(&s, "tinytales.weights", NULL) != SINTER_OK) fail(sinter_error(s));
 *   SinterSequence *q = sinter_sequence(s);
 *   sinter_feed(q, ids, n);                       // prefill
 *   while ((id = sinter_sample(q, &params)) != sinter_eos(s)) { ...; sinter_feed(q, &id, 1); }
 *                                                 // or sinter_continue, which a GPU does by itself
 *   sinter_close(s);
 *
 * No function exits or prints. Text of the last error: sinter_error(). A Sinter and its sequences
 * may be used by one thread at a time. No allocation per token. */
#ifndef SINTER_H
#define SINTER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The library exports what is declared here, and nothing else: it is compiled with
 * -fvisibility=hidden. */
#pragma GCC visibility push(default)

typedef struct Sinter Sinter;
typedef struct SinterSequence SinterSequence;

typedef enum SinterStatus {
    SINTER_OK = 0,
    SINTER_BAD_INPUT = 1,   /* the caller's data: file, ids, text */
    SINTER_ENVIRONMENT = 2, /* memory, CPU features, driver */
    SINTER_DEFECT = 3
} SinterStatus;

typedef struct SinterOptions {
    int threads;         /* 0: one per core this process may use */
    int context;         /* 0: the model's; smaller saves memory */
    int max_sequences;   /* 1..8; 0 = 1 */
    int64_t random_seed; /* weights == NULL: random weights from this seed */
    int skip_checksums;  /* 1: trust the file */
    /* Called while weights are copied to a GPU, which takes seconds; may be NULL. */
    void (*progress)(void *user, const char *what, double done, double total);
    void *progress_user;
} SinterOptions;

/* *out is set even on failure so that sinter_error() can say why; close it all the same. */
SinterStatus sinter_open(Sinter **out, const char *weights_path, const SinterOptions *options);
void sinter_close(Sinter *s);
const char *sinter_error(const Sinter *s); /* "" when there was none */

int sinter_vocab(const Sinter *s);
int sinter_context(const Sinter *s);
int sinter_bos(const Sinter *s); /* -1: none */
int sinter_eos(const Sinter *s);
int sinter_is_end(const Sinter *s, int32_t id); /* any end-of-text id of the tokenizer */

/* Text to ids: returns the number of ids (which may exceed max: call again with room), or -1. */
int64_t sinter_tokenize(Sinter *s, const char *text, size_t n, int add_bos, int parse_special,
                        int32_t *ids, size_t max);
/* The bytes of one id (not NUL-terminated). */
const char *sinter_token_bytes(Sinter *s, int32_t id, size_t *n);
int sinter_has_tokenizer(const Sinter *s);

SinterSequence *sinter_sequence(Sinter *s); /* NULL: more than max_sequences */
void sinter_sequence_reset(SinterSequence *q);
int sinter_sequence_length(const SinterSequence *q);

/* Appends ids; afterwards the logits of the last one are ready. */
SinterStatus sinter_feed(SinterSequence *q, const int32_t *ids, size_t n);
/* The same, and the logits of every id into out [n, vocab]. */
SinterStatus sinter_feed_logits(SinterSequence *q, const int32_t *ids, size_t n, float *out);
/* For a model without an embedding (one MLP alone): n rows of activations [n, d_model] in, [n,
 * vocab] out, where vocab is the width of the result. */
SinterStatus sinter_feed_rows(SinterSequence *q, const float *rows, size_t n, float *out);
int sinter_width(const Sinter *s); /* d_model */
/* One token to each of n sequences in one step. */
SinterStatus sinter_step(SinterSequence *const *q, const int32_t *ids, int n);
const float *sinter_logits(const SinterSequence *q); /* [vocab], of the last id fed */

typedef struct SinterSampling {
    float temperature; /* 0: greedy */
    int top_k;         /* 0: off */
    float top_p;       /* 1: off */
    uint64_t seed;     /* state, advanced by every sample */
} SinterSampling;
int32_t sinter_sample(SinterSequence *q, SinterSampling *p);

/* Called with the ids [n] that a step has drawn; anything but 0 ends the loop. */
typedef int (*SinterIdsFn)(void *user, const int32_t *ids);
/* Feeds an id to each of n sequences, draws the next ones by sampling [n], feeds those, ... for
 * `steps` steps, all of which must have room, or until `each` has enough. The ids drawn last are
 * not fed. A GPU does this by itself, and the logits of these steps are not read back:
 * sinter_logits() are then those of the feed before. */
SinterStatus sinter_continue(SinterSequence *const *q, int n, const int32_t *ids,
                             SinterSampling *sampling, int steps, SinterIdsFn each, void *user);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
