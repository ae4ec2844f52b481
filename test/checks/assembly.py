#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An assembly statement of the CUDA kernels that has an address is volatile: to the compiler another one is a function
of its operands, which it may run where the program does not get to, so a load that a condition protects faults.

    assembly.py SOURCE_ROOT
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1])
STATEMENT = re.compile(r"\basm\b(\s+volatile)?\s*\((.*?)\);", re.S)


def bad():
    for path in sorted((ROOT / "lib/backend/cuda/device").glob("*.cuh")):
        text = path.read_text(encoding="utf-8")
        for m in STATEMENT.finditer(text):
            if m[1] is None and re.search(r"\[%\d", m[2]):
                yield f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, m.start()) + 1}"


found = list(bad())
for where in found:
    print(f"{where}: an assembly statement has an address and is not volatile")
sys.exit(bool(found))
