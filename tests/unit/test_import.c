/* config.json -> spec: values, defaults, both forms of rope settings, what is refused; weights
 * found in checkpoints under the names of each family. */
#include "place.h"

#include <string.h>

#include "compiler/base/file.h"
#include "compiler/import_hf.h"

static void write_text(const Place *p, const char *name, const char *text)
{
    assert_true(file_write(p->ctx->diag, place_path(p, name), text, strlen(text)));
}

/* ' instead of " in the JSON of the tests. */
static const char *unquoted(const Place *p, const char *json)
{
    char *text = arena_strdup(p->ctx->arena, json);
    for (char *c = text; *c; c++) {
        *c = *c == '\'' ? '"' : *c;
    }
    return text;
}

static ModelSpec import(const Place *p, const char *json)
{
    ModelSpec s = {0};
    write_text(p, "config.json", unquoted(p, json));
    if (!import_config(p->ctx, p->dir, &s)) {
        fail_msg("%s", diag_text(p->ctx->diag));
    }
    return s;
}

static void expect_refusal(const Place *p, const char *json, const char *message)
{
    Ctx fresh = *p->ctx;
    fresh.diag = diag_create(p->ctx->arena);
    ModelSpec s = {0};
    write_text(p, "config.json", unquoted(p, json));
    assert_false(import_config(&fresh, p->dir, &s));
    if (!strstr(diag_text(fresh.diag), message)) {
        fail_msg("'%s' is not in '%s'", message, diag_text(fresh.diag));
    }
}

/* ---- values ---------------------------------------------------------------------------------- */

static void takes_defaults_of_the_families(void **state)
{
    const Place *p = *state;
    ModelSpec s = import(p, "{'model_type': 'llama'}");
    assert_int_equal(s.layers, 32);
    assert_int_equal(s.d_ff, 11008);
    assert_int_equal(s.kv_heads, 32);
    assert_int_equal(s.context, 2048);
    assert_false(s.tied);
    assert_true(s.norm_eps == 1e-6 && s.rope_theta == 10000);
    s = import(p, "{'model_type': 'mistral'}");
    assert_int_equal(s.kv_heads, 8);
    assert_int_equal(s.window, 4096);
    s = import(p, "{'model_type': 'mistral', 'sliding_window': null}");
    assert_int_equal(s.window, 0);
    s = import(p, "{'model_type': 'qwen3'}");
    assert_int_equal(s.head_dim, 128);
    assert_true(s.qk_norm);
    s = import(p, "{'model_type': 'qwen2'}");
    assert_true(s.qkv_bias && !s.out_bias && !s.qk_norm);
    s = import(p, "{'model_type': 'gpt2'}");
    assert_int_equal(s.d_ff, 4 * 768);
    assert_int_equal(s.activation, SPEC_GELU_TANH);
    assert_int_equal(s.position_kind, SPEC_LEARNED);
    assert_true(s.tied && s.mlp_bias && s.qkv_bias && s.out_bias && s.norm_final);
    s = import(p, "{'model_type': 'opt'}");
    assert_int_equal(s.position_offset, 2);
    assert_int_equal(s.activation, SPEC_RELU);
    assert_int_equal(s.embed_dim, 768);
    assert_true(s.tied && s.norm_final && s.norm_place == SPEC_PRE);
    s = import(p, "{'model_type': 'phi3'}");
    assert_int_equal(s.window, 0);
}

static void follows_single_fields(void **state)
{
    const Place *p = *state;
    ModelSpec s = import(p, "{'model_type': 'gpt2', 'n_inner': 100, 'scale_attn_weights': false}");
    assert_int_equal(s.d_ff, 100);
    assert_true(s.attn_scale == 1);
    s = import(p, "{'model_type': 'llama', 'attention_bias': true, 'eos_token_id': [7, 8], "
                  "'torch_dtype': 'float16', 'hidden_act': 'gelu'}");
    assert_true(s.qkv_bias && s.out_bias && !s.mlp_bias);
    assert_int_equal(s.eos, 7);
    assert_int_equal(s.dtype, SPEC_F16);
    assert_int_equal(s.activation, SPEC_GELU);
    s = import(p, "{'model_type': 'opt', 'do_layer_norm_before': false, 'hidden_size': 1024, "
                  "'num_attention_heads': 16, 'word_embed_proj_dim': 512}");
    assert_int_equal(s.norm_place, SPEC_POST);
    assert_int_equal(s.embed_dim, 512);
    assert_false(s.norm_final);
    s = import(p, "{'model_type': 'opt', '_remove_final_layer_norm': true, 'enable_bias': false}");
    assert_true(!s.norm_final && !s.qkv_bias && !s.mlp_bias && s.norm_bias);
}

