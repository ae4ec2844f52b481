#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A fixture in another form in which such models are published must say the same to the bit. Standard library only.

usage: variants.py TEST MODEL FORM      TEST compares two folders
"""
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

SIZES = {"BF16": 2, "F16": 2, "F32": 4, "F8_E4M3": 1}


class Tensor:
    def __init__(self, dtype, shape, data):
        self.dtype, self.shape, self.data = dtype, list(shape), bytes(data)


def read(folder):
    data = (folder / "model.safetensors").read_bytes()
    at = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:at])
    header.pop("__metadata__", None)
    return {k: Tensor(t["dtype"], t["shape"], data[at + t["data_offsets"][0]:at + t["data_offsets"][1]])
            for k, t in header.items()}


def write(path, tensors):
    header, at = {}, 0
    for name, t in tensors.items():
        header[name] = {"dtype": t.dtype, "shape": t.shape, "data_offsets": [at, at + len(t.data)]}
        at += len(t.data)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(t.data for t in tensors.values()))


def folder(path, config, files, index=None):
    path.mkdir()
    (path / "config.json").write_text(json.dumps(config))
    for name, tensors in files.items():
        write(path / name, tensors)
    if index is not None:
        (path / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))


def zeros(*shape):
    n = 1
    for d in shape:
        n *= d
    return Tensor("BF16", shape, bytes(2 * n))


# ---- forms: (config, tensors) to the files of a folder: config, {file: tensors}, index or None

def spelt(config, tensors, body, rest, extra):
    """All names with other prefixes, the configuration inside of another one, and what is for images."""
    inside = {k: v for k, v in config.items() if k not in ("architectures", "eos_token_id")}
    outside = {"architectures": ["KimiK25ForConditionalGeneration"], "model_type": "kimi_k25", "text_config": inside,
               "vision_config": {"model_type": "moonvit"}, "eos_token_id": config.get("eos_token_id")}
    named = {(body + k[6:] if k.startswith("model.") else rest + k): t for k, t in tensors.items()}
    return outside, {"model.safetensors": {**named, **{k: zeros(3, 5) for k in extra}}}, None


def kimi(c, t):
    return spelt(c, t, "language_model.model.", "language_model.",
                 ["vision_tower.patch_embed.proj.weight", "mm_projector.linear_1.weight"])


def visual(c, t):
    return spelt(c, t, "model.language_model.", "", ["model.visual.patch_embed.proj.weight"])


def vl2(c, t):
    outside, files, index = spelt(c, t, "language.model.", "language.", ["vision.norm.weight", "image_newline"])
    outside["language_config"] = outside.pop("text_config")
    return outside, files, index


def bare(c, t):
    return c, {"model.safetensors": {k[6:] if k.startswith("model.") else k: x for k, x in t.items()}}, None


def extras(c, t):
    """A prediction layer that the configuration does not count, rope tables, scales of caches and activations."""
    n, d = c["num_hidden_layers"], c["hidden_size"]
    last = {k.replace(f"layers.{n - 1}.", f"layers.{n}."): x for k, x in t.items() if f"layers.{n - 1}." in k}
    own = {f"model.layers.{n}.eh_proj.weight": zeros(d, 2 * d), f"model.layers.{n}.enorm.weight": zeros(d),
           f"model.layers.{n}.hnorm.weight": zeros(d), f"model.layers.{n}.shared_head.norm.weight": zeros(d),
           f"model.layers.{n}.shared_head.head.weight": t["lm_head.weight"],
           f"model.layers.{n}.embed_tokens.weight": t["model.embed_tokens.weight"]}
    other = {f"model.layers.0.self_attn.{k}": zeros(1) for k in
             ("rotary_emb.inv_freq", "k_scale", "v_scale", "o_proj.input_scale")}
    config = {k: v for k, v in c.items() if k != "num_nextn_predict_layers"}
    return config, {"model.safetensors": {**t, **last, **own, **other}}, None


def overlay(c, t):
    """Every other tensor in a second file that the index names; the first file has older copies and more than is listed."""
    new = list(t)[::2]
    old = {k: Tensor(x.dtype, x.shape, bytes(len(x.data))) for k, x in t.items() if k in new}
    base = {**t, **old, "model.layers.0.self_attn.unlisted.weight": zeros(2, 2)}
    index = {k: "overlay.safetensors" if k in new else "base.safetensors" for k in t}
    return c, {"base.safetensors": base, "overlay.safetensors": {k: t[k] for k in new}}, index


def fused(c, t):
    """All experts of a layer in two tensors: gate_proj and up_proj behind one another, and down_proj."""
    out = {}
    for k, x in t.items():
        at, _, rest = k.partition(".mlp.experts.")
        if not rest:
            out[k] = x
        elif at + ".mlp.experts.down_proj" not in out:
            def each(name):
                return [t[f"{at}.mlp.experts.{e}.{name}.weight"] for e in range(c["n_routed_experts"])]
            gate, up, down = each("gate_proj"), each("up_proj"), each("down_proj")
            n, (m, d) = len(gate), gate[0].shape
            out[at + ".mlp.experts.gate_up_proj"] = Tensor(
                gate[0].dtype, [n, 2 * m, d], b"".join(g.data + u.data for g, u in zip(gate, up)))
            out[at + ".mlp.experts.down_proj"] = Tensor(
                down[0].dtype, [n, d, m], b"".join(x.data for x in down))
    return c, {"model.safetensors": out}, None


INV = "_scale_inv"


def scales(t, change, name=INV):
    """The tensors with each tensor of scales changed, under another name."""
    return {k.replace(INV, name) if k.endswith(INV) else k: change(k, x) if k.endswith(INV) else x for k, x in t.items()}


def renamed(c, t):
    return c, {"model.safetensors": scales(t, lambda k, x: x, "_scale")}, None


def bf16_scales(c, t):
    """Scales in BF16; the twin has the same values in F32."""
    def cut(k, x):
        return Tensor("F32", x.shape, b"".join(b"\0\0" + x.data[i + 2:i + 4] for i in range(0, len(x.data), 4)))

    def halve(k, x):
        return Tensor("BF16", x.shape, b"".join(x.data[i + 2:i + 4] for i in range(0, len(x.data), 4)))
    twin, made = scales(t, cut), scales(t, halve, "_scale")
    return (c, {"model.safetensors": twin}), (c, {"model.safetensors": made}, None)


def unblocked(c):
    """The configuration without the size of blocks."""
    q = {k: v for k, v in c["quantization_config"].items() if k != "weight_block_size"}
    return {**c, "quantization_config": q}


def one_scale(c, t):
    """One scale for a matrix; the twin has it for each block."""
    made = scales(t, lambda k, x: Tensor("F32", [], x.data[:4]), "_scale")
    twin = scales(t, lambda k, x: Tensor("F32", x.shape, x.data[:4] * (len(x.data) // 4)))
    return (c, {"model.safetensors": twin}), (unblocked(c), {"model.safetensors": made}, None)


def e4m3(code):
    e, m = code >> 3 & 15, code & 7
    v = m / 512 if e == 0 else (8 + m) * 2.0 ** (e - 10)
    return -v if code & 128 else v


def row_scales(c, t):
    """A scale for each row; the twin has the values, in F32."""
    table = [e4m3(i) for i in range(256)]
    made, twin = {}, {}
    for k, x in t.items():
        if k.endswith(INV):
            continue
        made[k] = twin[k] = x
        if x.dtype != "F8_E4M3":
            continue
        rows, cols = x.shape
        first = struct.unpack("<f", t[k + INV].data[:4])[0]
        each = struct.unpack(f"<{rows}f", struct.pack(f"<{rows}f", *(first * (1 + r % 7 / 8) for r in range(rows))))
        values = (table[x.data[r * cols + i]] * each[r] for r in range(rows) for i in range(cols))
        made[k + "_scale"] = Tensor("F32", [rows, 1], struct.pack(f"<{rows}f", *each))
        twin[k] = Tensor("F32", x.shape, struct.pack(f"<{rows * cols}f", *values))
    plain = {k: v for k, v in c.items() if k != "quantization_config"}
    return (plain, {"model.safetensors": twin}), (unblocked(c), {"model.safetensors": made}, None)


FORMS = {f.__name__: f for f in (kimi, visual, vl2, bare, extras, overlay, fused, renamed, bf16_scales, one_scale,
                                   row_scales)}


def main():
    test, model, form = sys.argv[1:]
    source = pathlib.Path(os.environ.get("REMORA_MODELS", ".")) / model
    config, tensors = json.loads((source / "config.json").read_text()), read(source)
    with tempfile.TemporaryDirectory() as dir:
        one, two = pathlib.Path(dir) / "one", pathlib.Path(dir) / "two"
        made = FORMS[form](config, tensors)
        if len(made) == 2:  # the twin is another one than the fixture
            folder(one, *made[0])
            made = made[1]
        else:
            one = source
        folder(two, *made)
        return subprocess.run([test, one, two]).returncode


if __name__ == "__main__":
    sys.exit(main())
