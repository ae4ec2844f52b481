#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random blocks of GGUF's types decoded by the gguf package and by a program: every bit is the same.

    decode_gguf.py PROGRAM

The program is decode_rows.c. Codes and sub-scales are any bytes; the half-sized scales are any finite ones, with zeros
of both signs, subnormals and the largest among them, and the exponents of MXFP4 any but that of NaN.
"""
import subprocess
import sys

import gguf
import numpy as np
from gguf import GGMLQuantizationType as T

ROWS, BLOCKS = 64, 33  # rows whose bytes have every alignment
HALVES = {T.Q8_0: [0], T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.IQ4_NL: [0], T.IQ4_XS: [0], T.MXFP4: [],
          T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208], T.Q3_K: [108], T.Q2_K: [80, 82], T.F16: [0], T.BF16: []}
SPECIAL = np.array([0x0000, 0x8000, 0x0001, 0x8001, 0x03ff, 0x0400, 0x7bff, 0xfbff], np.uint16)


def halves(rng, n):
    h = rng.integers(0, 1 << 16, n, np.uint16)
    h[(h & 0x7c00) == 0x7c00] ^= 0x4000  # not finite
    at = rng.random(n) < 0.25
    h[at] = rng.choice(SPECIAL, at.sum())
    return h.view(np.uint8).reshape(n, 2)


def blocks(rng, kind):
    size = gguf.GGML_QUANT_SIZES[kind][1]
    b = rng.integers(0, 256, (ROWS * BLOCKS, size), np.uint8)
    for at in HALVES[kind]:
        b[:, at:at + 2] = halves(rng, len(b))
    if kind == T.MXFP4:
        b[:, 0] = np.minimum(b[:, 0], 254)
    if kind == T.BF16:
        b[:, 1] &= 0xbf  # not finite, or large
    return b.reshape(ROWS, BLOCKS * size)


def main():
    program, bad = sys.argv[1], 0
    rng = np.random.default_rng(1)
    np.seterr(all="ignore")
    for kind in HALVES:
        rows = blocks(rng, kind)
        want = gguf.quants.dequantize(rows, kind).astype(np.float32)
        out = subprocess.run([program, kind.name, str(want.shape[1])], input=rows.tobytes(), stdout=subprocess.PIPE, check=True)
        got = np.frombuffer(out.stdout, np.float32).reshape(want.shape)
        wrong = np.argwhere(got.view(np.uint32) != want.view(np.uint32))
        print(f"{kind.name}: {got.size} values, {len(wrong)} wrong")
        for r, c in wrong[:3]:
            print(f"  row {r}, column {c}: {got[r, c]!r}, not {want[r, c]!r}")
        bad += len(wrong) > 0
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
