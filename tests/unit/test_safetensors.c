/* Checkpoint headers: good ones, and everything in a hostile one. */
#include "place.h"

#include <string.h>

#include "compiler/base/file.h"
#include "compiler/safetensors.h"

/* A file: header size, header ( ' for " ), `data` bytes of 1, 2, 3 ... */
static Buf file_of(const Place *p, const char *header, size_t data)
{
    Buf b = buf_create(p->ctx->arena);
    uint64_t n = strlen(header);
    buf_add(&b, (const char *)&n, sizeof n);
    for (const char *c = header; *c; c++) {
        buf_putc(&b, *c == '\'' ? '"' : *c);
    }
    for (size_t i = 0; i < data; i++) {
        buf_putc(&b, (char)(i + 1));
    }
    return b;
}

static bool parse(const Place *p, const Buf *file, Checkpoint *c)
{
    *c = (Checkpoint){.ctx = p->ctx, .path = "x.safetensors"};
    return safetensors_parse(c, "x.safetensors", (const uint8_t *)file->data, file->len);
}

static void expect_refusal(const Place *p, const char *header, size_t data, const char *message)
{
    Place fresh = *p;
    Ctx ctx = *p->ctx;
    ctx.diag = diag_create(p->ctx->arena);
    fresh.ctx = &ctx;
    Buf file = file_of(p, header, data);
    Checkpoint c;
    assert_false(parse(&fresh, &file, &c));
    if (!strstr(diag_text(ctx.diag), message)) {
        fail_msg("'%s' is not in '%s'", message, diag_text(ctx.diag));
    }
}

static void reads_a_header(void **state)
{
    const Place *p = *state;
    Buf file = file_of(p,
                       "{'__metadata__': {'format': 'pt'},"
                       " 'b': {'dtype': 'BF16', 'shape': [2, 3], 'data_offsets': [4, 16]},"
                       " 'a': {'dtype': 'F32', 'shape': [], 'data_offsets': [0, 4]},"
                       " 'empty': {'dtype': 'F32', 'shape': [0, 5], 'data_offsets': [16, 16]}}  ",
                       16);
    Checkpoint c;
    assert_true(parse(p, &file, &c));
    assert_int_equal(c.tensors.n, 3);
    const CheckpointTensor *b = &c.tensors.data[0];
    assert_string_equal(b->name, "b");
    assert_true(b->dtype == DT_BF16 && b->rank == 2 && b->dim[0] == 2 && b->dim[1] == 3);
    assert_int_equal(b->data[0], 5);
}

