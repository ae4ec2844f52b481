#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The Rust crates on the library of a build folder: tests, the programs in documents, the examples, a crate outside, the
# static library; then the tests in which memory changes hands, and an example, under valgrind, and all tests of the safe crate
# with a library that has the address sanitizer. The last line is "N passed, N failed, 0 skipped".
#
#     test.sh BUILD_DIR ASAN_BUILD_DIR
set -uo pipefail
build=$(realpath "$1") asan=$(realpath "$2")
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

example() { # name, pattern of what it says, more words of cargo run
    local text name=$1 pattern=$2
    shift 2
    # shellcheck disable=SC2053 # a pattern
    text=$(cargo run --offline --quiet -p remora "$@" --example "$name" ../../models/krill.remora) &&
        [[ $text == $pattern ]] && passed=$((passed + 1)) && return
    echo "the example $name says: $text"
    failed=$((failed + 1))
}

# A program with libremora.a inside, where no libremora.so is found.
static() {
    example minimal "$continues" --features static
    if readelf -d "$CARGO_TARGET_DIR/debug/examples/minimal" | grep -q 'NEEDED.*libremora'; then
        echo "the static program needs libremora.so"
        failed=$((failed + 1))
    else
        passed=$((passed + 1))
    fi
}

# The sanitizer sees all blocks of the program, Rust's too, and every access of the library.
with_asan() {
    export REMORA_LIB_DIR=$asan/lib LD_LIBRARY_PATH=$asan/lib CARGO_TARGET_DIR=$build/rust-asan
    export RUSTFLAGS='-Clink-arg=-Wl,--allow-shlib-undefined'
    export "$runner=env LD_PRELOAD=$(gcc -print-file-name=libasan.so):$(gcc -print-file-name=libubsan.so)"
    export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
    tests -p remora --tests
}
continues='Once upon a time,*'

# The program of the README, as it stands there, in a crate outside that asks for ours as everybody's does.
outside() {
    local crate text=''
    crate=$(mktemp -d)
    cargo init --quiet --vcs none --name host "$crate" && (cd "$crate" && cargo add --quiet --offline --path "$OLDPWD/remora") &&
        sed -n '/^```no_run$/,/^```$/{/^```/!p}' README.md >"$crate/src/main.rs" &&
        text=$(cd ../.. && cargo run --offline --quiet --manifest-path "$crate/Cargo.toml")
    rm -rf "$crate"
    [ ${#text} -gt 100 ] && passed=$((passed + 1)) && return
    echo "the program of README.md in a crate outside says: $text"
    failed=$((failed + 1))
}

tests
example minimal "$continues"
example json_answer '{"mood":*"says":*}'
example host "Tom: *Mia: * of the host's memory"
static
outside
# The harness of tests leaves a little of its own behind, so the example looks for leaks.
export "$runner=$valgrind --leak-check=no"
tests --test krill -- --test-threads 1 a_panic stages_of conversations errors_say memory_is jobs_of
export "$runner=$valgrind --leak-check=full --errors-for-leak-kinds=definite,indirect"
example minimal "$continues"
with_asan
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 50 ]
