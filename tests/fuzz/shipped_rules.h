/* shipped_rules.h - the rules of ir/rules/, for the fuzz targets that run passes. They are read
 * from the data folder ($SINTER_DATA, else ../share/sinter of the build tree). */
#ifndef SINTER_TESTS_FUZZ_SHIPPED_RULES_H
#define SINTER_TESTS_FUZZ_SHIPPED_RULES_H

#include <stdio.h>
#include <stdlib.h>

#include "compiler/base/file.h"
#include "compiler/base/paths.h"
#include "ir/pass.h"

static const char *const shipped_rule_files[] = {"attention", "dequant", "epilogue", "glu", "norm"};

/* The files' texts are read once; parsing them belongs to a Ctx. */
static RuleSet *shipped_rules(Ctx *ctx)
{
    enum { FILES = sizeof shipped_rule_files / sizeof shipped_rule_files[0] };
    static char *text[FILES];
    static size_t size[FILES];
    static Ctx *keeper;
    if (keeper == NULL) {
        keeper = ctx_create();
        const char *data = paths_data_dir(keeper->arena);
        for (int i = 0; i < FILES; i++) {
            const char *path = arena_printf(keeper->arena, "%s/ir/rules/%s.rules",
                                            data ? data : ".", shipped_rule_files[i]);
            text[i] = file_read(keeper->arena, keeper->diag, path, &size[i]);
        }
        diag_flush(keeper->diag, stderr);
    }
    RuleSet *set = ruleset_create(ctx);
    for (int i = 0; i < FILES; i++) {
        if (text[i] == NULL || !ruleset_add(set, shipped_rule_files[i], text[i], size[i])) {
            abort();
        }
    }
    return set;
}

#endif
