/* emit_wgmma.c - matmuls of many tokens for sm_90a, beside the portable ones.
 *
 * Where a program has machine code for sm_90a, a prefill matmul with 16-bit x and tiled weights is
 * made a second time: once for each width of its tiles (tokens), on warpgroup multiplication, fed
 * by the copy engine. The portable kernel is then for the other chips only, and the launching
 * function asks the runtime which of them the loaded machine code has. */
#include <string.h>

#include "codegen/emit_parts.h"
#include "ir/slots.h"

enum { TILE_ROWS = 16, BLOCK_ROWS = 128, STEP = 64, MMA_COLUMNS = 16 };
enum { SHARED_BYTES = 232448 }; /* what a block of sm_90 can have */
enum { VALUES_AT_ONCE = 32 };   /* whose operands are loaded before the first is stored */
enum { WIDEST_SPLIT = 128 };    /* tokens of a tile that is taken in pieces: more spill registers */

static const int widths[] = {64, 128, 256};
enum { N_WIDTHS = sizeof widths / sizeof widths[0] };

/* Kernels compiled when the program starts may be for any chip. */
static bool for_sm90a(const Emit *e)
{
    const Target *t = e->plan->target;
    for (int i = 0; i < t->n_arch; i++) {
        if (strcmp(t->arch[i], "sm_90a") == 0) {
            return true;
        }
    }
    return e->options->jit;
}

static bool is_16_bits(DType t)
{
    return t == DT_BF16 || t == DT_F16;
}

static int64_t columns_of(const Type *t)
{
    return t->rank < 2 ? 1 : t->dim[1];
}

static const KernelParam *result_of(const KernelText *k)
{
    return &k->params.data[0];
}

/* Whole steps of 64 columns; a group of codes is whole multiplications of 16 columns. */
static bool sums_fit(const KernelText *k)
{
    const KernelParam *w = emit_find_param(k, "w"), *x = emit_find_param(k, "x");
    int64_t columns = columns_of(w->ir), group = k->op->a.group;
    bool codes = dtype_is_code(w->stored);
    bool groups =
        group == 0 || group % STEP == 0 || (STEP % group == 0 && group % MMA_COLUMNS == 0);
    return is_16_bits(x->stored) && (codes || w->stored == x->stored) &&
           w->ir->layout.rows == TILE_ROWS && w->ir->dim[0] % TILE_ROWS == 0 &&
           columns % STEP == 0 && x->stride % 8 == 0 && groups &&
           emit_find_param(k, "x_scale") == NULL;
}

static bool qkv_fits(const KernelText *k)
{
    DType x = emit_find_param(k, "x")->stored;
    return k->op->a.block == TILE_ROWS / 2 && emit_find_param(k, "k_cache")->stored == x &&
           emit_find_param(k, "v_cache")->stored == x;
}

/* A result in memory as f32, or as x is. */
static bool result_fits(const KernelText *k)
{
    DType out = result_of(k)->stored;
    return (out == DT_F32 || out == emit_find_param(k, "x")->stored) &&
           result_of(k)->stride % 2 == 0;
}

static bool fits(const KernelText *k)
{
    const char *variant = k->kernel->config.variant;
    bool qkv = variant != NULL && strcmp(variant, "matmul_qkv_mma") == 0;
    bool plain = variant != NULL && strcmp(variant, "matmul_mma") == 0;
    return (plain || qkv) && for_sm90a(k->emit) && sums_fit(k) && result_fits(k) &&
           (plain || qkv_fits(k));
}

/* No tile is wider than the phase has tokens, but for the narrowest. */
static bool has_width(const KernelText *k, int i)
{
    return i == 0 || widths[i - 1] < k->phase->module->tokens;
}

static bool only_sm90a(const KernelText *k)
{
    return k->emit->plan->target->n_arch == 1 && !k->emit->options->jit;
}

/* Two blocks share tokens when the rows of weights come in pairs of tiles. */
static int cluster_of(int64_t rows)
{
    return (rows + BLOCK_ROWS - 1) / BLOCK_ROWS % 2 == 0 ? 2 : 1;
}

