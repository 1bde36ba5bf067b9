/* import_families.c - config.json of each model_type as a table: field, rule, key of the spec, what
 * holds when the field is absent or null.
 *
 * Defaults are those of the configuration classes of Hugging Face transformers
 * (src/transformers/models/NAME/configuration_NAME.py), because save_pretrained may leave a field
 * out that has its default. */
#include "compiler/import_hf.h"

/* Fields of every configuration class that say nothing about the forward pass of a causal model, or
 * that the tables below do not want to repeat. */
const ConfigField config_common_fields[] = {
    {"model_type", FIELD_LATER, NULL, NULL, NULL},
    {"architectures", FIELD_LATER, NULL, NULL, ""},
    {"torch_dtype", FIELD_DTYPE, "dtype", NULL, ""},
    {"dtype", FIELD_DTYPE, "dtype", NULL, ""},
    {"bos_token_id", FIELD_ID, "bos", NULL, "-1"},
    {"eos_token_id", FIELD_ID, "eos", NULL, "-1"},
    {"is_encoder_decoder", FIELD_MUST, "false", NULL, ""},
    {"is_decoder", FIELD_IGNORE, NULL, NULL, NULL},
    {"add_cross_attention", FIELD_MUST, "false", NULL, ""},
    {"cross_attention_hidden_size", FIELD_MUST, "null", NULL, ""},
    {"pruned_heads", FIELD_MUST, "{}", NULL, ""},
    {"quantization_config", FIELD_MUST, "null", NULL, ""},
    {"transformers_version", FIELD_IGNORE, NULL, NULL, NULL},
    {"_name_or_path", FIELD_IGNORE, NULL, NULL, NULL},
    {"_attn_implementation", FIELD_IGNORE, NULL, NULL, NULL},
    {"_attn_implementation_autoset", FIELD_IGNORE, NULL, NULL, NULL},
    {"attn_implementation", FIELD_IGNORE, NULL, NULL, NULL},
    {"auto_map", FIELD_IGNORE, NULL, NULL, NULL},
    {"use_cache", FIELD_IGNORE, NULL, NULL, NULL},
    {"initializer_range", FIELD_IGNORE, NULL, NULL, NULL},
    {"pad_token_id", FIELD_IGNORE, NULL, NULL, NULL},
    {"sep_token_id", FIELD_IGNORE, NULL, NULL, NULL},
    {"unk_token_id", FIELD_IGNORE, NULL, NULL, NULL},
    {"decoder_start_token_id", FIELD_IGNORE, NULL, NULL, NULL},
    {"attention_dropout", FIELD_IGNORE, NULL, NULL, NULL},
    {"hidden_dropout", FIELD_IGNORE, NULL, NULL, NULL},
    {"dropout", FIELD_IGNORE, NULL, NULL, NULL},
    {"activation_dropout", FIELD_IGNORE, NULL, NULL, NULL},
    {"classifier_dropout", FIELD_IGNORE, NULL, NULL, NULL},
    {"output_attentions", FIELD_IGNORE, NULL, NULL, NULL},
    {"output_hidden_states", FIELD_IGNORE, NULL, NULL, NULL},
    {"return_dict", FIELD_IGNORE, NULL, NULL, NULL},
    {"torchscript", FIELD_IGNORE, NULL, NULL, NULL},
    {"chunk_size_feed_forward", FIELD_IGNORE, NULL, NULL, NULL},
    {"gradient_checkpointing", FIELD_IGNORE, NULL, NULL, NULL},
    {"tokenizer_class", FIELD_IGNORE, NULL, NULL, NULL},
    {"prefix", FIELD_IGNORE, NULL, NULL, NULL},
    {"problem_type", FIELD_IGNORE, NULL, NULL, NULL},
    {"finetuning_task", FIELD_IGNORE, NULL, NULL, NULL},
    {"task_specific_params", FIELD_IGNORE, NULL, NULL, NULL},
    {"id2label", FIELD_IGNORE, NULL, NULL, NULL},
    {"label2id", FIELD_IGNORE, NULL, NULL, NULL},
    {"tf_legacy_loss", FIELD_IGNORE, NULL, NULL, NULL},
    {"use_bfloat16", FIELD_IGNORE, NULL, NULL, NULL},
    /* settings of generation, which old versions kept here */
    {"max_length", FIELD_IGNORE, NULL, NULL, NULL},
    {"min_length", FIELD_IGNORE, NULL, NULL, NULL},
    {"max_new_tokens", FIELD_IGNORE, NULL, NULL, NULL},
    {"do_sample", FIELD_IGNORE, NULL, NULL, NULL},
    {"temperature", FIELD_IGNORE, NULL, NULL, NULL},
    {"top_k", FIELD_IGNORE, NULL, NULL, NULL},
    {"top_p", FIELD_IGNORE, NULL, NULL, NULL},
    {"typical_p", FIELD_IGNORE, NULL, NULL, NULL},
    {"num_beams", FIELD_IGNORE, NULL, NULL, NULL},
    {"num_beam_groups", FIELD_IGNORE, NULL, NULL, NULL},
    {"diversity_penalty", FIELD_IGNORE, NULL, NULL, NULL},
    {"early_stopping", FIELD_IGNORE, NULL, NULL, NULL},
    {"repetition_penalty", FIELD_IGNORE, NULL, NULL, NULL},
    {"length_penalty", FIELD_IGNORE, NULL, NULL, NULL},
    {"no_repeat_ngram_size", FIELD_IGNORE, NULL, NULL, NULL},
    {"encoder_no_repeat_ngram_size", FIELD_IGNORE, NULL, NULL, NULL},
    {"bad_words_ids", FIELD_IGNORE, NULL, NULL, NULL},
    {"num_return_sequences", FIELD_IGNORE, NULL, NULL, NULL},
    {"output_scores", FIELD_IGNORE, NULL, NULL, NULL},
    {"return_dict_in_generate", FIELD_IGNORE, NULL, NULL, NULL},
    {"forced_bos_token_id", FIELD_IGNORE, NULL, NULL, NULL},
    {"forced_eos_token_id", FIELD_IGNORE, NULL, NULL, NULL},
    {"remove_invalid_values", FIELD_IGNORE, NULL, NULL, NULL},
    {"exponential_decay_length_penalty", FIELD_IGNORE, NULL, NULL, NULL},
    {"suppress_tokens", FIELD_IGNORE, NULL, NULL, NULL},
    {"begin_suppress_tokens", FIELD_IGNORE, NULL, NULL, NULL},
    {NULL, FIELD_IGNORE, NULL, NULL, NULL},
};

