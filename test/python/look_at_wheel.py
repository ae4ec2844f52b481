#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What is in a wheel: one for every Python of the platform, with the package, its description of the interface, the library, the
command, and the licences of all that is inside the library.

    look_at_wheel.py WHEEL SOURCE_ROOT
"""
import base64
import email
import hashlib
import pathlib
import re
import sys
import zipfile

wheel, root = (pathlib.Path(arg) for arg in sys.argv[1:])
files = {}
with zipfile.ZipFile(wheel) as z:
    for item in z.infolist():
        assert item.filename not in files, f"{item.filename} is there twice"
        files[item.filename] = z.read(item)
        if item.filename.endswith("scripts/remora"):
            assert item.external_attr >> 16 & 0o111, "the command is no program"
[info] = {name.split("/")[0] for name in files if name.split("/")[0].endswith(".dist-info")}


def wraps():
    """The dependencies that are subprojects, and their folders; cmocka is one of the tests."""
    for path in sorted((root / "subprojects").glob("*.wrap")):
        if path.stem != "cmocka":
            yield path.stem, root / "subprojects" / re.search(r"(?m)^directory = (.*)$", path.read_text())[1]


def tag():
    assert wheel.name.split("-")[2:4] == ["py3", "none"] and wheel.name.split("-")[4].startswith("linux_"), wheel.name
    assert re.search(r"(?m)^Tag: py3-none-linux_\w+$", files[info + "/WHEEL"].decode()), files[info + "/WHEEL"]


def contents():
    for name in ("remora/libremora.so.1", "remora/remora.abi.json", "remora/py.typed"):
        assert name in files, f"{name} is not in {sorted(files)}"
    modules = {p.name for p in (root / "bindings" / "python" / "remora").glob("*.py")}
    assert {name.split("/")[1] for name in files if re.fullmatch(r"remora/.*\.py", name)} == modules, sorted(files)
    kinds = {name.split("/")[1] for name in files if ".data/" in name}
    assert kinds == {"scripts"}, f"there is more than the command outside of the package: {kinds}"


def record():
    lines = dict(line.split(",", 1) for line in files[info + "/RECORD"].decode().splitlines())
    assert lines.pop(info + "/RECORD") == ","
    for name, data in files.items():
        if name != info + "/RECORD":
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            assert lines.pop(name) == f"sha256={digest},{len(data)}", name
    assert not lines, lines


def licences():
    metadata = email.message_from_bytes(files[info + "/METADATA"])
    there = {name.rsplit("/", 1)[1]: data for name, data in files.items() if name.startswith(info + "/licenses/")}
    want = {"LICENSE": (root / "LICENSE").read_bytes()}
    expressions = {"Apache-2.0"}
    for name, folder in wraps():
        build = (root / "subprojects" / "packagefiles" / name / "meson.build").read_text()
        want[name + ".txt"] = (folder / re.search(r"install_data\('(.*?)'", build)[1]).read_bytes()
        expressions.add(re.search(r"license: '(.*?)'", build)[1])
    assert len(want) == 6 and there == want, (sorted(there), sorted(want))
    assert sorted(metadata.get_all("License-File")) == sorted(want), metadata.get_all("License-File")
    assert set(metadata["License-Expression"].split(" AND ")) == expressions, metadata["License-Expression"]
    for words in (b"Petri Lehtinen", b"Kirill Simonov", b"Philip Hazel", b"Unicode", b"Meta Platforms"):
        assert any(words in text for text in there.values()), f"no licence of {words.decode()}"


for check in (tag, contents, record, licences):
    check()
    print(f"{check.__name__}: right")