static void set_variables(KernelText *k, int tokens)
{
    const KernelParam *w = emit_find_param(k, "w"), *x = emit_find_param(k, "x");
    Arena *a = k->emit->ctx->arena;
    const char *word = dtype_name(x->stored);
    bool codes = w->stored != x->stored;
    int cluster = cluster_of(w->ir->dim[0]);
    const char *blocks = cluster > 1 ? arena_printf(a, " __cluster_dims__(%d, 1, 1)", cluster) : "";
    tmpl_set_int(&k->env, "BT", tokens);
    tmpl_set_int(&k->env, "PART", VALUES_AT_ONCE);
    tmpl_set_bool(&k->env, "splits", tokens <= WIDEST_SPLIT);
    tmpl_set_bool(&k->env, "long_lines", tokens <= WIDEST_SPLIT && dtype_bits(w->stored) >= 8);
    tmpl_set_string(&k->env, "half_of_x",
                    tokens == widths[0] ? "rows < BT ? (rows + 15) / 16 * 8 : BT / 2" : "BT / 2");
    tmpl_set_int(&k->env, "CLUSTER", cluster);
    tmpl_set_int(&k->env, "W_BITS", dtype_bits(w->stored));
    tmpl_set_int(&k->env, "SHARED_BYTES", SHARED_BYTES);
    tmpl_set_int(&k->env, "out_bits", dtype_bits(result_of(k)->stored));
    tmpl_set_bool(&k->env, "both_chips", !only_sm90a(k));
    tmpl_set_bool(&k->env, "has_value", k->expr != NULL);
    tmpl_set_string(&k->env, "code_floats",
                    w->stored == DT_E4M3 ? "floats_of_e4m3x2" : "floats_of_i8x2");
    tmpl_set_string(&k->env, "x_word", word);
    tmpl_set_string(&k->env, "pair_of", arena_printf(a, "%s_pair", word));
    tmpl_set_string(&k->env, "multiply",
                    arena_printf(a, "warpgroup_%s%s_%d", word, codes ? "_codes" : "", tokens));
    tmpl_set_string(&k->env, "gemm_launch",
                    arena_printf(a, "extern \"C\" __global__%s __launch_bounds__(384, 1)", blocks));
}

static Str symbol_of(const KernelText *k, int tokens)
{
    return str_internf(k->emit->ctx->strings, "%s_wgmma%d", k->symbol, tokens);
}

/* A block begins with 3 warpgroups of 168 registers a thread: no more than that may be shared out,
 * else the kernel waits for ever. */
static void set_registers(KernelText *k, int tokens)
{
    int ask = tokens <= WIDEST_SPLIT ? 56 : 40;
    tmpl_set_int(&k->env, "ASK_REGISTERS", ask);
    tmpl_set_int(&k->env, "SUM_REGISTERS", (3 * 168 - ask) / 2);
}

/* The kernel for tiles of so many tokens, behind what the portable one is to say of it. */
static bool add_width(KernelText *k, const EmittedKernel *portable, int tokens)
{
    Emit *e = k->emit;
    bool qkv = k->op->kind == OP_MATMUL_QKV;
    EmittedKernel x = {.func = portable->func, .purpose = portable->purpose};
    x.file = qkv ? "matmul_qkv_wgmma" : "matmul_wgmma";
    x.symbol = symbol_of(k, tokens);
    x.key = x.symbol;
    x.comment = str_internf(e->ctx->strings, "%s *   on sm_90a, in tiles of %d tokens\n",
                            portable->comment, tokens);
    x.users = buf_create(e->ctx->arena);
    buf_puts(&x.users, k->phase->name);
    set_variables(k, tokens);
    set_registers(k, tokens);
    tmpl_set_string(&k->env, "name", x.symbol);
    Buf text = buf_create(e->ctx->arena);
    const Tmpl *t = emit_template(e, x.file);
    if (t == NULL || !tmpl_expand(t, &k->env, &text)) {
        return false;
    }
    x.text = str_intern(e->ctx->strings, text.data);
    vec_push(e->ctx->arena, &e->kernels, x);
    return true;
}

/* ---- the launching function ------------------------------------------------------------------ */

static void put_gemm(Buf *b, const KernelText *k)
{
    const KernelParam *w = emit_find_param(k, "w"), *x = emit_find_param(k, "x");
    Str id[N_WIDTHS];
    for (int i = 0; i < N_WIDTHS; i++) {
        id[i] = has_width(k, i) ? emit_kernel_id(k->emit, symbol_of(k, widths[i])) : "-1";
    }
    buf_puts(b, "    const SinterGemm gemm = {\n");
    emit_wrapped(b, "        .kernel = {", id, N_WIDTHS, 0, "},");
    buf_printf(b,
               "\n        .x = x, .x_stride = %lld, .rows = rows, .columns = %lld,\n"
               "        .w = w, .w_rows = %lld, .w_bits = %d, .shared = %d,\n    };\n",
               (long long)x->stride, (long long)columns_of(w->ir), (long long)w->ir->dim[0],
               dtype_bits(w->stored), SHARED_BYTES);
}

