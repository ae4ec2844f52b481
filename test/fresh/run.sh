#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Both commands of the README, as a person runs them on a new machine: in a root that debootstrap makes of this machine's
# Debian or Ubuntu (variant minbase), with the files of the checkout and nothing else. There is no ../shared there.
# The last line is "N passed, N failed, N skipped": the tests, and ./get-started as one more.
#
#     test/fresh/run.sh      as root; ./run-tests --fresh installs debootstrap
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD/build-fresh/root

. test/fresh/root.sh

mkdir -p build-fresh
make_root
git ls-files -z | tar -c --null --files-from=- | tar -x -C "$root/remora"
echo "== ./get-started"
started=0
if inside ./get-started && [ -s "$(realpath "$root/remora/build/lib/libremora.so")" ]; then started=1; fi
echo "== ./run-tests"
inside ./run-tests | tee build-fresh/run-tests.log || true
read -r passed _ failures _ skipped _ < <(tail -n 1 build-fresh/run-tests.log | grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' ||
    echo 0 passed, 1 failed, 0 skipped)
rm -rf "$root"
echo "$((passed + started)) passed, $((failures + 1 - started)) failed, $skipped skipped"
[ "$failures" -eq 0 ] && [ $started -eq 1 ] && { [ "${CI:-}" != true ] || [ "$skipped" -eq 0 ]; }
