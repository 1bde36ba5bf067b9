#!/bin/sh
# Builds everything and runs every test.
#
#   sh tests/run.sh [-v] [--update] [--no-build] [FILTER]
#
#   FILTER       only tests whose name contains it, for example unit/base or pass/
#   -v           every result, and the ten slowest tests
#   --update     rewrite what is expected (goldens) from what is printed
#   --no-build   with the programs that are already built
#
# Three sorts of tests, all found by their place:
#   tests/unit/NAME.c      cmocka program, linked with the layers whose headers it includes
#   tests/KIND/NAME.EXT    first line `# RUN: arguments of sinter` (tests/lib/embedded.sh)
#   tests/KIND/NAME.sh     prints `ok - x`, `not ok - x` or `ok - x # SKIP why` for each result
# Scripts run in the project's root and get SINTER (optimised build), SINTER_ASAN (sanitizers, small
# limits), SINTER_BUILD and SINTER_ASAN_BUILD (the build folders), SINTER_UPDATE and SINTER_VERBOSE.
# The first two sorts run with the sanitizers. The last line is `N passed, N failed`, with
# `, N skipped` when some were; the exit code is 1 when one failed or none ran.
set -u

usage()
{
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
    exit "$1"
}

filter=
verbose=0
build=true
SINTER_UPDATE=
SINTER_VERBOSE=
while [ $# -gt 0 ]; do
    case $1 in
    -v) verbose=1 SINTER_VERBOSE=1 ;;
    --update) SINTER_UPDATE=1 ;;
    --no-build) build=false ;;
    -h | --help) usage 0 ;;
    -*) usage 2 >&2 ;;
    *) filter=$1 ;;
    esac
    shift
done

cd "$(dirname "$0")/.." || exit 2
root=$(pwd)
SINTER_BUILD=$root/build/ci
SINTER_ASAN_BUILD=$root/build/asan
SINTER=$SINTER_BUILD/bin/sinter
SINTER_ASAN=$SINTER_ASAN_BUILD/bin/sinter
SINTER_UNIT_DIR=$SINTER_ASAN_BUILD/unit
SINTER_RESULTS=$(mktemp -d)
trap 'rm -rf "$SINTER_RESULTS"' EXIT
trap 'exit 130' INT TERM
export SINTER SINTER_ASAN SINTER_BUILD SINTER_ASAN_BUILD SINTER_UNIT_DIR SINTER_RESULTS
export SINTER_UPDATE SINTER_VERBOSE
# 99: a sanitizer's report is never mistaken for the exit code that a test expects
ASAN_OPTIONS=${ASAN_OPTIONS:-exitcode=99}
UBSAN_OPTIONS=${UBSAN_OPTIONS:-exitcode=99:print_stacktrace=1}
export ASAN_OPTIONS UBSAN_OPTIONS
LC_ALL=C
export LC_ALL
jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
passed=0 failed=0 skipped=0

build_preset()
{
    log=$SINTER_RESULTS/build.log
    if cmake --preset "$1" >"$log" 2>&1 &&
        cmake --build --preset "$1" -j "$jobs" -- -k 0 >"$log" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED  build: preset $1"
        grep -v '^\[[0-9/]*\]' "$log" | tail -n 80 | sed 's/^/        /'
    fi
}

# One line for each test that the filter lets through; what needs a GPU is tests/gpu.sh.
list_tests()
{
    {
        for source in tests/unit/*.c; do
            [ ! -f "$source" ] || basename "$source" .c | sed 's|^|unit/|'
        done
        find tests -mindepth 2 -maxdepth 2 -type f ! -path 'tests/lib/*' \
            \( -name '*.ir' -o -name '*.rules' -o -name '*.yaml' -o -name '*.tmpl' -o -name '*.run' \) \
            -exec awk 'FNR == 1 && /^(#|\/\/) RUN: / { print FILENAME }' {} +
        find tests -mindepth 2 -maxdepth 2 -type f -name '*.sh' ! -path 'tests/lib/*' \
            ! -path 'tests/gpu/*'
    } | sort | grep -F -- "$filter"
}

summarise()
{
    to=$SINTER_RESULTS/$(printf %s "$1" | sed 's|/|+|g')
    awk -v test="${1#tests/}" -v rc="$(cat "$to.rc" 2>/dev/null || echo 'not known')" \
        -v verbose=$verbose -f tests/lib/summary.awk "$to.out" 2>"$to.sum"
    read -r p f s <"$to.sum"
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
}

print_slowest()
{
    echo "slowest:"
    while read -r test; do
        ms=$(cat "$SINTER_RESULTS/$(printf %s "$test" | sed 's|/|+|g').ms")
        printf '%8d ms  %s\n' "$ms" "${test#tests/}"
    done <"$SINTER_RESULTS/tests" | sort -rn | head -n 10
}

if $build; then
    sh tests/lib/prepare.sh tests || exit 2
    build_preset asan
    build_preset ci
fi
list_tests >"$SINTER_RESULTS/tests"
[ -s "$SINTER_RESULTS/tests" ] || echo "no test has a name with '$filter' in it"
xargs -r -P "$jobs" -n 1 sh tests/lib/one.sh <"$SINTER_RESULTS/tests"
while read -r test; do
    summarise "$test"
done <"$SINTER_RESULTS/tests"
[ $verbose = 0 ] || print_slowest

ran=$(wc -l <"$SINTER_RESULTS/tests")
if [ "$skipped" -gt 0 ]; then
    echo "$passed passed, $failed failed, $skipped skipped"
else
    echo "$passed passed, $failed failed"
fi
[ "$failed" = 0 ] && [ "$ran" -gt 0 ]
