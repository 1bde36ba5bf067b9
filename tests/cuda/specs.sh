#!/bin/sh
# Every model spec for CUDA, for sm_80 and for sm_90a: the same text twice, nvcc has nothing to warn
# of, kernels keep nothing in local memory (tools/resources.awk), registers and shared memory fit a
# block; NVRTC takes the same text.
#
#   specs.sh [--full]
#
# With the kernels of one sequence and of prefill, two specs with those of 1, 2, 4 and 8 sequences;
# NVRTC for three specs. --full: all of both.
set -u
. tests/lib/tap.sh

full=false
[ "${1:-}" != --full ] || full=true
NVCC=$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)
SINTER_NVRTC=$(ls /usr/local/cuda*/lib*/libnvrtc.so 2>/dev/null | head -n 1)
tmp=$work
export NVCC SINTER_NVRTC tmp

list()
{
    for spec in model_specs/*.yaml; do
        name=$(basename "$spec" .yaml) most=1 rtc=$full
        case $name in llama-3.2-1b | gpt2) most=8 ;; esac
        case $name in llama-3-8b | gpt2 | dense-32b-int8) rtc=true ;; esac
        ! $full || most=8
        for chip in sm_80 sm_90a; do
            [ ! -x "$NVCC" ] || echo "nvcc $name $chip --batch $most"
            [ ! -e "$SINTER_NVRTC" ] || ! $rtc || echo "nvrtc $name $chip --batch 1"
        done
    done
}

[ -x "$NVCC" ] || skip "every spec compiles with nvcc" "there is no nvcc here"
[ -e "$SINTER_NVRTC" ] || skip "specs compile with NVRTC" "there is no libnvrtc here"
list | xargs -r -P 2 -L 1 sh tests/cuda/tools/spec.sh
