/* emit_parts.h - what the files of the emitter share; not for other layers.
 *
 *   emit.c          the order of the file, kernels shared by phases, prelude
 *   emit_func.c     layer functions and steps
 *   emit_kernel.c   one kernel: its template, expanded; emit_params.c: parameters; emit_setup.c,
 *                   emit_setup_attention.c: variables of templates
 *   emit_text.c     types, identifiers, lists as C text; emit_fold.c: long lines broken
 *   emit_host.c     functions that templates call: row, scalar, vec loads, store ... (emit_call.h)
 *   emit_dot.c      register blocks of matmuls and their calls; emit_dot_block.c: functions that a
 *                   block's template calls; emit_dot_pack.c: rows of x packed for it (emit_dot.h)
 *   emit_expr.c     expression trees as C over vectors
 *   emit_tables.c   SinterModel and its tables
 *   emit_cuda.c     the two files of a GPU target, launches
 *   emit_wgmma.c    matmuls of many tokens made for sm_90a
 *   emit_step.c     the decode step as one kernel */
#ifndef SINTER_CODEGEN_EMIT_PARTS_H
#define SINTER_CODEGEN_EMIT_PARTS_H

#include "codegen/emit.h"
#include "codegen/tmpl.h"

enum { EMIT_COLUMNS = 100 }; /* of a line of emitted code */

/* A parameter of a generated kernel. */
typedef struct KernelParam {
    Str name, type;             /* "gain", "const uint16_t *" */
    Str shape;                  /* "(4096)", printed in a comment; NULL = none */
    Str arg;                    /* what the layer function passes */
    const Type *ir;             /* NULL: a scalar */
    const WeightTensor *tensor; /* NULL: no weights */
    DType stored;
    int64_t stride; /* elements from row to row */
    int64_t offset_cols;
} KernelParam;

typedef struct LoadedTemplate {
    Str name;
    Tmpl *tmpl;
} LoadedTemplate;

/* A generated kernel that later phases may share. */
typedef struct EmittedKernel {
    Str func, purpose, symbol;
    Str key; /* its text under a neutral name */
    Str comment;
    Str text;   /* NULL: only a host function */
    Str file;   /* its template, below the target's folder */
    Str launch; /* GPU targets: the host function that launches it */
    int shared; /* bytes of dynamic shared memory of a block */
    Buf users;  /* phases that call it */
} EmittedKernel;

typedef struct EmittedDot {
    Str name, text;
} EmittedDot;

typedef struct Emit {
    Ctx *ctx;
    const Plan *plan;
    const EmitOptions *options;
    const char *template_dir;
    VEC(LoadedTemplate) templates;
    VEC(EmittedKernel) kernels;
    VEC(EmittedDot) dots;
} Emit;

/* One kernel of one phase on its way to text. */
typedef struct KernelText {
    Emit *emit;
    const PlanPhase *phase;
    const PlanFunc *pf;
    const Kernel *kernel;
    const Op *op; /* NULL: a copy */
    Str symbol;
    VEC(KernelParam) params;
    const Expr *expr; /* NULL: acc itself */
    Str leaf_param[IR_MAX_IN];
    TmplEnv env;
    int lanes;
    int64_t
        columns; /* of the output that an epilogue or map stores; "ragged" when not whole vectors */
    bool ragged;
    bool uses_layer, uses_kv; /* the layer function must pass w, kv */
    Str grid_x, grid_y;       /* GPU targets: blocks, as C text over parameters */
    int block, shared;        /* threads and dynamic shared bytes of a block */
    const char *when;         /* enum SinterLaunch (runtime/model.h) */
} KernelText;

/* Vectors of a row of multiply_add (prelude.c): 4 rows of them and what they are made of fit the
 * registers. */
#define EMIT_PANEL(isa) ((isa)->registers / 8)

const Tmpl *emit_template(Emit *e, const char *name);
/* The kernel's text under k->symbol; params are filled. False after a diagnostic. */
bool emit_kernel_text(KernelText *k, Buf *out);
const KernelParam *emit_find_param(const KernelText *k, Str name);
const char *emit_ctype(DType t);
/* A C identifier that collides with no name of the kernels. */
Str emit_identifier(Ctx *ctx, const char *name);
/* The same for the variables of a layer function. */
Str emit_variable(Ctx *ctx, const char *name);
/* "(4096, 4096) tile(16, 2)"; "(rows, 4096)" for an activation. */
Str emit_shape(Ctx *ctx, const Type *t, bool activation);
/* "f(a, b)" broken behind commas so that no line passes 100 columns; lines after the first are
 * indented by `indent`. */
