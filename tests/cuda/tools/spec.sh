#!/bin/sh
# One spec for tests/cuda/specs.sh: spec.sh nvcc|nvrtc NAME CHIP OPTIONS: prints a TAP line. Needs
# SINTER, NVCC, SINTER_NVRTC and a folder tmp in the environment.
set -u
compiler=$1 name=$2 chip=$3
shift 3
dir=$tmp/$compiler-$name-$chip

not_ok()
{
    echo "not ok - $name $chip: $1"
    sed 's/^/# /' "$2"
    exit 0
}

if [ "$compiler" = nvrtc ]; then
    NVCC=/nowhere "$SINTER" compile "model_specs/$name.yaml" --target cuda --arch "$chip" "$@" \
        -o "$dir/made" >"$dir.log" 2>&1 && [ -s "$dir/made/$name.$chip.cubin" ] ||
        not_ok "NVRTC" "$dir.log"
    echo "ok - $name $chip: NVRTC"
    rm -rf "$dir" "$dir".*
    exit 0
fi

# --arch matters: for one chip alone other kernels may be emitted than for several
for time in once twice; do
    "$SINTER" compile "model_specs/$name.yaml" --target cuda --arch "$chip" "$@" --emit src \
        -o "$dir/$time" >"$dir.log" 2>&1 || not_ok "emitted" "$dir.log"
done
diff -r "$dir/once" "$dir/twice" >"$dir.log" || not_ok "the same text twice" "$dir.log"
"$NVCC" -cubin -arch="$chip" -O3 --std=c++17 -Xptxas -v -o "$dir.cubin" "$dir/once/$name.cu" \
    >"$dir.log" 2>&1 || not_ok "nvcc" "$dir.log"
awk -f tests/cuda/tools/resources.awk "$dir/once/$name.cu" "$dir.log" >"$dir.report" ||
    not_ok "resources of its kernels" "$dir.report"
echo "ok - $name $chip: $(cat "$dir.report")"
rm -rf "$dir" "$dir".*
