#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The layout of every public struct and the value of every constant are those written down; see docs for how they may
# grow. usage: check_layout.sh PROGRAM LAYOUT.TXT (of a 64-bit machine)
set -eu
out=$("$1")
printf '%s\n' "$out" | diff "$2" - || { echo "the layout differs from $2"; exit 1; }
