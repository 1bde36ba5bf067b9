#!/bin/sh
# Every tracked C file, templates too, is as clang-format leaves it. The output differs from one
# major version to the next; the one that counts is 14 (Debian 12).
set -u

skip()
{
    echo "ok - every C file is formatted # SKIP $1"
    exit 0
}

command -v clang-format >/dev/null || skip "clang-format is not installed"
case $(clang-format --version) in
*"version 14."*) ;;
*) skip "the style is that of clang-format 14" ;;
esac
git rev-parse --git-dir >/dev/null 2>&1 || skip "not a git checkout"

list=$(mktemp)
trap 'rm -f "$list"' EXIT
git ls-files -- '*.c' '*.h' '*.cu' '*.cuh' | grep -v '^tests/golden/' | while read -r file; do
    [ ! -f "$file" ] || echo "$file"
done >"$list"

[ -z "${SINTER_UPDATE:-}" ] || xargs clang-format -i <"$list"
if report=$(xargs clang-format --dry-run -Werror --ferror-limit=1 <"$list" 2>&1); then
    echo "ok - every C file is formatted"
else
    echo "not ok - every C file is formatted"
    printf '%s\n' "$report" | sed -n 's/: error: .*//p'
fi
