# SPDX-License-Identifier: Apache-2.0
"""meson-python, with three differences.

The tag of a wheel: this package has no module for the ABI of one Python, so one wheel is for all. meson-python takes what lies
in the folder of platform files for such modules; a shared library has to lie there, for tools that look for what a wheel needs
of the system.

Licences: where the library's dependencies are inside it, their licences are where Python looks for those of a wheel, and the
wheel says so.

A source archive has the dependencies in it, so that it can be built where they are not.
"""
import base64
import copy
import hashlib
import pathlib
import re
import zipfile

from mesonpy import *  # noqa: F403 - the other hooks of a build backend
from mesonpy import build_sdist as _build_sdist
from mesonpy import build_wheel as _build_wheel

ROOT = pathlib.Path(__file__).resolve().parents[2]


def _spdx(name: str) -> str:
    """The licence of a dependency, as our build file of it says."""
    text = (ROOT / "subprojects" / "packagefiles" / name / "meson.build").read_text(encoding="utf-8")
    return re.search(r"license: '(.*?)'", text)[1]


def _metadata(data: bytes, inside: "list[str]") -> bytes:
    """METADATA of a wheel that has these dependencies in it."""
    head, rest = data.split(b"\n\n", 1)
    lines = head.decode().splitlines()
    for i, line in enumerate(lines):
        if line.startswith("License-Expression: "):
            lines[i] = " AND ".join([line, *sorted({_spdx(name) for name in inside})])
    return "\n".join([*lines, *(f"License-File: {name}.txt" for name in inside)]).encode() + b"\n\n" + rest


def _rewrite(wheel: pathlib.Path) -> pathlib.Path:
    """The wheel under the tag py3-none-PLATFORM, with all licences, written anew beside the other one, which goes."""
    stem, platform = wheel.stem.rsplit("-", 1)
    out = wheel.with_name(f"{stem.rsplit('-', 2)[0]}-py3-none-{platform}.whl")
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(f"{out}.part", "w", zipfile.ZIP_DEFLATED) as new:
        placed = re.compile(r"([^/]*)\.data/data/licenses/remora/(.*)\.txt")
        inside = [m[2] for m in map(placed.fullmatch, old.namelist()) if m]
        record = []
        for item in old.infolist():
            data = old.read(item)
            info = copy.copy(item)
            info.filename = placed.sub(r"\1.dist-info/licenses/\2.txt", item.filename)
            if info.filename.endswith(".dist-info/WHEEL"):
                data = re.sub(rb"(?m)^Tag: .*$", f"Tag: py3-none-{platform}".encode(), data)
            elif info.filename.endswith(".dist-info/METADATA") and inside:
                data = _metadata(data, inside)
            elif info.filename.endswith(".dist-info/RECORD"):
                last = info
                continue
            new.writestr(info, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record.append(f"{info.filename},sha256={digest},{len(data)}\n")
        new.writestr(last, "".join([*record, f"{last.filename},,\n"]))
    wheel.unlink()
    return pathlib.Path(f"{out}.part").rename(out)


def build_wheel(directory, config_settings=None, metadata_directory=None):  # type: ignore[no-untyped-def]
    return _rewrite(pathlib.Path(directory) / _build_wheel(directory, config_settings, metadata_directory)).name


def build_sdist(directory, config_settings=None):  # type: ignore[no-untyped-def]
    settings = dict(config_settings or {})
    given = settings.get("setup-args", [])
    settings["setup-args"] = [*([given] if isinstance(given, str) else given), "--wrap-mode=forcefallback"]
    return _build_sdist(directory, settings)
