/* tokenizer_json.c - any bytes as a tokenizer.json: refused with a message, or a blob that the
 * runtime takes or refuses with a reason; when it takes it, text becomes ids of the vocabulary. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/tokenizer_json.h"
#include "runtime/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void die(const char *what)
{
    fprintf(stderr, "%s\n", what);
    abort();
}

static void encode(const Buf *blob)
{
    static const char text[] = "a b  ab 12 \xc3\xa9\xe2\x96\x81<s>";
    char err[200] = "";
    Tokenizer *t = tokenizer_open((const uint8_t *)blob->data, blob->len, err, sizeof err);
    if (t == NULL) {
        if (err[0] == '\0') {
            die("refused without a reason");
        }
        return;
    }
    int32_t ids[256];
    int64_t n = tokenizer_encode(t, text, sizeof text - 1, true, true, ids, 256);
    for (int64_t i = 0; i < n && i < 256; i++) {
        if (ids[i] < 0 || ids[i] >= tokenizer_vocab(t)) {
            die("an id outside of the vocabulary");
        }
    }
    tokenizer_close(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Ctx *ctx = ctx_create();
    Buf blob = buf_create(ctx->arena);
    const int32_t ends[] = {1, 2};
    const char *text = arena_strndup(ctx->arena, (const char *)data, size);
    bool ok = tokenizer_json_convert(ctx, "tokenizer.json", text, size, 0, ends, 2, &blob);
    if (ok != (diag_error_count(ctx->diag) == 0)) {
        die(ok ? "converted with an error" : "refused without a word");
    }
    if (ok) {
        encode(&blob);
    }
    ctx_destroy(ctx);
    return 0;
}
