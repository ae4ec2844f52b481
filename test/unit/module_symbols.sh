#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A module exports its entry and nothing else, needs nothing of the library, and no shared library but those of C.
# usage: module_symbols.sh MODULE
set -u
names=$(nm -D --defined-only "$1" | awk '$2 != "A" {print $NF}')
[ "$names" = rmr_module_open ] || { echo "exported: $names"; exit 1; }
needs=$(nm -D --undefined-only "$1" | awk '{print $NF}' | grep -E '^(rmr|remora)_')
[ -z "$needs" ] || { echo "undefined: $needs"; exit 1; }
libraries=$(readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -Ev '^(libc|libm|libdl|libpthread|ld-linux.*)\.so')
[ -z "$libraries" ] || { echo "needed: $libraries"; exit 1; }
