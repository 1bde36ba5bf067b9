#!/bin/sh
# Builds tests/gpu/device.c with the sources of a program that `sinter compile --target cuda` made.
#
#   device.sh PROGRAM_DIR OUT
set -eu
name=$(basename "$1"/*.cu .cu)
sources=$(find "$1/runtime" -name '*.c' ! -name main.c)
# shellcheck disable=SC2086  # a list of files
(cd "$1" && ${CC:-cc} -std=c11 -O2 -D_GNU_SOURCE -fno-math-errno -w -Iruntime -c "$name.c" -o device_model.o)
# shellcheck disable=SC2086
${CC:-cc} -std=c11 -O2 -D_GNU_SOURCE -Wall -Wextra -I"$1/runtime" -o "$2" \
    "$(dirname "$0")/device.c" "$1/device_model.o" $sources -lpcre2-8 -lutf8proc -lpthread -lm -ldl
