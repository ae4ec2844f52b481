/* SPDX-License-Identifier: Apache-2.0 */
/* GGUF keys as config.json: what real-world files of different years mean by them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ggufw.h"
#include "gguf_config.h"
#include "metadata.h"
#include "shape.h"

#define NAME "m.gguf"

/* One u32 key: of the usual file another value (ABSENT: left out), or one more. */
typedef struct change {
    const char *key;
    uint32_t value;
} change;

#define ABSENT UINT32_MAX

enum { MAX_CHANGES = 6 };

typedef struct file {
    const char *arch;
    change changes[MAX_CHANGES];
    const char *rope; /* rope.scaling.type */
    float log_multiplier, freq_factors;
    int output, bias;                         /* tensors */
    const char *tensors[4];                   /* more of them, empty but for their names */
    void (*more)(ggufw *w, const char *arch); /* keys */
} file;

typedef struct world {
    rmr_mem mem;
    remora_error err;
    ggufw w;
    rmr_gguf *g;
    rmr_checkpoint *c;
    json_t *config;
} world;

static const change mla_keys[] = {{"block_count", 3},
                                  {"context_length", 2048},
                                  {"embedding_length", 32},
                                  {"feed_forward_length", 64},
                                  {"attention.head_count", 2},
                                  {"attention.head_count_kv", 1},
                                  {"attention.kv_lora_rank", 16},
                                  {"attention.key_length", 24},
                                  {"attention.value_length", 16},
                                  {"attention.key_length_mla", 20},
                                  {"attention.value_length_mla", 12},
                                  {"rope.dimension_count", 8},
                                  {"expert_count", 8},
                                  {"expert_used_count", 2},
                                  {"expert_shared_count", 1},
                                  {"expert_feed_forward_length", 16},
                                  {"leading_dense_block_count", 1},
                                  {"expert_gating_func", 2},
                                  {"expert_group_count", 4},
                                  {"expert_group_used_count", 2},
                                  {"vocab_size", ABSENT},
                                  {"nextn_predict_layers", ABSENT},
                                  {"attention.q_lora_rank", ABSENT},
                                  {"rope.scaling.original_context_length", ABSENT},
                                  {"attention.sliding_window", ABSENT}};
static const change gqa_keys[] = {{"block_count", 3},
                                  {"context_length", 2048},
                                  {"embedding_length", 32},
                                  {"feed_forward_length", 64},
                                  {"attention.head_count", 4},
                                  {"attention.head_count_kv", 2},
                                  {"rope.dimension_count", 8},
                                  {"attention.key_length", ABSENT},
                                  {"attention.value_length", ABSENT},
                                  {"expert_count", ABSENT},
                                  {"attention.sliding_window", ABSENT}};

static void key(const char *arch, const char *name, char buf[96])
{
    snprintf(buf, 96, "%s.%s", arch, name);
}