/* ---- llama ----------------------------------------------------------------------------------- */

static const ConfigField llama_fields[] = {
    {"vocab_size", FIELD_INT, "vocab", "32000", NULL},
    {"hidden_size", FIELD_INT, "d_model", "4096", NULL},
    {"intermediate_size", FIELD_INT, "d_ff", "11008", NULL},
    {"num_hidden_layers", FIELD_INT, "layers", "32", NULL},
    {"num_attention_heads", FIELD_INT, "heads", "32", NULL},
    {"num_key_value_heads", FIELD_INT, "kv_heads", NULL, ""},
    {"head_dim", FIELD_INT, "head_dim", NULL, ""},
    {"max_position_embeddings", FIELD_INT, "context", "2048", NULL},
    {"rms_norm_eps", FIELD_NUM, "norm.eps", "1e-6", NULL},
    {"hidden_act", FIELD_ACTIVATION, "mlp.activation", "silu", NULL},
    {"attention_bias", FIELD_BOOL, "attention.qkv_bias", NULL, NULL},
    {"mlp_bias", FIELD_BOOL, "mlp.bias", NULL, NULL},
    {"tie_word_embeddings", FIELD_BOOL, "tied", NULL, NULL},
    {"pretraining_tp", FIELD_IGNORE, NULL, NULL, NULL}, /* the same sums in slices */
    {"rope_interleaved", FIELD_MUST, "false", NULL, ""},
    {"rope_theta", FIELD_LATER, NULL, NULL, ""},
    {"rope_scaling", FIELD_LATER, NULL, NULL, ""},
    {"rope_parameters", FIELD_LATER, NULL, NULL, ""},
    {NULL, FIELD_IGNORE, NULL, NULL, NULL},
};

static const char *llama_fixed[][2] = {{NULL, NULL}};

/* One switch for the biases of q, k, v and o. */
static bool finish_llama(ConfigReader *r)
{
    if (config_bool(r, "attention_bias", false)) {
        config_set(r, "attention.out_bias", "true");
    }
    return config_read_rope(r);
}

/* ---- mistral --------------------------------------------------------------------------------- */

