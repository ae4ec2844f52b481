#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Documents keep their form: a reader comes from the README to every page of docs/, by links; docs/performance.md is short
and has one table, for the rest is the notebook's; the changes begin with the version that this is.

    documents.py SOURCE_ROOT VERSION
"""
import pathlib
import re
import sys

ROOT, VERSION = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2]
MOST = 120  # lines of docs/performance.md


def links(page):
    text = page.read_text(encoding="utf-8") if page.suffix == ".md" else ""
    return {(page.parent / to).resolve() for to in re.findall(r"\]\(([^)#\s]+)", text) if not to.startswith("http")}


def reached(start):
    found, to_do = set(), {start}
    while to_do:
        found |= to_do
        to_do = {p for page in to_do for p in links(page) if p.is_file()} - found
    return found


pages = reached(ROOT / "README.md")
problems = [f"{p.relative_to(ROOT)}: no link leads here" for p in sorted((ROOT / "docs").rglob("*"))
            if p.is_file() and p.suffix in {".md", ".svg", ".log"} and p not in pages]
performance = (ROOT / "docs/performance.md").read_text(encoding="utf-8")
tables = len(re.findall(r"^\|[-| ]+\|$", performance, re.M))
if len(performance.splitlines()) > MOST or tables != 1:
    problems.append(f"docs/performance.md: {len(performance.splitlines())} lines of {MOST} at most, {tables} tables instead of one")
first = re.search(r"^## (\d+\.\d+\.\d+)\b", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
if first is None or first[1] != VERSION.split("-")[0]:
    problems.append(f"CHANGELOG.md: the first entry is {first and first[1]}, this is {VERSION}")
print("\n".join(problems))
sys.exit(bool(problems))
