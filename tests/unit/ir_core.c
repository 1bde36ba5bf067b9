/* The IR itself: tables, types, building, sorting, cloning, text, verifier. */
#include "unit.h"

#include <string.h>

#include "compiler/base/file.h"
#include "ir/ir_text.h"

static const Type *matrix(Module *m, DType t, int64_t rows, int64_t cols)
{
    return type_make(m->types, t, 2, (const int64_t[]){rows, cols});
}

static Str name(Module *m, const char *s)
{
    return str_intern(m->ctx->strings, s);
}

static Module *empty_module(void)
{
    Ctx *ctx = ctx_create();
    return ir_module(ctx, str_intern(ctx->strings, "test"), PHASE_DECODE, 2, 16);
}

static ValueId make(Func *f, OpKind kind, const char *result, ValueId a, ValueId b)
{
    Op op = {.kind = kind, .in = {a, b}};
    ValueId v = ir_op1(f, &op, name(f->module, result));
    assert_int_not_equal(v, 0);
    return v;
}

/* %n = silu %x; %g = matmul %n, @w; %y = add %g, %x, returned as x */
typedef struct Small {
    Module *m;
    Func *f;
    ValueId x, w, n, g, y;
} Small;

static Small small(void)
{
    Small s = {.m = empty_module()};
    s.f = ir_func(s.m, name(s.m, "layer"));
    s.x = ir_value(s.f, VALUE_PARAM, name(s.m, "x"), matrix(s.m, DT_BF16, 2, 8), (Span){0});
    s.w = ir_value(s.f, VALUE_WEIGHT, name(s.m, "w"), matrix(s.m, DT_BF16, 8, 8), (Span){0});
    s.n = make(s.f, OP_SILU, "n", s.x, 0);
    s.g = make(s.f, OP_MATMUL, "g", s.n, s.w);
    s.y = make(s.f, OP_ADD, "y", s.g, s.x);
    ir_return(s.f, s.y, name(s.m, "x"));
    return s;
}

static const char *print(const Module *m)
{
    Buf b = buf_create(m->ctx->arena);
    ir_print_module(&b, m);
    return b.data;
}

static void assert_said(const Module *m, const char *text)
{
    if (strstr(diag_text(m->ctx->diag), text) == NULL) {
        fail_msg("expected '%s' in:\n%s", text, diag_text(m->ctx->diag));
    }
}

/* ---- tables ---------------------------------------------------------------------------------- */

static void every_name_finds_its_entry(void **state)
{
    (void)state;
    for (int k = OP_NONE + 1; k < OP_COUNT; k++) {
        assert_int_equal(op_parse(op_name((OpKind)k)), k);
    }
    for (int id = 0; id < ATTR_COUNT; id++) {
        assert_int_equal(attr_parse(attr_name((AttrId)id)), id);
    }
    for (int t = DT_NONE + 1; t < DT_COUNT; t++) {
        assert_int_equal(dtype_parse(dtype_name((DType)t)), t);
    }
    for (int k = EXPR_NONE + 1; k < EXPR_ACC; k++) {
        assert_int_equal(expr_parse(expr_name((ExprKind)k)), k);
    }
    assert_int_equal(op_parse("none"), OP_NONE);
    assert_int_equal(expr_parse("acc"), EXPR_NONE);
    assert_int_equal(attr_parse("epilogue"), ATTR_COUNT);
}

static void slots_are_cut_from_the_table(void **state)
{
    (void)state;
    assert_int_equal(op_slots(OP_MATMUL), 6);
    assert_string_equal(op_slot_name(OP_MATMUL, 2), "w_scale");
    assert_true(op_slot_optional(OP_MATMUL, 2) && !op_slot_optional(OP_MATMUL, 1));
    assert_true(op_variadic(OP_MATMUL) && op_variadic(OP_MAP) && !op_variadic(OP_ADD));
    assert_int_equal(op_slots(OP_MAP), 0);
    assert_int_equal(op_slots(OP_ROPE_FREQS), 0);
    assert_int_equal(op_slot(OP_MATMUL, "x_scale"), 4);
    assert_int_equal(op_slot(OP_MATMUL, "gain"), -1);
}

