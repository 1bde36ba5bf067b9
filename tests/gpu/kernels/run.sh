#!/bin/sh
# run.sh - builds codes_test.cu with nvcc for sm_90a and runs it on the GPU of this machine. Exit 77
# where nvcc or the GPU is missing.
set -eu
cd "$(dirname "$0")"
command -v nvcc >/dev/null || { echo "run.sh: nvcc is not installed: skipped"; exit 77; }
nvidia-smi >/dev/null 2>&1 || { echo "run.sh: no GPU here: skipped"; exit 77; }
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
nvcc -std=c++17 -O3 -gencode=arch=compute_90a,code=sm_90a -cudart static -o "$out/codes_test" codes_test.cu
"$out/codes_test"
