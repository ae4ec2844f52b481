#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The library where people live: each part is a host that is run for real. The last line is "N passed, N failed, N skipped".
#
#     test/hosts/run.sh BUILD PYTHON MODELS     ./run-tests --hosts installs what this needs; MODELS may be empty
#
# A part is a script of this folder. It gets the same three arguments and the folder for its pictures, prints "ok NAME" or
# "failed NAME: .." for each check, a line each, and ends with 0 if none failed. The pictures of docs/ are those of a run:
#
#     for p in docs/*.png; do cp "build-hosts/pictures/${p#docs/}" docs/; done
set -euo pipefail
cd "$(dirname "$0")/../.."
parts=(server nvim love csharp)
pictures=build-hosts/pictures
passed=0 failed=0
rm -rf "$pictures"
mkdir -p "$pictures"

for part in "${parts[@]}"; do
    echo "== $part"
    status=0
    said=$(mktemp)
    "test/hosts/$part.sh" "$@" "$pictures" 2>&1 | tee "$said" || status=$?
    bad=$(grep -c '^failed ' "$said" || true)
    [ "$status" -eq 0 ] || [ "$bad" -gt 0 ] || { bad=1 && echo "failed $part: it ended with $status"; }
    passed=$((passed + $(grep -c '^ok ' "$said" || true)))
    failed=$((failed + bad))
    rm -f "$said"
done
for p in docs/*.png; do
    if [ -s "$pictures/${p#docs/}" ]; then
        echo "ok $p can be made anew" && passed=$((passed + 1))
    else
        echo "failed pictures: no part has made $p" && failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed, 0 skipped"
exit "$((failed > 0))"
