#!/bin/sh
# The decode step as one kernel, by a driver without a GPU: when it is launched, and that a profile
# shows it where the program has the kernel that tells.
set -u
. tests/lib/tap.sh

if ! [ -x "$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)" ]; then
    skip "the program" "there is no nvcc here"
    exit 0
fi
for stamps in '' --stamps; do
    # shellcheck disable=SC2086
    program stream$stamps tests/gpu/small.yaml --random 3 --target cuda --arch sm_90a --batch 1 \
        --set vocab=128 --set d_model=512 --set d_ff=512 --set heads=8 --decode stream $stamps || {
        echo "not ok - the program is built"
        exit 1
    }
done
"${CC:-cc}" -shared -fPIC -o "$work/libcuda.so" tests/cuda/fake_cuda.c || exit 1
export SINTER_LIBCUDA="$work/libcuda.so"
off=$programs/stream/small on=$programs/stream--stamps/small

# bench PROGRAM WANTED: a profile has the line WANTED.
bench()
{
    "$1" bench -p 0 -n 4 -r 1 -q --profile >"$work/out" && grep -q "$2" "$work/out" || {
        cat "$work/out"
        return 1
    }
}
inside_is_not_told() { bench "$off" '^decode1_layer_o ' && ! grep -q 'inside the step' "$work/out"; }

check "ids come" sh -c "printf '\\001\\000\\000\\000' >$work/ids; '$off' --tokens $work/ids --generate 3 -q"
check "a profile without clocks is the chain's" inside_is_not_told
check "with them it says what each phase waits for" bench "$on" "^gate_up .* | "
check "it is JSON too" sh -c \
    "'$on' bench -p 0 -n 4 -r 1 -q --profile --json | python3 -c 'import json, sys
r = json.load(sys.stdin)[\"results\"][0][\"phases\"]
assert [p[\"phase\"] for p in r] == \"qkv attention o gate_up down head\".split(), r'"
refused "no memory for the clocks" 2 env FAKE_CUDA=cuMemAlloc_v2 FAKE_AFTER=8 "$on" \
    bench -p 0 -n 4 -r 1 -q --profile -- "clocks"
