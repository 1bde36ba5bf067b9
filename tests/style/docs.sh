#!/bin/sh
# What the documentation shows as sinter's output is what sinter prints; its IR parses; its links
# lead to files.
set -u

if ! command -v python3 >/dev/null; then
    echo "ok - documentation # SKIP python3 is not installed"
    exit 0
fi
pages=$(ls docs/*.md README.md examples/*/README.md 2>/dev/null)
# shellcheck disable=SC2086  # a list of words
python3 tests/style/lib/doc_blocks.py $pages

for page in $pages; do
    grep -oE '\]\([^)#: ]+' "$page" | sed 's/^](//' | while read -r link; do
        [ -e "$(dirname "$page")/$link" ] || echo "$link"
    done >"${SINTER_RESULTS:-/tmp}/links.$$"
    if [ -s "${SINTER_RESULTS:-/tmp}/links.$$" ]; then
        echo "not ok - $page: links that lead nowhere: $(tr '\n' ' ' <"${SINTER_RESULTS:-/tmp}/links.$$")"
    else
        echo "ok - $page: links"
    fi
    rm -f "${SINTER_RESULTS:-/tmp}/links.$$"
done