static const ConfigField mistral_fields[] = {
    {"vocab_size", FIELD_INT, "vocab", "32000", NULL},
    {"hidden_size", FIELD_INT, "d_model", "4096", NULL},
    {"intermediate_size", FIELD_INT, "d_ff", "14336", NULL},
    {"num_hidden_layers", FIELD_INT, "layers", "32", NULL},
    {"num_attention_heads", FIELD_INT, "heads", "32", NULL},
    {"num_key_value_heads", FIELD_INT, "kv_heads", "8", ""},
    {"head_dim", FIELD_INT, "head_dim", NULL, ""},
    {"max_position_embeddings", FIELD_INT, "context", "131072", NULL},
    {"rms_norm_eps", FIELD_NUM, "norm.eps", "1e-6", NULL},
    {"hidden_act", FIELD_ACTIVATION, "mlp.activation", "silu", NULL},
    {"tie_word_embeddings", FIELD_BOOL, "tied", NULL, NULL},
    {"sliding_window", FIELD_LATER, NULL, NULL, ""},
    {"layer_types", FIELD_LATER, NULL, NULL, ""},
    {"rope_theta", FIELD_LATER, NULL, NULL, ""},
    {"rope_scaling", FIELD_LATER, NULL, NULL, ""},
    {"rope_parameters", FIELD_LATER, NULL, NULL, ""},
    {NULL, FIELD_IGNORE, NULL, NULL, NULL},
};

static bool finish_mistral(ConfigReader *r)
{
    return config_read_window(r, 4096) && config_read_rope(r);
}

/* ---- qwen2, qwen3 ---------------------------------------------------------------------------- */

static const ConfigField qwen2_fields[] = {
    {"vocab_size", FIELD_INT, "vocab", "151936", NULL},
    {"hidden_size", FIELD_INT, "d_model", "4096", NULL},
    {"intermediate_size", FIELD_INT, "d_ff", "22016", NULL},
    {"num_hidden_layers", FIELD_INT, "layers", "32", NULL},
    {"num_attention_heads", FIELD_INT, "heads", "32", NULL},
    {"num_key_value_heads", FIELD_INT, "kv_heads", "32", ""},
    {"head_dim", FIELD_INT, "head_dim", NULL, ""},
    {"max_position_embeddings", FIELD_INT, "context", "32768", NULL},
    {"rms_norm_eps", FIELD_NUM, "norm.eps", "1e-6", NULL},
    {"hidden_act", FIELD_ACTIVATION, "mlp.activation", "silu", NULL},
    {"tie_word_embeddings", FIELD_BOOL, "tied", NULL, NULL},
    {"use_mrope", FIELD_MUST, "false", NULL, ""},
    {"use_sliding_window", FIELD_LATER, NULL, NULL, NULL},
    {"sliding_window", FIELD_LATER, NULL, NULL, ""},
    {"max_window_layers", FIELD_LATER, NULL, NULL, ""},
    {"layer_types", FIELD_LATER, NULL, NULL, ""},
    {"rope_theta", FIELD_LATER, NULL, NULL, ""},
    {"rope_scaling", FIELD_LATER, NULL, NULL, ""},
    {"rope_parameters", FIELD_LATER, NULL, NULL, ""},
    {NULL, FIELD_IGNORE, NULL, NULL, NULL},
};

static const char *qwen2_fixed[][2] = {{"attention.qkv_bias", "true"}, {NULL, NULL}};

static bool finish_qwen(ConfigReader *r)
{
    return config_read_layer_window(r) && config_read_rope(r);
}

static const ConfigField qwen3_fields[] = {
    {"vocab_size", FIELD_INT, "vocab", "151936", NULL},
    {"hidden_size", FIELD_INT, "d_model", "4096", NULL},
    {"intermediate_size", FIELD_INT, "d_ff", "22016", NULL},
    {"num_hidden_layers", FIELD_INT, "layers", "32", NULL},
    {"num_attention_heads", FIELD_INT, "heads", "32", NULL},
    {"num_key_value_heads", FIELD_INT, "kv_heads", "32", ""},
    {"head_dim", FIELD_INT, "head_dim", "128", ""},
    {"max_position_embeddings", FIELD_INT, "context", "32768", NULL},
    {"rms_norm_eps", FIELD_NUM, "norm.eps", "1e-6", NULL},
    {"hidden_act", FIELD_ACTIVATION, "mlp.activation", "silu", NULL},
    {"attention_bias", FIELD_BOOL, "attention.qkv_bias", NULL, NULL},
    {"tie_word_embeddings", FIELD_BOOL, "tied", NULL, NULL},
    {"use_sliding_window", FIELD_LATER, NULL, NULL, NULL},
    {"sliding_window", FIELD_LATER, NULL, NULL, ""},
    {"max_window_layers", FIELD_LATER, NULL, NULL, ""},
    {"layer_types", FIELD_LATER, NULL, NULL, ""},
    {"rope_theta", FIELD_LATER, NULL, NULL, ""},
    {"rope_scaling", FIELD_LATER, NULL, NULL, ""},
    {"rope_parameters", FIELD_LATER, NULL, NULL, ""},
    {NULL, FIELD_IGNORE, NULL, NULL, NULL},
};

