#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Says which tests do not run on Windows, and why (left_out.txt). Every test of the suites runs there or is in that list, and
the list has nothing else.

    lists.py BUILD BUILD_OF_WINDOWS
"""
import fnmatch
import json
import pathlib
import subprocess
import sys

SUITES = ("unit", "golden", "promise", "fault", "kernels")


def tests(build):
    said = subprocess.run(["meson", "introspect", "--tests", build], capture_output=True, text=True, check=True).stdout
    return {t["name"] for t in json.loads(said) if any(s.split(":")[-1] in SUITES for s in t["suite"])}


def main():
    everywhere, there = map(tests, sys.argv[1:])
    rows = [line for line in pathlib.Path(__file__).with_name("left_out.txt").read_text(encoding="utf-8").splitlines()
            if line and not line.startswith("#")]
    patterns = [row.split()[0] for row in rows]
    print("\n".join(f"not on Windows: {row}" for row in rows))
    missing = [t for t in sorted(everywhere - there) if not any(fnmatch.fnmatchcase(t, p) for p in patterns)]
    problems = [f"neither runs on Windows nor is in left_out.txt: {t}" for t in missing]
    problems += [f"left_out.txt has what runs, or is not there: {p}" for p in patterns
                 if not any(fnmatch.fnmatchcase(t, p) for t in everywhere - there)]
    print("\n".join(problems), end="\n" if problems else "")
    return 1 if problems or not there else 0


if __name__ == "__main__":
    sys.exit(main())
