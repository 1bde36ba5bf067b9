/* Packing: bytes against type_physical_index, whole files against the interpreter's constant half,
 * and what goes wrong. */
#include "place.h"

#include <math.h>
#include <string.h>
#include <sys/resource.h>
#include <signal.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "compiler/base/file.h"
#include "compiler/build.h"
#include "compiler/import_hf.h"
#include "compiler/pack.h"
#include "ir/interp.h"
#include "runtime/weights_format.h"

/* ---- bytes ----------------------------------------------------------------------------------- */

/* Bits of a number by the formats' definitions, with no code of pack_encode.c. */
static uint32_t bits_of(DType t, double x)
{
    if (t == DT_F32 || t == DT_BF16) {
        float f = (float)x;
        uint32_t bits;
        memcpy(&bits, &f, sizeof bits);
        return t == DT_F32 ? bits : bits >> 16;
    }
    if (t == DT_F16) {
        for (uint32_t h = 0; h < 0x7c00; h++) {
            double m = h < 0x400 ? ldexp((double)h, -24)
                                 : ldexp((double)(0x400 + (h & 0x3ff)), (int)(h >> 10) - 25);
            if (m == fabs(x)) {
                return signbit(x) ? h | 0x8000 : h;
            }
        }
        fail_msg("%g is no f16 number", x);
    }
    if (t == DT_E4M3) {
        for (uint32_t c = 0; c < 0x7f; c++) {
            double m = c < 8 ? ldexp((double)c, -9) : ldexp((double)(8 + c % 8), (int)(c / 8) - 10);
            if (m == fabs(x)) {
                return signbit(x) ? c | 0x80 : c;
            }
        }
        fail_msg("%g is no e4m3 number", x);
    }
    int bits = dtype_bits(t);
    return (uint32_t)(int32_t)x & (bits == 32 ? ~0u : (1u << bits) - 1);
}

static uint32_t stored_bits(const Type *t, const uint8_t *data, int64_t row, int64_t col)
{
    int64_t i = type_physical_index(t, row, col);
    if (t->dtype == DT_U4) {
        return data[i / 2] >> (i % 2 * 4) & 15;
    }
    uint32_t bits = 0;
    int size = dtype_bits(t->dtype) / 8;
    memcpy(&bits, data + i * size, (size_t)size);
    return bits;
}

static double random_number(DType t, uint64_t *seed)
{
    uint64_t z = unit_random(seed);
    if (!dtype_is_float(t) && t != DT_E4M3) {
        return dtype_round(t, (double)(z % 256) - (t == DT_I8 ? 128 : 0));
    }
    double x = ldexp((double)(z >> 11) - 0x1p52, -52 - (int)(z % 20));
    return z % 64 == 0 ? 0 : dtype_round(t, z % 64 == 1 ? x * 0x1p-14 : x);
}

static void check_encoding(Ctx *ctx, TypeTable *types, Type type, uint64_t *seed)
{
    Arena *a = ctx->arena;
    const Type *t = type_intern(types, type);
    int64_t rows = t->dim[0], cols = t->rank > 1 ? t->dim[1] : 1;
    double *x = ARENA_ARRAY(a, double, rows *cols);
    for (int64_t i = 0; i < rows * cols; i++) {
        x[i] = random_number(t->dtype, seed);
    }
    int64_t bytes = type_bytes(t), step = t->layout.rows > 0 ? 2 * t->layout.rows : 4;
    uint8_t *data = ARENA_ARRAY(a, uint8_t, bytes);
    memset(data, 0xa5, (size_t)bytes);
    int64_t sum = 0;
    for (int64_t row = 0; row < rows; row += step) {
        int64_t n = rows - row < step ? rows - row : step;
        pack_encode_rows(a, t, row, n, x + row * cols, data + pack_row_offset(t, row));
        sum += pack_rows_bytes(t, row, n);
    }
    assert_int_equal(sum, bytes);
    int64_t ones = 0, found = 0;
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = 0; c < cols; c++) {
            uint32_t want = bits_of(t->dtype, x[r * cols + c]);
            assert_int_equal(stored_bits(t, data, r, c), want);
            ones += __builtin_popcount(want);
        }
    }
    for (int64_t i = 0; i < bytes; i++) {
        found += __builtin_popcount(data[i]);
    }
    assert_int_equal(ones, found); /* padding is zero */
}

