#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The declarations of remora-sys from the description of the ABI, and their tests: size, alignment and offsets, and that every
function is linked.

    generate.py update remora.abi.json remora-sys/src/abi.rs     write them anew
    generate.py check remora.abi.json remora-sys/src/abi.rs      they are those of the description
    generate.py calls remora.abi.json remora/src                 every function of the description is called there
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from generated import main, version_num  # noqa: E402

PLAIN = {"void": "c_void", "char": "c_char", "float": "f32", "double": "f64", "size_t": "usize", "uint8_t": "u8",
         "int32_t": "i32", "uint32_t": "u32", "int64_t": "i64", "uint64_t": "u64"}
KEYWORDS = {"type", "fn", "ref", "use", "in", "match", "move", "mod"}


def ident(name):
    return "r#" + name if name in KEYWORDS else name


def type_of(text):
    """`remora_session *const *` is read from its end: each star points to what stands before it."""
    text = text.strip()
    if text.endswith("*"):
        inner = text[:-1].strip()
        if inner.endswith("*const"):
            return "*const " + type_of(inner[:-len("const")])
        if inner.startswith("const ") and "*" not in inner:
            return "*const " + type_of(inner[len("const "):])
        return "*mut " + type_of(inner)
    return PLAIN.get(text, text)


def parameter(p):
    return f"{ident(p['name'])}: {declared(p)}"


def declared(p):
    if p["type"] == "callback":
        inside = ", ".join(parameter(q) for q in p["parameters"])
        return f"Option<unsafe extern \"C\" fn({inside}){returned(p['returns'])}>"
    plain = type_of(p["type"])
    return f"[{plain}; {p['length']}]" if "length" in p else plain


def returned(text):
    return "" if text == "void" else " -> " + type_of(text)


def constant_type(enum):
    if enum["name"].endswith(("_flags", "_bits")):
        return "u32"
    return "usize" if enum["name"] == "remora_limits" else "i32"


def constants(abi):
    for c in abi["constants"]:
        yield f"/// `{c['name']}`, since {c['since']}.\npub const {c['name']}: remora_token = {c['value']};"
    for e in abi["enums"]:
        for v in e["values"]:
            yield (f"/// Of `enum {e['name']}`, since {v['since']}.\n"
                   f"pub const {v['name']}: {constant_type(e)} = {v['value']};")


def handle(name):
    return (f"/// A handle of C.\n#[repr(C)]\npub struct {name} {{\n    _private: [u8; 0],\n"
            "    _not_send: std::marker::PhantomData<(*mut u8, std::marker::PhantomPinned)>,\n}")


def c_declaration(f):
    if f["type"] == "callback":
        return "a callback"
    return f"`{f['type']}{'' if f['type'].endswith('*') else ' '}{f['name']}" + (f"[{f['length']}]`" if "length" in f else "`")


def struct(s):
    lines = [f"/// `{s['name']}`, since {s['since']}.", "#[repr(C)]", "#[derive(Clone, Copy)]", f"pub struct {s['name']} {{"]
    for f in s["fields"]:
        lines += [f"    /// {c_declaration(f)}.", f"    pub {ident(f['name'])}: {declared(f)},"]
    lines += ["}", f"impl {s['name']} {{", "    /// All 0, `struct_size` set where there is one.", "    pub fn new() -> Self {",
              "        // Numbers, pointers, optional functions and arrays of them may be 0.",
              f"        {'let' if s['frozen'] else 'let mut'} zeroed: Self = unsafe {{ std::mem::zeroed() }};"]
    if not s["frozen"]:
        lines.append("        zeroed.struct_size = std::mem::size_of::<Self>() as u32;")
    lines += ["        zeroed", "    }", "}", f"impl Default for {s['name']} {{", "    fn default() -> Self {",
              "        Self::new()", "    }", "}"]
    return "\n".join(lines)


def function(f):
    inside = ", ".join(parameter(p) for p in f["parameters"])
    return f"    /// `{f['name']}`, since {f['since']}.\n    pub fn {f['name']}({inside}){returned(f['returns'])};"


def layout(abi):
    yield "#[cfg(all(test, target_pointer_width = \"64\"))]\nmod tests {\n    use super::*;\n    use std::mem::{align_of, size_of};"
    yield "    use std::ptr::addr_of;"
    for s in abi["structs"]:
        yield (f"    #[test]\n    fn layout_of_{s['name']}() {{\n        let x = {s['name']}::new();\n"
               f"        let at = addr_of!(x) as usize;\n"
               f"        assert_eq!((size_of::<{s['name']}>(), align_of::<{s['name']}>()), ({s['size']}, {s['align']}));")
        for f in s["fields"]:
            yield f"        assert_eq!(addr_of!(x.{ident(f['name'])}) as usize - at, {f['offset']});"
        yield "    }"
    yield "    #[test]\n    fn every_function_is_linked() {\n        let all: &[*const ()] = &["
    for f in abi["functions"]:
        yield f"            {f['name']} as *const (),"
    yield "        ];\n        assert!(all.iter().all(|f| !f.is_null()));\n    }\n}"


def generated(abi):
    parts = ["// SPDX-License-Identifier: Apache-2.0\n// Generated from remora.abi.json by bindings/rust/generate.py: do not change it.\n"
             "#![allow(non_camel_case_types)]\n\nuse std::os::raw::{c_char, c_void};\n"]
    parts += [f"/// `{name}` of C.\npub type {name} = {PLAIN[base]};" for name, base in abi["types"].items()]
    parts.append(f"/// The version of the header, for `remora_abi_check`.\npub const REMORA_VERSION_NUM: u32 = {version_num(abi)};")
    parts += [*constants(abi), *map(handle, abi["handles"]), *map(struct, abi["structs"])]
    parts += ["extern \"C\" {", *map(function, abi["functions"]), "}", *layout(abi)]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    main(__doc__, [generated], ".rs", r"sys::{}\(")
