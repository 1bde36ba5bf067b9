#!/bin/sh
# One case for tests/gpu/prepare.sh: case.sh small|mlp|golden|tales|device|stall NAME ..., a line of its
# list.
# Needs SINTER, ARCH and the folders dir and work in the environment. Exit code 1 when the program
# for GPUs does not compile.
set -u
kind=$1 name=$2
shift 2

# gpu_program SPEC OPTIONS: the program to DIR/NAME, $weights says which weights are its own.
gpu_program()
{
    made=$work/$name
    "$SINTER" compile "$@" --target cuda -o "$made" >"$made.log" 2>&1 || {
        echo "$name: does not compile"
        tail -n 5 "$made.log"
        exit 1
    }
    weights=$(cksum <"$(echo "$made"/*.weights)" | tr ' ' -).weights
    mv "$made"/*.weights "$dir/$weights"
    program=$(basename "$made"/*.cu .cu)
    mv "$made/$program" "$dir/$name"
    rm -rf "$made" "$made.log"
    sh tests/gpu/libraries.sh "$dir/$name" "$dir/lib"
}

# cpu_program SPEC OPTIONS: the same model for the CPU, $reference is its path.
cpu_program()
{
    "$SINTER" compile "$@" --batch 1 --chunk 64 -o "$work/$name.cpu" >"$work/$name.log" 2>&1 || {
        cat "$work/$name.log"
        exit 255
    }
    reference=$(echo "$work/$name.cpu"/*.c)
    reference=${reference%.c}
}

# chain SPEC OPTIONS: the same program with a chain of kernels, DIR/NAME.chain.
chain()
{
    "$SINTER" compile "$@" --target cuda --batch 1 --decode chain -o "$work/$name" >"$work/$name.log" 2>&1 || {
        cat "$work/$name.log"
        exit 255
    }
    mv "$work/$name/$(basename "$1" .yaml)" "$dir/$name.chain"
    rm -rf "${work:?}/$name" "$work/$name.log"
}

# small NAME TOLERANCE WAYS OPTIONS [-- OPTIONS]
small()
{
    tolerance=$1 ways=$2 cuda="--arch $ARCH"
    shift 2
    words=
    while [ $# -gt 0 ]; do
        [ "$1" != -- ] || { shift && cuda=$* && break; }
        words="$words $1"
        shift
    done
    ids=100.i32
    case ,$ways, in *,lengths,*) ids=1000.i32 ;; esac
    batch=$(echo "$ways" | tr , '\n' | sed -n 's/^batch//p' | sort -n | tail -n 1)
    # shellcheck disable=SC2086  # lists of words
    gpu_program tests/gpu/small.yaml --random 3 $words --batch "${batch:-1}" $cuda
    # shellcheck disable=SC2086
    case ,$ways, in *,chain,*) chain tests/gpu/small.yaml $words $cuda ;; esac
    # shellcheck disable=SC2086
    cpu_program tests/gpu/small.yaml --random 3 $words
    "$reference" --tokens "$dir/$ids" --logits "$dir/$name.f32" -q &&
        "$reference" --tokens "$dir/100.i32" --generate 16 -q >"$dir/$name.ids" &&
        cp -f "$dir/100.i32" "$dir/$name.prompt" || exit 255
    rm -rf "$work/$name.cpu"
    echo "$tolerance $ways $weights $ids $name.f32" >"$dir/$name.case"
}

# mlp NAME TOLERANCE OPTIONS: an MLP alone, by rows of activations.
mlp()
{
    tolerance=$1
    shift
    gpu_program model_specs/ffn-only.yaml --random 3 "$@" --batch 1 --chunk 16 --arch sm_90a --decode stream
    chain model_specs/ffn-only.yaml "$@" --chunk 16 --arch sm_90a
    cpu_program model_specs/ffn-only.yaml --random 3 "$@"
    width=$("$reference" info --json | sed -n 's/.*"d_model": *\([0-9]*\).*/\1/p' | head -n 1)
    awk -v n=$width 'BEGIN { srand(13)
        for (row = 0; row < 24; row++) {
            for (i = 0; i < n; i++) printf "\\000\\000\\%03o\\%03o", int(rand() * 256), 62 + int(rand() * 2) + 128 * int(rand() * 2)
            print ""
        }
    }' | while read -r row; do printf %b "$row"; done >"$dir/$name.rows"
    "$reference" --rows "$dir/$name.rows" --logits "$dir/$name.f32" -q || exit 255
    rm -rf "$work/$name.cpu"
    echo "$tolerance $width $weights" >"$dir/$name.mlp"
}

