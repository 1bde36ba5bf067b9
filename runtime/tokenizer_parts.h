/* tokenizer_parts.h - the inside of the tokenizer, shared by its .c files:
 *
 *   tokenizer.c       added tokens cut the text into sections; the steps; ids out
 *   tokenizer_blob.c  the blob: checks, tables
 *   pretokenize.c     the steps: normalisation of a section, its cut into pieces
 *   tokenizer_bpe.c   a piece into ids by merges */
#ifndef SINTER_TOKENIZER_PARTS_H
#define SINTER_TOKENIZER_PARTS_H

#include "tokenizer.h"

typedef struct Bytes {
    const char *s;
    size_t n;
} Bytes;

typedef struct Merge {
    uint32_t left, right, merged;
} Merge;

typedef struct Special {
    int32_t id;
    uint32_t flags;
    Bytes text;
} Special;

typedef struct Regex Regex; /* pretokenize.c */

typedef struct Step {
    uint32_t kind, flags;
    Bytes a, b;
    Regex *regex; /* STEP_SPLIT_REGEX */
} Step;

/* Open addressing; slot 0xffffffff is free. */
typedef struct Index {
    uint32_t *slot;
    size_t mask;
} Index;

/* A growable text or array of piece ends. */
typedef struct Text {
    char *s;
    size_t n, cap;
} Text;

typedef struct Ends {
    size_t *end; /* of each piece in the text; the first begins at 0 */
    size_t n, cap;
} Ends;

/* A section on its way through the steps: two of each, because a step reads one and writes the
 * other. */
typedef struct Pieces {
    Text text, next_text;
    Ends ends, next_ends;
} Pieces;

typedef struct Symbol {
    int32_t id;         /* -1: merged into the one before */
    int32_t prev, next; /* -1: none */
} Symbol;

typedef struct Pair {
    uint32_t rank;
    int32_t at;          /* left symbol */
    int32_t left, right; /* ids when it was queued: stale if the symbols have changed */
} Pair;

struct Tokenizer {
    uint32_t flags;
    int32_t bos, eos;
    uint32_t n_vocab, n_end, n_merges, n_special, n_steps;
    int32_t *end;
    Bytes *vocab;       /* as in the blob */
    Bytes *decoded;     /* what an id means: byte tokens and space marks undone */
    char *decoded_text; /* of those that differ */
    uint8_t *control;   /* [n_vocab] 1: a control token */
    Merge *merge;
    Special *special;
    Step *step;
    Index by_text;        /* vocab ids */
    Index by_pair;        /* merges */
    int32_t byte_id[256]; /* of a single byte; -1: none */
    /* scratch of one encode */
    size_t text_limit; /* bytes that normalisation may make of the section */
    Pieces pieces;
    Symbol *symbol;
    size_t symbols_cap;
    Pair *heap;
    size_t heap_n, heap_cap;
    int32_t *out;
    size_t out_max;
    int64_t n_out;
    char error[256];
};

/* tokenizer.c */
bool tokenizer_fail(Tokenizer *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void tokenizer_emit(Tokenizer *t, int32_t id);

/* tokenizer_blob.c */
bool tokenizer_read_blob(Tokenizer *t, const uint8_t *blob, size_t n);
int32_t tokenizer_find(const Tokenizer *t, const char *s, size_t n); /* -1: not in the vocabulary */
const Merge *tokenizer_find_merge(const Tokenizer *t, int32_t left, int32_t right);

/* pretokenize.c */
Regex *regex_create(Bytes pattern, char *err, size_t err_size);
void regex_destroy(Regex *r);
/* Runs all steps over t->pieces.text (one piece): first = the section begins the text. */
bool tokenizer_run_steps(Tokenizer *t, bool first);
bool text_add(Tokenizer *t, Text *x, const char *s, size_t n);
bool ends_add(Tokenizer *t, Ends *e, size_t end);
/* Bytes of the white space character at s; 0: it is none. */
size_t whitespace_length(const char *s, size_t n);

/* tokenizer_bpe.c */
bool tokenizer_encode_piece(Tokenizer *t, const char *s, size_t n);

#endif
