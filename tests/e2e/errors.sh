#!/bin/sh
# Bad input from one end to the other: an exit code, a message with place and remedy, and nothing
# half-written. (What is wrong inside a spec, IR text or rules is in tests/error.)
set -u
. tests/lib/tap.sh

spec=model_specs/tinytales.yaml
model=examples/tinytales/model.safetensors

# no_file NAME PATH...: none of them is there.
no_file()
{
    name=$1
    shift
    check "$name" test -z "$(ls -A "$@" 2>/dev/null)"
}

raw_ids()
{
    python3 -c 'import array, sys
array.array("i", map(int, sys.argv[2:])).tofile(open(sys.argv[1], "wb"))' "$@"
}

# ---- checkpoints

mkdir "$work/out"
# bad_checkpoint KIND WORDS...
bad_checkpoint()
{
    kind=$1
    shift
    python3 tests/e2e/broken.py "$kind" $model "$work/bad.safetensors"
    refused "checkpoint: $kind" 1 "${SINTER_ASAN:-$SINTER}" pack $spec $quant --weights "$work/bad.safetensors" \
        -o "$work/out/x.weights" -- "$work/bad.safetensors" "$@"
}
quant=
gate=model.layers.2.mlp.gate_proj.weight
bad_checkpoint missing "weight layers.2.gate is missing" "'$gate'" "nearest name"
bad_checkpoint shape "'$gate' has shape [256, 768]" "needs [768, 256] for gate"
bad_checkpoint dtype "'model.norm.weight' has dtype I8" "F32, BF16 or F16"
bad_checkpoint int_dtype "'model.norm.weight' has dtype I16" "F32, BF16 or F16"
bad_checkpoint dtype_name "unknown dtype 'BF17'"
bad_checkpoint truncated "truncated or damaged"
bad_checkpoint outside "'model.norm.weight' ends at byte"
bad_checkpoint negative "'model.norm.weight' has no valid data_offsets"
bad_checkpoint overlap "'model.embed_tokens.weight' and 'model.norm.weight' overlap"
bad_checkpoint size "512 bytes of data, but its shape needs 1024"
bad_checkpoint overflow "'model.norm.weight' has an impossible shape"
bad_checkpoint nan "'model.norm.weight'" "[3]"
bad_checkpoint empty "0 bytes are too few"
bad_checkpoint huge_header "the header claims 4611686018427387904 bytes"
bad_checkpoint not_json "not valid JSON"
bad_checkpoint duplicate "duplicate" "model.norm.weight"
quant='--quant int4/32'
bad_checkpoint large "a number of layers.2.down_scale at [0, 0] is too large for f16" "quant.group 0"
bad_checkpoint tiny "all of layers.2.down_scale are below 9.5e-07, too small for f16" "quant.group 0"
no_file "no weights were left by any of them" "$work/out"

refused "checkpoint: not there" 1 "$SINTER" pack $spec --weights "$work/none" -o "$work/out/x" -- "$work/none"
refused "checkpoint: a folder without one" 1 "$SINTER" pack $spec --weights model_specs \
    -o "$work/out/x" -- "neither model.safetensors nor model.safetensors.index.json"
refused "checkpoint: of another model" 1 "$SINTER" pack model_specs/llama-3.2-1b.yaml \
    --weights examples/tinytales -o "$work/out/x" -- "[2048, 256]" "needs [128256, 2048]"
refused "pack: nothing to pack" 1 "$SINTER" pack $spec -o "$work/out/x" -- "--weights" "--random"

# ---- places that cannot be written

refused "pack: into a folder that is not there" 1 "$SINTER" pack $spec --random 1 \
    -o "$work/none/x.weights" -- "$work/none/x.weights"
touch "$work/file"
refused "compile: into a file" 2 "$SINTER" compile $spec --emit src -o "$work/file" -- "$work/file"
refused "compile: into a folder of the system" 2 "$SINTER" compile $spec --emit src -o /proc/none -- \
    "/proc/none"

# SIGXFSZ is ignored, so that writing beyond the limit fails as it does on a full disk.
limited() { (trap '' XFSZ && ulimit -f 2000 && "$@"); }
refused "pack: no room, by a limit" 1 limited "$SINTER" pack $spec --random 1 -o "$work/out/x.weights" -- \
    "$work/out/x.weights" "the file needs 7.1 MB" "free some space"
no_file "nothing was left by them" "$work/out"

