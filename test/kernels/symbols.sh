#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A file built with wide instructions may give the program nothing but tables: its set's, and those of families that sets
# built on it share. Any function could be the copy that the linker keeps for everybody. Nor may it refer to anything but
# the compiler's own helpers and such tables.
# Arguments: the libraries of the sets.
set -eu
bad=0
for lib in "$@"; do
    names=$(nm -g "$lib" | awk '
        NF == 3 && !($2 ~ /^[RD]$/ && $3 ~ /^rmr_(kernels|product|attention|elementwise)_[a-z0-9_]+$/) { print "defines " $3 }
        NF == 2 && $2 !~ /^(rmr_(product|attention|elementwise)_[a-z0-9]+|memcpy|memset|memmove|memcmp|_GLOBAL_OFFSET_TABLE_|__.*)$/ { print "needs " $2 }')
    if [ -n "$names" ]; then
        echo "$lib: $names" >&2
        bad=1
    fi
    nm -g "$lib" | grep -q ' [RDr] rmr_kernels_' || { echo "$lib has no table" >&2; bad=1; }
done
exit $bad
