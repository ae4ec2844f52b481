/* SPDX-License-Identifier: Apache-2.0 */
#include "weight_table.h"

/* Short, for the table. */
#define MATRIX RMR_WEIGHT_MATRIX
#define VECTOR RMR_WEIGHT_VECTOR
#define EXPERTS RMR_WEIGHT_EXPERTS
#define NONE RMR_SUMS_NONE
#define OWN RMR_SUMS_OWN
#define BEFORE RMR_SUMS_BEFORE
#define WHOLE RMR_SHARED_NOT
#define ROWS RMR_SHARED_BY_ROWS
#define HEADS RMR_SHARED_BY_HEADS

/* Parallel to rmr_weight_id. */
const rmr_weight_info rmr_weight_infos[RMR_W_COUNT] = {
    [RMR_W_ATTN_NORM] = {"input_layernorm", "attn_norm.weight", VECTOR, NONE, WHOLE},
    [RMR_W_Q_A] = {"self_attn.q_a_proj", "attn_q_a.weight", MATRIX, OWN, WHOLE},
    [RMR_W_Q_A_NORM] = {"self_attn.q_a_layernorm", "attn_q_a_norm.weight", VECTOR, NONE, WHOLE},
    [RMR_W_Q_B] = {"self_attn.q_b_proj", "attn_q_b.weight", MATRIX, OWN, HEADS},
    [RMR_W_Q] = {"self_attn.q_proj", "attn_q.weight", MATRIX, OWN, HEADS},
    [RMR_W_KV_A] = {"self_attn.kv_a_proj_with_mqa", "attn_kv_a_mqa.weight", MATRIX, OWN, WHOLE},
    [RMR_W_KV_NORM] = {"self_attn.kv_a_layernorm", "attn_kv_a_norm.weight", VECTOR, NONE, WHOLE},
    [RMR_W_ABSORB] = {RMR_KV_B ".absorb", "attn_k_b.weight", RMR_WEIGHT_KV_ABSORB, NONE, HEADS},
    [RMR_W_VALUE_UP] = {RMR_KV_B ".value", "attn_v_b.weight", RMR_WEIGHT_KV_VALUE, NONE, HEADS},
    [RMR_W_K] = {"self_attn.k_proj", "attn_k.weight", MATRIX, OWN, HEADS},
    [RMR_W_V] = {"self_attn.v_proj", "attn_v.weight", MATRIX, OWN, HEADS},
    [RMR_W_Q_BIAS] = {"self_attn.q_proj.bias", "attn_q.bias", VECTOR, NONE, HEADS},
    [RMR_W_K_BIAS] = {"self_attn.k_proj.bias", "attn_k.bias", VECTOR, NONE, HEADS},
    [RMR_W_V_BIAS] = {"self_attn.v_proj.bias", "attn_v.bias", VECTOR, NONE, HEADS},
    [RMR_W_Q_NORM] = {"self_attn.q_norm", "attn_q_norm.weight", VECTOR, NONE, WHOLE},
    [RMR_W_K_NORM] = {"self_attn.k_norm", "attn_k_norm.weight", VECTOR, NONE, WHOLE},
    [RMR_W_OUT_BIAS] = {"self_attn.o_proj.bias", "attn_output.bias", VECTOR, NONE, ROWS},
    [RMR_W_OUT] = {"self_attn.o_proj", "attn_output.weight", MATRIX, OWN, ROWS},
    [RMR_W_FFN_NORM] = {"post_attention_layernorm", "ffn_norm.weight", VECTOR, NONE, WHOLE},
    [RMR_W_GATE] = {"mlp.gate_proj", "ffn_gate.weight", MATRIX, OWN, ROWS},
    [RMR_W_UP] = {"mlp.up_proj", "ffn_up.weight", MATRIX, BEFORE, ROWS},
    [RMR_W_DOWN] = {"mlp.down_proj", "ffn_down.weight", MATRIX, OWN, ROWS},
    [RMR_W_ROUTER] = {"mlp.gate", "ffn_gate_inp.weight", MATRIX, NONE, WHOLE},
    [RMR_W_ROUTER_BIAS] = {"mlp.gate.e_score_correction_bias", "exp_probs_b.bias", VECTOR, NONE,
                           WHOLE},
    [RMR_W_E_GATE] = {"mlp.experts.gate_proj", "ffn_gate_exps.weight", EXPERTS, OWN, ROWS},
    [RMR_W_E_UP] = {"mlp.experts.up_proj", "ffn_up_exps.weight", EXPERTS, BEFORE, ROWS},
    [RMR_W_E_DOWN] = {"mlp.experts.down_proj", "ffn_down_exps.weight", EXPERTS, OWN, ROWS},
    [RMR_W_S_GATE] = {"mlp.shared_experts.gate_proj", "ffn_gate_shexp.weight", MATRIX, OWN, ROWS},
    [RMR_W_S_UP] = {"mlp.shared_experts.up_proj", "ffn_up_shexp.weight", MATRIX, BEFORE, ROWS},
    [RMR_W_S_DOWN] = {"mlp.shared_experts.down_proj", "ffn_down_shexp.weight", MATRIX, OWN, ROWS},
    [RMR_W_E_NORM] = {"enorm", "nextn.enorm.weight", VECTOR, NONE, WHOLE},
    [RMR_W_H_NORM] = {"hnorm", "nextn.hnorm.weight", VECTOR, NONE, WHOLE},
    [RMR_W_EH_PROJ] = {"eh_proj", "nextn.eh_proj.weight", MATRIX, NONE, ROWS},
    [RMR_W_HEAD_NORM] = {"shared_head.norm", "nextn.shared_head_norm.weight", VECTOR, NONE, WHOLE},
};

