#!/bin/sh
# From nothing to a program that tells a story: installs what is missing, builds sinter, compiles
# model_specs/tinytales.yaml with the shipped weights, runs the result.
set -eu

cd "$(dirname "$0")/.."

step() { printf '\n== %s\n' "$*"; }

step "what sinter needs"
sh tests/lib/prepare.sh

step "building sinter (build/release)"
log=$(mktemp)
{ cmake --preset release && cmake --build --preset release --target sinter; } >"$log" 2>&1 || {
    cat "$log"
    rm -f "$log"
    exit 2
}
rm -f "$log"

out=build/tinytales
step "compiling model_specs/tinytales.yaml into $out"
build/release/bin/sinter compile model_specs/tinytales.yaml --weights examples/tinytales -o "$out"
ls -l "$out/tinytales" "$out/tinytales.c" "$out/tinytales.weights" | awk '{print "  " $5 " bytes  " $9}'

step "$out/tinytales -p 'Once upon a time' -n 200 --temp 0.7 --seed 7"
"$out/tinytales" -p "Once upon a time" -n 200 --temp 0.7 --seed 7
