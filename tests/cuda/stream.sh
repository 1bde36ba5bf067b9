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
# launches WHAT VARIABLE=VALUE...: three ids with these, and WHAT, a pattern, is in the log of launches.
launches()
{
    what=$1
    shift
    rm -f "$work/log"
    env "$@" FAKE_LOG="$work/log" "$off" --tokens "$work/ids" --generate 3 -q >"$work/out" 2>&1 &&
        grep -q "$what" "$work/log" || {
        cat "$work/out" "$work/log"
        return 1
    }
}
alone() { launches "^decode1_step $1\$" "$2" "$3" && ! grep -q decode1_layer "$work/log"; }
chained() { launches "^decode1_layer_o " "$@" && ! grep -q decode1_step "$work/log"; }
check "one kernel, a block on each multiprocessor" alone 132 FAKE_SMS=132 FAKE_TOGETHER=132
check "no more blocks than it is planned for" alone 256 FAKE_SMS=300 FAKE_TOGETHER=300
check "a smaller part of a GPU" alone 64 FAKE_SMS=64 FAKE_TOGETHER=64
check "too small a part: the chain" chained FAKE_SMS=63
check "no room for a block: the chain" chained FAKE_SMS=132 FAKE_OCCUPANCY=0
check "blocks that would not run together: the chain" chained FAKE_SMS=132 FAKE_TOGETHER=131
refused "its occupancy is not told" 2 env FAKE_CUDA=cuOccupancyMaxActiveBlocksPerMultiprocessor "$off" \
    --tokens "$work/ids" --generate 3 -q -- "CUDA_ERROR_FAKE" "decode1_step"
refused "no memory for the clocks" 2 env FAKE_CUDA=cuMemAlloc_v2 FAKE_AFTER=8 "$on" \
    bench -p 0 -n 4 -r 1 -q --profile -- "clocks"
