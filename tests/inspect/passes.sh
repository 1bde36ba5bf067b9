#!/bin/sh
# --dump-after, --time-passes and --ledger of `opt` and `compile`.
set -u

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# same WHAT FOUND EXPECTED
same()
{
    if [ "$2" = "$3" ]; then
        echo "ok - $1"
    else
        echo "not ok - $1: $2, expected $3"
    fi
}

"$SINTER" opt tests/ir/llama.ir --passes all --dump-after all -o "$tmp/all" >"$tmp/result.ir"
dir=$tmp/all/passes/decode-2
same "opt: one file a pass" "$(find "$dir" -type f | wc -l | tr -d ' ')" 20
same "opt: a pass that changed nothing" "$(cat "$dir/05-cse.ir")" "# (unchanged)"
"$SINTER" opt "$dir/14-attention.ir" >"$tmp/again.ir"
same "opt: a dump reads back" "$(cat "$tmp/again.ir")" "$(cat "$dir/14-attention.ir")"
"$SINTER" opt tests/ir/llama.ir --passes all --dump-after layout -o "$tmp/one" >/dev/null
same "opt: one pass alone" "$(cd "$tmp/one/passes" && find . -type f)" "./decode-2/17-layout.ir"
times=$("$SINTER" opt tests/ir/llama.ir --passes attention,dce --time-passes)
same "opt: times of the passes that ran" "$(echo "$times" | grep -c ' changes .* ms$')" 2

"$SINTER" compile model_specs/tinytales.yaml --emit src --batch 2 --dump-after glu --time-passes \
    -o "$tmp/compile" >"$tmp/times"
same "compile: a folder for each module" "$(cd "$tmp/compile/passes" && find . -type f | sort | tr '\n' ' ')" \
    "./decode-1/09-glu.ir ./decode-2/09-glu.ir ./prefill-256/09-glu.ir "
same "compile: times of three modules" "$(grep -c ' changes .* ms$' "$tmp/times")" 60
message=$("$SINTER" opt tests/ir/llama.ir --passes all --dump-after glue 2>&1 >/dev/null)
same "an unknown pass" "$message" "error: there is no pass 'glue'; did you mean glu"
