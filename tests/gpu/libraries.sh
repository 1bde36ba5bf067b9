#!/bin/sh
# libraries.sh PROGRAM DIR: copies the libraries that PROGRAM needs, the C library's aside, so that it
# runs on another machine with LD_LIBRARY_PATH=DIR.
set -u
mkdir -p "$2"
ldd "$1" | sed -n 's/.*=> \(\/[^ ]*\).*/\1/p' | grep -v -E '/(libc|libm|libdl|libpthread)\.so' |
    while read -r library; do
        [ -e "$2/$(basename "$library")" ] || cp -L "$library" "$2"
    done
