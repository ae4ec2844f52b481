#!/bin/sh
# Write a model as GGUF and run a test on it.
#     gguf.sh PYTHON MAKE_GGUF TEST MODEL LAST-ARGUMENT [options of make_gguf.py]
# With --twin as the first option the test gets one more argument: the same in F32, decoded by the
# gguf package.
set -u
python=$1 make=$2 test=$3 model=$4 last=$5
shift 5
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
twin=
if [ "${1:-}" = --twin ]; then
    shift
    twin=$dir/twin.gguf
    "$python" "$make" "$REMORA_MODELS/$model" "$twin" --decoded "$@" || exit $?
fi
"$python" "$make" "$REMORA_MODELS/$model" "$dir/model.gguf" "$@" || exit $?
set -- "$dir"/model*.gguf
"$test" "$model" "$1" "$last" ${twin:+"$twin"}
