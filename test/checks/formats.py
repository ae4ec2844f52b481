#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The tables of docs/formats.md, and the README where it lists the same, have what the code has: families,
architectures, relatives refused by name, GGUF types and what to take in their place, pre-tokenizers.

    formats.py SOURCE_ROOT
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1])
PAGE, README = ((ROOT / name).read_text(encoding="utf-8") for name in ("docs/formats.md", "README.md"))


def rows(first):
    """The cells of the table whose head begins with `first`."""
    return [row.split("|") for row in PAGE[PAGE.index(f"\n| {first} ") + 1 :].split("\n\n")[0].splitlines()[2:]]


def table(first, column):
    return {name for row in rows(first) for name in re.findall(r"`([\w.-]+)`", row[column])}


def code(path, pattern):
    return re.findall(pattern, (ROOT / "lib" / path).read_text(encoding="utf-8"), re.M)


def listed(kind, end):
    return set(re.findall(r"\w+", README.split(f"of the {kind} ")[1].split(end)[0])) - {"and"}


families = code("config/shape.c", r'^    \{"(\w+)", [A-Z0-9]+,')
archs = re.findall(r'"(\w+)"', code("config/gguf_config.c", r" archs\[\] = (.+);")[0])
relatives = [name for row in code("config/relatives.c", r'^    \{"([\w-]+)", (?:"([\w-]+)"|NULL)') for name in row if name]
types = {(name, row[3].strip() if row[2] == " no " else "") for row in rows("form") for name in re.findall(r"\w+", row[1])[1:]
         if row[1].startswith(" GGUF ")}
PAIRS = {
    "docs/formats.md, model_type of what opens": (table("models", 2), families),
    "docs/formats.md, GGUF of what opens": (table("models", 4), archs),
    "docs/formats.md, what does not open": (table("do not open", 2), relatives),
    "docs/formats.md, GGUF types": (types, code("io/gguf.c", r'^    \[\d+\] = \{"(\w+)", RMR_DTYPE_\w+, (?:NULL|"(\w+)")\}')),
    "docs/formats.md, pre": (table("pattern of", 2), code("text/pre.c", r'^    \{"([\w.-]+)", \w+(?:, [01]){3}\}')),
    "README.md, families": (listed("families", ":"), families),
    "README.md, architectures": (listed("architectures", "("), archs),
}
problems = [f"{where}: differs from the code in {sorted({*said} ^ {*is_so})}" for where, (said, is_so) in PAIRS.items() if {*said} != {*is_so}]
print("\n".join(problems))
sys.exit(bool(problems))
