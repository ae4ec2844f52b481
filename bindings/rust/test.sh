#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The Rust crates on the library of a build folder: tests, the programs in documents, and the example. The last line is
# "N passed, N failed, 0 skipped".
#
#     test.sh BUILD_DIR
set -uo pipefail
build=$(realpath "$1")
export REMORA_LIB_DIR=$build/lib LD_LIBRARY_PATH=$build/lib CARGO_TARGET_DIR=$build/rust
cd "$(dirname "$0")" || exit 1
passed=0 failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
cargo test --offline >"$log" 2>&1 || { cat "$log"; failed=1; }
while read -r n m; do passed=$((passed + n)) failed=$((failed + m)); done < <(
    sed -n 's/^test result: .* \([0-9]*\) passed; \([0-9]*\) failed;.*/\1 \2/p' "$log")
text=$(cargo run --offline --quiet --example minimal ../../models/krill.remora)
if [[ $text == "Once upon a time,"* ]]; then
    passed=$((passed + 1))
else
    echo "the example does not continue its text"
    failed=$((failed + 1))
fi
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 40 ]
