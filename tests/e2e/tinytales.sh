#!/bin/sh
# The shipped model from spec to stories: what its program says is what Hugging Face says
# (examples/tinytales/expected.json), in every way in which it can be asked.
set -u
. tests/lib/tap.sh

greedy() { python3 tests/e2e/greedy.py "$@"; }

# bits_are PROGRAM WANT TOLERANCE TEXT
bits_are()
{
    "$1" eval "$4" --json -q >"$work/bits" || return 1
    cat "$work/bits"
    awk -v want="$2" -v near="$3" '{ sub(/.*"bits_per_byte": /, ""); d = $0 - want }
        END { exit !(d < near && d > -near) }' "$work/bits"
}

program tinytales $tales || {
    echo "not ok - tinytales compiles"
    exit 1
}
tt=$programs/tinytales/tinytales

# ---- what it says

check "greedy ids after a prefill" greedy generate "$tt" --threads 2
check "greedy ids, one thread" greedy generate "$tt" --threads 1
check "greedy ids, prompt fed one by one" greedy generate "$tt" --decode
check "every logit's maximum, prefill" greedy logits "$tt"
check "every logit's maximum, decode, one thread" greedy logits "$tt" --decode --threads 1
for batch in 2 3 8; do
    check "every logit's maximum, $batch sequences" greedy logits "$tt" --batch $batch --threads 2
    check "the same, each started later than the one before" greedy logits "$tt" --batch $batch \
        --stagger 5 --threads 2
done
check "the text" greedy text "$tt"
check "ids of 90 strings" greedy tokenize "$tt"

want=$(sed -n 's/.*"bits_per_byte": \([0-9.]*\).*/\1/p' examples/tinytales/expected.json)
check "$want bits per byte of the held-out text" \
    bits_are "$tt" "$want" 0.0001 examples/tinytales/heldout.txt

same_bits_for_threads()
{
    head -c 8000 examples/tinytales/heldout.txt >"$work/start.txt"
    for threads in 1 2 5; do
        "$tt" eval "$work/start.txt" --json -q -t $threads | sed 's/"seconds.*//' >"$work/bits.$threads"
    done
    [ -s "$work/bits.1" ] && cmp "$work/bits.1" "$work/bits.2" && cmp "$work/bits.1" "$work/bits.5"
}
check "the same figure from 1, 2 and 5 threads" same_bits_for_threads

# ---- the same spec, the same bytes

same_twice()
{
    for i in 1 2; do
        "$SINTER" compile $tales --emit src -o "$work/twice$i" || return 1
    done
    diff -r "$work/twice1" "$work/twice2" &&
        cmp "$work/twice1/tinytales.weights" "$programs/tinytales/tinytales.weights" &&
        cmp "$work/twice1/tinytales.c" "$programs/tinytales/tinytales.c"
}
check "two compilations: equal bytes" same_twice

# ---- the other ways to it

runs_from()
{
    XDG_CACHE_HOME=$work/cache "$SINTER" run "$@" -p "Once upon a time" -n 2 -- -q >"$work/run" &&
        grep -qx "Once upon a time, there" "$work/run"
}
check "sinter run, spec and weights" runs_from $tales
check "sinter run again, from the cache" runs_from $tales
check "sinter run, a Hugging Face folder" runs_from examples/tinytales

imports_the_same()
{
    "$SINTER" import examples/tinytales -o "$work/imported.yaml" &&
        "$SINTER" pack "$work/imported.yaml" --weights examples/tinytales -o "$work/imported.weights" &&
        cmp "$work/imported.weights" "$programs/tinytales/tinytales.weights"
}
check "the imported spec packs the same bytes" imports_the_same

benches()
{
    XDG_CACHE_HOME=$work/cache "$SINTER" bench model_specs/tinytales.yaml -- -p 16 -n 4 -r 1 >"$work/bench" &&
        grep -q '^pp16 ' "$work/bench" && grep -q '^tg4 .* %$' "$work/bench"
}
check "sinter bench" benches

benches_beside_reads()
{
    "$tt" bench -p 0 -n 5 -r 2 --probe-steps --json -q | python3 -c 'import json, sys
low, middle, high = json.load(sys.stdin)["results"][0]["of_reads_beside"]
sys.exit(not 0 < low <= middle <= high)' &&
        "$tt" bench -p 16 -n 5 -r 1 --probe-steps -q | grep "share of the reads beside it"
}
check "bench reads memory between its steps" benches_beside_reads

smaller_than_a_megabyte()
{
    ls -l "$tt"
    [ "$(wc -c <"$tt")" -le 1048576 ]
}
check "the program without weights has 1 MB at most" smaller_than_a_megabyte

# ---- the library

declared_only()
{
    nm -D --defined-only "$programs/tinytales/libtinytales.so" | awk '{ print $3 }' | sort >"$work/exported"
    sed '/^ *\*/d; /^\/\*/d' runtime/sinter.h | grep -o '\<sinter_[a-z_]*(' | tr -d '(' | sort -u >"$work/declared"
    diff "$work/declared" "$work/exported" && [ -s "$work/declared" ]
}
check "the library exports the functions of sinter.h and nothing else" declared_only

embedded_says_the_same()
{
    cc -std=c99 -Wall -Wextra -pedantic -Werror -I"$programs/tinytales" tests/e2e/embed.c \
        -o "$work/embed" -L"$programs/tinytales" -ltinytales &&
        LD_LIBRARY_PATH=$programs/tinytales "$work/embed" "$programs/tinytales/tinytales.weights" 24 \
            0 538 539 260 412 >"$work/embedded" || return 1
    python3 -c 'import array, sys
array.array("i", [0, 538, 539, 260, 412]).tofile(open(sys.argv[1], "wb"))' "$work/ids" &&
        "$tt" --tokens "$work/ids" --generate 24 | diff - "$work/embedded"
}
check "a C99 program linked with the library generates the same ids" embedded_says_the_same

header_compiles()
{
    echo '#include "tinytales.h"' >"$work/header.c"
    "$@" -Wall -Wextra -pedantic -Werror -I"$programs/tinytales" -fsyntax-only "$work/header.c"
}
check "its header in C99" header_compiles cc -std=c99
check "its header in C11" header_compiles cc -std=c11
if command -v g++ >/dev/null; then
    check "its header in C++" header_compiles g++ -x c++ -std=c++11
else
    skip "its header in C++" "g++ is not installed"
fi
