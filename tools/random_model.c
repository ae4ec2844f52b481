/* SPDX-License-Identifier: Apache-2.0 */
#include "random_model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LAYERS = 2 /* the first one dense */ };

typedef struct sizes {
    uint32_t hidden, heads, rank, nope, rope, v, q_rank, experts, inner, dense_inner, vocab,
        kv_heads, head_dim; /* of grouped attention; 0: latent */
} sizes;

typedef struct bytes {
    unsigned char *at;
    size_t n, cap;
    int failed;
} bytes;

typedef struct writer {
    bytes header, data;
    uint64_t state;
} writer;

uint32_t tool_random(uint64_t *state, uint32_t below)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((*state >> 33) % below);
}

static void add(bytes *b, const void *from, size_t n)
{
    if (b->cap - b->n < n && !b->failed) {
        const size_t cap = b->cap * 2 + n;
        void *const grown = realloc(b->at, cap);
        b->failed = !grown;
        if (grown) b->at = grown;
        if (grown) b->cap = cap;
    }
    if (b->failed) return;
    memcpy(b->at + b->n, from, n);
    b->n += n;
}

__attribute__((format(printf, 2, 3))) static void print(bytes *b, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    add(b, text, (size_t)n);
}

/* ---- shapes ---- */

static uint32_t from(uint64_t *state, uint32_t low, uint32_t high)
{
    return low + tool_random(state, high - low + 1);
}

static sizes shape(int family, int wide, uint64_t *s)
{
    const int grouped = family == TOOL_GROUPED;
    sizes z = {.vocab = from(s, 90, 150)};
    z.hidden = wide ? 256 : from(s, 17, 45) * 2;
    z.dense_inner = wide ? 256 * from(s, 1, 2) : from(s, 19, 70);
    if (grouped) {
        z.kv_heads = from(s, 1, 3);
        z.heads = z.kv_heads * (wide ? 4 : from(s, 1, 3));
        z.head_dim = wide ? 64 : from(s, 3, 9) * 4;
        return z;
    }
    z.heads = wide ? 2 * from(s, 1, 2) : from(s, 1, 5);
    z.rank = wide ? 32 * from(s, 2, 8) : from(s, 5, 20) * 2;
    z.nope = wide ? 32 : from(s, 3, 10) * 2;
    z.rope = from(s, 2, 8) * 2;
    z.v = wide ? 128 : from(s, 7, 20);
    z.q_rank = family == TOOL_LATENT_V2 ? 0 : wide ? 256 : from(s, 13, 40);
    z.experts = 3 * from(s, 1, 2);
    z.inner = wide ? 256 : from(s, 11, 30);
    if (family == TOOL_LATENT_LARGE) {
        z.heads = 16;
        z.rank = 512;
        z.rope = 64;
        z.nope = z.v = 32;
    }
    return z;
}

