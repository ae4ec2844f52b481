#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write a Hugging Face folder as a GGUF file, as the usual converters do. Needs numpy and gguf (test/requirements.txt).

    make_gguf.py FOLDER OUT.gguf [--type T] [--layout old|new|flat|both] [--router F32|keep] [--split N] [--mtp]
                                 [--pre NAME] [--tokenizer-model NAME] [--vocab-only] [--decoded] [--layers N]

T is F32, F16, BF16 or a block type; "keep" (the default) leaves matrices as they are stored. Norms, biases and the
router are F32; rows that the type's blocks do not fit get the type that llama.cpp's quantizer gives them (a K-quant of
a model with rows of 1408 has Q5_0 or Q5_1 in it), and if that does not fit either, F16. The block types that the gguf
package cannot encode are encoded here, for their form and not for their quality.
Layouts of kv_b of MLA models: `old` one tensor; `new` attn_k_b and attn_v_b; `flat` these with two dims; `both` all.
"""
import argparse
import json
import pathlib

import gguf
import numpy as np
from gguf import GGMLQuantizationType as T

CODES = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], np.float32)


# ---- blocks: x is [n blocks, values], the result [n blocks, bytes] ----

def inverse(d):
    return np.where(d == 0, 0, 1 / np.where(d == 0, 1, d))


def half(d):
    """A scale as its two bytes, and what they mean."""
    h = d.astype(np.float16)
    return h.view(np.uint8).reshape(len(d), 2), h.astype(np.float32)


def nearest(x):
    return np.searchsorted((CODES[1:] + CODES[:-1]) / 2, x).astype(np.uint8)


def iq4_nl(x):
    raw, d = half(np.abs(x).max(1) / 127)
    q = nearest(x * inverse(d)[:, None])
    return np.concatenate([raw, q[:, :16] | q[:, 16:] << 4], 1)


def iq4_xs(x):
    x = x.reshape(-1, 8, 32)
    s = np.abs(x).max(2) / 127
    raw, d = half(s.max(1) / 31)
    ls = np.clip(np.rint(s * inverse(d)[:, None]), -32, 31).astype(np.int32)
    q = nearest(x * inverse(d[:, None] * ls)[..., None])
    qs = (q[..., :16] | q[..., 16:] << 4).reshape(-1, 128)
    u = (ls + 32).astype(np.uint32)
    low = ((u[:, 0::2] & 15) | (u[:, 1::2] & 15) << 4).astype(np.uint8)
    high = sum((u[:, i] >> 4) << (2 * i) for i in range(8)).astype(np.uint16)
    return np.concatenate([raw, high.view(np.uint8).reshape(-1, 2), low, qs], 1)


def six_bit(sc, mn):
    """The 12 bytes of Q4_K's and Q5_K's scales."""
    s = np.zeros((len(sc), 12), np.uint8)
    s[:, 0:4] = sc[:, :4] | (sc[:, 4:] >> 4) << 6
    s[:, 4:8] = mn[:, :4] | (mn[:, 4:] >> 4) << 6
    s[:, 8:12] = (sc[:, 4:] & 15) | (mn[:, 4:] & 15) << 4
    return s


def with_mins(x, sub, bits, scale_bits):
    """d, dmin, sc, mn and codes of sub-blocks that have a minimum."""
    x = x.reshape(len(x), -1, sub)
    top, limit = (1 << bits) - 1, (1 << scale_bits) - 1
    low = np.minimum(x.min(2), 0)
    s = (x.max(2) - low) / top
    draw, d = half(s.max(1) / limit)
    mraw, dmin = half((-low).max(1) / limit)
    sc = np.clip(np.rint(s * inverse(d)[:, None]), 0, limit).astype(np.uint8)
    mn = np.clip(np.rint(-low * inverse(dmin)[:, None]), 0, limit).astype(np.uint8)
    q = (x + (dmin[:, None] * mn)[..., None]) * inverse(d[:, None] * sc)[..., None]
    return draw, mraw, sc, mn, np.clip(np.rint(q), 0, top).astype(np.uint8)


def q4_k(x):
    d, dmin, sc, mn, q = with_mins(x, 32, 4, 6)
    qs = (q[:, 0::2] | q[:, 1::2] << 4).reshape(-1, 128)
    return np.concatenate([d, dmin, six_bit(sc, mn), qs], 1)


def q5_k(x):
    d, dmin, sc, mn, q = with_mins(x, 32, 5, 6)
    low = q & 15
    qs = (low[:, 0::2] | low[:, 1::2] << 4).reshape(-1, 128)
    qh = np.bitwise_or.reduce((q >> 4) << np.arange(8, dtype=np.uint8)[None, :, None], 1)
    return np.concatenate([d, dmin, six_bit(sc, mn), qh, qs], 1)


def two_bits(q):
    """[n, 256] codes of 2 bits to 64 bytes: 4 runs of 32 in each byte of a half."""
    q = q.reshape(-1, 2, 4, 32) << np.array([0, 2, 4, 6], np.uint8)[None, None, :, None]
    return np.bitwise_or.reduce(q, 2).reshape(-1, 64)


def q2_k(x):
    d, dmin, sc, mn, q = with_mins(x, 16, 2, 4)
    return np.concatenate([sc | mn << 4, two_bits(q), d, dmin], 1)


def q3_k(x):
    x = x.reshape(-1, 16, 16)
    s = np.abs(x).max(2) / 4
    raw, d = half(s.max(1) / 31)
    sc = np.clip(np.rint(s * inverse(d)[:, None]), -32, 31).astype(np.int32)
    q = np.clip(np.rint(x * inverse(d[:, None] * sc)[..., None]), -4, 3).astype(np.int32) + 4
    q = q.astype(np.uint8).reshape(-1, 256)
    bits = (q >> 2).reshape(-1, 8, 32) << np.arange(8, dtype=np.uint8)[None, :, None]
    u = (sc + 32).astype(np.uint8)
    scales = np.zeros((len(x), 12), np.uint8)
    scales[:, :8] = (u[:, :8] & 15) | (u[:, 8:] & 15) << 4
    for j in range(16):
        scales[:, 8 + j % 4] |= (u[:, j] >> 4) << (2 * (j // 4))
    return np.concatenate([np.bitwise_or.reduce(bits, 1), two_bits(q & 3), scales, raw], 1)


def q6_k(x):
    x = x.reshape(-1, 16, 16)
    s = np.abs(x).max(2) / 32
    raw, d = half(s.max(1) / 127)
    sc = np.clip(np.rint(s * inverse(d)[:, None]), -128, 127).astype(np.int8)
    q = np.clip(np.rint(x * inverse(d[:, None] * sc)[..., None]), -32, 31).astype(np.int32) + 32
    q = q.astype(np.uint8).reshape(-1, 2, 4, 32)
    low = q & 15
    ql = np.concatenate([low[:, :, 0] | low[:, :, 2] << 4, low[:, :, 1] | low[:, :, 3] << 4], 2).reshape(-1, 128)
    return np.concatenate([ql, two_bits((q >> 4).reshape(-1, 256)), sc.view(np.uint8), raw], 1)


OWN = {T.IQ4_NL: iq4_nl, T.IQ4_XS: iq4_xs, T.Q2_K: q2_k, T.Q3_K: q3_k, T.Q4_K: q4_k, T.Q5_K: q5_k, T.Q6_K: q6_k}

# Where rows are no whole blocks of 256; the others become Q8_0.
FALLBACK = {T.Q2_K: T.IQ4_NL, T.Q3_K: T.IQ4_NL, T.IQ4_XS: T.IQ4_NL, T.Q4_K: T.Q5_0, T.Q5_K: T.Q5_1}


def encode(x, kind):
    """Rows of f32 to rows of bytes."""
    if kind not in OWN:
        return gguf.quants.quantize(x, kind).view(np.uint8)
    values, size = gguf.GGML_QUANT_SIZES[kind]
    rows = OWN[kind](x.reshape(-1, values).astype(np.float32))
    assert rows.shape[1] == size and rows.dtype == np.uint8
    return rows.reshape(*x.shape[:-1], x.shape[-1] // values * size)


# ---- reading the folder ----

class Tensor:
    """A tensor as it is stored; f32() decodes it."""

    def __init__(self, dtype, shape, raw):
        self.dtype, self.shape, self.raw = dtype, shape, raw

    def f32(self):
        if self.dtype == "BF16":
            return (self.raw.view(np.uint16).astype(np.uint32) << 16).view(np.float32).reshape(self.shape)
        return self.raw.view({"F32": np.float32, "F16": np.float16}[self.dtype]).astype(np.float32).reshape(self.shape)


def read_tensors(folder):
    out = {}
    for path in sorted(folder.glob("model*.safetensors")):
        data = np.fromfile(path, np.uint8)
        n = int(data[:8].view(np.uint64)[0])
        header = json.loads(bytes(data[8:8 + n]))
        for name, t in header.items():
            if name != "__metadata__":
                begin, end = (8 + n + o for o in t["data_offsets"])
                out[name] = Tensor(t["dtype"], t["shape"], data[begin:end].copy())
    return out


def read_json(path):
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


# ---- names ----

LAYER = {
    "input_layernorm.weight": "attn_norm.weight", "post_attention_layernorm.weight": "ffn_norm.weight",
    "self_attn.q_a_proj.weight": "attn_q_a.weight", "self_attn.q_a_layernorm.weight": "attn_q_a_norm.weight",
    "self_attn.q_b_proj.weight": "attn_q_b.weight", "self_attn.kv_a_proj_with_mqa.weight": "attn_kv_a_mqa.weight",
    "self_attn.kv_a_layernorm.weight": "attn_kv_a_norm.weight", "self_attn.o_proj.weight": "attn_output.weight",
    "self_attn.kv_b_proj.weight": "attn_kv_b.weight",
    "mlp.gate.weight": "ffn_gate_inp.weight", "mlp.gate.e_score_correction_bias": "exp_probs_b.bias",
    "eh_proj.weight": "nextn.eh_proj.weight", "enorm.weight": "nextn.enorm.weight",
    "self_attn.q_norm.weight": "attn_q_norm.weight", "self_attn.k_norm.weight": "attn_k_norm.weight",
    "hnorm.weight": "nextn.hnorm.weight", "shared_head.norm.weight": "nextn.shared_head_norm.weight",
}
for _p in "qkv":
    for _s in ("weight", "bias"):
        LAYER[f"self_attn.{_p}_proj.{_s}"] = f"attn_{_p}.{_s}"
for _p in ("gate", "up", "down"):
    LAYER[f"mlp.{_p}_proj.weight"] = f"ffn_{_p}.weight"
    LAYER[f"mlp.shared_experts.{_p}_proj.weight"] = f"ffn_{_p}_shexp.weight"
TOP = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
       "lm_head.weight": "output.weight"}


class Converter:
    def __init__(self, folder, args):
        self.folder, self.args = folder, args
        self.config = read_json(folder / "config.json")
        if args.layers:
            self.config["num_hidden_layers"] = args.layers
        kind = self.config.get("model_type", "")
        self.arch = kind if kind in ("llama", "qwen2", "qwen3") else "deepseek2"
        self.w = gguf.GGUFWriter(args.out, self.arch, split_max_tensors=args.split)
        self.blocks = (*OWN, T.Q8_0, T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.MXFP4)
        self.type = None if args.type == "keep" else T[args.type]

    # -- metadata --

    def u32(self, key, value):
        if value is not None:
            self.w.add_uint32(f"{self.arch}.{key}", int(value))

    def f32(self, key, value):
        if value is not None:
            self.w.add_float32(f"{self.arch}.{key}", float(value))

    def metadata(self):
        c = self.config
        next_layers = c.get("num_nextn_predict_layers") or 0
        keep = next_layers if self.args.mtp else 0
        self.w.add_name(self.folder.name)
        self.u32("block_count", c["num_hidden_layers"] + keep)
        self.u32("nextn_predict_layers", keep or None)
        self.u32("context_length", c["max_position_embeddings"])
        self.u32("embedding_length", c["hidden_size"])
        self.u32("feed_forward_length", c["intermediate_size"])
        self.u32("attention.head_count", c["num_attention_heads"])
        self.u32("vocab_size", c["vocab_size"] if self.arch != "qwen2" else None)
        self.f32("attention.layer_norm_rms_epsilon", c["rms_norm_eps"])
        rope = c.get("rope_scaling") or c.get("rope_parameters") or {}
        self.f32("rope.freq_base", rope.get("rope_theta", c.get("rope_theta", 10000.0)))
        if rope.get("rope_type", rope.get("type")) == "yarn":
            self.w.add_string(f"{self.arch}.rope.scaling.type", "yarn")
            self.f32("rope.scaling.factor", rope["factor"])
            self.u32("rope.scaling.original_context_length", rope["original_max_position_embeddings"])
            self.f32("rope.scaling.yarn_beta_fast", rope.get("beta_fast"))
            self.f32("rope.scaling.yarn_beta_slow", rope.get("beta_slow"))
            if "mscale_all_dim" in rope:
                self.f32("rope.scaling.yarn_log_multiplier", 0.1 * rope["mscale_all_dim"])
            self.f32("rope.scaling.yarn_attn_factor", rope.get("attention_factor", rope.get("attn_factor")))
        if self.arch == "deepseek2":
            self.mla_metadata()
        else:
            self.gqa_metadata(rope)

    def mla_metadata(self):
        c = self.config
        n, p, v, r = (c[k] for k in ("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "kv_lora_rank"))
        new = self.args.layout != "old"
        self.u32("attention.head_count_kv", 1 if new else c["num_attention_heads"])
        self.u32("attention.q_lora_rank", c.get("q_lora_rank"))
        self.u32("attention.kv_lora_rank", r)
        self.u32("attention.key_length", r + p if new else n + p)
        self.u32("attention.value_length", r if new else v)
        self.u32("attention.key_length_mla", n + p if new else None)
        self.u32("attention.value_length_mla", v if new else None)
        self.u32("rope.dimension_count", p)
        if "n_routed_experts" not in c:  # a dense model: what the usual converter writes of it
            self.u32("leading_dense_block_count", c["num_hidden_layers"])
            self.u32("expert_feed_forward_length", c["intermediate_size"])
            self.u32("expert_shared_count", 0)
            return
        sigmoid = c.get("scoring_func", "softmax") == "sigmoid" or c["model_type"] != "deepseek_v2"
        self.u32("expert_count", c["n_routed_experts"])
        self.u32("expert_used_count", c["num_experts_per_tok"])
        self.u32("expert_shared_count", c["n_shared_experts"])
        self.u32("expert_feed_forward_length", c["moe_intermediate_size"])
        self.u32("leading_dense_block_count", c["first_k_dense_replace"])
        if c.get("topk_method") != "greedy":
            self.u32("expert_group_count", c.get("n_group"))
            self.u32("expert_group_used_count", c.get("topk_group"))
        self.f32("expert_weights_scale", c.get("routed_scaling_factor", 1.0))
        self.w.add_bool("deepseek2.expert_weights_norm", bool(c.get("norm_topk_prob", sigmoid)))
        if new or sigmoid:
            self.u32("expert_gating_func", 2 if sigmoid else 1)

    def gqa_metadata(self, rope):
        c = self.config
        width = c.get("head_dim") or c["hidden_size"] // c["num_attention_heads"]
        self.u32("attention.head_count_kv", c["num_key_value_heads"])
        self.u32("rope.dimension_count", width)
        if "head_dim" in c:
            self.u32("attention.key_length", width)
            self.u32("attention.value_length", width)
        if rope.get("rope_type") == "llama3":
            theta = rope.get("rope_theta", c.get("rope_theta", 10000.0))
            f = theta ** (-2.0 * np.arange(width // 2) / width)
            turns = rope["original_max_position_embeddings"] * f / (2 * np.pi)
            low, high = rope["low_freq_factor"], rope["high_freq_factor"]
            keep = np.clip((turns - low) / (high - low), 0, 1)
            self.w.add_tensor("rope_freqs.weight", (1 / ((1 - keep) / rope["factor"] + keep)).astype(np.float32))

    def tokenizer(self):
        t = read_json(self.folder / "tokenizer.json")
        if not t:
            self.w.add_tokenizer_model("no_vocab")
            return
        vocab, added = t["model"]["vocab"], {e["id"]: e for e in t["added_tokens"]}
        by_id = {i: s for s, i in vocab.items()}
        count = max(max(by_id), max(added, default=0)) + 1
        tokens, types = [], []
        for i in range(count):
            e = added.get(i)
            tokens.append(e["content"] if e else by_id.get(i, f"[PAD{i}]"))
            types.append((3 if e["special"] else 4) if e else 1 if i in by_id else 5)
        self.w.add_tokenizer_model(self.args.tokenizer_model)
        self.w.add_tokenizer_pre(self.args.pre)
        self.w.add_token_list(tokens)
        self.w.add_token_types(types)
        self.w.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in t["model"]["merges"]])
        ids = {e["content"]: i for i, e in added.items()}
        c = read_json(self.folder / "tokenizer_config.json")
        for key, add in (("bos", self.w.add_bos_token_id), ("eos", self.w.add_eos_token_id),
                         ("pad", self.w.add_pad_token_id)):
            s = c.get(key + "_token")
            s = s["content"] if isinstance(s, dict) else s
            if s in ids:
                add(ids[s])
        post = t.get("post_processor") or {}
        template = post.get("type") == "TemplateProcessing" and any("SpecialToken" in i for i in post["single"])
        self.w.add_add_bos_token(bool(c.get("add_bos_token", template)))

    # -- tensors --

    def add(self, name, tensor, x=None, kind="matrix"):
        """The tensor, or x, which was made of it, under this name."""
        if kind == "vector" or (kind == "router" and self.args.router == "F32"):
            self.w.add_tensor(name, tensor.f32() if x is None else x)
            return
        to = self.type if self.type is not None and kind == "matrix" else T[tensor.dtype]
        x = tensor.f32() if x is None else x
        for other in (FALLBACK.get(to, T.Q8_0), T.F16):
            if x.shape[-1] % gguf.GGML_QUANT_SIZES[to][0]:
                to = other
        if to in (T.F32, T.F16):
            self.w.add_tensor(name, x.astype(np.float32 if to == T.F32 else np.float16))
            return
        raw = encode(x, to)
        if self.args.decoded and to in self.blocks:
            self.w.add_tensor(name, gguf.quants.dequantize(raw, to))
            return
        self.w.add_tensor(name, raw, raw_shape=list(raw.shape), raw_dtype=to)

    def kv_b(self, layer, t):
        c, b, x = self.config, f"blk.{layer}.", t.f32()
        heads, n, v = c["num_attention_heads"], c["qk_nope_head_dim"], c["v_head_dim"]
        if self.args.layout in ("old", "both"):
            self.add(b + "attn_kv_b.weight", t)
        if self.args.layout == "old":
            return
        x = x.reshape(heads, n + v, -1)
        k, val = np.ascontiguousarray(x[:, :n].transpose(0, 2, 1)), np.ascontiguousarray(x[:, n:])
        if self.args.layout == "flat":
            k, val = k.reshape(-1, n), val.reshape(heads * v, -1)
        self.add(b + "attn_k_b.weight", t, k)
        self.add(b + "attn_v_b.weight", t, val)

    def permuted(self, part, t):
        """The rows of Llama's q and k in the order in which rope turns neighbours."""
        heads = self.config["num_attention_heads" if ".q_" in part else "num_key_value_heads"]
        x = t.f32()
        return np.ascontiguousarray(x.reshape(heads, 2, -1, *x.shape[1:]).swapaxes(1, 2)).reshape(x.shape)

    def layer_tensor(self, layer, part, t):
        if part in ("embed_tokens.weight", "shared_head.head.weight"):
            return
        if part == "self_attn.kv_b_proj.weight":
            self.kv_b(layer, t)
            return
        x = None
        if self.arch == "llama" and part.startswith(("self_attn.q_proj", "self_attn.k_proj")):
            x = self.permuted(part, t)
        kind = "router" if part == "mlp.gate.weight" else "vector" if len(t.shape) == 1 else "matrix"
        self.add(f"blk.{layer}.{LAYER[part]}", t, x, kind)

    def tensors(self):
        all_tensors = read_tensors(self.folder)
        layers, stacks = self.config["num_hidden_layers"], {}
        for name, t in all_tensors.items():
            if name in TOP:
                self.add(TOP[name], t, kind="vector" if len(t.shape) == 1 else "matrix")
                continue
            _, _, layer, part = name.split(".", 3)
            if int(layer) >= layers and not self.args.mtp:
                continue
            if part.startswith("mlp.experts."):
                _, _, expert, proj, _ = part.split(".")
                stacks.setdefault((layer, proj.split("_")[0]), {})[int(expert)] = t
            else:
                self.layer_tensor(layer, part, t)
        for (layer, proj), experts in stacks.items():
            ordered = [experts[i] for i in range(len(experts))]
            self.add(f"blk.{layer}.ffn_{proj}_exps.weight", ordered[0], np.stack([t.f32() for t in ordered]))

    def write(self):
        if not self.args.vocab_only:
            self.metadata()
        self.tokenizer()
        if not self.args.vocab_only:
            self.tensors()
        self.w.write_header_to_file()
        self.w.write_kv_data_to_file()
        self.w.write_tensors_to_file()
        self.w.close()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder", type=pathlib.Path)
    p.add_argument("out", type=pathlib.Path)
    p.add_argument("--type", default="keep")
    p.add_argument("--layout", choices=["old", "new", "flat", "both"], default="new")
    p.add_argument("--router", choices=["F32", "keep"], default="F32")
    p.add_argument("--split", type=int, default=0, metavar="N", help="at most N tensors a file")
    p.add_argument("--mtp", action="store_true", help="keep the prediction layers")
    p.add_argument("--pre", default="deepseek-v3")
    p.add_argument("--tokenizer-model", default="gpt2")
    p.add_argument("--vocab-only", action="store_true")
    p.add_argument("--decoded", action="store_true", help="write as F32 what the blocks of the type hold")
    p.add_argument("--layers", type=int, help="only the first N")
    args = p.parse_args()
    np.seterr(all="raise", under="ignore")
    Converter(args.folder, args).write()


if __name__ == "__main__":
    main()
