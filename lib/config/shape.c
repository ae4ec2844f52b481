/* SPDX-License-Identifier: Apache-2.0 */
/* config.json of the MLA + DeepSeekMoE families and of their dense relatives with grouped
 * attention. A family is its attention and a set of defaults; everything else is read from the
 * file. */
#include "shape.h"

#include <stdio.h>
#include <string.h>

#include "json.h"
#include "quantconfig.h"
#include "relatives.h"
#include "rope.h"
#include "source.h"

/* One bit a family, for the tables of fields. */
enum {
    V2 = 1,
    V3 = 2,
    KIMI = 4,
    GLM = 8,
    YOUTU = 16,
    LLAMA = 32,
    QWEN2 = 64,
    QWEN3 = 128,
    DENSE = LLAMA | QWEN2 | QWEN3, /* grouped attention */
    MOE = V2 | V3 | KIMI | GLM,
    ALL = MOE | YOUTU | DENSE
};

/* The values that a model_type implies when the file is silent. */
typedef struct family {
    const char *model_type;
    unsigned bit;
    const char *topk_method;
    const char *scoring;
    int norm_topk;
    double scale;                 /* routed_scaling_factor; 0: the file must say */
    uint32_t n_group, topk_group; /* 0: the file must say where groups are used */
    uint32_t n_dense;
    rmr_attention attention;
    uint32_t head_dim; /* GQA: 0: hidden_size / num_attention_heads */
    int qkv_bias;      /* GQA: always; else as attention_bias says, and the output's with it */
    int head_norm;
    int no_window; /* sliding_window means nothing unless use_sliding_window is true */
    int tied;
    double eps; /* rms_norm_eps */
} family;

static const family families[] = {
    {"deepseek_v2", V2, "greedy", "softmax", 0, 1.0, 0, 0, 0, .eps = 1e-6},
    {"deepseek_v3", V3, "noaux_tc", "sigmoid", 1, 2.5, 8, 4, 3, .eps = 1e-6},
    {"kimi_k2", KIMI, "noaux_tc", "sigmoid", 1, 0, 1, 1, 1, .eps = 1e-6},
    {"glm4_moe_lite", GLM, "noaux_tc", "sigmoid", 1, 1.8, 1, 1, 1, .eps = 1e-5},
    {"youtu", YOUTU, .tied = 1, .eps = 1e-6},
    {"llama", LLAMA, .attention = RMR_ATTENTION_GQA, .eps = 1e-6},
    {"qwen2", QWEN2, .attention = RMR_ATTENTION_GQA, .qkv_bias = 1, .no_window = 1, .eps = 1e-6},
    {"qwen3", QWEN3, .attention = RMR_ATTENTION_GQA, .head_dim = 128, .head_norm = 1,
     .no_window = 1, .eps = 1e-6},
};

enum { N_FAMILIES = sizeof families / sizeof families[0] };

static remora_status refuse_family(const char *file, const char *type, remora_error *err)
{
    char known[160] = "";
    const char *needs = rmr_relative(type);
    for (size_t i = 0, at = 0; i < N_FAMILIES && at < sizeof known; i++)
        at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", i > 0 ? ", " : "",
                               families[i].model_type);
    if (needs != NULL)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED, "%s: model_type \"%s\" is not done yet (%s); known: %s",
                 file, type, needs, known);
    RMR_FAIL(err, REMORA_E_UNSUPPORTED, "%s: model_type \"%.60s\" is not supported (known: %s)",
             file, type, known);
}

static remora_status find_family(const char *file, const json_t *config, const family **out,
                                 remora_error *err)
{
    const char *type;
    RMR_TRY(rmr_json_string(file, config, "model_type", &type, err));
    if (type == NULL) RMR_FAIL(err, REMORA_E_FORMAT, "%s: model_type is missing", file);
    for (size_t i = 0; i < N_FAMILIES; i++) {
        if (strcmp(type, families[i].model_type) != 0) continue;
        *out = &families[i];
        return REMORA_OK;
    }
    return refuse_family(file, type, err);
}

/* A null. In a few fields the model's own class gives it the meaning of an absent field; others of
 * a class do not read the field. Anywhere else a default would change what is computed without a
 * word: transformers refuses the value or takes it for false. */
