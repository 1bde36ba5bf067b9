# Reads a .cu, then what `nvcc -Xptxas -v` said about it: a line for each kernel that keeps something
# in local memory, or needs more registers or shared memory than a block of its size can have, and
# for each warning. The last line says how many kernels there were. Exit code 1 when one is bad.
#
# A warpgroup matmul has up to 128 sums a thread in registers all the time: four words of what it
# knows besides may be in local memory. The step as one kernel may keep some of a head of 128 there
# while it waits for the query (measured: faster than the chain all the same). How many such kernels
# there are is said.
#
#   awk -f resources.awk x.cu x.log

function bad(what)
{
    print what
    n_bad++
}

FILENAME == ARGV[1] && /__launch_bounds__\(/ {
    threads = $0
    sub(/.*__launch_bounds__\(/, "", threads)
    sub(/[^0-9].*/, "", threads)
}

# the name of a kernel stands behind the next void, with other attributes in between
FILENAME == ARGV[1] && threads != "" && match($0, /void [a-z][a-z0-9_]*\(/) {
    block[substr($0, RSTART + 5, RLENGTH - 6)] = threads
    threads = ""
}

FILENAME == ARGV[1] { next }

/warning|error/ { bad($0) }
/Compiling entry function/ {
    split($0, word, "'")
    kernel = word[2]
    n_kernels++
}
/bytes stack frame/ && !/ 0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads/ {
    sub(/^ */, "")
    if ((kernel ~ /_wgmma[0-9]+$/ && $1 <= 16) || (kernel == "decode1_step" && $1 <= 256)) {
        held = $1 / 4 > held ? $1 / 4 : held
        n_held++
    } else {
        bad(kernel ": " $0)
    }
}
/Used [0-9]+ registers/ {
    registers = $0
    sub(/.*Used /, "", registers)
    sub(/ .*/, "", registers)
    shared = 0
    if (match($0, /[0-9]+ bytes smem/)) {
        shared = substr($0, RSTART, RLENGTH) + 0
    }
    if (!(kernel in block)) {
        bad(kernel ": no __launch_bounds__ found in the source")
    } else if (block[kernel] * 8 * int((registers + 7) / 8) > 65536) {
        bad(kernel ": " block[kernel] " threads of " registers " registers")
    }
    if (shared > 49152) {
        bad(kernel ": " shared " bytes of static shared memory")
    }
    most = registers + 0 > most ? registers + 0 : most
}

END {
    if (n_kernels == 0) {
        bad("no kernel was compiled")
    }
    printf "%d kernels, at most %d registers", n_kernels, most
    print n_held ? ", up to " held " words of " n_held " of them in local memory" : ""
    exit n_bad > 0
}
