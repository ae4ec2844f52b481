#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every source file says its licence in the first line, or in the second one behind #!.

    spdx.py SOURCE_ROOT [--write]

--write adds the line where it is missing.
"""
import pathlib
import sys

FOLDERS = ("lib", "include", "tools", "examples", "test", "bench", "bindings")
LINE = "SPDX-License-Identifier: Apache-2.0"
ENDINGS = {".c": f"/* {LINE} */", ".h": f"/* {LINE} */", ".cpp": f"/* {LINE} */", ".hpp": f"/* {LINE} */", ".cu": f"/* {LINE} */", ".cuh": f"/* {LINE} */",
           ".map": f"# {LINE}", ".py": f"# {LINE}", ".lua": f"-- {LINE}", ".cs": f"// {LINE}", ".sh": f"# {LINE}", ".build": f"# {LINE}", ".options": f"# {LINE}"}
SCRIPTS = ("get-started", "run-tests", "meson.build", "meson.options")


def sources(root):
    yield from (root / name for name in SCRIPTS)
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in ENDINGS and path.is_file() and "corpus" not in path.parts:
                yield path


def main():
    root, *write = sys.argv[1:]
    bare = []
    for path in sources(pathlib.Path(root)):
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        at = 1 if lines and lines[0].startswith("#!") else 0
        line = ENDINGS.get(path.suffix, f"# {LINE}")
        if lines[at:at + 1] == [line + "\n"]:
            continue
        bare.append(path)
        if write:
            path.write_text("".join([*lines[:at], line + "\n", *lines[at:]]), encoding="utf-8")
    print("\n".join(f"{path}: has no line with its licence{' (added)' if write else ''}" for path in bare))
    return bool(bare) and not write


if __name__ == "__main__":
    sys.exit(main())