static const char *qwen3_fixed[][2] = {{"attention.qk_norm", "true"}, {NULL, NULL}};

static bool finish_qwen3(ConfigReader *r)
{
    if (config_bool(r, "attention_bias", false)) {
        config_set(r, "attention.out_bias", "true");
    }
    return finish_qwen(r);
}

/* ---- phi3 ------------------------------------------------------------------------------------ */

static const ConfigField phi3_fields[] = {
    {"vocab_size", FIELD_INT, "vocab", "32064", NULL},
    {"hidden_size", FIELD_INT, "d_model", "3072", NULL},
    {"intermediate_size", FIELD_INT, "d_ff", "8192", NULL},
    {"num_hidden_layers", FIELD_INT, "layers", "32", NULL},
    {"num_attention_heads", FIELD_INT, "heads", "32", NULL},
    {"num_key_value_heads", FIELD_INT, "kv_heads", NULL, ""},
    {"head_dim", FIELD_INT, "head_dim", NULL, ""},
    {"max_position_embeddings", FIELD_INT, "context", "4096", NULL},
    {"rms_norm_eps", FIELD_NUM, "norm.eps", "1e-5", NULL},
    {"hidden_act", FIELD_ACTIVATION, "mlp.activation", "silu", NULL},
    {"tie_word_embeddings", FIELD_BOOL, "tied", NULL, NULL},
    {"attention_bias", FIELD_MUST, "false", NULL, ""},
    {"resid_pdrop", FIELD_IGNORE, NULL, NULL, NULL},
    {"embd_pdrop", FIELD_IGNORE, NULL, NULL, NULL},
    {"partial_rotary_factor", FIELD_LATER, NULL, NULL, NULL},
    {"original_max_position_embeddings", FIELD_LATER, NULL, NULL, NULL},
    {"sliding_window", FIELD_LATER, NULL, NULL, ""},
    {"layer_types", FIELD_LATER, NULL, NULL, ""},
    {"rope_theta", FIELD_LATER, NULL, NULL, ""},
    {"rope_scaling", FIELD_LATER, NULL, NULL, ""},
    {"rope_parameters", FIELD_LATER, NULL, NULL, ""},
    {NULL, FIELD_IGNORE, NULL, NULL, NULL},
};

static bool finish_phi3(ConfigReader *r)
{
    return config_read_window(r, 0) && config_read_rope(r);
}

/* ---- gpt2 ------------------------------------------------------------------------------------ */

static const ConfigField gpt2_fields[] = {
    {"vocab_size", FIELD_INT, "vocab", "50257", NULL},
    {"n_positions", FIELD_INT, "context", "1024", NULL},
    {"n_ctx", FIELD_IGNORE, NULL, NULL, NULL}, /* old name of n_positions */
    {"n_embd", FIELD_INT, "d_model", "768", NULL},
    {"n_layer", FIELD_INT, "layers", "12", NULL},
    {"n_head", FIELD_INT, "heads", "12", NULL},
    {"n_inner", FIELD_INT, "d_ff", "4 * d_model", "4 * d_model"},
    {"activation_function", FIELD_ACTIVATION, "mlp.activation", "gelu_tanh", NULL},
    {"layer_norm_epsilon", FIELD_NUM, "norm.eps", "1e-5", NULL},
    {"tie_word_embeddings", FIELD_BOOL, "tied", "true", NULL},
    {"scale_attn_weights", FIELD_LATER, NULL, NULL, NULL},
    {"scale_attn_by_inverse_layer_idx", FIELD_MUST, "false", NULL, ""},
    {"reorder_and_upcast_attn", FIELD_IGNORE, NULL, NULL, NULL}, /* precision of the scores only */
    {"resid_pdrop", FIELD_IGNORE, NULL, NULL, NULL},
    {"embd_pdrop", FIELD_IGNORE, NULL, NULL, NULL},
    {"attn_pdrop", FIELD_IGNORE, NULL, NULL, NULL},
    {"summary_type", FIELD_IGNORE, NULL, NULL, NULL},
    {"summary_use_proj", FIELD_IGNORE, NULL, NULL, NULL},
    {"summary_activation", FIELD_IGNORE, NULL, NULL, NULL},
    {"summary_proj_to_labels", FIELD_IGNORE, NULL, NULL, NULL},
    {"summary_first_dropout", FIELD_IGNORE, NULL, NULL, NULL},
    {NULL, FIELD_IGNORE, NULL, NULL, NULL},
};