void emit_wrapped(Buf *b, const char *head, const Str *item, size_t n, int indent,
                  const char *tail);
/* emit_fold.c: the text, its code of more than 100 columns broken into lines. */
void emit_folded(Arena *a, Buf *to, const char *text);
/* A float literal: 1e-05f. */
Str emit_f32(Ctx *ctx, double x);
/* Text of one stored number as a float. */
const char *emit_as_float(Ctx *ctx, DType stored, const char *s);

/* emit_dot_pack.c: declarations of the packed rows of x that the kernel's register block reads. */
Str emit_packed_rows(const KernelText *k);

/* Functions of templates (FormulaEnv.call); user = KernelText. */
bool emit_host_call(void *user, Str name, const FormulaValue *arg, int n_args, Span at,
                    FormulaValue *out, bool *known);

/* The kernel's expression over acc0, acc1 and the vectors v_NAME of its leaves. */
Str emit_value(const KernelText *k);
/* Declarations of the leaves' vectors at row t, column n. */
Str emit_leaves(const KernelText *k);

/* Makes the kernel's text unless an equal one is there; k is left with parameters and symbol. */
bool emit_kernel(Emit *e, KernelText *k);
/* The functions of a phase and its step; kernels are added to e. */
bool emit_phase(Emit *e, const PlanPhase *phase, Buf *b);

/* Lines of code with a comment behind each, the comments in one column. */
typedef struct EmitLine {
    const char *code, *comment;
} EmitLine;
void emit_lines(Buf *b, const EmitLine *line, size_t n);

void emit_tables(Emit *e, Buf *b);
/* Columns of what leaves through run->logits. */
long long emit_output_width(const PlanPhase *phase);

/* Parts of a source that both kinds of target have. */
bool emit_prelude(Emit *e, const char *program, Buf *out);
void emit_header_comment(const Emit *e, Buf *b);
void emit_offsets(const Emit *e, Buf *b);
void emit_x_h(const Emit *e, Buf *b);
void emit_join_comments(Emit *e);

/* GPU targets: variables and functions of templates, the launching function of a kernel. */
void emit_cuda_variables(KernelText *k);
bool emit_cuda_call(void *user, Str name, const FormulaValue *arg, int n_args, Span at,
                    FormulaValue *out, bool *known);
/* emit_stream.c: those of matmul_stream. */
void emit_stream_variables(KernelText *k);
/* emit_attention.c: those of attention_split, of attention_flash. */
void emit_split_variables(KernelText *k);
void emit_flash_variables(KernelText *k);
Str emit_launch(const KernelText *k);
/* Adds the kernels of emit_service.c; then their part of SinterGpuProgram. */
bool emit_services(Emit *e);
void emit_service_fields(const Emit *e, Buf *b);
/* emit_wgmma.c: the kernels for sm_90a of a matmul of many tokens, and `portable` as it is to be
 * beside them; nothing when there are none. */
bool emit_wgmma(KernelText *k, EmittedKernel *portable);
/* The function that multiplies by a warpgroup; a (64 rows) as codes: in registers. */
const char *emit_warpgroup_multiply(Arena *a, const char *type, bool codes, int tokens);
/* emit_step_ends.c: parameters and variables of embedding, angles and draw inside the step. */
struct StepPlan;
void emit_step_ends(KernelText *k, const struct StepPlan *s);
/* emit_step_mlp.c: parameters and variables of templates/cuda/step_mlp.cu. */
void emit_step_mlp_params(KernelText *k, const struct StepPlan *s);
void emit_step_mlp_variables(KernelText *k, const struct StepPlan *s);
/* emit_step.c: adds the kernels of plan->step and plan->batch, where there are such; the name of
 * one's launching function. */
bool emit_step(Emit *e);
Str emit_step_symbol(const Emit *e, const struct StepPlan *s);
/* "K_LAYER_FFN_UP" */
Str emit_kernel_id(const Emit *e, Str symbol);

#endif