static void reads_sliding_windows(void **state)
{
    const Place *p = *state;
    ModelSpec s = import(p, "{'model_type': 'qwen2', 'num_hidden_layers': 4, 'sliding_window': 64, "
                            "'use_sliding_window': true, 'max_window_layers': 0}");
    assert_int_equal(s.window, 64);
    s = import(p, "{'model_type': 'qwen2', 'num_hidden_layers': 4, 'sliding_window': 64, "
                  "'use_sliding_window': true, 'max_window_layers': 4}");
    assert_int_equal(s.window, 0);
    s = import(p, "{'model_type': 'qwen2', 'num_hidden_layers': 4, 'sliding_window': 64, "
                  "'use_sliding_window': false, 'max_window_layers': 0}");
    assert_int_equal(s.window, 0);
    expect_refusal(p,
                   "{'model_type': 'qwen2', 'num_hidden_layers': 4, 'sliding_window': 64, "
                   "'use_sliding_window': true, 'max_window_layers': 2}",
                   "'max_window_layers' is 2");
    expect_refusal(p,
                   "{'model_type': 'qwen3', 'layer_types': ['full_attention', "
                   "'sliding_attention']}",
                   "'layer_types' is [\"full_attention\",\"sliding_attention\"], but sinter can "
                   "only do the same type for every layer");
}

/* ---- rope ------------------------------------------------------------------------------------ */

static void assert_same_rope(const ModelSpec *a, const ModelSpec *b)
{
    assert_int_equal(a->scaling_kind, b->scaling_kind);
    assert_true(a->rope_theta == b->rope_theta && a->scaling_factor == b->scaling_factor);
    assert_int_equal(a->original_context, b->original_context);
    assert_true(a->low_freq_factor == b->low_freq_factor);
    assert_true(a->high_freq_factor == b->high_freq_factor);
    assert_true(a->attention_factor == b->attention_factor);
}

static void reads_old_and_new_rope_settings(void **state)
{
    const Place *p = *state;
    ModelSpec old =
        import(p, "{'model_type': 'llama', 'rope_theta': 500000.0, 'rope_scaling': {'rope_type': "
                  "'llama3', 'factor': 8.0, 'low_freq_factor': 1.0, 'high_freq_factor': 4.0, "
                  "'original_max_position_embeddings': 8192}, 'max_position_embeddings': 131072}");
    ModelSpec new = import(p, "{'model_type': 'llama', 'rope_parameters': {'rope_theta': 500000.0, "
                              "'rope_type': 'llama3', 'factor': 8.0, 'low_freq_factor': 1.0, "
                              "'high_freq_factor': 4.0, 'original_max_position_embeddings': 8192}, "
                              "'max_position_embeddings': 131072, 'rope_scaling': null}");
    assert_int_equal(old.scaling_kind, SPEC_LLAMA3);
    assert_true(old.scaling_factor == 8 && old.original_context == 8192);
    assert_same_rope(&old, &new);
    old = import(p, "{'model_type': 'llama', 'rope_scaling': {'type': 'linear', 'factor': 4}}");
    assert_int_equal(old.scaling_kind, SPEC_LINEAR);
    assert_true(old.scaling_factor == 4 && old.attention_factor == 1);
}

