#!/bin/sh
# One golden model (see run.sh): family.sh FAMILY, with SINTER, CC and a folder tmp in the
# environment. Prints TAP lines. Settings that give the very same source are run once.
set -u

family=$1
golden=tests/golden/$family
dir=$tmp/$family
mkdir -p "$dir"

not_ok()
{
    echo "not ok - $1"
    sed 's/^/# /' "$2"
}

# The runtime is the same for all programs: compiled once. $1: a folder that compile has written.
build_runtime()
{
    mkdir -p "$dir/runtime"
    cflags=$(sed -n 's/^CFLAGS = //p' "$1/Makefile")
    libs=$(sed -n 's/^LDLIBS = //p' "$1/Makefile")
    for source in "$1"/runtime/*.c; do
        # shellcheck disable=SC2086  # lists of words
        $CC $cflags -c "$source" -o "$dir/runtime/$(basename "$source" .c).o" || return 1
    done
}

# Only the default setting is worth the optimiser's time.
build_program()
{
    quick=
    [ "$setting" = default ] || quick=-O1
    model_cflags=$(sed -n 's/^MODEL_CFLAGS = //p' "$1/Makefile")
    # shellcheck disable=SC2086
    $CC $cflags $model_cflags $quick -I"$1/runtime" -c "$1/$family.c" -o "$1/$family.o" &&
        $CC -o "$1/$family" "$1/$family.o" "$dir"/runtime/*.o $libs
}

# The same source again in this family and dtype?
seen_before()
{
    sum=$(cksum <"$1/$family.c")
    grep -qx "$sum" "$dir/sources" 2>/dev/null && return 0
    echo "$sum" >>"$dir/sources"
    return 1
}

run_program()
{
    x=$1/$family
    head -c "$(python3 tests/golden/tools/compare.py prompt "$golden")" "$golden/tokens.i32" \
        >"$dir/prompt.i32"
    "$x" -q --tokens "$golden/tokens.i32" --logits "$1/prefill.f32" &&
        "$x" -q --tokens "$golden/tokens.i32" --logits "$1/decode.f32" --decode &&
        "$x" -q --tokens "$golden/tokens.i32" --logits "$1/batch.f32" --decode --batch 2 &&
        "$x" -q --tokens "$dir/prompt.i32" --generate 16 >"$1/ids"
}

# check DTYPE SETTING
check()
{
    name="$family $1 $2"
    out=$dir/$1-$2
    set -- "$1" "$2" "$dir/$family.yaml" --weights "$golden" --dtype "$1" --emit src -o "$out" \
        --batch 2 --chunk 16
    dtype=$1 setting=$2
    shift 2
    [ "$setting" = default ] || set -- "$@" --fusion "$setting"
    if ! "$SINTER" compile "$@" >"$dir/log" 2>&1; then
        not_ok "$name: compile" "$dir/log"
        return
    fi
    ! seen_before "$out" || return
    [ -d "$dir/runtime" ] || build_runtime "$out" >"$dir/log" 2>&1 || not_ok "runtime" "$dir/log"
    if ! build_program "$out" >"$dir/log" 2>&1; then
        not_ok "$name: build" "$dir/log"
    elif [ -s "$dir/log" ]; then
        not_ok "$name: builds without warnings" "$dir/log"
    elif ! run_program "$out" >"$dir/log" 2>&1; then
        not_ok "$name: run" "$dir/log"
    else
        python3 tests/golden/tools/compare.py check "$golden" "$out" "$dtype" "$name"
    fi
    rm -rf "$out"
}

if ! "$SINTER" import "$golden" -o "$dir/$family.yaml" >"$dir/log" 2>&1; then
    not_ok "$family: import" "$dir/log"
    exit 0
fi
for dtype in f32 bf16; do
    rm -f "$dir/sources"
    for setting in default all=none mlp=none mlp=elementwise mlp=epilogue norm=none norm=fold; do
        check "$dtype" "$setting"
    done
done
