#!/usr/bin/env python3
"""References lead somewhere: a page that text or a comment names is in docs/, the titles or trap numbers behind its name
are in it, a link has its file and anchor, and nothing refers to notes that are not in the repository.

    references.py SOURCE_ROOT
"""
import pathlib
import re
import sys

FOLDERS = ("lib", "include", "tools", "test", "bench", "examples", "docs")
ENDINGS = {".c", ".h", ".py", ".sh", ".build", ".md", ".txt"}
ELSEWHERE = re.compile(r"\b[Ff]acts (?:sections? )?T?\d|\((?:architecture )?sections? \d|architecture section|redesign\.md|shared/(?:facts|design)")
NAMED = re.compile(r'\bdocs/(\w+\.(?:md|svg))((?:,? (?:and )?(?:T\d+\b|"[^"]+"))*)')
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")


def slug(title):
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def places(page):
    """Titles, anchors and trap numbers."""
    text = page.read_text(encoding="utf-8") if page.suffix == ".md" else ""
    titles = re.findall(r"^#+ (.*)$", text, re.M)
    return {*titles, *map(slug, titles), *re.findall(r'<a id="(\w+)">', text), *re.findall(r'"></a>(T\d+)', text)}


def problems_of(root, path):
    raw = path.read_text(encoding="utf-8")
    text = re.sub(r"\s*\n[ \t]*(?:\*(?!/)|//|# )?[ \t]*", " ", raw)  # a reference may go on in the next line
    yield from (f'"{m[0]}" is not in the repository' for m in ELSEWHERE.finditer(text))
    found = [(root / "docs" / name, p) for name, behind in NAMED.findall(text) for p in ["", *re.findall(r'T\d+|"[^"]+"', behind)]]
    if path.suffix == ".md":
        found += [(path.parent / to if to else path, p) for to, p in LINK.findall(raw) if not to.startswith("http")]
    for page, place in found:
        if not page.exists() or (place and place.strip('"') not in places(page)):
            yield f"there is no {page.name} {place}"


def main():
    root = pathlib.Path(sys.argv[1])
    paths = [*root.glob("*.md"), *(p for f in FOLDERS for p in sorted((root / f).rglob("*")) if p.suffix in ENDINGS)]
    problems = [f"{p}: {x}" for p in paths if p != pathlib.Path(__file__).resolve() for x in problems_of(root, p)]
    print("\n".join(problems))
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
