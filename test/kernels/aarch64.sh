#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The kernel checks on emulated AArch64 processors: each must pick its set, and the same digest proves the same bits.
# Arguments: the source root and a folder to build in. Needs the cross compiler and the emulator.
set -eu
root=$1
out=$2
compiler=aarch64-linux-gnu-gcc
kernels=$root/lib/backend/cpu/kernels
mkdir -p "$out"
build() { # object, source, more flags
    object=$out/$1.o source=$2
    shift 2
    $compiler -std=c11 -O3 -Wall -Wextra -Werror -ffp-contract=off -fno-math-errno -fno-trapping-math \
        -I"$kernels" -I"$kernels/ref" -I"$kernels/tmpl" -I"$root/lib/base" -I"$root/lib/quant" -I"$root/test/kernels" \
        "$@" -c "$source" -o "$object"
}
build ref "$kernels/ref/kernels_ref.c"
build neon "$kernels/arm/kernels_neon.c"
build neon_dotprod "$kernels/arm/kernels_neon_dotprod.c" -march=armv8.2-a+dotprod
build neon_i8mm "$kernels/arm/kernels_neon_i8mm.c" -march=armv8.2-a+dotprod+i8mm
build pick "$kernels/kernels_pick.c" -DRMR_NEON_DOTPROD -DRMR_NEON_I8MM
build sincos "$root/lib/base/sincos.c"
build tile "$root/lib/quant/tile.c"
build block "$root/lib/quant/block.c"
for name in plain cases cases_kv8 truth truth_quant truth_kv8 inputs; do
    build $name "$root/test/kernels/$name.c"
done
cd "$out"
$compiler ref.o neon.o neon_dotprod.o neon_i8mm.o pick.o sincos.o tile.o block.o plain.o cases.o cases_kv8.o truth.o \
    truth_quant.o truth_kv8.o inputs.o -lm -o kernels_aarch64
check() { # processor, set, how much
    processor=$1
    shift
    qemu-aarch64 -cpu "$processor" -L /usr/aarch64-linux-gnu ./kernels_aarch64 "$root/test/kernels/digest.txt" "$@"
}
check cortex-a72 neon digest
check neoverse-n1 neon_dotprod digest
check max neon_i8mm
