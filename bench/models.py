# SPDX-License-Identifier: Apache-2.0
"""Models of DeepSeek-V2-Lite's shape with random weights for bench/compare.py: made once, as large as memory and disk
allow."""
import pathlib
import shutil
import subprocess
import sys

GB = 1e9
SHAPE_LAYERS = 27  # of V2-Lite
# GB of a layer and of what comes once (embedding and head); measured, rounded up
SIZE = {"q4_k": (0.325, 0.31), "q8_0": (0.61, 0.45), "fp8": (0.575, 0.85), "bf16": (1.15, 0.85)}
# the peer makes Q8_0 of the half of kv_b_proj that has to be transposed; kept exactly it would be F32
RECIPE = "name: compared\nrules:\n  - {match: '*.kv_b_proj.absorb', type: q8}\n  - {match: '*', type: keep}\n"
SHARE_COMPARED = 0.80  # of all memory: the peer's file and the pack are both to stay in the page cache
SHARE_ROOF = 0.25      # of all memory: one pack, beside the other two


def memory():
    fields = dict(line.split(":") for line in open("/proc/meminfo"))
    return {k: int(fields[k].split()[0]) * 1024 for k in ("MemTotal", "MemAvailable")}


def layers_for(kind, limit):
    """As many layers as fit `limit` bytes, at most V2-Lite's."""
    each, once = SIZE[kind]
    return max(2, min(SHAPE_LAYERS, int((limit / GB - once) / each)))


class Models:
    def __init__(self, folder, generators, remora, say):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.generators = generators and pathlib.Path(generators)
        self.remora, self.say = remora, say

    def layers(self, kind, copies, share):
        total, disk = memory()["MemTotal"], shutil.disk_usage(self.folder).free
        n = layers_for(kind, min(share * total / copies, 0.9 * disk / 2))
        if n < SHAPE_LAYERS:
            self.say(f"{kind}: {n} of {SHAPE_LAYERS} layers, for {total / GB:.0f} GB of memory and {disk / GB:.0f} GB of disk")
        return n

    def generate(self, script, *args):
        if self.generators is None or not (self.generators / script).exists():
            sys.exit(f"{script} was not found: name its folder with --generators")
        self.say(f"{script} {' '.join(map(str, args))}")
        subprocess.run([sys.executable, self.generators / script, *map(str, args)], check=True, stdout=subprocess.DEVNULL)

    def convert(self, source, pack, recipe="keep"):
        self.say(f"converting to {pack.name}")
        subprocess.run([self.remora, "convert", "-m", source, "-o", pack, "-r", recipe, "-q", "--no-self-test"], check=True)

    def compared(self, gguf, pack):
        """The 4-bit GGUF file for the peer, and the pack of the same weights. Either may be given."""
        if gguf is None:
            gguf = self.folder / f"q4_k-{self.layers('q4_k', 2, SHARE_COMPARED)}.gguf"
            if not gguf.exists():
                part = gguf.with_suffix(".part")
                self.generate("synth_gguf.py", part, "q4_k", "--layers", gguf.stem.split("-")[1])
                part.rename(gguf)
        if pack is None:
            pack = self.folder / (pathlib.Path(gguf).stem + ".remora")
            if not pack.exists():
                recipe = self.folder / "compared.yaml"
                recipe.write_text(RECIPE)
                self.convert(gguf, pack, recipe)
        return pathlib.Path(gguf), pathlib.Path(pack)

    def roof(self, kind):
        """A pack of one type, for decoding beside the roof; what it was made from is deleted."""
        layers = self.layers(kind, 1, SHARE_ROOF)
        pack = self.folder / f"{kind}-{layers}.remora"
        if pack.exists():
            return pack
        source = self.folder / f"{kind}-{layers}.source"
        if kind == "q8_0":
            self.generate("synth_gguf.py", source, kind, "--layers", layers)
        else:
            shutil.rmtree(source, ignore_errors=True)
            self.generate("synth_hf.py", source, "v2-lite", "--dtype", kind, "--layers", layers)
        self.convert(source, pack)
        shutil.rmtree(source) if source.is_dir() else source.unlink()
        return pack
