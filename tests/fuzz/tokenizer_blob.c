/* tokenizer_blob.c - any bytes as a tokenizer; one that opens encodes a text, and its ids are
 * ids. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char text[] = "Hello w\xc3\xb6rld 123\n\xff  \xe2\x82\xac<s>";
    char err[256];
    uint8_t *copy = malloc(size ? size : 1); /* its own block: reads past the end are seen */
    if (size)
        memcpy(copy, data, size);
    Tokenizer *t = tokenizer_open(copy, size, err, sizeof err);
    int32_t ids[256];
    int64_t n = t ? tokenizer_encode(t, text, sizeof text - 1, true, true, ids, 256) : 0;
    for (int64_t i = 0; i < n && i < 256; i++) {
        size_t length;
        const char *bytes = tokenizer_bytes(t, ids[i], &length);
        if (ids[i] < 0 || ids[i] >= tokenizer_vocab(t) || (length && !bytes))
            abort();
    }
    tokenizer_close(t);
    free(copy);
    return 0;
}
