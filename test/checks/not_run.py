#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""No test decides for itself not to run: it fails where something is missing, and meson or test/suites.sh leave it out
where it has no business. cmocka counts no failure in a group's teardown, so groups with one are run by test/support/groups.h.
And not_here.txt has every kernel set, so that none is missing without being counted.

    not_run.py SOURCE_ROOT
"""
import pathlib
import re
import sys

WAYS = re.compile(r"\bskip\(\)|\bexit[ (]*77\b|\breturn 77\b|SKIP\w* = 77|\bcmocka_set_skip_filter\b|pytest\.skip|SkipTest|unittest\.skip")
GROUP = re.compile(r"cmocka_run_group_tests\w*\([^;]*?, (\w+)\)", re.S)
FOLDERS = ("test", "examples", "bench")
ENDINGS = {".c", ".h", ".py", ".sh", ".build"}


def ways(root):
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix not in ENDINGS or path == pathlib.Path(__file__).resolve():
                continue
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                if WAYS.search(line):
                    yield f"{path}:{number}: a way to skip: {line.strip()}"


def teardowns(root):
    for path in sorted((root / "test").rglob("*.c")):
        for name in GROUP.findall(path.read_text(encoding="utf-8")):
            if name != "NULL":
                yield f"{path}: failures in {name} are not counted: RUN_GROUP of groups.h"


def sets(root):
    picked = set(re.findall(r"\{&rmr_kernels_(\w+),", (root / "lib/backend/cpu/kernels/kernels_pick.c").read_text())) - {"ref"}
    listed = set(re.findall(r"^set (\w+)", (root / "test/not_here.txt").read_text(), re.M))
    if listed != picked:
        yield f"test/not_here.txt and kernels_pick.c differ in {sorted(listed ^ picked)}"


def main():
    root = pathlib.Path(sys.argv[1])
    problems = [*ways(root), *teardowns(root), *sets(root)]
    print("\n".join(problems))
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
