#!/bin/sh
# The runner itself: that what should fail does fail. A script stands in for the compiler.
set -u

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/bin"
cat >"$tmp/bin/sinter" <<'EOF'
#!/bin/sh
# say TEXT: to stdout; complain CODE TEXT: to stderr, with that exit code; touch FILE
case $1 in
say) printf "$2" ;;
complain) printf "$3" >&2; exit "$2" ;;
touch) : >"$2" ;;
esac
EOF
chmod +x "$tmp/bin/sinter"

# check NAME EXPECTED GOT
check()
{
    if [ "$2" = "$3" ]; then
        echo "ok - $1"
    else
        echo "not ok - $1"
        echo "# expected: $2"
        echo "# got: $3"
    fi
}

# verdict FILE: the first line that the file-driven runner prints for it.
verdict()
{
    SINTER_ASAN=$tmp/bin/sinter SINTER_UPDATE=${update:-} sh tests/lib/embedded.sh "$1" | head -n 1
}

printf '# RUN: say "a\\\\n\\\\n b\\\\n"\nbody\n# EXPECT\n# a\n#\n#  b\n' >"$tmp/same.ir"
check "stdout as expected" "ok - same.ir" "$(verdict "$tmp/same.ir")"
printf '# RUN: say "a\\\\nc\\\\n"\nbody\n# EXPECT\n# a\n# b\n' >"$tmp/other.ir"
check "stdout that differs" "not ok - other.ir" "$(verdict "$tmp/other.ir")"
printf '# RUN: say "a\\\\n"\nbody\n# EXPECT\n# a\n# b\n' >"$tmp/short.ir"
check "stdout that ends early" "not ok - short.ir" "$(verdict "$tmp/short.ir")"
printf '# RUN: say "a\\\\n"\nbody\n' >"$tmp/none.ir"
check "nothing to compare with" "not ok - none.ir" "$(verdict "$tmp/none.ir")"
printf '# RUN: complain 1 "x\\\\n"\n# EXPECT\n' >"$tmp/code.ir"
check "an exit code that is not expected" "not ok - code.ir" "$(verdict "$tmp/code.ir")"
printf '# RUN: complain 3 "x\\\\n"\n# EXIT: 3\n# EXPECT\n' >"$tmp/exit.ir"
check "an exit code that is expected" "ok - exit.ir" "$(verdict "$tmp/exit.ir")"
printf '// RUN: say "a\\\\n"\nbody\n// EXPECT\n// a\n' >"$tmp/slashes.tmpl"
check "// comments" "ok - slashes.tmpl" "$(verdict "$tmp/slashes.tmpl")"
printf '# RUN: touch %%t/new\n# EXPECT\n' >"$tmp/folder.ir"
check "%t is a folder" "ok - folder.ir" "$(verdict "$tmp/folder.ir")"

printf '# RUN: complain 1 "%%s: bad\\\\n"\n' >"$tmp/bad.yaml"
echo "$tmp/bad.yaml: bad" >"$tmp/bad.err"
check "stderr as expected" "ok - bad.yaml" "$(verdict "$tmp/bad.yaml")"
echo "$tmp/bad.yaml: worse" >"$tmp/bad.err"
check "stderr that differs" "not ok - bad.yaml" "$(verdict "$tmp/bad.yaml")"
printf '# RUN: complain 0 "x\\\\n"\n' >"$tmp/mild.yaml"
echo x >"$tmp/mild.err"
check "an error that exits with 0" "not ok - mild.yaml" "$(verdict "$tmp/mild.yaml")"

for test in other.ir none.ir bad.yaml; do
    update=1
    verdict "$tmp/$test" >/dev/null
    update=
    check "--update stores what $test prints" "ok - $test" "$(verdict "$tmp/$test")"
done
check "--update keeps the input" "body" "$(sed -n 2p "$tmp/other.ir")"

# counts RC TEXT: what summary.awk makes of a program's output.
counts()
{
    printf "$2" | awk -v test=t -v rc="$1" -v verbose=0 -f tests/lib/summary.awk 2>&1 >"$tmp/shown"
}

check "passed, failed and skipped are counted" "1 1 2" \
    "$(counts 1 '1..4\nok 1 - a\nnot ok 2 - b\nnot ok 3 # SKIP c\nok - d # SKIP why\n')"
check "a seed before and the reason after a failure are shown" "FAILED  t: b # seed 5 # 1 != 2" \
    "$(counts 1 'ok - a\n# seed 5\nnot ok 2 - b\n# 1 != 2\n' >/dev/null; tr -s '\n ' ' ' <"$tmp/shown" |
        sed 's/FAILED /FAILED  /; s/ $//')"
check "no result is a failure" "0 1 0" "$(counts 0 'hello\n')"
check "an exit code without a failure is one" "1 1 0" "$(counts 139 'ok - a\n')"
check "fewer results than planned are a failure" "1 1 0" "$(counts 0 '1..2\nok 1 - a\n')"
