#!/bin/sh
# Builds tests/gpu/device.c with the sources of a program that `sinter compile --target cuda` made.
#
#   device.sh PROGRAM_DIR OUT
set -eu
dir=$1 out=$2
name=$(basename "$dir"/*.cu .cu)
flags="-std=c11 -O2 -D_GNU_SOURCE -fno-math-errno -I$dir/runtime"
sources=$(find "$dir/runtime" -name '*.c' ! -name main.c)
# shellcheck disable=SC2086  # lists of words; the model takes its machine code in from its folder
(cd "$dir" && ${CC:-cc} -std=c11 -O2 -Iruntime -c "$name.c" -o device_model.o)
# shellcheck disable=SC2086
${CC:-cc} $flags -o "$out" "$(dirname "$0")/device.c" "$dir/device_model.o" $sources -lpcre2-8 -lutf8proc \
    -lpthread -lm -ldl