static void reads_yarn(void **state)
{
    const Place *p = *state;
    ModelSpec s = import(p, "{'model_type': 'qwen2', 'max_position_embeddings': 131072, "
                            "'rope_scaling': {'type': 'yarn', 'factor': 4.0, "
                            "'original_max_position_embeddings': 32768, 'beta_fast': 16}}");
    assert_int_equal(s.scaling_kind, SPEC_YARN);
    assert_true(s.beta_fast == 16 && s.beta_slow == 1);
    /* 0.1 ln 4 + 1 */
    assert_true(s.attention_factor > 1.138629 && s.attention_factor < 1.138630);
    s = import(p, "{'model_type': 'qwen2', 'max_position_embeddings': 4000, "
                  "'rope_scaling': {'type': 'yarn', 'original_max_position_embeddings': 2000, "
                  "'mscale': 0.7, 'attention_factor': null}}");
    assert_true(s.scaling_factor == 2 && s.mscale == 1); /* one weight alone does not count */
    s = import(p, "{'model_type': 'qwen2', 'rope_scaling': {'type': 'yarn', 'factor': 4, 'mscale': "
                  "0.7, 'mscale_all_dim': 0.7}}");
    assert_true(s.attention_factor == 1);
    expect_refusal(p,
                   "{'model_type': 'qwen2', 'rope_scaling': {'type': 'yarn', 'factor': 4, "
                   "'truncate': false}}",
                   "'truncate' is false");
}

static void reads_longrope(void **state)
{
    const Place *p = *state;
    ModelSpec s = import(p, "{'model_type': 'phi3', 'hidden_size': 16, 'num_attention_heads': 2, "
                            "'max_position_embeddings': 131072, "
                            "'original_max_position_embeddings': 4096, "
                            "'partial_rotary_factor': 0.5, 'rope_scaling': {'type': 'su', "
                            "'short_factor': [1, 1.5], 'long_factor': [2, 3.25]}}");
    assert_int_equal(s.scaling_kind, SPEC_LONGROPE);
    assert_int_equal(s.rope_dims, 4);
    assert_int_equal(s.original_context, 4096);
    assert_int_equal(s.long_factors.n, 2);
    assert_true(s.scaling_factor == 32 && s.long_factors.v[1] == 3.25);
    assert_true(s.short_factors.v[0] == 1);
    expect_refusal(p,
                   "{'model_type': 'phi3', 'rope_scaling': {'type': 'longrope', 'short_factor': "
                   "[1]}}",
                   "needs 'long_factor'");
    expect_refusal(p,
                   "{'model_type': 'phi3', 'rope_scaling': {'type': 'longrope', 'short_factor': "
                   "['a'], 'long_factor': [1]}}",
                   "'short_factor' is [\"a\"]");
}

/* ---- what is refused ------------------------------------------------------------------------- */

