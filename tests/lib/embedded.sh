#!/bin/sh
# Runs one file-driven test and prints its TAP line.
#
#   # RUN: opt %s --passes dce        first line: the arguments of sinter
#   # EXIT: 1                         optional second line: the exit code (0; with FILE.err: 1)
#   ...                               what the test feeds in
#   # EXPECT                          what stdout must be, as comment lines, to the end
#   # func @f ...
#
# %s is the file, %d its folder, %t an empty folder of this test. A test whose messages matter has
# a sibling with the ending .err that holds stderr (in tests/error every test has one). Languages
# with // comments are written with // RUN: and // EXPECT. Spaces at line ends do not count in
# stdout. With SINTER_UPDATE=1 what is expected is rewritten.
set -u

file=$1
dir=$(dirname "$file")
err=${file%.*}.err
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# fail WHY FILE...: the files explain it.
fail()
{
    echo "not ok - $(basename "$file")"
    echo "# $1"
    shift
    cat "$@" | sed 's/^/#   /'
    exit 0
}

read -r first <"$file"
case $first in
'//'*) mark='//' ;;
*) mark='#' ;;
esac
run=$(printf '%s\n' "${first#"$mark RUN: "}" | sed "s|%s|$file|g; s|%d|$dir|g; s|%t|$tmp/t|g")
want_code=$(sed -n "2s|^$mark EXIT: ||p" "$file")
if [ -z "$want_code" ]; then
    want_code=0
    [ ! -f "$err" ] || want_code=1
    [ "$dir" != tests/error ] || want_code=1
fi
# The part before the EXPECT block, and the block as plain text.
sed "\\|^$mark EXPECT\$|,\$d" "$file" >"$tmp/input"
sed "1,\\|^$mark EXPECT\$|d; s|^$mark\$||; s|^$mark ||" "$file" >"$tmp/want"
has_expect=false
! grep -qx "$mark EXPECT" "$file" || has_expect=true
wants_err=false
[ ! -f "$err" ] && [ "$dir" != tests/error ] || wants_err=true

[ -x "${SINTER_ASAN:-}" ] || fail "there is no compiler to run it" /dev/null
mkdir "$tmp/t"
eval "set -- $run"
"$SINTER_ASAN" "$@" >"$tmp/out" 2>"$tmp/err"
code=$?
sed 's/ *$//' "$tmp/out" >"$tmp/got"
[ "$code" = "$want_code" ] ||
    fail "exit code $code, expected $want_code: sinter $run" "$tmp/err" "$tmp/out"

if [ -n "${SINTER_UPDATE:-}" ]; then
    if $wants_err; then
        cmp -s "$tmp/err" "$err" || cp "$tmp/err" "$err"
    fi
    if $has_expect || ! $wants_err; then
        { cat "$tmp/input" && echo "$mark EXPECT" && sed "s|^|$mark |; s| *\$||" "$tmp/got"; } \
            >"$tmp/new"
        cmp -s "$tmp/new" "$file" || cat "$tmp/new" >"$file"
    fi
    echo "ok - $(basename "$file")"
    exit 0
fi

$has_expect || $wants_err || fail "no EXPECT block: tests/run.sh --update stores one" "$tmp/out"
if $has_expect && ! diff -u "$tmp/want" "$tmp/got" >"$tmp/diff"; then
    fail "stdout differs (- expected, + got): sinter $run" "$tmp/diff" "$tmp/err"
fi
if $wants_err; then
    [ -f "$err" ] || fail "no $err: tests/run.sh --update stores one" "$tmp/err"
    diff -u "$err" "$tmp/err" >"$tmp/diff" ||
        fail "stderr differs (- expected, + got): sinter $run" "$tmp/diff"
fi
echo "ok - $(basename "$file")"
