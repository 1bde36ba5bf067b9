/* test_e4m3.c - the conversions of generated code between f32 and e4m3, number by number: all codes
 * as weights, in tiles and plain loops, and rounding of rows: every number, the middles between
 * neighbours (ties to even) and the next f32 numbers on both sides.
 *
 * One number of each row is 448, so that its scale is 1 and results are exact. */
#include "codegen_run.h"

#include "codegen/emit.h"

enum { CODES = 254, COLUMNS = 24 }; /* without the two NaN */

static uint64_t seed;

/* By the definition of the format: bias 7, 3 bits of mantissa. */
static double number_of(int code)
{
    int e = code >> 3 & 15, m = code & 7;
    double x = e == 0 ? ldexp(m, -9) : ldexp(8 + m, e - 10);
    return code < 128 ? x : -x;
}

/* 0 .. 126 and 128 .. 254 */
static int nth_code(int i)
{
    return i < 127 ? i : i + 1;
}

static const float *run_rows(Program *p, const float *input, int rows, int columns)
{
    float *out = ARENA_ARRAY(p->ctx->arena, float, rows *columns);
    SinterRun run = {.weights = p->file, .scratch = p->scratch, .input = input, .logits = out};
    run.rows = rows;
    bool decode = p->module->phase == PHASE_DECODE;
    program_run_threads(&run, decode ? p->model->decode[0].fn : p->model->prefill.fn);
    return out;
}

static void check_number(const char *cpu, double got, double want, double x)
{
    if (got < want || got > want || signbit(got) != signbit(want)) {
        fail_msg("%s: %a became %g, expected %g", cpu, x, got, want);
    }
}

/* ---- codes to numbers ------------------------------------------------------------------------ */

/* Column 3 of row r is the number of code r, column 5 is 448; x has a single 1, in column 3. */
static const char *const codes_text =
    "module @ffn {phase = decode, tokens = 1, context = 8}\nschedule ffn\n\n"
    "func @ffn(%x: f32[1, 24]) weights(@w: f32[254, 24]) -> (%y: f32[1, 254]) {\n"
    "  %s = quant_scale @w {bits = 8, dtype = e4m3}\n"
    "  %c = quant_code @w, %s {bits = 8, dtype = e4m3}\n"
    "  %y = matmul %x, %c {dtype = f32, epilogue = mul(acc, %s)}\n  return %y\n}\n";

static void put_codes(Program *p)
{
    const Func *f = p->module->funcs.data[0];
    const Value *w_value = &f->value[f->weights.data[0]];
    const Tensor *w = program_weight(p, -1, w_value->name, w_value->type);
    for (int r = 0; r < CODES; r++) {
        for (int k = 0; k < COLUMNS; k++) {
            w->v[r * COLUMNS + k] = number_of(nth_code((int)(unit_random(&seed) % CODES)));
        }
        w->v[r * COLUMNS + 3] = number_of(nth_code(r));
        w->v[r * COLUMNS + 5] = 448;
    }
    for (size_t i = 0; i < p->plan->weights->tensors.n; i++) {
        program_pack_tensor(p, &p->plan->weights->tensors.data[i], 0);
    }
}

static void check_codes(const char *cpu)
{
    Ctx *ctx = ctx_create();
    Program *p = program_create(ctx, cpu, codes_text, unit_random(&seed));
    put_codes(p);
    float x[COLUMNS] = {[3] = 1};
    const float *y = run_rows(p, x, 1, CODES);
    for (int r = 0; r < CODES; r++) {
        double want = number_of(nth_code(r));
        check_number(cpu, (double)y[r] + 0, want + 0, want); /* + 0: a sum has no -0 */
    }
    program_destroy(p);
    ctx_destroy(ctx);
}

/* ---- numbers to codes ------------------------------------------------------------------------ */

enum { CASES = 127 * 6, ROW = CASES + 2 };

/* Three numbers at code c and three at the middle between it and the next. */
static float case_number(int i)
{
    int c = i / 6, which = i % 6;
    double at = number_of(c), next = c == 126 ? 480 : number_of(c + 1);
    float x = (float)(which < 3 ? at : (at + next) / 2);
    float to = which % 3 == 0 ? -1000.0F : which % 3 == 1 ? x : 1000.0F;
    float y = nextafterf(x, to);
    return c == 0 && which == 0 ? 0 : y;
}

/* The nearest code, the even one of two: found by looking at all. */
static double nearest(double x)
{
    int best = 0;
    for (int c = 1; c < 127; c++) {
        double d = fabs(fabs(x) - number_of(c)), least = fabs(fabs(x) - number_of(best));
        best = d < least || (d <= least && c % 2 == 0) ? c : best;
    }
    return copysign(number_of(best), x);
}

/* Rows of all cases, then of their negatives, as codes and back. */
static void check_rounding(const char *cpu)
{
    Ctx *ctx = ctx_create();
    const char *text =
        arena_printf(ctx->arena,
                     "module @ffn {phase = decode, tokens = 2, context = 8}\nschedule ffn\n\n"
                     "func @ffn(%%x: f32[2, %d]) -> (%%y: f32[2, %d]) {\n"
                     "  %%c, %%s = quantize %%x {dtype = e4m3}\n"
                     "  %%y = dequant %%c, %%s {dtype = f32}\n  return %%y\n}\n",
                     ROW, ROW);
    Program *p = program_create(ctx, cpu, text, unit_random(&seed));
    float x[2 * ROW];
    for (int i = 0; i < 2 * ROW; i++) {
        float z = i % ROW < CASES ? case_number(i % ROW) : 448;
        x[i] = (i < ROW ? 1.0F : -1.0F) * (z > 448 ? 448 : z);
    }
    const float *y = run_rows(p, x, 2, ROW);
    for (int i = 0; i < 2 * ROW; i++) {
        check_number(cpu, (double)y[i], nearest((double)x[i]), (double)x[i]);
    }
    program_destroy(p);
    ctx_destroy(ctx);
}

static const char *const cpus[] = {"native", "portable", "avx2"};

static bool runs_here(const char *cpu)
{
    return strcmp(cpu, "avx2") != 0 || isa_native()->avx2 || isa_native()->avx512;
}

static void test_all_codes(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        if (runs_here(cpus[i])) {
            check_codes(cpus[i]);
        }
    }
}

static void test_rounding(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        if (runs_here(cpus[i])) {
            check_rounding(cpus[i]);
        }
    }
}

int main(void)
{
    seed = unit_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_codes),
        cmocka_unit_test(test_rounding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
