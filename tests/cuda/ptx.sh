#!/bin/sh
# Which code of a program runs on which chip: machine code where there is some, else PTX, which the
# driver compiles (fake_cuda.c takes any).
set -u
. tests/lib/tap.sh

spec=model_specs/tinytales.yaml
nvcc=$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)
if [ ! -x "$nvcc" ]; then
    skip "PTX" "there is no nvcc here"
    exit 0
fi
"${CC:-cc}" -shared -fPIC -o "$work/libcuda.so" tests/cuda/fake_cuda.c || exit 1
SINTER_LIBCUDA=$work/libcuda.so
export SINTER_LIBCUDA

check "machine code and PTX in one program" "$SINTER" compile $spec --target cuda \
    --arch sm_80,sm_90a,compute_80 --batch 1 -o "$work/tt"
tt=$work/tt/tinytales
[ -x "$tt" ] || exit 1

uses() # CHIP CODE
{
    FAKE_CHIP=$1 "$tt" bench --random 1 -p 4 -n 2 -r 1 >"$work/bench" && grep "$2 inside" "$work/bench"
}
check "8.0: its machine code" uses 80 sm_80
check "8.9: machine code of the generation" uses 89 sm_80
check "9.0: its own" uses 90 sm_90a
check "10.0: PTX" uses 100 compute_80
check "12.1: PTX" uses 121 compute_80
refused "7.5: nothing" 2 env FAKE_CHIP=75 "$tt" bench --random 1 -- "compute capability 7.5" \
    "sm_80, sm_90a, compute_80 only"
"$SINTER" compile $spec --target cuda --arch sm_90a --batch 1 -o "$work/one" || exit 1
refused "8.6 has nothing of sm_90a: what to compile" 2 env FAKE_CHIP=86 "$work/one/tinytales" bench --random 1 \
    -- "sm_90a only" "--arch sm_80"
refused "10.0 neither" 2 env FAKE_CHIP=100 "$work/one/tinytales" bench --random 1 -- "sm_90a only" \
    "--arch compute_90, or --jit"
check "below 1 MB" test "$(wc -c <"$tt")" -lt 1048576

check "the default list has PTX" "$SINTER" compile $spec --target cuda --emit src -o "$work/src"
check "for compute_90" grep -q 'tinytales.compute_90.ptx' "$work/src/tinytales.c"
check "the Makefile makes all of it" sh -c "cd '$work/tt' && rm -f *.cubin *.ptx tinytales &&
    PATH=\$PATH:$(dirname "$nvcc") make tinytales && ls *.ptx"
check "and what it makes runs" uses 90 sm_90a

nvrtc=$(ls /usr/local/cuda*/lib*/libnvrtc.so 2>/dev/null | head -1)
if [ -n "$nvrtc" ]; then
    check "NVRTC makes PTX too" env NVCC=/nowhere SINTER_NVRTC="$nvrtc" "$SINTER" compile $spec \
        --target cuda --arch compute_90 --batch 1 -o "$work/nvrtc"
    check "as text" grep -q '^.target sm_90' "$work/nvrtc/tinytales.compute_90.ptx"
else
    skip "NVRTC makes PTX too" "there is no libnvrtc here"
fi

refused "a kernel that is too large for a chip" 1 "$SINTER" compile model_specs/llama-3-8b.yaml --target cuda \
    --quant int8+head --arch sm_80,sm_89 --emit src -o "$work/large" -- "KiB of shared memory" "sm_89 has 99 KiB" \
    "use a smaller --batch" "leave sm_89 out"
check "fewer sequences fit" "$SINTER" compile model_specs/llama-3-8b.yaml --target cuda --arch sm_80,sm_89 \
    --quant int8+head --batch 4 --emit src -o "$work/small"

# ---- what a spec asks of a chip

refused "fp8 products on sm_80" 1 "$SINTER" compile $spec --quant fp8+afp8 --target cuda --arch sm_80,sm_90a \
    --emit src -o "$work/fp8" -- "which sm_80 cannot: that takes sm_89 or later" "--quant int8+a8" \
    "leave sm_80 out of --arch"
printf 'quant: {weights: fp8, activations: fp8}\n' | cat $spec - >"$work/fp8.yaml"
refused "with the place in the spec" 1 "$SINTER" compile "$work/fp8.yaml" --target cuda --arch compute_80 \
    --emit src -o "$work/fp8" -- "fp8.yaml:" "activations: fp8}" "which compute_80 cannot"
check "the default list leaves it out" "$SINTER" compile $spec --quant fp8+afp8 --target cuda --emit src \
    -o "$work/fp8"
check "and has the others" sh -c "grep -q 'sm_90a.cubin' '$work/fp8/tinytales.c' &&
    ! grep -q 'sm_80.cubin' '$work/fp8/tinytales.c'"
check "fp8 weights alone run on sm_80" "$SINTER" compile $spec --quant fp8 --target cuda --arch sm_80 \
    --emit src -o "$work/fp8"
refused "--jit needs no list" 1 "$SINTER" compile $spec --target cuda --jit --arch sm_90a -o "$work/x" \
    -- "--jit compiles for the GPU that is there: leave out --arch"
