#!/bin/sh
# Fuzz for real: build with clang, libFuzzer and sanitizers, and run each target for a while.
#   test/fuzz/run.sh SECONDS [TARGET ...]
# New inputs go to build-fuzz/corpus/TARGET, findings to build-fuzz/findings: make them small (-minimize_crash=1), fix
# the bug, and keep the input in test/fuzz/corpus/TARGET.
set -eu
seconds=$1
shift
root=$(cd "$(dirname "$0")/../.." && pwd)
build=$root/build-fuzz
if [ ! -f "$build/build.ninja" ]; then
    CC=clang meson setup "$build" "$root" -Dfuzz=true -Dtools=false -Dexamples=false -Db_lundef=false \
        -Db_sanitize=address,undefined --buildtype=debugoptimized -Db_ndebug=false \
        -Dc_args='-fsanitize=fuzzer-no-link -fno-sanitize-recover=all'
fi
[ $# -gt 0 ] || set -- config detok encode gguf model pack recipe safetensors tiktoken tokenizer yaml
for t in "$@"; do ninja -C "$build" "test/fuzz/fuzz_$t"; done
for t in "$@"; do
    mkdir -p "$build/corpus/$t" "$build/findings"
    "$build/test/fuzz/fuzz_$t" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="$build/findings/$t-" "$build/corpus/$t" "$root/test/fuzz/corpus/$t"
done
