#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write a folder of the family qwen3 from one of qwen2: without the biases, with norms over the heads of q and k far
from 1, and with the rope of R1-0528-Qwen3-8B. Needs numpy and gguf (test/requirements.txt).

    make_qwen3.py QWEN2-FOLDER OUT
"""
import json
import pathlib
import shutil
import sys

import numpy as np

from make_gguf import Tensor, read_json, read_tensors

ROPE = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64, "attn_factor": 0.8782488562869419}


def bf16(x):
    return Tensor("BF16", list(x.shape), (x.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16).view(np.uint8))


def write_safetensors(path, tensors):
    header, at = {}, 0
    for name, t in tensors.items():
        header[name] = {"dtype": t.dtype, "shape": list(t.shape), "data_offsets": [at, at + t.raw.nbytes]}
        at += t.raw.nbytes
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text)
        for t in tensors.values():
            f.write(t.raw.tobytes())


def main():
    source, out = map(pathlib.Path, sys.argv[1:])
    out.mkdir()
    config = read_json(source / "config.json")
    width = config["hidden_size"] // config["num_attention_heads"]
    config |= {"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"], "head_dim": width,
               "attention_bias": False, "rope_scaling": ROPE}
    tensors = {n: t for n, t in read_tensors(source).items() if not n.endswith(".bias")}
    random = np.random.default_rng(3)
    for layer in range(config["num_hidden_layers"]):
        for part in ("q_norm", "k_norm"):
            tensors[f"model.layers.{layer}.self_attn.{part}.weight"] = bf16(1 + 0.5 * random.standard_normal(width))
    write_safetensors(out / "model.safetensors", tensors)
    (out / "config.json").write_text(json.dumps(config), encoding="utf-8")
    for name in ("golden.safetensors", "golden.json"):  # for the token ids; the logits are those of qwen2
        shutil.copy(source / name, out)


if __name__ == "__main__":
    main()
