/* place.h - a test's own empty folder and context: setup and teardown for cmocka. */
#ifndef SINTER_TESTS_PLACE_H
#define SINTER_TESTS_PLACE_H

#include <dirent.h>
#include <string.h>

#include "compiler/base/ctx.h"
#include "compiler/base/file.h"
#include "unit.h"

typedef struct Place {
    Ctx *ctx;
    char dir[64]; /* an empty folder */
} Place;

static inline int place_enter(void **state)
{
    Place *p = calloc(1, sizeof *p);
    assert_non_null(p);
    strcpy(p->dir, "/tmp/sinter_unit_XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    p->ctx = ctx_create();
    *state = p;
    return 0;
}

static inline int place_leave(void **state)
{
    Place *p = *state;
    char command[100];
    snprintf(command, sizeof command, "rm -rf '%s'", p->dir);
    int rc = system(command);
    ctx_destroy(p->ctx);
    free(p);
    return rc;
}

/* The path of `name` in the folder. */
static inline const char *place_path(const Place *p, const char *name)
{
    return path_join(p->ctx->arena, p->dir, name);
}

/* How many files and folders a folder has. */
static inline int place_entries(const char *path)
{
    DIR *dir = opendir(path);
    assert_non_null(dir);
    int n = 0;
    while (readdir(dir) != NULL) {
        n++;
    }
    closedir(dir);
    return n - 2; /* . and .. */
}

#endif
