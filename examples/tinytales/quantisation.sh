#!/bin/sh
# What each quantisation scheme costs on a trained model: compiles tinytales in each, asks for the
# bits per byte of the held-out text, prints a table.
#
#   sh examples/tinytales/quantisation.sh [-b BYTES] [SCHEME...]
#
#   BYTES     only so many of the held-out text's first bytes
#   SCHEME    f32, bf16, f16, or what `sinter compile --quant` takes; default: those of
#             docs/quantisation.md. The difference is from bf16, which is always measured.
#
# SINTER is the compiler, default build/release/bin/sinter.
set -u

cd "$(dirname "$0")/../.." || exit 2
SINTER=${SINTER:-build/release/bin/sinter}
text=examples/tinytales/heldout.txt
parameters=3541248
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ "${1:-}" = -b ]; then
    head -c "$2" $text >"$work/text"
    text=$work/text
    shift 2
fi
if [ $# = 0 ]; then
    set -- f32 f16
    for scheme in int8 int8+a8 int4/128 int4/64 int4/32 int4z/128 int4z/32 int4/32+a8 fp8 fp8+afp8 int8+kv8; do
        set -- "$@" $scheme $scheme+head
    done
    set -- "$@" none+kv8 fp8+kvfp8 none+kvfp8
fi

number() { sed "s/.*\"$1\": \([0-9.]*\).*/\1/" "$2"; }

# measure SCHEME: "weights' bytes, bits per byte" into $work/SCHEME.
measure()
{
    case $1 in
    f32 | bf16 | f16) options="--dtype $1" ;;
    *) options="--quant $1" ;;
    esac
    # shellcheck disable=SC2086
    "$SINTER" compile model_specs/tinytales.yaml --weights examples/tinytales --batch 1 $options \
        -o "$work/program" >"$work/log" 2>&1 &&
        "$work/program/tinytales" eval "$text" --json -q >"$work/eval" 2>>"$work/log" &&
        "$work/program/tinytales" info --json >"$work/info" || {
        echo "$1 failed:" >&2
        cat "$work/log" >&2
        exit 2
    }
    echo "$(number weights_bytes "$work/info") $(number bits_per_byte "$work/eval")" >"$work/figures"
}

row()
{
    awk -v scheme="$1" -v n=$parameters -v base="$base" '{
        printf "| %-15s | %5.2f | %5.2f | %.4f | %+6.2f %% |\n", scheme, $1 * 8 / n, $1 / 1e6, $2,
            ($2 / base - 1) * 100 }' "$work/figures"
}

measure bf16
base=$(cut -d ' ' -f 2 "$work/figures")
echo "| scheme          | bits a weight | MB | bits per byte | difference |"
echo "| --------------- | ----- | ----- | ------ | -------- |"
row bf16
for scheme in "$@"; do
    measure "$scheme"
    row "$scheme"
done
