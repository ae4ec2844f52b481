#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a run of the tests came to.

    results.py left-out          the tests that cannot run on this machine (not_here.txt), one a line
    results.py count TESTLOG     says what was skipped and what is not here; the last line is "passed failed skipped"

TESTLOG is meson's testlog.json. A case that a cmocka program skips counts as well as a test that ends with 77.
"""
import collections
import fnmatch
import json
import pathlib
import re
import sys

GOOD = {"OK", "EXPECTEDFAIL"}


class Hardware:
    """not_here.txt, and which of its sets this machine has."""

    def __init__(self):
        text = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
        line = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.M)
        flags = set(line.group(1).split()) if line else set()
        self.lacks, self.every_set, self.one_set = {}, [], {}
        for row in pathlib.Path(__file__).with_name("not_here.txt").read_text(encoding="utf-8").splitlines():
            kind, *words = row.partition("#")[0].split() or [""]
            if kind == "set":
                self.lacks[words[0]] = [f for f in words[1:] if f not in flags]
            elif kind == "every-set":
                self.every_set += words
            elif kind == "one-set":
                self.one_set.update({test: words[0] for test in words[1:]})

    def left_out(self):
        return sorted(test for test, name in self.one_set.items() if self.lacks[name])

    def runs_every_set(self, test):
        return any(fnmatch.fnmatchcase(test, pattern) for pattern in self.every_set)


def read(path):
    """Of each test its name, meson's word for the result, and all that it printed."""
    with open(path, encoding="utf-8") as log:
        for line in log:
            test = json.loads(line)
            yield test["name"].split(" / ")[-1], test["result"], test.get("stdout", "") + test.get("stderr", "")


def count(path):
    hardware, counts, not_here = Hardware(), collections.Counter(), set()
    for test in hardware.left_out():
        print(f"not here: the test {test} (no {', '.join(hardware.lacks[hardware.one_set[test]])})")
    for name, result, said in read(path):
        missed = []
        if result in GOOD and hardware.runs_every_set(name):
            ran = set(re.findall(r"^ran: (\w+)\r?$", said, re.M))
            not_here.update(s for s, lacks in hardware.lacks.items() if lacks)
            missed = [s for s, lacks in hardware.lacks.items() if not lacks and s not in ran]
            for s in missed:
                print(f"failed: {name} did not run on {s}, which this machine has")
        counts["skipped" if result == "SKIP" else "failed" if missed or result not in GOOD else "passed"] += 1
        skipped = re.findall(r"^\[  SKIPPED \] (\w+)\r?$", said, re.M)
        counts["skipped"] += len(skipped)
        for what in [name] * (result == "SKIP") + [f"{name}: {case}" for case in skipped]:
            print(f"skipped: {what}")
    for name in sorted(not_here):
        print(f"not here: {name} (no {', '.join(hardware.lacks[name])})")
    print(f"not here: {len(not_here) + len(hardware.left_out())}")
    print(counts["passed"], counts["failed"], counts["skipped"])


if __name__ == "__main__":
    if sys.argv[1] == "left-out":
        print("\n".join(Hardware().left_out()))
    else:
        try:
            count(sys.argv[2])
        except (OSError, ValueError, KeyError) as problem:
            print(f"{sys.argv[2]}: {problem}\n0 1 0")
