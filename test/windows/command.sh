#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The command on Windows says what it says here: words that are not ASCII, tokens, chosen text, and every number of every
# operation of a step (x-dump), to the bit.
# usage: command.sh REMORA.EXE MODEL; REMORA_ELSEWHERE is the command of this system
set -eu
there=$(realpath "$1") model=$(realpath "$2") here=${REMORA_ELSEWHERE:?the command of this system}
unset MALLOC_PERTURB_ # a dump shows what no operation has written, too
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
same() { # arguments of the command: both say the same on stdout
    wine "$there" "$@" >there.txt 2>there.err || { echo "FAILED under wine: $*"; cat there.err; exit 1; }
    "$here" "$@" >here.txt 2>here.err || { echo "FAILED: $*"; cat here.err; exit 1; }
    [ -s here.txt ] || { echo "nothing was said: $*"; exit 1; }
    cmp there.txt here.txt || { echo "not the same: $*"; exit 1; }
}
same --help
same generate -q -m "$model" -n 40 -p 'Once upon a time, α模𝔸 said'
same tokenize -m "$model" 'naïve α模𝔸'
wine "$there" selftest -q -n 12 >there.txt || { cat there.txt; exit 1; }
printf '5 9 77 200 31 8 4000 12 6\n' >'ids α模.txt'
wine "$there" eval -m "$model" --ids 'ids α模.txt' --x x-dump=there.dump >there.txt
"$here" eval -m "$model" --ids 'ids α模.txt' --x x-dump=here.dump >here.txt
[ "$(wc -l <here.dump)" -gt 500 ]
cmp there.dump here.dump
code=0
wine "$there" generate -m 'no such α model' -p x 2>there.err || code=$?
[ "$code" -eq 1 ]
grep -q 'E_NOT_FOUND' there.err
echo "the same bits: $(wc -l <here.dump) lines of a dump"
