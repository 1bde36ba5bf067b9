#!/bin/sh
# The CUDA target on a GPU: what the same spec says on the CPU, what the shipped model is to say.
#
#   sh tests/gpu.sh [prepare DIR | run DIR]
#
# prepare compiles everything and asks the CPU (needs $SINTER or build/ci/bin/sinter and nvcc, no
# GPU); run asks the GPU and prints a table (needs python3 and a GPU, nothing of sinter), so that the
# two may happen on different machines. Without a word both happen, one after the other; without a
# GPU nothing is run, and that is said. Exit code 1 when something differs.
set -u
cd "$(dirname "$0")/.." || exit 2
SINTER=${SINTER:-build/ci/bin/sinter}
spec=model_specs/tinytales.yaml

# one NAME TOLERANCE OPTIONS: the GPU's program in DIR/NAME, the CPU's logits in DIR/NAME.f32.
one()
{
    name=$1 tolerance=$2
    shift 2
    "$SINTER" compile $spec --weights examples/tinytales --target cuda --arch sm_80,sm_90a \
        -o "$dir/$name" "$@" || exit 1
    "$SINTER" compile $spec --weights examples/tinytales -o "$work/$name" "$@" || exit 1
    "$work/$name/tinytales" --tokens "$dir/ids.i32" --logits "$dir/$name.f32" -q || exit 1
    rm -rf "$dir/$name/runtime" "$dir/$name"/*.cubin "$dir/$name"/*.so "$dir/$name"/*.[ch]
    echo "$name $tolerance" >>"$dir/cases"
}

# int8 activations: one code that falls on the other side of a rounding is seen in all that follows;
# two instruction sets of the C target differ by 2e-2 on the same ids.
prepare()
{
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    mkdir -p "$dir"
    : >"$dir/cases"
    python3 tests/gpu/compare.py ids "$dir/ids.i32"
    one f32 1e-4 --dtype f32
    one bf16 2e-2
    one f16 2e-2 --dtype f16
    one unfused 2e-2 --fusion all=none
    one folded 2e-2 --fusion norm=fold --fusion mlp=elementwise
    one int8 2e-2 --quant int8
    one int4 2e-2 --quant int4/32
    one int4z 2e-2 --quant int4z/32
    one kv8 3e-2 --quant int8+kv8
    one a8 8e-2 --quant int8+a8
}

has_gpu() { [ -e /dev/nvidia0 ] || command -v nvidia-smi >/dev/null 2>&1; }

run()
{
    if ! has_gpu; then
        echo "no GPU here: nothing was run"
        exit 0
    fi
    nvidia-smi --query-gpu=name,driver_version --format=csv,noheader 2>/dev/null
    python3 tests/gpu/compare.py run "$dir" examples/tinytales/expected.json
}

case ${1:-} in
prepare) dir=$2 && prepare ;;
run) dir=$2 && run ;;
'')
    has_gpu || { echo "no GPU here: nothing was run"; exit 0; }
    dir=$(mktemp -d)
    (prepare) && run
    status=$?
    rm -rf "$dir"
    exit $status
    ;;
*) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" && exit 2 ;;
esac
