#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""DeepSeek-V2-Lite's shape with random bf16 weights in transformers, on a GPU, for bench/compare_cuda.py.

Prints lines "decode WAY TOKENS_A_SECOND" and "prefill WAY TOKENS_A_SECOND" (a prompt of 4,096), one for each way in which this version
of transformers computes experts; ways that fail are said on stderr."""
import sys
import time

import torch
from transformers import AutoModelForCausalLM, DeepseekV2Config, DynamicCache

WAYS = ("eager", "grouped_mm", "batched_mm")
DECODED, PROMPT, VOCAB, ROPE = 24, 4096, 102400, 64


def made():
    config = DeepseekV2Config(
        vocab_size=VOCAB, hidden_size=2048, intermediate_size=10944, moe_intermediate_size=1408, num_hidden_layers=27,
        num_attention_heads=16, num_key_value_heads=16, n_shared_experts=2, n_routed_experts=64, num_experts_per_tok=6,
        routed_scaling_factor=1.0, kv_lora_rank=512, q_lora_rank=None, qk_rope_head_dim=ROPE, qk_nope_head_dim=128, v_head_dim=128,
        topk_method="greedy", n_group=1, topk_group=1, first_k_dense_replace=1, norm_topk_prob=False, max_position_embeddings=163840)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model = model.to_empty(device="cuda").eval()
    for parameter in model.parameters():
        parameter.fill_(1) if parameter.dim() == 1 else parameter.normal_(0, 0.02)
    for name, buffer in model.named_buffers():  # made on "meta", so empty now
        if "inv_freq" in name:
            buffer.copy_(1 / 10000 ** (torch.arange(0, ROPE, 2, device="cuda").float() / ROPE))
    return model, config


def seconds(work):
    torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def decode(model, config):
    cache, token = DynamicCache(config=config), torch.zeros((1, 1), device="cuda", dtype=torch.long)

    def go(n, token=token):
        for _ in range(n):
            token = model(input_ids=token, past_key_values=cache, use_cache=True, logits_to_keep=1).logits[:, -1].argmax(-1).view(1, 1)
    go(4)
    return DECODED / seconds(lambda: go(DECODED))


def prefill(model, config):
    ids = torch.randint(0, config.vocab_size, (1, PROMPT), device="cuda")
    work = lambda: model(input_ids=ids, use_cache=False, logits_to_keep=1)
    work()
    return PROMPT / min(seconds(work) for _ in range(3))


with torch.no_grad():
    model, config = made()
    for way in WAYS:
        for what in (decode, prefill):
            try:
                if way != "eager":
                    model.set_experts_implementation(way)
                print(what.__name__, way, f"{what(model, config):.1f}", flush=True)
            except (RuntimeError, ValueError, AttributeError, NotImplementedError) as error:
                print(f"{what.__name__} {way}: {type(error).__name__} {error}", file=sys.stderr)
