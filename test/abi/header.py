#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads remora.h: its functions, structs and constants. The header is regular on purpose (no nested structs, one
declarator a line), and anything that does not fit is an error, so nothing can be missed in silence.

usage: header.py functions HEADER    the public functions, sorted
       header.py layout HEADER       a C program that prints the layout of every struct and every constant
       header.py tour HEADER         the program in the first comment
"""
import re
import sys


def code_of(text):
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    text = re.sub(r"^\s*#.*?(?<!\\)$", "", text, flags=re.M)
    return re.sub(r"\s+", " ", text)


def functions(text):
    return sorted(re.findall(r"REMORA_CALL (remora_\w+)\(", code_of(text)))


def field_name(decl):
    callback = re.search(r"\(REMORA_CALL \*(\w+)\)", decl)
    if callback:
        return callback.group(1)
    plain = re.fullmatch(r".*?(\w+)(\[\w+\])?", decl)
    if not plain or "," in decl or ":" in decl:
        sys.exit("header.py: cannot read the field: " + decl)
    return plain.group(1)


def structs(text):
    code = code_of(text)
    bodies = re.findall(r"struct (remora_\w+) \{([^{}]*)\}", code)
    if len(bodies) != len(re.findall(r"struct \w+ \{", code)):
        sys.exit("header.py: a struct definition was not understood")
    return [(name, [field_name(f.strip()) for f in body.split(";") if f.strip()]) for name, body in bodies]


def constants(text):
    if re.search(r"enum \{", code_of(text)):
        sys.exit("header.py: an enum has no name")
    names = re.findall(r"#\s*define (REMORA_VERSION_NUM|REMORA_TOKEN_NONE)\b", text)
    for body in re.findall(r"enum \w+ \{([^{}]*)\}", code_of(text)):
        names += re.findall(r"(REMORA_\w+)", re.sub(r"=[^,]*", "", body))
    return names


def layout(text):
    out = ["#include <remora/remora.h>", "#include <stddef.h>", "#include <stdio.h>", "",
           "#define SIZE(t) printf(\"%s %zu\\n\", #t, sizeof(t))",
           "#define FIELD(t, f) printf(\"%s.%s %zu %zu\\n\", #t, #f, offsetof(t, f), sizeof(((t *)0)->f))",
           "#define CONST(c) printf(\"%s %lld\\n\", #c, (long long)(c))", "", "int main(void)", "{"]
    out += ["    SIZE(%s);" % t for t in ("remora_status", "remora_token")]
    for name, fields in structs(text):
        out.append("    SIZE(%s);" % name)
        out += ["    FIELD(%s, %s);" % (name, f) for f in fields]
    out += ["    CONST(%s);" % c for c in constants(text)]
    return out + ["    return 0;", "}"]


def tour(text):
    lines = re.search(r"^ \*     #include <remora.*?^ \*     \}$", text, flags=re.M | re.S).group(0).split("\n")
    return [l[len(" *     "):] for l in lines]


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in ("functions", "layout", "tour"):
        sys.exit(__doc__)
    with open(sys.argv[2], encoding="utf-8") as f:
        text = f.read()
    print("\n".join({"functions": functions, "layout": layout, "tour": tour}[sys.argv[1]](text)))


main()