static void elementwise_operators_have_expressions(void **state)
{
    (void)state;
    assert_int_equal(expr_of_op(OP_SILU), EXPR_SILU);
    assert_int_equal(expr_of_op(OP_MAP), EXPR_NONE);
    assert_int_equal(expr_of_op(OP_MATMUL), EXPR_NONE);
    for (int k = OP_NONE + 1; k < OP_COUNT; k++) {
        bool element = (op_flags((OpKind)k) & OPF_ELEMENT) != 0 && k != OP_MAP;
        assert_int_equal(expr_of_op((OpKind)k) != EXPR_NONE, element);
    }
}

/* ---- types ----------------------------------------------------------------------------------- */

static void equal_types_are_one_pointer(void **state)
{
    (void)state;
    Module *m = empty_module();
    const Type *first[200];
    for (int64_t i = 0; i < 200; i++) {
        first[i] = matrix(m, DT_F32, 1 + i / 20, 1 + i % 20);
    }
    for (int64_t i = 0; i < 200; i++) {
        assert_ptr_equal(matrix(m, DT_F32, 1 + i / 20, 1 + i % 20), first[i]);
        assert_ptr_not_equal(first[i], first[(i + 1) % 200]);
    }
    Type tiled = *first[0];
    tiled.layout = (Layout){1, 1, 0};
    assert_ptr_not_equal(type_intern(m->types, tiled), first[0]);
    ctx_destroy(m->ctx);
}

static void bytes_count_padding_and_nibbles(void **state)
{
    (void)state;
    Type t = {.dtype = DT_U4, .rank = 2, .dim = {3, 5}};
    assert_int_equal(type_bytes(&t), 8);
    t.layout = (Layout){.rows = 4, .cols = 8, .sub = 4};
    assert_int_equal(type_bytes(&t), 16);
    t.dtype = DT_BF16;
    t.layout.sub = 0;
    assert_int_equal(type_bytes(&t), 64);
    assert_int_equal(type_elements(&t), 15);
}

/* The lower nibbles of a tile's row hold its first columns, the upper ones the others. */
static void nibbles_of_a_tile_are_split(void **state)
{
    (void)state;
    Type t = {.dtype = DT_U4, .rank = 2, .dim = {2, 16}, .layout = {2, 8, 4}};
    assert_int_equal(type_physical_index(&t, 0, 0), 0);
    assert_int_equal(type_physical_index(&t, 0, 1), 2);
    assert_int_equal(type_physical_index(&t, 0, 4), 1);
    assert_int_equal(type_physical_index(&t, 0, 7), 7);
    assert_int_equal(type_physical_index(&t, 1, 0), 8);
    assert_int_equal(type_physical_index(&t, 0, 8), 16);
}

static void check_places(const Type *t)
{
    Arena *a = arena_create();
    int64_t places = type_bytes(t) * 8 / dtype_bits(t->dtype);
    bool *taken = ARENA_ARRAY(a, bool, places);
    for (int64_t row = 0; row < t->dim[0]; row++) {
        for (int64_t col = 0; col < t->dim[1]; col++) {
            int64_t at = type_physical_index(t, row, col);
            assert_true(at >= 0 && at < places && !taken[at]);
            taken[at] = true;
        }
    }
    arena_destroy(a);
}

static void every_element_has_a_place_of_its_own(void **state)
{
    (void)state;
    uint64_t seed = unit_seed();
    for (int i = 0; i < 300; i++) {
        Type t = {.dtype = i % 2 == 0 ? DT_U4 : DT_I8, .rank = 2};
        t.dim[0] = 1 + (int64_t)(unit_random(&seed) % 20);
        t.dim[1] = 1 + (int64_t)(unit_random(&seed) % 40);
        int sub = 1 + (int)(unit_random(&seed) % 8);
        t.layout = (Layout){1 + (int)(unit_random(&seed) % 8), 2 * sub,
                            t.dtype == DT_U4 && i % 4 == 0 ? sub : 0};
        if (i % 5 == 0) {
            t.layout = (Layout){0};
        }
        assert_null(type_problem(&t));
        check_places(&t);
    }
}

static void impossible_types_are_told(void **state)
{
    (void)state;
    Type t = {.dtype = DT_F32, .rank = 2, .dim = {4, 0}};
    assert_non_null(type_problem(&t));
    t.dim[0] = t.dim[1] = INT64_C(1) << 40;
    assert_non_null(type_problem(&t));
    t = (Type){.dtype = DT_U4, .rank = 2, .dim = {4, 4}, .layout = {4, 3, 0}};
    assert_non_null(type_problem(&t));
    t.layout = (Layout){4, 4, 3};
    assert_non_null(type_problem(&t));
    t.layout = (Layout){4, 4, 2};
    assert_null(type_problem(&t));
}

