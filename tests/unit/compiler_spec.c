/* Specs: values, defaults, short forms, overrides, the writer, and bytes that are no spec. */
#include "unit.h"

#include <dirent.h>
#include <math.h>
#include <string.h>

#include "compiler/base/file.h"
#include "compiler/build.h"
#include "compiler/spec.h"

static const char small[] = "name: small\nlayers: 2\nd_model: 64\nd_ff: 96\nheads: 8\nvocab: 100\n"
                            "context: 32\n";

/* The spec of `small` with more lines behind it; NULL after diagnostics. */
static const ModelSpec *read_more(Ctx *ctx, const char *more)
{
    const char *text = arena_printf(ctx->arena, "%s%s", small, more);
    const ModelSpec *s = spec_read(ctx, "t.yaml", text, strlen(text), NULL, 0);
    return s != NULL && spec_check(ctx, s) ? s : NULL;
}

static const ModelSpec *read_good(Ctx *ctx, const char *more)
{
    const ModelSpec *s = read_more(ctx, more);
    if (s == NULL) {
        fail_msg("%s", diag_text(ctx->diag));
    }
    return s;
}

static void defaults_follow_the_given_keys(void **state)
{
    (void)state;
    Ctx *ctx = ctx_create();
    const ModelSpec *s = read_good(ctx, "");
    assert_int_equal(s->kv_heads, 8);
    assert_int_equal(s->head_dim, 8);
    assert_int_equal(s->rope_dims, 8);
    assert_int_equal(s->embed_dim, 64);
    assert_true(s->attn_scale == 1 / sqrt(8));
    assert_int_equal(s->norm_kind, SPEC_RMSNORM);
    assert_false(s->norm_bias);
    assert_true(s->norm_final && s->head && !s->tied);
    assert_int_equal(s->position_kind, SPEC_ROPE);
    assert_true(s->attention_factor == 1);
    assert_int_equal(s->quant_kv_cache, SPEC_BF16);
    assert_int_equal(s->bos, -1);
    assert_true(read_good(ctx, "norm: layernorm\n")->norm_bias);
    assert_false(read_good(ctx, "norm: {place: post}\n")->norm_final);
    assert_int_equal(read_good(ctx, "quant: {weights: int8}\n")->quant_group, 0);
    ctx_destroy(ctx);
}

static void short_forms_set_the_main_key(void **state)
{
    (void)state;
    Ctx *ctx = ctx_create();
    const ModelSpec *s = read_good(ctx, "norm: layernorm\nmlp: plain\nrope: 5e5\nquant: int8\n");
    assert_int_equal(s->norm_kind, SPEC_LAYERNORM);
    assert_int_equal(s->mlp_kind, SPEC_PLAIN);
    assert_true(s->rope_theta == 5e5);
    assert_int_equal(s->quant_weights, SPEC_INT8);
    assert_int_equal(read_good(ctx, "position: learned\n")->position_kind, SPEC_LEARNED);
    ctx_destroy(ctx);
}

static void the_feed_forward_width_is_rounded_only_at_the_end(void **state)
{
    (void)state;
    static const char text[] = "name: f\nparts: ffn\nd_model: 4096\n"
                               "d_ff: ceil_to(8 * d_model / 3, 256)\n";
    Ctx *ctx = ctx_create();
    const ModelSpec *s = spec_read(ctx, "t.yaml", text, sizeof text - 1, NULL, 0);
    assert_non_null(s);
    assert_true(spec_check(ctx, s));
    assert_int_equal(s->d_ff, 11008);
    ctx_destroy(ctx);
}

static void assert_near(double x, double y)
{
    assert_true(fabs(x - y) <= 1e-12 * fabs(y));
}

/* factor and attention factor as modeling_rope_utils.py of Hugging Face's transformers has them. */
static void attention_factors_of_scaled_rope(void **state)
{
    (void)state;
    Ctx *ctx = ctx_create();
    const ModelSpec *s = read_good(ctx, "rope: {scaling: {kind: yarn, original_context: 8}}\n");
    assert_true(s->scaling_factor == 4);
    assert_near(s->attention_factor, 0.1 * log(4) + 1);
    s = read_good(ctx, "rope: {scaling: {kind: yarn, original_context: 8, factor: 40, mscale: 1,\n"
                       "  mscale_all_dim: 0.707}}\n");
    assert_near(s->attention_factor, (0.1 * log(40) + 1) / (0.0707 * log(40) + 1));
    s = read_good(ctx, "rope: {scaling: {kind: longrope, original_context: 16, factor: 32,\n"
                       "  short_factors: [1, 1, 1, 1], long_factors: [1, 2, 3, 4]}}\n");
    assert_near(s->attention_factor, sqrt(1 + log(32) / log(16)));
    s = read_good(ctx, "rope: {scaling: {kind: yarn, original_context: 8, attention_factor: 3}}\n");
    assert_true(s->attention_factor == 3);
    ctx_destroy(ctx);
}