static void write_file(ggufw *w, const file *f)
{
    const int mla = strcmp(f->arch, "deepseek2") == 0;
    const change *keys = mla ? mla_keys : gqa_keys;
    const size_t n = mla ? sizeof mla_keys / sizeof *mla_keys : sizeof gqa_keys / sizeof *gqa_keys;
    const uint64_t embed[] = {32, 10}, eight[] = {4};
    char buf[96];
    ggufw_begin(w, 3);
    ggufw_string(w, "general.architecture", f->arch);
    ggufw_string(w, "general.name", "a name");
    for (size_t i = 0; i < n; i++) {
        uint32_t v = keys[i].value;
        for (int k = 0; k < MAX_CHANGES && f->changes[k].key != NULL; k++)
            if (strcmp(f->changes[k].key, keys[i].key) == 0) v = f->changes[k].value;
        key(f->arch, keys[i].key, buf);
        if (v != ABSENT) ggufw_u32(w, buf, v);
    }
    key(f->arch, "attention.layer_norm_rms_epsilon", buf);
    ggufw_f32(w, buf, 1e-6f);
    key(f->arch, "rope.freq_base", buf);
    ggufw_f32(w, buf, 50000);
    if (f->rope != NULL) {
        key(f->arch, "rope.scaling.type", buf);
        ggufw_string(w, buf, f->rope);
        key(f->arch, "rope.scaling.factor", buf);
        ggufw_f32(w, buf, 40);
        key(f->arch, "rope.scaling.yarn_log_multiplier", buf);
        if (f->log_multiplier != 0) ggufw_f32(w, buf, f->log_multiplier);
    }
    if (f->more != NULL) f->more(w, f->arch);
    ggufw_key(w, "general.most", 10); /* U64 */
    ggufw_int(w, UINT64_MAX, 8);
    ggufw_key(w, "general.odd", 10);
    ggufw_int(w, ((uint64_t)1 << 53) + 1, 8);
    ggufw_key(w, "general.least", 11); /* I64 */
    ggufw_int(w, (uint64_t)1 << 63, 8);
    ggufw_tensor(w, "token_embd.weight", 0, 2, embed, 0);
    if (f->output) ggufw_tensor(w, "output.weight", 0, 2, embed, 1280);
    if (f->bias) ggufw_tensor(w, "blk.0.attn_q.bias", 0, 1, embed, 2560);
    if (f->freq_factors != 0) ggufw_tensor(w, "rope_freqs.weight", 0, 1, eight, 2688);
    for (uint64_t i = 0; i < 4 && f->tensors[i] != NULL; i++)
        ggufw_tensor(w, f->tensors[i], 0, 1, eight, 2720 + 32 * i);
    ggufw_align(w, 32);
    for (int i = 0; i < 720; i++) {
        uint32_t bits;
        memcpy(&bits, &f->freq_factors, 4);
        ggufw_int(w, bits, 4);
    }
}

static remora_status translate(world *x, const file *f)
{
    remora_blob blob = {NAME, NULL, 0};
    rmr_source *src;
    memset(x, 0, sizeof *x);
    x->err.struct_size = sizeof x->err;
    rmr_mem_init(&x->mem);
    write_file(&x->w, f);
    blob.data = x->w.data;
    blob.size = x->w.n;
    const remora_source desc = {
        .struct_size = sizeof desc, .kind = REMORA_SOURCE_MEMORY, .blobs = &blob, .n_blobs = 1};
    assert_int_equal(rmr_source_open(&x->mem, &desc, 0, &src, &x->err), REMORA_OK);
    if (rmr_gguf_open(&x->mem, src, NAME, NULL, &x->g, &x->c, &x->err) < 0)
        fail_msg("%s", x->err.message);
    rmr_source_free(src);
    return rmr_gguf_config(x->g, x->c, &x->config, &x->err);
}

static void end(world *x)
{
    json_decref(x->config);
    rmr_gguf_free(x->g);
    rmr_checkpoint_free(x->c);
    ggufw_free(&x->w);
    assert_int_equal(atomic_load(&x->mem.bytes), 0);
}

static void begin(world *x, const file *f)
{
    if (translate(x, f) < 0) fail_msg("%s", x->err.message);
}

static double number(const world *x, const char *field)
{
    const json_t *v = json_object_get(x->config, field);
    if (v == NULL) fail_msg("no %s", field);
    return json_is_boolean(v) ? json_is_true(v) : json_number_value(v);
}

static const char *text(const world *x, const char *field)
{
    const char *s = json_string_value(json_object_get(x->config, field));
    return s != NULL ? s : "";
}

/* And what shape.h makes of it. */
static rmr_shape shape_of(world *x)
{
    rmr_shape s;
    if (rmr_shape_read(NAME, x->config, &s, &x->err) < 0) fail_msg("%s", x->err.message);
    return s;
}

static void must_fail(const file *f, remora_status st, const char *word)
{
    world x;
    const remora_status got = translate(&x, f);
    if (got != st || strstr(x.err.message, word) == NULL || strstr(x.err.message, NAME) == NULL)
        fail_msg("status %d: %s (want %s)", got, x.err.message, word);
    assert_null(x.config);
    end(&x);
}