static remora_status refuse_nulls(const char *file, const json_t *c, const family *f,
                                  remora_error *err)
{
    static const struct null_field {
        const char *key;
        unsigned absent; /* families for which null is as good as no such field */
    } fields[] = {
        {"rms_norm_eps", 0},
        {"hidden_act", 0},
        {"tie_word_embeddings", 0},
        {"rope_interleave", V2 | DENSE},
        {"attention_bias", QWEN2},
        {"mlp_bias", ALL & ~(V2 | LLAMA)},
        {"use_sliding_window", ALL & ~(QWEN2 | QWEN3)},
        {"num_key_value_heads", ALL & ~GLM},
        {"head_dim", ALL & ~QWEN3},
        {"topk_method", ALL & ~V2},
        {"n_group", V2 | YOUTU | DENSE},
        {"topk_group", V2 | YOUTU | DENSE},
        {"norm_topk_prob", YOUTU | DENSE},
        {"routed_scaling_factor", YOUTU | DENSE},
        {"first_k_dense_replace", GLM | YOUTU | DENSE},
        {"moe_layer_freq", GLM | YOUTU | DENSE},
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if (json_is_null(json_object_get(c, fields[i].key)) && !(fields[i].absent & f->bit))
            RMR_FAIL(err, REMORA_E_FORMAT, "%s: %s is null, which %s does not define", file,
                     fields[i].key, f->model_type);
    return REMORA_OK;
}

/* A required positive integer. */
static remora_status need(const char *file, const json_t *config, const char *key, uint32_t max,
                          uint32_t *out, remora_error *err)
{
    RMR_TRY(rmr_json_u32(file, config, key, 1, max, 0, out, err));
    if (*out == 0) RMR_FAIL(err, REMORA_E_FORMAT, "%s: %s is missing", file, key);
    return REMORA_OK;
}

static remora_status refuse_if_true(const char *file, const json_t *config, const char *key,
                                    remora_error *err)
{
    int on;
    RMR_TRY(rmr_json_bool(file, config, key, 0, &on, err));
    if (on)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED, "%s: %s is true, which is not supported", file, key);
    return REMORA_OK;
}

static remora_status read_widths(const char *file, const json_t *c, const family *f, rmr_shape *s,
                                 remora_error *err)
{
    double eps;
    RMR_TRY(need(file, c, "num_hidden_layers", RMR_MAX_LAYERS, &s->n_layers, err));
    RMR_TRY(need(file, c, "vocab_size", 1u << 24, &s->n_vocab, err));
    RMR_TRY(need(file, c, "hidden_size", RMR_MAX_WIDTH, &s->n_hidden, err));
    RMR_TRY(need(file, c, "intermediate_size", RMR_MAX_WIDTH, &s->inner, err));
    RMR_TRY(need(file, c, "max_position_embeddings", RMR_MAX_CONTEXT, &s->max_context, err));
    RMR_TRY(rmr_json_number(file, c, "rms_norm_eps", f->eps, &eps, err));
    if (!(eps >= 0 && eps < 1))
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: rms_norm_eps is %g, not in 0..1", file, eps);
    s->eps = (float)eps;
    return rmr_json_bool(file, c, "tie_word_embeddings", f->tied, &s->tied, err);
}

static remora_status read_mla(const char *file, const json_t *c, rmr_shape *s, remora_error *err)
{
    uint32_t kv_heads;
    RMR_TRY(need(file, c, "num_attention_heads", 4096, &s->mla.heads, err));
    RMR_TRY(need(file, c, "kv_lora_rank", 1u << 16, &s->mla.rank, err));
    RMR_TRY(need(file, c, "qk_nope_head_dim", 1u << 14, &s->mla.nope, err));
    RMR_TRY(need(file, c, "qk_rope_head_dim", RMR_MAX_ROPE, &s->mla.rope, err));
    RMR_TRY(need(file, c, "v_head_dim", 1u << 14, &s->mla.v, err));
    RMR_TRY(rmr_json_u32(file, c, "q_lora_rank", 1, RMR_MAX_WIDTH, 0, &s->q_rank, err));
    RMR_TRY(rmr_json_u32(file, c, "num_key_value_heads", 1, 4096, s->mla.heads, &kv_heads, err));
    RMR_TRY(rmr_json_u32(file, c, "num_nextn_predict_layers", 0, 64, 0, &s->n_mtp, err));
    if (s->mla.rope % 2 != 0)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: qk_rope_head_dim is %u, which is odd", file,
                 s->mla.rope);
    if (kv_heads != s->mla.heads)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED,
                 "%s: num_key_value_heads is %u, not the %u of num_attention_heads", file, kv_heads,
                 s->mla.heads);
    return REMORA_OK;
}