/* ---- building and editing -------------------------------------------------------------------- */

static void names_are_made_unique(void **state)
{
    (void)state;
    Small s = small();
    ValueId again = make(s.f, OP_SILU, "n", s.y, 0);
    assert_string_equal(s.f->value[again].name, "n_2");
    assert_int_equal(ir_find_value(s.f, name(s.m, "n")), s.n);
    Op op = {.kind = OP_SILU, .in = {s.x}};
    OpId fresh = ir_op(s.f, &op, NULL);
    assert_string_equal(s.f->value[s.f->op[fresh].out[0]].name, "silu");
    ctx_destroy(s.m->ctx);
}

static void constants_follow_from_constants(void **state)
{
    (void)state;
    Small s = small();
    Op op = {.kind = OP_QUANT_SCALE, .in = {s.w}, .a = {.bits = 8}};
    ValueId scale = ir_op1(s.f, &op, name(s.m, "scale"));
    assert_true(s.f->value[s.w].constant && s.f->value[scale].constant);
    assert_false(s.f->value[s.n].constant || s.f->value[s.g].constant);
    s.f->value[scale].constant = false;
    ir_mark_constants(s.f);
    assert_true(s.f->value[scale].constant);
    ctx_destroy(s.m->ctx);
}

static void uses_are_counted_and_replaced(void **state)
{
    (void)state;
    Small s = small();
    assert_int_equal(ir_use_count(s.f, s.x), 2);
    assert_int_equal(ir_use_count(s.f, s.y), 1);
    ir_replace_uses(s.f, s.y, s.g);
    assert_int_equal(ir_use_count(s.f, s.y), 0);
    assert_int_equal(ir_use_count(s.f, s.g), 2);
    assert_int_equal(s.f->results.data[0], s.g);
    ir_kill(s.f, s.f->value[s.y].def);
    assert_int_equal(s.f->order.n, 2);
    assert_false(ir_value_live(s.f, s.y));
    assert_true(ir_verify(s.m, "test"));
    ctx_destroy(s.m->ctx);
}

/* A rewrite: the new operator stands at the end until it is sorted, and gets the old one's name. */
static void a_rewritten_root_keeps_its_name(void **state)
{
    (void)state;
    Small s = small();
    Op op = {.kind = OP_MATMUL, .in = {s.n, s.w}};
    int input = ir_expr_operand(&op, s.x);
    assert_int_equal(input, op_slots(OP_MATMUL));
    assert_int_equal(ir_expr_operand(&op, s.x), input);
    Arena *a = s.m->ctx->arena;
    op.expr = expr_node(a, EXPR_ADD, expr_acc(a, -1), expr_input(a, input));
    ValueId fused = ir_op1(s.f, &op, name(s.m, "y"));
    assert_string_equal(s.f->value[fused].name, "y_2");
    ir_replace_uses(s.f, s.y, fused);
    ir_kill(s.f, s.f->value[s.y].def);
    ir_kill(s.f, s.f->value[s.g].def);
    ir_take_name(s.f, fused, s.y);
    assert_true(ir_sort(s.f));
    assert_true(ir_verify(s.m, "test"));
    assert_non_null(strstr(print(s.m),
                           "  %y = matmul %n, @w {epilogue = add(acc, %x)} : bf16[2, 8]\n"
                           "  return %y\n"));
    ctx_destroy(s.m->ctx);
}

static void an_operator_that_does_not_fit_is_refused(void **state)
{
    (void)state;
    Small s = small();
    Op op = {.kind = OP_MATMUL, .in = {s.n}};
    assert_int_equal(ir_op(s.f, &op, NULL), 0);
    assert_said(s.m, "matmul: operand w is missing");
    op = (Op){.kind = OP_SILU, .in = {s.n}, .a = {.heads = 4}};
    assert_int_equal(ir_op(s.f, &op, NULL), 0);
    assert_said(s.m, "silu: takes no attribute 'heads'");
    op = (Op){.kind = OP_MATMUL, .n_in = 7, .in = {s.n, s.w, 0, 0, 0, 0, s.x}};
    assert_int_equal(ir_op(s.f, &op, NULL), 0);
    assert_said(s.m, "matmul: operand %x is not in the expression");
    op.in[6] = 0;
    assert_int_equal(ir_op(s.f, &op, NULL), 0);
    assert_said(s.m, "matmul: operand 6, a leaf of the expression, is missing");
    ctx_destroy(s.m->ctx);
}

