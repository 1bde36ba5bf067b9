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
#   NAME.mlp        TOLERANCE WIDTH WEIGHTS, of an MLP alone; NAME.rows are fed, NAME.f32 is expected
#   NAME.device     device.c with the sources of a program: what the device draws and makes at random
#   NAME.stall      what NAME, whose step waits for a value that never comes, is to say
#   NAME.eval       BITS WEIGHTS: bits per byte that the C target finds in tinytales' held-out text
#
# Cases that are there already and not chosen stay. JOBS: how many are made at once, else 1.
set -u
cd "$(dirname "$0")/../.." || exit 2
dir=$1
shift
ARCH=${ARCH:-sm_80,sm_90a}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export SINTER ARCH dir work

# chosen WORD...: of lines `KIND NAME ...` those whose name has one of the words in it.
chosen()
{
    awk -v words="$*" '
        BEGIN { n = split(words, word, " ") }
        { found = n == 0; for (i = 1; i <= n; i++) found = found || index($2, word[i]) }
        found'
}

list()
{
    cat <<'END'
tales tinytales
tales tinytales-int8 --quant int8+head
tales tinytales-int4z --quant int4z/32
tales tinytales-kv8 --quant none+kv8
device device-bf16 --quant none
device device-f16-int4z --quant int4z/32 --dtype f16
device device-f32-int8 --quant int8 --dtype f32
device device-vocab --set vocab=100003
device device-stream --set d_model=512 --set d_ff=512 --set heads=8 --set kv_heads=4 --decode stream
device device-stream-int8 --set d_model=1024 --set d_ff=1024 --set heads=8 --set kv_heads=2 --quant int8+head --decode stream
stall stall-q
stall stall-splits
stall stall-x
stall stall-ids
stall stall-sums
stall stall-mlp
stall stall-mlp-sums
mlp mlp-split 1e-3 --set d_model=512 --set d_ff=2048
mlp mlp-long 1e-3 --set d_model=1024 --set d_ff=3072
mlp mlp-few 1e-3 --set d_model=256 --set d_ff=256
mlp mlp-gelu 1e-3 --set d_model=512 --set d_ff=1536 --set mlp.activation=gelu_tanh
END
    for golden in tests/golden/*/tokens.i32; do
        family=$(basename "$(dirname "$golden")")
        echo "golden golden-$family-f32 $family f32 1e-4 prefill,decode,batch2,ids"
        echo "golden golden-$family-bf16 $family bf16 2e-2 prefill,decode,batch2"
    done
    sed -n 's/^[^#]/small &/p' tests/gpu/cases.txt
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
list | chosen "$@" | xargs -r -P "${JOBS:-1}" -L 1 sh tests/gpu/case.sh
status=$?
n=$(find "$dir" -name '*.case' -o -name '*.eval' -o -name '*.device' -o -name '*.stall' -o -name '*.mlp' | wc -l)
echo "$n cases, $(du -sm "$dir" | cut -f 1) MB in $dir"
[ $status = 0 ]
