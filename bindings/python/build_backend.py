# SPDX-License-Identifier: Apache-2.0
"""meson-python, but for the tag of a wheel: this package has no module for the ABI of one Python, so one wheel is for all.

meson-python takes what lies in the folder of platform files for such modules. A shared library has to lie there, for tools
that look for what a wheel needs of the system.
"""
import base64
import hashlib
import pathlib
import re
import zipfile

from mesonpy import *  # noqa: F403 - the other hooks of a build backend
from mesonpy import build_wheel as _build_wheel


def _record_line(name: str, data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(data)}"


def _retag(wheel: pathlib.Path) -> pathlib.Path:
    """The wheel under the tag py3-none-PLATFORM, written anew beside the other one, which goes."""
    stem, platform = wheel.stem.rsplit("-", 1)
    out = wheel.with_name(f"{stem.rsplit('-', 2)[0]}-py3-none-{platform}.whl")
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        changed = {}
        for item in old.infolist():
            data = old.read(item)
            if item.filename.endswith(".dist-info/WHEEL"):
                data = re.sub(rb"(?m)^Tag: .*$", f"Tag: py3-none-{platform}".encode(), data)
                changed[item.filename] = _record_line(item.filename, data)
            elif item.filename.endswith(".dist-info/RECORD"):
                lines = data.decode().splitlines()
                data = "\n".join([*(changed.get(line.split(",")[0], line) for line in lines), ""]).encode()
            new.writestr(item, data)
    wheel.unlink()
    return out


def build_wheel(directory, config_settings=None, metadata_directory=None):  # type: ignore[no-untyped-def]
    made = pathlib.Path(directory) / _build_wheel(directory, config_settings, metadata_directory)
    return (made if "-py3-none-" in made.name else _retag(made)).name
