#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Write a model as GGUF and run a test on it.
#     gguf.sh PYTHON MAKE_GGUF TEST MODEL LAST-ARGUMENT [options of make_gguf.py]
# With --twin as the first option the test gets one more argument: the same in F32, decoded by the
# gguf package; with --qwen3 the model is made a qwen3 first.
set -u
python=$1 make=$2 test=$3 model=$4 last=$5
shift 5
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
if [ "${1:-}" = --qwen3 ]; then
    shift
    "$python" "$(dirname "$make")/make_qwen3.py" "$REMORA_MODELS/$model" "$dir/qwen3" || exit $?
    export REMORA_MODELS="$dir"
    model=qwen3
fi
twin=
if [ "${1:-}" = --twin ]; then
    shift
    twin=$dir/twin.gguf
    "$python" "$make" "$REMORA_MODELS/$model" "$twin" --decoded "$@" || exit $?
fi
"$python" "$make" "$REMORA_MODELS/$model" "$dir/model.gguf" "$@" || exit $?
set -- "$dir"/model*.gguf
"$test" "$model" "$1" "$last" ${twin:+"$twin"}