static void new_layout(void **state)
{
    world x;
    (void)state;
    begin(&x, &(file){.arch = "deepseek2", .output = 1});
    assert_string_equal(text(&x, "model_type"), "deepseek_v3");
    assert_string_equal(text(&x, "topk_method"), "noaux_tc");
    assert_string_equal(text(&x, "_name_or_path"), "a name");
    assert_true(number(&x, "qk_nope_head_dim") == 12 && number(&x, "v_head_dim") == 12);
    assert_true(number(&x, "n_group") == 4 && number(&x, "topk_group") == 2);
    assert_true(number(&x, "norm_topk_prob") == 1 && number(&x, "routed_scaling_factor") == 1);
    assert_true(number(&x, "vocab_size") == 10 && number(&x, "tie_word_embeddings") == 0);
    assert_true(number(&x, "rms_norm_eps") == 1e-6); /* not what f32 makes of it */
    assert_null(json_object_get(x.config, "q_lora_rank"));
    const rmr_shape s = shape_of(&x);
    assert_true(s.mla.nope == 12 && s.mla.rope == 8 && s.mla.v == 12 && s.n_layers == 3);
    end(&x);
}

static void old_layout(void **state)
{
    world x;
    (void)state;
    const file f = {.arch = "deepseek2",
                    .changes = {{"attention.key_length_mla", ABSENT},
                                {"attention.value_length_mla", ABSENT},
                                {"attention.head_count_kv", 2},
                                {"expert_gating_func", ABSENT},
                                {"expert_group_count", ABSENT},
                                {"expert_group_used_count", ABSENT}}};
    begin(&x, &f);
    assert_string_equal(text(&x, "model_type"), "deepseek_v2");
    assert_string_equal(text(&x, "scoring_func"), "softmax");
    assert_string_equal(text(&x, "topk_method"), "greedy");
    assert_true(number(&x, "qk_nope_head_dim") == 16 && number(&x, "v_head_dim") == 16);
    assert_true(number(&x, "n_group") == 1 && number(&x, "norm_topk_prob") == 0);
    assert_true(number(&x, "tie_word_embeddings") == 1);
    (void)shape_of(&x);
    end(&x);
}

