#!/bin/sh
# Write a model as GGUF and run a test on it.
#     gguf.sh PYTHON MAKE_GGUF TEST MODEL LAST-ARGUMENT [options of make_gguf.py]
set -u
python=$1 make=$2 test=$3 model=$4 last=$5
shift 5
if [ ! -d "${REMORA_MODELS:-.}/$model" ]; then
    echo "skipped: REMORA_MODELS has no $model" >&2
    exit 77
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$python" "$make" "$REMORA_MODELS/$model" "$dir/model.gguf" "$@" || exit $?
for file in "$dir"/*.gguf; do
    "$test" "$model" "$file" "$last"
    exit
done
