#!/bin/sh
# The figures that people check by hand, from their formulas and not from stored text.
set -u

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
ffn=tests/inspect/ffn-4096x2048.yaml
dense=model_specs/dense-32b-int8.yaml

# same WHAT FOUND EXPECTED
same()
{
    if [ "$2" = "$3" ]; then
        echo "ok - $1: $3"
    else
        echo "not ok - $1: $2, expected $3"
    fi
}

# ops FILE NAME: lines of a graph that use the operator.
ops()
{
    grep -cE "^  %[^=]*= $2 " "$1"
}

inspect()
{
    "$SINTER" inspect "$@" || echo "not ok - inspect $*"
}

# ---- a gated FFN: 3 matmuls and 2 elementwise operators -> 2 matmuls -> 2 kernels ----
inspect $ffn -T 4 --after build >"$tmp/build"
same "matmuls of a gated FFN" "$(ops "$tmp/build" matmul)" 3
same "its elementwise operators" "$(ops "$tmp/build" '(silu|mul)')" 2
inspect $ffn -T 4 --fusion mlp=elementwise >"$tmp/elementwise"
same "matmuls when gate and up are one" "$(ops "$tmp/elementwise" matmul)" 2
same "then gate and up are" "$(grep -c 'concat_rows @gate, @up' "$tmp/elementwise")" 1
inspect $ffn -T 4 --fusion mlp=epilogue >"$tmp/epilogue"
same "kernels with the epilogue strategy" "$(ops "$tmp/epilogue" '(matmul|silu|mul|map|split)')" 2
inspect $ffn -T 4 --ledger >"$tmp/ledger"
same "the ledger's count" "$(sed -n 's/^@ffn, 1 fired: kernels \([^,]*\),.*/\1/p' "$tmp/ledger")" "5 -> 2"

# ---- traffic between the matmuls: M tokens, N = d_ff, 2 bytes a number ----
m=4 n=2048
mn=$((2 * m * n))
# sum STRATEGY: bytes of its part of the table
sum()
{
    awk -v s="$1" '$1 ~ /^(none|elementwise|epilogue)$/ { in_it = $1 == s }
                   in_it && $1 == "sum" { print $2 }' "$tmp/ledger"
}
# g, u and act are written and read, h is written
same "bytes of none" "$(sum none)" $((7 * mn))
# the merged result is written (2MN) and read (2MN), h is written (MN)
same "bytes of elementwise" "$(sum elementwise)" $((2 * mn + 2 * mn + mn))
same "bytes of epilogue" "$(sum epilogue)" "$mn"
same "bytes of elementwise, as a number" "$(sum elementwise)" 81920
same "bytes of epilogue, as a number" "$(sum epilogue)" 16384

# ---- dense-32b-int8 in decode ----
# weights of a layer: int8 codes of q k v o gate up down, an f32 scale for each of their rows; the
# two norms' gains are in the weights
d=7168 ff=28672 q=7168 kv=1024
codes=$((d * (q + 2 * kv) + q * d + 2 * ff * d + d * ff))
scales=$((4 * (q + 2 * kv + d + 2 * ff + d)))
layer=$((codes + scales))
# the rest: one row of the embedding a token, the head in bf16, the last norm, RoPE frequencies
vocab=65536 head_dim=128
# shellcheck disable=SC2034  # in $(( ))
rest=$((2 * d * vocab + 2 * d + 4 * (head_dim / 2)))
for t in 1 8; do
    inspect $dense -T $t --cost --device h200 >"$tmp/cost$t"
    total=$(sed -n 's/^  exactly \([0-9]*\) bytes of weights.*/\1/p' "$tmp/cost$t")
    same "weight bytes of a step, T = $t" "$total" $((42 * layer + rest + t * 2 * d))
    per_token=$(sed -n 's/^  exactly .* weights; \([0-9]*\) a token/\1/p' "$tmp/cost$t")
    same "weight bytes of a token, T = $t" "$per_token" $((total / t))
    # FLOP/B of the int8 matmuls of the layer: 2T within one percent
    awk '/^@/ { layer = /^@layer/ } layer && /^  matmul/' "$tmp/cost$t" >"$tmp/matmuls"
    same "int8 matmuls of the layer, T = $t" "$(wc -l <"$tmp/matmuls" | tr -d ' ')" 4
    awk -v t=$t '{ if ($8 < 1.98 * t || $8 > 2 * t) print }' "$tmp/matmuls" >"$tmp/off"
    same "those not at about $((2 * t)) FLOP a weight byte" "$(wc -l <"$tmp/off" | tr -d ' ')" 0
    same "those bound by memory on h200, T = $t" "$(grep -c ' memory ' "$tmp/matmuls")" 4
done
same "weight MB of a layer" \
    "$(awk '/^@/ { layer = /^@layer/ } layer && /sum of one/ { print $4 }' "$tmp/cost1")" \
    "$(awk -v b=$layer 'BEGIN { printf "%.3f", b / 1e6 }')"

# from the T that the table names, the same kernel is bound by arithmetic, and not before
from=$(awk '/^  matmul %h/ { print $NF }' "$tmp/cost8")
for t in $((from - 1)) "$from"; do
    inspect $dense --phase prefill -T "$t" --cost --device h200 >"$tmp/at$t"
done
bound='/^  matmul %h/ { print ($0 ~ / arithmetic T/) ? "arithmetic" : "memory" }'
same "gate_up at T = $((from - 1))" "$(awk "$bound" "$tmp/at$((from - 1))")" memory
same "gate_up at T = $from" "$(awk "$bound" "$tmp/at$from")" arithmetic
