#!/bin/sh
# Emitted sources are for people: whatever the scheme, no line of code has more than 100 columns,
# comments behind it not counted. Strings are left as they are.
set -u
. tests/lib/tap.sh

long_lines() # FILE
{
    awk '{ code = $0; gsub(/ *\/\*[^*]*\*\//, "", code) }
         length(code) > 100 && !/"/ { print FILENAME ":" FNR ": " $0; bad = 1 }
         END { exit bad }' "$1"
}

narrow() # NAME OPTIONS...
{
    name=$1
    shift
    "$SINTER" compile model_specs/llama-3.2-1b.yaml --emit src -o "$work/$name" "$@" &&
        for file in "$work/$name"/llama-3.2-1b.c*; do
            long_lines "$file" || return 1
        done
}

for scheme in none int8+head int8+head+a8 int4/32+head int4/128+a8+kv8 int4z/32+head; do
    for cpu in avx512 avx2 portable; do
        check "$scheme for $cpu" narrow c "--quant" $scheme --cpu $cpu
    done
done
for scheme in none int8+head int8+a8+kv8 int4/32+head int4z/64 fp8+afp8; do
    check "$scheme for GPUs" narrow cuda "--quant" $scheme --target cuda --arch sm_90a
done
