#!/bin/sh
# Runs one test program for run.sh: its output goes to $SINTER_RESULTS/NAME.out, its exit code to
# NAME.rc and the milliseconds it took to NAME.ms. A name has / written as +.
set -u

test=$1
to=$SINTER_RESULTS/$(printf %s "$test" | sed 's|/|+|g')

now_ms()
{
    case $(date +%N) in
    *N*) echo "$(date +%s)000" ;;
    *) echo $(($(date +%s%N) / 1000000)) ;;
    esac
}

start=$(now_ms)
case $test in
unit/*) CMOCKA_MESSAGE_OUTPUT=TAP "$SINTER_UNIT_DIR/${test#unit/}" ;;
*.sh) sh "$test" ;;
*) sh tests/lib/embedded.sh "$test" ;;
esac >"$to.out" 2>&1 </dev/null
echo $? >"$to.rc"
echo $(($(now_ms) - start)) >"$to.ms"
