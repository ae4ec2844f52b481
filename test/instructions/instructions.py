#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Instructions of the hot paths, counted by callgrind, against the counts in counts.json: the guard against kernels that
get slower, without a clock. A path may take 1.2 times what was measured: other versions of the compiler and of the C
library differ by some percent, and a kernel that takes twice the instructions moves its path by more than that. What
gets faster is written down with --write, so that it stays so.

    instructions.py PATHS_PROGRAM MODEL [--write]
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

COUNTS = pathlib.Path(__file__).with_name("counts.json")
BOUND = 1.2


def count(program, model):
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={folder}/out",
                               program, model], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit((done.stdout + done.stderr).strip())
        out = {}
        for path in pathlib.Path(folder).iterdir():
            text = path.read_text()
            name = re.search(r"^desc: Trigger: Client Request: (.+)$", text, re.M)
            if name:
                out[name.group(1)] = int(re.search(r"^(?:totals|summary): (\d+)", text, re.M).group(1))
    decode = out.get("decode", 0)
    return {k: v - decode if k.startswith("attention") else v for k, v in out.items()}


def main():
    program, model = sys.argv[1:3]
    counted = count(program, model)
    if "--write" in sys.argv:
        COUNTS.write_text(json.dumps(counted, indent=1, sort_keys=True) + "\n")
    allowed = json.loads(COUNTS.read_text())
    if set(counted) != set(allowed):
        sys.exit(f"counted {sorted(counted)}, but {COUNTS.name} has {sorted(allowed)}")
    broken = 0
    for name in sorted(allowed):
        ratio = counted[name] / allowed[name]
        broken += ratio > BOUND
        print(f"{name}: {counted[name]:,} instructions, {ratio:.3f} of {allowed[name]:,}{' TOO MANY' if ratio > BOUND else ''}")
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
