#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles the kernels of the CUDA backend, and looks at what became of them.

    build.py FOLDER [TARGET...]    kernels.fatbin and bench.fatbin; without targets for all that are supported

nvcc is that of PATH, or of the PyPI packages in requirements.txt. Of every kernel and target: nothing is spilled, little
lies in local memory, and products have the matrix instruction and the wide loads that they were written for. Then the module,
linked with them: its symbols, its size, its handshake, and its answer where there is no driver. The last line
is "N passed, N failed, N skipped"; a test is a target.
"""
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD_KERNELS = ROOT / "lib/backend/cuda/module/build_kernels.py"
sys.path.insert(0, str(BUILD_KERNELS.parent))
from build_kernels import CUBINS, INCLUDES, MOST_BYTES, PTX, SOURCE, tool  # noqa: E402

PARTS = [f"lib/{part}.a" for part in ("librmr_cuda", "librmr_backend", "librmr_quant", "librmr_base")]  # cuda_module_parts in meson
MOST_STACK = {"rmr_finish": 128}  # bytes; of others none
# bytes, of kernels whose threads have all the registers that they can have: products of K-quants, and those of Q8_0 with few rows
# (on sm_100f and sm_120 only)
CROWDED = re.compile(r"rmr_product_(q\d_k(_wide|_few|_one)?|q8_0_few)$")
SPILLED_BY_CROWDED = 40
MOST_REGISTERS = 255  # of a thread; a kernel that asks for two blocks on a multiprocessor gets 128
ON_HOPPER = re.compile("rmr_many_|rmr_attend_prompt")  # of groups of warps
INSTRUCTION = {"f32": "FFMA", "bf16": "HMMA", "f16": "HMMA", "f8": "HMMA"}  # others: IMMA


def compile_for(target, to, lines):
    """Machine code for one target, with lines of the source for profilers; what ptxas says."""
    number = target.removeprefix("sm_")
    args = [tool("nvcc"), "-std=c++17", "-O3", "-fmad=false", f"-gencode=arch=compute_{number},code={target}", "-Xptxas=-v",
            "-cubin", f"-o={to}", *(f"-I{i}" for i in INCLUDES), *(["-lineinfo"] if lines else []), SOURCE]
    return subprocess.run(args, capture_output=True, text=True, check=False)


ENTRY = re.compile(r"Compiling entry function '(\w+)'.*?(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads"
                   r".*?Used (\d+) registers", re.S)


def wrong_with_registers(said):
    kernels = ENTRY.findall(said)
    if len(kernels) < 40:
        yield f"ptxas names {len(kernels)} kernels only"
    for name, stack, stores, loads, registers in kernels:
        spilled = SPILLED_BY_CROWDED if CROWDED.match(name) else 0
        if int(stores) > spilled or int(loads) > spilled:
            yield f"{name} spills {stores} bytes"
        if int(stack) > MOST_STACK.get(name, spilled):
            yield f"{name} has {stack} bytes of local memory"
        if int(registers) > MOST_REGISTERS:
            yield f"{name} has {registers} registers"


def wrong_with_code(cubin, target):
    """Of products: the matrix instruction, loads of 16 bytes, no local memory."""
    said = subprocess.run([tool("cuobjdump"), "-sass", cubin], capture_output=True, text=True, check=False)
    functions = re.split(r"^\s*Function : ", said.stdout, flags=re.M)[1:]
    if said.returncode != 0 or len(functions) < 40:
        yield f"cuobjdump shows {len(functions)} kernels only: {said.stderr.strip()}"
    for text in functions:
        name = text.split(None, 1)[0]
        if target == "sm_90a" and ON_HOPPER.match(name) and not re.search(r"\b[HI]GMMA\b", text):
            yield f"{name} has no instruction of groups of warps"
        if not name.startswith("rmr_product_"):
            continue
        wanted = INSTRUCTION.get(name.removeprefix("rmr_product_").removesuffix("_wide").removesuffix("_few").removesuffix("_one"), "IMMA")
        if not re.search(rf"\b{wanted}\b", text):
            yield f"{name} has no {wanted}"
        if wanted != "FFMA" and not re.search(r"\bLDG\.E\.128\b|\bLDG\.E\.\S*128\b", text):
            yield f"{name} has no load of 16 bytes"
        if re.search(r"\b(LDL|STL)\b", text) and not CROWDED.match(name):
            yield f"{name} uses local memory"


def check(target, folder, lines):
    cubin = folder / f"kernels.{target}.cubin"
    done = compile_for(target, cubin, lines)
    said = done.stdout + done.stderr
    (folder / f"{target}.log").write_text(said, encoding="utf-8")
    if done.returncode != 0:
        return [said.strip() or "nvcc fails and says nothing"]
    return [*wrong_with_registers(said), *wrong_with_code(cubin, target)]


def make_ptx(folder):
    """For processors that are newer than all targets."""
    to = folder / f"kernels.{PTX}.ptx"
    args = [tool("nvcc"), "-std=c++17", "-O3", "-fmad=false", f"-arch={PTX}", "-ptx", f"-o={to}",
            *(f"-I{i}" for i in INCLUDES), SOURCE]
    done = subprocess.run(args, capture_output=True, text=True, check=False)
    return [] if done.returncode == 0 else [(done.stdout + done.stderr).strip()]


def make_bench(folder):
    subprocess.run([tool("nvcc"), "-std=c++17", "-O3", "-gencode=arch=compute_90a,code=sm_90a", "-fatbin",
                    f"-o={folder / 'bench.fatbin'}", ROOT / "test/cuda/bench.cu"], check=True)


MODULE_FLAGS = ["-std=c11", "-O2", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off", "-D_FILE_OFFSET_BITS=64", "-pthread",
                *(f"-I{ROOT / i}" for i in ["include", "lib/base", "lib/quant", "lib/backend", "lib/backend/cuda", "lib/backend/cuda/module"])]


def make_parts(folder):
    """The archives that the module is linked with, in a build folder of its own."""
    build = folder / "parts"
    if not (build / "build.ninja").exists():
        subprocess.run(["meson", "setup", build, ROOT, "-Dtools=false", "-Dexamples=false", "-Dcuda=disabled", "--buildtype=release"],
                       check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", build, *PARTS], check=True, stdout=subprocess.DEVNULL)
    return [build / part for part in PARTS]


def cc(*args):
    subprocess.run([os.environ.get("CC", "cc"), *MODULE_FLAGS, *map(str, args)], check=True)


def make_module(folder, cubins, ptx):
    """libremora-cuda.so as packages have it, from the machine code that is there; what is wrong with it."""
    code = [folder / f"kernels.{t}.cubin" for t in cubins]
    if ptx:
        code.append(folder / f"kernels.{PTX}.ptx")
    image, module = folder / "kernels_image.c", folder / "libremora-cuda.so"
    subprocess.run([sys.executable, BUILD_KERNELS, "join", folder / "kernels.fatbin", image, *code], check=True)
    parts = make_parts(folder)
    cc("-shared", "-o", module, ROOT / "lib/backend/cuda/module/entry.c", image, *parts, "-lm", "-ldl")
    cc("-o", folder / "open_module", ROOT / "test/cuda/open_module.c", *parts, "-lm", "-ldl")
    checks = [["sh", ROOT / "test/unit/module_symbols.sh", module], [folder / "open_module", module]]
    for args in checks:
        done = subprocess.run(args, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            yield f"{pathlib.Path(args[0]).name}: {done.stdout.strip()} {done.stderr.strip()}"
        elif done.stdout:
            print(f"libremora-cuda.so: {done.stdout.strip()}")
    if module.stat().st_size > MOST_BYTES:
        yield f"it has {module.stat().st_size} bytes; at most {MOST_BYTES} are allowed"


def main():
    folder, targets = pathlib.Path(sys.argv[1]), sys.argv[2:]
    folder.mkdir(parents=True, exist_ok=True)
    results = {t: check(t, folder, bool(targets)) for t in targets or CUBINS}
    if not targets:
        results[PTX] = make_ptx(folder)
    for target, problems in results.items():
        print(f"{target}: {'ok' if not problems else 'FAILED'}", *problems, sep="\n    ")
    failed = sum(1 for problems in results.values() if problems)
    if failed == 0:
        if "sm_90a" in results:
            make_bench(folder)
        results["module"] = list(make_module(folder, targets or CUBINS, not targets))
        print(f"kernels.fatbin: {(folder / 'kernels.fatbin').stat().st_size} bytes")
        print(f"module: {'ok' if not results['module'] else 'FAILED'}", *results["module"], sep="\n    ")
        failed += bool(results["module"])
    print(f"{len(results) - failed} passed, {failed} failed, 0 skipped")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