static void encodes_every_layout(void **state)
{
    Place *p = *state;
    uint64_t seed = unit_seed();
    TypeTable *types = type_table_create(p->ctx);
    static const Layout layouts[] = {{0, 0, 0}, {16, 1, 0}, {16, 2, 0}, {8, 4, 0}, {4, 6, 0}};
    static const DType dtypes[] = {DT_F32, DT_BF16, DT_F16, DT_E4M3, DT_I8, DT_U8, DT_I32};
    for (size_t d = 0; d < sizeof dtypes / sizeof *dtypes; d++) {
        for (size_t l = 0; l < sizeof layouts / sizeof *layouts; l++) {
            for (int i = 0; i < 4; i++) {
                int64_t rows = 1 + (int64_t)(unit_random(&seed) % 40);
                int64_t cols = 1 + (int64_t)(unit_random(&seed) % 20);
                Type t = {.dtype = dtypes[d], .rank = 2, .dim = {rows, cols}, .layout = layouts[l]};
                check_encoding(p->ctx, types, t, &seed);
            }
        }
    }
    Type vector = {.dtype = DT_BF16, .rank = 1, .dim = {37}};
    check_encoding(p->ctx, types, vector, &seed);
}

static void encodes_nibbles(void **state)
{
    Place *p = *state;
    uint64_t seed = unit_seed();
    TypeTable *types = type_table_create(p->ctx);
    static const Layout layouts[] = {{0, 0, 0}, {16, 2, 0}, {8, 8, 0}, {16, 8, 4}, {4, 16, 8}};
    for (size_t l = 0; l < sizeof layouts / sizeof *layouts; l++) {
        for (int i = 0; i < 10; i++) {
            int64_t rows = 1 + (int64_t)(unit_random(&seed) % 40);
            int64_t cols = 1 + (int64_t)(unit_random(&seed) % 50);
            Type t = {.dtype = DT_U4, .rank = 2, .dim = {rows, cols}, .layout = layouts[l]};
            check_encoding(p->ctx, types, t, &seed);
        }
    }
}

static void random_rows_do_not_depend_on_blocks(void **state)
{
    Place *p = *state;
    TypeTable *types = type_table_create(p->ctx);
    int64_t dim[] = {64, 32};
    const Type *t = type_make(types, DT_BF16, 2, dim);
    double all[64 * 32], part[8 * 32], mean = 0, square = 0;
    pack_random_rows(7, 3, "gate", t, 0, 64, all);
    pack_random_rows(7, 3, "gate", t, 24, 8, part);
    assert_memory_equal(all + 24 * 32, part, sizeof part);
    pack_random_rows(7, 4, "gate", t, 24, 8, part);
    assert_memory_not_equal(all + 24 * 32, part, sizeof part);
    for (int i = 0; i < 64 * 32; i++) {
        mean += all[i] / (64 * 32);
        square += all[i] * all[i] / (64 * 32);
    }
    assert_true(fabs(mean) < 0.002 && fabs(sqrt(square) - 0.02) < 0.001);
    const Type *v = type_make(types, DT_BF16, 1, dim);
    pack_random_rows(7, 3, "attn_norm", v, 0, 64, all);
    for (int i = 0; i < 64; i++) {
        assert_true(all[i] > 0.5 && all[i] < 1.5);
    }
}

static void rounds_many_as_one(void **state)
{
    (void)state;
    uint64_t seed = unit_seed();
    static const DType dtypes[] = {DT_F32, DT_BF16, DT_F16, DT_I8, DT_E4M3};
    for (int round = 0; round < 400; round++) {
        double x[100], y[100];
        DType t = dtypes[round % 5];
        for (int i = 0; i < 100; i++) {
            uint64_t z = unit_random(&seed), y_bits = unit_random(&seed);
            int spread = round < 200 ? 120 : 160; /* the second half meets subnormals, overflow */
            x[i] = ldexp((double)(int64_t)(z >> 40 << 8 | (z & 1)),
                         (int)(y_bits % (2u * (unsigned)spread)) - spread - 32);
            if (z % 8 == 0) { /* exactly between two bf16 numbers */
                x[i] = ldexp((double)((z >> 20 & 255) * 2 + 257), (int)(y_bits % 200) - 100);
            }
            x[i] = y_bits >> 63 ? -x[i] : x[i];
            x[i] = z % 37 == 0 ? 0 : x[i];
            y[i] = dtype_round(t, x[i]);
        }
        dtype_round_all(t, x, 100);
        assert_memory_equal(x, y, sizeof x);
    }
}

