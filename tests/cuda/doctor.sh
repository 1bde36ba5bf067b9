#!/bin/sh
# sinter doctor about GPUs, with a driver that answers, that fails and that is not there.
set -u
. tests/lib/tap.sh

"${CC:-cc}" -shared -fPIC -o "$work/libcuda.so" tests/cuda/fake_cuda.c || exit 1
"${CC:-cc}" -shared -fPIC -o "$work/libnvrtc.so" tests/cuda/fake_nvrtc.c || exit 1

# says [VARIABLE=VALUE]... -- WORDS...: doctor succeeds and prints each of WORDS.
says()
{
    tap_set=
    while [ "$1" != -- ]; do
        tap_set="$tap_set $1"
        shift
    done
    shift
    # shellcheck disable=SC2086
    env SINTER_LIBCUDA="$work/libcuda.so" $tap_set "$SINTER" doctor >"$work/doctor" || return 1
    cat "$work/doctor"
    for tap_word in "$@"; do
        grep -qF -- "$tap_word" "$work/doctor" || return 1
    done
}

check "a device" says -- "driver                 for CUDA 13.0" \
    "GPU 0                  Fake GPU, compute capability 9.0, 16.0 GiB: --arch sm_90a"
check "two devices" says FAKE_DEVICES=2 -- "GPU 1                  Fake GPU"
check "a chip of another generation" says FAKE_CHIP=120 -- "capability 12.0" "--arch compute_90, or --jit"
check "8.9" says FAKE_CHIP=89 -- "--arch sm_89"
check "a chip that is too old" says FAKE_CHIP=75 -- "older than sm_80"
check "no device" says FAKE_DEVICES=0 -- "GPU                    none that the driver can use"
check "a driver that does not start" says FAKE_CUDA=cuInit -- "none that the driver can use (error 999)"
check "a device that does not answer" says FAKE_CUDA=cuDeviceTotalMem_v2 -- "GPU 0                  does not answer"
check "no driver" says SINTER_LIBCUDA=/nowhere -- "driver                 not here: install NVIDIA's driver"
check "not a driver" says SINTER_LIBCUDA=libm.so.6 -- "driver                 not here"
check "NVRTC" says SINTER_NVRTC="$work/libnvrtc.so" FAKE_NVRTC_VERSION=12.4 -- "NVRTC                  version 12.4"
check "no compiler at all" says SINTER_NVRTC=/nowhere NVCC=/nowhere -- \
    "nvcc                   not here: install the CUDA toolkit to compile --target cuda, or use" \
    "NVRTC                  not here: install the CUDA toolkit (libnvrtc)"
check "NVRTC alone" says NVCC=/nowhere SINTER_NVRTC="$work/libnvrtc.so" -- "NVRTC compiles --target cuda"
printf '#!/bin/sh\necho "Cuda compilation tools, release 12.7, V12.7.1"\n' >"$work/nvcc"
chmod +x "$work/nvcc"
check "nvcc and its version" says NVCC="$work/nvcc" -- "nvcc                   $work/nvcc, release 12.7"
