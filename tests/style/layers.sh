#!/bin/sh
# Includes point one way: compiler -> codegen -> ir -> compiler/base; the runtime includes none of them.
# Headers of the runtime that describe file formats (weights_format.h, cubin_format.h, tokenizer.h)
# may be read by who writes those files.
set -u

# check NAME PATTERN FILES...: no file has an #include "..." that matches the extended PATTERN.
check()
{
    name=$1 pattern=$2
    shift 2
    found=$(find "$@" -type f \( -name '*.[chly]' -o -name '*.def' -o -name '*.cu' \) \
        -exec grep -HnE "^[ \t]*#[ \t]*include[ \t]*\"($pattern)" {} + 2>/dev/null)
    if [ -z "$found" ]; then
        echo "ok - $name"
    else
        echo "not ok - $name"
        printf '%s\n' "$found"
    fi
}

above_base='compiler/([^b]|b[^a]|ba[^s]|bas[^e]|base[^/])'
check "compiler/base includes only itself" "$above_base|ir/|codegen/|runtime/" compiler/base
check "ir includes only itself and compiler/base" "$above_base|codegen/|runtime/" ir
code='runtime/([^wtc]|weights[^_]|tokenizer[^.]|c[^u]|cu[^b]|cub[^i]|cubin[^_]|cubin_[^f])'
check "codegen includes neither the compiler nor the runtime's code" "$above_base|$code" codegen
check "compiler includes nothing of the runtime's code" "$code" compiler
check "runtime stands alone" "compiler/|ir/|codegen/|\\.\\./" runtime