static void refuses_what_it_does_not_know(void **state)
{
    const Place *p = *state;
    static const char *const cases[][2] = {
        {"{'model_type': 'llama', 'hiden_size': 4}",
         "unknown field 'hiden_size' = 4 for model_type "
         "llama, did you mean 'hidden_size'?"},
        {"{'model_type': 'lama'}", "model_type 'lama' cannot be imported, did you mean 'llama'"},
        {"{}", "model_type '(none)' cannot be imported; known: llama, mistral"},
        {"[]", "the root is not an object"},
        {"{'model_type': 'llama',}", "config.json:1:"},
        {"{'model_type': 'llama', 'model_type': 'opt'}", "duplicate"},
        {"{'model_type': 'gpt2', 'scale_attn_by_inverse_layer_idx': true}",
         "'scale_attn_by_inverse_layer_idx' is true, but sinter can only do false"},
        {"{'model_type': 'llama', 'hidden_act': 'mish'}",
         "'hidden_act' is \"mish\", but sinter can only do silu, swish, gelu"},
        {"{'model_type': 'llama', 'rope_scaling': {'type': 'dynamic', 'factor': 2}}",
         "'rope_type' is \"dynamic\", but sinter can only do default, linear, llama3"},
        {"{'model_type': 'llama', 'rope_scaling': {'type': 'linear', 'factor': 2, 'fator': 3}}",
         "unknown rope setting 'fator' = 3"},
        {"{'model_type': 'llama', 'rope_scaling': {'type': 'linear'}}", "needs 'factor'"},
        {"{'model_type': 'llama', 'rope_scaling': 'linear'}", "'rope_scaling' is \"linear\""},
        {"{'model_type': 'llama', 'quantization_config': {'bits': 4}}",
         "'quantization_config' is {\"bits\":4}, but sinter can only do null"},
        {"{'model_type': 'llama', 'architectures': ['LlamaForSequenceClassification']}",
         "'architectures' is \"LlamaForSequenceClassification\""},
        {"{'model_type': 'llama', 'vocab_size': 'many'}", "'vocab_size' is \"many\", but sinter "
                                                          "can only do an integer"},
        {"{'model_type': 'llama', 'vocab_size': null}", "'vocab_size' is null"},
        {"{'model_type': 'opt', 'do_layer_norm_before': 1}", "'do_layer_norm_before' is 1"},
        {"{'model_type': 'opt', 'layer_norm_elementwise_affine': false}",
         "'layer_norm_elementwise_affine' is false"},
        {"{'model_type': 'llama', 'num_attention_heads': 32, 'num_key_value_heads': 5}",
         "kv_heads"},
        {"{'model_type': 'llama', 'torch_dtype': 'float8_e4m3fn'}", "'torch_dtype' is"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        expect_refusal(p, cases[i][0], cases[i][1]);
    }
    expect_refusal(p, "{'model_type': 'llama', 'foo': 1, 'hidden_act': 'mish'}", "'foo'");
    ModelSpec s;
    assert_false(import_config(p->ctx, place_path(p, "nowhere"), &s));
}

static void writes_a_spec_that_reads_back(void **state)
{
    const Place *p = *state;
    static const char *const families[] = {"llama2", "llama3", "mistral", "qwen2",   "qwen3",
                                           "phi3",   "gpt2",   "opt",     "opt_post"};
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        const char *dir = path_join(p->ctx->arena, "tests/golden", families[i]);
        ModelSpec s;
        assert_true(import_config(p->ctx, dir, &s));
        assert_string_equal(s.name, families[i]);
        Buf text = buf_create(p->ctx->arena);
        spec_write(&text, &s);
        const ModelSpec *back = spec_read(p->ctx, "back.yaml", text.data, text.len, NULL, 0);
        if (!back) {
            fail_msg("%s", diag_text(p->ctx->diag));
        }
        Buf again = buf_create(p->ctx->arena);
        spec_write(&again, back);
        assert_string_equal(text.data, again.data);
        for (int k = 0; k < KEY_COUNT; k++) {
            if (spec_keys[k].kind != SPEC_KIND_NUMS) {
                static const size_t size[] = {sizeof(int64_t), sizeof(double), sizeof(bool),
                                              sizeof(SpecWord), sizeof(Str)};
                assert_memory_equal((const char *)&s + spec_keys[k].offset,
                                    (const char *)back + spec_keys[k].offset,
                                    size[spec_keys[k].kind]);
            }
        }
    }
}

/* ---- weights --------------------------------------------------------------------------------- */

typedef struct Entry {
    const char *name, *dtype;
    int64_t dim[2];
} Entry;