/* ---- whole files ----------------------------------------------------------------------------- */

typedef struct Packed {
    ModelSpec spec;
    Module *module[2];
    WeightsPlan *plan;
    const uint8_t *data;
    size_t n;
} Packed;

static void plan_golden(const Place *p, const char *dir, Packed *out)
{
    bool ok = import_config(p->ctx, dir, &out->spec);
    if (!ok) {
        fail_msg("%s", diag_text(p->ctx->diag));
    }
    out->module[0] = build_module(p->ctx, &out->spec, PHASE_DECODE, 1);
    out->module[1] = build_module(p->ctx, &out->spec, PHASE_PREFILL, 8);
    assert_non_null(out->module[0]);
    assert_non_null(out->module[1]);
    out->plan = weights_plan(p->ctx, out->module, 2);
}

static bool pack(const Place *p, Packed *out, const char *checkpoint, uint64_t seed,
                 const char *name)
{
    PackRequest r = {.ctx = p->ctx,
                     .spec = &out->spec,
                     .plan = out->plan,
                     .checkpoint = checkpoint,
                     .seed = seed,
                     .output = place_path(p, name),
                     .layout = "test"};
    if (!pack_write(&r)) {
        return false;
    }
    out->data = (const uint8_t *)file_read(p->ctx->arena, p->ctx->diag, r.output, &out->n);
    assert_non_null(out->data);
    return true;
}

static void check_header(const Packed *f, WeightsHeader *h)
{
    memcpy(h, f->data, sizeof *h);
    assert_memory_equal(h->magic, WEIGHTS_MAGIC, 8);
    assert_int_equal(h->file_bytes, f->n);
    assert_true(h->layout_hash == f->plan->layout_hash);
    assert_string_equal(h->layout, "test");
    uint8_t *copy = malloc(h->header_bytes);
    assert_non_null(copy);
    memcpy(copy, f->data, h->header_bytes);
    memset(copy + offsetof(WeightsHeader, header_checksum), 0, 8);
    assert_true(XXH3_64bits(copy, h->header_bytes) == h->header_checksum);
    free(copy);
}

static void check_entries(const Packed *f, const WeightsHeader *h)
{
    uint64_t end = h->header_bytes;
    for (uint32_t i = 0; i < h->n_tensors; i++) {
        WeightsEntry e;
        memcpy(&e, f->data + sizeof *h + i * sizeof e, sizeof e);
        assert_true(e.offset >= end && e.offset % WEIGHTS_ALIGN == 0);
        assert_true(e.offset + e.bytes <= f->n);
        assert_true(XXH3_64bits(f->data + e.offset, e.bytes) == e.checksum);
        for (uint64_t k = end; k < e.offset; k++) {
            assert_int_equal(f->data[k], 0);
        }
        end = e.offset + e.bytes;
    }
}

/* Every number of the file equals that of the constant half evaluated at once. */
static void check_numbers(const Place *p, const Packed *f, const char *checkpoint, uint64_t seed)
{
    Arena *a = p->ctx->arena;
    PackSource *source = pack_source_open(p->ctx, &f->spec, checkpoint, seed);
    assert_non_null(source);
    const ConstSource load = {pack_source_load, source};
    for (size_t i = 0; i < f->plan->tensors.n; i++) {
        const WeightTensor *t = &f->plan->tensors.data[i];
        int64_t rows = t->type->dim[0], cols = type_elements(t->type) / rows;
        double *x = ARENA_ARRAY(a, double, rows *cols);
        for (int copy = 0; copy < t->count; copy++) {
            int layer = t->layered ? t->first_layer + copy * t->layer_step : -1;
            pack_source_select(source, t->func, layer);
            assert_true(interp_const_rows(a, t->func, t->value, 0, rows, &load, x));
            const uint8_t *data = f->data + t->offset + (uint64_t)copy * t->stride;
            for (int64_t k = 0; k < rows * cols; k++) {
                assert_int_equal(stored_bits(t->type, data, k / cols, k % cols),
                                 bits_of(t->type->dtype, x[k]));
            }
        }
    }
    pack_source_close(source);
}