static remora_status read_gqa(const char *file, const json_t *c, const family *f, rmr_shape *s,
                              remora_error *err)
{
    rmr_gqa *a = &s->gqa;
    RMR_TRY(need(file, c, "num_attention_heads", 4096, &a->heads, err));
    RMR_TRY(rmr_json_u32(file, c, "num_key_value_heads", 1, 4096, a->heads, &a->kv_heads, err));
    RMR_TRY(rmr_json_u32(file, c, "head_dim", 1, RMR_MAX_ROPE, f->head_dim, &a->head_dim, err));
    if (a->heads % a->kv_heads != 0)
        RMR_FAIL(err, REMORA_E_FORMAT,
                 "%s: num_key_value_heads is %u, which does not divide the %u heads", file,
                 a->kv_heads, a->heads);
    if (a->head_dim == 0) {
        a->head_dim = s->n_hidden / a->heads;
        if (s->n_hidden % a->heads != 0 || a->head_dim > RMR_MAX_ROPE)
            RMR_FAIL(err, REMORA_E_FORMAT,
                     "%s: head_dim is missing and hidden_size / num_attention_heads is %u / %u, "
                     "not a whole number up to %d",
                     file, s->n_hidden, a->heads, RMR_MAX_ROPE);
    }
    if (a->head_dim % 2 != 0)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: head_dim is %u, which is odd", file, a->head_dim);
    s->qkv_bias = f->qkv_bias;
    s->head_norm = f->head_norm;
    if (f->qkv_bias) return REMORA_OK;
    RMR_TRY(rmr_json_bool(file, c, "attention_bias", 0, &s->qkv_bias, err));
    s->out_bias = s->qkv_bias;
    return REMORA_OK;
}

/* Windowed layers: as a list of kinds, or a window for layers from max_window_layers on. */
static remora_status refuse_window(const char *file, const json_t *c, const family *f,
                                   const rmr_shape *s, remora_error *err)
{
    const json_t *list = json_object_get(c, "layer_types"),
                 *v = json_object_get(c, "sliding_window");
    size_t i;
    int use;
    RMR_TRY(rmr_json_bool(file, c, "use_sliding_window", -1, &use, err));
    if (use > 0)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED,
                 "%s: use_sliding_window is true: sliding windows are not supported", file);
    if (use < 0 && !f->no_window && v != NULL && !json_is_null(v) && !json_is_false(v))
        RMR_FAIL(err, REMORA_E_UNSUPPORTED,
                 "%s: sliding_window is given: sliding windows are not supported", file);
    if (list == NULL || json_is_null(list)) return REMORA_OK;
    if (!json_is_array(list) || json_array_size(list) != s->n_layers)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: layer_types is not a list of num_hidden_layers names",
                 file);
    json_array_foreach(list, i, v)
    {
        const char *name = json_string_value(v);
        if (name == NULL || strcmp(name, "full_attention") != 0)
            RMR_FAIL(err, REMORA_E_UNSUPPORTED,
                     "%s: layer_types[%zu] is %s; supported is full_attention", file, i,
                     rmr_show(name != NULL ? name : "no name").text);
    }
    return REMORA_OK;
}

/* GLM spells the dense layers as a list: it must say the same as first_k_dense_replace can. */
static remora_status read_layer_types(const char *file, const json_t *c, rmr_shape *s,
                                      remora_error *err)
{
    const json_t *list = json_object_get(c, "mlp_layer_types"), *v;
    size_t i;
    uint32_t dense = 0;
    if (list == NULL || json_is_null(list)) return REMORA_OK;
    if (!json_is_array(list) || json_array_size(list) != s->n_layers)
        RMR_FAIL(err, REMORA_E_FORMAT,
                 "%s: mlp_layer_types is not a list of num_hidden_layers names", file);
    json_array_foreach(list, i, v)
    {
        const char *name = json_string_value(v);
        if (name == NULL || (strcmp(name, "dense") != 0 && strcmp(name, "sparse") != 0))
            RMR_FAIL(err, REMORA_E_UNSUPPORTED,
                     "%s: mlp_layer_types[%zu] is %s; supported are dense and sparse", file, i,
                     rmr_show(name != NULL ? name : "no name").text);
        if (strcmp(name, "dense") != 0) continue;
        if (dense != i)
            RMR_FAIL(
                err, REMORA_E_UNSUPPORTED,
                "%s: mlp_layer_types[%zu] is dense behind a sparse layer, which is not supported",
                file, i);
        dense++;
    }
    s->n_dense = dense;
    return REMORA_OK;
}

