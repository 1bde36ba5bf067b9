/* weights.c - any bytes as an x.weights file: refused or accepted, never read out of bounds.
 * Half of the inputs get right checksums and layout, so that the table itself is reached. */
#include <stdint.h>
#include <string.h>

#include "runtime/weights.h"
#include "tests/runtime/toy_model.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void seal(uint8_t *file, size_t size)
{
    WeightsHeader h;
    memcpy(&h, file, sizeof h);
    memcpy(h.magic, WEIGHTS_MAGIC, sizeof h.magic);
    h.file_bytes = size;
    h.layout_hash = sinter_model.layout_hash;
    if (h.header_bytes < sizeof h || h.header_bytes > size)
        h.header_bytes = size;
    memcpy(file, &h, sizeof h);
    h.header_checksum = weights_header_checksum(file, (size_t)h.header_bytes);
    memcpy(file, &h, sizeof h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static Pool *pool;
    if (!pool)
        pool = pool_create(1);
    uint8_t *copy = malloc(size ? size : 1);
    if (size)
        memcpy(copy, data, size);
    if (size >= sizeof(WeightsHeader) && copy[12] & 1)
        seal(copy, size);
    Weights w;
    Message m;
    if (weights_check(&w, &sinter_model, copy, size, "fuzz", 1, pool, &m) == SINTER_OK &&
        w.tokenizer)
        weights_checksum(w.tokenizer, w.tokenizer_bytes);
    free(copy);
    return 0;
}
