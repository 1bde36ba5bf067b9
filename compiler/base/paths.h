/* paths.h - where the compiler's own data is: templates/, runtime/, ir/rules/, model_specs/. */
#ifndef SINTER_BASE_PATHS_H
#define SINTER_BASE_PATHS_H

#include "compiler/base/arena.h"

/* The folder that holds them: $SINTER_DATA, else ../share/sinter seen from the folder of the
 * executable; NULL when neither is there. In a build tree share/sinter is a link to the sources, so
 * no path of the building machine is compiled in. */
const char *paths_data_dir(Arena *a);

/* The folder of the running executable, or NULL when the system does not say. */
const char *paths_exe_dir(Arena *a);

/* $XDG_CACHE_HOME/sinter, else ~/.cache/sinter: things that can be made again. */
const char *paths_cache_dir(Arena *a);

#endif
