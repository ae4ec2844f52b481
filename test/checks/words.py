#!/usr/bin/env python3
"""Names that docs/words.md retired do not come back in lib.

    words.py SOURCE_ROOT
"""
import pathlib
import re
import sys


def main():
    root = pathlib.Path(sys.argv[1])
    text = (root / "docs/words.md").read_text(encoding="utf-8")
    retired = text[text.index("Not used any more"):]
    names = [w for line in retired.splitlines() if line.startswith("    ") for w in line.split()]
    pattern = re.compile(r"(?<![\w.])(?:" + "|".join(map(re.escape, names)) + r")(?![\w.])")
    bad = [f"{path}:{number}: {found.group()} is retired (docs/words.md)"
           for path in sorted((root / "lib").rglob("*")) if path.suffix in (".c", ".h", ".build")
           for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
           for found in pattern.finditer(line)]
    print("\n".join(bad))
    return bool(bad) or len(names) < 20


if __name__ == "__main__":
    sys.exit(main())