static remora_status read_gate(const char *file, const json_t *c, const family *f, rmr_shape *s,
                               remora_error *err)
{
    const char *method, *scoring;
    RMR_TRY(rmr_json_string(file, c, "topk_method", &method, err));
    RMR_TRY(rmr_json_string(file, c, "scoring_func", &scoring, err));
    if (method == NULL) method = f->topk_method;
    if (scoring == NULL) scoring = strcmp(method, "noaux_tc") == 0 ? "sigmoid" : f->scoring;
    if (strcmp(method, "noaux_tc") == 0 && strcmp(scoring, "sigmoid") == 0)
        s->moe.gate = RMR_GATE_SIGMOID;
    else if (strcmp(method, "greedy") == 0 && strcmp(scoring, "softmax") == 0)
        s->moe.gate = RMR_GATE_SOFTMAX;
    else if (strcmp(method, "group_limited_greedy") == 0 && strcmp(scoring, "softmax") == 0)
        s->moe.gate = RMR_GATE_SOFTMAX_GROUP;
    else
        RMR_FAIL(err, REMORA_E_UNSUPPORTED,
                 "%s: topk_method \"%.40s\" with scoring_func \"%.40s\" is not supported (known: "
                 "noaux_tc with sigmoid, greedy or group_limited_greedy with softmax)",
                 file, method, scoring);
    s->gate_bias = s->moe.gate == RMR_GATE_SIGMOID;
    return REMORA_OK;
}

static remora_status read_groups(const char *file, const json_t *c, const family *f, rmr_shape *s,
                                 remora_error *err)
{
    rmr_moe *m = &s->moe;
    RMR_TRY(rmr_json_u32(file, c, "n_group", 1, 1u << 16, f->n_group, &m->n_group, err));
    RMR_TRY(rmr_json_u32(file, c, "topk_group", 1, 1u << 16, f->topk_group, &m->topk_group, err));
    if (m->gate == RMR_GATE_SOFTMAX) m->n_group = m->topk_group = 1;
    if (m->n_group == 0 || m->topk_group == 0)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: %s is missing", file,
                 m->n_group == 0 ? "n_group" : "topk_group");
    if (m->n_experts % m->n_group != 0)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: n_group is %u, which does not divide the %u experts",
                 file, m->n_group, m->n_experts);
    if (m->topk_group > m->n_group)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: topk_group is %u, above the n_group of %u", file,
                 m->topk_group, m->n_group);
    if (m->n_used > m->n_experts / m->n_group * m->topk_group)
        RMR_FAIL(err, REMORA_E_FORMAT,
                 "%s: num_experts_per_tok is %u, more than topk_group %u groups hold", file,
                 m->n_used, m->topk_group);
    return REMORA_OK;
}

