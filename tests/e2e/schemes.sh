#!/bin/sh
# What quantisation costs on the shipped model, within generous bounds: bits per byte of the first
# 20 kB of the held-out text against those of bf16, and bits per weight with scales and zero points.
# docs/quantisation.md has the whole table.
set -u
. tests/lib/tap.sh

# limits, one a line: scheme, most difference in percent, most bits per weight
cat >"$work/limits" <<'END'
f32 0.1 32.1
f16 0.1 16.1
int8+head 0.5 8.2
int8+a8 0.6 9.4
int4/128+head 6 4.4
int4/32 4 6.8
int4z/32+head 3 5.4
int4/32+a8 5 6.8
fp8 0.6 9.4
fp8+afp8+head 1 8.2
none+kv8 0.2 16.1
none+kvfp8 0.6 16.1
END

# shellcheck disable=SC2046
sh examples/tinytales/quantisation.sh -b 20000 $(cut -d ' ' -f 1 "$work/limits") >"$work/table" 2>"$work/log" || {
    echo "not ok - every scheme compiles and evaluates"
    sed 's/^/# /' "$work/log"
    exit 0
}
[ -z "${SINTER_VERBOSE:-}" ] || sed 's/^/# /' "$work/table"

within()
{
    tr -d '|%' <"$work/table" | awk -v scheme="$1" -v most="$2" -v bits="$3" '
        $1 == scheme { print; found = $5 <= most && $5 > -most && $2 <= bits }
        END { exit !found }'
}
while read -r scheme most bits; do
    check "$scheme: at most $most % from bf16, $bits bits a weight" within "$scheme" "$most" "$bits"
done <"$work/limits"

better()
{
    tr -d '|%' <"$work/table" | awk -v x="$1" -v y="$2" '{ v[$1] = $4 } END { exit !(v[x] < v[y]) }'
}
check "smaller groups are better" better int4/32 int4/128+head
check "zero points are better" better int4z/32+head int4/32+a8
check "eight bits are better than four" better int8+head int4z/32+head
