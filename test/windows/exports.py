#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The DLL exports the functions of remora.abi.json and nothing else, and needs no DLL that Windows lacks.

    exports.py OBJDUMP DLL REMORA.ABI.JSON
"""
import json
import re
import subprocess
import sys

SYSTEM = {"kernel32.dll", "msvcrt.dll", "ntdll.dll", "bcrypt.dll"}


def main():
    objdump, dll, description = sys.argv[1:]
    said = subprocess.run([objdump, "-p", dll], capture_output=True, text=True, check=True).stdout
    table = said[said.index("[Ordinal/Name Pointer] Table"):]
    exported = set(re.findall(r"^\s*\[\s*\d+\](?: \+base\[\s*\d+\])?\s+(?:[0-9a-f]+ )?(\w+)$", table, re.M))
    with open(description, encoding="utf-8") as f:
        public = {function["name"] for function in json.load(f)["functions"]}
    needed = {name.lower() for name in re.findall(r"DLL Name: (\S+)", said)}
    problems = [f"exported, and not public: {name}" for name in sorted(exported - public)]
    problems += [f"not exported: {name}" for name in sorted(public - exported)]
    problems += [f"needs {name}" for name in sorted(needed - SYSTEM) if not name.startswith("api-ms-win-")]
    print("\n".join(problems) or f"{len(exported)} functions exported")
    return 1 if problems or not public else 0


if __name__ == "__main__":
    sys.exit(main())
