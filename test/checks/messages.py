#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Error texts are sentences (CONTRIBUTING.md, Errors): every format of RMR_FAIL and rmr_error_set in lib has a verb.

    messages.py SOURCE_ROOT
"""
import pathlib
import re
import sys

CALL = re.compile(r"\b(?:RMR_FAIL|rmr_error_set)\s*\(")
LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"')
FORMAT = re.compile(r'(?:[A-Z][A-Z_]*\s*)?(?:"(?:[^"\\]|\\.)*"\s*(?:[A-Z][A-Z_]*\s*)?)+')  # with macros between
VERB = re.compile(r"\b(is|are|was|were|has|have|had|does|do|can|cannot|could|must|needs?|means?|takes?|holds?|lacks?|"
                  r"begins?|ends?|changes|exceeds?|overflows?|overlaps|follows|occurs|names|belongs|goes|"
                  r"returned|allows|leaves|reads|makes|fetches|comes|fit|says|divides|refused|differs?)\b")
# formats that hand on what the caller, or another library, says
HANDED_ON = {"%s", "%s: %s", "zstd: %s", "YAML: %s", "%s: byte %zu: %s", "%s: line %d, byte %d: %s", "%s:%zu:%zu: %s",
             "%s: %s: %s (errno %d)", "%s: %s[%zu]%s%s: %s", "%s: tensor %s: chunk %llu: %s",
             "%s: tensor %s %s at byte %llu, not %llu", "%s: %s at byte %zu of the pattern"}


def calls(text):
    """Line and arguments of each call."""
    for m in CALL.finditer(text):
        depth, at = 1, m.end()
        while depth and at < len(text):
            if text[at] == '"':
                at = LITERAL.match(text, at).end()
                continue
            depth += {"(": 1, ")": -1}.get(text[at], 0)
            at += 1
        yield text.count("\n", 0, m.start()) + 1, text[m.end():at - 1]


def check(path):
    for line, args in calls(path.read_text(encoding="utf-8")):
        found = FORMAT.search(args)
        fmt = "".join(LITERAL.findall(found.group(0))) if found else "%s"
        if fmt not in HANDED_ON and not VERB.search(fmt):
            yield f'{path}:{line}: no verb in "{fmt}"'


def main():
    paths = sorted((pathlib.Path(sys.argv[1]) / "lib").rglob("*.[ch]"))
    problems = [p for path in paths for p in check(path)]
    print("\n".join(problems))
    return 1 if problems or not paths else 0


if __name__ == "__main__":
    sys.exit(main())
