#!/bin/sh
# A model without an embedding: `bench` sends its rows once and has its step repeated on the device.
set -u
. tests/lib/tap.sh

if ! [ -x "$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)" ]; then
    skip "the program" "there is no nvcc here"
    exit 0
fi
program rows model_specs/ffn-only.yaml --random 3 --target cuda --arch sm_90a --batch 2 --chunk 64 \
    --set d_model=256 --set d_ff=512 || {
    echo "not ok - the program is built"
    exit 1
}
"${CC:-cc}" -shared -fPIC -o "$work/libcuda.so" tests/cuda/fake_cuda.c || exit 1
export SINTER_LIBCUDA="$work/libcuda.so"
ffn=$programs/rows/ffn-only

# launches PATTERN COUNT OPTIONS...: bench launches (or records) kernels of that name so many times.
launches()
{
    pattern=$1 count=$2
    shift 2
    rm -f "$work/log"
    FAKE_LOG="$work/log" FAKE_SMS="${sms:-132}" "$ffn" bench -q -r 1 "$@" >"$work/out" && cat "$work/out" &&
        [ "$(grep -c "$pattern" "$work/log")" = "$count" ]
}
# launches_of_rows PATTERN COUNT OPTIONS...: the same of a run that is fed five rows.
launches_of_rows()
{
    pattern=$1 count=$2
    shift 2
    rm -f "$work/log"
    FAKE_LOG="$work/log" FAKE_SMS=132 "$ffn" --rows "$work/five" --logits "$work/out" -q "$@" &&
        [ "$(grep -c "$pattern" "$work/log")" = "$count" ] || {
        cat "$work/log"
        return 1
    }
}
# a run to warm up and one that counts, a graph of 16 steps for each
check "decode: 64 steps are four graphs of 16" launches '^decode1_step' 32 -p 0 -n 64
check "fewer steps than a graph has: one of their own" launches '^decode1_step' 10 -p 0 -n 5
check "nothing else runs then" launches '^decode1_ffn' 0 -p 0 -n 5
FAKE_TOGETHER=131 check "it needs no cooperative launch" launches '^decode1_step' 10 -p 0 -n 5
FAKE_MPS=1 check "beside other processes: a cooperative one" launches '^decode1_step' 10 -p 0 -n 5
# five more in the recording that the refusal broke
FAKE_MPS=1 FAKE_TOGETHER=131 check "where that does not fit: a chain of kernels" launches '^decode1_ffn_down' 15 \
    -p 0 -n 5
sms=63
check "too few multiprocessors: a chain of kernels" launches '^decode1_ffn_down' 32 -p 0 -n 64
sms=
check "steps of two sequences" launches '^decode2_.*down' 32 -p 0 -n 16 --batch 2
check "prefill: 16 times the rows" launches '^prefill64_.*down' 32 -p 40 -n 0
check "more rows than a chunk has come from the host" launches '^prefill64_.*down' 4 -p 100 -n 0
check "its times are positive" sh -c "'$ffn' bench -q -r 2 -p 8 -n 8 --json | python3 -c 'import json, sys
for r in json.load(sys.stdin)[\"results\"]: assert r[\"ms_per_token\"] > 0, r'"
head -c 5120 /dev/zero >"$work/five"
check "five rows in chunks" launches_of_rows '^prefill64_.*down' 1
check "five rows one by one" launches_of_rows '^decode1_step' 1 --decode
for call in cuStreamBeginCapture_v2 cuStreamEndCapture cuGraphInstantiateWithFlags cuGraphLaunch cuEventCreate \
    cuEventRecord cuEventElapsedTime; do
    refused "$call fails" 2 env FAKE_CUDA=$call "$ffn" bench -q -r 1 -p 0 -n 8 -- CUDA_ERROR_FAKE
done
