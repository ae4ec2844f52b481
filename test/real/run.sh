#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Released models, fetched, against goldens of a reference implementation (REAL_GOLDENS: NAME.json and NAME.safetensors):
# a table for each model, and as the last line "N passed, N failed, N skipped".
#
#     test/real/run.sh BUILD PYTHON REAL_GOLDENS       ./run-tests --real does it all
#
# The models are kept in BUILD/real; the Python has test/requirements.txt. Each is computed twice: with its weights decoded
# to F32, which has to be what the reference computes, and as it is stored (check.c). Then it talks: through the header
# (talk.c) and with the command (command.py).
set -euo pipefail
build=$1 python=$2 goldens=$3
here=$(dirname "$0")
passed=0 failed=0

# Continuations of the file as stored are judged up to the first token whose margin to the next best is below this.
# SmolLM2's logits move by 0.3 with 8-bit activations, whatever the type of its weights.
declare -A near_tie=([smollm2-135m-instruct-q4_1]=0.3 [qwen2.5-coder-0.5b-instruct-q4_k_m]=0.2)

# Its chat format, and how many characters of the greedy answer are those of the reference: as long as the margins are wide.
declare -A chat_format=([smollm2-135m-instruct-q4_1]=smollm2 [qwen2.5-coder-0.5b-instruct-q4_k_m]=qwen2.5)
declare -A alike=([smollm2-135m-instruct-q4_1]=80 [qwen2.5-coder-0.5b-instruct-q4_k_m]=166)

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

talk() { # model's file, behind check
    local name
    name=$(basename "$1" .gguf)
    "$build/test/real/real_talk" "$build/real/check" "$1" "${chat_format[$name]}" "${alike[$name]}"
}

count() { # test arguments...
    if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
}

models=$("$python" "$here/fetch.py" "$build/real") || failed=1
for model in $models; do
    count check "$model"
    count talk "$model"
    count "$python" "$here/command.py" "$build/tools/remora" "$model"
done
rm -rf "$build/real/check" # gigabytes
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
