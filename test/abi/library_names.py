#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The bindings load the library under the name that its file has: that of this build, and those of the other systems.

    library_names.py SOURCE_ROOT SYSTEM LIBRARY SOVERSION
"""
import pathlib
import re
import sys

NAMES = {"windows": "libremora-{}.dll", "darwin": "libremora.{}.dylib", "linux": "libremora.so.{}"}
# Files that name the library, and what else they call it: P/Invoke adds the ending.
FILES = {"bindings/lua/remora/ffi.lua": set(), "bindings/python/remora/_abi.py": set(), "bindings/csharp/Abi.cs": {"libremora-{}"}}


def main():
    root, system, library, number = pathlib.Path(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3]), sys.argv[4]
    expected = library.with_name(NAMES[system].format(number))
    problems = [] if expected.exists() and expected.samefile(library) else [f"{expected.name} is not the file {library}"]
    for file, more in FILES.items():
        text = (root / file).read_text(encoding="utf-8")
        found = set(re.findall(r'"((?:lib)?remora(?:[-.]\d[\w.]*|\.so[\w.]*|\.dll|\.dylib))"', text))
        wanted = {name.format(number) for name in more.union(NAMES.values())}
        problems += [f"{file}: {name} is no name of the library" for name in sorted(found - wanted)]
        problems += [f"{file}: {name} is not there" for name in sorted(wanted - found)]
    print("\n".join(problems) or f"{len(FILES)} bindings load {', '.join(n.format(number) for n in NAMES.values())}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
