#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A module exports its entry and nothing else, needs nothing of the library, and no shared library but those of C. It imports
# nothing that the library must not (promises P1, P8, P9), and has no writable data and no constructors (P9, P12).
# usage: module_symbols.sh MODULE
set -u
export LC_ALL=C
. "$(dirname "$0")/../abi/forbidden.sh"
names=$(nm -D --defined-only "$1" | awk '$2 != "A" {print $NF}')
[ "$names" = rmr_module_open ] || { echo "exported: $names"; exit 1; }
needs=$(nm -D --undefined-only "$1" | awk '{print $NF}' | grep -E '^(rmr|remora)_')
[ -z "$needs" ] || { echo "undefined: $needs"; exit 1; }
libraries=$(readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -Ev '^(libc|libm|libdl|libpthread|ld-linux.*)\.so')
[ -z "$libraries" ] || { echo "needed: $libraries"; exit 1; }
bad=$(nm -D --undefined-only "$1" | awk '{print $NF}' | sed 's/@.*//' | grep -E "$forbidden")
[ -z "$bad" ] || { echo "forbidden imports: $bad"; exit 1; }
more=$(size -A "$1" | awk '($1 ~ /^\.(data|bss)$/ && $2 > 16) || $1 ~ /^\.(tdata|tbss)$/ || ($1 ~ /^\.(init|fini)_array$/ && $2 > 8)')
[ -z "$more" ] || { echo "writable data or constructors: $more"; exit 1; }