static void refuses_hostile_headers(void **state)
{
    const Place *p = *state;
    static const struct {
        const char *header;
        size_t data;
        const char *message;
    } cases[] = {
        {"{'a': {'dtype': 'F32', 'shape': [2], 'data_offsets': [0, 8]}}", 7,
         "tensor 'a' ends at byte 8 of 7: the file is truncated or damaged"},
        {"{'a': {'dtype': 'F32', 'shape': [2], 'data_offsets': [0, 4]}}", 8,
         "tensor 'a' has 4 bytes of data, but its shape needs 8"},
        {"{'a': {'dtype': 'F32', 'shape': [1], 'data_offsets': [4, 0]}}", 8,
         "no valid data_offsets"},
        {"{'a': {'dtype': 'F32', 'shape': [1], 'data_offsets': [-4, 0]}}", 8,
         "no valid data_offsets"},
        {"{'a': {'dtype': 'F32', 'shape': [1], 'data_offsets': [0, 4, 8]}}", 8,
         "no valid data_offsets"},
        {"{'a': {'dtype': 'F32', 'shape': [1], 'data_offsets': [0, 1e1]}}", 8,
         "no valid data_offsets"},
        {"{'a': {'dtype': 'F32', 'shape': [1]}}", 8, "no valid data_offsets"},
        {"{'a': {'dtype': 'F32', 'shape': [1], 'data_offsets': [0, 9223372036854775807]}}", 8,
         "truncated or damaged"},
        {"{'a': {'dtype': 'F32', 'shape': [4294967296, 4294967296], 'data_offsets': [0, 8]}}", 8,
         "tensor 'a' has an impossible shape"},
        {"{'a': {'dtype': 'F32', 'shape': [2305843009213693952, 4], 'data_offsets': [0, 0]}}", 8,
         "tensor 'a' has an impossible shape"},
        {"{'a': {'dtype': 'F32', 'shape': [4611686018427387904], 'data_offsets': [0, 0]}}", 8,
         "tensor 'a' has 0 bytes of data"},
        {"{'a': {'dtype': 'F32', 'shape': [-1], 'data_offsets': [0, 8]}}", 8, "impossible shape"},
        {"{'a': {'dtype': 'F32', 'shape': [1.5], 'data_offsets': [0, 8]}}", 8, "impossible shape"},
        {"{'a': {'dtype': 'F32', 'shape': [1, 1, 1, 1, 1], 'data_offsets': [0, 4]}}", 8,
         "no shape of at most 4 dims"},
        {"{'a': {'dtype': 'F32', 'shape': 3, 'data_offsets': [0, 4]}}", 8, "no shape"},
        {"{'a': {'dtype': 'Q4', 'shape': [1], 'data_offsets': [0, 4]}}", 8, "unknown dtype 'Q4'"},
        {"{'a': {'shape': [1], 'data_offsets': [0, 4]}}", 8, "unknown dtype '(none)'"},
        {"{'a': 3}", 8, "unknown dtype"},
        {"{'a': {'dtype': 'F32', 'shape': [1], 'data_offsets': [0, 4]},"
         " 'a': {'dtype': 'F32', 'shape': [1], 'data_offsets': [4, 8]}}",
         8, "duplicate"},
        {"{'a': {'dtype': 'F32', 'shape': [1], 'data_offsets': [0, 4]},"
         " 'b': {'dtype': 'U8', 'shape': [2], 'data_offsets': [3, 5]}}",
         8, "tensors 'a' and 'b' overlap"},
        {"{'a': {'dtype': 'U8', 'shape': [8], 'data_offsets': [0, 8]},"
         " 'b': {'dtype': 'U8', 'shape': [1], 'data_offsets': [1, 2]},"
         " 'c': {'dtype': 'U8', 'shape': [1], 'data_offsets': [4, 5]}}",
         8, "overlap"},
        {"[]", 8, "the header is not valid JSON: not an object"},
        {"{'a': ", 8, "the header is not valid JSON"},
        {"", 8, "the header is not valid JSON"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        expect_refusal(p, cases[i].header, cases[i].data, cases[i].message);
    }
}

static void refuses_hostile_sizes(void **state)
{
    const Place *p = *state;
    static const uint64_t sizes[] = {1000, 100000001, UINT64_MAX, UINT64_MAX - 7, INT64_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        Buf file = file_of(p, "{}", 8);
        memcpy(file.data, &sizes[i], sizeof sizes[i]);
        Checkpoint c;
        assert_false(parse(p, &file, &c));
        assert_non_null(strstr(diag_text(p->ctx->diag), "not a safetensors file, or truncated"));
    }
    Buf file = file_of(p, "{}", 0);
    for (size_t n = 0; n < 8; n++) {
        Checkpoint c = {.ctx = p->ctx};
        assert_false(safetensors_parse(&c, "x", (const uint8_t *)file.data, n));
    }
    assert_non_null(strstr(diag_text(p->ctx->diag), "x: 7 bytes are too few"));
}

static void write_file(const Place *p, const char *name, const Buf *b)
{
    const char *path = path_join(p->ctx->arena, p->dir, name);
    assert_true(file_write(p->ctx->diag, path, b->data, b->len));
}

static void expect_open_failure(const Place *p, const char *message)
{
    assert_null(checkpoint_open(p->ctx, p->dir));
    if (!strstr(diag_text(p->ctx->diag), message)) {
        fail_msg("'%s' is not in '%s'", message, diag_text(p->ctx->diag));
    }
}

static void write_index(const Place *p, const char *json)
{
    Buf b = buf_create(p->ctx->arena);
    for (const char *c = json; *c; c++) {
        buf_putc(&b, *c == '\'' ? '"' : *c);
    }
    write_file(p, "model.safetensors.index.json", &b);
}

static void reads_shards(void **state)
{
    const Place *p = *state;
    Buf one = file_of(p, "{'b': {'dtype': 'U8', 'shape': [4], 'data_offsets': [0, 4]}}", 4);
    Buf two = file_of(p, "{'a': {'dtype': 'F16', 'shape': [2], 'data_offsets': [0, 4]}}", 4);
    write_file(p, "one.safetensors", &one);
    write_file(p, "two.safetensors", &two);
    write_index(p, "{'weight_map': {'b': 'one.safetensors', 'a': 'two.safetensors'}}");
    Checkpoint *c = checkpoint_open(p->ctx, p->dir);
    assert_non_null(c);
    assert_int_equal(c->tensors.n, 2);
    assert_string_equal(c->tensors.data[0].name, "a");
    assert_non_null(checkpoint_find(c, "b"));
    assert_null(checkpoint_find(c, "c"));
    checkpoint_close(c);
    write_file(p, "two.safetensors", &one);
    expect_open_failure(p, "tensor 'b' is in ");
    write_index(p, "{'weight_map': {'b': '../one.safetensors'}}");
    expect_open_failure(p, "'b' is not in a file of this folder");
    write_index(p, "{'weight_map': {'b': 'three.safetensors'}}");
    expect_open_failure(p, "cannot read ");
    write_index(p, "{'weight_map': 3}");
    expect_open_failure(p, "no \"weight_map\" in it");
    write_index(p, "{'weight_map': {}}");
    expect_open_failure(p, "holds no tensors");
    write_index(p, "{");
    expect_open_failure(p, "no \"weight_map\" in it: ");
}

static void opens_nothing(void **state)
{
    const Place *p = *state;
    expect_open_failure(p, "holds neither model.safetensors nor model.safetensors.index.json");
    Buf empty = buf_create(p->ctx->arena);
    buf_puts(&empty, "");
    write_file(p, "model.safetensors", &empty);
    expect_open_failure(p, "0 bytes are too few");
}

static void reads_numbers(void **state)
{
    const Place *p = *state;
    Buf file = file_of(p, "{'h': {'dtype': 'F16', 'shape': [2, 3], 'data_offsets': [0, 12]}}", 12);
    static const uint16_t half[6] = {0x3c00, 0xc000, 0x0001, 0x7bff, 0x8000, 0x3555};
    memcpy(file.data + file.len - 12, half, sizeof half);
    Checkpoint c;
    assert_true(parse(p, &file, &c));
    double x[6];
    WeightRef ref = {.tensor = &c.tensors.data[0], .rows = 2, .cols = 3};
    checkpoint_read(&ref, 0, 2, x);
    static const double want[6] = {1, -2, 0x1p-24, 65504, 0, 0x1.554p-2};
    for (int i = 0; i < 6; i++) {
        assert_true(x[i] == want[i]);
    }
    WeightRef upright = {
        .tensor = &c.tensors.data[0], .first = 1, .rows = 2, .cols = 2, .transposed = true};
    checkpoint_read(&upright, 0, 2, x); /* columns 1 and 2 as rows */
    assert_true(x[0] == want[1] && x[1] == want[4] && x[2] == want[2] && x[3] == want[5]);
}

/* Any bytes may change in a file: it is read or refused, never more. */
static void survives_random_damage(void **state)
{
    const Place *p = *state;
    uint64_t seed = unit_seed();
    for (int i = 0; i < 3000; i++) {
        Ctx *ctx = ctx_create();
        Place fresh = *p;
        fresh.ctx = ctx;
        Buf file = file_of(&fresh,
                           "{'a': {'dtype': 'F32', 'shape': [1], 'data_offsets': [0, 4]},"
                           " 'b': {'dtype': 'U8', 'shape': [2, 2], 'data_offsets': [4, 8]}}",
                           8);
        int changes = 1 + (int)(unit_random(&seed) % 3);
        while (changes-- > 0) {
            file.data[unit_random(&seed) % file.len] =
                "0129-{}[]\",:x\0\377"[unit_random(&seed) % 15];
        }
        Checkpoint c;
        bool ok = parse(&fresh, &file, &c);
        assert_true(ok == (diag_error_count(ctx->diag) == 0));
        for (size_t k = 0; ok && k < c.tensors.n; k++) {
            const CheckpointTensor *t = &c.tensors.data[k];
            assert_true(t->data >= (const uint8_t *)file.data &&
                        t->data <= (const uint8_t *)file.data + file.len);
        }
        ctx_destroy(ctx);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_a_header, place_enter, place_leave),
        cmocka_unit_test_setup_teardown(refuses_hostile_headers, place_enter, place_leave),
        cmocka_unit_test_setup_teardown(refuses_hostile_sizes, place_enter, place_leave),
        cmocka_unit_test_setup_teardown(reads_shards, place_enter, place_leave),
        cmocka_unit_test_setup_teardown(opens_nothing, place_enter, place_leave),
        cmocka_unit_test_setup_teardown(reads_numbers, place_enter, place_leave),
        cmocka_unit_test_setup_teardown(survives_random_damage, place_enter, place_leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