/* The properties of a layer, one bit each. */
enum {
    MLA = 1,
    GQA = 2,
    BOTTLENECK = 4, /* of the queries */
    DIRECT = 8,     /* queries without one */
    BIAS = 16,
    OUT_BIAS = 32,
    HEAD_NORM = 64,
    DENSE = 128,
    MOE = 256,
    GATE_BIAS = 512,
    SHARED = 1024,
    PREDICTS = 2048
};

/* All of these a layer has to be to have the weight. */
static const uint16_t needs[RMR_W_COUNT] = {
    [RMR_W_Q_A] = BOTTLENECK,
    [RMR_W_Q_A_NORM] = BOTTLENECK,
    [RMR_W_Q_B] = BOTTLENECK,
    [RMR_W_Q] = DIRECT,
    [RMR_W_KV_A] = MLA,
    [RMR_W_KV_NORM] = MLA,
    [RMR_W_ABSORB] = MLA,
    [RMR_W_VALUE_UP] = MLA,
    [RMR_W_K] = GQA,
    [RMR_W_V] = GQA,
    [RMR_W_Q_BIAS] = BIAS,
    [RMR_W_K_BIAS] = BIAS,
    [RMR_W_V_BIAS] = BIAS,
    [RMR_W_Q_NORM] = HEAD_NORM,
    [RMR_W_K_NORM] = HEAD_NORM,
    [RMR_W_OUT_BIAS] = OUT_BIAS,
    [RMR_W_GATE] = DENSE,
    [RMR_W_UP] = DENSE,
    [RMR_W_DOWN] = DENSE,
    [RMR_W_ROUTER] = MOE,
    [RMR_W_ROUTER_BIAS] = MOE | GATE_BIAS,
    [RMR_W_E_GATE] = MOE,
    [RMR_W_E_UP] = MOE,
    [RMR_W_E_DOWN] = MOE,
    [RMR_W_S_GATE] = MOE | SHARED,
    [RMR_W_S_UP] = MOE | SHARED,
    [RMR_W_S_DOWN] = MOE | SHARED,
    [RMR_W_E_NORM] = PREDICTS,
    [RMR_W_H_NORM] = PREDICTS,
    [RMR_W_EH_PROJ] = PREDICTS,
    [RMR_W_HEAD_NORM] = PREDICTS,
};

int rmr_weight_present(const rmr_shape *s, uint32_t layer, rmr_weight_id id)
{
    const unsigned is = (s->attention == RMR_ATTENTION_GQA ? GQA : MLA) |
                        (s->q_rank > 0 ? BOTTLENECK : DIRECT) | (s->qkv_bias ? BIAS : 0u) |
                        (s->out_bias ? OUT_BIAS : 0u) | (s->head_norm ? HEAD_NORM : 0u) |
                        (rmr_shape_is_moe(s, layer) ? MOE : DENSE) |
                        (s->gate_bias ? GATE_BIAS : 0u) | (s->moe.shared_inner > 0 ? SHARED : 0u) |
                        (layer >= s->n_layers ? PREDICTS : 0u);
    return (needs[id] & ~is) == 0;
}