/* ---- sorting and cloning --------------------------------------------------------------------- */

static void a_sorted_function_stays_as_it_is(void **state)
{
    (void)state;
    Small s = small();
    const char *before = print(s.m);
    assert_true(ir_sort(s.f));
    assert_string_equal(print(s.m), before);
    ctx_destroy(s.m->ctx);
}

static void any_order_is_sorted(void **state)
{
    (void)state;
    uint64_t seed = unit_seed();
    Small s = small();
    for (int i = 0; i < 40; i++) {
        make(s.f, OP_ADD, "t", s.f->n_values - 1, 1 + (ValueId)(unit_random(&seed) % 2) * 2);
    }
    for (size_t i = s.f->order.n; i > 1; i--) {
        size_t j = (size_t)(unit_random(&seed) % i);
        OpId swap = s.f->order.data[i - 1];
        s.f->order.data[i - 1] = s.f->order.data[j];
        s.f->order.data[j] = swap;
    }
    assert_true(ir_sort(s.f));
    assert_true(ir_verify(s.m, "test"));
    ctx_destroy(s.m->ctx);
}

static void a_cycle_is_found(void **state)
{
    (void)state;
    Small s = small();
    const char *before = print(s.m);
    OpId first = s.f->value[s.n].def;
    s.f->op[first].in[0] = s.y;
    assert_false(ir_sort(s.f));
    s.f->op[first].in[0] = s.x;
    assert_string_equal(print(s.m), before);
    ctx_destroy(s.m->ctx);
}

static void a_clone_lives_on_its_own(void **state)
{
    (void)state;
    Small s = small();
    const char *before = print(s.m);
    Module *c = ir_clone(s.m);
    assert_string_equal(print(c), before);
    assert_true(ir_verify(c, "clone"));
    Func *f = c->funcs.data[0];
    ir_replace_uses(f, s.y, s.g);
    ir_kill(f, f->value[s.y].def);
    make(f, OP_SILU, "more", s.x, 0);
    ir_value(f, VALUE_WEIGHT, name(c, "more_weights"), matrix(c, DT_F32, 1, 1), (Span){0});
    assert_true(ir_verify(c, "clone"));
    assert_string_equal(print(s.m), before);
    assert_string_not_equal(print(c), before);
    Func *g = ir_clone_func(s.m, s.f);
    assert_int_equal(s.m->funcs.n, 2);
    g->name = name(s.m, "other");
    assert_true(ir_verify(s.m, "clone"));
    ctx_destroy(s.m->ctx);
}

/* ---- text ------------------------------------------------------------------------------------ */

static void assert_fixpoint(Ctx *ctx, const Module *m)
{
    const char *first = print(m);
    const Module *again = ir_parse(ctx, "printed", first, strlen(first));
    if (again == NULL) {
        fail_msg("printed text does not parse:\n%s\n%s", first, diag_text(ctx->diag));
    } else {
        assert_string_equal(print(again), first);
    }
}

static void what_is_built_prints_and_parses(void **state)
{
    (void)state;
    Small s = small();
    Op op = {.kind = OP_RMSNORM, .in = {s.y}, .a = {.eps = 1e-5, .group = 4}};
    ir_op1(s.f, &op, name(s.m, "norm"));
    double factors[] = {1, 1.5, 1e-17, 1.0 / 3};
    op = (Op){
        .kind = OP_ROPE_FREQS,
        .a = {.dims = 8, .theta = 500000, .factors = {4, factors}, .kind = name(s.m, "longrope")}};
    ir_op1(s.f, &op, name(s.m, "freqs"));
    assert_true(ir_verify(s.m, NULL));
    assert_fixpoint(s.m->ctx, s.m);
    ctx_destroy(s.m->ctx);
}

/* Lists of any length are broken into lines that parse back. */
static void long_signatures_are_broken_into_lines(void **state)
{
    (void)state;
    Small s = small();
    for (int i = 0; i < 30; i++) {
        ir_value(s.f, VALUE_WEIGHT, name(s.m, "weight"), matrix(s.m, DT_F32, i + 1, 7), (Span){0});
    }
    const char *text = print(s.m);
    for (const char *line = text; *line != '\0';) {
        size_t n = strcspn(line, "\n");
        assert_true(n <= 100);
        line += n + (line[n] == '\n');
    }
    assert_fixpoint(s.m->ctx, s.m);
    ctx_destroy(s.m->ctx);
}

