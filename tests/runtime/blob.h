/* blob.h - writes tokenizer blobs (runtime/tokenizer.h) by hand, for tests. */
#ifndef SINTER_TESTS_BLOB_H
#define SINTER_TESTS_BLOB_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/tokenizer.h"

typedef struct Blob {
    uint8_t data[32768];
    size_t n;
} Blob;

static inline void blob_u32(Blob *b, uint32_t x)
{
    for (int i = 0; i < 4; i++)
        b->data[b->n++] = (uint8_t)(x >> 8 * i);
}

static inline void blob_bytes(Blob *b, const void *s, size_t n)
{
    blob_u32(b, (uint32_t)n);
    memcpy(b->data + b->n, s, n);
    b->n += (n + 3) / 4 * 4;
}

static inline void blob_text(Blob *b, const char *s)
{
    blob_bytes(b, s, strlen(s));
}

typedef struct BlobCounts {
    uint32_t flags, n_vocab;
    int32_t bos, eos;
    uint32_t n_end, n_merges, n_special, n_steps;
} BlobCounts;

static inline void blob_begin(Blob *b, BlobCounts c)
{
    memset(b, 0, sizeof *b);
    memcpy(b->data, "STOK", 4);
    b->n = 4;
    const uint32_t words[] = {1,       c.flags,    c.n_vocab,   (uint32_t)c.bos, (uint32_t)c.eos,
                              c.n_end, c.n_merges, c.n_special, c.n_steps};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        blob_u32(b, words[i]);
}

static inline void blob_merge(Blob *b, uint32_t left, uint32_t right, uint32_t merged)
{
    blob_u32(b, left);
    blob_u32(b, right);
    blob_u32(b, merged);
}

static inline void blob_special(Blob *b, uint32_t id, uint32_t flags, const char *text)
{
    blob_u32(b, id);
    blob_u32(b, flags);
    blob_text(b, text);
}

static inline void blob_step(Blob *b, uint32_t kind, uint32_t flags, const char *a, const char *c)
{
    blob_u32(b, kind);
    blob_u32(b, flags);
    blob_text(b, a);
    blob_text(b, c);
}

/* All 256 bytes (id = byte), <bos> 256, <eos> 257 (the end), merges "he" 258, "ll" 259, "hell" 260,
 * "hello" 261, " w" 262, "or" 263, " wor" 264, "12" 265, <mark> 266, "lo" 267. One split pattern.
 */
enum {
    BLOB_BOS = 256,
    BLOB_EOS,
    BLOB_HE,
    BLOB_LL,
    BLOB_HELL,
    BLOB_HELLO,
    BLOB__W,
    BLOB_OR,
    BLOB__WOR
};
enum { BLOB_12 = 265, BLOB_MARK, BLOB_LO, BLOB_VOCAB };

static inline void blob_byte_vocab(Blob *b)
{
    static const char *const more[] = {"<bos>", "<eos>", "he",   "ll", "hell",   "hello",
                                       " w",    "or",    " wor", "12", "<mark>", "lo"};
    for (int i = 0; i < 256; i++)
        blob_bytes(b, &(uint8_t){(uint8_t)i}, 1);
    for (size_t i = 0; i < sizeof more / sizeof *more; i++)
        blob_text(b, more[i]);
}

static inline void blob_byte_level(Blob *b, uint32_t flags, const char *pattern)
{
    blob_begin(b, (BlobCounts){TOKENIZER_BYTE_LEVEL | flags, BLOB_VOCAB, BLOB_BOS, BLOB_EOS, 1, 8,
                               3, pattern ? 1 : 0});
    blob_u32(b, BLOB_EOS);
    blob_byte_vocab(b);
    blob_merge(b, 'h', 'e', BLOB_HE);
    blob_merge(b, 'l', 'l', BLOB_LL);
    blob_merge(b, 'l', 'o', BLOB_LO);
    blob_merge(b, BLOB_HE, BLOB_LL, BLOB_HELL);
    blob_merge(b, ' ', 'w', BLOB__W);
    blob_merge(b, 'o', 'r', BLOB_OR);
    blob_merge(b, BLOB__W, BLOB_OR, BLOB__WOR);
    blob_merge(b, '1', '2', BLOB_12);
    blob_special(b, BLOB_MARK, SPECIAL_LSTRIP | SPECIAL_RSTRIP, "<mark>");
    blob_special(b, BLOB_BOS, SPECIAL_CONTROL, "<bos>");
    blob_special(b, BLOB_EOS, SPECIAL_CONTROL, "<eos>");
    if (pattern)
        blob_step(b, STEP_SPLIT_REGEX, 0, pattern, "");
}

#endif
