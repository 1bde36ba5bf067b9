#!/bin/sh
# The emitted sources by themselves: every instruction set, two compilers, without a warning, as
# clang-format leaves them, built by the Makefile that lies beside them; each program says the same.
set -u
. tests/lib/tap.sh

spec=model_specs/tinytales.yaml
weights=$work/model.safetensors # no tokenizer.json beside it: none in the packed file
cp examples/tinytales/model.safetensors "$weights"
warnings="-Wall -Wextra -Werror"
flags="-std=c11 -D_GNU_SOURCE -fno-math-errno -fno-trapping-math $warnings"

greedy() { python3 tests/e2e/greedy.py "$@"; }

# isa_flags CPU: what the sources say they are to be compiled with.
isa_flags() { sed -n 's/^MODEL_CFLAGS = //p' "$work/$1/Makefile"; }

has_cpu()
{
    case $1 in
    avx512) words="avx512f avx512bw avx512dq avx512vl avx512_vnni avx512_bf16" ;;
    avx2) words="avx2 fma f16c" ;;
    *) words= ;;
    esac
    for word in $words; do
        grep -qw -- "$word" /proc/cpuinfo || return 1
    done
}

emit() # CPU OPTIONS
{
    emit_cpu=$1
    shift
    "$SINTER" compile $spec --weights $weights --cpu "$emit_cpu" --batch 2 --emit src \
        -o "$work/$emit_cpu" "$@"
}

compile_with() # CC CPU LEVEL
{
    # shellcheck disable=SC2046,SC2086
    $1 $flags "$3" $(isa_flags "$2") -I"$work/$2/runtime" -c "$work/$2/tinytales.c" \
        -o "$work/$2/tinytales.o"
}

# link_and_ask CPU: with the runtime that was built with the compiler.
link_and_ask()
{
    cc -std=c11 -O1 -D_GNU_SOURCE -I"$work/$1/runtime" "$work/$1/runtime/main.c" "$work/$1/tinytales.o" \
        "$SINTER_BUILD/libsinter_runtime.a" -lpcre2-8 -lutf8proc -lpthread -lm -o "$work/$1/tinytales" &&
        greedy logits "$work/$1/tinytales" && greedy logits "$work/$1/tinytales" --decode &&
        greedy logits "$work/$1/tinytales" --batch 2
}

formatted()
{
    clang-format --style=file:.clang-format "$1" | diff "$1" - && tail -c 1 "$1" | od -c | grep -q '\\n'
}

for cpu in avx512 avx2 portable neon; do
    check "$cpu: sources" emit $cpu
    case $(clang-format --version 2>/dev/null) in
    *"version 14."*) check "$cpu: formatted" formatted "$work/$cpu/tinytales.c" ;;
    *) skip "$cpu: formatted" "clang-format 14 is not installed" ;;
    esac
done

if [ "$(uname -m)" = x86_64 ]; then
    for cpu in avx512 avx2 portable; do
        if command -v clang >/dev/null; then
            check "$cpu: clang has nothing to say" compile_with clang $cpu -O1
        else
            skip "$cpu: clang has nothing to say" "clang is not installed"
        fi
        check "$cpu: gcc has nothing to say" compile_with gcc $cpu -O2
        if has_cpu $cpu; then
            check "$cpu: greedy ids" link_and_ask $cpu
        else
            skip "$cpu: greedy ids" "this CPU has other instructions"
        fi
    done
else
    check "neon: gcc has nothing to say" compile_with gcc neon -O2
    check "neon: greedy ids" link_and_ask neon
fi

# ---- NEON from another machine. The libraries of the tokenizer are not here for it; ids go in and
# logits come out without them, so that their functions may stay unresolved.

