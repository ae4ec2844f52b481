#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A module of lib uses only modules below it, in the order of the table in lib/meson.build: no header of another is
included, and no function or table of another is referred to. The public functions are lib/api's, the highest module.

    layers.py SOURCE_ROOT ARCHIVE...
"""
import pathlib
import re
import subprocess
import sys

ROOT, *ARCHIVES = map(pathlib.Path, sys.argv[1:])
LIB = ROOT / "lib"
ROW = re.compile(r"^  \['(\w+)', '([\w/]+)', \[([^\]]*)\], \[[^\]]*\](?:, \[([^\]]*)\])?\],$", re.M)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+"([^"]+)"', re.M)


def table():
    """Folder of each module, and the modules that it sees."""
    folder, shows, sees = {}, {}, {}
    for name, where, below, alone in ROW.findall((LIB / "meson.build").read_text(encoding="utf-8")):
        folder[name], direct = where, re.findall(r"\w+", below)
        shows[name] = {name}.union(*(shows[b] for b in direct))
        sees[name] = shows[name].union(re.findall(r"\w+", alone))
    return folder, sees


def module_of(path, folder):
    """The module in whose folder, or below whose folder, a file of lib lies."""
    inside = [m for m, where in folder.items() if pathlib.Path(where) in path.parents]
    return max(inside, key=lambda m: len(folder[m])) if inside else None


def module_of_archive(path, folder):
    """The module that an archive is named after, or in whose folder it is made."""
    name = path.stem.removeprefix("librmr_")
    return name if name in folder else module_of(path.relative_to("lib"), folder)


def includes(folder, sees):
    sources = sorted(p for ending in ("*.c", "*.h") for p in LIB.rglob(ending))
    headers = {}
    for path in sources:
        if path.suffix == ".h" and headers.setdefault(path.name, path) != path:
            yield f"{path}: there is also {headers[path.name]}"
    for path in sources:
        me = module_of(path.relative_to(LIB), folder)
        if me is None:
            yield f"{path}: lies in no module of lib/meson.build"
            continue
        for name in INCLUDE.findall(path.read_text(encoding="utf-8")):
            other = headers.get(pathlib.PurePath(name).name)
            if other is None:
                yield f"{path}: there is no {name} in lib"
            elif module_of(other.relative_to(LIB), folder) not in sees[me]:
                yield f"{path}: includes {name} of {module_of(other.relative_to(LIB), folder)}, which is not below {me}"


def symbols(archive):
    """Names that an archive defines and refers to."""
    out = subprocess.run(["nm", "-g", archive], capture_output=True, text=True, check=True).stdout
    rows = [row.split()[-2:] for row in out.splitlines() if re.search(r" \w (?:rmr|remora)_\w+$", row)]
    return {n for kind, n in rows if kind != "U"}, {n for kind, n in rows if kind == "U"}


def references(folder, sees):
    found = [(p, module_of_archive(p, folder), *symbols(p)) for p in ARCHIVES]
    home = {name: me for _, me, defined, _ in found for name in defined}
    for path, me, _, used in found:
        for name in sorted(used):
            if name not in home:
                yield f"{path}: {name} is defined nowhere"
            elif home[name] not in sees[me]:
                yield f"{path}: refers to {name} of {home[name]}, which is not below {me}"
    if not any(name.startswith("remora_") for name in home):
        yield f"no public function was found in {ARCHIVES}"


def main():
    folder, sees = table()
    problems = [*includes(folder, sees), *references(folder, sees)]
    print("\n".join(problems))
    return bool(problems) or len(folder) < 8


if __name__ == "__main__":
    sys.exit(main())
