# SPDX-License-Identifier: Apache-2.0
"""What the generators of the bindings have in common. Each makes files from the description of the ABI, remora.abi.json:

    generate.py update remora.abi.json FILE...     write them anew
    generate.py check remora.abi.json FILE...      they are those of the description
    generate.py calls remora.abi.json FOLDER       every function of the description is called there
"""
import json
import pathlib
import re
import sys


def star(text):
    """A C type in front of a name: `char *` x, `int32_t` x."""
    return text if text.endswith("*") else text + " "


def declared(p):
    """A parameter or field as C declares it."""
    if p["type"] == "callback":
        return f"{star(p['returns'])}(*{p['name']})({parameters(p)})"
    return star(p["type"]) + p["name"] + (f"[{p['length']}]" if "length" in p else "")


def parameters(f):
    return ", ".join(map(declared, f["parameters"])) or "void"


def version_num(abi):
    """REMORA_VERSION_NUM of the header that the description is of."""
    major, minor = abi["release"].split(".")
    return int(major) << 24 | int(minor) << 16


def callbacks(abi):
    """Struct and field of every callback."""
    return [(s, f) for s in abi["structs"] for f in s["fields"] if f["type"] == "callback"]


def made(makers, how, abi_path, paths):
    abi = json.loads(abi_path.read_text(encoding="utf-8"))
    for make, path in zip(makers, paths):
        if how == "update":
            path.write_text(make(abi), encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != make(abi):
            sys.exit(f"{path} is not that of {abi_path}; generate.py update {abi_path} {' '.join(map(str, paths))} writes it anew")


def calls(abi, folder, ending, call, absent):
    """Every function of the description is called in the files of a folder, but for those that are absent, with the reason."""
    code = "".join(p.read_text(encoding="utf-8") for p in sorted(folder.rglob("*" + ending)))
    names = {f["name"] for f in abi["functions"]}
    called = {name for name in names if re.search(call.format(name), code)}
    problems = [f"{folder} does not call {name}" for name in sorted(names - called - set(absent))]
    problems += [f"{folder} calls {name}, which is said to be absent" for name in sorted(called & set(absent))]
    problems += [f"there is no {name}, which is said to be absent" for name in sorted(set(absent) - names)]
    if problems:
        sys.exit("\n".join(problems))


def main(doc, makers, ending, call, absent=()):
    """makers: a function for each FILE. call: a pattern of how the code in files of that ending calls {}."""
    how, *paths = sys.argv[1:] or [""]
    paths = list(map(pathlib.Path, paths))
    if how in ("update", "check") and len(paths) == 1 + len(makers):
        made(makers, how, paths[0], paths[1:])
    elif how == "calls" and len(paths) == 2:
        calls(json.loads(paths[0].read_text(encoding="utf-8")), paths[1], ending, call, absent)
    else:
        sys.exit(doc)
