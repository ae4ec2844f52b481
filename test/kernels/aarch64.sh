#!/bin/sh
# The kernel checks on an emulated AArch64: the same digest proves the same bits. Arguments: the source root and a
# folder to build in. Exit 77 (skipped) without the cross compiler or the emulator.
set -eu
root=$1
out=$2
compiler=aarch64-linux-gnu-gcc
command -v $compiler >/dev/null || exit 77
command -v qemu-aarch64 >/dev/null || exit 77
cpu=$root/lib/backend/cpu
mkdir -p "$out"
$compiler -std=c11 -O3 -Wall -Wextra -Werror -ffp-contract=off -fno-math-errno -fno-trapping-math \
    -I"$cpu" -I"$cpu/ref" -I"$root/lib/base" -I"$root/lib/quant" -I"$root/test/kernels" \
    "$cpu/arm/kernels_neon.c" "$cpu/ref/kernels_ref.c" "$cpu/kernels_pick.c" "$root/lib/base/sincos.c" \
    "$root/test/kernels/plain.c" "$root/test/kernels/cases.c" "$root/test/kernels/truth.c" \
    "$root/test/kernels/truth_quant.c" "$root/test/kernels/inputs.c" "$root/lib/quant/tile.c" -lm -o "$out/kernels_aarch64"
exec qemu-aarch64 -L /usr/aarch64-linux-gnu "$out/kernels_aarch64" "$root/test/kernels/digest.txt" neon
