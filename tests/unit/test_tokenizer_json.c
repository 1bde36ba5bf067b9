/* tokenizer.json -> blob: what is taken, what is refused by name, and whole round trips through the
 * runtime's tokenizer. */
#include "unit.h"

#include <jansson.h>
#include <string.h>

#include "compiler/base/file.h"
#include "compiler/tokenizer_json.h"
#include "runtime/tokenizer.h"

static int enter(void **state)
{
    *state = ctx_create();
    return 0;
}

static int leave(void **state)
{
    ctx_destroy(*state);
    return 0;
}

/* ' instead of " in the JSON of the tests. */
static char *unquoted(Ctx *ctx, const char *json)
{
    char *text = arena_strdup(ctx->arena, json);
    for (char *c = text; *c; c++) {
        *c = *c == '\'' ? '"' : *c;
    }
    return text;
}

static bool convert(Ctx *ctx, const char *json, Buf *blob)
{
    const char *text = unquoted(ctx, json);
    *blob = buf_create(ctx->arena);
    const int32_t ends[] = {1, 900, 1};
    return tokenizer_json_convert(ctx, "tokenizer.json", text, strlen(text), -1, ends, 3, blob);
}

static Tokenizer *open_json(Ctx *ctx, const char *json)
{
    Buf blob;
    char err[200];
    if (!convert(ctx, json, &blob)) {
        fail_msg("%s", diag_text(ctx->diag));
    }
    Tokenizer *t = tokenizer_open((const uint8_t *)blob.data, blob.len, err, sizeof err);
    if (!t) {
        fail_msg("%s", err);
    }
    return t;
}

static void expect_ids(Tokenizer *t, const char *text, int n, const int32_t *want)
{
    int32_t ids[32];
    int64_t got = tokenizer_encode(t, text, strlen(text), false, true, ids, 32);
    if (got != n || memcmp(ids, want, (size_t)n * sizeof *ids) != 0) {
        for (int64_t i = 0; i < got && i < 32; i++) {
            print_message("# id %d\n", (int)ids[i]);
        }
        fail_msg("'%s' became %d ids, expected %d", text, (int)got, n);
    }
}

#define IDS(...)                                                                                   \
    (int)(sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t)), (const int32_t[])                   \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

/* U+0120 is the space of the byte-level alphabet. */
static void takes_byte_level(void **state)
{
    Tokenizer *t = open_json(
        *state, "{'added_tokens': [{'id': 6, 'content': '<s>', 'special': true}],"
                " 'pre_tokenizer': {'type': 'ByteLevel', 'add_prefix_space': false},"
                " 'post_processor': {'type': 'TemplateProcessing', 'single': [{'SpecialToken': "
                "{'id': '<s>'}}, {'Sequence': {'id': 'A'}}]},"
                " 'model': {'type': 'BPE', 'vocab': {'a': 0, 'b': 1, '\xc4\xa0': 2, 'ab': 3, "
                "'\xc4\xa0"
                "ab': 4, '\xc3\x83': 5}, 'merges': ['a b', '\xc4\xa0 ab']}}");
    expect_ids(t, "ab ab", IDS(3, 4));
    expect_ids(t, "ba<s>a", IDS(1, 0, 6, 0));
    int32_t id;
    assert_int_equal(tokenizer_bos(t), 6);
    assert_int_equal(tokenizer_encode(t, "", 0, true, true, &id, 1), 1);
    assert_int_equal(id, 6);
    size_t n;
    assert_memory_equal(tokenizer_bytes(t, 4, &n), " ab", 3);
    assert_memory_equal(tokenizer_bytes(t, 5, &n), "\xc3", 1);
    assert_int_equal(tokenizer_eos(t), 1);
    assert_true(tokenizer_is_end(t, 1) && !tokenizer_is_end(t, 6));
    tokenizer_close(t);
}

/* As in Llama 2: U+2581 stands for spaces. */
static const char fallback[] =
    "{'normalizer': {'type': 'Sequence', 'normalizers': [{'type': 'Prepend', 'prepend': "
    "'\xe2\x96\x81'}, {'type': 'Replace', 'pattern': {'String': ' '}, 'content': "
    "'\xe2\x96\x81'}]},"
    " 'model': {'type': 'BPE', 'byte_fallback': true, 'vocab': {'<unk>': 0, '<0x41>': 1, '<0xC3>': "
    "2, '<0xA9>': 3, '\xe2\x96\x81': 4, 'b': 5, '\xe2\x96\x81"
    "b': 6}, 'merges': [['\xe2\x96\x81', 'b']]}}";