static const Op *find_op(const Module *m, OpKind kind)
{
    for (size_t i = 0; i < m->funcs.n; i++) {
        const Func *f = m->funcs.data[i];
        FOR_EACH_OP(f, id)
        {
            if (f->op[id].kind == kind) {
                return &f->op[id];
            }
        }
    }
    return NULL;
}

static void longrope_takes_the_list_for_its_context(void **state)
{
    (void)state;
    static const char rope[] = "rope: {scaling: {kind: longrope, original_context: %d, factor: 4,\n"
                               "  short_factors: [1, 1, 1, 1], long_factors: [1, 2, 3, 4]}}\n";
    for (int original = 16; original <= 32; original += 16) {
        Ctx *ctx = ctx_create();
        const char *more = original == 16 ? "16" : "32";
        Buf b = buf_create(ctx->arena);
        const char *cut = strstr(rope, "%d");
        buf_add(&b, rope, (size_t)(cut - rope));
        buf_printf(&b, "%s%s", more, cut + 2);
        const Module *m = build_module(ctx, read_good(ctx, b.data), PHASE_DECODE, 1);
        const Op *freqs = find_op(m, OP_ROPE_FREQS);
        assert_true(freqs != NULL && freqs->a.factors.v[3] == (original == 16 ? 4 : 1));
        ctx_destroy(ctx);
    }
}

static void overrides_win_and_defaults_follow_them(void **state)
{
    (void)state;
    static const SpecOverride set[] = {
        {"context", "2 * d_model"}, {"dtype", "f32"}, {"rope.scaling.short_factors", "[1, 1]"}};
    Ctx *ctx = ctx_create();
    const ModelSpec *s = spec_read(ctx, "t.yaml", small, sizeof small - 1, set, 3);
    assert_non_null(s);
    assert_int_equal(s->context, 128);
    assert_int_equal(s->quant_kv_cache, SPEC_F32);
    assert_int_equal(s->short_factors.n, 2);
    ctx_destroy(ctx);
}

