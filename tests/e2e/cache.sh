#!/bin/sh
# The cache of `sinter run` and `bench`: an entry is used again as long as nothing that it was made
# from has changed, and made anew when something has.
set -u
. tests/lib/tap.sh

XDG_CACHE_HOME=$work/cache
export XDG_CACHE_HOME

# The compiler's data with a runtime of our own.
mkdir "$work/data"
for part in templates ir model_specs; do
    ln -s "$PWD/$part" "$work/data/$part"
done
cp -r runtime "$work/data/runtime"

tale()
{
    SINTER_DATA=$work/data "$SINTER" run $tales --batch 1 "$@" -p "Once upon a time" -n 2 -- -q
}

programs_there()
{
    ls -d "$work"/cache/sinter/tinytales-* | wc -l
}

# made N COMMAND...: the command succeeds and leaves N programs in the cache.
made()
{
    tap_n=$1
    shift
    "$@" || return 1
    [ "$(programs_there)" = "$tap_n" ] || {
        echo "$(programs_there) programs, expected $tap_n"
        return 1
    }
}

check "a first run compiles" made 1 tale
check "a second one does not" made 1 tale
echo '/* another runtime */' >>"$work/data/runtime/progress.c"
check "another runtime: compiled anew" made 2 tale
echo '/* another header */' >>"$work/data/runtime/model.h"
check "another header of the runtime: compiled anew" made 3 tale
check "another compiler: compiled anew" made 4 env CC=clang SINTER_DATA="$work/data" "$SINTER" run \
    $tales --batch 1 -p "Once upon a time" -n 2 -- -q
check "other options: compiled anew" made 5 tale --batch 2
check "the first ones are still there" made 5 tale

# ---- sinter cache

says() # WORDS... -- ARGS...
{
    tap_words=
    while [ "$1" != -- ]; do
        tap_words="$tap_words$1
"
        shift
    done
    shift
    "$SINTER" cache "$@" >"$work/says" || return 1
    cat "$work/says"
    printf %s "$tap_words" | while read -r tap_word; do
        grep -qF "$tap_word" "$work/says" || exit 1
    done
}
check "ls: programs, and the runtime's objects" says "program " "tinytales-" "runtime-" " MB in $work" \
    -- ls
check "why: the runtime or compiler" says "runtime  runtime's sources, C compiler or its flags" \
    "source   generated source" -- why tinytales
check "why: only the last one" sh -c "[ \"\$('$SINTER' cache why | grep -c differs)\" = 1 ]"
refused "why: of a model that is not there" 1 "$SINTER" cache why nemo -- "no kernels of nemo" "cache ls"
refused "no such action" 1 "$SINTER" cache lst -- "takes ls, why or gc, not 'lst'; did you mean 'ls'?"
check "gc: nothing is old" says "removed 0 entries" -- gc
check "gc --max-mb: the least recently used go" says "removed " -- gc --max-mb 17
check "and two programs are left" made 2 tale --batch 2
find "$work/cache/sinter" -exec touch -d '8 days ago' {} +
check "gc --days: all go" says "kept 0" -- gc --days 7
check "an empty cache" says "0 entries" -- ls