static void takes_byte_fallback(void **state)
{
    Tokenizer *t = open_json(*state, fallback);
    expect_ids(t, "b b", IDS(6, 6));
    expect_ids(t, "bA\xc3\xa9", IDS(6, 1, 2, 3));
    size_t n;
    assert_memory_equal(tokenizer_bytes(t, 6, &n), " b", 2);
    assert_int_equal(n, 2);
    assert_memory_equal(tokenizer_bytes(t, 1, &n), "A", 1);
    tokenizer_close(t);
}

static void takes_metaspace(void **state)
{
    static const char json[] =
        "{'pre_tokenizer': {'type': 'Metaspace', 'replacement': '\xe2\x96\x81', "
        "'prepend_scheme': '%s', 'split': true}, 'added_tokens': [{'id': 3, 'content': '#'}],"
        " 'model': {'type': 'BPE', 'vocab': {'\xe2\x96\x81': 0, 'a': 1, '\xe2\x96\x81"
        "a': 2, 'a\xe2\x96\x81': 4}, 'merges': ['a \xe2\x96\x81', '\xe2\x96\x81 a']}}";
    static const struct {
        const char *scheme;
        int n;
        int32_t ids[6];
    } cases[] = {
        {"always", 5, {2, 0, 2, 3, 2}}, /* _a _ _a # _a: no merge over a piece's end */
        {"first", 5, {2, 0, 2, 3, 1}},
        {"never", 5, {1, 0, 2, 3, 1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Ctx *ctx = *state;
        Buf text = buf_create(ctx->arena);
        const char *mark = strstr(json, "%s");
        buf_add(&text, json, (size_t)(mark - json));
        buf_puts(&text, cases[i].scheme);
        buf_puts(&text, mark + 2);
        Tokenizer *t = open_json(ctx, text.data);
        expect_ids(t, "a  a#a", cases[i].n, cases[i].ids);
        tokenizer_close(t);
    }
}

static void takes_splits_and_digits(void **state)
{
    Tokenizer *t = open_json(
        *state,
        "{'normalizer': {'type': 'NFC'}, 'pre_tokenizer': {'type': 'Sequence', "
        "'pretokenizers': [{'type': 'Digits', 'individual_digits': true}, {'type': 'Split', "
        "'pattern': {'String': '.'}, 'behavior': 'Isolated'}, {'type': 'ByteLevel', "
        "'add_prefix_space': false, 'use_regex': false}]},"
        " 'model': {'type': 'BPE', 'vocab': {'1': 0, '11': 1, '.': 2, '..': 3}, "
        "'merges': ['1 1', '. .']}}");
    expect_ids(t, "11..1", IDS(0, 0, 2, 2, 0));
    tokenizer_close(t);
}

static void refuses_by_name(void **state)
{
#define MODEL "'model': {'type': 'BPE', 'vocab': {'a': 0}, 'merges': []}"
    static const char *const cases[][2] = {
        {"{'normalizer': {'type': 'StripAccents'}, " MODEL "}",
         "tokenizer.json: cannot do the normaliser 'StripAccents'"},
        {"{'normalizer': {'type': 'Replace', 'pattern': {'Regex': 'a'}, 'content': 'b'}, " MODEL
         "}",
         "the normaliser Replace needs a pattern of kind 'String'"},
        {"{'pre_tokenizer': {'type': 'Whitespace'}, " MODEL "}",
         "cannot do the pre-tokenizer 'Whitespace'"},
        {"{'pre_tokenizer': {'type': 'Split', 'pattern': {'String': 'a'}, 'behavior': "
         "'MergedWithNext'}, " MODEL "}",
         "cannot do the Split behaviour 'MergedWithNext'"},
        {"{'pre_tokenizer': {'type': 'Split', 'behavior': 'Isolated'}, " MODEL "}", "no pattern"},
        {"{'model': {'type': 'WordPiece', 'vocab': {}, 'merges': []}}",
         "only BPE models with vocab and merges can be used, not 'WordPiece'"},
        {"{'model': {'type': 'BPE', 'vocab': {}}}", "only BPE models with vocab and merges"},
        {"{'model': {'type': 'BPE', 'vocab': {'a': 0}, 'merges': [], 'end_of_word_suffix': "
         "'</w>'}}",
         "cannot do the BPE setting 'end_of_word_suffix'"},
        {"{'model': {'type': 'BPE', 'vocab': {'a': 'b'}, 'merges': []}}",
         "no valid id for the token 'a'"},
        {"{'model': {'type': 'BPE', 'vocab': {'a': -1}, 'merges': []}}", "no valid id"},
        {"{'model': {'type': 'BPE', 'vocab': {'a': 999999999}, 'merges': []}}", "no valid id"},
        {"{'model': {'type': 'BPE', 'vocab': {'a': 0, 'b': 0}, 'merges': []}}",
         "the id 0 belongs to '"},
        {"{'model': {'type': 'BPE', 'vocab': {'a': 0}, 'merges': ['a a']}}",
         "merge 0 makes or uses 'aa', which is not in the vocabulary"},
        {"{'model': {'type': 'BPE', 'vocab': {'a': 0}, 'merges': ['a']}}", "merge 0 is not a pair"},
        {"{'model': {'type': 'BPE', 'vocab': {'a': 0}, 'merges': [['a']]}}",
         "merge 0 is not a pair"},
        {"{'added_tokens': [{'id': 1, 'content': '<x>', 'single_word': true}], " MODEL "}",
         "cannot do single_word of the added token '<x>'"},
        {"{'added_tokens': [{'id': 1}], " MODEL "}", "an added token has no 'content'"},
        {"{'added_tokens': [{'id': 0, 'content': '<x>'}], " MODEL "}", "the id 0 belongs to"},
        {"[]", "the root is no 'object'"},
        {"{", "tokenizer.json:1:"},
    };
#undef MODEL
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Ctx fresh = *(Ctx *)*state;
        fresh.diag = diag_create(fresh.arena);
        Buf blob;
        assert_false(convert(&fresh, cases[i][0], &blob));
        if (!strstr(diag_text(fresh.diag), cases[i][1])) {
            fail_msg("'%s' is not in '%s'", cases[i][1], diag_text(fresh.diag));
        }
    }
}

/* What the library of Hugging Face made of these texts with the same tokenizer.json. */
static void agrees_with_hugging_face(void **state)
{
    Ctx *ctx = *state;
    Buf blob = buf_create(ctx->arena);
    bool found = false;
    char err[200];
    if (!tokenizer_json_pack(ctx, "examples/tinytales", &blob, &found)) {
        fail_msg("%s", diag_text(ctx->diag));
    }
    assert_true(found);
    Tokenizer *t = tokenizer_open((const uint8_t *)blob.data, blob.len, err, sizeof err);
    assert_non_null(t);
    json_t *cases = json_load_file("examples/tinytales/tokenizer_cases.json", 0, NULL);
    assert_true(json_array_size(cases) > 10);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *text = json_object_get(json_array_get(cases, i), "text");
        const json_t *ids = json_object_get(json_array_get(cases, i), "ids");
        int32_t got[4096];
        int64_t n = tokenizer_encode(t, json_string_value(text), json_string_length(text), false,
                                     true, got, 4096);
        if (n != (int64_t)json_array_size(ids)) {
            fail_msg("'%s' became %d ids", json_string_value(text), (int)n);
        }
        for (size_t k = 0; k < json_array_size(ids); k++) {
            assert_int_equal(got[k], json_integer_value(json_array_get(ids, k)));
        }
    }
    json_decref(cases);
    tokenizer_close(t);
}

static void finds_none(void **state)
{
    Ctx *ctx = *state;
    Buf blob = buf_create(ctx->arena);
    bool found = true;
    assert_true(tokenizer_json_pack(ctx, "tests/golden/llama2", &blob, &found));
    assert_false(found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(takes_byte_level, enter, leave),
        cmocka_unit_test_setup_teardown(takes_byte_fallback, enter, leave),
        cmocka_unit_test_setup_teardown(takes_metaspace, enter, leave),
        cmocka_unit_test_setup_teardown(takes_splits_and_digits, enter, leave),
        cmocka_unit_test_setup_teardown(refuses_by_name, enter, leave),
        cmocka_unit_test_setup_teardown(agrees_with_hugging_face, enter, leave),
        cmocka_unit_test_setup_teardown(finds_none, enter, leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
