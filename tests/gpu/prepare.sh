#!/bin/sh
# Part of tests/gpu.sh: compiles the programs, asks the CPU and the goldens what they are to say.
#
#   prepare.sh DIR [WORD...]
#
# DIR then holds, for NAME of each case (only those with one of the WORDs in it):
#
#   NAME            the program for GPUs
#   HASH.weights    its weights, shared by all that have the same
#   *.i32           ids to feed
#   *.f32           logits that are expected, one row an id
#   NAME.ids        ids expected after NAME.prompt
#   lib             libraries of this machine that programs need and another may lack
#   NAME.case       TOLERANCE WAYS WEIGHTS IDS LOGITS
#   NAME.eval       BITS WEIGHTS: bits per byte that the C target finds in tinytales' held-out text
#
# Cases that are there already and not chosen stay.
set -u
cd "$(dirname "$0")/../.." || exit 2
dir=$1
shift
ARCH=${ARCH:-sm_80,sm_90a}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export SINTER ARCH dir work
failed=$work/failed

wanted() # NAME WORD...
{
    name=$1
    shift
    [ $# -gt 0 ] || return 0
    for word in "$@"; do
        case $name in *"$word"*) return 0 ;; esac
    done
    return 1
}

# gpu_program NAME SPEC OPTIONS: the program to DIR/NAME, $weights says which weights are its own.
gpu_program()
{
    name=$1 made=$work/$1
    shift
    "$SINTER" compile "$@" --target cuda -o "$made" >"$made.log" 2>&1 || {
        echo "$name: does not compile"
        tail -n 5 "$made.log"
        echo "$name" >>"$failed"
        return 1
    }
    weights=$(cksum <"$(echo "$made"/*.weights)" | tr ' ' -).weights
    [ -e "$dir/$weights" ] || mv "$made"/*.weights "$dir/$weights"
    program=$(basename "$made"/*.cu .cu)
    mv "$made/$program" "$dir/$name"
    sh tests/gpu/libraries.sh "$dir/$name" "$dir/lib"
    rm -rf "$made" "$made.log"
}

# cpu_program NAME SPEC OPTIONS: the same model for the CPU, $reference is its path.
cpu_program()
{
    reference=$work/$1.cpu
    shift
    "$SINTER" compile "$@" --batch 1 --chunk 64 -o "$reference" >"$reference.log" 2>&1 || {
        cat "$reference.log"
        exit 1
    }
    reference=$(echo "$reference"/*.c)
    reference=${reference%.c}
}

small_case() # NAME TOLERANCE WAYS OPTIONS [-- OPTIONS]
{
    name=$1 tolerance=$2 ways=$3 cuda="--arch $ARCH"
    shift 3
    words=
    while [ $# -gt 0 ]; do
        [ "$1" != -- ] || { shift && cuda=$* && break; }
        words="$words $1"
        shift
    done
    ids=100.i32
    case ,$ways, in *,lengths,*) ids=1000.i32 ;; esac
    batch=$(echo "$ways" | tr , '\n' | sed -n 's/^batch//p' | sort -n | tail -n 1)
    # shellcheck disable=SC2086  # lists of words
    gpu_program "$name" tests/gpu/small.yaml --random 3 $words --batch "${batch:-1}" $cuda || return 0
    # shellcheck disable=SC2086
    cpu_program "$name" tests/gpu/small.yaml --random 3 $words
    "$reference" --tokens "$dir/$ids" --logits "$dir/$name.f32" -q &&
        "$reference" --tokens "$dir/100.i32" --generate 16 -q >"$dir/$name.ids" &&
        cp -f "$dir/100.i32" "$dir/$name.prompt" || exit 1
    rm -rf "$(dirname "$reference")"
    echo "$tolerance $ways $weights $ids $name.f32" >"$dir/$name.case"
}

# A golden family: logits and greedy ids are those of Hugging Face transformers.
golden_case() # FAMILY DTYPE TOLERANCE WAYS
{
    name=golden-$1-$2 golden=tests/golden/$1
    "$SINTER" import "$golden" -o "$work/$1.yaml" 2>/dev/null || return 0
    gpu_program "$name" "$work/$1.yaml" --weights "$golden" --dtype "$2" --batch 2 --chunk 32 \
        --arch "$ARCH" || return 0
    cp -f "$golden/tokens.i32" "$dir/$1.i32"
    cp -f "$golden/logits.f32" "$dir/$1.f32"
    head -c -64 "$dir/$1.i32" >"$dir/$name.prompt"
    tail -c 64 "$dir/$1.i32" | od -An -v -w64 -td4 >"$dir/$name.ids"
    echo "$3 $4 $weights $1.i32 $1.f32" >"$dir/$name.case"
}

tales_case() # NAME OPTIONS
{
    name=$1
    shift
    gpu_program "$name" model_specs/tinytales.yaml --weights examples/tinytales "$@" --batch 4 \
        --arch "$ARCH" || return 0
    cpu_program "$name" model_specs/tinytales.yaml --weights examples/tinytales "$@"
    bits=$("$reference" eval examples/tinytales/heldout.txt --json -q |
        sed 's/.*"bits_per_byte": \([0-9.]*\).*/\1/')
    rm -rf "$(dirname "$reference")"
    echo "$bits $weights" >"$dir/$name.eval"
}

random_ids() # COUNT SEED
{
    awk -v n="$1" -v seed="$2" 'BEGIN {
        srand(seed)
        for (i = 0; i < n; i++) printf "\\%03o\\000\\000\\000", int(rand() * 120)
    }' | xargs -0 printf >"$dir/$1.i32"
}

mkdir -p "$dir"
random_ids 1000 11
head -c 400 "$dir/1000.i32" >"$dir/100.i32"
grep '^[^#]' tests/gpu/cases.txt | while read -r line; do
    # shellcheck disable=SC2086
    wanted ${line%% *} "$@" && small_case $line </dev/null
done
for golden in tests/golden/*/tokens.i32; do
    family=$(basename "$(dirname "$golden")")
    if wanted "golden-$family" "$@"; then
        golden_case "$family" f32 1e-4 prefill,decode,batch2,ids
        golden_case "$family" bf16 2e-2 prefill,decode,batch2
    fi
done
if wanted tinytales "$@"; then
    tales_case tinytales
    tales_case tinytales-int8 --quant int8+head
    tales_case tinytales-int4z --quant int4z/32
    tales_case tinytales-kv8 --quant none+kv8
fi
set -- "$dir"/*.case "$dir"/*.eval
echo "$# cases, $(du -sm "$dir" | cut -f 1) MB in $dir"
[ ! -e "$failed" ]
