#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The C interface for C#, from the description of the ABI: constants, structs, delegates of callbacks and P/Invoke.

    generate.py update remora.abi.json Abi.cs     write it anew
    generate.py check remora.abi.json Abi.cs      it is that of the description
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from generated import callbacks, main, version_num  # noqa: E402

PLAIN = {"char": "byte", "uint8_t": "byte", "int32_t": "int", "uint32_t": "uint", "int64_t": "long", "uint64_t": "ulong", "size_t": "UIntPtr",
         "void": "void", "float": "float", "double": "double"}


def type_of(abi, text):
    """Handles are IntPtr, other pointers are pointers."""
    text = text.replace("const ", "").replace("*const", "*").strip()
    if text == "callback":
        return "IntPtr"
    if text.endswith("*"):
        to = text[:-1].strip()
        return "IntPtr" if to in abi["handles"] or to == "void" else type_of(abi, to) + "*"
    text = abi["types"].get(text, text)
    return PLAIN.get(text, text)


def parameters(abi, f):
    return ", ".join(f"{type_of(abi, p['type'])} @{p['name']}" for p in f["parameters"])


def arguments(abi, f):
    """Those of a function. A handle is a SafeHandle, which P/Invoke keeps from being freed until the call has ended; to free it takes its pointer."""
    def one(p):
        to = p["type"].replace("const ", "").replace(" *", "")
        safe = to in abi["handles"] and not f["name"].endswith("_free")
        return f"{'SafeHandle' if safe else type_of(abi, p['type'])} @{p['name']}"
    return ", ".join(map(one, f["parameters"]))


def field(abi, f):
    if "length" in f:
        return f"        public fixed {type_of(abi, f['type'])} @{f['name']}[{f['length']}];"
    return f"        public {type_of(abi, f['type'])} @{f['name']};"


def library(abi):
    """What P/Invoke looks for. Windows has the release in front of the ending, where P/Invoke does not look; .NET can be told.

    Unity and Mono look as the name says: libremora.so of "remora", libremora-1.dll of "libremora-1".
    """
    number = abi["release"].split(".")[0]
    return f"""#if UNITY_EDITOR_WIN || UNITY_STANDALONE_WIN || REMORA_WINDOWS
        public const string Library = "libremora-{number}";
#else
        public const string Library = "remora";
#endif
#if NETCOREAPP3_0_OR_GREATER
        static Abi()
        {{
            try {{
                NativeLibrary.SetDllImportResolver(typeof(Abi).Assembly, Find);
            }} catch (InvalidOperationException) {{ // the program has a resolver of its own, which calls Find
            }}
        }}

        /// The library under the name that its file has on this system; zero: look as usual.
        public static IntPtr Find(string name, System.Reflection.Assembly by, DllImportSearchPath? where)
        {{
            IntPtr found;
            var file = RuntimeInformation.IsOSPlatform(OSPlatform.Windows) ? "libremora-{number}.dll"
                : RuntimeInformation.IsOSPlatform(OSPlatform.OSX) ? "libremora.{number}.dylib" : "libremora.so.{number}";
            return name == Library && NativeLibrary.TryLoad(file, by, where, out found) ? found : IntPtr.Zero;
        }}
#endif""".split("\n")


def abi_cs(abi):
    lines = ["// SPDX-License-Identifier: Apache-2.0", "// Generated from remora.abi.json by bindings/csharp/generate.py: do not change it.",
             "using System;", "using System.Runtime.InteropServices;", "", "namespace Remora.Native", "{"]
    for s in abi["structs"]:
        lines += ["    [StructLayout(LayoutKind.Sequential)]", f"    public unsafe struct {s['name']}", "    {",
                  *(field(abi, f) for f in s["fields"]), "    }"]
    for s, f in callbacks(abi):
        lines += ["    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]",
                  f"    public unsafe delegate {type_of(abi, f['returns'])} {s['name']}_{f['name']}({parameters(abi, f)});"]
    lines += ["    public static unsafe class Abi", "    {", *library(abi),
              f"        public const uint Version = {version_num(abi)};"]
    values = [(c["name"], c["value"]) for c in abi["constants"]] + [(v["name"], v["value"]) for e in abi["enums"] for v in e["values"]]
    lines += [f"        public const int {name} = {value};" for name, value in values]
    for f in abi["functions"]:
        lines += ["        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]",
                  f"        public static extern {type_of(abi, f['returns'])} {f['name']}({arguments(abi, f)});"]
    lines += ["        /// Struct, size, field, offset: what the description says, for a test.", "        public static readonly object[][] Layout = {"]
    lines += [f'            new object[] {{typeof({s["name"]}), {s["size"]}, "{f["name"]}", {f["offset"]}}},' for s in abi["structs"] for f in s["fields"]]
    return "\n".join(lines + ["        };", "    }", "}"]) + "\n"


if __name__ == "__main__":
    main(__doc__, [abi_cs], ".cs", r"Abi\.{}\(")
