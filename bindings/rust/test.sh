#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The Rust crates on the library of a build folder: tests, the programs in documents, the example and the README's program;
# then the tests in which memory changes hands, and the example, under valgrind. The last line is "N passed, N failed, 0 skipped".
#
#     test.sh BUILD_DIR
set -uo pipefail
build=$(realpath "$1")
export REMORA_LIB_DIR=$build/lib LD_LIBRARY_PATH=$build/lib CARGO_TARGET_DIR=$build/rust
cd "$(dirname "$0")" || exit 1
passed=0 failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
runner=CARGO_TARGET_$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')_RUNNER
valgrind='valgrind --quiet --error-exitcode=99'

tests() { # words of cargo test
    cargo test --offline "$@" >"$log" 2>&1 || { cat "$log"; failed=$((failed + 1)); }
    while read -r n; do passed=$((passed + n)); done < <(sed -n 's/^test result: .* \([0-9]*\) passed;.*/\1/p' "$log")
}

example() {
    local text
    text=$(cargo run --offline --quiet --example minimal ../../models/krill.remora) &&
        [[ $text == "Once upon a time,"* ]] && passed=$((passed + 1)) && return
    echo "the example does not continue its text: $text"
    failed=$((failed + 1))
}

# The program of the README, as it stands there, in the root of the repository.
readme() {
    local program=$CARGO_TARGET_DIR/readme text
    sed -n '/^```no_run$/,/^```$/{/^```/!p}' README.md >"$program.rs"
    rustc --edition 2021 "$program.rs" -o "$program" --extern "remora=$CARGO_TARGET_DIR/debug/libremora.rlib" \
        -L "dependency=$CARGO_TARGET_DIR/debug/deps" -L "native=$REMORA_LIB_DIR" &&
        text=$(cd ../.. && "$program") && [ ${#text} -gt 100 ] && passed=$((passed + 1)) && return
    echo "the program of README.md says: $text"
    failed=$((failed + 1))
}

tests
example
readme
# The harness of tests leaves a little of its own behind, so the example looks for leaks.
export "$runner=$valgrind --leak-check=no"
tests --test krill -- --test-threads 1 a_panic stages_of conversations errors_say
export "$runner=$valgrind --leak-check=full --errors-for-leak-kinds=definite,indirect"
example
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 50 ]
