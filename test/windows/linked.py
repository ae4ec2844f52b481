#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Programs of mingw-w64 link what `meson install` leaves, with the import library and with the static one. Each has every function
of remora.abi.json, and both say the same.

    linked.py BUILD PROGRAM.C MODEL OBJDUMP COMPILER...
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile


def said(*words, **more):
    got = subprocess.run([str(w) for w in words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **more)
    assert got.returncode == 0, f"{words[0]} ended with {got.returncode}:\n{got.stdout}"
    return got.stdout


def all_functions(prefix):
    """C that needs every public function."""
    with open(prefix / "include/remora/remora.abi.json", encoding="utf-8") as f:
        names = [function["name"] for function in json.load(f)["functions"]]
    rows = "".join(f"    a[{i}] = (void (*)(void)){name};\n" for i, name in enumerate(names))
    return f"#include <remora/remora.h>\nvoid all_functions(void (**a)(void));\nvoid all_functions(void (**a)(void))\n{{\n{rows}}}\n"


def main():
    build, program, model, objdump, *compiler = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        said("meson", "install", "-C", build, "--no-rebuild", "--destdir", folder)
        pc = next(pathlib.Path(folder).rglob("remora.pc"))
        prefix = pc.parents[2]
        all_c = prefix / "all.c"
        all_c.write_text(all_functions(prefix), encoding="utf-8")
        env = {**os.environ, "PKG_CONFIG_LIBDIR": str(pc.parent)}
        config = ["pkg-config", f"--define-variable=prefix={prefix}"]
        flags = said(*config, "--cflags", "--libs", "remora", env=env).split()
        static = said(*config, "--cflags", "--libs", "--static", "remora", env=env).split()
        static = ["-DREMORA_STATIC"] + [str(pc.parents[1] / "libremora.a") if word == "-lremora" else word for word in static]
        spoken = {}
        for name, words in ("import", flags), ("static", static):
            exe = prefix / "bin" / f"{name}.exe"  # beside the DLL
            said(*compiler, program, all_c, *words, "-o", exe)
            needs_dll = "DLL Name: libremora-1.dll" in said(objdump, "-p", exe)
            assert needs_dll == (name == "import"), f"{name}.exe {'needs' if needs_dll else 'does not need'} libremora-1.dll"
            spoken[name] = said("wine", exe, model)
        assert len(spoken["import"]) > 60 and spoken["import"] == spoken["static"], spoken
        print("both say:", spoken["import"].strip())


if __name__ == "__main__":
    main()