static void gate_by_depth(void **state)
{
    static const struct {
        uint32_t blocks, next;
        const char *scoring;
    } cases[] = {{46, 0, "softmax"}, {47, 0, "sigmoid"}, {48, 1, "sigmoid"}, {49, 0, "softmax"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        world x;
        const file f = {.arch = "deepseek2",
                        .changes = {{"block_count", cases[i].blocks},
                                    {"nextn_predict_layers", cases[i].next},
                                    {"expert_gating_func", ABSENT}}};
        begin(&x, &f);
        assert_string_equal(text(&x, "scoring_func"), cases[i].scoring);
        assert_true(number(&x, "num_hidden_layers") == cases[i].blocks - cases[i].next);
        end(&x);
    }
}

static void groups_of_known_shapes(void **state)
{
    static const struct {
        uint32_t gate, experts, used;
        double n_group, topk_group;
        const char *method;
    } cases[] = {{2, 256, 8, 8, 4, "noaux_tc"},
                 {1, 160, 6, 8, 3, "group_limited_greedy"},
                 {2, 384, 8, 1, 1, "noaux_tc"},
                 {1, 64, 6, 1, 1, "greedy"},
                 {1, 256, 8, 1, 1, "greedy"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        world x;
        const file f = {.arch = "deepseek2",
                        .changes = {{"expert_gating_func", cases[i].gate},
                                    {"expert_count", cases[i].experts},
                                    {"expert_used_count", cases[i].used},
                                    {"expert_group_count", ABSENT},
                                    {"expert_group_used_count", ABSENT}}};
        begin(&x, &f);
        assert_true(number(&x, "n_group") == cases[i].n_group);
        assert_true(number(&x, "topk_group") == cases[i].topk_group);
        assert_string_equal(text(&x, "topk_method"), cases[i].method);
        end(&x);
    }
}

/* The softmax scale is (0.1 mscale_all_dim ln factor + 1)^2 / sqrt(nope + rope), the amplitude 1.
 */
static void yarn(void **state)
{
    static const struct {
        float log_multiplier;
        double mscale, scale;
    } cases[] = {{0.1f, 1, 1.8738565 / 4.4721360},
                 {0.0707f, 0.707, 1.5896261 / 4.4721360},
                 {0, 0, 1 / 4.4721360}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        world x;
        begin(&x, &(file){.arch = "deepseek2",
                          .rope = "yarn",
                          .log_multiplier = cases[i].log_multiplier});
        const json_t *r = json_object_get(x.config, "rope_scaling");
        assert_true(json_number_value(json_object_get(r, "mscale_all_dim")) == cases[i].mscale);
        const rmr_shape s = shape_of(&x);
        assert_true(s.rope_amp == 1.0f);
        const double d = s.mla.scale - cases[i].scale;
        if (!(d < 1e-6 && d > -1e-6)) fail_msg("case %zu: scale %.9g", i, s.mla.scale);
        end(&x);
    }
}

/* ---- layers that predict further tokens ---- */

/* What block_count and nextn_predict_layers count differs; tensors say what there is. */
static void prediction_layers(void **state)
{
    static const struct {
        uint32_t blocks, next;
        const char *tensors[4];
        double layers, predicting;
    } cases[] = {/* counted and there; counted and left out of the file */
                 {3, 1, {"blk.1.a", "blk.2.a", "blk.2.nextn.eh_proj.weight"}, 2, 1},
                 {3, 1, {"blk.1.a"}, 2, 0},
                 /* not counted: left out, or behind the last block */
                 {3, 1, {"blk.1.a", "blk.2.a"}, 3, 0},
                 {3, 1, {"blk.2.a", "blk.3.nextn.enorm.weight"}, 3, 1},
                 /* there and never named; a name that only begins alike */
                 {3, ABSENT, {"blk.1.a", "blk.2.nextn.enorm.weight"}, 2, 1},
                 {3, ABSENT, {"blk.20.nextn.a", "blk.2.nextnorm", "blk.2.a"}, 3, 0},
                 {3, 2, {"blk.0.a", "blk.1.nextn.a", "blk.2.nextn.a"}, 1, 2}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        world x;
        file f = {
            .arch = "deepseek2",
            .changes = {{"block_count", cases[i].blocks}, {"nextn_predict_layers", cases[i].next}}};
        memcpy(f.tensors, cases[i].tensors, sizeof f.tensors);
        begin(&x, &f);
        const rmr_shape s = shape_of(&x);
        if (s.n_layers != cases[i].layers || s.n_mtp != cases[i].predicting)
            fail_msg("case %zu: %u layers, %u predicting", i, s.n_layers, s.n_mtp);
        end(&x);
    }
}

/* A file that does not name its gate and has a bias for the choice of experts. */
static void gate_by_bias(void **state)
{
    world x;
    (void)state;
    begin(&x, &(file){.arch = "deepseek2",
                      .changes = {{"expert_gating_func", ABSENT}},
                      .tensors = {"blk.1.exp_probs_b.bias"}});
    assert_string_equal(text(&x, "scoring_func"), "sigmoid");
    end(&x);
}

/* Youtu: no experts, and the keys that the converter writes nevertheless. */
static void dense_mla(void **state)
{
    world x;
    (void)state;
    begin(&x, &(file){.arch = "deepseek2",
                      .changes = {{"expert_count", ABSENT},
                                  {"expert_used_count", ABSENT},
                                  {"expert_shared_count", 0},
                                  {"leading_dense_block_count", 3},
                                  {"expert_gating_func", ABSENT},
                                  {"expert_group_count", ABSENT}}});
    const rmr_shape s = shape_of(&x);
    assert_true(s.moe.n_experts == 0 && !rmr_shape_is_moe(&s, 2) && s.tied);
    end(&x);
}

/* ---- scaling of grouped models ---- */

static void add_f32(ggufw *w, const char *arch, const char *name, float v)
{
    char buf[96];
    key(arch, name, buf);
    ggufw_f32(w, buf, v);
}

static void attn_factor(ggufw *w, const char *arch)
{
    add_f32(w, arch, "rope.scaling.attn_factor", 0.5f);
}

/* 1 / (1 + 0.1 ln 40) and 1 + 0.1 ln 40 */
static void yarn_attn_back(ggufw *w, const char *arch)
{
    add_f32(w, arch, "rope.scaling.yarn_attn_factor", 0.73051998f);
}

static void yarn_attn_usual(ggufw *w, const char *arch)
{
    add_f32(w, arch, "rope.scaling.yarn_attn_factor", 1.3688879f);
}

static void yarn_attn_either(ggufw *w, const char *arch)
{
    add_f32(w, arch, "rope.scaling.yarn_attn_factor", 1.2f);
}

static void log_multiplier(ggufw *w, const char *arch)
{
    add_f32(w, arch, "rope.scaling.yarn_log_multiplier", 0.1f);
}

static void factor_4(ggufw *w, const char *arch)
{
    add_f32(w, arch, "rope.scaling.factor", 4);
}

static void old_factor_4(ggufw *w, const char *arch)
{
    add_f32(w, arch, "rope.scale_linear", 4);
}

static void amplitudes(void **state)
{
    const float usual = 1.3688879f;
    const struct {
        void (*more)(ggufw *w, const char *arch);
        float amp;
    } cases[] = {
        {NULL, usual}, {attn_factor, usual / 2}, {yarn_attn_back, 1}, {yarn_attn_usual, usual}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        world x;
        begin(&x, &(file){.arch = "qwen3", .rope = "yarn", .more = cases[i].more});
        const rmr_shape s = shape_of(&x);
        const float d = s.rope_amp - cases[i].amp;
        if (!(d < 1e-6f && d > -1e-6f)) fail_msg("case %zu: amplitude %.9g", i, s.rope_amp);
        assert_true(s.max_context == 40 * 2048); /* no original_context_length: that of the file */
        end(&x);
    }
    must_fail(&(file){.arch = "qwen2", .rope = "yarn", .more = yarn_attn_either},
              REMORA_E_UNSUPPORTED, "rope.scaling.yarn_attn_factor is 1.2");
    must_fail(&(file){.arch = "qwen2", .rope = "yarn", .more = log_multiplier},
              REMORA_E_UNSUPPORTED, "yarn_log_multiplier is 0.1");
    must_fail(&(file){.arch = "deepseek2", .rope = "yarn", .more = attn_factor},
              REMORA_E_UNSUPPORTED, "attn_factor");
    must_fail(&(file){.arch = "llama", .more = attn_factor}, REMORA_E_UNSUPPORTED,
              "rope.scaling.attn_factor is 0.5");
    must_fail(&(file){.arch = "llama", .more = yarn_attn_back}, REMORA_E_UNSUPPORTED,
              "rope.scaling.yarn_attn_factor");
}

/* A factor without a type is linear scaling, as in all files before YaRN; none is none. */
static void linear(void **state)
{
    static const file cases[] = {{.arch = "llama", .more = factor_4},
                                 {.arch = "llama", .more = old_factor_4},
                                 {.arch = "deepseek2", .more = factor_4}};
    world x;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin(&x, &cases[i]);
        const rmr_shape s = shape_of(&x);
        assert_true(s.inv_freq[0] == 0.25f && s.max_context == 2048);
        end(&x);
    }
    begin(&x, &(file){.arch = "qwen2", .rope = "linear"});
    assert_true(shape_of(&x).inv_freq[0] == 0.025f);
    end(&x);
    begin(&x, &(file){.arch = "qwen2", .rope = "none"});
    assert_true(shape_of(&x).inv_freq[0] == 1);
    end(&x);
}

/* ---- every key ---- */

static void harmless_keys(ggufw *w, const char *arch)
{
    char buf[96];
    add_f32(w, arch, "rope.scaling.yarn_ext_factor", -1);
    add_f32(w, arch, "residual_scale", 1);
    key(arch, "attention.causal", buf);
    ggufw_bool(w, buf, 1);
    key(arch, "rope.scaling.finetuned", buf);
    ggufw_bool(w, buf, 1);
    key(arch, "tensor_data_layout", buf);
    ggufw_string(w, buf, "Meta AI original pth");
    key(arch, "expert_used_count", buf);
    ggufw_u32(w, buf, 0);
    ggufw_u32(w, "other.attention.scale", 7); /* of no matter here */
    ggufw_u32(w, "llama2.new", 7);
}

static void not_causal(ggufw *w, const char *arch)
{
    char buf[96];
    key(arch, "attention.causal", buf);
    ggufw_bool(w, buf, 0);
}

static void soft_cap(ggufw *w, const char *arch)
{
    add_f32(w, arch, "attn_logit_softcapping", 50);
}

static void ext_factor(ggufw *w, const char *arch)
{
    add_f32(w, arch, "rope.scaling.yarn_ext_factor", 0);
}

static void unknown_key(ggufw *w, const char *arch)
{
    add_f32(w, arch, "attention.new_option", 0);
}

static void clamps(ggufw *w, const char *arch)
{
    char buf[96];
    key(arch, "swiglu_clamp_exp", buf);
    ggufw_array(w, buf, 6, 1);
    ggufw_int(w, 0, 4);
}

static void experts_of_others(ggufw *w, const char *arch)
{
    char buf[96];
    key(arch, "expert_used_count", buf);
    ggufw_u32(w, buf, 2);
}

static void keys(void **state)
{
    static const struct {
        void (*more)(ggufw *w, const char *arch);
        const char *named;
    } cases[] = {{not_causal, "attention.causal is 0; supported is 1"},
                 {soft_cap, "attn_logit_softcapping is 50"},
                 {ext_factor, "yarn_ext_factor is 0"},
                 {unknown_key, "key llama.attention.new_option is not supported"},
                 {clamps, "key llama.swiglu_clamp_exp"},
                 {experts_of_others, "key llama.expert_used_count"}};
    world x;
    (void)state;
    begin(&x, &(file){.arch = "llama", .more = harmless_keys});
    end(&x);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        must_fail(&(file){.arch = "llama", .more = cases[i].more}, REMORA_E_UNSUPPORTED,
                  cases[i].named);
}

static void grouped(void **state)
{
    world x;
    (void)state;
    begin(&x, &(file){.arch = "qwen2"});
    assert_string_equal(text(&x, "model_type"), "qwen2");
    assert_null(json_object_get(x.config, "rope_interleave"));
    assert_true(number(&x, "num_key_value_heads") == 2);
    rmr_shape s = shape_of(&x);
    assert_true(s.gqa.head_dim == 8 && s.rope_pairs == RMR_ROPE_HALVES && s.qkv_bias && s.tied);
    end(&x);
    begin(&x, &(file){.arch = "llama", .freq_factors = 2, .output = 1});
    s = shape_of(&x);
    assert_true(s.rope_pairs == RMR_ROPE_INTERLEAVED && !s.qkv_bias && !s.tied);
    assert_true(s.inv_freq[0] == 0.5f);
    end(&x);
    begin(&x, &(file){.arch = "llama", .bias = 1});
    s = shape_of(&x);
    assert_true(s.qkv_bias && s.inv_freq[0] == 1.0f);
    end(&x);
    /* a width of heads that is not given is that of the other architectures, not qwen3's 128 */
    begin(&x, &(file){.arch = "qwen3"});
    s = shape_of(&x);
    assert_true(s.gqa.head_dim == 8 && s.rope_pairs == RMR_ROPE_HALVES && s.head_norm);
    assert_true(!s.qkv_bias && !s.out_bias);
    end(&x);
    begin(&x, &(file){.arch = "qwen3",
                      .changes = {{"attention.key_length", 16},
                                  {"attention.value_length", 16},
                                  {"rope.dimension_count", 16}}});
    assert_true(shape_of(&x).gqa.head_dim == 16);
    end(&x);
}

static void refused(void **state)
{
    (void)state;
    must_fail(&(file){.arch = "gemma"}, REMORA_E_UNSUPPORTED,
              "general.architecture \"gemma\" is not supported (known: deepseek2, llama, qwen2, "
              "qwen3)");
    must_fail(&(file){.arch = "deepseek32"}, REMORA_E_UNSUPPORTED,
              "general.architecture \"deepseek32\" is not done yet (DeepSeek-V3.2: sparse");
    for (size_t i = 0; i < 5; i++)
        must_fail(&(file){.arch = "deepseek2", .changes = {{mla_keys[i].key, ABSENT}}},
                  REMORA_E_FORMAT, mla_keys[i].key);
    must_fail(&(file){.arch = "deepseek2", .changes = {{"attention.key_length_mla", ABSENT}}},
              REMORA_E_FORMAT, "attention.key_length_mla is 0");
    must_fail(&(file){.arch = "deepseek2", .changes = {{"attention.key_length_mla", 8}}},
              REMORA_E_FORMAT, "attention.key_length_mla");
    must_fail(&(file){.arch = "deepseek2", .changes = {{"expert_gating_func", 4}}},
              REMORA_E_UNSUPPORTED, "expert_gating_func");
    must_fail(&(file){.arch = "deepseek2", .changes = {{"nextn_predict_layers", 3}}},
              REMORA_E_FORMAT, "block_count");
    must_fail(&(file){.arch = "deepseek2", .rope = "longrope"}, REMORA_E_UNSUPPORTED,
              "rope.scaling.type is \"longrope\"; supported are none, linear and yarn");
    must_fail(&(file){.arch = "llama", .rope = "yarn", .freq_factors = 1}, REMORA_E_UNSUPPORTED,
              "rope_freqs");
    must_fail(&(file){.arch = "llama", .freq_factors = -1}, REMORA_E_FORMAT, "rope_freqs");
    must_fail(&(file){.arch = "qwen2", .changes = {{"attention.sliding_window", 99}}},
              REMORA_E_UNSUPPORTED, "attention.sliding_window");
    must_fail(&(file){.arch = "llama", .changes = {{"expert_count", 8}}}, REMORA_E_UNSUPPORTED,
              "expert_count");
    must_fail(&(file){.arch = "llama", .changes = {{"rope.dimension_count", 4}}},
              REMORA_E_UNSUPPORTED, "rope.dimension_count");
}

/* Numbers are shown as they are, not as a double has them. */
static void shown(void **state)
{
    static const char *const want[][2] = {
        {"gguf.general.most", "18446744073709551615"},  {"gguf.general.odd", "9007199254740993"},
        {"gguf.general.least", "-9223372036854775808"}, {"gguf.llama.block_count", "3"},
        {"gguf.llama.rope.freq_base", "50000.0"},       {"gguf.llama.attention.causal", "true"},
        {"gguf.general.architecture", "llama"}};
    world x;
    rmr_metadata meta = {0};
    (void)state;
    begin(&x, &(file){.arch = "llama", .more = harmless_keys});
    assert_int_equal(rmr_metadata_add_gguf(&x.mem, &meta, x.g, &x.err), REMORA_OK);
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        const char *v = rmr_metadata_find(&meta, want[i][0]);
        if (v == NULL || strcmp(v, want[i][1]) != 0)
            fail_msg("%s: %s", want[i][0], v != NULL ? v : "is not there");
    }
    rmr_metadata_free(&x.mem, &meta);
    end(&x);
}