static void write_config(bytes *b, const sizes *z, int family)
{
    static const char *const types[] = {[TOOL_LATENT_V3] = "deepseek_v3",
                                        [TOOL_LATENT_V2] = "deepseek_v2",
                                        [TOOL_GROUPED] = "qwen3",
                                        [TOOL_LATENT_LARGE] = "deepseek_v3"};
    print(b,
          "{\"model_type\":\"%s\",\"num_hidden_layers\":%d,\"hidden_size\":%u,\"vocab_size\":%u,"
          "\"num_attention_heads\":%u,\"num_key_value_heads\":%u,\"intermediate_size\":%u,"
          "\"max_position_embeddings\":2048,\"rms_norm_eps\":1e-06,\"rope_theta\":10000,"
          "\"hidden_act\":\"silu\",\"bos_token_id\":0,\"eos_token_id\":1,",
          types[family], LAYERS, z->hidden, z->vocab, z->heads,
          z->kv_heads ? z->kv_heads : z->heads, z->dense_inner);
    if (z->kv_heads) {
        print(b, "\"head_dim\":%u,\"rope_scaling\":null,\"attention_bias\":false}", z->head_dim);
        return;
    }
    print(b,
          "\"kv_lora_rank\":%u,\"qk_nope_head_dim\":%u,\"qk_rope_head_dim\":%u,\"v_head_dim\":%u,"
          "\"moe_intermediate_size\":%u,\"n_routed_experts\":%u,\"num_experts_per_tok\":2,"
          "\"n_shared_experts\":1,\"first_k_dense_replace\":1,\"rope_scaling\":null,",
          z->rank, z->nope, z->rope, z->v, z->inner, z->experts);
    if (z->q_rank)
        print(b,
              "\"q_lora_rank\":%u,\"topk_method\":\"noaux_tc\",\"scoring_func\":\"sigmoid\","
              "\"n_group\":3,\"topk_group\":2,\"norm_topk_prob\":true,"
              "\"routed_scaling_factor\":2.5}",
              z->q_rank);
    else
        print(b, "\"q_lora_rank\":null,\"topk_method\":\"greedy\",\"scoring_func\":\"softmax\","
                 "\"norm_topk_prob\":false,\"routed_scaling_factor\":1.0}");
}

/* ---- weights ---- */

/* BF16, uniform around `mean`; rows 0: a vector. */
static void tensor(writer *w, const char *path, const char *name, uint32_t rows, uint32_t cols,
                   float mean, float spread)
{
    const size_t begin = w->data.n, n = (size_t)(rows ? rows : 1) * cols;
    for (size_t i = 0; i < n; i++) {
        const float u = (float)(int32_t)(tool_random(&w->state, 2048) - 1024) / 1024;
        const float x = mean + spread * u;
        uint32_t bits;
        memcpy(&bits, &x, sizeof bits);
        add(&w->data, (unsigned char[]){(unsigned char)(bits >> 16), (unsigned char)(bits >> 24)},
            2);
    }
    print(&w->header, "%s\"%s%s\":{\"dtype\":\"BF16\",\"shape\":[", w->header.n > 1 ? "," : "",
          path, name);
    if (rows) print(&w->header, "%u,", rows);
    print(&w->header, "%u],\"data_offsets\":[%zu,%zu]}", cols, begin, w->data.n);
}

/* Sums keep their size: a matrix is as small as its rows are long. */
static void matrix(writer *w, const char *path, const char *name, uint32_t rows, uint32_t cols)
{
    uint32_t root = 1;
    while ((root + 1) * (root + 1) <= cols) root++;
    tensor(w, path, name, rows, cols, 0, 2.0f / (float)root);
}

static void norm(writer *w, const char *path, const char *name, uint32_t n)
{
    tensor(w, path, name, 0, n, 1, 0.25f);
}

static void grouped_attention(writer *w, const sizes *z, const char *path)
{
    const uint32_t q = z->heads * z->head_dim, kv = z->kv_heads * z->head_dim;
    matrix(w, path, "self_attn.q_proj.weight", q, z->hidden);
    matrix(w, path, "self_attn.k_proj.weight", kv, z->hidden);
    matrix(w, path, "self_attn.v_proj.weight", kv, z->hidden);
    matrix(w, path, "self_attn.o_proj.weight", z->hidden, q);
    norm(w, path, "self_attn.q_norm.weight", z->head_dim);
    norm(w, path, "self_attn.k_norm.weight", z->head_dim);
}

static void latent_attention(writer *w, const sizes *z, const char *path)
{
    const uint32_t q = z->heads * (z->nope + z->rope);
    if (z->q_rank) {
        matrix(w, path, "self_attn.q_a_proj.weight", z->q_rank, z->hidden);
        norm(w, path, "self_attn.q_a_layernorm.weight", z->q_rank);
        matrix(w, path, "self_attn.q_b_proj.weight", q, z->q_rank);
    } else {
        matrix(w, path, "self_attn.q_proj.weight", q, z->hidden);
    }
    matrix(w, path, "self_attn.kv_a_proj_with_mqa.weight", z->rank + z->rope, z->hidden);
    norm(w, path, "self_attn.kv_a_layernorm.weight", z->rank);
    matrix(w, path, "self_attn.kv_b_proj.weight", z->heads * (z->nope + z->v), z->rank);
    matrix(w, path, "self_attn.o_proj.weight", z->hidden, z->heads * z->v);
}

