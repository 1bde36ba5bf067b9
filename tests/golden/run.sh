#!/bin/sh
# Every golden model through the whole road: import, compile for every fusion setting in f32 and
# bf16, pack, run; logits and greedy ids against those of Hugging Face transformers.
#
#   sh tests/golden/run.sh [FAMILY...]
set -u

cd "$(dirname "$0")/../.." || exit 2
: "${SINTER:=$PWD/build/ci/bin/sinter}"
CC=${CC:-cc}
families=${*:-llama2 llama3 mistral qwen2 qwen3 phi3 gpt2 opt opt_post}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export SINTER CC tmp
jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)

for family in $families; do
    echo "$family"
done | xargs -P "$jobs" -I % sh -c 'sh tests/golden/tools/family.sh % >"$tmp/%.out" 2>&1'
for family in $families; do
    cat "$tmp/$family.out"
done
