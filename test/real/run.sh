#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Released models, fetched, against goldens of a reference implementation (REAL_GOLDENS: NAME.json and NAME.safetensors):
# a table for each model, and as the last line "N passed, N failed, N skipped".
#
#     test/real/run.sh BUILD PYTHON REAL_GOLDENS       ./run-tests --real does it all
#
# The models are kept in BUILD/real; the Python has test/requirements.txt. Each is computed twice: with its weights decoded
# to F32, which has to be what the reference computes, and as it is stored (check.c).
set -euo pipefail
build=$1 python=$2 goldens=$3
here=$(dirname "$0")
passed=0 failed=0

# Continuations of the file as stored are judged up to the first token whose margin to the next best is below this.
# SmolLM2's logits move by 0.3 with 8-bit activations, whatever the type of its weights.
declare -A near_tie=([smollm2-135m-instruct-q4_1]=0.3 [qwen2.5-coder-0.5b-instruct-q4_k_m]=0.2)

check() { # model's file
    local name folder=$build/real/check
    name=$(basename "$1" .gguf)
    echo "== $name"
    rm -rf "$folder"
    mkdir -p "$folder"
    ln -s "$goldens/$name.json" "$folder/golden.json"
    ln -s "$goldens/$name.safetensors" "$folder/golden.safetensors"
    "$python" "$here/decode.py" "$1" "$folder/decoded.gguf" &&
        "$build/test/real/real_check" "$folder" "$1" "$folder/decoded.gguf" "${near_tie[$name]}"
}

models=$("$python" "$here/fetch.py" "$build/real") || failed=1
for model in $models; do
    if check "$model"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done
rm -rf "$build/real/check" # gigabytes
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
