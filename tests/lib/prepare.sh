#!/bin/sh
# Makes sure that what building (and testing) sinter needs is installed, from Debian packages.
#
#   sh tests/lib/prepare.sh          what a build needs
#   sh tests/lib/prepare.sh tests    and what the tests need
#
# Says what it installs; does nothing when all is there. When it cannot install, it names the
# packages and exits with 2.
set -u

missing=   # packages without which we cannot go on
optional=  # packages without which some tests are skipped

need()
{
    missing="$missing $*"
}

has_library()
{
    pkg-config --exists "$1" 2>/dev/null
}

look()
{
    missing=
    optional=
    echo 'int main(void){return 0;}' | gcc -xc -include stdio.h -o /dev/null - 2>/dev/null ||
        need gcc libc6-dev
    command -v cmake >/dev/null || need cmake
    command -v ninja >/dev/null || need ninja-build
    command -v pkg-config >/dev/null || need pkg-config
    command -v flex >/dev/null || need flex
    command -v bison >/dev/null || need bison
    has_library yaml-0.1 || need libyaml-dev
    has_library jansson || need libjansson-dev
    has_library libpcre2-8 || need libpcre2-dev
    has_library libutf8proc || need libutf8proc-dev
    has_library libxxhash || need libxxhash-dev
    [ "$1" = tests ] || return 0
    has_library cmocka || need libcmocka-dev
    command -v python3 >/dev/null || need python3
    command -v dot >/dev/null || optional="$optional graphviz"
    command -v clang-format >/dev/null || optional="$optional clang-format"
}

as_root()
{
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        return 1
    fi
}

install_packages()
{
    command -v apt-get >/dev/null || return 1
    echo "installing:$*" >&2
    as_root apt-get update -qq >&2 &&
        as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

kind=${1:-build}
look "$kind"
[ -n "$missing$optional" ] || exit 0
# shellcheck disable=SC2086  # a list of words
install_packages $missing $optional
look "$kind"
if [ -n "$missing" ]; then
    echo "error: these packages are needed and could not be installed:$missing" >&2
    exit 2
fi
[ -z "$optional" ] || echo "note: some tests are skipped without:$optional" >&2
exit 0