cross=aarch64-linux-gnu-gcc
link_neon()
{
    $cross -std=c11 -O1 -D_GNU_SOURCE -ffunction-sections -idirafter /usr/include -I"$work/$1/runtime" \
        "$work/$1"/runtime/*.c "$work/$1/tinytales.o" -static -Wl,--gc-sections \
        -Wl,--unresolved-symbols=ignore-all -lpthread -lm -o "$work/$1/tinytales"
}
ask_neon()
{
    PROMPTS=1 greedy logits qemu-aarch64 "$work/neon/tinytales" --weights "$work/neon/tinytales.weights" "$@"
}
same_logits()
{
    python3 -c 'import array, sys
array.array("i", [1] + [7 * i % 2000 + 3 for i in range(40)]).tofile(open(sys.argv[1], "wb"))' "$work/ids" &&
        for cpu in neon neon-dot; do
            qemu-aarch64 -cpu max "$work/$cpu/tinytales" --weights "$work/$cpu/tinytales.weights" \
                --tokens "$work/ids" --logits "$work/$cpu.f32" "$@" || return 1
        done && cmp "$work/neon.f32" "$work/neon-dot.f32"
}
if [ "$(uname -m)" != x86_64 ]; then
    :
elif ! command -v $cross >/dev/null; then
    skip "neon: compiles" "gcc-aarch64-linux-gnu is not installed"
elif ! command -v qemu-aarch64 >/dev/null; then
    check "neon: gcc has nothing to say" compile_with $cross neon -O2
    skip "neon: greedy ids" "qemu-aarch64 is not installed"
else
    check "neon: gcc has nothing to say" compile_with $cross neon -O2
    check "neon: links with the runtime" link_neon neon
    check "neon: every logit's maximum, prefill" ask_neon -t 1
    check "neon: every logit's maximum, 2 sequences, 2 threads" ask_neon -t 2 --batch 2
    # sdot makes the same exact sums as what stands in for it.
    for cpu in neon neon-dot; do
        check "$cpu: sources, int8 x int8" emit $cpu --quant int8+a8+head
        check "$cpu: gcc has nothing to say, int8 x int8" compile_with $cross $cpu -O2
        check "$cpu: links with the runtime, int8 x int8" link_neon $cpu
    done
    check "neon-dot: the same logits as neon, prefill" same_logits -t 1
    check "neon-dot: the same logits as neon, 2 sequences" same_logits -t 2 --batch 2
fi

# ---- the Makefile

by_make()
{
    make -s -C "$work/portable" clean && make -s -j2 -C "$work/portable" &&
        greedy generate "$work/portable/tinytales" &&
        nm -D --defined-only "$work/portable/libtinytales.so" | grep -q ' sinter_open$'
}
if command -v make >/dev/null; then
    check "make builds program and library in the folder that was left" by_make
else
    skip "make builds program and library in the folder that was left" "make is not installed"
fi

# ---- sinter itself, installed and called from elsewhere

installed()
{
    root=$(pwd)
    cmake --install "$SINTER_BUILD" --prefix "$work/prefix" >/dev/null || return 1
    (cd "$work" && prefix/bin/sinter compile prefix/share/sinter/model_specs/tinytales.yaml \
        --weights "$root/examples/tinytales" --emit src) &&
        "$SINTER" compile $tales --emit src -o "$work/here" &&
        cmp "$work/tinytales/tinytales.weights" "$work/here/tinytales.weights" &&
        diff -r "$work/tinytales/runtime" "$work/here/runtime"
}
check "the installed compiler finds what it needs" installed

# ---- f32 instead of bf16: the weights are bf16 values, and so is the figure

f32_bits()
{
    "$programs/f32/tinytales" eval examples/tinytales/heldout.txt --json -q >"$work/bits"
    cat "$work/bits"
    awk '{ sub(/.*"bits_per_byte": /, ""); exit !($0 < 0.14262 && $0 > 0.14242) }' "$work/bits"
}
check "f32: compiles" program f32 $tales --dtype f32 --batch 1
check "f32: greedy ids" greedy generate "$programs/f32/tinytales"
check "f32: 0.14252 bits per byte" f32_bits
