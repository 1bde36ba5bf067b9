/* tokenizer_json.h - Hugging Face tokenizer.json -> the flat blob that the runtime reads
 * (runtime/tokenizer.h has its layout).
 *
 * Taken: BPE models (byte-level and byte-fallback), added tokens, normalisers NFC NFKC NFD NFKD
 * Lowercase Prepend Replace, pre-tokenizers ByteLevel Split Digits Metaspace, Sequence of these.
 * Anything else is an error that names it. */
#ifndef SINTER_COMPILER_TOKENIZER_JSON_H
#define SINTER_COMPILER_TOKENIZER_JSON_H

#include "compiler/base/ctx.h"

/* Reads DIR/tokenizer.json with the ids that DIR/tokenizer_config.json, generation_config.json and
 * config.json name as beginning and end. *found is false, without an error, when there is none. */
bool tokenizer_json_pack(Ctx *ctx, const char *dir, Buf *blob, bool *found);

/* The same from memory, without neighbours (for the fuzzer). */
bool tokenizer_json_convert(Ctx *ctx, const char *path, const char *text, size_t n, int32_t bos,
                            const int32_t *ends, int n_ends, Buf *blob);

#endif
