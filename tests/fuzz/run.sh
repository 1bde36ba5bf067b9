#!/bin/sh
# Every fuzz target over its corpus (tests/fuzz/corpus/NAME), then for some seconds over random
# inputs: with libFuzzer when clang has it, else the sanitizer build's own replay of the corpus.
#
#   SINTER_FUZZ_SECONDS   seconds of random inputs for each target, default 5
#   SINTER_FUZZ_SEED      default: the clock; printed with every result
#   SINTER_FUZZ_KEEP      a folder for inputs that fail, default $SINTER_BUILD/../fuzz-failures
#   SINTER_FUZZ_BIN       a folder of libFuzzer targets that are built already
set -u

cd "$(dirname "$0")/../.." || exit 2
seconds=${SINTER_FUZZ_SECONDS:-5}
seed=${SINTER_FUZZ_SEED:-$(date +%s)}
build=${SINTER_BUILD:-$(pwd)/build/ci}
keep=${SINTER_FUZZ_KEEP:-$(dirname "$build")/fuzz-failures}
log=$(mktemp)
work=$(mktemp -d)
trap 'rm -rf "$log" "$work"' EXIT

has_libfuzzer()
{
    echo '#include <stddef.h>
int LLVMFuzzerTestOneInput(const unsigned char *d, size_t n);
int LLVMFuzzerTestOneInput(const unsigned char *d, size_t n) { return d && n ? 0 : 0; }' |
        clang -xc -fsanitize=fuzzer,address -o "$work/probe" - >"$log" 2>&1
}

# What libFuzzer finds goes into the first folder; the corpus in the tree stays as it is.
run_libfuzzer()
{
    dict=
    [ ! -f "tests/fuzz/$1.dict" ] || dict=-dict=tests/fuzz/$1.dict
    mkdir -p "$work/$1"
    # shellcheck disable=SC2086  # no dictionary is no argument
    "$bin/fuzz_$1" $dict -seed="$seed" -max_total_time="$seconds" -timeout=10 \
        -rss_limit_mb=2048 -max_len=8192 -print_final_stats=0 -artifact_prefix="$keep/$1-" \
        "$work/$1" "tests/fuzz/corpus/$1"
}

run_replay()
{
    "$bin/fuzz_$1" "tests/fuzz/corpus/$1" "$seconds" "$seed" "$keep/$1-input"
}

if [ -n "${SINTER_FUZZ_BIN:-}" ]; then
    how=run_libfuzzer bin=$SINTER_FUZZ_BIN
elif has_libfuzzer; then
    how=run_libfuzzer bin=$(pwd)/build/fuzz/bin
    if ! { cmake --preset fuzz && cmake --build --preset fuzz; } >"$log" 2>&1; then
        echo "not ok - the fuzz targets build"
        grep -E 'error|FAILED' "$log" | head -20 | sed 's/^/# /'
        exit 1
    fi
else
    how=run_replay bin=${SINTER_ASAN_BUILD:-$(pwd)/build/asan}/bin
fi

mkdir -p "$keep"
for source in tests/fuzz/*.c; do
    name=$(basename "$source" .c)
    if [ ! -d "tests/fuzz/corpus/$name" ]; then
        echo "not ok - $name has no corpus"
    elif $how "$name" >"$log" 2>&1; then
        echo "ok - $name, seed $seed, $(tail -n 1 "$log")"
    else
        echo "not ok - $name, seed $seed: the input is in $keep"
        tail -n 60 "$log" | sed 's/^/# /'
    fi
done
rmdir "$keep" 2>/dev/null
exit 0