static void packs_goldens(void **state)
{
    Place *p = *state;
    static const char *const families[] = {"llama2", "phi3", "gpt2", "opt"};
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        const char *dir = path_join(p->ctx->arena, "tests/golden", families[i]);
        Packed one, two;
        WeightsHeader h;
        plan_golden(p, dir, &one);
        two = one;
        if (!pack(p, &one, dir, 0, "one.weights") || !pack(p, &two, dir, 0, "two.weights")) {
            fail_msg("%s", diag_text(p->ctx->diag));
        }
        assert_int_equal(one.n, two.n);
        assert_memory_equal(one.data, two.data, one.n);
        check_header(&one, &h);
        check_entries(&one, &h);
        check_numbers(p, &one, dir, 0);
    }
    assert_int_equal(place_entries(p->dir), 2);
}

static void packs_random(void **state)
{
    Place *p = *state;
    Packed one, two;
    WeightsHeader h;
    plan_golden(p, "tests/golden/qwen3", &one);
    two = one;
    assert_true(pack(p, &one, NULL, 11, "one.weights"));
    assert_true(pack(p, &two, NULL, 12, "two.weights"));
    assert_int_equal(one.n, two.n);
    assert_memory_not_equal(one.data, two.data, one.n);
    check_header(&one, &h);
    check_entries(&one, &h);
    check_numbers(p, &one, NULL, 11);
}

/* ---- what goes wrong ------------------------------------------------------------------------- */

static void expect_failure(const Place *p, Packed *f, const char *checkpoint, const char *message)
{
    assert_false(pack(p, f, checkpoint, 0, "x.weights"));
    const char *text = diag_text(p->ctx->diag);
    if (!strstr(text, message)) {
        fail_msg("'%s' is not in '%s'", message, text);
    }
    assert_false(file_exists(place_path(p, "x.weights")));
}

/* A copy of a golden's checkpoint with 16 bits of tensor data replaced. */
static const char *damaged_checkpoint(const Place *p, const char *family, size_t at, uint16_t bits)
{
    size_t n;
    const char *path = arena_printf(p->ctx->arena, "tests/golden/%s/model.safetensors", family);
    char *data = file_read(p->ctx->arena, p->ctx->diag, path, &n);
    assert_non_null(data);
    uint64_t header = 0;
    memcpy(&header, data, sizeof header);
    memcpy(data + 8 + header + at, &bits, sizeof bits);
    const char *to = place_path(p, "damaged.safetensors");
    assert_true(file_write(p->ctx->diag, to, data, n));
    return to;
}

static void refuses_not_a_number(void **state)
{
    Place *p = *state;
    Packed f;
    plan_golden(p, "tests/golden/llama2", &f);
    /* lm_head.weight [320, 64] is first in the file: row 2, column 3 */
    expect_failure(p, &f, damaged_checkpoint(p, "llama2", (2 * 64 + 3) * 2, 0x7fc0),
                   "tensor 'lm_head.weight' has a number that is not a number at [2, 3]");
    assert_int_equal(place_entries(p->dir), 1);
}

static void refuses_infinity_in_a_transposed_tensor(void **state)
{
    Place *p = *state;
    Packed f;
    plan_golden(p, "tests/golden/gpt2", &f);
    size_t c_attn = 192 * 2; /* behind transformer.h.0.attn.c_attn.bias [192] */
    expect_failure(p, &f, damaged_checkpoint(p, "gpt2", c_attn + (5 * 192 + 70) * 2, 0xff80),
                   "tensor 'transformer.h.0.attn.c_attn.weight' has a number that is infinite at "
                   "[5, 70]");
}

static void refuses_what_f16_cannot_hold(void **state)
{
    Place *p = *state;
    Packed f;
    const char *path = damaged_checkpoint(p, "llama2", (2 * 64 + 3) * 2, 0x4880); /* 2^18 */
    const SpecOverride override = {"dtype", "f16"};
    Buf text = buf_create(p->ctx->arena);
    plan_golden(p, "tests/golden/llama2", &f);
    spec_write(&text, &f.spec);
    const ModelSpec *s = spec_read(p->ctx, "x.yaml", text.data, text.len, &override, 1);
    assert_non_null(s);
    f.spec = *s;
    f.module[0] = build_module(p->ctx, s, PHASE_DECODE, 1);
    f.plan = weights_plan(p->ctx, f.module, 1);
    expect_failure(p, &f, path,
                   "tensor 'lm_head.weight' has a number that is too large for f16 at [2, 3]");
}