static void wrong_overrides_are_errors(void **state)
{
    (void)state;
    static const struct {
        SpecOverride set;
        const char *message;
    } cases[] = {
        {{"contxt", "4"}, "unknown key 'contxt', did you mean 'context'?"},
        {{"context", "0"},
         "<option>:1:10: error: 'context' must be between 1 and 16777216, found 0"},
        {{"context", "d_modl"}, "unknown name 'd_modl'"},
        {{"context", ""}, "'context' has no value"},
        {{"rope", "[1]"}, "'rope' is a mapping"},
        {{"context", "[1"}, "<option>:1:"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Ctx *ctx = ctx_create();
        assert_null(spec_read(ctx, "t.yaml", small, sizeof small - 1, &cases[i].set, 1));
        if (strstr(diag_text(ctx->diag), cases[i].message) == NULL) {
            fail_msg("%s=%s gave:\n%s", cases[i].set.key, cases[i].set.value, diag_text(ctx->diag));
        }
        ctx_destroy(ctx);
    }
}

static void places_are_kept(void **state)
{
    (void)state;
    Ctx *ctx = ctx_create();
    const ModelSpec *s = read_good(ctx, "# Größe ½\nnorm: {eps: 1e-6, kind: 'layernorm'}\n");
    const char *path;
    int line, column;
    size_t n;
    assert_true(diag_locate(ctx->diag, s->place[KEY_NORM_KIND].value, &path, &line, &column));
    assert_string_equal(path, "t.yaml");
    assert_int_equal(line, 9);
    assert_int_equal(column, 25);
    const char *text = diag_span_text(ctx->diag, s->place[KEY_NORM_EPS].value, &n);
    assert_int_equal(n, 4);
    assert_memory_equal(text, "1e-6", 4);
    assert_false(s->place[KEY_NORM_BIAS].given);
    ctx_destroy(ctx);
}

/* ---- the writer ------------------------------------------------------------------------------ */

static bool same_value(const ModelSpec *a, const ModelSpec *b, int k)
{
    const char *x = (const char *)a + spec_keys[k].offset,
               *y = (const char *)b + spec_keys[k].offset;
    if (spec_keys[k].kind == SPEC_KIND_NAME) {
        return strcmp(*(Str const *)(const void *)x, *(Str const *)(const void *)y) == 0;
    }
    if (spec_keys[k].kind != SPEC_KIND_NUMS) {
        static const size_t size[] = {sizeof(int64_t), sizeof(double), sizeof(bool),
                                      sizeof(SpecWord)};
        return memcmp(x, y, size[spec_keys[k].kind]) == 0;
    }
    const DoubleList *p = (const void *)x, *q = (const void *)y;
    return p->n == q->n && (p->n == 0 || memcmp(p->v, q->v, (size_t)p->n * sizeof p->v[0]) == 0);
}

static void check_written(Ctx *ctx, const ModelSpec *s)
{
    Buf b = buf_create(ctx->arena), again = buf_create(ctx->arena);
    spec_write(&b, s);
    const ModelSpec *back = spec_read(ctx, "written.yaml", b.data, b.len, NULL, 0);
    if (back == NULL) {
        fail_msg("%s\n%s", b.data, diag_text(ctx->diag));
    }
    for (int k = 0; k < KEY_COUNT; k++) {
        bool unset = s->parts == SPEC_FFN && !s->place[k].given;
        if (!unset && !same_value(s, back, k)) {
            fail_msg("%s: '%s' changed\n%s", s->name, spec_keys[k].path, b.data);
        }
        assert_int_equal(s->place[k].given, back->place[k].given);
    }
    spec_write(&again, back);
    assert_string_equal(b.data, again.data);
}

static void every_model_spec_survives_writing(void **state)
{
    (void)state;
    DIR *d = opendir("model_specs");
    assert_non_null(d);
    int n = 0;
    for (const struct dirent *f; (f = readdir(d)) != NULL;) {
        if (strstr(f->d_name, ".yaml") != NULL) {
            Ctx *ctx = ctx_create();
            const char *path = path_join(ctx->arena, "model_specs", f->d_name);
            const ModelSpec *s = spec_load(ctx, path, NULL, 0);
            if (s == NULL) {
                fail_msg("%s", diag_text(ctx->diag));
            }
            check_written(ctx, s);
            ctx_destroy(ctx);
            n++;
        }
    }
    closedir(d);
    assert_true(n >= 16);
}

static void a_spec_is_made_of_values_alone(void **state)
{
    (void)state;
    static const SpecOverride value[] = {
        {"name", "made"},
        {"layers", "2"},
        {"d_model", "64"},
        {"d_ff", "96"},
        {"heads", "8"},
        {"vocab", "100"},
        {"context", "32"},
        {"norm.eps", "1e-06"},
        {"rope.scaling.kind", "longrope"},
        {"rope.scaling.original_context", "16"},
        {"rope.scaling.short_factors", "[1, 1, 1, 1]"},
        {"rope.scaling.long_factors", "[1, 2, 3, 4.5]"},
    };
    Ctx *ctx = ctx_create();
    const ModelSpec *s =
        spec_from_values(ctx, "config.json", value, sizeof value / sizeof value[0]);
    if (s == NULL || !spec_check(ctx, s)) {
        fail_msg("%s", diag_text(ctx->diag));
    }
    assert_true(s->long_factors.v[3] == 4.5 && s->norm_eps == 1e-6);
    check_written(ctx, s);
    ctx_destroy(ctx);
}

/* ---- hostile text ---------------------------------------------------------------------------- */

/* Whatever the bytes are: a spec, or NULL with a message; never a crash. */
static void check_any(const char *text, size_t n)
{
    Ctx *ctx = ctx_create();
    ModelSpec *s = spec_read(ctx, "any.yaml", text, n, NULL, 0);
    assert_true((s == NULL) == (diag_error_count(ctx->diag) > 0));
    if (s != NULL && spec_check(ctx, s)) {
        assert_non_null(build_module(ctx, s, PHASE_DECODE, 1));
    }
    ctx_destroy(ctx);
}

static void changed_specs_do_not_crash(void **state)
{
    (void)state;
    static const char seed_text[] =
        "name: s\nlayers: 2\nd_model: 64\nd_ff: ceil_to(8 * d_model / 3, 32)\nheads: 8\nkv_heads: "
        "2\n"
        "vocab: 100\ncontext: 32\nrope: {theta: 1e4, scaling: {kind: yarn, factor: 2,\n"
        "  original_context: 16}}\nnorm: \"layernorm\"\nattention: {qkv_bias: true, window: 7}\n"
        "quant: {weights: int4, group: 32}\ntied: true # ½\n";
    static const char insert[] = "{}[]:,#&*!|>'\"%@`\n\t -?0123456789.e+/()\\~\xc3\xff\x00xd";
    uint64_t random = unit_seed();
    for (int round = 0; round < 3000; round++) {
        char text[sizeof seed_text + 16];
        size_t n = sizeof seed_text - 1;
        memcpy(text, seed_text, n);
        for (uint64_t changes = unit_random(&random) % 8 + 1; changes > 0; changes--) {
            size_t at = (size_t)(unit_random(&random) % n);
            if (unit_random(&random) % 3 == 0) {
                memmove(text + at, text + at + 1, n - at - 1);
                n--;
            } else {
                text[at] = insert[unit_random(&random) % (sizeof insert - 1)];
            }
        }
        check_any(text, n);
    }
}

static void odd_files_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t n;
        const char *message;
    } cases[] = {
        {"", 0, "any.yaml:1:1: error: a spec cannot be empty"},
        {"\xff\xfe"
         "a",
         3, "UTF-16"},
        {"\xef\xbb\xbfnam: x\n", 10, "any.yaml:1:"},
        {"name: a\0b\n", 10, "any.yaml:1:8: error: control characters are not allowed"},
        {"? ? ? ? ?", 9, "a key must be a single word"},
        {"a: !!binary x\n", 14, "unknown key 'a'"},
        {"%YAML 9.9\n--- a", 15, "incompatible YAML document"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Ctx *ctx = ctx_create();
        assert_null(spec_read(ctx, "any.yaml", cases[i].text, cases[i].n, NULL, 0));
        if (strstr(diag_text(ctx->diag), cases[i].message) == NULL) {
            fail_msg("case %zu gave:\n%s", i, diag_text(ctx->diag));
        }
        ctx_destroy(ctx);
    }
}

