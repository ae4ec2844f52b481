#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The kernels of the CUDA backend as machine code, with the tools of CUDA 12.9 or later: those of PATH, or of the PyPI packages
nvidia-cuda-nvcc and so on beside this Python (test/cuda/requirements.txt).

    build_kernels.py release                    prints the release of nvcc, "13.0"; exit code 1: there is none that is new enough
    build_kernels.py targets all|here           prints the targets: all, or those of this machine's GPUs (all where it has none)
    build_kernels.py compile TARGET TO DEPFILE  one target: sm_90a, or compute_80 for PTX
    build_kernels.py join FATBIN IMAGE.c MACHINE_CODE...
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig

CUDA = pathlib.Path(__file__).resolve().parents[1]
LIB = CUDA.parents[1]
SOURCE = CUDA / "device/kernels.cu"
INCLUDES = [LIB.parent / "include", LIB / "base", LIB / "quant", LIB / "backend", CUDA, CUDA / "device"]
CUBINS = ["sm_80", "sm_86", "sm_89", "sm_90a", "sm_100f", "sm_120"]
PTX = "compute_80"  # for processors that are newer than all of these
OLDEST = (12, 9)
MOST_BYTES = 8 << 20  # of the fat binary


def find_tool(name):
    """A program of the CUDA tools, or None."""
    packages = pathlib.Path(sysconfig.get_paths()["purelib"]) / "nvidia"
    places = [shutil.which(name), *sorted(packages.glob(f"*/bin/{name}")), pathlib.Path("/usr/local/cuda/bin") / name]
    return next((str(p) for p in places if p and os.access(p, os.X_OK)), None)


def tool(name):
    return find_tool(name) or sys.exit(f"there is no {name}: put CUDA 12.9 or later in PATH, or install test/cuda/requirements.txt")


def release():
    """Of nvcc, as two numbers; (0, 0) without one."""
    nvcc = find_tool("nvcc")
    said = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=False).stdout if nvcc else ""
    found = re.search(r"release (\d+)\.(\d+)", said)
    return tuple(map(int, found.groups())) if found else (0, 0)


def target_of(capability):
    """What a GPU of this compute capability, "9.0", runs: machine code of the same major number and no larger minor one, of the
    very same two where it ends with "a"; PTX where there is none."""
    major, minor = map(int, capability.split("."))
    for target in reversed(CUBINS):
        have = divmod(int(re.sub(r"\D", "", target)), 10)
        if have == (major, minor) or (have[0] == major and have[1] < minor and not target.endswith("a")):
            return target
    return PTX


def targets(which):
    if which == "all" or not shutil.which("nvidia-smi"):
        return [*CUBINS, PTX]
    asked = ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"]
    said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    return sorted({target_of(c) for c in re.findall(r"^\d+\.\d+$", said, re.M)}) or [*CUBINS, PTX]


def compile_command(target, to):
    """For machine code, or for PTX."""
    number = target.split("_")[1]
    kind = ["-ptx", f"-arch={target}"] if target == PTX else ["-cubin", f"-gencode=arch=compute_{number},code={target}"]
    return [tool("nvcc"), "-std=c++17", "-O3", "-fmad=false", *kind, f"-o={to}", *(f"-I{i}" for i in INCLUDES), SOURCE]


def join_command(to, files):
    """Files are named after their targets: kernels.sm_90a.cubin, kernels.compute_80.ptx."""
    args = [tool("fatbinary"), f"--create={to}", "-64", "--compress-mode=size"]
    for file in files:
        target = pathlib.Path(file).name.split(".")[1]
        kind = "ptx" if target == PTX else "elf"
        args.append(f"--image3=kind={kind},sm={target.split('_')[1]},file={file}")
    return args


IMAGE = """/* Made by build_kernels.py. */
#include "image.h"
__asm__(".pushsection .rodata\\n"
        ".balign 64\\n"
        ".globl rmr_cuda_image\\n"
        ".hidden rmr_cuda_image\\n"
        ".type rmr_cuda_image, %object\\n"
        "rmr_cuda_image: .incbin \\"{path}\\"\\n"
        ".size rmr_cuda_image, . - rmr_cuda_image\\n"
        ".popsection\\n");
const int rmr_cuda_toolkit = {toolkit};
"""


def join(fatbin, image, files):
    subprocess.run(join_command(fatbin, files), check=True)
    size = os.path.getsize(fatbin)
    if size > MOST_BYTES:
        sys.exit(f"{fatbin} has {size} bytes; at most {MOST_BYTES} are allowed")
    major, minor = release()
    text = IMAGE.format(path=pathlib.Path(fatbin).resolve(), toolkit=major * 1000 + minor * 10)
    pathlib.Path(image).write_text(text, encoding="utf-8")


def main():
    what, *rest = sys.argv[1:] or [""]
    if what == "release":
        found = release()
        print("{}.{}".format(*found))
        return found < OLDEST
    if what == "targets":
        print(*targets(rest[0]))
        return 0
    if what == "compile":
        target, to, depfile = rest
        return subprocess.run([*compile_command(target, to), "-MD", "-MF", depfile], check=False).returncode
    if what == "join":
        join(rest[0], rest[1], rest[2:])
        return 0
    sys.exit(__doc__)


if __name__ == "__main__":
    sys.exit(main())