static rmr_weight_size attention_size(const rmr_shape *s, rmr_weight_id id)
{
    const rmr_mla *a = &s->mla; /* all zero where attention is grouped, and the other way round */
    const rmr_gqa *g = &s->gqa;
    const uint64_t hidden = s->n_hidden, kv = (uint64_t)g->kv_heads * g->head_dim,
                   q = (uint64_t)a->heads * (a->nope + a->rope) + (uint64_t)g->heads * g->head_dim,
                   out = (uint64_t)a->heads * a->v + (uint64_t)g->heads * g->head_dim;
    switch (id) {
    case RMR_W_Q_A: return (rmr_weight_size){s->q_rank, hidden};
    case RMR_W_Q_A_NORM: return (rmr_weight_size){1, s->q_rank};
    case RMR_W_Q_B: return (rmr_weight_size){q, s->q_rank};
    case RMR_W_Q: return (rmr_weight_size){q, hidden};
    case RMR_W_KV_A: return (rmr_weight_size){(uint64_t)a->rank + a->rope, hidden};
    case RMR_W_KV_NORM: return (rmr_weight_size){1, a->rank};
    case RMR_W_ABSORB: return (rmr_weight_size){a->rank, a->nope};
    case RMR_W_VALUE_UP: return (rmr_weight_size){a->v, a->rank};
    case RMR_W_K:
    case RMR_W_V: return (rmr_weight_size){kv, hidden};
    case RMR_W_Q_BIAS: return (rmr_weight_size){1, q};
    case RMR_W_K_BIAS:
    case RMR_W_V_BIAS: return (rmr_weight_size){1, kv};
    case RMR_W_Q_NORM:
    case RMR_W_K_NORM: return (rmr_weight_size){1, g->head_dim};
    case RMR_W_OUT: return (rmr_weight_size){hidden, out};
    default: return (rmr_weight_size){1, hidden}; /* norms, the bias of the output */
    }
}

rmr_weight_size rmr_weight_size_of(const rmr_shape *s, rmr_weight_id id)
{
    const uint64_t hidden = s->n_hidden, experts = s->moe.n_experts;
    switch (id) {
    case RMR_W_GATE:
    case RMR_W_UP: return (rmr_weight_size){s->inner, hidden};
    case RMR_W_DOWN: return (rmr_weight_size){hidden, s->inner};
    case RMR_W_ROUTER: return (rmr_weight_size){experts, hidden};
    case RMR_W_ROUTER_BIAS: return (rmr_weight_size){1, experts};
    case RMR_W_E_GATE:
    case RMR_W_E_UP: return (rmr_weight_size){s->moe.inner, hidden};
    case RMR_W_E_DOWN: return (rmr_weight_size){hidden, s->moe.inner};
    case RMR_W_S_GATE:
    case RMR_W_S_UP: return (rmr_weight_size){s->moe.shared_inner, hidden};
    case RMR_W_S_DOWN: return (rmr_weight_size){hidden, s->moe.shared_inner};
    case RMR_W_EH_PROJ: return (rmr_weight_size){hidden, 2 * hidden};
    default: return attention_size(s, id);
    }
}

/* The rows of one head, in a product that has heads. For queries they are the rows of all heads
 * that share a kv head. */
static uint32_t head_rows(const rmr_shape *s, rmr_weight_id id)
{
    const rmr_gqa *g = &s->gqa;
    if (s->attention == RMR_ATTENTION_MLA) return s->mla.nope + s->mla.rope;
    const int queries = id == RMR_W_Q || id == RMR_W_Q_BIAS;
    return g->head_dim * (queries ? g->heads / g->kv_heads : 1);
}

rmr_share rmr_weight_share_of(const rmr_shape *s, rmr_weight_id id)
{
    const rmr_weight_info *i = &rmr_weight_infos[id];
    if (i->shared == WHOLE) return (rmr_share){RMR_SHARE_NONE, 0};
    if (i->form == RMR_WEIGHT_KV_ABSORB || i->form == RMR_WEIGHT_KV_VALUE)
        return (rmr_share){RMR_SHARE_MATRICES, 1};
    return (rmr_share){RMR_SHARE_ROWS, i->shared == HEADS ? head_rows(s, id) : 1};
}
