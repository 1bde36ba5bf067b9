/* spec_help.c - every key of a spec explained: `sinter spec --help-keys`, and as a page
 * docs/spec.md. */
#include "compiler/spec.h"

static const char *const kind_name[] = {
    [SPEC_KIND_INT] = "integer", [SPEC_KIND_NUM] = "number", [SPEC_KIND_BOOL] = "true or false",
    [SPEC_KIND_WORD] = "word",   [SPEC_KIND_NAME] = "name",  [SPEC_KIND_NUMS] = "list of numbers",
};

static void put_range(Buf *b, const SpecKeyInfo *k)
{
    buf_put_double(b, k->lo);
    buf_puts(b, " to ");
    buf_put_double(b, k->hi);
}

/* "integer, 1 to 4096" or "rmsnorm, layernorm". */
static void put_type(Buf *b, const SpecKeyInfo *k)
{
    if (k->kind == SPEC_KIND_WORD) {
        buf_puts(b, spec_words_list(b->arena, k->words));
        return;
    }
    buf_puts(b, kind_name[k->kind]);
    if (k->kind == SPEC_KIND_INT || k->kind == SPEC_KIND_NUM || k->kind == SPEC_KIND_NUMS) {
        buf_puts(b, ", ");
        put_range(b, k);
    }
}

static const char *default_text(Arena *a, const SpecKeyInfo *k)
{
    if (k->need == SPEC_NEED_ALWAYS) {
        return "required";
    }
    if (k->need == SPEC_NEED_MODEL) {
        return "required, but for parts: ffn";
    }
    if (k->def == NULL) {
        return "none";
    }
    Buf b = buf_create(a);
    bool plain_word = k->kind == SPEC_KIND_WORD && k->def[0] == '\'';
    for (const char *c = k->def; *c != '\0'; c++) {
        if (!plain_word || *c != '\'') {
            buf_putc(&b, *c);
        }
    }
    return b.data;
}

static void put_text(Buf *b)
{
    for (int i = 0; i < KEY_COUNT; i++) {
        const SpecKeyInfo *k = &spec_keys[i];
        buf_printf(b, "%s\n    %s\n    ", k->path, k->doc);
        put_type(b, k);
        buf_printf(b, "; default: %s\n", default_text(b->arena, k));
    }
}

/* A table cell: | would end it. */
static void put_cell(Buf *b, const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        buf_puts(b, *c == '|' ? "\\|" : (char[]){*c, '\0'});
    }
}

static void put_row(Buf *b, const SpecKeyInfo *k)
{
    buf_printf(b, "| `%s` | ", k->path);
    put_type(b, k);
    bool formula = k->def != NULL && k->need != SPEC_NEED_ALWAYS && k->need != SPEC_NEED_MODEL;
    buf_puts(b, formula ? " | `" : " | ");
    put_cell(b, default_text(b->arena, k));
    buf_puts(b, formula ? "` | " : " | ");
    put_cell(b, k->doc);
    buf_puts(b, " |\n");
}

static const char intro[] =
    "# The model spec\n"
    "\n"
    "A spec is one YAML mapping. This page is made from `compiler/spec.def` by\n"
    "`sinter spec --help-keys --markdown`.\n"
    "\n"
    "- `a.b` is key `b` in the mapping `a`: `norm: {eps: 1e-6}`.\n"
    "- A number can be a formula: `d_ff: ceil_to(8 * d_model / 3, 256)`. It may name other keys\n"
    "  (`d_model`, `rope.theta`), use `+ - * / %`, comparisons, `&& || !`, `c ? x : y`, and the "
    "functions\n"
    "  `ceil floor round ceil_to floor_to min max abs sqrt log exp`. Division of integers is "
    "exact: nothing\n"
    "  is cut off before a function rounds it.\n"
    "- Defaults are formulas too, and follow the keys that they name.\n"
    "- Anchors, aliases and tags are refused; a key may stand once.\n"
    "- `--set KEY=VALUE` replaces a key on the command line.\n"
    "\n"
    "| short form | means |\n"
    "|---|---|\n";

static void put_markdown(Buf *b)
{
    buf_puts(b, intro);
    for (int g = 0; g < n_spec_groups; g++) {
        const SpecGroupInfo *group = &spec_groups[g];
        if (group->main != NULL) {
            buf_printf(b, "| `%s: x` | `%s: {%s: x}` |\n", group->path, group->path, group->main);
        }
    }
    buf_puts(b, "\n| key | value | default | meaning |\n|---|---|---|---|\n");
    for (int i = 0; i < KEY_COUNT; i++) {
        put_row(b, &spec_keys[i]);
    }
    buf_puts(
        b,
        "\n## How positions are scaled\n"
        "\n"
        "`linear`, `llama3`, `yarn` and `longrope` compute frequencies and `attention_factor` as\n"
        "Hugging Face's `modeling_rope_utils.py` does. Two things differ from a program that "
        "decides at\n"
        "run time: `longrope` takes the long factors when `context` is above `original_context` "
        "and the\n"
        "short ones otherwise, for every position; and `attention_factor` follows `factor`, so a "
        "spec for\n"
        "a shorter `context` of the same model keeps its `factor` given.\n");
}

void spec_help_print(Buf *b, bool markdown)
{
    if (markdown) {
        put_markdown(b);
    } else {
        put_text(b);
    }
}
