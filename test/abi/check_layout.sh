#!/bin/sh
# The layout of every public struct and the value of every constant are those written down; see docs for how they may
# grow. usage: check_layout.sh PROGRAM LAYOUT.TXT
set -eu
rc=0
out=$("$1") || rc=$?
[ "$rc" -ne 77 ] || { echo "layout.txt is for 64-bit machines"; exit 77; }
[ "$rc" -eq 0 ] || exit 1
printf '%s\n' "$out" | diff "$2" - || { echo "the layout differs from $2"; exit 1; }
