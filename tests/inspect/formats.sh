#!/bin/sh
# What the machine-readable views hold: json, html, dot and svg, and the times of the passes.
set -u

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

check()
{
    name=$1
    shift
    if "$@" >"$tmp/why" 2>&1; then
        echo "ok - $name"
    else
        echo "not ok - $name"
        head -n 20 "$tmp/why" | sed 's/^/# /'
    fi
}

"$SINTER" inspect model_specs/llama-3-8b.yaml --quant int4 --device h200 --format json -o "$tmp/x.json"
"$SINTER" inspect model_specs/llama-3-8b.yaml --quant int4 --device h200 --format html -o "$tmp/x.html"
check "json: steps, ledger, kernels" python3 tests/inspect/lib/json_check.py "$tmp/x.json"
check "html: balanced, self-contained, one step a pass" python3 tests/inspect/lib/html_check.py "$tmp/x.html"

for spec in ffn-only gpt2 phi-3-mini dense-32b-int8; do
    "$SINTER" inspect model_specs/$spec.yaml --format html -o "$tmp/$spec.html"
    check "html of $spec" python3 tests/inspect/lib/html_check.py "$tmp/$spec.html"
done

if command -v dot >/dev/null; then
    "$SINTER" inspect model_specs/tinytales.yaml --format svg -o "$tmp/x.svg"
    check "svg is XML with a node for every kernel" python3 -c '
import sys, xml.etree.ElementTree as tree
text = "".join(tree.parse(sys.argv[1]).getroot().itertext())
for word in "@embed", "@layer, 4 times", "@head", "matmul_qkv", "attention", "%logits":
    assert word in text, word
' "$tmp/x.svg"
    for spec in model_specs/*.yaml; do
        "$SINTER" inspect "$spec" --format dot -o "$tmp/x.dot"
        check "dot of $(basename "$spec" .yaml) is a graph" dot -Tcanon -o /dev/null "$tmp/x.dot"
    done
else
    echo "ok - svg # SKIP graphviz is not installed"
fi
# without Graphviz on the path: exit code 2, and what to install
mkdir "$tmp/bin"
message=$(PATH=$tmp/bin "$SINTER" inspect model_specs/ffn-only.yaml --format svg 2>&1)
code=$?
check "svg without Graphviz is exit code 2" [ $code = 2 ]
check "and says what to install" sh -c 'case $1 in *"install graphviz"*) ;; *) echo "$1"; exit 1 ;; esac' - "$message"

passes=$("$SINTER" inspect model_specs/tinytales.yaml --time-passes)
check "times of all passes" [ "$(printf '%s\n' "$passes" | grep -cE '^  [a-z_]+ +[0-9]+ changes? +[0-9.]+ ms$')" = 20 ]

# the same input gives the same bytes
"$SINTER" inspect model_specs/llama-3-8b.yaml --quant int4 --device h200 --format html -o "$tmp/y.html"
check "html is the same from run to run" cmp "$tmp/x.html" "$tmp/y.html"
