#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The public header compiles clean, without implicit padding, in every language version that it promises, under every
# compiler here; the program in its first comment compiles; and remora.abi.json is what the compilers make of it.
# usage: check_header.sh PYTHON ABI.PY INCLUDE_DIR
set -eu
python=$1 reader=$2 include=$3
flags="-I$include -Wall -Wextra -Wpedantic -Wpadded -Werror"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo '#include <remora/remora.h>' >"$work/one.c"
"$python" "$reader" tour "$include/remora/remora.h" >"$work/tour.c"
"$python" "$reader" probe "$include/remora/remora.abi.json" >"$work/probe.c"
runs=0
compile() { # compiler language std file extra
    command -v "$1" >/dev/null 2>&1 || return 0
    # shellcheck disable=SC2086 # flags are words
    "$1" -x "$2" "-std=$3" $flags $5 -c -o "$work/out.o" "$4" || {
        echo "FAILED: $1 -std=$3 $4"
        exit 1
    }
    runs=$((runs + 1))
}
for cc in gcc clang; do
    for std in c99 c11 c17; do
        compile $cc c $std "$work/one.c" "-Wstrict-prototypes -Wc++-compat"
        compile $cc c $std "$work/tour.c" "-Wstrict-prototypes"
    done
done
case $(getconf LONG_BIT) in # the description is of machines with 64-bit pointers
    64) for cc in gcc clang; do compile $cc c c11 "$work/probe.c" ""; done ;;
esac
for cxx in g++ clang++; do
    for std in c++11 c++17 c++20; do compile $cxx c++ $std "$work/one.c" ""; done
done
# Windows, as Visual C++ has it: for a DLL and for the static library. Headers of its C library are not needed.
if command -v clang >/dev/null; then
    for define in "" -DREMORA_STATIC; do
        clang --target=x86_64-pc-windows-msvc -ffreestanding -fsyntax-only -std=c11 $flags $define "$work/one.c" ||
            { echo "FAILED: x86_64-pc-windows-msvc $define"; exit 1; }
        runs=$((runs + 1))
    done
fi
[ "$runs" -gt 0 ] || { echo "no compiler found"; exit 1; }
echo "$runs compilations clean"