static void huge_files_are_refused(void **state)
{
    (void)state;
    Ctx *ctx = ctx_create();
    size_t n = (size_t)2 << 20;
    char *text = arena_alloc(ctx->arena, n + 1);
    memset(text, '[', n);
    assert_null(spec_read(ctx, "any.yaml", text, n, NULL, 0));
    assert_non_null(strstr(diag_text(ctx->diag), "at most 1048576 are read"));
    check_any(text, 100000); /* nested brackets: libyaml has a limit of its own, or ours ends it */
    ctx_destroy(ctx);
}

static void the_reference_names_every_key(void **state)
{
    (void)state;
    Ctx *ctx = ctx_create();
    Buf text = buf_create(ctx->arena), page = buf_create(ctx->arena);
    spec_help_print(&text, false);
    spec_help_print(&page, true);
    for (int k = 0; k < KEY_COUNT; k++) {
        assert_non_null(strstr(text.data, spec_keys[k].doc));
        assert_non_null(strstr(page.data, arena_printf(ctx->arena, "| `%s` |", spec_keys[k].path)));
    }
    size_t n;
    const char *stored = file_read(ctx->arena, ctx->diag, "docs/spec.md", &n);
    assert_non_null(stored);
    assert_string_equal(stored, page.data); /* sinter spec --help-keys --markdown >docs/spec.md */
    ctx_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_follow_the_given_keys),
        cmocka_unit_test(short_forms_set_the_main_key),
        cmocka_unit_test(the_feed_forward_width_is_rounded_only_at_the_end),
        cmocka_unit_test(attention_factors_of_scaled_rope),
        cmocka_unit_test(longrope_takes_the_list_for_its_context),
        cmocka_unit_test(overrides_win_and_defaults_follow_them),
        cmocka_unit_test(wrong_overrides_are_errors),
        cmocka_unit_test(places_are_kept),
        cmocka_unit_test(every_model_spec_survives_writing),
        cmocka_unit_test(a_spec_is_made_of_values_alone),
        cmocka_unit_test(changed_specs_do_not_crash),
        cmocka_unit_test(odd_files_are_refused),
        cmocka_unit_test(huge_files_are_refused),
        cmocka_unit_test(the_reference_names_every_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
