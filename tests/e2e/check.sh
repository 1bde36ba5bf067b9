#!/bin/sh
# `sinter check` for every model spec, and for the quantisation schemes and fusion settings on a few: each
# pass against the interpreter, then the generated program against it.
set -u

check()
{
    name="check $*"
    if out=$("$SINTER" check "$@" 2>&1) && printf '%s\n' "$out" | grep -q ' ok'; then
        echo "ok - $name"
    else
        echo "not ok - $name"
        printf '%s\n' "$out" | sed 's/^/# /'
    fi
}

for spec in model_specs/*.yaml; do
    check "$spec"
done
for scheme in int8 int8+a8+head int4/128 int4/32+a8+kv8 int4z/64 int4z/32+a8+head fp8 \
    fp8+afp8+kvfp8+head int8+a8+kvfp8 fp8+kv8; do
    check model_specs/llama-3-8b.yaml --quant "$scheme"
done
for spec in qwen2.5-7b qwen3-8b gpt2 opt-6.7b; do
    check "model_specs/$spec.yaml" --quant int8+a8+kv8
    check "model_specs/$spec.yaml" --quant fp8+afp8+kvfp8
    check "model_specs/$spec.yaml" --fusion all=none --dtype f32
done
for fusion in mlp=none mlp=elementwise mlp=epilogue norm=fold norm=none; do
    check model_specs/llama-3-8b.yaml --fusion "$fusion" --dtype f32
done
for cpu in portable avx2; do
    check model_specs/llama-3-8b.yaml --cpu "$cpu"
    check model_specs/llama-3-8b.yaml --cpu "$cpu" --quant int4z/32+a8+kv8
    check model_specs/llama-3-8b.yaml --cpu "$cpu" --quant fp8+kvfp8
done
