#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# remora.hpp compiles clean without exceptions and run-time type information, and with them, under every C++ compiler here;
# every function of the ABI is called in it, or names the one that frees a handle; the program in its first comment runs, and
# so does a test of all its classes.
# usage: check_hpp.sh PYTHON ABI.PY INCLUDE_DIR TEST.CPP LIBRARY MODEL
set -eu
python=$1 reader=$2 include=$3 test=$4 library=$5 model=$6
flags="-I$include -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror -pthread"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" "$reader" tour "$include/remora/remora.hpp" >"$work/tour.cpp"
"$python" "$reader" names "$include/remora/remora.abi.json" >"$work/names"
missing=$(while read -r name; do grep -q "\b$name[(>]" "$include/remora/remora.hpp" || echo "$name"; done <"$work/names")
[ -z "$missing" ] || { echo "remora.hpp does not call" $missing; exit 1; }
built=
for cxx in g++ clang++; do
    command -v $cxx >/dev/null 2>&1 || continue
    for std in c++17 c++20; do
        # shellcheck disable=SC2086 # flags are words
        for file in "$test" "$work/tour.cpp"; do $cxx -std=$std $flags -fsyntax-only "$file"; done
    done
    built=$cxx
    for file in "$test" "$work/tour.cpp"; do
        # shellcheck disable=SC2086
        $cxx -std=c++17 -fno-exceptions -fno-rtti $flags "$file" "$library" "-Wl,-rpath,${library%/*}" \
            -o "$work/$(basename "$file" .cpp)"
    done
done
[ -n "$built" ] || { echo "no C++ compiler found"; exit 1; }
"$work/test_hpp" "$model" "$work"
"$work/tour" "$model" "Once upon a time" >"$work/text"
[ "$(wc -c <"$work/text")" -gt 100 ] || { cat "$work/text"; echo "the tour wrote little"; exit 1; }
