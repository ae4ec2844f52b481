#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Names that docs/words.md retired do not come back in lib: in code, comments and names of files.

    words.py SOURCE_ROOT
"""
import pathlib
import re
import sys


def pattern(word):
    """A word is retired as any part of a name; a name of ours as it stands, or with a star whatever follows."""
    if word.endswith("*"):
        return r"(?<!\w)" + re.escape(word[:-1]) + r"(?:_\w+)?(?!\w)"
    if word.startswith("rmr_") or "." in word:
        return r"(?<![\w.])" + re.escape(word) + r"(?!\w)"
    return r"(?i:(?<![A-Za-z0-9])" + re.escape(word) + r"(?![A-Za-z0-9]))"


def main():
    root = pathlib.Path(sys.argv[1])
    text = (root / "docs/words.md").read_text(encoding="utf-8")
    retired = text[text.index("Not used any more"):]
    names = [w for line in retired.splitlines() if line.startswith("    ") for w in line.split()]
    any_of_them = re.compile("|".join(map(pattern, names)))
    bad = []
    for path in sorted((root / "lib").rglob("*")):
        if path.suffix not in (".c", ".h", ".build"):
            continue
        lines = [(0, path.name), *enumerate(path.read_text(encoding="utf-8").splitlines(), 1)]
        bad += [f"{path}:{number}: {found.group()} is retired (docs/words.md)"
                for number, line in lines for found in any_of_them.finditer(line)]
    print("\n".join(bad))
    return bool(bad) or len(names) < 20


if __name__ == "__main__":
    sys.exit(main())
