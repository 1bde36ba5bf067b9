#!/bin/sh
# A program that compiles its kernels when it starts, without a GPU and without a compiler
# (fake_cuda.c, fake_nvrtc.c): the cache is met by many processes at once, by processes that are
# killed and by files that are damaged, and never gives wrong code or stops a program.
set -u
. tests/lib/tap.sh

spec=model_specs/tinytales.yaml
XDG_CACHE_HOME=$work/cache
SINTER_LIBCUDA=$work/libcuda.so
SINTER_NVRTC=$work/libnvrtc.so
FAKE_NVRTC_COUNT=$work/count
export XDG_CACHE_HOME SINTER_LIBCUDA SINTER_NVRTC FAKE_NVRTC_COUNT
cubins=$XDG_CACHE_HOME/sinter/cubins
printf '\001\000\000\000\002\000\000\000' >"$work/ids.i32"

"${CC:-cc}" -shared -fPIC -o "$work/libcuda.so" tests/cuda/fake_cuda.c || exit 1
"${CC:-cc}" -shared -fPIC -o "$work/libnvrtc.so" tests/cuda/fake_nvrtc.c || exit 1

# ---- making it

refused "--jit is for the CUDA target" 1 "$SINTER" compile $spec --jit -o "$work/x" \
    -- "--jit is for --target cuda"
check "no CUDA compiler is needed" env NVCC=/nowhere SINTER_NVRTC=/nowhere "$SINTER" compile $spec \
    --weights examples/tinytales --target cuda --jit --batch 1 -o "$work/tt"
tt=$work/tt/tinytales
[ -x "$tt" ] || exit 1
check "info: kernels are compiled at start" sh -c "'$tt' info | grep -q '^gpu .*compiled at start'"

# ---- a start compiles, the next ones do not

start() # [VARIABLE=VALUE]...
{
    env "$@" "$tt" --tokens "$work/ids.i32" --logits "$work/logits.f32"
}

# compiles N VARIABLE=VALUE...: a start that runs NVRTC (N = some) or not (none).
compiles()
{
    tap_n=$1
    shift
    rm -f "$FAKE_NVRTC_COUNT"
    start "$@" || return 1
    case $tap_n in
    some) [ -s "$FAKE_NVRTC_COUNT" ] ;;
    none) [ ! -e "$FAKE_NVRTC_COUNT" ] ;;
    esac
}

check "the first start compiles" compiles some
check "the second does not" compiles none
check "another chip: compiled" compiles some FAKE_CHIP=80
check "another version of NVRTC: compiled" compiles some FAKE_NVRTC_VERSION=12.8
check "the first ones are still there" compiles none
check "one core, one compiler: compiled alike" compiles some XDG_CACHE_HOME="$work/one" taskset -c 0
check "nowhere to keep it: compiled every time" compiles some -u XDG_CACHE_HOME -u HOME
check "a cache that cannot be written: compiled every time" compiles some XDG_CACHE_HOME=/dev/null

why_says() # WORDS...
{
    "$SINTER" cache why tinytales >"$work/why" || return 1
    cat "$work/why"
    for tap_word in "$@"; do
        grep -qF "$tap_word" "$work/why" || return 1
    done
}
check "cache why: the chip and the version" why_says "chip     GPU that it is for" "here sm_80, there sm_90a" \
    "nvrtc    version of NVRTC" "here 12.8, there 13.0"
check "cache ls" sh -c "'$SINTER' cache ls | grep -q '^kernels .*tinytales-.*, sm_80, NVRTC 13.0'"

sed 's/^/ /' "$work/tt/tinytales.cu" >"$work/changed.cu"
mkdir "$work/changed"
cp -r "$work/tt/." "$work/changed"
echo '/* another source */' >>"$work/changed/tinytales.cu"
make -C "$work/changed" tinytales >"$work/make.log" 2>&1
tt=$work/changed/tinytales
check "another source: compiled" compiles some
tt=$work/tt/tinytales
check "cache why: the source" why_says "source   generated source: spec, options, templates or rules"

# ---- damage

