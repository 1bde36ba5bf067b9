#!/bin/sh
# The decode step as one kernel in `inspect --cost`: bytes of its phases from their formulas, what a
# profile adds, and what is said when there is none.
set -u
. tests/lib/tap.sh

spec=model_specs/llama-3.2-1b.yaml
look() { "$SINTER" inspect $spec --target cuda --cost --device h200 "$@"; }
# mb PHASE COLUMN: a size of the table, in MB.
mb() { awk -v p="$1" -v c="$2" '$1 == p { u = $(c + 1); print $c * (u == "GB" ? 1e3 : u == "kB" ? 1e-3 : 1) }' "$work/table"; }
near() { awk -v a="$1" -v b="$2" 'BEGIN { d = a - b; exit !(b > 0 && d < 2e-3 * b && d > -2e-3 * b) }' || { echo "$1, expected $2" && return 1; }; }

look >"$work/all" && sed -n '/^its stream/,$p' "$work/all" >"$work/table"
d=2048 ff=8192 q=2048 kv=512 vocab=128256
check "bytes of qkv" near "$(mb qkv 3)" "$(awk "BEGIN { print 16 * 2 * ($q + 2 * $kv) * $d / 1e6 }")"
check "of o" near "$(mb o 3)" "$(awk "BEGIN { print 16 * 2 * $q * $d / 1e6 }")"
check "of gate_up" near "$(mb gate_up 3)" "$(awk "BEGIN { print 16 * 4 * $ff * $d / 1e6 }")"
check "of down" near "$(mb down 3)" "$(awk "BEGIN { print 16 * 2 * $ff * $d / 1e6 }")"
check "of the head" near "$(mb head 3)" "$(awk "BEGIN { print 2 * $vocab * $d / 1e6 }")"
check "of caches of 128 positions" near "$(mb attention 3)" "$(awk "BEGIN { print 16 * 4 * $kv * 128 / 1e6 }")"
check "attention: 132 times the mean is all" near "$(awk "BEGIN { print 132 * $(mb attention 5) }")" "$(mb attention 3)"
for phase in qkv o gate_up down head sum; do
    check "$phase: 132 times the mean is all" near "$(awk "BEGIN { print 132 * $(mb $phase 5) }")" "$(mb $phase 3)"
    check "$phase: one has more than the mean, by less than a tenth" \
        awk "BEGIN { exit !($(mb $phase 7) >= $(mb $phase 5) && $(mb $phase 7) < 1.1 * $(mb $phase 5)) }"
done

# a profile: numbers that nothing else prints
cat >"$work/profile" <<'END'
{"model": "llama-3.2-1b", "results": [{"test": "pp512"}, {"test": "tg9@7", "phases": [
{"phase": "qkv", "seconds": 1e-5, "for_x": 2e-6, "for_weights": 3e-6, "for_sums": 1e-6, "computing": 4e-6},
{"phase": "attention", "seconds": 2e-5, "for_x": 0, "for_weights": 0, "for_sums": 0, "computing": 2e-5},
{"phase": "o", "seconds": 3e-5, "for_x": 0, "for_weights": 0, "for_sums": 0, "computing": 3e-5},
{"phase": "gate_up", "seconds": 4e-5, "for_x": 0, "for_weights": 0, "for_sums": 0, "computing": 4e-5},
{"phase": "down", "seconds": 5e-5, "for_x": 0, "for_weights": 0, "for_sums": 0, "computing": 5e-5},
{"phase": "head", "seconds": 12345e-8, "for_x": 0, "for_weights": 0, "for_sums": 0, "computing": 6e-5}]}]}
END
measured()
{
    look --profile "$work/profile" >"$work/out" && grep -q 'measured in tg9@7$' "$work/out" &&
        grep -q '^  qkv .* |     10.00     2.00     3.00     1.00      4.00$' "$work/out" &&
        grep -q '^  sum .* |    273.45 ' "$work/out" || {
        cat "$work/out"
        return 1
    }
}
check "measured beside predicted" measured
sed 's/llama-3.2-1b/llama-3-8b/' "$work/profile" >"$work/other"
echo '{"model": "llama-3.2-1b", "results": [{"test": "tg9"}]}' >"$work/chain"
echo 'ms/token' >"$work/text"
refused "a profile of another model" 1 look --profile "$work/other" -- "'llama-3-8b', not of 'llama-3.2-1b'"
refused "a profile without phases" 1 look --profile "$work/chain" -- "--stamps"
refused "no profile" 1 look --profile "$work/text" -- "x bench --profile --json"
refused "no such file" 1 look --profile "$work/none" -- "none"
refused "a profile and no step of one kernel" 1 "$SINTER" inspect $spec --cost --device h200 \
    --profile "$work/profile" -- "--target cuda and --device"
refused "a profile and a chain" 1 "$SINTER" inspect model_specs/gpt2.yaml --target cuda --cost \
    --device h200 --profile "$work/profile" -- "a chain of kernels"
