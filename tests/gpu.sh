#!/bin/sh
# The CUDA target on a GPU: what the goldens and the same spec on the CPU say, what the shipped model
# is to say, and nothing that compute-sanitizer finds.
#
#   sh tests/gpu.sh [--long] [prepare DIR [WORD...] | run DIR [WORD...]]
#
# prepare compiles everything and asks the CPU (needs $SINTER or build/ci/bin/sinter and nvcc, no
# GPU); run asks the GPU and prints a line for each answer (needs python3 and a GPU, nothing of
# sinter), so that the two may happen on different machines. Without a word both happen, one after
# the other; without a GPU nothing is run, and that is said. Only cases with one of the WORDs in
# their name are taken. Exit code 1 when an answer is wrong.
#
#   --long   the stress run instead: for each case 10,000 tokens at random contexts by two processes
#            at once, the same bits from both
#   ARCH     which chips prepare compiles for, else sm_80,sm_90a
#
# Cases: tests/gpu/cases.txt. Figures: tests/gpu/measure.sh.
set -u
cd "$(dirname "$0")/.." || exit 2
SINTER=${SINTER:-build/ci/bin/sinter}
export SINTER
long=
[ "${1:-}" != --long ] || { long=--long && shift; }

has_gpu() { [ -e /dev/nvidia0 ] || command -v nvidia-smi >/dev/null 2>&1; }

run()
{
    if ! has_gpu; then
        echo "no GPU here: nothing was run"
        exit 0
    fi
    nvidia-smi --query-gpu=name,driver_version --format=csv,noheader 2>/dev/null
    LD_LIBRARY_PATH=$1/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} python3 tests/gpu/run.py $long "$@"
}

case ${1:-} in
prepare)
    shift
    sh tests/gpu/prepare.sh "$@"
    ;;
run)
    shift
    run "$@"
    ;;
'')
    has_gpu || run
    dir=$(mktemp -d)
    sh tests/gpu/prepare.sh "$dir" && run "$dir"
    status=$?
    rm -rf "$dir"
    exit $status
    ;;
*) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" && exit 2 ;;
esac