rm -rf "$XDG_CACHE_HOME"
start >/dev/null 2>&1
file=$(ls "$cubins"/*.cubin)
cp "$file" "$work/good.cubin"
size=$(wc -c <"$file")

# damaged NAME: the file, changed by then, is compiled anew, once.
damaged()
{
    check "$1: compiled anew" compiles some
    check "$1: and whole again" cmp "$file" "$work/good.cubin"
}

# a byte in the magic, the key, the sizes, the table, the images
for at in 0 30 210 235 250 $((size / 2)) $((size - 1)); do
    printf '\377' | dd of="$file" bs=1 seek="$at" conv=notrunc 2>/dev/null
    cmp -s "$file" "$work/good.cubin" && printf '\376' | dd of="$file" bs=1 seek="$at" conv=notrunc 2>/dev/null
    damaged "byte $at is wrong"
done
for n in 0 100 300 $((size - 1)); do
    head -c "$n" "$work/good.cubin" >"$file"
    damaged "cut off at $n"
done
echo more >>"$file"
damaged "longer than it says"
rm "$file"
mkdir "$file"
check "a folder of that name: compiled every time" compiles some
rmdir "$file"

# ---- many at once, and killed

many_starts()
{
    rm -rf "$XDG_CACHE_HOME"
    for i in 1 2 3 4 5 6 7 8; do
        { "$tt" --tokens "$work/ids.i32" --logits "$work/logits.$i" && echo done >"$work/done.$i"; } &
    done
    wait
    [ "$(cat "$work"/done.* | wc -l)" = 8 ] && [ "$(ls "$cubins" | wc -l)" = 1 ] && compiles none
}
check "eight at once: all run, one file is left" many_starts

# Kills starts whose code takes a while to write; the file is whole or not there.
killed_starts()
{
    rm -rf "$XDG_CACHE_HOME"
    seed=${SEED:-$$}
    echo "SEED=$seed"
    for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
        (exec env FAKE_NVRTC_BYTES=4000000 "$tt" --tokens "$work/ids.i32" \
            --logits "$work/logits.f32") &
        seed=$(((seed * 1103515245 + 12345) % 2147483648))
        sleep "0.0$((seed / 65536 % 90 + 10))"
        kill -9 $! 2>/dev/null
        wait $! 2>/dev/null
        "$SINTER" cache ls | grep '^leftover .*\.cubin$' && return 1
    done
    compiles "${1:-some}" FAKE_NVRTC_VERSION=12.6 && start && compiles none
}
check "killed at any moment: no half of a file under its name" killed_starts
sleep 1 # what a killed start had begun to write may come a moment later
find "$cubins" -name '*.cubin.*' -exec touch -d '2 hours ago' {} +
touch -d '2 hours ago' "$cubins/left.cubin.x"
file=$(ls "$cubins"/*.cubin | head -n 1)
cp "$file" "$file.Kd73fa" # killed when all was written and nothing renamed
touch -d '2 hours ago' "$file.Kd73fa"
check "cache gc takes what the killed ones left" sh -c \
    "'$SINTER' cache gc && [ -z \"\$(find '$cubins' -name '*.cubin.*')\" ]"
check "and keeps the rest" compiles none

# ---- what goes wrong

rm -rf "$XDG_CACHE_HOME"
refused "no NVRTC" 2 start SINTER_NVRTC=/nowhere -- "NVRTC is not here" "compile the spec without --jit"
refused "not NVRTC" 2 start SINTER_NVRTC=libm.so.6 -- "NVRTC has no nvrtc"
refused "an NVRTC older than the chip" 2 start FAKE_NVRTC_OLD=sm_90a \
    -- "NVRTC 13.0 does not know sm_90a" "newer CUDA toolkit"
refused "a chip older than the kernels" 2 start FAKE_CHIP=75 -- "compute capability 7.5" "need 8.0"
kernel=$(sed -n 's|^/\* kernel \([a-z0-9_]*\), templates/cuda/embed.cu$|\1|p' "$work/tt/tinytales.cu")
word="$kernel("
line=$(grep -nF "$word" "$work/tt/tinytales.cu" | cut -d: -f1)
refused "kernels that do not compile: line, kernel, template, operator" 3 start \
    FAKE_NVRTC_DISLIKES="$word" -- "does not compile the kernels for sm_90a" \
    "tinytales.cu($line): error: nobody likes $word" "$(sed -n "${line}p" "$work/tt/tinytales.cu")" \
    "in kernel $kernel, templates/cuda/embed.cu" "%x = embed %tokens, "
refused "a declaration that does not compile" 3 start FAKE_NVRTC_DISLIKES="float_of_bf16(" \
    -- "in what all kernels share, templates/cuda/prelude*.cu"
for call in nvrtcVersion nvrtcCreateProgram nvrtcCompileProgram nvrtcGetCUBINSize nvrtcGetCUBIN; do
    refused "$call fails" 2 start FAKE_NVRTC=$call -- "NVRTC"
done
check "nothing of that is kept" test ! -e "$cubins"

# ---- sinter run

runs()
{
    "$SINTER" run $spec --weights examples/tinytales --target cuda --jit --batch 1 -p "Once upon" -n 2 \
        >"$work/run" 2>&1 && compiles none
}
check "sinter run --jit" runs