static void feed_forward(writer *w, const sizes *z, const char *path, uint32_t inner)
{
    matrix(w, path, "gate_proj.weight", inner, z->hidden);
    matrix(w, path, "up_proj.weight", inner, z->hidden);
    matrix(w, path, "down_proj.weight", z->hidden, inner);
}

static void experts(writer *w, const sizes *z, const char *path)
{
    char expert[80];
    matrix(w, path, "mlp.gate.weight", z->experts, z->hidden);
    if (z->q_rank) tensor(w, path, "mlp.gate.e_score_correction_bias", 0, z->experts, 0, 0.125f);
    for (uint32_t e = 0; e < z->experts; e++) {
        snprintf(expert, sizeof expert, "%smlp.experts.%u.", path, e);
        feed_forward(w, z, expert, z->inner);
    }
    snprintf(expert, sizeof expert, "%smlp.shared_experts.", path);
    feed_forward(w, z, expert, z->inner);
}

static void layer(writer *w, const sizes *z, uint32_t l)
{
    char path[48], dense[64];
    snprintf(path, sizeof path, "model.layers.%u.", l);
    snprintf(dense, sizeof dense, "%smlp.", path);
    norm(w, path, "input_layernorm.weight", z->hidden);
    if (z->kv_heads)
        grouped_attention(w, z, path);
    else
        latent_attention(w, z, path);
    norm(w, path, "post_attention_layernorm.weight", z->hidden);
    if (l == 0 || z->experts == 0)
        feed_forward(w, z, dense, z->dense_inner);
    else
        experts(w, z, path);
}

static void write_weights(writer *w, bytes *file, const sizes *z)
{
    print(&w->header, "{");
    tensor(w, "", "model.embed_tokens.weight", z->vocab, z->hidden, 0, 1);
    for (uint32_t l = 0; l < LAYERS; l++) layer(w, z, l);
    norm(w, "", "model.norm.weight", z->hidden);
    matrix(w, "", "lm_head.weight", z->vocab, z->hidden);
    print(&w->header, "}");
    while (w->header.n % 8 != 0 && !w->header.failed) print(&w->header, " ");
    unsigned char size[8];
    for (int i = 0; i < 8; i++) size[i] = (unsigned char)((uint64_t)w->header.n >> (8 * i));
    add(file, size, sizeof size);
    add(file, w->header.at, w->header.n);
    add(file, w->data.at, w->data.n);
    file->failed |= w->header.failed | w->data.failed;
}

int tool_random_model_make(tool_random_model *m, int family, int wide, uint64_t seed)
{
    bytes config = {0}, file = {0};
    writer w = {.state = seed * 2 + 1};
    const sizes z = shape(family, wide, &w.state);
    write_config(&config, &z, family);
    write_weights(&w, &file, &z);
    free(w.header.at);
    free(w.data.at);
    *m = (tool_random_model){
        .blobs = {{"config.json", config.at, config.n}, {"model.safetensors", file.at, file.n}},
        .source = {.struct_size = sizeof m->source,
                   .kind = REMORA_SOURCE_MEMORY,
                   .blobs = m->blobs,
                   .n_blobs = 2},
        .n_vocab = z.vocab};
    if (!config.failed && !file.failed) return 0;
    tool_random_model_free(m);
    return -1;
}

void tool_random_model_free(tool_random_model *m)
{
    for (int i = 0; i < 2; i++) {
        free((void *)(uintptr_t)m->blobs[i].data);
        m->blobs[i].data = NULL;
    }
}