static Str launch_text(const KernelText *k)
{
    Ctx *ctx = k->emit->ctx;
    StrTable *s = ctx->strings;
    size_t n = k->params.n;
    Str *param = ARENA_ARRAY(ctx->arena, Str, n + 1),
        *address = ARENA_ARRAY(ctx->arena, Str, n + 3);
    param[0] = "const SinterRun *run";
    address[0] = address[1] = address[2] = "NULL";
    for (size_t i = 0; i < n; i++) {
        param[i + 1] = str_internf(s, "%s%s", k->params.data[i].type, k->params.data[i].name);
        address[i + 3] = str_internf(s, "&%s", k->params.data[i].name);
    }
    Buf b = buf_create(ctx->arena);
    emit_wrapped(&b, arena_printf(ctx->arena, "static void %s(", k->symbol), param, n + 1, 0, ")");
    buf_puts(&b, "\n{\n");
    emit_wrapped(&b, "    void *arg[] = {", address, n + 3, 0, "};");
    buf_putc(&b, '\n');
    put_gemm(&b, k);
    if (only_sm90a(k)) {
        buf_puts(&b, "    sinter_gpu_gemm(run->gpu, &gemm, arg);\n}\n");
        return str_intern(s, b.data);
    }
    buf_printf(&b,
               "    if (sinter_gpu_gemm(run->gpu, &gemm, arg)) {\n        return;\n    }\n"
               "    const SinterGrid grid = {%s, %s, %d, %d};\n"
               "    sinter_gpu_launch(run->gpu, %s, grid, arg + 3);\n}\n",
               k->grid_x, k->grid_y, k->block, k->shared, emit_kernel_id(k->emit, k->symbol));
    return str_intern(s, b.data);
}

bool emit_wgmma(KernelText *k, EmittedKernel *portable)
{
    if (!fits(k)) {
        return true;
    }
    portable->launch = launch_text(k);
    Arena *a = k->emit->ctx->arena;
    portable->text = only_sm90a(k)
                         ? NULL
                         : str_intern(k->emit->ctx->strings,
                                      arena_printf(a,
                                                   "#if !defined(__CUDA_ARCH_FEAT_SM90_ALL)\n"
                                                   "%s#endif\n",
                                                   portable->text));
    for (int i = 0; i < N_WIDTHS; i++) {
        if (has_width(k, i) && !add_width(k, portable, widths[i])) {
            return false;
        }
    }
    return true;
}

/* ---- the instruction ------------------------------------------------------------------------- */

static void put_registers(Buf *b, int first, int n)
{
    for (int i = 0; i < n; i++) {
        buf_printf(b, "%s%%%d", i == 0 ? "" : i % 16 == 0 ? ", \"\n        \"" : ", ", first + i);
    }
}

static void put_sums(Buf *b, int n)
{
    for (int i = 0; i < n; i++) {
        buf_printf(b, "%s\"+f\"(sum[%d])", i == 0 ? "" : i % 6 == 0 ? ",\n          " : ", ", i);
    }
}

/* Sums of a warpgroup: 64 rows by `tokens`, n = tokens / 2 a thread. */
const char *emit_warpgroup_multiply(Arena *a, const char *type, bool codes, int tokens)
{
    Buf b = buf_create(a);
    int n = tokens / 2, descriptor = codes ? n + 4 : n + 1;
    buf_puts(&b, "#if defined(__CUDA_ARCH_FEAT_SM90_ALL)\n");
    buf_printf(&b, "/* sum += a . b of 64 x 16 by 16 x %d, %s. */\n", tokens,
               codes ? "a in registers, b in shared memory" : "both in shared memory");
    buf_printf(&b,
               "__device__ inline void warpgroup_%s%s_%d(float (&sum)[%d], %s, "
               "uint64_t b)\n{\n    asm volatile(\n",
               type, codes ? "_codes" : "", tokens, n,
               codes ? "const uint32_t (&a)[4]" : "uint64_t a");
    buf_printf(&b, "        \"wgmma.mma_async.sync.aligned.m64n%dk16.f32.%s.%s {\"\n        \"",
               tokens, type, type);
    put_registers(&b, 0, n);
    buf_puts(&b, "}, \"\n        \"");
    if (codes) {
        buf_puts(&b, "{");
        put_registers(&b, n, 4);
        buf_printf(&b, "}, %%%d, 1, 1, 1, 0;\"\n        : ", descriptor);
    } else {
        buf_printf(&b, "%%%d, %%%d, 1, 1, 1, 0, 0;\"\n        : ", n, descriptor);
    }
    put_sums(&b, n);
    buf_printf(&b, "\n        : %s, \"l\"(b)\n        : \"memory\");\n}\n#endif",
               codes ? "\"r\"(a[0]), \"r\"(a[1]), \"r\"(a[2]), \"r\"(a[3])" : "\"l\"(a)");
    return b.data;
}
