#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Run a program where the locale de_DE.UTF-8 exists: built on the spot when the system has its sources only.
set -eu
if ! locale -a 2>/dev/null | grep -qi '^de_DE.utf' && command -v localedef >/dev/null; then
    dir=$(mktemp -d)
    trap 'rm -rf "$dir"' EXIT
    if localedef -i de_DE -f UTF-8 "$dir/de_DE.UTF-8" 2>/dev/null; then
        LOCPATH=$dir
        export LOCPATH
    fi
fi
"$@"
