#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Size limits of the code: functions of at most 120 lines and complexity 25, files of at
most 1,500 lines (of the public header, which is the manual, 2,500), lines of at most 100 columns. Tables are
exempt from nothing: none is that long.
And a file of lib, or the header of its name, begins with a statement of its purpose.

    limits.py SOURCE_ROOT
"""
import pathlib
import re
import subprocess
import sys

MAX_FUNCTION, MAX_COMPLEXITY, MAX_FILE, MAX_MANUAL, MAX_COLUMNS = 120, 25, 1500, 2500, 100
ENDINGS = (".c", ".h", ".cu", ".cuh", ".cpp", ".hpp")
FOLDERS = ("lib", "include", "tools", "examples", "test", "bench")


def sources(root):
    for folder in FOLDERS:
        yield from sorted(p for p in (root / folder).rglob("*") if p.suffix in ENDINGS)


def check_lines(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    if len(lines) > (MAX_MANUAL if path.name == "remora.h" else MAX_FILE):
        yield f"{path}: {len(lines)} lines"
    for number, line in enumerate(lines, 1):
        if len(line) > MAX_COLUMNS and "http" not in line and "REMORA_API" not in line:
            yield f"{path}:{number}: {len(line)} columns"


def says_its_purpose(path):
    text = path.read_text(encoding="utf-8").removeprefix("/* SPDX-License-Identifier: Apache-2.0 */\n")
    header = re.sub(r"_(linux|posix|win32)$", "", path.stem) + ".h"  # one, for the files of all systems
    return text.startswith("/* ") or (path.suffix == ".c" and path.with_name(header).exists())


def check_functions(paths):
    out = subprocess.run(["pmccabe", *map(str, paths)], capture_output=True, text=True, check=True)
    for row in out.stdout.splitlines():
        complexity, _, _, _, length, where = row.split(None, 5)
        if int(length) > MAX_FUNCTION:
            yield f"{where}: {length} lines"
        if int(complexity) > MAX_COMPLEXITY:
            yield f"{where}: complexity {complexity}"


def main():
    paths = list(sources(pathlib.Path(sys.argv[1])))
    problems = [p for path in paths for p in check_lines(path)] + list(check_functions(paths))
    problems += [f"{p}: begins with no statement of its purpose" for p in paths if "lib" in p.parts and not says_its_purpose(p)]
    print("\n".join(problems))
    return 1 if problems or not paths else 0


if __name__ == "__main__":
    sys.exit(main())
