#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The build is whole where there are no models beside it, as in a checkout of its own: who has them does not notice.
#
#     without_models.sh SOURCE_DIR
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
meson setup "$dir/build" "$1" -Dtests=true -Dshared_models= >"$dir/log" 2>&1 || { tail -n 5 "$dir/log"; exit 1; }
meson test -C "$dir/build" --no-rebuild --list >"$dir/list" 2>/dev/null
if grep -E ' / (krill|gguf-.*|pack-gguf-.*|one-result-.*)$' "$dir/list"; then echo "these need models"; exit 1; fi