static void reports_a_full_disk(void **state)
{
    Place *p = *state;
    Packed f;
    plan_golden(p, "tests/golden/llama2", &f);
    struct rlimit old, small;
    getrlimit(RLIMIT_FSIZE, &old);
    small = old;
    small.rlim_cur = 100000;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    bool ok = pack(p, &f, "tests/golden/llama2", 0, "x.weights");
    setrlimit(RLIMIT_FSIZE, &old);
    assert_false(ok);
    assert_non_null(strstr(diag_text(p->ctx->diag), "free some space"));
    assert_int_equal(place_entries(p->dir), 0);
}

static void refuses_a_folder_that_is_not_there(void **state)
{
    Place *p = *state;
    Packed f;
    plan_golden(p, "tests/golden/llama2", &f);
    assert_false(pack(p, &f, "tests/golden/llama2", 0, "nowhere/x.weights"));
    assert_non_null(strstr(diag_text(p->ctx->diag), "No such file"));
}

static void refuses_a_larger_vocabulary(void **state)
{
    Place *p = *state;
    Packed f;
    plan_golden(p, "tests/golden/llama2", &f);
    char command[200];
    snprintf(command, sizeof command, "cp tests/golden/llama2/model.safetensors '%s'", p->dir);
    assert_int_equal(system(command), 0);
    const char json[] = "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"merges\": []}, "
                        "\"added_tokens\": [{\"id\": 320, \"content\": \"<x>\"}]}";
    assert_true(file_write(p->ctx->diag, place_path(p, "tokenizer.json"), json, strlen(json)));
    expect_failure(p, &f, p->dir, "vocab is 320, but the tokenizer in");
}

static void stores_the_tokenizer(void **state)
{
    Place *p = *state;
    Packed f;
    WeightsHeader h;
    WeightsEntry last;
    plan_golden(p, "tests/golden/llama2", &f);
    char command[200];
    snprintf(command, sizeof command, "cp tests/golden/llama2/model.safetensors '%s'", p->dir);
    assert_int_equal(system(command), 0);
    const char json[] = "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"merges\": []}, "
                        "\"added_tokens\": []}";
    assert_true(file_write(p->ctx->diag, place_path(p, "tokenizer.json"), json, strlen(json)));
    if (!pack(p, &f, p->dir, 0, "x.weights")) {
        fail_msg("%s", diag_text(p->ctx->diag));
    }
    check_header(&f, &h);
    check_entries(&f, &h);
    assert_int_equal(h.n_tensors, f.plan->n_entries + 1);
    memcpy(&last, f.data + sizeof h + (h.n_tensors - 1) * sizeof last, sizeof last);
    assert_string_equal(last.name, "tokenizer");
    assert_memory_equal(f.data + last.offset, "STOK", 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(encodes_every_layout, place_enter, place_leave),
        cmocka_unit_test_setup_teardown(encodes_nibbles, place_enter, place_leave),
        cmocka_unit_test_setup_teardown(random_rows_do_not_depend_on_blocks, place_enter,
                                        place_leave),
        cmocka_unit_test(rounds_many_as_one),
        cmocka_unit_test_setup_teardown(packs_goldens, place_enter, place_leave),
        cmocka_unit_test_setup_teardown(packs_random, place_enter, place_leave),
        cmocka_unit_test_setup_teardown(refuses_not_a_number, place_enter, place_leave),
        cmocka_unit_test_setup_teardown(refuses_infinity_in_a_transposed_tensor, place_enter,
                                        place_leave),
        cmocka_unit_test_setup_teardown(refuses_what_f16_cannot_hold, place_enter, place_leave),
        cmocka_unit_test_setup_teardown(reports_a_full_disk, place_enter, place_leave),
        cmocka_unit_test_setup_teardown(refuses_a_folder_that_is_not_there, place_enter,
                                        place_leave),
        cmocka_unit_test_setup_teardown(refuses_a_larger_vocabulary, place_enter, place_leave),
        cmocka_unit_test_setup_teardown(stores_the_tokenizer, place_enter, place_leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