static Module *parse_text(Ctx *ctx, const char *text)
{
    return ir_parse(ctx, "test.ir", text, strlen(text));
}

static void spaces_comments_and_line_ends_do_not_count(void **state)
{
    (void)state;
    Ctx *ctx = ctx_create();
    const char *text = "# first\r\n\nmodule @a.b-3 # {\r\n"
                       "func @f(  # here\n%x:\tf32[1,2],\n  # there\n %y: f32[1 , 2])\n\n"
                       "->(\n%z: f32[1, 2])\n{\n\n%z=add %x,\n%y # sum\n\nreturn %z\n}";
    Module *m = parse_text(ctx, text);
    if (m == NULL) {
        fail_msg("%s", diag_text(ctx->diag));
        return;
    }
    assert_string_equal(print(m),
                        "module @a.b-3 {phase = decode, tokens = 1, context = 1}\n\n"
                        "func @f(%x: f32[1, 2], %y: f32[1, 2])\n    -> (%z: f32[1, 2]) {\n"
                        "  %z = add %x, %y : f32[1, 2]\n  return %z\n}\n");
    ctx_destroy(ctx);
}

static void deep_nesting_is_an_error_not_a_crash(void **state)
{
    (void)state;
    for (size_t depth = 900; depth < 100000; depth *= 10) {
        Ctx *ctx = ctx_create();
        Buf b = buf_create(ctx->arena);
        buf_puts(&b, "module @m\nfunc @f(%x: f32[1, 2]) {\n  %y = map {expr = ");
        for (size_t i = 0; i < depth; i++) {
            buf_puts(&b, "silu(");
        }
        buf_puts(&b, "%x");
        for (size_t i = 0; i < depth; i++) {
            buf_putc(&b, ')');
        }
        buf_puts(&b, "}\n  return %y\n}\n");
        Module *m = ir_parse(ctx, "deep.ir", b.data, b.len);
        assert_int_equal(m != NULL, depth < 1000);
        assert_int_equal(diag_error_count(ctx->diag) == 0, depth < 1000);
        ctx_destroy(ctx);
    }
}

/* A byte is replaced, removed or doubled, or a stretch of the text is copied elsewhere. */
static void mutate(char *text, size_t *n, size_t cap, uint64_t *seed)
{
    static const char bytes[] = "%@{}[](),:;=#x10.-\n\t \xc3\xa9"
                                "aA_\"";
    size_t at = (size_t)(unit_random(seed) % *n);
    size_t len = 1 + (size_t)(unit_random(seed) % 12);
    switch (unit_random(seed) % 3) {
    case 0:
        text[at] = bytes[unit_random(seed) % (sizeof bytes - 1)];
        break;
    case 1:
        len = len < *n - at ? len : *n - at - 1;
        memmove(text + at, text + at + len, *n - at - len);
        *n -= len;
        break;
    default: {
        size_t from = (size_t)(unit_random(seed) % *n);
        if (*n + len <= cap && from + len <= *n) {
            char copy[16];
            memcpy(copy, text + from, len);
            memmove(text + at + len, text + at, *n - at);
            memcpy(text + at, copy, len);
            *n += len;
        }
    }
    }
}

/* Either a message, or a module that prints and parses back. */
static void damaged_text_never_breaks_the_parser(void **state)
{
    (void)state;
    static const char *const files[] = {"tests/ir/llama.ir", "tests/ir/quantised.ir"};
    uint64_t seed = unit_seed();
    for (int i = 0; i < 200; i++) {
        Ctx *ctx = ctx_create();
        size_t n;
        const char *whole = file_read(ctx->arena, ctx->diag, files[i % 2], &n);
        assert_non_null(whole);
        size_t cap = n + 256;
        char *text = arena_alloc(ctx->arena, cap);
        memcpy(text, whole, n);
        int times = 1 + (int)(unit_random(&seed) % 4);
        for (int k = 0; k < times; k++) {
            mutate(text, &n, cap, &seed);
        }
        Module *m = ir_parse(ctx, "damaged.ir", text, n);
        assert_int_equal(m == NULL, diag_error_count(ctx->diag) > 0);
        if (m != NULL) {
            assert_fixpoint(ctx, m);
        }
        ctx_destroy(ctx);
    }
}