static remora_status read_moe(const char *file, const json_t *c, const family *f, rmr_shape *s,
                              remora_error *err)
{
    rmr_moe *m = &s->moe;
    double scale;
    uint64_t shared;
    RMR_TRY(rmr_json_u32(file, c, "n_routed_experts", 1, 1u << 16, 0, &m->n_experts, err));
    if (m->n_experts == 0) return REMORA_OK; /* a dense model: every layer is dense */
    RMR_TRY(need(file, c, "moe_intermediate_size", RMR_MAX_WIDTH, &m->inner, err));
    RMR_TRY(need(file, c, "num_experts_per_tok", m->n_experts, &m->n_used, err));
    RMR_TRY(rmr_json_u32(file, c, "n_shared_experts", 0, 1024, 0, &s->n_shared, err));
    /* the class's default is for its released depth */
    const uint32_t dense = f->n_dense < s->n_layers ? f->n_dense : s->n_layers;
    RMR_TRY(
        rmr_json_u32(file, c, "first_k_dense_replace", 0, s->n_layers, dense, &s->n_dense, err));
    RMR_TRY(rmr_json_u32(file, c, "moe_layer_freq", 1, s->n_layers, 1, &s->moe_freq, err));
    RMR_TRY(rmr_json_bool(file, c, "norm_topk_prob", f->norm_topk, &m->norm_topk, err));
    RMR_TRY(rmr_json_number(file, c, "routed_scaling_factor", f->scale, &scale, err));
    RMR_TRY(read_layer_types(file, c, s, err));
    RMR_TRY(read_gate(file, c, f, s, err));
    RMR_TRY(read_groups(file, c, f, s, err));
    shared = (uint64_t)s->n_shared * m->inner;
    if (shared > RMR_MAX_WIDTH)
        RMR_FAIL(err, REMORA_E_FORMAT,
                 "%s: n_shared_experts x moe_intermediate_size is %llu, above %d", file,
                 (unsigned long long)shared, RMR_MAX_WIDTH);
    const uint64_t chosen = (uint64_t)m->n_used * m->inner + shared;
    if (chosen > RMR_MAX_CHOSEN)
        RMR_FAIL(err, REMORA_E_FORMAT,
                 "%s: (num_experts_per_tok + n_shared_experts) x moe_intermediate_size is %llu, "
                 "above %d",
                 file, (unsigned long long)chosen, RMR_MAX_CHOSEN);
    if (!(scale > 0 && scale <= 1e6))
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: routed_scaling_factor is %g, not in 0..1e6", file,
                 scale);
    m->shared_inner = (uint32_t)shared;
    m->scale = (float)scale;
    return REMORA_OK;
}

/* Options of the same classes that change the computation and are not done here. */
static remora_status refuse_unknown(const char *file, const json_t *c, const family *f,
                                    remora_error *err)
{
    static const struct option {
        const char *key;
        unsigned families; /* the others read it, or ignore it as their class does */
    } options[] = {
        {"index_topk", ALL},
        {"use_mla_scale", ALL},
        {"mla_scale_q_lora", ALL},
        {"llama_4_scaling_beta", ALL},
        {"swiglu_limit", ALL},
        {"compress_ratios", ALL},
        {"n_routed_experts", YOUTU | DENSE},
        {"num_experts", YOUTU | DENSE},
        {"num_local_experts", YOUTU | DENSE},
        {"kv_lora_rank", DENSE},
    };
    const char *act;
    RMR_TRY(rmr_json_string(file, c, "hidden_act", &act, err));
    if (act != NULL && strcmp(act, "silu") != 0)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED, "%s: hidden_act is \"%.40s\"; supported is silu", file,
                 act);
    if (f->attention == RMR_ATTENTION_MLA) {
        int latent;
        RMR_TRY(refuse_if_true(file, c, "attention_bias", err));
        RMR_TRY(rmr_json_bool(file, c, "use_mla", 1, &latent, err));
        if (!latent) /* DeepSeek-VL2-Tiny, DeepSeek-OCR */
            RMR_FAIL(err, REMORA_E_UNSUPPORTED,
                     "%s: use_mla is false: %s without latent attention is not supported", file,
                     f->model_type);
    }
    RMR_TRY(refuse_if_true(file, c, "mlp_bias", err));
    RMR_TRY(rmr_quantconfig_check(file, c, err));
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        const json_t *v = json_object_get(c, options[i].key);
        if (v != NULL && !json_is_null(v) && !json_is_false(v) && (options[i].families & f->bit))
            RMR_FAIL(err, REMORA_E_UNSUPPORTED, "%s: %s is not supported in %s", file,
                     options[i].key, f->model_type);
    }
    return REMORA_OK;
}

remora_status rmr_shape_read(const char *file, const json_t *config, rmr_shape *s,
                             remora_error *err)
{
    const family *f = NULL;
    memset(s, 0, sizeof *s);
    s->moe_freq = 1;
    RMR_TRY(find_family(file, config, &f, err));
    strncpy(s->family, f->model_type, sizeof s->family - 1);
    s->attention = f->attention;
    RMR_TRY(refuse_nulls(file, config, f, err));
    RMR_TRY(refuse_unknown(file, config, f, err));
    RMR_TRY(read_widths(file, config, f, s, err));
    RMR_TRY(refuse_window(file, config, f, s, err));
    if (f->attention == RMR_ATTENTION_GQA) {
        RMR_TRY(read_gqa(file, config, f, s, err));
    } else {
        RMR_TRY(read_mla(file, config, s, err));
        RMR_TRY(read_moe(file, config, f, s, err));
    }
    return rmr_rope_read(file, config, s, err);
}
