#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What Python adds: generating with the binding beside the C command, on the same library.

    bench/python.py BUILD_DIR [MODEL] [--tokens N] [--rounds N] [--instructions]

Both generate the same N greedy tokens with one thread, in processes of their own, in turn; an equal run of few tokens is taken
off, which opening the model and starting Python cost. It counts processor time, which other load disturbs less than the clock, and
takes the least of all rounds. With --instructions it counts the instructions of one round under valgrind, which no load disturbs; the
kernels are then those without AVX-512, which makes the binding's share smaller by as much as they are slower.
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent.parent
PROMPT = "Once upon a time"
FEW = 8
STRETCH_US = 50_000             # as the binding has it
STRETCH_COUNTED_US = 60_000_000  # a token takes longer than the binding's under valgrind, which would be calls that no user has

# MODEL TOKENS PROMPT STRETCH
LOOP = """
import sys, remora
remora.session.STRETCH_US = int(sys.argv[4])
session = remora.Session(remora.Model(sys.argv[1], runtime=remora.Runtime(threads=1)), capacity=2048)
session.append_text(sys.argv[3])
for piece in session.generate(max_tokens=int(sys.argv[2])):
    sys.stdout.write(piece)
    sys.stdout.flush()
"""


def seconds(command: "list[str]", env: "dict[str, str]") -> "tuple[float, bytes]":
    """The processor time of a process, and what it wrote."""
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    out = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{command[0]} failed: {status}")
    return used.ru_utime + used.ru_stime, out


def instructions(command: "list[str]", env: "dict[str, str]") -> "tuple[float, bytes]":
    """The instructions of a process, in thousands of millions, and what it wrote."""
    counter = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    done = subprocess.run(counter + command, env=env, capture_output=True, check=True)
    found = re.search(rb"Collected : (\d+)", done.stderr)
    assert found is not None, done.stderr
    return int(found[1]) / 1e9, done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description="What Python adds to generating.")
    parser.add_argument("build")
    parser.add_argument("model", nargs="?", default=str(HERE / "models" / "krill.remora"))
    parser.add_argument("--tokens", type=int, default=120)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--instructions", action="store_true")
    given = parser.parse_args()
    measure = instructions if given.instructions else seconds
    unit = "million instructions" if given.instructions else "ms of processor time"
    build = pathlib.Path(given.build).resolve()
    env = {**os.environ, "REMORA_LIBRARY": str(build / "lib" / "libremora.so.1"), "PYTHONPATH": str(HERE / "bindings" / "python")}

    def command(n: int) -> "list[str]":
        return [str(build / "tools" / "remora"), "generate", "-m", given.model, "-p", PROMPT, "--temp", "0", "--top-p", "1", "-n", str(n),
                "--ctx", "2048", "-t", "1", "--draft", "off"]

    def python(n: int) -> "list[str]":
        stretch = STRETCH_COUNTED_US if given.instructions else STRETCH_US
        return [sys.executable, "-c", LOOP, given.model, str(n), PROMPT, str(stretch)]
    least = {(name, n): 9e9 for name in ("command", "python") for n in (FEW, given.tokens)}
    texts = {}
    for _ in range(1 if given.instructions else given.rounds):
        for name, run in (("command", command), ("python", python)):
            for n in (FEW, given.tokens):
                took, texts[name] = measure(run(n), env)
                least[name, n] = min(least[name, n], took)
    if texts["command"].strip() != texts["python"].strip():
        sys.exit("the texts differ")
    each = {name: (least[name, given.tokens] - least[name, FEW]) / (given.tokens - FEW) * 1e3 for name in texts}
    print(f"command {each['command']:.3f} {unit} for each token")
    print(f"python  {each['python']:.3f}, {100 * (each['python'] / each['command'] - 1):+.1f} %")
    return 0


if __name__ == "__main__":
    sys.exit(main())
