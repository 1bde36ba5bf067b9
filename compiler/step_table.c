/* step_table.c - a decode step that is one kernel as a table: bytes of its phases, the time that
 * they should take and, from a file that `x bench --profile --json` wrote, the time that they took.
 */
#include <jansson.h>
#include <string.h>

#include "compiler/base/file.h"
#include "compiler/inspect.h"

static const Span nowhere = {0, 0};

/* ---- the profile ----------------------------------------------------------------------------- */

/* Seconds of a step. */
typedef struct Measured {
    double all, for_x, for_weights, for_sums, computing;
} Measured;

typedef struct Profile {
    const char *test; /* "tg128@3968" */
    Measured phase[STEP_COST_PHASES];
} Profile;

static double number(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

/* The first test with phases; NULL: there is none. */
static const json_t *find_test(const json_t *root)
{
    const json_t *results = json_object_get(root, "results");
    for (size_t i = 0; i < json_array_size(results); i++) {
        const json_t *test = json_array_get(results, i);
        if (json_array_size(json_object_get(test, "phases")) == STEP_COST_PHASES) {
            return test;
        }
    }
    return NULL;
}

static void take_phases(Arena *a, const json_t *test, Profile *p)
{
    const char *name = json_string_value(json_object_get(test, "test"));
    p->test = arena_strdup(a, name != NULL ? name : "");
    for (size_t i = 0; i < STEP_COST_PHASES; i++) {
        const json_t *x = json_array_get(json_object_get(test, "phases"), i);
        p->phase[i] = (Measured){number(x, "seconds"), number(x, "for_x"), number(x, "for_weights"),
                                 number(x, "for_sums"), number(x, "computing")};
    }
}

static bool take_profile(Ctx *ctx, const char *path, const char *model, const json_t *root,
                         Profile *p)
{
    const char *of = json_string_value(json_object_get(root, "model"));
    const json_t *test = find_test(root);
    if (of == NULL || test == NULL) {
        return diag_error(ctx->diag, nowhere,
                          "%s has no phases of a step: it is to be what 'x bench --profile --json' "
                          "prints, of a program compiled with --stamps",
                          path);
    }
    if (strcmp(of, model) != 0) {
        return diag_error(ctx->diag, nowhere, "%s is a profile of '%s', not of '%s'", path, of,
                          model);
    }
    take_phases(ctx->arena, test, p);
    return true;
}

static bool read_profile(Ctx *ctx, const char *path, const char *model, Profile *p)
{
    size_t n = 0;
    const char *text = file_read(ctx->arena, ctx->diag, path, &n);
    if (text == NULL) {
        return false;
    }
    json_error_t error;
    json_t *root = json_loadb(text, n, 0, &error);
    if (root == NULL) {
        return diag_error(ctx->diag, nowhere,
                          "%s:%d: %s: it is to be what 'x bench --profile "
                          "--json' prints",
                          path, error.line, error.text);
    }
    bool ok = take_profile(ctx, path, model, root, p);
    json_decref(root);
    return ok;
}

/* ---- the table ------------------------------------------------------------------------------- */

static void put_measured(Buf *b, const Measured *m)
{
    if (m != NULL) {
        buf_printf(b, " | %9.2f %8.2f %8.2f %8.2f %9.2f", m->all * 1e6, m->for_x * 1e6,
                   m->for_weights * 1e6, m->for_sums * 1e6, m->computing * 1e6);
    }
    buf_putc(b, '\n');
}

static void put_phase(Buf *b, const StepPhaseCost *p, const Measured *m)
{
    buf_printf(b, "  %-10s %5d %11s %11s %11s %9.2f %9.2f %9.2f", p->name, p->calls,
               cost_bytes_text(b->arena, p->bytes), cost_bytes_text(b->arena, p->mean),
               cost_bytes_text(b->arena, p->most), p->stream * 1e6, p->exchange * 1e6,
               (p->stream + p->exchange) * 1e6);
    put_measured(b, m);
}

static void add_measured(Measured *sum, const Measured *m)
{
    sum->all += m->all;
    sum->for_x += m->for_x;
    sum->for_weights += m->for_weights;
    sum->for_sums += m->for_sums;
    sum->computing += m->computing;
}

static void put_table(Buf *b, const StepCost *c, const StepPlan *s, const Device *d,
                      const Profile *p)
{
    Measured sum = {0};
    buf_printf(b,
               "its stream on %s: a block on each of %d multiprocessors, a ring of %lld KiB in "
               "each; us of a step%s%s\n",
               d->name, c->blocks, (long long)s->slots * 8 * s->chunk,
               p != NULL ? ", measured in " : "", p != NULL ? p->test : "");
    buf_printf(b, "  %-10s %5s %11s %11s %11s %9s %9s %9s", "phase", "calls", "bytes",
               "mean of one", "most of one", "stream", "exchange", "predicted");
    buf_printf(b, "%s\n", p != NULL ? " |  measured    for x  weights     sums computing" : "");
    for (int i = 0; i < STEP_COST_PHASES; i++) {
        put_phase(b, &c->phase[i], p != NULL ? &p->phase[i] : NULL);
        if (p != NULL) {
            add_measured(&sum, &p->phase[i]);
        }
    }
    put_phase(b, &c->sum, p != NULL ? &sum : NULL);
}

bool step_table_print(Buf *b, const StepPlan *s, const Device *d, int64_t kv_len,
                      const char *profile)
{
    Ctx *ctx = s->phase->module->ctx;
    Profile p;
    if (profile != NULL && !read_profile(ctx, profile, s->phase->module->name, &p)) {
        return false;
    }
    StepCost c = step_cost(s, kv_len, d);
    put_table(b, &c, s, d, profile != NULL ? &p : NULL);
    return true;
}
