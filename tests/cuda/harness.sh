#!/bin/sh
# tests/gpu.sh where there is no GPU: it says so; what it asks of a program is answered rightly by
# one for the CPU, and a wrong answer is found.
set -u
. tests/lib/tap.sh

says_no_gpu()
{
    sh tests/gpu.sh run "$work" >"$work/out" && grep -q "no GPU here: nothing was run" "$work/out"
}

if [ -e /dev/nvidia0 ]; then
    skip "without a GPU" "there is one here"
else
    check "without a GPU" says_no_gpu
fi

# the program for the CPU in the place of one for GPUs, itself the reference
prepare()
{
    dir=$work/cases
    mkdir -p "$dir"
    "$SINTER" compile tests/gpu/small.yaml --random 3 --batch 2 -o "$work/made" || return 1
    mv "$work/made/small" "$dir/small" && mv "$work/made/small.weights" "$dir/w.weights" &&
        printf '\005\000\000\000\143\000\000\000\007\000\000\000\005\000\000\000' >"$dir/ids.i32" &&
        cp "$dir/ids.i32" "$dir/small.prompt" &&
        "$dir/small" --weights "$dir/w.weights" --tokens "$dir/ids.i32" --logits "$dir/want.f32" -q &&
        "$dir/small" --weights "$dir/w.weights" --tokens "$dir/ids.i32" --generate 5 -q \
            >"$dir/small.ids" &&
        echo "2e-2 prefill,decode,batch2,batch3,ids w.weights ids.i32 want.f32" >"$dir/small.case"
}

# finds COUNT: that many wrong answers
finds()
{
    python3 tests/gpu/run.py "$work/cases" >"$work/out"
    grep -q "^$1 of 6 answers are wrong" "$work/out" || {
        cat "$work/out"
        return 1
    }
}

check "programs are prepared" prepare
check "every answer is right" finds 0
check "the stress run agrees" python3 tests/gpu/run.py --long "$work/cases"
echo "1 2 3 4 5" >"$work/cases/small.ids"
check "other ids are found" finds 2
head -c 480 "$work/cases/want.f32" | tr '\0-\377' '\1-\377\0' >"$work/first" &&
    tail -c +481 "$work/cases/want.f32" >>"$work/first" && mv "$work/first" "$work/cases/want.f32"
check "other logits are found" finds 6
rm -f "$work/cases/w.weights"
check "a program that fails is found" finds 6
