#include "names.h"

#include <stdio.h>
#include <string.h>

typedef struct pair {
    const char *hf, *gguf;
} pair;

/* Behind "model.layers.N." and "blk.N.". */
static const pair in_layer[] = {
    {"input_layernorm", "attn_norm.weight"},
    {"post_attention_layernorm", "ffn_norm.weight"},
    {"self_attn.q_proj", "attn_q.weight"},
    {"self_attn.k_proj", "attn_k.weight"},
    {"self_attn.v_proj", "attn_v.weight"},
    {"self_attn.o_proj", "attn_output.weight"},
    {"self_attn.q_proj.bias", "attn_q.bias"},
    {"self_attn.k_proj.bias", "attn_k.bias"},
    {"self_attn.v_proj.bias", "attn_v.bias"},
    {"self_attn.o_proj.bias", "attn_output.bias"},
    {"self_attn.q_norm", "attn_q_norm.weight"},
    {"self_attn.k_norm", "attn_k_norm.weight"},
    {"self_attn.q_a_proj", "attn_q_a.weight"},
    {"self_attn.q_a_layernorm", "attn_q_a_norm.weight"},
    {"self_attn.q_b_proj", "attn_q_b.weight"},
    {"self_attn.kv_a_proj_with_mqa", "attn_kv_a_mqa.weight"},
    {"self_attn.kv_a_layernorm", "attn_kv_a_norm.weight"},
    {"self_attn.kv_b_proj", "attn_kv_b.weight"},
    {"self_attn.kv_b_proj.absorb", "attn_k_b.weight"},
    {"self_attn.kv_b_proj.value", "attn_v_b.weight"},
    {"mlp.gate_proj", "ffn_gate.weight"},
    {"mlp.up_proj", "ffn_up.weight"},
    {"mlp.down_proj", "ffn_down.weight"},
    {"mlp.gate", "ffn_gate_inp.weight"},
    {"mlp.gate.e_score_correction_bias", "exp_probs_b.bias"},
    {"mlp.experts.gate_proj", "ffn_gate_exps.weight"},
    {"mlp.experts.up_proj", "ffn_up_exps.weight"},
    {"mlp.experts.down_proj", "ffn_down_exps.weight"},
    {"mlp.shared_experts.gate_proj", "ffn_gate_shexp.weight"},
    {"mlp.shared_experts.up_proj", "ffn_up_shexp.weight"},
    {"mlp.shared_experts.down_proj", "ffn_down_shexp.weight"},
};

static const pair outside[] = {
    {"model.embed_tokens", "token_embd.weight"},
    {"model.norm", "output_norm.weight"},
    {"lm_head", "output.weight"},
};

static const char *find(const pair *table, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(table[i].hf, name) == 0) return table[i].gguf;
    return NULL;
}

void rmr_names_gguf(const char *name, char *out, size_t cap)
{
    unsigned layer;
    int at = 0;
    if (sscanf(name, "model.layers.%5u.%n", &layer, &at) == 1 && at > 0) {
        const char *part = find(in_layer, sizeof in_layer / sizeof in_layer[0], name + at);
        if (part != NULL)
            snprintf(out, cap, "blk.%u.%s", layer, part);
        else
            snprintf(out, cap, "%s", name);
        return;
    }
    const char *whole = find(outside, sizeof outside / sizeof outside[0], name);
    snprintf(out, cap, "%s", whole != NULL ? whole : name);
}

long rmr_names_layer(const char *gguf)
{
    unsigned layer;
    int at = 0;
    return sscanf(gguf, "blk.%5u.%n", &layer, &at) == 1 && at > 0 ? (long)layer : -1;
}