/* ---- verifier -------------------------------------------------------------------------------- */

static void a_pass_that_breaks_types_is_named(void **state)
{
    (void)state;
    Small s = small();
    s.f->value[s.n].type = matrix(s.m, DT_F32, 2, 8);
    assert_false(ir_verify(s.m, "some_pass"));
    assert_said(s.m,
                "after some_pass: @layer: %n is f32[2, 8], but it follows bf16[2, 8]: %n = silu");
    ctx_destroy(s.m->ctx);
}

static void dead_operands_are_found(void **state)
{
    (void)state;
    Small s = small();
    ir_kill(s.f, s.f->value[s.n].def);
    assert_false(ir_verify(s.m, "some_pass"));
    assert_said(s.m, "%n has a dead definition: %g = matmul %n, @w");
    ctx_destroy(s.m->ctx);
}

static void a_wrong_order_is_found(void **state)
{
    (void)state;
    Small s = small();
    OpId first = s.f->order.data[0];
    s.f->order.data[0] = s.f->order.data[1];
    s.f->order.data[1] = first;
    assert_false(ir_verify(s.m, "some_pass"));
    assert_said(s.m, "%n is read before it is defined");
    ctx_destroy(s.m->ctx);
}

static void equal_names_are_found(void **state)
{
    (void)state;
    Small s = small();
    s.f->value[s.g].name = s.f->value[s.w].name;
    assert_false(ir_verify(s.m, "some_pass"));
    assert_said(s.m, "the name 'w' is given to two values");
    ctx_destroy(s.m->ctx);
}

static void wrong_marks_of_constants_are_found(void **state)
{
    (void)state;
    Small s = small();
    s.f->value[s.g].constant = true;
    assert_false(ir_verify(s.m, "some_pass"));
    assert_said(s.m, "the mark of constants is wrong");
    ctx_destroy(s.m->ctx);
}

static void lost_and_doubled_operators_are_found(void **state)
{
    (void)state;
    Small s = small();
    s.f->order.n--;
    assert_false(ir_verify(s.m, "some_pass"));
    assert_said(s.m, "3 live operators, 2 in order");
    s.f->order.n++;
    s.f->order.data[2] = s.f->order.data[1];
    assert_false(ir_verify(s.m, "some_pass"));
    assert_said(s.m, "is dead, unknown or there twice");
    ctx_destroy(s.m->ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_finds_its_entry),
        cmocka_unit_test(slots_are_cut_from_the_table),
        cmocka_unit_test(elementwise_operators_have_expressions),
        cmocka_unit_test(equal_types_are_one_pointer),
        cmocka_unit_test(bytes_count_padding_and_nibbles),
        cmocka_unit_test(nibbles_of_a_tile_are_split),
        cmocka_unit_test(every_element_has_a_place_of_its_own),
        cmocka_unit_test(impossible_types_are_told),
        cmocka_unit_test(names_are_made_unique),
        cmocka_unit_test(constants_follow_from_constants),
        cmocka_unit_test(uses_are_counted_and_replaced),
        cmocka_unit_test(a_rewritten_root_keeps_its_name),
        cmocka_unit_test(an_operator_that_does_not_fit_is_refused),
        cmocka_unit_test(a_sorted_function_stays_as_it_is),
        cmocka_unit_test(any_order_is_sorted),
        cmocka_unit_test(a_cycle_is_found),
        cmocka_unit_test(a_clone_lives_on_its_own),
        cmocka_unit_test(what_is_built_prints_and_parses),
        cmocka_unit_test(long_signatures_are_broken_into_lines),
        cmocka_unit_test(spaces_comments_and_line_ends_do_not_count),
        cmocka_unit_test(deep_nesting_is_an_error_not_a_crash),
        cmocka_unit_test(damaged_text_never_breaks_the_parser),
        cmocka_unit_test(a_pass_that_breaks_types_is_named),
        cmocka_unit_test(dead_operands_are_found),
        cmocka_unit_test(a_wrong_order_is_found),
        cmocka_unit_test(equal_names_are_found),
        cmocka_unit_test(wrong_marks_of_constants_are_found),
        cmocka_unit_test(lost_and_doubled_operators_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
