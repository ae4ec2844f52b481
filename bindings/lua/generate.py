#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The Lua binding's knowledge of the interface, from the description of the ABI: abi.lua for both Luas, with the declarations for
LuaJIT's FFI in it; core_calls.h, the part of the C module for plain Lua that depends on it.

    generate.py update remora.abi.json remora/abi.lua remora/core_calls.h     write them anew
    generate.py check remora.abi.json remora/abi.lua remora/core_calls.h      they are those of the description
    generate.py calls remora.abi.json remora                                  every function of the description is called there
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from generated import callbacks, declared, main, parameters, star, version_num  # noqa: E402

NEVER_LUA = {"alloc", "resize", "dealloc", "run", "thread_start"}  # callbacks that come on threads which no Lua state has


# ---- abi.lua

def cdef(abi):
    yield from (f"typedef {base} {name};" for name, base in abi["types"].items())
    yield from (f"typedef struct {name} {name};" for name in abi["handles"])
    yield from (f"typedef struct {s['name']} {s['name']};" for s in abi["structs"])
    for s in abi["structs"]:
        yield f"struct {s['name']} {{ " + " ".join(declared(f) + ";" for f in s["fields"]) + " };"
    yield from (f"{star(f['returns'])}{f['name']}({parameters(f)});" for f in abi["functions"])


def lua_field(f):
    words = [f'type = "{f["type"]}"', f"at = {f['offset']}"]
    if f["type"] == "callback":
        words.append(f'pointer = "{f["returns"]} (*)({parameters(f)})"')
    if "length" in f:
        words.append(f"length = {f['length']}")
    return f"      {f['name']} = {{{', '.join(words)}}},"


def abi_lua(abi):
    lines = ["-- SPDX-License-Identifier: Apache-2.0", "-- Generated from remora.abi.json by bindings/lua/generate.py: do not change it.",
             "return {", f"  version = {version_num(abi)},", f'  release = "{abi["release"]}",', "  cdef = [[", *cdef(abi), "]],",
             "  types = {", *(f'    {name} = "{base}",' for name, base in abi["types"].items()), "  },", "  values = {"]
    lines += [f"    {c['name']} = {c['value']}," for c in abi["constants"]]
    lines += [f"    {v['name']} = {v['value']}," for e in abi["enums"] for v in e["values"]]
    lines += ["  },", "  enums = {"]
    for e in abi["enums"]:
        lines.append(f"    {e['name']} = {{" + ", ".join(f'"{v["name"]}"' for v in e["values"]) + "},")
    lines += ["  },", "  structs = {"]
    for s in abi["structs"]:
        lines += [f"    {s['name']} = {{size = {s['size']}, align = {s['align']}, fields = {{", *map(lua_field, s["fields"]), "    }},"]
    lines += ["  },", "  functions = {", *(f'    "{f["name"]}",' for f in abi["functions"]), "  },", "}"]
    return "\n".join(lines) + "\n"


# ---- core_calls.h

def argument(abi, i, p):
    if p["type"].endswith("*"):
        return f"pointer_at(L, {i})"
    return f"({p['type']})luaL_checkinteger(L, {i})"


def call(abi, f):
    words = f"{f['name']}({', '.join(argument(abi, i, p) for i, p in enumerate(f['parameters'], 1))})"
    if f["returns"] == "void":
        body = f"    {words};\n    leave_call(before);\n    return 0;"
    else:
        give = {"const char *": "lua_pushstring(L, got)"}.get(f["returns"])
        if not give:
            give = "push_pointer(L, got)" if f["returns"].endswith("*") else "lua_pushinteger(L, (lua_Integer)got)"
        body = f"    const {f['returns'].removeprefix('const ')} got = {words};\n" if not f["returns"].endswith("*") else \
            f"    {star(f['returns'])}got = {words};\n"
        body += f"    leave_call(before);\n    {give};\n    return 1;"
    return f"static int call_{f['name']}(lua_State *L)\n{{\n    lua_State *before = enter_call(L);\n{body}\n}}\n"


def trampoline(s, f):
    """What the library calls: it hands `user` and the others to the handler of that name in Lua."""
    user, *others = f["parameters"]
    fails = {"void": "0", "int32_t": "1", "remora_status": "REMORA_E_CALLBACK"}[f["returns"]]
    push = "".join(f"    push_pointer(L, (void *){p['name']});\n" if p["type"].endswith("*") else
                   f"    lua_pushinteger(L, (lua_Integer){p['name']});\n" for p in others)
    name = f"on_{s['name']}_{f['name']}"
    gives = "" if f["returns"] == "void" else f"({f['returns']})"
    out = "" if f["returns"] == "void" else "return "
    failing = "return;" if f["returns"] == "void" else f"return {fails};"
    return (f"static {star(f['returns'])}{name}({parameters(f)})\n{{\n"
            f"    lua_State *L = enter_callback(\"{s['name']}.{f['name']}\", {user['name']});\n    if (!L) {failing}\n{push}"
            f"    {out}{gives}leave_callback(L, {1 + len(others)}, {fails});\n}}\n")


def core_calls(abi):
    lines = ["/* SPDX-License-Identifier: Apache-2.0 */",
             "/* Generated from remora.abi.json by bindings/lua/generate.py: do not change it. */"]
    for s in abi["structs"]:
        lines.append(f"_Static_assert(sizeof({s['name']}) == {s['size']}, \"size\");")
        lines += [f"_Static_assert(offsetof({s['name']}, {f['name']}) == {f['offset']}, \"{s['name']}.{f['name']}\");" for f in s["fields"]]
    lines += [call(abi, f) for f in abi["functions"]]
    lines += ["static const luaL_Reg calls[] = {", *(f'    {{"{f["name"]}", call_{f["name"]}}},' for f in abi["functions"]),
              "    {NULL, NULL},", "};"]
    frees = [h + "_free" for h in abi["handles"]]
    lines += [f"static void drop_{name}(void *p)\n{{\n    {name}(p);\n}}" for name in frees]
    lines += ["static const freeing frees[] = {", *(f'    {{"{name}", drop_{name}}},' for name in frees), "};"]
    named = [(s, f) for s, f in callbacks(abi) if f["name"] not in NEVER_LUA]
    lines += [trampoline(s, f) for s, f in named]
    lines.append("static void push_trampolines(lua_State *L)\n{")
    lines += [f"    set_trampoline(L, \"{s['name']}.{f['name']}\", (void (*)(void))on_{s['name']}_{f['name']});" for s, f in named]
    lines.append("}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main(__doc__, [abi_lua, core_calls], ".lua", r"\bF\.{}\b")