static const char *gpt2_fixed[][2] = {
    {"norm.kind", "layernorm"},
    {"position.kind", "learned"},
    {"mlp.kind", "plain"},
    {"mlp.bias", "true"},
    {"attention.qkv_bias", "true"},
    {"attention.out_bias", "true"},
    {NULL, NULL},
};

static bool finish_gpt2(ConfigReader *r)
{
    if (!config_bool(r, "scale_attn_weights", true)) {
        config_set(r, "attention.scale", "1");
    }
    return true;
}

/* ---- opt ------------------------------------------------------------------------------------- */

static const ConfigField opt_fields[] = {
    {"vocab_size", FIELD_INT, "vocab", "50272", NULL},
    {"hidden_size", FIELD_INT, "d_model", "768", NULL},
    {"num_hidden_layers", FIELD_INT, "layers", "12", NULL},
    {"ffn_dim", FIELD_INT, "d_ff", "3072", NULL},
    {"max_position_embeddings", FIELD_INT, "context", "2048", NULL},
    {"num_attention_heads", FIELD_INT, "heads", "12", NULL},
    {"activation_function", FIELD_ACTIVATION, "mlp.activation", "relu", NULL},
    {"word_embed_proj_dim", FIELD_INT, "embed_dim", NULL, ""},
    {"tie_word_embeddings", FIELD_BOOL, "tied", "true", NULL},
    {"do_layer_norm_before", FIELD_LATER, NULL, NULL, NULL},
    {"_remove_final_layer_norm", FIELD_LATER, NULL, NULL, NULL},
    {"enable_bias", FIELD_LATER, NULL, NULL, NULL},
    {"layer_norm_elementwise_affine", FIELD_MUST, "true", NULL, ""},
    {"layerdrop", FIELD_IGNORE, NULL, NULL, NULL},
    {"init_std", FIELD_IGNORE, NULL, NULL, NULL},
    {NULL, FIELD_IGNORE, NULL, NULL, NULL},
};

static const char *opt_fixed[][2] = {
    {"norm.kind", "layernorm"},
    {"position.kind", "learned"},
    {"position.offset", "2"},
    {"mlp.kind", "plain"},
    {NULL, NULL},
};

/* OPTDecoder: a final norm only when blocks normalise first and _remove_final_layer_norm, which old
 * checkpoints needed, is not set. */
static bool finish_opt(ConfigReader *r)
{
    bool before = config_bool(r, "do_layer_norm_before", true);
    bool removed = config_bool(r, "_remove_final_layer_norm", false);
    const char *bias = config_bool(r, "enable_bias", true) ? "true" : "false";
    config_set(r, "norm.place", before ? "pre" : "post");
    config_set(r, "norm.final", before && !removed ? "true" : "false");
    config_set(r, "attention.qkv_bias", bias);
    config_set(r, "attention.out_bias", bias);
    config_set(r, "mlp.bias", bias);
    return true;
}

const ModelFamily model_families[] = {
    {"llama", llama_fields, llama_fixed, finish_llama},
    {"mistral", mistral_fields, llama_fixed, finish_mistral},
    {"qwen2", qwen2_fields, qwen2_fixed, finish_qwen},
    {"qwen3", qwen3_fields, qwen3_fixed, finish_qwen3},
    {"phi3", phi3_fields, llama_fixed, finish_phi3},
    {"gpt2", gpt2_fields, gpt2_fixed, finish_gpt2},
    {"opt", opt_fields, opt_fixed, finish_opt},
};
const int n_model_families = (int)(sizeof model_families / sizeof *model_families);
