#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The description of the ABI for bindings, remora.abi.json, and the header that it is of. The header is regular on purpose
(no nested structs, one declarator a line), and what does not fit is an error, so nothing can be missed in silence.

usage: abi.py update HEADER JSON     write the description anew; what is new in it was added by the header's release
       abi.py check HEADER JSON MAP  it is that of the header, and functions have the release of their node of the map
       abi.py names JSON             the functions, sorted
       abi.py probe JSON             a C program that compiles when the compiler's types, layout and values are those
       abi.py tour HEADER            the program in the first comment
"""
import json
import re
import sys

SIZES = {"char": 1, "uint8_t": 1, "int32_t": 4, "uint32_t": 4, "float": 4, "int64_t": 8, "uint64_t": 8, "double": 8,
         "size_t": 8}
NOTE = "generated from remora.h; sizes and offsets are bytes on machines with 64-bit pointers"


def fail(text):
    sys.exit("abi.py: " + text)


def code_of(text):
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    text = re.sub(r"^\s*#.*?(?<!\\)$", "", text, flags=re.M)
    return re.sub(r"\s+", " ", text)


# ---- the header ----


def split(text):
    """At the commas that are not in parentheses."""
    parts, depth = [""], 0
    for c in text:
        depth += (c == "(") - (c == ")")
        if c == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += c
    return [p.strip() for p in parts]


def declaration(text):
    """`const float *logits`, `char name[96]`, or a function pointer: its name and type."""
    text = text.strip()
    callback = re.fullmatch(r"(.*?)\(REMORA_CALL \*(\w+)\)\((.*)\)", text)
    if callback:
        returns, name, parameters = callback.groups()
        return {"name": name, "type": "callback", "returns": returns.strip(), "parameters": parameter_list(parameters)}
    plain = re.fullmatch(r"(.*?)(\w+)(?:\[(\d+)\])?", text)
    if not plain or ":" in text or "," in text or not plain.group(1).strip():
        fail("cannot read the declaration: " + text)
    found = {"name": plain.group(2), "type": plain.group(1).strip()}
    if plain.group(3):
        found["length"] = int(plain.group(3))
    return found


def parameter_list(text):
    return [] if text.strip() == "void" else [declaration(p) for p in split(text)]


def functions(code):
    found = []
    declared = r"REMORA_API ([^;]*?)REMORA_CALL (remora_\w+)\(((?:[^()]|\([^()]*\))*)\);"
    for head, name, parameters in re.findall(declared, code):
        found.append({"name": name, "returns": head.replace("REMORA_MUST_CHECK", "").strip(),
                      "must_check": "REMORA_MUST_CHECK" in head, "parameters": parameter_list(parameters)})
    if len(found) != len(re.findall(r"REMORA_API ", code)):
        fail("a function was not understood")
    return sorted(found, key=lambda f: f["name"])


def size_of(field, known):
    if field["type"] == "callback" or field["type"].endswith("*"):
        return 8, 8
    kind = known.get(field["type"])
    if kind is None:
        fail("a field has the type " + field["type"])
    return kind[0] * field.get("length", 1), kind[1]


def lay_out(name, body, known):
    fields, at, widest = [], 0, 1
    for text in (f for f in body.split(";") if f.strip()):
        f = declaration(text)
        size, align = size_of(f, known)
        if at % align:
            fail("%s.%s lies behind padding" % (name, f["name"]))
        fields.append({"name": f.pop("name"), "offset": at, "size": size, **f})
        at, widest = at + size, max(widest, align)
    if at % widest:
        fail(name + " ends with padding")
    known[name] = (at, widest)
    return {"name": name, "size": at, "align": widest, "frozen": fields[0]["name"] != "struct_size", "fields": fields}


def structs(code, known):
    bodies = re.findall(r"struct (remora_\w+) \{([^{}]*)\}", code)
    if len(bodies) != len(re.findall(r"struct \w+ \{", code)):
        fail("a struct was not understood")
    return [lay_out(name, body, known) for name, body in bodies]


def enums(code):
    found = []
    for name, body in re.findall(r"enum (remora_\w+) \{([^{}]*)\}", code):
        values, following = [], 0
        for text in (v for v in body.split(",") if v.strip()):
            m = re.fullmatch(r"(REMORA_\w+)(?: = (-?\w+))?", text.strip())
            if not m:
                fail("cannot read the enumerator: " + text)
            following = int(m.group(2), 0) if m.group(2) else following
            values.append({"name": m.group(1), "value": following})
            following += 1
        found.append({"name": name, "values": values})
    if len(found) != len(re.findall(r"\benum\b", code)):
        fail("an enum was not understood, or has no name")
    return found


def describe(text):
    code = code_of(text)
    version = [re.search(r"define REMORA_VERSION_%s (\d+)" % part, text).group(1) for part in ("MAJOR", "MINOR")]
    types = {name: base for base, name in re.findall(r"typedef (int32_t) (remora_\w+);", code)}
    known = {name: (size, size) for name, size in {**SIZES, **{t: SIZES[base] for t, base in types.items()}}.items()}
    all_structs = structs(code, known)
    defined = {s["name"] for s in all_structs}
    handles = [name for name in re.findall(r"typedef struct (remora_\w+) \1;", code) if name not in defined]
    token_none = re.search(r"define REMORA_TOKEN_NONE \(\(remora_token\)(-?\d+)\)", text)
    return {"note": NOTE, "release": ".".join(version), "types": types, "handles": handles,
            "constants": [{"name": "REMORA_TOKEN_NONE", "value": int(token_none.group(1))}],
            "enums": enums(code), "structs": all_structs, "functions": functions(code)}


# ---- the release that added each thing ----


def parts_of(abi):
    """Everything that has a release of its own: its path, and the dictionary."""
    for group in ("constants", "enums", "structs", "functions"):
        for item in abi[group]:
            yield (group, item["name"]), item
            for list_name in ("values", "fields"):
                for part in item.get(list_name, []):
                    yield (group, item["name"], part["name"]), part


def release(text):
    return tuple(int(n) for n in text.split("."))


def own(item):
    """What must not change of a thing: an enum may get values, and a struct that is not frozen fields."""
    grows = "fields" in item and not item["frozen"]
    may_change = {"values", "fields", "size"} if grows else {"values"}
    return {k: without_since(v) for k, v in item.items() if k != "since" and k not in may_change}


def dated(new, old):
    """The description with releases. What a release before this one has must be there and the same."""
    before = dict(parts_of(old)) if old else {}
    there = dict(parts_of(new))
    for path, item in before.items():
        if release(item["since"]) < release(new["release"]):
            kept = there.get(path)
            if kept is None:
                fail("%s of release %s is gone" % (" ".join(path), item["since"]))
            if own(kept) != own(item):
                fail("%s of release %s has changed" % (" ".join(path), item["since"]))
    for path, item in there.items():
        item["since"] = before[path]["since"] if path in before else new["release"]
    return new


def without_since(x):
    if isinstance(x, dict):
        return {k: without_since(v) for k, v in x.items() if k != "since"}
    return [without_since(v) for v in x] if isinstance(x, list) else x


def write(abi):
    """JSON with a line for each part, so that a change shows as one."""
    def lines(x, indent):
        flat = json.dumps(x, ensure_ascii=False)
        if not isinstance(x, (dict, list)) or not x or len(flat) + indent <= 120:
            return flat
        pad, end = "\n" + " " * (indent + 2), "\n" + " " * indent
        if isinstance(x, list):
            return "[" + pad + ("," + pad).join(lines(v, indent + 2) for v in x) + end + "]"
        items = ("%s: %s" % (json.dumps(k), lines(v, indent + 2)) for k, v in x.items())
        return "{" + pad + ("," + pad).join(items) + end + "}"
    return lines(abi, 0) + "\n"


# ---- commands ----


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def read_json(path):
    try:
        return json.loads(read(path))
    except FileNotFoundError:
        return None


def update(header, path):
    text = write(dated(describe(read(header)), read_json(path)))
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def check(header, path, version_script):
    abi = read_json(path)
    if write(dated(describe(read(header)), abi)) != read(path):
        fail("%s is not that of the header; abi.py update %s %s writes it anew" % (path, header, path))
    nodes = dict((name, node) for node, body in re.findall(r"REMORA_(\d+\.\d+) \{(.*?)\}", read(version_script), flags=re.S)
                 for name in re.findall(r"(remora_\w+);", body))
    described = {f["name"]: f["since"] for f in abi["functions"]}
    for name in sorted(set(nodes) | set(described)):
        if nodes.get(name) != described.get(name):
            fail("%s: release %s in %s, %s in %s" % (name, nodes.get(name), version_script, described.get(name), path))


def c_type(name, d):
    """A typedef of `name` for a described type."""
    if d["type"] == "callback":
        return "typedef %s (REMORA_CALL *%s)(%s);" % (d["returns"], name, c_parameters(d["parameters"]))
    return "typedef %s %s%s;" % (d["type"], name, "[%d]" % d["length"] if "length" in d else "")


def c_parameters(parameters):
    return ", ".join(c_parameter(p) for p in parameters) or "void"


def c_parameter(p):
    if p["type"] == "callback":
        return "%s (REMORA_CALL *)(%s)" % (p["returns"], c_parameters(p["parameters"]))
    return p["type"]


def probe(abi):
    out = ["#include <remora/remora.h>", "#include <stddef.h>", "#define SAME(x) _Static_assert(x, #x)"]
    out.append("SAME(REMORA_VERSION_NUM >> 16 == (%s << 8 | %s));" % tuple(abi["release"].split(".")))
    out += ["SAME(_Generic((%s)0, %s: 1));" % (name, base) for name, base in abi["types"].items()]
    out += ["typedef %s *handle_%d;" % (name, i) for i, name in enumerate(abi["handles"])]
    for c in abi["constants"] + [v for e in abi["enums"] for v in e["values"]]:
        out.append("SAME(%s == %d);" % (c["name"], c["value"]))
    out += ["SAME(sizeof(enum %s) == 4);" % e["name"] for e in abi["enums"]]
    for s in abi["structs"]:
        out.append("SAME(sizeof(%s) == %d && _Alignof(%s) == %d);" % (s["name"], s["size"], s["name"], s["align"]))
        for i, f in enumerate(s["fields"]):
            name = "%s_field_%d" % (s["name"], i)
            out.append(c_type(name, f))
            out.append("SAME(offsetof(%s, %s) == %d);" % (s["name"], f["name"], f["offset"]))
            out.append("SAME(sizeof(%s) == %d);" % (name, f["size"]))
            out.append("SAME(_Generic(&((%s *)0)->%s, %s *: 1, default: 0));" % (s["name"], f["name"], name))
    for f in abi["functions"]:
        parameters = ", ".join(c_parameter(p) for p in f["parameters"]) or "void"
        out.append("SAME(_Generic(&%s, %s (REMORA_CALL *)(%s): 1, default: 0));" % (f["name"], f["returns"], parameters))
    return "\n".join(out + ["int main(void) { return 0; }"])


def tour(text):
    lines = re.search(r"^ \*     #include <remora.*?^ \*     \}$", text, flags=re.M | re.S).group(0).split("\n")
    return "\n".join(line[len(" *     "):] for line in lines)


def names(abi):
    return "\n".join(f["name"] for f in abi["functions"])


def main():
    commands = {"update": update, "check": check, "names": lambda p: print(names(read_json(p))),
                "probe": lambda p: print(probe(read_json(p))), "tour": lambda p: print(tour(read(p)))}
    arguments = {"update": 2, "check": 3, "names": 1, "probe": 1, "tour": 1}
    if len(sys.argv) < 2 or sys.argv[1] not in commands or len(sys.argv) != 2 + arguments[sys.argv[1]]:
        sys.exit(__doc__)
    commands[sys.argv[1]](*sys.argv[2:])


if __name__ == "__main__":
    main()
