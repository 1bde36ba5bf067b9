# tap.sh - what test scripts share: `. tests/lib/tap.sh` from the project's root.
#
#   $work                    an empty folder of this script, gone at its end
#   check NAME COMMAND...    a result: ok when the command succeeds; what it printed explains a failure
#   skip NAME WHY            a result that could not be had here
#   refused NAME CODE COMMAND... [-- WORDS...]
#                            ok when the command ends with CODE and its messages hold each of WORDS
#   program NAME ARGS...     compiles once for all scripts of a run: `sinter compile ARGS... -o
#                            $programs/NAME`; false, with what it printed, when that fails
#   $tales                   arguments that compile tinytales with its weights

: "${SINTER:?the compiler: run this by tests/run.sh}" "${SINTER_BUILD:?its build folder}"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
programs=${SINTER_RESULTS:-$work}/programs
tales="model_specs/tinytales.yaml --weights examples/tinytales"

check()
{
    tap_name=$1
    shift
    if "$@" >"$work/tap.log" 2>&1; then
        echo "ok - $tap_name"
    else
        echo "not ok - $tap_name"
        tail -n 40 "$work/tap.log" | sed 's/^/# /'
    fi
}

skip()
{
    echo "ok - $1 # SKIP $2"
}

refused()
{
    tap_name=$1 tap_want=$2
    shift 2
    tap_command=
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        tap_command="$tap_command '$1'"
        shift
    done
    [ $# = 0 ] || shift
    eval "$tap_command" >"$work/tap.out" 2>"$work/tap.err"
    tap_code=$?
    tap_why=
    [ "$tap_code" = "$tap_want" ] || tap_why="exit code $tap_code, expected $tap_want"
    for tap_word in "$@"; do
        grep -qF -- "$tap_word" "$work/tap.err" || tap_why="no '$tap_word' in its message"
    done
    if [ -z "$tap_why" ]; then
        echo "ok - $tap_name"
        [ -z "${SINTER_VERBOSE:-}" ] || sed 's/^/# /' "$work/tap.err"
    else
        echo "not ok - $tap_name"
        echo "# $tap_why:$tap_command"
        head -c 4000 "$work/tap.err" | sed 's/^/# /'
    fi
}

# Two scripts may ask at the same time: the first makes the folder and compiles, the other waits.
program()
{
    tap_dir=$programs/$1
    shift
    mkdir -p "$programs"
    if mkdir "$tap_dir.lock" 2>/dev/null; then
        "$SINTER" compile "$@" -o "$tap_dir" >"$tap_dir.log" 2>&1
        echo $? >"$tap_dir.rc"
    fi
    while [ ! -s "$tap_dir.rc" ]; do
        sleep 0.1
    done
    [ "$(cat "$tap_dir.rc")" = 0 ] || {
        cat "$tap_dir.log"
        return 1
    }
}
