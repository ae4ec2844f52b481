#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The header, symbols.txt and the version script name the same functions.
# usage: check_lists.sh PYTHON HEADER.PY HEADER SYMBOLS.TXT REMORA.MAP
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$1" "$2" functions "$3" >"$work/header"
sed -n 's/^ *\(remora_[a-z0-9_]*\);$/\1/p' "$5" | LC_ALL=C sort >"$work/map"
LC_ALL=C sort "$4" >"$work/symbols"
diff "$work/header" "$work/symbols" || { echo "remora.h and $4 differ"; exit 1; }
diff "$work/map" "$work/symbols" || { echo "$5 and $4 differ"; exit 1; }
