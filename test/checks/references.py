#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""References lead somewhere: a page that text or a comment names is in docs/, the titles or trap numbers behind its name
are in it, a link has its file and anchor, a path or a source file that is named is there, a function that a walk of
docs/architecture.md names is in the file beside it, a name of ours in the code of a page is in the sources, a promise has
its row in the README, and nothing refers to notes that are not in the repository. The notebook may name what was there once.

    references.py SOURCE_ROOT
"""
import pathlib
import re
import sys

FOLDERS = ("lib", "include", "tools", "test", "bench", "examples", "docs")
ENDINGS = {".c", ".h", ".py", ".sh", ".build", ".md", ".txt"}
ELSEWHERE = re.compile(r"\b[Ff]acts (?:sections? )?T?\d|\((?:architecture )?sections? \d|architecture section|redesign\.md|shared/(?:facts|design)")
NAMED = re.compile(r'\bdocs/(\w+\.(?:md|svg))((?:,? (?:and )?(?:T\d+\b|"[^"]+"))*)')
# Paths, or programs that a build has there; what is in capitals stands for a name.
PATH = re.compile(r"(?<![\w/.$}-])(?:lib|test|tools|include|bench|examples|docs|models)/\w[\w./*-]*(?![\w./*$-])")
PROGRAM = re.compile(r"\bexecutable\('(\w+)'")
SOURCE = re.compile(r"(?<![\w/.<*-])[A-Za-z]\w*\.[ch]\b(?!\()")
OTHERS = {"yaml.h", "tour.c", "program.c"}  # libyaml's, and a reader's own
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
PROMISE = re.compile(r"\(P(\d\d?)\)")
OURS = re.compile(r"\b(?:rmr|RMR|remora|REMORA)_\w+")
PATTERNS = {"remora_noun_verb", "rmr_module_thing", "REMORA_1"}  # how names are made; a node of remora.map
WALK = re.compile(r"^ {4,}(\w+) +([\w/]+\.c)\b", re.M)  # a function and its file of lib, in a walk
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")


def slug(title):
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def places(page):
    """Titles, anchors and trap numbers."""
    text = page.read_text(encoding="utf-8") if page.suffix == ".md" else ""
    titles = re.findall(r"^#+ (.*)$", text, re.M)
    return {*titles, *map(slug, titles), *re.findall(r'<a id="(\w+)">', text), *re.findall(r'"></a>(T\d+)', text)}


def is_there(root, name, programs):
    name = name.rstrip(".-/")
    stem = name.rsplit("/", 1)[1]
    return stem.isupper() or stem in programs or any(root.glob(name)) or any(root.glob(name + ".*"))


def names_in(path, text, raw):
    """The names of source files: in comments, or in the code of a page."""
    said = " ".join(COMMENT.findall(raw) if path.suffix in {".c", ".h"} else re.findall(r"`([^`\n]+)`", text))
    return SOURCE.findall(said) if path.suffix in {".c", ".h", ".md"} else []


def missing_names(path, raw, words):
    """Names of ours in the code of a page that no source has."""
    code = " ".join(re.findall(r"`([^`\n]+)`", raw)) if path.suffix == ".md" else ""
    return sorted(set(OURS.findall(code)) - words - PATTERNS)


def wrong_steps(root, raw):
    """Steps of a walk whose function is not in the file beside it."""
    for function, name in WALK.findall(raw):
        file = root / "lib" / name
        if not file.exists() or not re.search(rf"\b{function}\(", file.read_text(encoding="utf-8")):
            yield f"there is no {function}() in lib/{name}"


def problems_of(root, path, known):
    raw = path.read_text(encoding="utf-8")
    text = re.sub(r"\s*\n[ \t]*(?:\*(?!/)|//|# )?[ \t]*", " ", raw)  # a reference may go on in the next line
    yield from (f'"{m[0]}" is not in the repository' for m in ELSEWHERE.finditer(text))
    if "notebook" not in path.parts:
        yield from (f"there is no {m[0]}" for m in PATH.finditer(raw) if not is_there(root, m[0], known["programs"]))
        yield from (f"there is no source file {name}" for name in names_in(path, text, raw) if name not in known["sources"])
        yield from (f"no source has {name}" for name in missing_names(path, raw, known["words"]))
    yield from (f"the README has no promise P{n}" for n in PROMISE.findall(text) if n not in known["promises"])
    found = [(root / "docs" / name, p) for name, behind in NAMED.findall(text) for p in ["", *re.findall(r'T\d+|"[^"]+"', behind)]]
    if path.suffix == ".md":
        found += [(path.parent / to if to else path, p) for to, p in LINK.findall(raw) if not to.startswith("http")]
    if path.name == "architecture.md":
        yield from wrong_steps(root, raw)
    for page, place in found:
        if not page.exists() or (place and place.strip('"') not in places(page)):
            yield f"there is no {page.name} {place}"


def main():
    root = pathlib.Path(sys.argv[1])
    paths = [*root.glob("*.md"), *(p for f in FOLDERS for p in sorted((root / f).rglob("*")) if p.suffix in ENDINGS)]
    sources = {p.name for f in FOLDERS for p in (root / f).rglob("*.[ch]")} | OTHERS
    programs = {name for f in FOLDERS for p in (root / f).rglob("meson.build") for name in PROGRAM.findall(p.read_text(encoding="utf-8"))}
    promises = set(re.findall(r"^\| P(\d+) ", (root / "README.md").read_text(encoding="utf-8"), re.M))
    words = {w for p in paths if p.suffix in {".c", ".h", ".py"} for w in OURS.findall(p.read_text(encoding="utf-8"))}
    known = {"words": words, "sources": sources, "programs": programs, "promises": promises}
    problems = [f"{p}: {x}" for p in paths if p != pathlib.Path(__file__).resolve() for x in problems_of(root, p, known)]
    print("\n".join(problems))
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
