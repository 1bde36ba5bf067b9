/* inspect.h - the views of `sinter inspect`: text, dot, svg, html and json over one recorded run of
 * the passes. */
#ifndef SINTER_COMPILER_INSPECT_H
#define SINTER_COMPILER_INSPECT_H

#include "codegen/step_cost.h"
#include "compiler/options.h"
#include "ir/pass.h"

/* The graph as text after one pass; step 0 is the graph that the builder made. */
typedef struct InspectStep {
    const char *pass; /* "build" for step 0 */
    Phase phase;
    int tokens;
    int changes;
    double seconds;
    const char *text;
    Cost cost;       /* of the whole schedule, per step */
    double roofline; /* seconds on the device; 0 without one */
} InspectStep;

typedef struct Inspection {
    Ctx *ctx;
    const char *spec_path;
    const Module *module; /* after all passes */
    VEC(InspectStep) steps;
    const Ledger *ledger;
    const Device *device;
    int64_t kv_len;
    const char *mlp_table; /* traffic of the MLP strategies, made by mlp_traffic_print */
    const char *decode;    /* how a GPU's step of one token is launched; NULL: no such step */
    const StepPlan *step;  /* the step as one kernel; NULL: it is none */
} Inspection;

/* PassEnv.after callback: records a step (user = Inspection). */
void inspect_record(void *user, const Module *m, const char *pass, int changes, double seconds);

/* Name, changes and time of every recorded pass. */
void inspect_print_times(const Inspection *in, Buf *b);
/* --dump-after: DIR/passes/decode-1/09-glu.ir of every recorded step that it names, one folder for
 * each module; nothing without the option. */
bool inspect_dump(const Inspection *in, const Options *o, const char *dir);

/* One line per line of `after`: ' ' kept, '-' removed, '+' added (longest common subsequence). */
typedef struct DiffLine {
    char mark;
    const char *text;
} DiffLine;
typedef struct Diff {
    size_t n, cap;
    DiffLine *data;
} Diff;
Diff text_diff(Arena *a, const char *before, const char *after);

/* Which views `o` asks for, in the format it asks for; false after a diagnostic. */
bool inspect_view(const Inspection *in, const Options *o, Buf *out);
void inspect_html(const Inspection *in, Buf *out);
bool inspect_json(const Inspection *in, Buf *out);

/* "84 -> 72 kernels, activations 308.4 -> 280.1 kB": what step i > 0 did to the whole schedule. */
void inspect_put_effect(const Inspection *in, size_t i, Buf *b);
/* Did step i leave the graph as it was? */
bool inspect_step_same(const Inspection *in, size_t i);

/* "4758.455 MB", "14.3 kB", "512 B". */
const char *cost_bytes_text(Arena *a, double bytes);
/* The cost table: one row per kernel of every function, and the model's sums. */
void cost_table_print(Buf *b, const Module *m, const Device *d, int64_t kv_len);
/* step_table.c: the stream of a step that is one kernel. profile: a file with what was measured, or
 * NULL. False after a diagnostic: no such file, no profile, another model's. */
bool step_table_print(Buf *b, const StepPlan *s, const Device *d, int64_t kv_len,
                      const char *profile);
/* Bytes per buffer between the gate/up matmuls and `down`, for one function after its passes. */
typedef struct BufferTraffic {
    Str name;
    double written, read;
} BufferTraffic;
typedef struct MlpTraffic {
    size_t n, cap;
    BufferTraffic *data;
    int kernels;
    double sum;
} MlpTraffic;
MlpTraffic mlp_traffic(const Func *f);
void mlp_traffic_print(Buf *b, const char *strategy, const MlpTraffic *t);

#endif
