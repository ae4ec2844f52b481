#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The kernel checks on emulated x86-64 processors: one without AVX must pick the reference and meet no instruction it
# does not know; one with AVX2 and without AVX-512 must pick that. Arguments: the program and the digest file.
set -eu
qemu-x86_64 -cpu Conroe "$1" "$2" ref
qemu-x86_64 -cpu Nehalem "$1" "$2" ref digest
qemu-x86_64 -cpu SandyBridge "$1" "$2" ref digest 2>/dev/null
qemu-x86_64 -cpu Haswell "$1" "$2" avx2 digest 2>/dev/null
