#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What quantisation costs: size, negative log-likelihood, KL divergence and top-1 agreement of every recipe and type, and of
the types of cache.

    bench/quality.py BUILD_DIR MODEL_DIR [--imatrix FILE] [--only NAME,..] [--check]

MODEL_DIR is a Hugging Face folder with a golden.safetensors whose `nll_ids` are held-out windows of token ids (krill is
one). Every pack is made from it, compared over those windows with the folder itself, and deleted. --imatrix also converts
the K types with that importance. --check ends with a failure when a promise about quality is not kept. The table is
Markdown; docs/quality.md has it.
"""
import argparse
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

TYPES = ["BF16", "F16", "F8_E4M3", "Q8_0", "Q6_K", "Q5_1", "Q5_K", "Q5_0", "Q4_1", "Q4_K", "IQ4_XS", "IQ4_NL", "Q4_0", "I4", "MXFP4",
         "Q3_K", "Q2_K"]
WEIGHTED = ["Q6_K", "Q5_K", "Q4_K", "IQ4_XS", "Q3_K", "Q2_K"]


def read_windows(path):
    with open(path, "rb") as f:
        size = struct.unpack("<Q", f.read(8))[0]
        entry = json.loads(f.read(size))["nll_ids"]
        begin, end = entry["data_offsets"]
        f.seek(8 + size + begin)
        ids = struct.unpack(f"<{(end - begin) // 4}i", f.read(end - begin))
    width = entry["shape"][1]
    return [ids[i:i + width] for i in range(0, len(ids), width)]


class Bed:
    def __init__(self, args, work):
        self.remora = f"{args.build}/tools/remora"
        self.model, self.work = args.model, pathlib.Path(work)
        self.ids, self.reference = self.work / "ids.txt", self.work / "reference"
        windows = read_windows(pathlib.Path(args.model) / "golden.safetensors")
        self.ids.write_text("".join(" ".join(map(str, w)) + "\n" for w in windows))
        self.base = self.evaluate(args.model, "--ids", self.ids, "--save-logits", self.reference)

    def run(self, *args):
        return subprocess.run([self.remora, *map(str, args)], check=True, capture_output=True, text=True).stdout

    def evaluate(self, model, *args):
        return json.loads(self.run("eval", "-m", model, "-q", "-o", "json", *args))[0]

    def row(self, name, recipe, *extra):
        pack = self.work / "x.remora"
        if "\n" in recipe:
            (self.work / "recipe.yaml").write_text(recipe)
            recipe = self.work / "recipe.yaml"
        self.run("convert", "-m", self.model, "-o", pack, "-r", recipe, "-q", "--no-self-test", *extra)
        r = self.evaluate(pack, "--reference-logits", self.reference)
        r.update(name=name, bytes=os.path.getsize(pack), cost=r["nll_diff"] / self.base["mean_nll"])
        pack.unlink()
        print(f"| {name} | {r['bytes'] / 1e6:.2f} | {r['mean_nll']:.4f} | {100 * r['cost']:+.2f} % | {r['kl_mean']:.5f} "
              f"| {r['kl_99']:.4f} | {100 * r['top1_agreement']:.2f} % |", flush=True)
        return r


def rows_of(bed, imatrix, only):
    out = {}

    def add(name, recipe, *extra):
        if not only or name in only:
            out[name] = bed.row(name, recipe, *extra)
    for t in TYPES:
        add(t, f"rules:\n- {{match: '*', type: {t}}}\n")
    if imatrix:
        for t in WEIGHTED:
            add(t + " + importance", f"rules:\n- {{match: '*', type: {t}}}\n", "--imatrix", imatrix)
    for text in bed.run("convert", "--list-recipes").split("\n\n"):
        name = text.split("\n")[0].removeprefix("name: ")
        if name == "keep":
            continue
        add(name, name)
        if imatrix and name not in ("bf16", "fp8"):
            add(name + " + importance", name, "--imatrix", imatrix)
    return out


def cache_rows(bed, only):
    """The types of cache against an f32 cache, in prompts and token by token."""
    out = {}
    for piece, form in ((256, "prompt"), (1, "token by token")):
        if only and not any(f"{kv} cache {form}" in only for kv in ("bf16", "int8")):
            continue
        base = bed.evaluate(bed.model, "--ids", bed.ids, "--kv", "f32", "--piece", piece, "--save-logits", bed.reference)
        for kv in ("bf16", "int8"):
            name = f"{kv} cache {form}"
            r = bed.evaluate(bed.model, "--reference-logits", bed.reference, "--kv", kv, "--piece", piece)
            r.update(name=name, cost=r["nll_diff"] / base["mean_nll"])
            print(f"| {name} | {r['mean_nll']:.4f} | {100 * r['cost']:+.3f} % | {r['kl_mean']:.5f} | {r['kl_99']:.4f} "
                  f"| {100 * r['top1_agreement']:.2f} % |", flush=True)
            out[name] = r
    return out


def check(rows):
    """What docs/quality.md says."""
    promises = [("Q8_0", 0.001), ("Q4_K", 0.015), ("int8 cache prompt", 0.0005), ("int8 cache token by token", 0.0005)]
    broken = [f"{n}: {100 * rows[n]['cost']:.2f} % more nll, not {100 * limit:.2f} %" for n, limit in promises
              if n in rows and rows[n]["cost"] > limit]
    four, mixed = rows.get("q4"), rows.get("mixed-q4")
    if four and mixed and not (mixed["bytes"] <= four["bytes"] and mixed["kl_mean"] < four["kl_mean"]):
        broken.append("mixed-q4 is not nearer to the model than q4 in a file no larger")
    if broken:
        sys.exit("\n".join(broken))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build")
    p.add_argument("model")
    p.add_argument("--imatrix")
    p.add_argument("--only", default="")
    p.add_argument("--check", action="store_true")
    args = p.parse_args()
    with tempfile.TemporaryDirectory() as work:
        bed = Bed(args, work)
        print("| type or recipe | MB | nll | more | KL mean | KL 99 % | top-1 |\n|---|---|---|---|---|---|---|")
        print(f"| as stored | | {bed.base['mean_nll']:.4f} | | | | |", flush=True)
        only = set(filter(None, args.only.split(",")))
        rows = rows_of(bed, args.imatrix, only)
        print("\n| cache | nll | more | KL mean | KL 99 % | top-1 |\n|---|---|---|---|---|---|")
        rows.update(cache_rows(bed, only))
    if args.check:
        check(rows)


if __name__ == "__main__":
    main()
