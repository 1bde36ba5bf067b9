/* info.c - what was compiled into the program, what this machine offers, and whether the weights
 * beside it fit. */
#include <inttypes.h>
#include <stdio.h>

#include "commands.h"

typedef struct Found {
    Weights weights;
    SinterStatus status;
    Message error;
    int cpu_ok;
} Found;

static void print_text(const Found *f, const char *path)
{
    const SinterModel *m = &sinter_model;
    printf("model        %s: %s\n", m->name, m->spec_summary);
    printf("target       %s\n", m->target);
    if (m->gpu && m->gpu->source)
        printf("gpu          kernels are compiled at start, by NVRTC\n");
    else if (m->gpu)
        printf("gpu          machine code for %s\n", m->cpu_needs);
    else
        printf("cpu          needs %s: %s\n", m->cpu_needs,
               f->cpu_ok ? "here" : "not on this machine");
    printf("threads      %d by default\n", pool_default_threads());
    printf("shape        %d layers, d_model %d, vocab %d, context %d\n", m->layers, m->d_model,
           m->vocab, m->context);
    printf("decode       batches of");
    for (int i = 0; i < m->n_decode; i++)
        printf(" %d", m->decode[i].rows);
    printf("\nprefill      chunks of %d\n", m->prefill.rows);
    printf("kernels      %d\n", m->n_steps);
    printf("memory       %.3f MB of weights in %d tensors, %.3f MB of cache a sequence, %.3f MB of "
           "activations\n",
           (double)m->weights_bytes / 1e6, m->n_tensors, (double)m->kv_bytes / 1e6,
           (double)m->scratch_bytes / 1e6);
    printf("layout       %016" PRIx64 "\n", m->layout_hash);
    if (f->status)
        printf("weights      %s\n", f->error.text);
    else
        printf("weights      %s: %.3f MB, %s\n", path, (double)f->weights.bytes / 1e6,
               f->weights.tokenizer ? "with tokenizer" : "without tokenizer");
}

static void print_json(const Found *f, const char *path)
{
    const SinterModel *m = &sinter_model;
    printf("{\"model\": ");
    json_string(m->name);
    printf(", \"spec\": ");
    json_string(m->spec_summary);
    printf(", \"target\": ");
    json_string(m->target);
    printf(", \"cpu_needs\": ");
    json_string(m->cpu_needs);
    printf(", \"cpu_ok\": %s, \"threads\": %d, \"layers\": %d, \"d_model\": %d, \"vocab\": %d, "
           "\"context\": %d, \"decode\": [",
           f->cpu_ok ? "true" : "false", pool_default_threads(), m->layers, m->d_model, m->vocab,
           m->context);
    for (int i = 0; i < m->n_decode; i++)
        printf("%s%d", i ? ", " : "", m->decode[i].rows);
    printf("], \"prefill\": %d, \"kernels\": %d, \"weights_bytes\": %" PRIu64
           ", \"tensors\": %d, \"kv_bytes\": %zu, \"scratch_bytes\": %zu, \"layout_hash\": "
           "\"%016" PRIx64 "\", \"weights\": ",
           m->prefill.rows, m->n_steps, m->weights_bytes, m->n_tensors, m->kv_bytes,
           m->scratch_bytes, m->layout_hash);
    json_string(path);
    printf(", \"weights_ok\": %s", f->status ? "false" : "true");
    if (f->status) {
        printf(", \"weights_error\": ");
        json_string(f->error.text);
    }
    printf("}\n");
}

SinterStatus info_run(const CliArgs *a, const char *weights_path)
{
    Found f = {.cpu_ok = !sinter_model.cpu_ok || sinter_model.cpu_ok()};
    f.status = weights_open(&f.weights, &sinter_model, weights_path, 0, NULL, &f.error);
    if (a->json)
        print_json(&f, weights_path);
    else
        print_text(&f, weights_path);
    weights_close(&f.weights);
    return SINTER_OK;
}
