/* tokenizer.h - BPE (byte-level and byte-fallback) as Hugging Face tokenizer.json describes it.
 *
 * `sinter pack` turns tokenizer.json into a flat blob (the compiler side reads the JSON); the
 * runtime uses the blob in place. Blob, little-endian, strings as {u32 length, bytes} padded to 4:
 *
 *   "STOK" u32 version=1  u32 flags  u32 n_vocab  i32 bos  i32 eos  u32 n_end_ids  u32 n_merges
 *   u32 n_special  u32 n_steps
 *   end ids       i32[n_end_ids]                    ids at which generation stops
 *   vocabulary    n_vocab strings (raw bytes: the byte-level alphabet already undone), id order
 *   merges        n_merges x {u32 left id, u32 right id, u32 merged id}, rank order
 *   special       n_special x {u32 id, u32 flags, string text}      added tokens, longest first
 *   normaliser and pre-tokenizer steps   n_steps x {u32 kind, u32 flags, string a, string b}
 */
#ifndef SINTER_TOKENIZER_H
#define SINTER_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum TokenizerFlags {
    TOKENIZER_BYTE_LEVEL = 1,    /* GPT-2 alphabet: every byte is a symbol */
    TOKENIZER_BYTE_FALLBACK = 2, /* unknown characters become <0xAB> ids */
    TOKENIZER_ADD_BOS = 4,       /* the post-processor puts bos first */
    TOKENIZER_IGNORE_MERGES = 8, /* a whole pre-token that is in the vocabulary is taken as it is */
};
enum TokenizerSpecialFlags {
    SPECIAL_LSTRIP = 1,
    SPECIAL_RSTRIP = 2,
    SPECIAL_CONTROL = 4,
    SPECIAL_NORMALIZED = 8
};
enum TokenizerStep {
    STEP_NFC = 1,         /* utf8proc */
    STEP_PREPEND = 2,     /* put a before every piece; flags 1: not when it begins with a already */
    STEP_REPLACE = 3,     /* every a becomes b */
    STEP_SPLIT_REGEX = 4, /* PCRE2, UTF + UCP; matches and gaps are pieces (behaviour "isolated") */
    STEP_DIGITS = 5,      /* flags 1: each digit alone */
    STEP_PREFIX_SPACE = 6, /* a space before a section's first piece unless it begins with one */
    STEP_NFKC = 7,
    STEP_NFD = 8,
    STEP_NFKD = 9,
    STEP_LOWERCASE = 10,
    /* Metaspace prepend_scheme "first": put a before the first section only, unless it begins with
       it */
    STEP_PREPEND_FIRST = 11,
};

typedef struct Tokenizer Tokenizer;

/* Checks and indexes a blob that stays in memory; NULL with the reason in err. */
Tokenizer *tokenizer_open(const uint8_t *blob, size_t n, char *err, size_t err_size);
void tokenizer_close(Tokenizer *t);

/* Number of ids (may exceed max), or -1 and tokenizer_error says why: a split pattern ran into its
 * limit, a character without a symbol. Invalid UTF-8 is not an error: bytes are kept. add_bos: bos
 * comes first where TOKENIZER_ADD_BOS is set. parse_special: control tokens in the text become
 * their ids (other added tokens always do). */
int64_t tokenizer_encode(Tokenizer *t, const char *text, size_t n, bool add_bos, bool parse_special,
                         int32_t *ids, size_t max);
const char *tokenizer_error(const Tokenizer *t);
/* Raw bytes of one id; control tokens give their text. Byte-fallback vocabularies keep "<0xAB>" and
 * the mark put for a space (STEP_REPLACE " " by it) as they are in tokenizer.json: here they become
 * the byte and the space. */
const char *tokenizer_bytes(const Tokenizer *t, int32_t id, size_t *n);
bool tokenizer_is_end(const Tokenizer *t, int32_t id);
bool tokenizer_is_control(const Tokenizer *t, int32_t id);
int tokenizer_bos(const Tokenizer *t);
int tokenizer_eos(const Tokenizer *t);
int tokenizer_vocab(const Tokenizer *t);

#endif
