#!/bin/sh
# A file built with wide instructions may give the program nothing but its table and shared kernels with the name of its
# set, for sets built on it: any other global or weak symbol could be the copy that the linker keeps for everybody. Nor
# may it call anything but the compiler's own helpers and such kernels.
# Arguments: the libraries of the sets.
set -eu
bad=0
for lib in "$@"; do
    set=$(basename "$lib" .a)
    names=$(nm -g "$lib" | awk -v own="^rmr_(matmul|scores|wsum)_[a-z0-9]+_${set#librmr_cpu_}$" '
        NF == 3 && $3 !~ /^rmr_kernels_[a-z0-9_]+$/ && !($2 == "T" && $3 ~ own) { print "defines " $3 }
        NF == 2 && $2 !~ /^(rmr_(matmul|scores|wsum)_.*|memcpy|memset|memmove|memcmp|_GLOBAL_OFFSET_TABLE_|__.*)$/ { print "needs " $2 }')
    if [ -n "$names" ]; then
        echo "$lib: $names" >&2
        bad=1
    fi
    nm -g "$lib" | grep -q ' [RDr] rmr_kernels_' || { echo "$lib has no table" >&2; bad=1; }
done
exit $bad
