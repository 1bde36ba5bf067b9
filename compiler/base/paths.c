/* paths.c - finds the compiler's data by environment variable, then by prefix. */
#include "compiler/base/paths.h"

#include <stdlib.h>
#include <unistd.h>

#include "compiler/base/file.h"

const char *paths_exe_dir(Arena *a)
{
    char exe[4096];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe);
    if (n <= 0 || (size_t)n == sizeof exe) {
        return NULL;
    }
    return path_dir(a, arena_strndup(a, exe, (size_t)n));
}

const char *paths_data_dir(Arena *a)
{
    const char *named = getenv("SINTER_DATA");
    if (named != NULL && named[0] != '\0') {
        return file_is_dir(named) ? arena_strdup(a, named) : NULL;
    }
    const char *exe_dir = paths_exe_dir(a);
    if (exe_dir == NULL) {
        return NULL;
    }
    const char *dir = path_join(a, path_dir(a, exe_dir), "share/sinter");
    return file_is_dir(dir) ? dir : NULL;
}

const char *paths_cache_dir(Arena *a)
{
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (xdg != NULL && *xdg != '\0') {
        return path_join(a, xdg, "sinter");
    }
    return home != NULL && *home != '\0' ? path_join(a, home, ".cache/sinter")
                                         : "/tmp/sinter-cache";
}
