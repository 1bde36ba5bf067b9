#!/bin/sh
# A GPU program whose driver fails somewhere in the middle: any call, after any number of them. The
# program says what happened and ends with 2, never with a crash, never not at all.
set -u
. tests/lib/tap.sh

if ! [ -x "$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)" ]; then
    skip "the program" "there is no nvcc here"
    exit 0
fi
program cuda-tales model_specs/tinytales.yaml --weights examples/tinytales --target cuda --arch sm_90a \
    --batch 2 || {
    echo "not ok - the program is built"
    exit 1
}
tt=$programs/cuda-tales/tinytales
"${CC:-cc}" -shared -fPIC -o "$work/libcuda.so" tests/cuda/fake_cuda.c || exit 1
export SINTER_LIBCUDA="$work/libcuda.so"


check "twelve ids" sh -c "timeout 20 '$tt' -p Once -n 12 2>&1 | grep -q 'generated: 12 tokens'"

# in_the_middle CALL AFTER: an error of the device when it has done part of the work.
in_the_middle()
{
    refused "$1 fails after $2 calls" 2 timeout 20 env "FAKE_CUDA=$1" "FAKE_AFTER=$2" "$tt" \
        -p "Once upon a time there was" -n 12 -- "CUDA_ERROR_FAKE" "Fake GPU"
}
in_the_middle cuGraphLaunch 3
in_the_middle cuEventSynchronize 6
in_the_middle cuEventRecord 5
in_the_middle cuLaunchKernelEx 20
in_the_middle cuStreamSynchronize 9
in_the_middle cuMemcpyHtoDAsync_v2 2
in_the_middle cuStreamEndCapture 0
in_the_middle cuMemsetD8Async 4

# every_call CALL LEAST WORDS: it fails the first time, then the second, ... until it is called no more.
every_call()
{
    n=0
    while :; do
        FAKE_CUDA=$1 FAKE_AFTER=$n timeout 20 "$tt" -p Once -n 3 >"$work/out" 2>"$work/err"
        code=$?
        [ $code != 0 ] || break
        if [ $code != 2 ] || ! grep -q "$3" "$work/err"; then
            echo "call $n: exit code $code"
            cat "$work/err"
            return 1
        fi
        n=$((n + 1))
    done
    [ $n -ge "$2" ] || { echo "only $n calls failed" && return 1; }
}
check "no memory, whichever allocation it is" every_call cuMemAlloc_v2 7 "no memory for"
check "no pinned memory, whichever it is" every_call cuMemAllocHost_v2 6 CUDA_ERROR_FAKE
check "no event, whichever it is" every_call cuEventCreate 16 CUDA_ERROR_FAKE

refused "others hold the memory" 2 env FAKE_FREE=1000000 "$tt" -p Once -n 2 \
    -- "0.00 of 17.18 GB are free" "others hold the rest" "SINTER_DEVICE"
refused "the GPU is too small" 2 env FAKE_FREE=1000000 FAKE_TOTAL=1000000 "$tt" -p Once -n 2 \
    -- "0.00 of 0.00 GB are free" "--quant"
refused "profile: an event is lost" 2 env FAKE_CUDA=cuEventElapsedTime FAKE_AFTER=30 "$tt" bench -p 8 -n 4 \
    -r 1 -q --profile -- "CUDA_ERROR_FAKE"
refused "bench: reads between steps are the CPU's" 1 "$tt" bench -p 8 -n 4 -r 1 -q --probe-steps \
    -- "--probe-steps" "leave it out"
check "bench: table, profile of both tests and of the draw" sh -c \
    "$tt bench -p 8 -n 4 -r 1 -q --profile >$work/out && grep -q '^tg4' $work/out && grep -q sample_ids $work/out"
check "bench: JSON" sh -c "$tt bench -p 8 -n 4 -r 1 -q --profile --json | python3 -m json.tool >/dev/null"
check "bench: random weights, two sequences" sh -c "$tt bench --random 1 -p 0 -n 4 -r 1 -q -b 2 | grep -q '^tg4x2'"
