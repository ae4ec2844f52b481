#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Remora on a GPU beside a peer's llama-bench, beside transformers, and beside the memory's read bandwidth, in one run.

    bench/compare_cuda.py REMORA MODELS_DIR [--check-gpu FOLDER] [--peer LLAMA_BENCH] [--transformers PYTHON] [--rows NAME,..]

REMORA is a command with libremora-cuda.so beside it. Models of DeepSeek-V2-Lite's shape with random weights are made in MODELS_DIR as
bench/compare.py makes them; --model TYPE=PATH names one that is there. The read roof comes from the folder that
test/cuda/build.py made (check_gpu, kernels.fatbin, bench.fatbin), or from --bandwidth. The peer is a llama-bench built with CUDA and
computes the 4-bit GGUF file; PYTHON has torch and transformers. What is not named is left out of the table, which is printed as
Markdown: medians with the smallest and largest.

rows: decode decode32k batch prefill
"""
import argparse
import pathlib
import re
import statistics
import sys

import engines
from models import Models

KINDS = ("bf16", "fp8", "q4_k")
N = 64                     # tokens of a decode test
DEEP = 32768
MULTIPLIED = 2.24e9        # weights that a token of a prompt is multiplied by: V2-Lite's, without the head
HERE = pathlib.Path(__file__).resolve().parent
# Shares of the read roof, and TFLOP/s of a prompt of 4,096, that are wanted
DECODE = {"bf16": 0.70, "fp8": 0.55, "q4_k": 0.40}
DECODE_DEEP = {"bf16": 0.70, "fp8": 0.58, "q4_k": 0.45}
BATCH = {8: 0.75, 64: 0.80}
PREFILL = {"bf16": 380, "fp8": 600, "q4_k": 300}


class Bench:
    def __init__(self, args):
        self.args, self.lines = args, []
        self.ours = engines.Ours(args.remora, args.device)
        self.peer = engines.Peer(args.peer, engines.PEER_ON_GPU) if args.peer else None
        self.models = Models(args.models, args.generators, args.remora, lambda text: print(text, file=sys.stderr, flush=True))
        self.given = dict(m.split("=", 1) for m in args.model)
        self.read = args.bandwidth or (read_roof(args.check_gpu) if args.check_gpu else None)

    def pack(self, kind):
        if kind not in self.given:
            self.given[kind] = self.models.compared(self.args.gguf, None)[1] if kind == "q4_k" else self.models.roof(kind)
        return pathlib.Path(self.given[kind])

    def line(self, measure, ours, roof=None, wanted=None, beside=()):
        """roof: the same in tokens a second; beside: pairs of a name and tokens a second."""
        share = [s / roof for s in ours] if roof else []
        kept = "" if not share or wanted is None else "yes" if statistics.median(share) >= wanted else "**no**"
        others = "; ".join(f"{name} {shown(speeds)}" for name, speeds in beside if speeds)
        self.lines.append(f"| {measure} | {shown(ours)} | {f'{roof:.0f}' if roof else ''} | {shown(share, 2)} "
                          f"| {'' if wanted is None else wanted} | {kept} | {others} |")
        print(self.lines[-1], file=sys.stderr, flush=True)

    def measure(self, kind, *, gens=(), prompts=(), batch=1, depth=0, kv="bf16"):
        """Tokens a second, and the bytes of a decode step."""
        row, = self.ours(self.pack(kind), gens=gens, prompts=prompts, batch=batch, depths=(depth,), kv=kv, reps=self.args.repetitions)
        return row["samples_ts"], self.ours.touched(self.pack(kind), row) if gens else None

    def by_peer(self, kind, what, **tests):
        """Of the peer, which has the 4-bit model only."""
        if kind != "q4_k" or not self.peer:
            return []
        gguf, _ = self.models.compared(self.args.gguf, self.pack(kind))
        return [("llama-bench", engines.speed(self.peer(gguf, threads=1, **tests), what))]

    def steps(self, kind, measure, wanted, *, batch=1, depth=0, kv="bf16", beside=()):
        speeds, touched = self.measure(kind, gens=[N], batch=batch, depth=depth, kv=kv)
        roof = batch * self.read / touched if self.read else None
        self.line(f"{measure}, {kind}", speeds, roof, wanted, beside)

    def decode(self):
        for kind in KINDS:
            beside = self.by_peer(kind, (0, N, 0), gens=[N]) or self.by_transformers(kind, "decode")
            self.steps(kind, "decode", DECODE[kind], beside=beside)

    def decode32k(self):
        for kind in KINDS:
            beside = self.by_peer(kind, (0, N, DEEP), after=[(DEEP, N)])
            self.steps(kind, f"decode at {DEEP}, 8-bit cache (peer: 16 bits)", DECODE_DEEP[kind], depth=DEEP, kv=self.ours.kv8, beside=beside)

    def batch(self):
        for n, wanted in BATCH.items():
            self.steps("bf16", f"{n} sessions", wanted, batch=n)

    def prefill(self):
        for n in (512, 4096):
            for kind in KINDS:
                speeds, _ = self.measure(kind, prompts=[n])
                beside = self.by_peer(kind, (n, 0, 0), prompts=[n]) or (self.by_transformers(kind, "prefill") if n == 4096 else [])
                tflops = [2e-12 * MULTIPLIED * s for s in speeds]
                self.line(f"prompt of {n}, {kind}: {shown(tflops)} TFLOP/s" + (f", wanted {PREFILL[kind]}" if n == 4096 else ""), speeds,
                          beside=beside)

    def by_transformers(self, kind, what):
        if kind != "bf16" or not self.args.transformers:
            return []
        if not hasattr(self, "others"):
            out = engines.run(self.args.transformers, HERE / "transformers_lite.py")
            self.others = [m.groups() for m in re.finditer(r"^(decode|prefill) (\S+) ([\d.]+)$", out, re.M)]
        return [(f"transformers {way}", [float(speed)]) for row, way, speed in self.others if row == what]


def read_roof(folder):
    """Bytes a second that the GPU reads, as check_gpu measures them."""
    folder = pathlib.Path(folder).resolve()
    out = engines.run(folder / "check_gpu", folder / "kernels.fatbin", "bench", folder / "bench.fatbin", "roof")
    return float(re.search(r"read roof ([\d.]+) GB/s", out).group(1)) * 1e9


def shown(v, digits=0):
    return f"{statistics.median(v):.{digits}f} ({min(v):.{digits}f}..{max(v):.{digits}f})" if v else ""


def main():
    rows = ("decode", "decode32k", "batch", "prefill")
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("remora", help="the command, with the CUDA module beside it")
    p.add_argument("models", help="folder for the models")
    p.add_argument("--device", default="cuda")
    p.add_argument("--check-gpu", help="folder that test/cuda/build.py made, for the read roof")
    p.add_argument("--bandwidth", type=float, help="bytes a second that the GPU reads, instead")
    p.add_argument("--peer", help="a llama-bench built with CUDA")
    p.add_argument("--transformers", help="a Python with torch and transformers")
    p.add_argument("--generators", default=HERE.parents[1] / "shared/tools", help="folder of synth_gguf.py and synth_hf.py")
    p.add_argument("--gguf", help="a 4-bit GGUF file instead of the one made here")
    p.add_argument("--model", action="append", default=[], help="TYPE=PATH: a model instead of the one made here")
    p.add_argument("--repetitions", type=int, default=5)
    p.add_argument("--rows", default=",".join(rows))
    args = p.parse_args()
    wanted = args.rows.split(",")
    if set(wanted) - set(rows):
        p.error(f"no such row: {', '.join(sorted(set(wanted) - set(rows)))}")
    bench = Bench(args)
    for row in wanted:
        getattr(bench, row)()
    if bench.read:
        print(f"read roof {bench.read / 1e9:.0f} GB/s\n")
    print("| measure | tokens a second | roof | of the roof | wanted | kept | beside it |\n|---|---|---|---|---|---|---|")
    print("\n".join(bench.lines))


if __name__ == "__main__":
    main()
