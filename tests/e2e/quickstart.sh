#!/bin/sh
# examples/quickstart.sh in a copy of what is tracked, as a fresh checkout has it: it builds, compiles
# the shipped model, and a story comes out. The copy stays in build/quickstart, so that the next run
# builds only what has changed.
set -u
. tests/lib/tap.sh

git rev-parse --git-dir >/dev/null 2>&1 || {
    skip "quickstart" "not a git checkout"
    exit 0
}
copy=build/quickstart

copy_tree()
{
    mkdir -p $copy && find $copy -mindepth 1 -maxdepth 1 ! -name build -exec rm -rf {} + &&
        git ls-files -z | tar --null --ignore-failed-read -c -T - 2>/dev/null | tar -x -C $copy &&
        rm -rf $copy/build/tinytales
}

tells()
{
    start=$(date +%s)
    sh $copy/examples/quickstart.sh >"$work/story" 2>"$work/figures" || {
        cat "$work/story" "$work/figures"
        return 1
    }
    echo "$(($(date +%s) - start)) seconds"
}

check "a copy of the tree" copy_tree
check "quickstart ends well" tells
check "its story has a beginning" grep -q '^Once upon a time, ' "$work/story"
check "and at least 500 characters" test "$(sed -n '/^Once upon a time, /,$p' "$work/story" | wc -c)" -ge 500
check "it says how fast it was" grep -qE 'tokens/s, .* ms/token, .* GB/s' "$work/figures"
check "program and weights are there" test -x $copy/build/tinytales/tinytales \
    -a -s $copy/build/tinytales/tinytales.weights
