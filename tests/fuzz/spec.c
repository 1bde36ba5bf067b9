/* spec.c - any bytes as a model spec: read, checked, built in both phases, written out. What is
 * written reads back to a spec that builds the same graph. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/build.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void die(const char *what, const char *a, const char *b)
{
    fprintf(stderr, "%s\n---- first\n%s\n---- second\n%s\n", what, a, b);
    abort();
}

static const ModelSpec *read_spec(Ctx *ctx, const char *text, size_t n)
{
    const ModelSpec *s = spec_read(ctx, "fuzz.yaml", text, n, NULL, 0);
    return s != NULL && spec_check(ctx, s) ? s : NULL;
}

/* Both phases as text; NULL after a diagnostic. */
static const char *graphs(Ctx *ctx, const ModelSpec *s)
{
    const Module *decode = build_module(ctx, s, PHASE_DECODE, 2);
    const Module *prefill = build_module(ctx, s, PHASE_PREFILL, 8);
    if (decode == NULL || prefill == NULL || !ir_verify(decode, NULL) ||
        !ir_verify(prefill, NULL)) {
        return NULL;
    }
    Buf b = buf_create(ctx->arena);
    ir_print_module(&b, decode);
    ir_print_module(&b, prefill);
    return b.data;
}

static void check_written(Ctx *ctx, const ModelSpec *s, const char *graph)
{
    Buf text = buf_create(ctx->arena);
    spec_write(&text, s);
    const ModelSpec *again = read_spec(ctx, text.data, text.len);
    if (again == NULL) {
        die("the spec as written is refused", text.data, diag_text(ctx->diag));
    }
    const char *graph_again = graphs(ctx, again);
    if (graph_again == NULL || strcmp(graph, graph_again) != 0) {
        die("the spec as written is another one", graph, graph_again ? graph_again : "nothing");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Ctx *ctx = ctx_create();
    const char *text = arena_strndup(ctx->arena, (const char *)data, size);
    const ModelSpec *s = read_spec(ctx, text, size);
    if (s != NULL) {
        const char *graph = graphs(ctx, s);
        if (graph != NULL) {
            check_written(ctx, s, graph);
        }
    } else if (diag_error_count(ctx->diag) == 0) {
        die("refused without a word", text, "");
    }
    ctx_destroy(ctx);
    return 0;
}
