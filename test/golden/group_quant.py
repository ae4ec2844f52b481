#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints with weights in groups of 32, as released: INT4 (compressed-tensors pack-quantized) and MXFP4. krill's experts,
and its head for INT4, are rounded to them, and the model must say what a twin says that has the same values in F32.

usage: group_quant.py REMORA KRILL int4|mxfp4
"""
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

import numpy as np

E2M1 = np.array([0, .5, 1, 1.5, 2, 3, 4, 6, 0, -.5, -1, -1.5, -2, -3, -4, -6], dtype=np.float32)
NAMES = {"BF16": 2, "F32": 4}


def read(folder):
    for shard in sorted(folder.glob("*.safetensors")):
        data = shard.read_bytes()
        size = struct.unpack("<Q", data[:8])[0]
        for name, t in json.loads(data[8:8 + size]).items():
            if name != "__metadata__" and name.startswith(("model.", "lm_head")):
                begin, end = t["data_offsets"]
                yield name, t["dtype"], t["shape"], data[8 + size + begin:8 + size + end]


def write(folder, tensors, config):
    header, at = {}, 0
    for name, dtype, shape, data in tensors:
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    folder.mkdir()
    with open(folder / "model.safetensors", "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for t in tensors:
            f.write(t[3])
    (folder / "config.json").write_text(json.dumps(config))


def bf16(x):
    bits = np.ascontiguousarray(x, dtype=np.float32).view(np.uint32)
    return ((bits + 0x7fff + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def from_bf16(h):
    return (h.astype(np.uint32) << 16).view(np.float32)


def int4(base, w):
    """weight_packed, weight_scale, weight_shape, and the values that they stand for"""
    rows, cols = w.shape
    groups = w.reshape(rows, cols // 32, 32)
    scale = bf16(np.abs(groups).max(axis=2) / 7.5 + 1e-9)
    step = from_bf16(scale)[:, :, None]
    q = np.clip(np.rint(groups / step), -8, 7).astype(np.int64)
    nibbles = (q + 8).reshape(rows, cols // 8, 8).astype(np.uint64)
    words = (nibbles << (4 * np.arange(8, dtype=np.uint64))).sum(axis=2).astype(np.uint32)
    tensors = [(base + ".weight_packed", "I32", words.shape, words.tobytes()),
               (base + ".weight_scale", "BF16", scale.shape, scale.tobytes()),
               (base + ".weight_shape", "I64", [2], np.array([rows, cols], dtype=np.int64).tobytes())]
    return tensors, (q * step).astype(np.float32).reshape(rows, cols)


def mxfp4(base, w):
    rows, cols = w.shape
    groups = w.reshape(rows, cols // 32, 32)
    e = np.ceil(np.log2(np.abs(groups).max(axis=2) / 6 + 1e-30)).astype(np.int64) + 127
    step = np.exp2((e - 127).astype(np.float32))[:, :, None]
    q = np.abs(groups[..., None] / step[..., None] - E2M1).argmin(axis=3).astype(np.uint8).reshape(rows, cols)
    codes = q[:, 0::2] | q[:, 1::2] << 4
    tensors = [(base + ".weight", "U8", codes.shape, codes.tobytes()),
               (base + ".weight_scale", "F8_E8M0", e.shape, e.astype(np.uint8).tobytes())]
    return tensors, (E2M1[q].reshape(groups.shape) * step).astype(np.float32).reshape(rows, cols)


def main():
    remora, krill, kind = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
    config = json.loads((krill / "config.json").read_text())
    layers = 3
    config["num_hidden_layers"], config["num_nextn_predict_layers"] = layers, 0
    config["tie_word_embeddings"] = True  # a head that is there counts, in groups as well
    coded, twin = [], []
    for name, dtype, shape, data in read(krill):
        if name.startswith("model.layers.") and int(name.split(".")[2]) >= layers:
            continue
        if ".mlp.experts." not in name and not (kind == "int4" and name == "lm_head.weight"):
            coded.append((name, dtype, shape, data))
            twin.append((name, dtype, shape, data))
            continue
        w = from_bf16(np.frombuffer(data, dtype=np.uint16)).reshape(shape)
        tensors, values = (int4 if kind == "int4" else mxfp4)(name.removesuffix(".weight"), w)
        coded += tensors
        twin.append((name, "F32", shape, values.tobytes()))
    method = {"quant_method": "mxfp4"} if kind == "mxfp4" else {
        "quant_method": "compressed-tensors", "format": "pack-quantized", "ignore": [],
        "config_groups": {"group_0": {"weights": {"num_bits": 4, "type": "int", "symmetric": True, "strategy": "group",
                                                  "group_size": 32}}}}
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        write(work / "twin", twin, config)
        write(work / "coded", coded, dict(config, quantization_config=method))
        (work / "ids").write_text(" ".join(str(3 + i * 7919 % 8000) for i in range(256)) + "\n")
        run = subprocess.run([remora, "eval", "-m", work / "coded", "--reference", work / "twin", "--ids", work / "ids", "-q",
                              "-o", "json"], capture_output=True, text=True)
        if run.returncode != 0:
            sys.exit(run.stderr)
        report = json.loads(run.stdout)[0]
        # what 8-bit activations cost (docs/quality.md has 0.001); one nibble in sixteen at a wrong place gives 0.2
        if not (0 < report["kl_mean"] < 0.01):
            sys.exit(f"{kind}: KL divergence from the twin is {report['kl_mean']}")
        print(f"{kind}: KL divergence from the twin {report['kl_mean']:.2e}")


if __name__ == "__main__":
    main()
