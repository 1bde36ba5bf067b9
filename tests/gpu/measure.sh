#!/bin/sh
# The figures of the CUDA target that docs/performance.md keeps: decode at several contexts and of 2,
# 4 and 8 sequences, as one kernel and as a chain, prefill, and the MLP alone by both strategies;
# medians with their spread, and the bandwidth that the GPU's own copies reach, probed in the same
# run.
#
#   sh tests/gpu/measure.sh prepare DIR [CASE...]
#   sh tests/gpu/measure.sh run DIR [CASE...]
#
# prepare compiles the programs into DIR (needs $SINTER or build/ci/bin/sinter and nvcc, no GPU);
# run measures them (needs python3 and the GPU, nothing of sinter). Weights are random and made in
# memory. CASE is a line below, or a part of its name; without one, all of them.
#
#   ARCH=sm_90a     which chips to compile for
#   REPEATS=5       runs behind each median
set -u
cd "$(dirname "$0")/../.." || exit 2
SINTER=${SINTER:-build/ci/bin/sinter}

# name, spec, options of compile; what is measured of each is in measure.py
cases='
1b llama-3.2-1b --context 8192
1b-chain llama-3.2-1b --context 8192 --decode chain
8b llama-3-8b --context 4352
8b-chain llama-3-8b --context 4352 --decode chain
8b-int8 llama-3-8b --context 4352 --quant int8+head
8b-int8-chain llama-3-8b --context 4352 --quant int8+head --decode chain
8b-int4 llama-3-8b --context 4352 --quant int4/128+head
8b-int4-chain llama-3-8b --context 4352 --quant int4/128+head --decode chain
ffn-epilogue ffn-only --chunk 8192 --fusion mlp=epilogue
ffn-elementwise ffn-only --chunk 8192 --fusion mlp=elementwise
'

chosen() # NAME CASE...
{
    name=$1
    shift
    [ $# -gt 0 ] || return 0
    for word in "$@"; do
        case $name in *"$word"*) return 0 ;; esac
    done
    return 1
}

prepare()
{
    echo "$cases" | while read -r name spec options; do
        if [ -z "$name" ] || ! chosen "$name" "$@"; then
            continue
        fi
        # shellcheck disable=SC2086  # a list of words
        "$SINTER" compile "model_specs/$spec.yaml" --target cuda --arch "${ARCH:-sm_90a}" $options \
            -o "$dir/made" </dev/null || exit 1
        mv "$dir/made/$spec" "$dir/$name" && rm -r "$dir/made" &&
            sh tests/gpu/libraries.sh "$dir/$name" "$dir/lib" && echo "$name" || exit 1
    done
}

command=${1:-}
[ $# -ge 2 ] || command=
case $command in
prepare)
    dir=$2
    shift 2
    mkdir -p "$dir" && prepare "$@"
    ;;
run)
    dir=$2
    shift 2
    nvidia-smi --query-gpu=name,driver_version --format=csv,noheader || {
        echo "no GPU here: nothing was measured"
        exit 0
    }
    LD_LIBRARY_PATH=$dir/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} \
        python3 tests/gpu/measure.py "$dir" "$@"
    ;;
*) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" && exit 2 ;;
esac
