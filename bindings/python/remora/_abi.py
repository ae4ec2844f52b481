# SPDX-License-Identifier: Apache-2.0
"""The C interface, declared from remora.abi.json: no name of it is written down a second time."""
import ctypes
import json
import os
import pathlib
import sys
import threading
from typing import Any, Dict, List, Optional

HERE = pathlib.Path(__file__).resolve().parent
ABI_FILE = "remora.abi.json"
LIBRARY_FILES = {"darwin": "libremora.1.dylib", "win32": "libremora-1.dll"}

SCALARS: Dict[str, Any] = {
    "void": None, "char": ctypes.c_char, "float": ctypes.c_float, "double": ctypes.c_double, "size_t": ctypes.c_size_t,
    "int32_t": ctypes.c_int32, "uint32_t": ctypes.c_uint32, "int64_t": ctypes.c_int64, "uint64_t": ctypes.c_uint64,
    "uint8_t": ctypes.c_uint8,
}


def _find_abi() -> pathlib.Path:
    """Beside this module in an installed package, else in the source folder that it is a part of."""
    for path in (HERE / ABI_FILE, HERE.parents[2] / "include" / "remora" / ABI_FILE):
        if path.is_file():
            return path
    raise ImportError(f"{ABI_FILE} is neither in {HERE} nor in a source folder around it")


def _load(release: str) -> Any:
    """The library that REMORA_LIBRARY names, else the package's own, else the system's; with the interface of that release."""
    name = LIBRARY_FILES.get(sys.platform, "libremora.so.1")
    named = os.environ.get("REMORA_LIBRARY")
    own = HERE / name
    lib = ctypes.CDLL(named or (str(own) if own.is_file() else name))
    major, minor = (int(number) for number in release.split("."))
    if getattr(lib, "remora_abi_check")(major << 24 | minor << 16) < 0:
        lib.remora_version_string.restype = ctypes.c_char_p
        raise ImportError(f"{lib._name} is of release {lib.remora_version_string().decode()}; this package needs {release}")
    return lib


class Declarations:
    """Types, constants and functions of the library, under the names of remora.h."""

    def __init__(self, abi: Dict[str, Any], lib: Any) -> None:
        self.abi = abi
        self.values: Dict[str, int] = {c["name"]: c["value"] for c in abi["constants"]}
        self.structs: Dict[str, Any] = {}
        self.functions: Dict[str, Any] = {}
        for enum in abi["enums"]:
            self.values.update((value["name"], value["value"]) for value in enum["values"])
        for struct in abi["structs"]:
            self.structs[struct["name"]] = type(struct["name"], (ctypes.Structure,), {})
        for struct in abi["structs"]:
            self.structs[struct["name"]]._fields_ = [(f["name"], self._field(f)) for f in struct["fields"]]
        for function in abi["functions"]:
            f = getattr(lib, function["name"])
            f.restype = self.type(function["returns"])
            f.argtypes = [self.type(p["type"]) for p in function["parameters"]]
            self.functions[function["name"]] = f

    def _field(self, field: Dict[str, Any]) -> Any:
        if field["type"] == "callback":
            return ctypes.CFUNCTYPE(self.type(field["returns"]), *(self._field(p) for p in field["parameters"]))
        return self.type(field["type"]) * field["length"] if "length" in field else self.type(field["type"])

    def type(self, name: str) -> Any:
        """The ctypes type of a C type: `const remora_text *`, `remora_model **`."""
        name = name.replace("const ", "").replace("*const", "*").strip()
        if name in ("char *", "void *"):
            return ctypes.c_char_p if name == "char *" else ctypes.c_void_p
        if name.endswith("*"):
            to = name[:-1].strip()
            return ctypes.c_void_p if to in self.abi["handles"] else ctypes.POINTER(self.type(to))
        name = self.abi["types"].get(name, name)
        return SCALARS[name] if name in SCALARS else self.structs[name]

    def callback(self, struct: str, field: str) -> Any:
        """The type of a callback."""
        return dict(self.structs[struct]._fields_)[field]

    def make(self, struct: str, **fields: Any) -> Any:
        """A struct of that name, its struct_size set; fields that are None stay 0."""
        made = self.structs[struct]()
        if hasattr(made, "struct_size"):
            made.struct_size = ctypes.sizeof(made)
        for name, value in fields.items():
            if value is not None:
                setattr(made, name, value)
        return made

    def names(self, enum: str, prefix: str) -> Dict[int, str]:
        """The values of an enumeration as lower-case words without their prefix: {1: "stop", ..}."""
        for each in self.abi["enums"]:
            if each["name"] == enum:
                return {v["value"]: v["name"][len(prefix):].lower() for v in each["values"] if v["name"].startswith(prefix)}
        raise KeyError(enum)


_description = json.loads(_find_abi().read_text(encoding="utf-8"))
D = Declarations(_description, _load(_description["release"]))
F = D.functions
OK, MORE, END = D.values["REMORA_OK"], D.values["REMORA_MORE"], D.values["REMORA_END"]
E_BUFFER, E_FULL = D.values["REMORA_E_BUFFER"], D.values["REMORA_E_FULL"]
E_CALLBACK = D.values["REMORA_E_CALLBACK"]


def value(enum: str, prefix: str, word: str) -> int:
    """The value that a word of `names` stands for; ValueError lists the words."""
    words = {name: number for number, name in D.names(enum, prefix).items()}
    if word not in words:
        raise ValueError(f"{word!r} is none of {', '.join(sorted(words))}")
    return words[word]


def utf8(text: str) -> bytes:
    """The bytes of a text. Lone surrogates, as file names have them, go through."""
    return text.encode("utf-8", "surrogatepass")


def text(data: Optional[str]) -> Any:
    """A remora_text, which keeps its bytes."""
    raw = utf8(data or "")
    return D.structs["remora_text"](raw or None, len(raw))


def text_of(t: Any) -> str:
    """What a remora_text holds, NULs included."""
    where = ctypes.c_void_p.from_address(ctypes.addressof(t)).value
    return ctypes.string_at(where, t.len).decode("utf-8", "replace") if where and t.len else ""


def array(struct: str, items: List[Any]) -> Any:
    """An array of structs, or None of nothing."""
    return (D.structs[struct] * len(items))(*items) if items else None


def tokens_array(tokens: Any) -> Any:
    """Token ids as C has them. Numbers of numpy are fine."""
    try:
        return (ctypes.c_int32 * len(tokens))(*tokens)
    except TypeError:
        return (ctypes.c_int32 * len(tokens))(*(int(t) for t in tokens))


# ---- what callbacks hold and raise ---------------------------------------------------------------

def whole_at_fork(lock: Any) -> None:
    """No fork() happens while the lock is held. Windows has no fork()."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)


_kept: Dict[int, Any] = {}
_count = 0
_lock = threading.Lock()
whole_at_fork(_lock)
raised = threading.local()


def keep(what: Any) -> int:
    """Keep an object until the library releases it; the number is the `user` of its callbacks."""
    global _count
    with _lock:
        _count += 1
        _kept[_count] = what
        return _count


def kept(user: int) -> Any:
    return _kept[user]


def _release(user: int) -> None:
    _kept.pop(user, None)


release = D.callback("remora_stage", "release")(_release)


def guarded(failure: int, function: Any) -> Any:
    """A callback that keeps the exception of `function` for the call that it happens in, and returns `failure`."""
    def call(*arguments: Any) -> int:
        try:
            return int(function(*arguments) or 0)
        except BaseException as e:  # the call raises it, whatever it is
            raised.error = e
            return failure
    return call