static void more_templates(ggufw *w, const char *arch)
{
    (void)arch;
    ggufw_string(w, "tokenizer.chat_template", "{{ a }}");
    ggufw_string(w, "tokenizer.chat_template.tool_use", "{{ b }}");
    ggufw_string(w, "tokenizer.chat_templates", "no");
}

static void templates(void **state)
{
    world x;
    rmr_metadata meta = {0};
    (void)state;
    begin(&x, &(file){.arch = "llama", .more = more_templates});
    assert_int_equal(rmr_metadata_add_gguf(&x.mem, &meta, x.g, &x.err), REMORA_OK);
    assert_string_equal(rmr_metadata_find(&meta, "chat_template"), "{{ a }}");
    assert_string_equal(rmr_metadata_find(&meta, "chat_template.tool_use"), "{{ b }}");
    assert_null(rmr_metadata_find(&meta, "chat_template.s"));
    rmr_metadata_free(&x.mem, &meta);
    end(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_layout),
        cmocka_unit_test(old_layout),
        cmocka_unit_test(gate_by_depth),
        cmocka_unit_test(groups_of_known_shapes),
        cmocka_unit_test(prediction_layers),
        cmocka_unit_test(gate_by_bias),
        cmocka_unit_test(dense_mla),
        cmocka_unit_test(amplitudes),
        cmocka_unit_test(linear),
        cmocka_unit_test(keys),
        cmocka_unit_test(yarn),
        cmocka_unit_test(grouped),
        cmocka_unit_test(refused),
        cmocka_unit_test(shown),
        cmocka_unit_test(templates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