mkdir "$work/disk"
if [ "$(id -u)" = 0 ] && mount -t tmpfs -o size=3m none "$work/disk" 2>/dev/null; then
    refused "pack: disk full" 1 "$SINTER" pack $spec --random 1 -o "$work/disk/x.weights" -- \
        "No space left" "the file needs 7.1 MB"
    no_file "disk full: nothing was left" "$work/disk"
    umount "$work/disk"
    mount -t tmpfs -o size=200k none "$work/disk"
    refused "compile: disk full" 2 "$SINTER" compile $spec --emit src -o "$work/disk" -- "No space left"
    check "disk full: what is there is whole" test -z "$(find "$work/disk" -name '*.tmp' -o -size 0 -type f)"
    umount "$work/disk"
else
    skip "pack: disk full" "a small file system cannot be mounted here"
fi

# ---- compilers

refused "no compiler" 2 env PATH=/nonexistent CC= "$SINTER" compile $spec -o "$work/nocc" -- \
    "cannot find a C compiler" "install gcc" "--emit src"
refused "a compiler that is not there" 2 env CC=/none/cc "$SINTER" compile $spec -o "$work/nocc" -- \
    "/none/cc" "install gcc"
refused "a compiler that fails" 2 env CC=false "$SINTER" compile $spec -o "$work/nocc" -- "this command failed"
no_file "no program was left by them" "$work"/nocc/tinytales "$work"/nocc/*.so "$work"/nocc/.build*
check "the sources are there, to be compiled elsewhere" test -s "$work/nocc/tinytales.c"

# ---- command line of sinter

refused "an unknown option" 1 "$SINTER" compile $spec --contxt 9 -- "'--contxt'" "did you mean --context?"
refused "an unknown command" 1 "$SINTER" cmpile $spec -- "'cmpile'" "did you mean 'compile'?"
refused "no operand" 1 "$SINTER" compile -- "SPEC.yaml"
refused "two operands" 1 "$SINTER" compile $spec more -- "'more'"
refused "a spec that is not there" 1 "$SINTER" compile none.yaml -- "none.yaml" "No such file"
refused "--emit" 1 "$SINTER" compile $spec --emit asm -o "$work/out" -- "binary or src" "'asm'"
refused "--quant" 1 "$SINTER" compile $spec --quant int3 -- "none, int8, int4" "'int3'"
refused "--quant with a group that does not divide" 1 "$SINTER" compile $spec --quant int4/96 -- \
    "quant.group (96)" "d_model (256)"
refused "--dtype" 1 "$SINTER" compile $spec --dtype fp32 -- "'fp32'" "f32, bf16, f16"
refused "--cpu" 1 "$SINTER" compile $spec --cpu avx3 -- "'avx3'" "avx512, avx512-base, avx2, neon-dot, neon, portable"
refused "--target" 1 "$SINTER" compile $spec --target tpu -- "'tpu'"
refused "--batch" 1 "$SINTER" compile $spec --batch 9 -- "1 to 8"
refused "--chunk" 1 "$SINTER" compile $spec --chunk 0 -- "--chunk" "'0'"
refused "--set" 1 "$SINTER" compile $spec --set kvheads=2 -- "'kvheads'" "did you mean 'kv_heads'?"
refused "--set that breaks a rule of the spec" 1 "$SINTER" compile $spec --set kv_heads=3 -- \
    "$spec:6:8" "heads (8) is not a multiple of kv_heads (3)"
no_file "and still nothing was left" "$work/out"

# ---- the program: what it is asked

program tinytales $tales || {
    echo "not ok - tinytales compiles"
    exit 1
}
tt=$programs/tinytales/tinytales
weights=$programs/tinytales/tinytales.weights

raw_ids "$work/high" 0 5 2048
raw_ids "$work/negative" 0 -1 5
# shellcheck disable=SC2046
raw_ids "$work/long" $(seq 1 513)
# shellcheck disable=SC2046
raw_ids "$work/full" $(seq 1 511)
printf abc >"$work/odd"
head -c 6000 examples/tinytales/heldout.txt >"$work/long.txt"
refused "an id that is too large" 1 "$tt" --tokens "$work/high" --generate 3 -- \
    "id 2048 at index 2 is out of range" "0 to 2047"
refused "a negative id" 1 "$tt" --tokens "$work/negative" --logits "$work/out/l" -- "id -1 at index 1"
refused "more ids than the context holds" 1 "$tt" --tokens "$work/long" --logits "$work/out/l" -- \
    "context exceeded" "it holds 512"
refused "more ids, one by one" 1 "$tt" --tokens "$work/long" --logits "$work/out/l" --decode -- \
    "context exceeded"
refused "more ids, in two sequences" 1 "$tt" --tokens "$work/long" --logits "$work/out/l" --batch 2 -- \
    "context exceeded"
refused "generated beyond the context" 1 "$tt" --tokens "$work/full" --generate 3 -- "context exceeded"
refused "a text beyond the context" 1 "$tt" -f "$work/long.txt" -n 3 -- "context exceeded" "shorten the text"
check "and it is not echoed" test ! -s "$work/tap.out"
no_file "no logits were left" "$work/out"
check "a text up to the end of the context is no error" "$tt" -p Once -n 5000 -q
refused "half an id" 1 "$tt" --tokens "$work/odd" --generate 3 -- "not a multiple of 4"
refused "no id" 1 "$tt" --tokens /dev/null --generate 3 -- "empty"
refused "a context that was not compiled in" 1 "$tt" -p x --context 1000 -- "1 to 512"
refused "the program: an unknown option" 1 "$tt" -p x --thread 2 -- "did you mean '--threads'"
refused "the program: an unknown command" 1 "$tt" evl -- "did you mean 'eval'"
refused "the program: nothing to do" 1 "$tt" -- "-p TEXT"
refused "the program: logits to nowhere" 1 "$tt" --tokens "$work/full" --logits "$work/none/l" -- "$work/none/l"
refused "the program: no room for the logits" 2 limited "$tt" --tokens "$work/full" --logits "$work/out/l" -- \
    "$work/out/l" "File too large"
no_file "no half of them was left" "$work/out"
refused "eval: no file" 1 "$tt" eval "$work/none" -- "$work/none"

# ---- the program: its weights

refused "weights that are not there" 1 "$tt" -p x -w "$work/none" -- "$work/none"
refused "a checkpoint instead of packed weights" 1 "$tt" -p x -w $model -- "not a weights file" "sinter pack"
refused "a folder" 1 "$tt" -p x -w examples/tinytales -- "not a regular file"

mkfifo "$work/pipe"
refused "weights: a pipe that nobody writes" 1 timeout 20 "$tt" -p x -w "$work/pipe" -- "not a regular file"
refused "checkpoint: a pipe that nobody writes" 1 timeout 20 "$SINTER" pack $spec --weights "$work/pipe" \
    -o "$work/out/x" -- "$work/pipe"

# other_weights NAME WORD OPTION...
other_weights()
{
    name=$1 word=$2
    shift 2
    "$SINTER" pack $spec --random 1 "$@" -o "$work/other.weights" 2>/dev/null
    refused "weights packed for another $name" 1 "$tt" -p x -n 1 -w "$work/other.weights" -- \
        "was packed for another program" "$word" "this program: tinytales, c $this" "pack again"
}
this=$("$tt" --version | sed 's/.*(c \([a-z0-9]*\)).*/\1/')
other_weights "CPU" "the file:     tinytales, c neon" --cpu neon
other_weights "quantisation" "bf16, int8, 4 layers" --quant int8
other_weights "group" "int4/32, 4 layers" --quant int4/32
other_weights "dtype" "f32, 4 layers" --dtype f32
other_weights "spec" "d_ff 512" --set d_ff=512

# Each byte of the file counts: header, table, gaps, tensors, tokenizer.
size=$(wc -c <"$weights")
flip()
{
    python3 - "$weights" "$work/flipped" "$1" <<'PYTHON'
import sys
data, at = bytearray(open(sys.argv[1], "rb").read()), int(sys.argv[3])
data[at] ^= 0x10
open(sys.argv[2], "wb").write(data)
PYTHON
}
for at in 0 9 20 24 40 47 100 180 300 4400 4440 4500 1000000 $((size / 2)) $((size - 20000)) $((size - 1)); do
    flip "$at"
    refused "weights: byte $at is another" 1 "$tt" -p Once -n 1 -w "$work/flipped" -- "$work/flipped"
    check "weights: byte $at, before the first token" test ! -s "$work/tap.out"
done
for bytes in 0 1 100 176 3000 $((size / 2)) $((size - 1)); do
    head -c "$bytes" "$weights" >"$work/cut"
    refused "weights: only $bytes bytes" 1 "$tt" -p Once -n 1 -w "$work/cut" -- "$work/cut"
done
{ cat "$weights" && echo; } >"$work/more"
refused "weights: a byte more" 1 "$tt" -p Once -n 1 -w "$work/more" -- "its header says $size"
