#include "names.h"

#include <stdio.h>
#include <string.h>

#define MODEL "model."

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

static void gguf_name(const char *name, char *out, size_t cap)
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

/* How folders spell the names: with the head, as a base model without it, and inside of a model
 * that also sees (Kimi-K2.5 and Llava; the same as transformers 5 saves it; DeepSeek-VL2). */
static const rmr_names spellings[] = {
    {RMR_NAMING_HF, "model.", "", ""},
    {RMR_NAMING_HF, "", "", ""},
    {RMR_NAMING_HF, "language_model.model.", "language_model.", "language_model."},
    {RMR_NAMING_HF, "model.language_model.", "", "model.language_model."},
    {RMR_NAMING_HF, "language.model.", "language.", "language."},
};

rmr_names rmr_names_of(const rmr_checkpoint *ck)
{
    if (rmr_checkpoint_naming(ck) == RMR_NAMING_GGUF)
        return (rmr_names){RMR_NAMING_GGUF, "", "", ""};
    for (size_t i = 0; i < sizeof spellings / sizeof spellings[0]; i++) {
        char name[RMR_NAMES_MAX];
        snprintf(name, sizeof name, "%sembed_tokens.weight", spellings[i].body);
        if (rmr_checkpoint_find(ck, name) != NULL) return spellings[i];
    }
    return spellings[0];
}

void rmr_names_full(const rmr_names *n, const char *name, const char *tail, char *out, size_t cap)
{
    const int in_body = strncmp(name, MODEL, sizeof MODEL - 1) == 0;
    if (n->naming == RMR_NAMING_GGUF)
        gguf_name(name, out, cap);
    else
        snprintf(out, cap, "%s%s%s%s", in_body ? n->body : n->rest,
                 in_body ? name + sizeof MODEL - 1 : name, tail[0] != 0 ? "." : "", tail);
}

const char *rmr_names_body(const rmr_names *n, const char *full)
{
    const size_t len = strlen(n->body);
    return strncmp(full, n->body, len) == 0 ? full + len : NULL;
}

int rmr_names_other_part(const rmr_names *n, const char *full)
{
    static const char head[] = "lm_head.";
    return strncmp(full, n->text, strlen(n->text)) != 0 &&
           strncmp(full, head, sizeof head - 1) != 0;
}

long rmr_names_layer(const char *gguf)
{
    unsigned layer;
    int at = 0;
    return sscanf(gguf, "blk.%5u.%n", &layer, &at) == 1 && at > 0 ? (long)layer : -1;
}
