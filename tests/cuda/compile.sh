#!/bin/sh
# The CUDA target on a machine without a GPU: every scheme becomes a .cu that nvcc and NVRTC compile
# without a warning and without a register spilled, twice the same text (specs.sh: every spec); the
# program starts, explains itself, and says what is wrong when the driver does (fake_cuda.c).
set -u
. tests/lib/tap.sh

spec=model_specs/tinytales.yaml

emit() # FOLDER SPEC OPTIONS
{
    folder=$work/$1
    shift
    "$SINTER" compile "$@" --target cuda --arch sm_90a --emit src -o "$folder" 2>"$work/err"
}

nvcc=$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)
[ -x "$nvcc" ] || nvcc=

no_warning_no_spill() # SOURCE
{
    "$nvcc" -cubin -arch=sm_90a -O3 --std=c++17 -Xptxas -v -o "$work/x.cubin" "$1" >"$work/out" 2>&1 &&
        awk -f tests/cuda/tools/resources.awk "$1" "$work/out" || {
        grep -E 'error' "$work/out"
        return 1
    }
}

# clean NAME SPEC OPTIONS: emitted twice alike; compiled, no warning, no spill.
clean()
{
    name=$1
    shift
    check "$name: emitted" emit once "$@" --batch 2
    emit twice "$@" --batch 2
    source=$(ls "$work"/once/*.cu)
    check "$name: the same text twice" cmp -s "$source" "$work/twice/$(basename "$source")"
    if [ -z "$nvcc" ]; then
        skip "$name: nvcc" "there is no nvcc here"
    else
        check "$name: nvcc, no warning, no spill" no_warning_no_spill "$source"
    fi
    rm -rf "$work/once" "$work/twice"
}

clean "tinytales" $spec
clean "tinytales f32" $spec --dtype f32
clean "tinytales f16" $spec --dtype f16
clean "tinytales unfused" $spec --fusion all=none
clean "tinytales int8" $spec --quant int8
clean "tinytales int4 with zero points" $spec --quant int4z/32
clean "tinytales int8 x int8, int8 cache" $spec --quant int8+a8+kv8
clean "tinytales fp8, fp8 cache" $spec --quant fp8+kvfp8
clean "tinytales fp8 x fp8" $spec --quant fp8+afp8+head
clean "an MLP alone" model_specs/ffn-only.yaml --set d_model=512 --set d_ff=1536 --random 3

step=model_specs/llama-3.2-1b.yaml
says() # WORDS SPEC OPTIONS
{
    words=$1
    shift
    "$SINTER" inspect "$@" --target cuda --cost | grep -qF "$words"
}
check "one kernel for a step of one token" says "decode of one token: one kernel" $step
for model in qwen2.5-7b mistral-7b qwen3-8b; do
    check "$model: one kernel" says "decode of one token: one kernel" model_specs/$model.yaml
done
check "soft caps: a chain, and why" says "a chain of kernels: attention has a soft cap" $step \
    --set attention.softcap=20
check "f16: a chain, and why" says "a chain of kernels: activations are not bf16" $step --dtype f16
check "other rotations: a chain, and why" says "a chain of kernels: heads are not rotated as a whole" $step \
    --set rope.style=adjacent
for quant in int8 int8+head int4/128+head int4/32 int4z/64+head; do
    check "one kernel with weights of $quant" says "decode of one token: one kernel" $step --quant $quant
done
check "one kernel for a step of 8 sequences" says "decode of several sequences: one kernel" $step --tokens 8
check "not with int8 weights" says "decode of several sequences: a chain of kernels: weights are codes" \
    $step --tokens 8 --quant int8
mlp=model_specs/ffn-only.yaml
check "one kernel for an MLP alone" says "decode of one token: one kernel" $mlp
check "not with int4 weights" says "decode of one token: a chain of kernels: weights are codes" $mlp --quant int4/128
check "not with gate and up apart" says "decode of one token: a chain of kernels: the schedule is not" $mlp \
    --fusion mlp=none
check "not with 128 columns" says "decode of one token: a chain of kernels: columns are no multiple of 256" $mlp \
    --set d_model=128
check "codes by codes: a chain, and why" says "a chain of kernels: a layer is not qkv" $step \
    --quant int8+a8
emits() # COUNT HOW
{
    emit step-$2 $step --batch 1 --decode "$2" &&
        [ "$(grep -c 'static int decode1_step' "$work/step-$2/llama-3.2-1b.c")" = "$1" ]
}
check "--decode auto makes it" emits 1 auto
check "--decode stream makes it" emits 1 stream
check "--decode chain does not" emits 0 chain
refused "--decode stream where it cannot be" 1 "$SINTER" compile $step --set d_ff=8224 --target cuda \
    --arch sm_90a --decode stream -o "$work/x" -- "--decode stream: a matrix has columns that are no multiple of 256 (bf16)" \
    "--decode chain works"
refused "--decode sideways" 1 "$SINTER" compile $spec --target cuda --arch sm_90a --decode sideways \
    -o "$work/x" -- "--decode is auto, chain or stream, not 'sideways'"

# One text for both: a prefill matmul has a kernel for sm_90a and one for all other chips.
kernels_of() # CHIP PATTERN
{
    "$nvcc" -cubin -arch="$1" -O3 --std=c++17 -o "$work/x.cubin" "$work"/both/*.cu && grep -aq "$2" "$work/x.cubin"
}

if [ -z "$nvcc" ]; then
    skip "kernels for each chip" "there is no nvcc here"
else
    "$SINTER" compile $spec --target cuda --arch sm_80,sm_90a --batch 1 --emit src -o "$work/both" || exit 1
    check "sm_90a has the warpgroup kernels" kernels_of sm_90a layer_down_wgmma256
    check "sm_80 has the portable ones" kernels_of sm_80 prefill512_layer_down
    check "and not the warpgroup kernels" sh -c "! grep -aq wgmma '$work/x.cubin'"
    rm -rf "$work/both"
fi

refused "a chip that does not exist" 1 "$SINTER" compile $spec --target cuda --arch sm_91 -o "$work/x" \
    -- "unknown chip 'sm_91', did you mean 'sm_90'"
refused "--arch without the CUDA target" 1 "$SINTER" compile $spec --arch sm_90a -o "$work/x" \
    -- "--arch is for --target cuda"
refused "no compiler at all" 2 env NVCC=/nowhere SINTER_NVRTC=/nowhere "$SINTER" compile $spec \
    --target cuda -o "$work/x" -- "no CUDA compiler" "install the CUDA toolkit" "--emit src"

# ---- NVRTC takes the same text

if ls /usr/local/cuda*/lib*/libnvrtc.so >/dev/null 2>&1; then
    nvrtc=$(ls /usr/local/cuda*/lib*/libnvrtc.so | head -1)
    check "NVRTC compiles what nvcc compiles" env NVCC=/nowhere SINTER_NVRTC="$nvrtc" "$SINTER" \
        compile $spec --target cuda --arch sm_80,sm_90a --batch 1 -o "$work/nvrtc"
    check "machine code for both chips" test -s "$work/nvrtc/tinytales.sm_80.cubin" -a \
        -s "$work/nvrtc/tinytales.sm_90a.cubin"
else
    skip "NVRTC compiles what nvcc compiles" "there is no libnvrtc here"
fi

# ---- the program without a GPU, and with a driver that fails

if [ -z "$nvcc" ]; then
    skip "the program" "there is no nvcc here"
    exit 0
fi
program cuda-tales $spec --weights examples/tinytales --target cuda --arch sm_90a --batch 2 || {
    echo "not ok - the program is built"
    exit 1
}
tt=$programs/cuda-tales/tinytales
check "below 1 MB" test "$(wc -c <"$tt")" -lt 1048576
check "info without a GPU" sh -c "'$tt' info | grep -q 'target       cuda sm_90a'"
refused "no driver" 2 env SINTER_LIBCUDA=/nowhere/libcuda.so.1 "$tt" -p Once -n 2 \
    -- "no NVIDIA driver" "--target c"

"${CC:-cc}" -shared -fPIC -o "$work/libcuda.so" tests/cuda/fake_cuda.c || exit 1
fake() { env SINTER_LIBCUDA="$work/libcuda.so" "$@"; }

printf '\001\000\000\000\002\000\000\000' >"$work/ids.i32"
check "a driver that takes every call" fake "$tt" --tokens "$work/ids.i32" \
    --logits "$work/zero.f32"
refused "cuTensorMapEncodeTiled fails" 2 env SINTER_LIBCUDA="$work/libcuda.so" \
    FAKE_CUDA=cuTensorMapEncodeTiled "$tt" --tokens "$work/ids.i32" --logits "$work/zero.f32" \
    -- "CUDA_ERROR_FAKE" "wgmma"
refused "no device" 2 env SINTER_LIBCUDA="$work/libcuda.so" FAKE_DEVICES=0 "$tt" -p Once -n 2 \
    -- "sees no GPU" "--target c"
refused "an older chip" 2 env SINTER_LIBCUDA="$work/libcuda.so" FAKE_CHIP=75 "$tt" -p Once -n 2 \
    -- "compute capability 7.5" "sm_90a only" "takes 8.0 at least: use --target c"
refused "a later chip that sm_90a is not for" 2 env SINTER_LIBCUDA="$work/libcuda.so" FAKE_CHIP=100 \
    "$tt" -p Once -n 2 -- "compute capability 10.0"
refused "too little memory" 2 env SINTER_LIBCUDA="$work/libcuda.so" FAKE_FREE=1000000 "$tt" -p Once \
    -n 2 -- "the model needs 0.01 GB" "0.00 of 17.18 GB are free"
refused "too little shared memory" 2 env SINTER_LIBCUDA="$work/libcuda.so" FAKE_SHARED=2048 "$tt" -p \
    Once -n 2 -- "KiB of shared memory and a block has 2 here" "compile with --arch"
refused "no such device" 1 env SINTER_LIBCUDA="$work/libcuda.so" SINTER_DEVICE=3 "$tt" -p Once -n 2 \
    -- "SINTER_DEVICE is 3: there are GPUs 0 to 0"
refused "not a driver" 2 env SINTER_LIBCUDA=libm.so.6 "$tt" -p Once -n 2 -- "has no cuInit"
for call in cuInit cuDeviceGet cuDeviceGetAttribute cuDevicePrimaryCtxRetain cuModuleLoadData \
    cuModuleGetFunction cuMemAlloc_v2 cuMemAllocHost_v2 cuMemcpyHtoDAsync_v2 cuStreamCreate \
    cuStreamSynchronize cuStreamBeginCapture_v2 cuGraphInstantiateWithFlags cuGraphLaunch \
    cuLaunchKernelEx cuMemcpyDtoHAsync_v2; do
    refused "$call fails" 2 env SINTER_LIBCUDA="$work/libcuda.so" FAKE_CUDA=$call "$tt" -p "Once upon" \
        -n 4 -- "CUDA_ERROR_FAKE"
done
