#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Converting needs memory for a few blocks of rows, not for the model: a model four times as large as the address space
that the command may use becomes a pack. The model is a hole in a file: every weight is zero.

usage: convert_limits.py REMORA [LIMIT_MB]
"""
import json
import os
import resource
import struct
import subprocess
import sys
import tempfile

CONFIG = {
    "model_type": "deepseek_v3", "vocab_size": 512, "hidden_size": 1024, "intermediate_size": 2048,
    "moe_intermediate_size": 2048, "num_attention_heads": 4, "n_routed_experts": 8, "n_shared_experts": 1,
    "num_experts_per_tok": 4, "n_group": 4, "topk_group": 2, "first_k_dense_replace": 1, "kv_lora_rank": 256,
    "q_lora_rank": 256, "qk_nope_head_dim": 64, "qk_rope_head_dim": 32, "v_head_dim": 64, "max_position_embeddings": 4096,
    "rope_theta": 10000, "routed_scaling_factor": 2.5, "norm_topk_prob": True, "scoring_func": "sigmoid",
    "topk_method": "noaux_tc", "rms_norm_eps": 1e-6, "num_nextn_predict_layers": 0,
}


def layer(c, i):
    d, h, n, r, v = (c[k] for k in ("hidden_size", "num_attention_heads", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"))
    q, kv = c["q_lora_rank"], c["kv_lora_rank"]
    t = {"input_layernorm.weight": [d], "post_attention_layernorm.weight": [d], "self_attn.q_a_proj.weight": [q, d],
         "self_attn.q_a_layernorm.weight": [q], "self_attn.q_b_proj.weight": [h * (n + r), q],
         "self_attn.kv_a_proj_with_mqa.weight": [kv + r, d], "self_attn.kv_a_layernorm.weight": [kv],
         "self_attn.kv_b_proj.weight": [h * (n + v), kv], "self_attn.o_proj.weight": [d, h * v]}

    def mlp(prefix, inner):
        return {prefix + "gate_proj.weight": [inner, d], prefix + "up_proj.weight": [inner, d],
                prefix + "down_proj.weight": [d, inner]}
    if i < c["first_k_dense_replace"]:
        t.update(mlp("mlp.", c["intermediate_size"]))
    else:
        t["mlp.gate.weight"] = [c["n_routed_experts"], d]
        t["mlp.gate.e_score_correction_bias"] = [c["n_routed_experts"]]
        t.update(mlp("mlp.shared_experts.", c["moe_intermediate_size"]))
        for e in range(c["n_routed_experts"]):
            t.update(mlp(f"mlp.experts.{e}.", c["moe_intermediate_size"]))
    return {f"model.layers.{i}.{k}": s for k, s in t.items()}


def make_model(folder, at_least):
    c, header, at, i = dict(CONFIG), {}, 0, 0
    outside = {"model.embed_tokens.weight": [512, 1024], "lm_head.weight": [512, 1024], "model.norm.weight": [1024]}

    def add(tensors):
        nonlocal at
        for name, shape in tensors.items():
            n = 2
            for s in shape:
                n *= s
            header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + n]}
            at += n
    add(outside)
    while at < at_least:
        add(layer(c, i))
        i += 1
    c["num_hidden_layers"] = i
    with open(f"{folder}/config.json", "w") as f:
        json.dump(c, f)
    text = json.dumps(header).encode()
    with open(f"{folder}/model.safetensors", "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        f.truncate(8 + len(text) + at)
    return at


def main():
    remora, limit = sys.argv[1], int(sys.argv[2]) << 20 if len(sys.argv) > 2 else 160 << 20
    with tempfile.TemporaryDirectory() as folder:
        size = make_model(folder, 4 * limit)
        out = f"{folder}/x.remora"

        def confine():
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        run = subprocess.run([remora, "convert", "-m", folder, "-o", out, "-r", "q2", "-q", "-t", "2"], preexec_fn=confine,
                             capture_output=True, text=True)
        if run.returncode != 0:
            sys.exit(f"converting {size >> 20} MB within {limit >> 20} MB: {run.stderr}")
        packed = os.path.getsize(out)
        if not size / 7 < packed < size / 5:
            sys.exit(f"{size} bytes became {packed}")
        if sorted(os.listdir(folder)) != ["config.json", "model.safetensors", "x.remora"]:
            sys.exit(f"left behind: {os.listdir(folder)}")
    print(f"{size >> 20} MB within {limit >> 20} MB: a pack of {packed >> 20} MB")


if __name__ == "__main__":
    main()
