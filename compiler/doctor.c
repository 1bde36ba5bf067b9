/* doctor.c - looks for compilers, tools and CPU features and says what each enables. */
#include "compiler/doctor.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "codegen/target.h"
#include "compiler/base/paths.h"
#include "compiler/toolchain.h"

typedef struct Tool {
    const char *program, *enables, *package;
} Tool;

static const Tool tools[] = {
    {"gcc", "compile for this machine", "gcc"},
    {"clang", "compile for this machine (CC=clang)", "clang"},
    {"aarch64-linux-gnu-gcc", "--cpu neon from an x86-64 machine", "gcc-aarch64-linux-gnu"},
    {"qemu-aarch64", "run --cpu neon binaries here", "qemu-user"},
    {"dot", "inspect --format svg and pictures in html", "graphviz"},
};

/* The first line of `program --version`. */
static const char *version_of(Ctx *ctx, const char *path, const char *program)
{
    TextList argv = {0};
    const char *text = NULL;
    vec_push(ctx->arena, &argv, path);
    vec_push(ctx->arena, &argv, strcmp(program, "dot") == 0 ? "-V" : "--version");
    if (!toolchain_run(ctx, &argv, false, &text)) {
        return "does not start";
    }
    return arena_strndup(ctx->arena, text, strcspn(text, "\n"));
}

static void report_tool(Ctx *ctx, const Tool *t)
{
    const char *path = toolchain_find(ctx->arena, t->program);
    if (path) {
        printf("  %-22s %s\n", t->program, version_of(ctx, path, t->program));
    } else {
        printf("  %-22s not here: install %s to %s\n", t->program, t->package, t->enables);
    }
}

bool doctor_run(Ctx *ctx)
{
    const Isa *isa = isa_native();
    const char *data = paths_data_dir(ctx->arena);
    printf("sinter %s\n  %-22s %s\n", SINTER_VERSION, "templates and rules",
           data ? data : "not found: install sinter again, or set SINTER_DATA");
    printf("CPU\n  %-22s %s (%s), %d floats a vector\n", "--cpu native is", isa->name, isa->words,
           isa->lanes);
    printf("  %-22s %ld\n", "cores", sysconf(_SC_NPROCESSORS_ONLN));
    printf("  %-22s %s\n", "can compile for", isa_names(ctx->arena));
    printf("tools\n");
    for (size_t i = 0; i < sizeof tools / sizeof *tools; i++) {
        report_tool(ctx, &tools[i]);
    }
    doctor_gpu(ctx);
    return true;
}
