/* SPDX-License-Identifier: Apache-2.0 */
/* The shape of a model: every number its config.json fixes, checked once, so that the rest can rely
 * on it. */
#ifndef RMR_SHAPE_H
#define RMR_SHAPE_H

#include <jansson.h>

#include "backend.h"

enum {
    RMR_MAX_ROPE = 512, /* widest rotary part accepted */
    RMR_MAX_LAYERS = 1024,
    RMR_MAX_CONTEXT = 1 << 28,
    RMR_MAX_WIDTH = 1 << 20, /* of any one dimension: products of two fit 64 bits with room */
    RMR_MAX_CHOSEN = 1 << 28 /* numbers that lie between gate and down of all experts of a token */
};

typedef enum rmr_attention { RMR_ATTENTION_MLA, RMR_ATTENTION_GQA } rmr_attention;

typedef struct rmr_shape {
    char family[32]; /* model_type */
    uint32_t n_layers, n_vocab, n_hidden, max_context;
    uint32_t n_mtp;     /* prediction layers that the configuration counts */
    uint32_t n_predict; /* those that are loaded, behind the others: 0 or 1. Set at opening */
    rmr_attention attention; /* mla or gqa has the dimensions; the other is all zero */
    rmr_mla mla;
    rmr_gqa gqa;
    int qkv_bias, out_bias;    /* GQA: biases of q, k and v, and of the output projection */
    int head_norm;             /* GQA: RMSNorm over each head of q and k, with eps */
    rmr_rope_pairs rope_pairs; /* GQA; MLA's are interleaved */
    uint32_t q_rank;           /* 0: q_proj, else q_a/q_b */
    uint32_t inner;            /* width of the dense layers' SwiGLU */
    uint32_t n_dense, moe_freq;
    uint32_t n_shared;
    rmr_moe moe;
    int gate_bias; /* e_score_correction_bias exists */
    int tied;      /* lm_head is the embedding */
    float eps;     /* rms_norm_eps: outer norms */
    float rope_amp;
    int rope_dynamic; /* rope_type dynamic: plain up to max_context, which ends there */
    float inv_freq[RMR_MAX_ROPE / 2];
} rmr_shape;

/* The two inner norms of MLA use this epsilon whatever the config says (docs/models.md T4). */
#define RMR_INNER_EPS 1e-6f

/* Read and check a parsed config.json. An unknown model_type or a field that asks for something
 * this build does not do is E_UNSUPPORTED naming it; a value out of range or inconsistent is
 * E_FORMAT naming it. */
remora_status rmr_shape_read(const char *file, const json_t *config, rmr_shape *out,
                             remora_error *err);

static inline int rmr_shape_is_moe(const rmr_shape *s, uint32_t layer)
{
    return s->moe.n_experts > 0 && layer >= s->n_dense && layer % s->moe_freq == 0;
}

/* Layers with weights and a cache: the model's, and those that predict. */
static inline uint32_t rmr_shape_all_layers(const rmr_shape *s)
{
    return s->n_layers + s->n_predict;
}

/* Width of the rotary part of a head. */
static inline uint32_t rmr_shape_rope(const rmr_shape *s)
{
    return s->attention == RMR_ATTENTION_GQA ? s->gqa.head_dim : s->mla.rope;
}

static inline uint32_t rmr_shape_heads(const rmr_shape *s)
{
    return s->attention == RMR_ATTENTION_GQA ? s->gqa.heads : s->mla.heads;
}

#endif
