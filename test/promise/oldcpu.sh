#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# P14: the whole library on emulated x86-64 processors of all ages: no instruction that they lack, the kernel set that
# they can do and no other by name, and the result of this machine to the bit. Argument: the program.
set -eu
program=$1
result() { # model or nothing
    here=$("$program" best "$@")
    echo "${here#* }"
}
check() { # processor, kernel set, result, model or nothing
    cpu=$1 expect="$2 $3"
    shift 3
    got=$(qemu-x86_64 -cpu "$cpu" "$program" best "$@" 2>/dev/null)
    if [ "$got" != "$expect" ]; then
        echo "$cpu: $got, expected $expect" >&2
        exit 1
    fi
}
refuse() { # processor, a set that it cannot run
    if qemu-x86_64 -cpu "$1" "$program" "$2" >/dev/null 2>&1; then code=0; else code=$?; fi
    if [ "$code" != 3 ]; then
        echo "$1: $2 ended with $code, not 3" >&2
        exit 1
    fi
}
made_up=$(result)
check Conroe ref "$made_up"
check SandyBridge ref "$made_up"
check Haswell avx2 "$made_up"
refuse Conroe avx2
for set in avxvnni avx512 avx512vnni amx neon; do
    refuse Haswell $set
done
model=${REMORA_MODELS:-}/fixtures/v2-lite
if [ -f "$model/config.json" ]; then
    check Nehalem ref "$(result "$model")" "$model"
else
    check Nehalem ref "$made_up"
fi
