# SPDX-License-Identifier: Apache-2.0
"""The remora command on GPUs, with a libcuda.so.1 that is the emulator: command.py REMORA MODULE FOLDER_OF_LIBCUDA"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

REMORA, MODULE, DRIVER = sys.argv[1:]
BOX = pathlib.Path(__file__).resolve().parents[2] / "models/krill.remora"


def run(remora, *args, code=0, **environment):
    done = subprocess.run([remora, *map(str, args)], capture_output=True, text=True, check=False,
                          env={**os.environ, "LD_LIBRARY_PATH": DRIVER, **environment})
    assert done.returncode == code, f"{args}: exit {done.returncode}, not {code}\n{done.stdout}{done.stderr}"
    return done


def devices(remora, **environment):
    done = run(remora, "devices", "-o", "json", **environment)
    return json.loads(done.stdout), done.stderr


def lists(gpu, bare):
    rows, said = devices(gpu)
    assert [(row["device"], row["usable"]) for row in rows] == [("cpu", "yes"), ("cuda:0", "yes")] and not said, (rows, said)
    assert rows[1]["memory"] == 1 << 34 and rows[1]["kernels"] == "sm_90", rows
    rows, said = devices(bare)
    assert len(rows) == 1 and "libremora-cuda.so cannot be opened" in said, (rows, said)
    rows, said = devices(gpu, LD_LIBRARY_PATH="")
    assert len(rows) == 1 and "libcuda.so.1" in said, (rows, said)


def computes(gpu, bare):
    ask = ["-m", BOX, "-p", "Once upon a time", "-n", 2, "--temp", 0, "-q"]
    want = run(gpu, "generate", *ask).stdout
    assert run(gpu, "generate", *ask, "--device", "cuda").stdout == want, "text of the GPU"
    assert "cannot be opened" in run(bare, "generate", *ask, "--device", "cuda", code=1).stderr
    assert run(bare, "generate", *ask, "--device", "auto").stdout == want
    assert "quickly" in run(gpu, "generate", *ask, "--device", "cuda", "--x", "x-cuda=quickly", code=1).stderr
    row, = json.loads(run(gpu, "bench", "-m", BOX, "-p", 0, "-n", 1, "-r", 1, "--no-warmup", "--device", "cuda:0", "-o", "json").stdout)
    assert row["backends"] == "CUDA sm_90" and row["gpu_info"] == "emulated", row
    with tempfile.TemporaryDirectory() as folder:
        ids = pathlib.Path(folder) / "ids"
        ids.write_text("1 5 9 200 31\n")
        cpu, cuda = (json.loads(run(gpu, "eval", "-m", BOX, "--ids", ids, "-o", "json", "-q", "--device", device).stdout)[0]["mean_nll"]
                     for device in ("cpu", "cuda"))
        assert 0 < abs(cpu - cuda) < 5e-2, (cpu, cuda)


def tests_itself(gpu, bare):
    rows = json.loads(run(gpu, "selftest", "-n", 3, "-o", "json").stdout)
    names = [row["what"] for row in rows]
    assert {"plain C", "ref", "cuda:0 exact", "cuda:0"} <= set(names) and all(row["result"] == "ok" for row in rows), rows
    assert "cuda:0" not in run(gpu, "selftest", "-n", 1, "--device", "cpu").stdout
    assert "cuda" in run(bare, "selftest", "-n", 1, "--device", "cuda", code=1).stderr
    for kernel in ("rmr_norm", "rmr_gate_sort", "rmr_rope"):
        broken = run(gpu, "selftest", "-n", 3, "--isa", "ref", "-o", "json", code=1, EMULATED_SKIPS=kernel)
        failed = [row["what"] for row in json.loads(broken.stdout) if row["result"] != "ok"]
        assert failed == ["cuda:0 exact", "cuda:0"], (kernel, broken.stdout)


with tempfile.TemporaryDirectory() as work:
    places = [pathlib.Path(work) / name / "bin" for name in ("gpu", "bare")]
    for place in places:
        place.mkdir(parents=True)
        shutil.copy(REMORA, place / "remora")
    (places[0].parent / "lib").mkdir()
    shutil.copy(MODULE, places[0].parent / "lib" / "libremora-cuda.so")
    for case in (lists, computes, tests_itself):
        case(*(place / "remora" for place in places))