# golden NAME FAMILY DTYPE TOLERANCE WAYS: logits and greedy ids are those of Hugging Face
# transformers.
golden()
{
    from=tests/golden/$1 family=$1
    "$SINTER" import "$from" -o "$work/$name.yaml" 2>/dev/null || exit 255
    gpu_program "$work/$name.yaml" --weights "$from" --dtype "$2" --batch 2 --chunk 32 --arch "$ARCH"
    cp -f "$from/tokens.i32" "$dir/$family.i32"
    cp -f "$from/logits.f32" "$dir/$family.f32"
    head -c -64 "$dir/$family.i32" >"$dir/$name.prompt"
    tail -c 64 "$dir/$family.i32" | od -An -v -w64 -td4 >"$dir/$name.ids"
    echo "$3 $4 $weights $family.i32 $family.f32" >"$dir/$name.case"
}

# stall NAME: a value of a step as one kernel is not published in DIR/NAME, which is to say so.
stall()
{
    lost=$work/$name batch=1 spec=tests/gpu/small.yaml sizes="--set vocab=128 --set heads=8 --set d_ff=512"
    case $name in
    stall-sums) batch=8 sizes="--set vocab=128 --set heads=8 --set d_ff=2048" ;;
    stall-mlp*) spec=model_specs/ffn-only.yaml sizes="--set d_ff=1024" ;;
    esac
    made=$(basename $spec .yaml)
    # shellcheck disable=SC2086  # a list of words
    "$SINTER" compile $spec --random 3 --target cuda --arch sm_90a --batch $batch --emit src \
        --set d_model=512 $sizes --decode stream -o "$lost" >"$lost.log" 2>&1 || {
        cat "$lost.log"
        exit 255
    }
    case $name in
    stall-q)
        edit='s/publish_heads((head/if (layer != 0 || tile != 0) &/'
        says='layer 0, multiprocessor [0-9]+ waited for queries'
        ;;
    stall-splits)
        edit='s/publish_record(part + e/if (tag != first_tag + 1 || share.head != 0 || share.split != 1) &/'
        says='layer 1, multiprocessor [0-9]+ waited for parts of attention'
        ;;
    stall-x)
        edit='s/publish_rows(P == O ? AT_MID : AT_X, tile/if (P != O || layer != 1 || tile != 3) &/'
        says='layer 1, multiprocessor [0-9]+ waited for x of gate_up'
        ;;
    stall-sums)
        edit='s/publish(to + 64, /if (tag != first_tag + 1 || tile != 5) &/'
        says='layer 1, multiprocessor 5 waited for parts of down'
        ;;
    stall-mlp)
        edit='s/publish(step->words + AT_H/if (tile != 7) &/'
        says='layer 0, multiprocessor [0-9]+ waited for x of down'
        ;;
    stall-mlp-sums)
        edit='s/publish(step->words + AT_SUMS/if (p.tile != 5) &/'
        says='layer 0, multiprocessor [0-9]+ waited for parts of down'
        ;;
    stall-ids)
        edit='s/publish(words + blockIdx.x/if (blockIdx.x != 7) &/'
        says='layer 2, multiprocessor 0 waited for the likeliest ids'
        ;;
    esac
    cp "$lost/$made.cu" "$lost/whole" && sed -i "$edit" "$lost/$made.cu"
    if cmp -s "$lost/whole" "$lost/$made.cu" ||
        ! make -C "$lost" PATH="$PATH:/usr/local/cuda/bin" "$made" >"$lost.log" 2>&1; then
        echo "$name: nothing to leave out, or it does not compile"
        tail -n 5 "$lost.log"
        exit 255
    fi
    mv "$lost/$made.weights" "$dir/$name.weights"
    mv "$lost/$made" "$dir/$name"
    sh tests/gpu/libraries.sh "$dir/$name" "$dir/lib"
    echo "$says" >"$dir/$name.stall"
    rm -rf "${work:?}/$name" "$lost.log"
}

# tales NAME OPTIONS
tales()
{
    gpu_program model_specs/tinytales.yaml --weights examples/tinytales "$@" --batch 4 --arch "$ARCH"
    cpu_program model_specs/tinytales.yaml --weights examples/tinytales "$@"
    bits=$("$reference" eval examples/tinytales/heldout.txt --json -q |
        sed 's/.*"bits_per_byte": \([0-9.]*\).*/\1/')
    rm -rf "$work/$name.cpu"
    echo "$bits $weights" >"$dir/$name.eval"
}

# device NAME OPTIONS
device()
{
    "$SINTER" compile model_specs/tinytales.yaml "$@" --batch 2 --target cuda --arch "$ARCH" \
        -o "$work/$name" >"$work/$name.log" 2>&1 && sh tests/gpu/device.sh "$work/$name" "$dir/$name.device" || {
        cat "$work/$name.log"
        exit 255
    }
    sh tests/gpu/libraries.sh "$dir/$name.device" "$dir/lib"
    rm -rf "${work:?}/$name" "$work/$name.log"
}

"$kind" "$@"