/* A checkpoint of zeros with these tensors; dim[1] = 0: a vector. */
static void write_checkpoint(const Place *p, const Entry *e, size_t n)
{
    Buf header = buf_create(p->ctx->arena);
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        size_t bytes = (size_t)(e[i].dim[0] * (e[i].dim[1] ? e[i].dim[1] : 1)) *
                       (strcmp(e[i].dtype, "F32") == 0  ? 4
                        : strcmp(e[i].dtype, "I8") == 0 ? 1
                                                        : 2);
        buf_printf(&header, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[%d", i ? "," : "{", e[i].name,
                   e[i].dtype, (int)e[i].dim[0]);
        if (e[i].dim[1]) {
            buf_printf(&header, ",%d", (int)e[i].dim[1]);
        }
        buf_printf(&header, "],\"data_offsets\":[%zu,%zu]}", at, at + bytes);
        at += bytes;
    }
    buf_putc(&header, '}');
    Buf file = buf_create(p->ctx->arena);
    uint64_t size = header.len;
    buf_add(&file, (const char *)&size, sizeof size);
    buf_add(&file, header.data, header.len);
    for (size_t i = 0; i < at; i++) {
        buf_putc(&file, '\0');
    }
    assert_true(file_write(p->ctx->diag, place_path(p, "model.safetensors"), file.data, file.len));
}

static const char small_llama[] = "{'model_type': 'llama', 'hidden_size': 8, 'num_hidden_layers': "
                                  "1, 'num_attention_heads': 2, 'intermediate_size': 6, "
                                  "'vocab_size': 10, 'max_position_embeddings': 16}";

static const Entry llama_entries[] = {
    {"lm_head.weight", "BF16", {10, 8}},
    {"model.embed_tokens.weight", "BF16", {10, 8}},
    {"model.layers.0.mlp.gate_proj.weight", "BF16", {6, 8}},
    {"model.layers.0.mlp.up_proj.weight", "I8", {6, 8}},
    {"model.layers.0.mlp.down_proj.weight", "BF16", {6, 8}},
    {"model.layers.0.self_attn.q_proj.bias", "BF16", {8, 0}},
    {"model.layers.0.self_attn.rotary_emb.inv_freq", "F32", {2, 0}},
};

typedef struct Fixture {
    ModelSpec spec;
    Importer *importer;
    TypeTable *types;
} Fixture;

static Fixture *open_small_llama(const Place *p)
{
    Fixture *f = ARENA_NEW(p->ctx->arena, Fixture);
    f->spec = import(p, small_llama);
    write_checkpoint(p, llama_entries, sizeof llama_entries / sizeof *llama_entries);
    f->importer = import_open(p->ctx, &f->spec, p->dir);
    assert_non_null(f->importer);
    f->types = type_table_create(p->ctx);
    return f;
}

static bool locate(const Place *p, const Fixture *f, int layer, const char *weight, int64_t rows,
                   int64_t cols, WeightRef *ref)
{
    int64_t dim[] = {rows, cols};
    const Type *t = type_make(f->types, DT_BF16, cols ? 2 : 1, dim);
    return import_locate(f->importer, layer, str_intern(p->ctx->strings, weight), t, ref);
}

static void expect_message(const Place *p, const char *message)
{
    if (!strstr(diag_text(p->ctx->diag), message)) {
        fail_msg("'%s' is not in '%s'", message, diag_text(p->ctx->diag));
    }
}

static void finds_weights_or_says_why_not(void **state)
{
    const Place *p = *state;
    Fixture *f = open_small_llama(p);
    WeightRef ref;
    assert_true(locate(p, f, 0, "gate", 6, 8, &ref));
    assert_true(ref.rows == 6 && ref.cols == 8 && ref.first == 0 && !ref.transposed);
    assert_false(locate(p, f, 1, "gate", 6, 8, &ref));
    expect_message(p, "weight layers.1.gate is missing: no tensor "
                      "'model.layers.1.mlp.gate_proj.weight'; the nearest name is "
                      "'model.layers.0.mlp.gate_proj.weight'");
    assert_false(locate(p, f, 0, "down", 8, 6, &ref));
    expect_message(p, "tensor 'model.layers.0.mlp.down_proj.weight' has shape [6, 8], but the spec "
                      "needs [8, 6] for down");
    assert_false(locate(p, f, 0, "up", 6, 8, &ref));
    expect_message(p, "has dtype I8, but weights are read from F32, BF16 or F16");
    assert_false(locate(p, f, -1, "pos_embedding", 16, 8, &ref));
    expect_message(p, "the spec needs the weight pos_embedding, which checkpoints named like llama "
                      "do not have");
    import_close(f->importer);
}

static void reports_weights_that_nobody_read(void **state)
{
    const Place *p = *state;
    Fixture *f = open_small_llama(p);
    WeightRef ref;
    locate(p, f, -1, "head", 10, 8, &ref);
    locate(p, f, -1, "embedding", 10, 8, &ref);
    locate(p, f, 0, "gate", 6, 8, &ref);
    locate(p, f, 0, "up", 6, 8, &ref);
    locate(p, f, 0, "down", 6, 8, &ref);
    assert_false(import_check_unused(f->importer));
    expect_message(p, "the spec describes another model: it leaves out 1 weights, the first is "
                      "'model.layers.0.self_attn.q_proj.bias'");
    locate(p, f, 0, "q_bias", 8, 0, &ref);
    assert_true(import_check_unused(f->importer)); /* inv_freq is passed over */
    import_close(f->importer);
}

static void slices_fused_and_transposed_tensors(void **state)
{
    const Place *p = *state;
    Fixture f = {.types = type_table_create(p->ctx)};
    WeightRef ref;
    assert_true(import_config(p->ctx, "tests/golden/phi3", &f.spec));
    f.importer = import_open(p->ctx, &f.spec, "tests/golden/phi3");
    assert_true(locate(p, &f, 1, "v", 64, 64, &ref));
    assert_true(ref.first == 128 && ref.rows == 64 && !ref.transposed);
    assert_true(locate(p, &f, 1, "up", 192, 64, &ref));
    assert_int_equal(ref.first, 192);
    import_close(f.importer);
    assert_true(import_config(p->ctx, "tests/golden/gpt2", &f.spec));
    f.importer = import_open(p->ctx, &f.spec, "tests/golden/gpt2");
    assert_true(locate(p, &f, 0, "k", 64, 64, &ref));
    assert_true(ref.first == 64 && ref.transposed);
    double rows[2 * 64], all[64 * 64];
    checkpoint_read(&ref, 10, 2, rows);
    checkpoint_read(&ref, 0, 64, all);
    assert_memory_equal(rows, all + 10 * 64, sizeof rows);
    float x;
    uint32_t bits = (uint32_t)(ref.tensor->data[(7 * 192 + 64 + 11) * 2] |
                               ref.tensor->data[(7 * 192 + 64 + 11) * 2 + 1] << 8)
                    << 16;
    memcpy(&x, &bits, sizeof x);
    assert_true(all[11 * 64 + 7] == (double)x);
    import_close(f.importer);
    assert_true(import_config(p->ctx, "tests/golden/opt", &f.spec));
    f.importer = import_open(p->ctx, &f.spec, "tests/golden/opt");
    assert_true(locate(p, &f, -1, "pos_embedding", 100, 64, &ref)); /* a shorter context */
    assert_int_equal(ref.first, 2);
    assert_false(locate(p, &f, -1, "pos_embedding", 129, 64, &ref));
    expect_message(p, "has shape [130, 64], but the spec needs at least [131, 64]");
    import_close(f.importer);
}

static void warns_of_a_config_that_says_otherwise(void **state)
{
    const Place *p = *state;
    ModelSpec s = import(p, small_llama);
    write_checkpoint(p, llama_entries, sizeof llama_entries / sizeof *llama_entries);
    s.rope_theta = 500000;
    Importer *im = import_open(p->ctx, &s, p->dir);
    assert_non_null(im);
    expect_message(p, "warning: 'rope.theta' is 500000 in the spec, but ");
    expect_message(p, "config.json says 10000");
    import_close(im);
}

static void refuses_a_checkpoint_of_unknown_names(void **state)
{
    const Place *p = *state;
    ModelSpec s = import(p, small_llama);
    const Entry one = {"bert.pooler.weight", "F32", {2, 2}};
    write_checkpoint(p, &one, 1);
    assert_null(import_open(p->ctx, &s, p->dir));
    expect_message(p, "tensors are not named as in llama, mistral, qwen, phi3, gpt2 or opt models; "
                      "the first one is 'bert.pooler.weight'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(takes_defaults_of_the_families, place_enter, place_leave),
        cmocka_unit_test_setup_teardown(follows_single_fields, place_enter, place_leave),
        cmocka_unit_test_setup_teardown(reads_sliding_windows, place_enter, place_leave),
        cmocka_unit_test_setup_teardown(reads_old_and_new_rope_settings, place_enter, place_leave),
        cmocka_unit_test_setup_teardown(reads_yarn, place_enter, place_leave),
        cmocka_unit_test_setup_teardown(reads_longrope, place_enter, place_leave),
        cmocka_unit_test_setup_teardown(refuses_what_it_does_not_know, place_enter, place_leave),
        cmocka_unit_test_setup_teardown(writes_a_spec_that_reads_back, place_enter, place_leave),
        cmocka_unit_test_setup_teardown(finds_weights_or_says_why_not, place_enter, place_leave),
        cmocka_unit_test_setup_teardown(reports_weights_that_nobody_read, place_enter, place_leave),
        cmocka_unit_test_setup_teardown(slices_fused_and_transposed_tensors, place_enter,
                                        place_leave),
        cmocka_unit_test_setup_teardown(warns_of_a_config_that_says_otherwise, place_enter,
                                        place_leave),
        cmocka_unit_test_setup_teardown(refuses_a_checkpoint_of_unknown_names, place_enter,
                                        place_leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
