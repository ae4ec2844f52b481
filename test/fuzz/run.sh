#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Fuzz for real: build with clang, libFuzzer and sanitizers, and run each target for a while.
#   test/fuzz/run.sh SECONDS [TARGET ...]
# New inputs go to build-fuzz/corpus/TARGET, findings to build-fuzz/findings: make them small (-minimize_crash=1), fix
# the bug, and keep the input in test/fuzz/corpus/TARGET. The last line is "N passed, N failed, N skipped".
set -eu
seconds=$1
shift
root=$(cd "$(dirname "$0")/../.." && pwd)
build=$root/build-fuzz
if [ ! -f "$build/build.ninja" ]; then
    CC=clang meson setup "$build" "$root" -Dfuzz=true -Dtools=false -Dexamples=false -Db_lundef=false \
        -Db_sanitize=address,undefined --buildtype=debugoptimized -Db_ndebug=false \
        -Dc_args='-fsanitize=fuzzer-no-link -fno-sanitize-recover=all' >/dev/null
fi
# shellcheck disable=SC2046 # each target has a folder of inputs
[ $# -gt 0 ] || set -- $(ls "$root/test/fuzz/corpus")
for t in "$@"; do ninja --quiet -C "$build" "test/fuzz/fuzz_$t"; done
passed=0 failed=0
mkdir -p "$build/findings"
for t in "$@"; do
    mkdir -p "$build/corpus/$t"
    if "$build/test/fuzz/fuzz_$t" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="$build/findings/$t-" "$build/corpus/$t" "$root/test/fuzz/corpus/$t" >"$build/$t.log" 2>&1; then
        passed=$((passed + 1))
        echo "$t: $(sed -n 's/^stat::number_of_executed_units: *//p' "$build/$t.log") inputs in $seconds s"
    else
        failed=$((failed + 1))
        echo "$t: FAILED"
        tail -n 40 "$build/$t.log"
    fi
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
