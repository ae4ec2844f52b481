/* SPDX-License-Identifier: Apache-2.0 */
/* config.json: what is refused and how it is named, both spellings of the rope parameters, and the
 * frequencies, amplitudes and softmax scales of released models, computed independently in double
 * precision. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <math.h>

#include "shape.h"

/* DeepSeek-V3 with smaller numbers. */
static const char base[] = "{'model_type':'deepseek_v3','num_hidden_layers':4,'vocab_size':320,'"
                           "hidden_size':128,'intermediate_size':192,"
                           "'max_position_embeddings':4096,'num_attention_heads':2,'num_key_value_"
                           "heads':2,'q_lora_rank':96,"
                           "'kv_lora_rank':512,'qk_nope_head_dim':128,'qk_rope_head_dim':64,'v_"
                           "head_dim':128,'n_routed_experts':16,"
                           "'num_experts_per_tok':4,'n_shared_experts':1,'moe_intermediate_size':"
                           "32,'first_k_dense_replace':1,"
                           "'moe_layer_freq':1,'n_group':4,'topk_group':2,'norm_topk_prob':true,'"
                           "routed_scaling_factor':2.5,"
                           "'scoring_func':'sigmoid','topk_method':'noaux_tc','hidden_act':'silu','"
                           "rms_norm_eps':1e-6,'rope_theta':10000,"
                           "'rope_scaling':null,'attention_bias':false,'tie_word_embeddings':false,"
                           "'num_nextn_predict_layers':1}";

/* Qwen2 with smaller numbers. */
static const char dense[] =
    "{'model_type':'qwen2','num_hidden_layers':3,'vocab_size':320,'hidden_size':1024,"
    "'intermediate_size':192,'max_position_embeddings':32768,'num_attention_heads':8,"
    "'num_key_value_heads':2,'hidden_act':'silu','rms_norm_eps':1e-5,'rope_theta':500000,"
    "'rope_scaling':null,'use_sliding_window':false,'sliding_window':4096,'max_window_layers':3,"
    "'tie_word_embeddings':false}";

static const char *base_now = base;

/* JSON with ' for ". */
static json_t *parse(const char *text)
{
    char buf[4096];
    json_error_t why;
    const size_t n = strlen(text);
    assert_true(n < sizeof buf);
    for (size_t i = 0; i <= n; i++) buf[i] = (char)(text[i] == '\'' ? '"' : text[i]);
    json_t *j = json_loads(buf, JSON_DECODE_ANY, &why);
    if (j == NULL) fail_msg("%s: %s", buf, why.text);
    return j;
}

/* The base with the members of `patch` in place of its own; a member 'absent' is taken away. */
static remora_status read_patched(const char *patch, rmr_shape *out, remora_error *err)
{
    json_t *config = parse(base_now), *with = parse(patch), *v;
    const char *key;
    json_object_foreach(with, key, v)
    {
        const char *s = json_string_value(v);
        if (s != NULL && strcmp(s, "absent") == 0)
            json_object_del(config, key);
        else
            json_object_set(config, key, v);
    }
    const remora_status st = rmr_shape_read("config.json", config, out, err);
    json_decref(config);
    json_decref(with);
    return st;
}

static void good(const char *patch, rmr_shape *out)
{
    remora_error err = {.struct_size = sizeof err};
    if (read_patched(patch, out, &err) != REMORA_OK) fail_msg("%s: %s", patch, err.message);
}

typedef struct bad {
    const char *patch;
    const char *named; /* must be in the message */
} bad;

static void refused(const bad *cases, size_t n, remora_status expect)
{
    for (size_t i = 0; i < n; i++) {
        remora_error err = {.struct_size = sizeof err};
        rmr_shape s;
        const remora_status st = read_patched(cases[i].patch, &s, &err);
        if (st != expect || err.code != expect)
            fail_msg("%s: status %d (%s), expected %d", cases[i].patch, st, err.message, expect);
        if (strstr(err.message, cases[i].named) == NULL ||
            strstr(err.message, "config.json") == NULL)
            fail_msg("%s: the message does not name it: %s", cases[i].patch, err.message);
    }
}

/* ---- what is refused ---- */

static void unsupported_options(void **state)
{
    static const bad cases[] = {
        {"{'model_type':'mistral'}", "mistral"},
        {"{'model_type':'deepseek_v32'}",
         "model_type \"deepseek_v32\" is not done yet (DeepSeek-V3.2: sparse attention); known: "
         "deepseek_v2, deepseek_v3, kimi_k2, glm4_moe_lite, youtu, llama, qwen2, qwen3"},
        {"{'model_type':'deepseek_v4'}", "deepseek_v4"},
        {"{'model_type':'glm_moe_dsa'}", "GLM-5"},
        {"{'model_type':'longcat_flash'}", "LongCat-Flash"},
        {"{'model_type':'kimi_linear'}", "Kimi-Linear"},
        {"{'model_type':'minicpm3'}", "MiniCPM3"},
        {"{'model_type':'qwen3_moe'}", "Qwen3-MoE"},
        {"{'model_type':'gpt5'}", "model_type \"gpt5\" is not supported (known: deepseek_v2, "},
        {"{'model_type':'DEEPSEEK_V3'}", "DEEPSEEK_V3"},
        {"{'model_type':''}", "model_type"},
        {"{'hidden_act':'gelu'}", "hidden_act"},
        {"{'attention_bias':true}", "attention_bias"},
        {"{'mlp_bias':true}", "mlp_bias"},
        {"{'quantization_config':{'quant_method':'awq'}}", "quantization_config"},
        {"{'quantization_config':{'quant_method':'awq'}}", "awq"},
        {"{'compression_config':{'quant_method':'gptq'}}", "gptq"},
        {"{'quantization':{'group_size':64,'bits':4}}", "MLX"},
        {"{'quantization':{'bits':4},'quantization_config':{'bits':4}}", "MLX"},
        {"{'use_mla':false,'kv_lora_rank':null}", "use_mla"},
        {"{'quantization_config':{'quant_method':'modelopt','quant_algo':'NVFP4'}}", "NVFP4"},
        {"{'quantization_config':{'quant_method':'modelopt'}}", "quant_algo"},
        {"{'quantization_config':{'quant_method':'compressed-tensors','format':'float-quantized',"
         "'config_groups':{'group_0':{'weights':{'num_bits':8,'strategy':'group','type':'float'}}}}"
         "}",
         "group_0"},
        {"{'quantization_config':{'quant_method':'compressed-tensors','format':'naive-quantized',"
         "'config_groups':{'group_0':{'weights':{'num_bits':8,'strategy':'channel','type':'int'}}}}"
         "}",
         "group_0"},
        {"{'quantization_config':{'quant_method':'compressed-tensors','format':'float-quantized',"
         "'config_groups':{'group_0':{'weights':{'num_bits':8,'strategy':'block','type':'float',"
         "'block_structure':[64,128]}}}}}",
         "block_structure"},
        {"{'quantization_config':{'quant_method':'fp8','weight_block_size':[128,64]}}",
         "weight_block_size"},
        {"{'quantization_config':{'quant_method':'fp8','fmt':'e5m2','weight_block_size':[128,128]}"
         "}",
         "e5m2"},
        {"{'quantization_config':{'quant_method':'compressed-tensors'}}", "format"},
        {"{'quantization_config':{'quant_method':'compressed-tensors','format':'int-quantized'}}",
         "int-quantized"},
        {"{'quantization_config':{'quant_method':'compressed-tensors','format':'pack-quantized',"
         "'config_groups':{'group_0':{'weights':{'num_bits':8,'group_size':32,'type':'int',"
         "'symmetric':true}}}}}",
         "group_0"},
        {"{'index_topk':2048}", "index_topk"},
        {"{'use_mla_scale':true}", "use_mla_scale"},
        {"{'mla_scale_q_lora':true}", "mla_scale_q_lora"},
        {"{'llama_4_scaling_beta':0.1}", "llama_4_scaling_beta"},
        {"{'sliding_window':4096}", "sliding_window"},
        {"{'swiglu_limit':10.0}", "swiglu_limit"},
        {"{'compress_ratios':[0,4]}", "compress_ratios"},
        {"{'topk_method':'greedy'}", "topk_method"},
        {"{'topk_method':'group_limited_greedy'}", "topk_method"},
        {"{'topk_method':'other'}", "other"},
        {"{'scoring_func':'softmax'}", "scoring_func"},
        {"{'scoring_func':'sqrtsoftplus'}", "sqrtsoftplus"},
        {"{'num_key_value_heads':1}", "num_key_value_heads"},
        {"{'mlp_layer_types':['dense','sparse','dense','sparse']}", "mlp_layer_types[2]"},
        {"{'mlp_layer_types':['dense','sparse','other','sparse']}", "mlp_layer_types[2]"},
        {"{'rope_interleave':false}", "rope_interleave"},
        {"{'rope_scaling':{'type':'su','factor':2}}",
         "rope_type of rope_scaling is \"su\"; supported are default, linear, dynamic, yarn"},
        {"{'rope_parameters':{'rope_type':'llama3','factor':2}}", "llama3"},
        {"{'rope_scaling':{'type':'yarn','factor':2,'extrapolation_factor':0.5}}",
         "extrapolation_factor"},
        {"{'rope_scaling':{'type':'yarn','factor':2,'long_factor':[1]}}",
         "long_factor of rope_scaling is not supported"},
        {"{'rope_parameters':{'rope_type':'default','mrope_section':[16,24,24]}}",
         "mrope_section of rope_parameters"},
        {"{'rope_scaling':{'type':'linear','factor':2,'alpha':1000}}", "alpha"},
        {"{'rope_scaling':{'type':'linear','factor':2,'mscale_all_dim':1}}", "mscale_all_dim"},
        {"{'rope_scaling':{'type':'dynamic','factor':2,'mscale_all_dim':1}}", "mscale_all_dim"},
        {"{'rope_parameters':{'rope_type':'default','llama_4_scaling_beta':0.1}}",
         "llama_4_scaling_beta"},
        {"{'rope_parameters':{'rope_type':'default','partial_rotary_factor':0.5}}",
         "partial_rotary_factor"},
        {"{'model_type':'youtu'}", "n_routed_experts is not supported in youtu"},
    };
    (void)state;
    refused(cases, sizeof cases / sizeof cases[0], REMORA_E_UNSUPPORTED);
}

/* Every number that must be there, and every number at all, with values that no model has. */
static void numbers_out_of_range(void **state)
{
    static const char *const required[] = {"num_hidden_layers",
                                           "vocab_size",
                                           "hidden_size",
                                           "intermediate_size",
                                           "max_position_embeddings",
                                           "num_attention_heads",
                                           "kv_lora_rank",
                                           "qk_nope_head_dim",
                                           "qk_rope_head_dim",
                                           "v_head_dim",
                                           "num_experts_per_tok",
                                           "moe_intermediate_size"};
    static const char *const optional[] = {"q_lora_rank",
                                           "num_key_value_heads",
                                           "n_routed_experts",
                                           "n_shared_experts",
                                           "first_k_dense_replace",
                                           "moe_layer_freq",
                                           "n_group",
                                           "topk_group",
                                           "num_nextn_predict_layers"};
    static const char *const values[] = {"-1",
                                         "1.5",
                                         "'8'",
                                         "[8]",
                                         "true",
                                         "1e9",
                                         "2147483648",
                                         "4294967297",
                                         "9223372036854775807",
                                         "-9223372036854775808"};
    enum {
        N_VALUES = sizeof values / sizeof values[0],
        N_REQUIRED = sizeof required / sizeof required[0]
    };
    char patch[128];
    (void)state;
    for (size_t k = 0; k < N_REQUIRED + sizeof optional / sizeof optional[0]; k++) {
        const char *key = k < N_REQUIRED ? required[k] : optional[k - N_REQUIRED];
        for (size_t i = 0; i < N_VALUES; i++) {
            snprintf(patch, sizeof patch, "{'%s':%s}", key, values[i]);
            refused(&(bad){patch, key}, 1, REMORA_E_FORMAT);
        }
        if (k >= N_REQUIRED) continue;
        static const char *const none[] = {"0", "null", "'absent'"};
        for (size_t i = 0; i < 3; i++) {
            snprintf(patch, sizeof patch, "{'%s':%s}", key, none[i]);
            refused(&(bad){patch, key}, 1, REMORA_E_FORMAT);
        }
    }
}

static void inconsistent_or_wrong(void **state)
{
    static const bad cases[] = {
        {"{'model_type':'absent'}", "model_type"},
        {"{'model_type':7}", "model_type"},
        {"{'model_type':null}", "model_type"},
        {"{'num_experts_per_tok':17}", "num_experts_per_tok"},
        {"{'num_experts_per_tok':9}", "num_experts_per_tok"}, /* two groups hold eight */
        {"{'n_group':3}", "n_group"},
        {"{'n_group':17}", "n_group"},
        {"{'n_group':0}", "n_group"},
        {"{'topk_group':5}", "topk_group"},
        {"{'topk_group':0}", "topk_group"},
        {"{'q_lora_rank':0}", "q_lora_rank"},
        {"{'qk_rope_head_dim':63}", "qk_rope_head_dim"},
        {"{'qk_rope_head_dim':514}", "qk_rope_head_dim"},
        {"{'first_k_dense_replace':5}", "first_k_dense_replace"},
        {"{'moe_layer_freq':0}", "moe_layer_freq"},
        {"{'num_hidden_layers':1025}", "num_hidden_layers"},
        {"{'n_shared_experts':1024,'moe_intermediate_size':1048576}", "n_shared_experts"},
        {"{'n_routed_experts':4096,'num_experts_per_tok':2048,'n_group':1,'topk_group':1,"
         "'moe_intermediate_size':1048576}",
         "(num_experts_per_tok + n_shared_experts) x moe_intermediate_size is 2148532224"},
        {"{'rms_norm_eps':-1e-6}", "rms_norm_eps"},
        {"{'rms_norm_eps':1}", "rms_norm_eps"},
        {"{'rms_norm_eps':'1e-6'}", "rms_norm_eps"},
        {"{'routed_scaling_factor':0}", "routed_scaling_factor"},
        {"{'routed_scaling_factor':-2.5}", "routed_scaling_factor"},
        {"{'routed_scaling_factor':1e39}", "routed_scaling_factor"},
        {"{'norm_topk_prob':1}", "norm_topk_prob"},
        {"{'tie_word_embeddings':'no'}", "tie_word_embeddings"},
        {"{'attention_bias':'no'}", "attention_bias"},
        {"{'use_mla':'no'}", "use_mla"},
        {"{'hidden_act':7}", "hidden_act"},
        {"{'quantization_config':7}", "quantization_config"},
        {"{'quantization_config':{'quant_method':8}}", "quant_method"},
        {"{'scoring_func':['sigmoid']}", "scoring_func"},
        {"{'mlp_layer_types':['dense','sparse']}", "mlp_layer_types"},
        {"{'mlp_layer_types':'sparse'}", "mlp_layer_types"},
        {"{'rope_theta':0}", "rope_theta"},
        {"{'rope_theta':1}", "rope_theta"},
        {"{'rope_theta':-10000}", "rope_theta"},
        {"{'rope_theta':1e13}", "rope_theta"},
        {"{'rope_theta':'10000'}", "rope_theta"},
        {"{'rope_parameters':{'rope_theta':0.5}}", "rope_theta"},
        {"{'rope_theta':null}", "rope_theta is null"},
        {"{'rope_scaling':{'type':'yarn','factor':40,'rope_theta':null}}", "rope_theta is null"},
        /* rope_scaling takes the place of all of rope_parameters: transformers would compute with
         * a rope_theta of 10000 here */
        {"{'rope_theta':'absent','rope_scaling':{'type':'yarn','factor':4},"
         "'rope_parameters':{'rope_theta':1000000,'rope_type':'default'}}",
         "rope_theta is in rope_parameters only"},
        {"{'rope_scaling':{'factor':40}}", "rope_scaling has factor and no rope_type"},
        {"{'rope_parameters':{'rope_theta':1e4,'factor':40}}", "rope_parameters has factor"},
        {"{'rope_scaling':{'low_freq_factor':1}}", "rope_scaling has low_freq_factor"},
        {"{'rope_scaling':{'type':null,'factor':2}}", "type is null, not a string"},
        {"{'rope_scaling':{'rope_type':null,'type':'yarn','factor':2}}", "rope_type is null"},
        {"{'rope_scaling':{'type':'linear'}}", "factor"},
        {"{'rope_scaling':{'type':'linear','factor':0.5}}", "factor"},
        {"{'rope_scaling':{'type':'dynamic','factor':null}}", "factor"},
        {"{'rope_parameters':7}", "rope_parameters is an integer, not an object"},
        {"{'original_max_position_embeddings':0,'rope_scaling':{'type':'yarn','factor':2}}",
         "original_max_position_embeddings"},
        {"{'rope_scaling':'yarn'}", "rope_scaling"},
        {"{'rope_scaling':['yarn']}", "rope_scaling"},
        {"{'rope_scaling':{'type':7}}", "type"},
        {"{'rope_scaling':{'type':'yarn'}}", "factor"},
        {"{'rope_scaling':{'type':'yarn','factor':0.5}}", "factor"},
        {"{'rope_scaling':{'type':'yarn','factor':1e7}}", "factor"},
        {"{'rope_scaling':{'type':'yarn','factor':'40'}}", "factor"},
        {"{'rope_scaling':{'type':'yarn','factor':2,'original_max_position_embeddings':0}}",
         "original_max_position_embeddings"},
        {"{'rope_scaling':{'type':'yarn','factor':2,'original_max_position_embeddings':-4096}}",
         "original_max_position_embeddings"},
        {"{'rope_scaling':{'type':'yarn','factor':2,'beta_fast':0}}", "beta_fast"},
        {"{'rope_scaling':{'type':'yarn','factor':2,'beta_slow':-1}}", "beta_slow"},
        {"{'rope_scaling':{'type':'yarn','factor':2,'mscale':1e4}}", "mscale"},
        {"{'rope_scaling':{'type':'yarn','factor':22026,'mscale':1,'mscale_all_dim':-1}}",
         "mscale"},
        {"{'rope_scaling':{'type':'yarn','factor':2,'attention_factor':-1}}", "attention_factor"},
        {"{'rope_scaling':{'type':'yarn','factor':2,'truncate':1}}", "truncate"},
    };
    (void)state;
    refused(cases, sizeof cases / sizeof cases[0], REMORA_E_FORMAT);
}

/* ---- what is read ---- */

static void the_base_is_read(void **state)
{
    rmr_shape s;
    (void)state;
    good("{}", &s);
    assert_string_equal(s.family, "deepseek_v3");
    assert_int_equal(s.n_layers, 4);
    assert_int_equal(s.n_vocab, 320);
    assert_int_equal(s.n_hidden, 128);
    assert_int_equal(s.inner, 192);
    assert_int_equal(s.max_context, 4096);
    assert_int_equal(s.q_rank, 96);
    assert_int_equal(s.n_mtp, 1);
    assert_int_equal(s.mla.heads, 2);
    assert_int_equal(s.mla.rank, 512);
    assert_int_equal(s.mla.nope, 128);
    assert_int_equal(s.mla.rope, 64);
    assert_int_equal(s.mla.v, 128);
    assert_int_equal(s.moe.gate, RMR_GATE_SIGMOID);
    assert_int_equal(s.moe.n_experts, 16);
    assert_int_equal(s.moe.n_used, 4);
    assert_int_equal(s.moe.n_group, 4);
    assert_int_equal(s.moe.topk_group, 2);
    assert_int_equal(s.moe.norm_topk, 1);
    assert_int_equal(s.moe.inner, 32);
    assert_int_equal(s.moe.shared_inner, 32);
    assert_true(s.moe.scale == 2.5f && s.eps == 1e-6f && s.rope_amp == 1.0f);
    assert_true(s.gate_bias && !s.tied);
    assert_int_equal(s.mla.rank + s.mla.rope, 576);
    assert_true(!rmr_shape_is_moe(&s, 0) && rmr_shape_is_moe(&s, 1) && rmr_shape_is_moe(&s, 3));
}

/* What a silent file means differs by family. */
static void defaults_of_the_families(void **state)
{
#define SILENT                                                                                     \
    "'topk_method':'absent','scoring_func':'absent','norm_topk_prob':'absent','q_lora_rank':null"
    rmr_shape s;
    (void)state;
    good("{'model_type':'deepseek_v2'," SILENT "}", &s);
    assert_int_equal(s.moe.gate, RMR_GATE_SOFTMAX);
    assert_int_equal(s.moe.norm_topk, 0);
    assert_int_equal(s.moe.n_group, 1); /* greedy looks at no groups */
    assert_int_equal(s.gate_bias, 0);
    assert_int_equal(s.q_rank, 0);
    good("{'model_type':'deepseek_v2','topk_method':'group_limited_greedy','scoring_func':'softmax'"
         "}",
         &s);
    assert_int_equal(s.moe.gate, RMR_GATE_SOFTMAX_GROUP);
    assert_int_equal(s.moe.n_group, 4);
    static const char *const v3_like[] = {"deepseek_v3", "kimi_k2", "glm4_moe_lite"};
    for (size_t i = 0; i < 3; i++) {
        char patch[256];
        snprintf(patch, sizeof patch, "{'model_type':'%s'," SILENT "}", v3_like[i]);
        good(patch, &s);
        assert_int_equal(s.moe.gate, RMR_GATE_SIGMOID);
        assert_int_equal(s.moe.norm_topk, 1);
        assert_int_equal(s.gate_bias, 1);
    }
    good("{'model_type':'youtu','n_routed_experts':null,'tie_word_embeddings':'absent'}", &s);
    assert_true(s.tied && !rmr_shape_is_moe(&s, 3) && s.moe.n_experts == 0);
    good("{'n_routed_experts':null}", &s); /* a dense model */
    assert_true(!rmr_shape_is_moe(&s, 3));
    good("{'n_shared_experts':null}", &s);
    assert_int_equal(s.moe.shared_inner, 0);
    good("{'n_shared_experts':2}", &s);
    assert_int_equal(s.moe.shared_inner, 64);
    good("{'moe_layer_freq':2}", &s);
    assert_true(!rmr_shape_is_moe(&s, 1) && rmr_shape_is_moe(&s, 2) && !rmr_shape_is_moe(&s, 3));
    good("{'first_k_dense_replace':'absent','mlp_layer_types':['dense','dense','sparse','sparse']}",
         &s);
    assert_int_equal(s.n_dense, 2);
    good("{'quantization_config':{'quant_method':'fp8','fmt':'e4m3','scale_fmt':'ue8m0',"
         "'weight_block_size':[128,128]}}",
         &s);
    good("{'quantization_config':{'quant_method':'compressed-tensors','format':'pack-quantized',"
         "'config_groups':{'group_0':{'weights':{'num_bits':4,'group_size':32,'type':'int',"
         "'symmetric':true}}},'ignore':['lm_head']}}",
         &s);
    good("{'quantization_config':{'quant_method':'fp8','activation_scheme':'static'}}", &s);
    good("{'quantization_config':{'quant_method':'fp8','weight_block_size':null}}", &s);
    good("{'quantization_config':{'quant_method':'fbgemm_fp8'}}", &s);
    good("{'quantization':null,'use_mla':true}", &s);
    good("{'quantization_config':{'quant_method':'modelopt','quant_algo':'FP8'}}", &s);
    good("{'compression_config':{'quant_method':'compressed-tensors','format':'float-quantized',"
         "'config_groups':{'group_0':{'weights':{'num_bits':8,'strategy':'channel',"
         "'type':'float'}},'group_1':{'weights':{'num_bits':8,'strategy':'block','type':'float',"
         "'block_structure':[128,128]}}}}}",
         &s);
    good("{'index_topk':null,'sliding_window':null,'use_mla_scale':false,'quantization_config':"
         "null}",
         &s);
#undef SILENT
}

/* ---- rope ---- */

typedef struct freq {
    uint32_t k;
    double value;
} freq;

static void frequencies_are(const rmr_shape *s, const freq *f, size_t n)
{
    for (size_t i = 0; i < n; i++) /* the tables have ten digits, ours are float32 */
        if (!(fabs(s->inv_freq[f[i].k] / f[i].value - 1) < 2e-7))
            fail_msg("inv_freq[%u] is %.9e, not %.9e", f[i].k, (double)s->inv_freq[f[i].k],
                     f[i].value);
}

static void is_close(double got, double expect)
{
    if (!(fabs(got / expect - 1) < 2e-7)) fail_msg("%.9e, not %.9e", got, expect);
}

#define YARN_V3                                                                                    \
    "'factor':40,'beta_fast':32,'beta_slow':1,'mscale':1.0,'mscale_all_dim':1.0,"                  \
    "'original_max_position_embeddings':4096}"

static void yarn_of_v3(void **state)
{
    static const freq table[] = {
        {0, 1.000000000e+00},  {1, 7.498942093e-01},  {2, 5.623413252e-01},  {3, 4.216965034e-01},
        {4, 3.162277660e-01},  {5, 2.371373706e-01},  {6, 1.778279410e-01},  {7, 1.333521432e-01},
        {8, 1.000000000e-01},  {9, 7.498942093e-02},  {10, 5.623413252e-02}, {11, 3.900692657e-02},
        {12, 2.687936011e-02}, {13, 1.837814622e-02}, {14, 1.244795587e-02}, {15, 8.334508951e-03},
        {16, 5.500000000e-03}, {17, 3.561997494e-03}, {18, 2.249365301e-03}, {19, 1.370513636e-03},
        {20, 7.905694150e-04}, {21, 4.149903985e-04}, {22, 1.778279410e-04}, {23, 3.333803580e-05},
        {24, 2.500000000e-05}, {25, 1.874735523e-05}, {26, 1.405853313e-05}, {27, 1.054241259e-05},
        {28, 7.905694150e-06}, {29, 5.928434264e-06}, {30, 4.445698525e-06}, {31, 3.333803580e-06}};
    static const char *const spellings[] = {
        "{'rope_scaling':{'type':'yarn'," YARN_V3 "}",
        "{'rope_scaling':{'rope_type':'yarn'," YARN_V3 "}",
        "{'rope_parameters':{'rope_type':'yarn','rope_theta':10000.0," YARN_V3 "}",
        /* the old spelling counts where both are there, and the new one where the old is empty */
        "{'rope_scaling':{'type':'yarn'," YARN_V3
        ",'rope_parameters':{'rope_type':'linear','factor':2,'rope_theta':5}}",
        "{'rope_theta':5,'rope_scaling':{},'rope_parameters':{'rope_type':'yarn','"
        "rope_theta':1e4," YARN_V3 "}",
        /* the first YaRN files, and Phi-3's place for the length before */
        "{'rope_scaling':{'type':'yarn','finetuned':true,'extrapolation_factor':1.0," YARN_V3 "}",
        ("{'original_max_position_embeddings':4096,'rope_scaling':{'type':'yarn','factor':40,"
         "'mscale':1.0,'mscale_all_dim':1.0,'original_max_position_embeddings':7}}"),
    };
    const double m = 0.1 * log(40) + 1;
    (void)state;
    for (size_t i = 0; i < sizeof spellings / sizeof spellings[0]; i++) {
        rmr_shape s;
        good(spellings[i], &s);
        frequencies_are(&s, table, 32);
        is_close(s.rope_amp, 1.0);
        is_close(s.mla.scale, m * m / sqrt(192));
        assert_int_equal(s.max_context, 163840); /* 40 x 4096, whatever the file says of it */
    }
}

static void yarn_of_kimi(void **state)
{
#define KIMI(factor)                                                                               \
    "{'model_type':'kimi_k2','rope_theta':50000.0,'rope_scaling':{'type':'yarn','factor':" factor  \
    ",'beta_fast':1.0,'beta_slow':1.0,'mscale':1.0,'mscale_all_dim':1.0,'original_max_position_"   \
    "embeddings':4096}}"
    static const freq k2[] = {{0, 1.0},
                              {1, 7.131110849e-01},
                              {10, 3.400727816e-02},
                              {18, 2.274203757e-03},
                              {19, 1.621759908e-03},
                              {20, 3.614046774e-05},
                              {21, 2.577216816e-05},
                              {25, 6.664686198e-06},
                              {31, 8.764412912e-07}};
    static const freq thinking[] = {{1, 7.131110849e-01},
                                    {19, 1.621759908e-03},
                                    {20, 1.807023387e-05},
                                    {21, 1.288608408e-05},
                                    {31, 4.382206456e-07}};
    rmr_shape s;
    (void)state;
    good(KIMI("32.0"), &s);
    frequencies_are(&s, k2, sizeof k2 / sizeof k2[0]);
    good(KIMI("64.0"), &s);
    frequencies_are(&s, thinking, sizeof thinking / sizeof thinking[0]);
#undef KIMI
}

static void plain_rope(void **state)
{
    static const freq moonlight[] = {
        {1, 7.131110849e-01}, {15, 6.271303377e-03}, {31, 2.804612132e-05}};
    static const freq glm[] = {{1, 6.493816316e-01}, {15, 1.539926526e-03}, {31, 1.539926526e-06}};
    static const freq plain[] = {{0, 1.0}, {31, 1.333521432e-04}};
    rmr_shape s;
    (void)state;
    good("{'rope_theta':50000}", &s);
    frequencies_are(&s, moonlight, 3);
    good("{'rope_theta':'absent','rope_parameters':{'rope_type':'default','rope_theta':1000000}}",
         &s);
    frequencies_are(&s, glm, 3);
    good("{'rope_theta':'absent'}", &s);
    frequencies_are(&s, plain, 2);
    good("{'rope_theta':1000000,'rope_parameters':{'rope_type':'default'}}", &s);
    frequencies_are(&s, glm, 3);
    is_close(s.rope_amp, 1.0);
    is_close(s.mla.scale, 1 / sqrt(192));
}

/* linear divides every frequency; dynamic is plain up to max_position_embeddings. */
static void linear_and_dynamic(void **state)
{
    rmr_shape s;
    (void)state;
    good("{'rope_scaling':{'type':'linear','factor':4.0}}", &s);
    is_close(s.inv_freq[0], 0.25);
    is_close(s.inv_freq[31], 1.333521432e-04 / 4);
    is_close(s.rope_amp, 1);
    is_close(s.mla.scale, 1 / sqrt(192));
    assert_true(s.max_context == 4096 && !s.rope_dynamic);
    good("{'rope_parameters':{'rope_type':'dynamic','factor':4.0,'rope_theta':10000}}", &s);
    is_close(s.inv_freq[0], 1);
    is_close(s.inv_freq[31], 1.333521432e-04);
    assert_true(s.max_context == 4096 && s.rope_dynamic);
}

/* Without truncate the ramp begins and ends between two frequencies: corr(32) = 10.472 and
 * corr(1) = 22.513 for heads of 64, theta 10000 and 4096 positions. */
static void yarn_without_truncate(void **state)
{
    rmr_shape s;
    (void)state;
    good("{'rope_scaling':{'type':'yarn','truncate':false,'factor':40,"
         "'original_max_position_embeddings':4096}}",
         &s);
    const double ramp = (16 - 10.472240810) / (22.513440637 - 10.472240810);
    is_close(s.inv_freq[10], 5.623413252e-02);
    is_close(s.inv_freq[16], 0.01 / 40 * ramp + 0.01 * (1 - ramp));
    is_close(s.inv_freq[23], 1.333521432e-03 / 40);
}

/* What a null means: nothing, where the class of the model says so; elsewhere it is refused. */
static void nulls(void **state)
{
    static const bad cases[] = {
        {"{'rms_norm_eps':null}", "rms_norm_eps is null"},
        {"{'hidden_act':null}", "hidden_act"},
        {"{'tie_word_embeddings':null}", "tie_word_embeddings"},
        {"{'attention_bias':null}", "attention_bias"},
        {"{'norm_topk_prob':null}", "norm_topk_prob is null, which deepseek_v3 does not define"},
        {"{'routed_scaling_factor':null}", "routed_scaling_factor"},
        {"{'first_k_dense_replace':null}", "first_k_dense_replace"},
        {"{'moe_layer_freq':null}", "moe_layer_freq"},
        {"{'n_group':null}", "n_group"},
        {"{'topk_group':null}", "topk_group"},
        {"{'rope_interleave':null}", "rope_interleave"},
        {"{'model_type':'glm4_moe_lite','num_key_value_heads':null}", "num_key_value_heads"},
        {"{'model_type':'deepseek_v2','topk_method':null}", "topk_method"},
        {"{'model_type':'deepseek_v2','mlp_bias':null}", "mlp_bias"},
        {"{'model_type':'deepseek_v2','topk_method':'group_limited_greedy','scoring_func':null,"
         "'n_group':null}",
         "n_group is missing"},
        {"{'model_type':'deepseek_v2','topk_method':'group_limited_greedy','scoring_func':null,"
         "'topk_group':'absent'}",
         "topk_group is missing"},
        {"{'model_type':'kimi_k2','routed_scaling_factor':'absent'}", "routed_scaling_factor"},
        {"{'rope_scaling':{'type':'yarn','factor':2,'truncate':null}}",
         "truncate of rope_scaling is null"},
        {"{'rope_scaling':{'type':'yarn','factor':2,'original_max_position_embeddings':null}}",
         "original_max_position_embeddings of rope_scaling is null"},
        {"{'rope_parameters':{'rope_type':'default','partial_rotary_factor':null}}",
         "partial_rotary_factor of rope_parameters is null"},
    };
    rmr_shape s;
    (void)state;
    refused(cases, sizeof cases / sizeof cases[0], REMORA_E_FORMAT);
    good("{'num_key_value_heads':null,'q_lora_rank':null,'topk_method':null,'scoring_func':null,"
         "'mlp_bias':null,'rope_parameters':null,'partial_rotary_factor':null,'layer_types':null,"
         "'mlp_layer_types':null,'sliding_window':null,'use_sliding_window':null,"
         "'quantization_config':null,'num_nextn_predict_layers':null,'head_dim':null,"
         "'eos_token_id':null}",
         &s);
    assert_true(s.q_rank == 0 && s.n_mtp == 0 && s.moe.gate == RMR_GATE_SIGMOID);
    good("{'rope_scaling':{'type':'yarn','factor':2,'mscale':null,'mscale_all_dim':null,"
         "'attention_factor':null,'beta_fast':null,'beta_slow':null}}",
         &s);
    is_close(s.rope_amp, 0.1 * log(2) + 1);
    good("{'rope_theta':null,'rope_parameters':{'rope_type':'default','rope_theta':1e4}}", &s);
    is_close(s.inv_freq[31], 1.333521432e-04);
    good("{'model_type':'deepseek_v2','topk_method':'greedy','scoring_func':null,'n_group':null,"
         "'topk_group':null,'rope_interleave':null}",
         &s);
    assert_int_equal(s.moe.n_group, 1);
    good("{'model_type':'glm4_moe_lite','first_k_dense_replace':null,'moe_layer_freq':null,"
         "'rms_norm_eps':'absent'}",
         &s);
    assert_true(s.n_dense == 1 && s.eps == 1e-5f);
}

/* The two amplitudes of YaRN do not depend on each other (docs/models.md T1). */
static void yarn_amplitudes(void **state)
{
#define SCALED(more)                                                                               \
    "{'rope_scaling':{'type':'yarn','factor':40,'original_max_position_embeddings':4096" more "}}"
    const double one = 0.1 * log(40) + 1, lite = 0.0707 * log(40) + 1, plain = 1 / sqrt(192);
    rmr_shape s;
    (void)state;
    good(SCALED(""), &s);
    is_close(s.rope_amp, one);
    is_close(s.mla.scale, plain);
    good(SCALED(",'mscale':1.0"), &s);
    is_close(s.rope_amp, one);
    is_close(s.mla.scale, plain);
    good(SCALED(",'mscale':0.707,'mscale_all_dim':0.707"), &s);
    is_close(s.rope_amp, 1);
    is_close(s.mla.scale, plain * lite * lite);
    good(SCALED(",'mscale':1.0,'mscale_all_dim':0.707"), &s);
    is_close(s.rope_amp, one / lite);
    is_close(s.mla.scale, plain * lite * lite);
    good(SCALED(",'mscale_all_dim':1.0"), &s);
    is_close(s.rope_amp, one);
    is_close(s.mla.scale, plain * one * one);
    good(SCALED(",'mscale':1.0,'mscale_all_dim':1.0,'attention_factor':2.0"), &s);
    is_close(s.rope_amp, 2);
    good("{'rope_scaling':{'type':'yarn','factor':1,'mscale':1.0,'mscale_all_dim':1.0}}", &s);
    is_close(s.rope_amp, 1);
    is_close(s.mla.scale, plain);
#undef SCALED
}

/* ---- dense models with grouped attention ---- */

static int use_dense(void **state)
{
    (void)state;
    base_now = dense;
    return 0;
}

static int use_base(void **state)
{
    (void)state;
    base_now = base;
    return 0;
}

static void dense_options_unsupported(void **state)
{
    static const bad cases[] = {
        {"{'model_type':'qwen2_moe'}", "qwen2_moe"},
        {"{'use_sliding_window':true}", "use_sliding_window"},
        {"{'model_type':'qwen3','use_sliding_window':true}", "use_sliding_window"},
        {"{'model_type':'llama','use_sliding_window':'absent'}", "sliding_window"},
        {"{'layer_types':['full_attention','sliding_attention','full_attention']}",
         "layer_types[1]"},
        {"{'layer_types':['full_attention','full_attention',7]}", "layer_types[2]"},
        {"{'hidden_act':'gelu'}", "hidden_act"},
        {"{'model_type':'llama','mlp_bias':true}", "mlp_bias"},
        {"{'n_routed_experts':8}", "n_routed_experts"},
        {"{'num_experts':8}", "num_experts"},
        {"{'num_local_experts':8}", "num_local_experts"},
        {"{'kv_lora_rank':512}", "kv_lora_rank"},
        {"{'quantization_config':{'quant_method':'awq'}}", "awq"},
        {"{'partial_rotary_factor':0.5}", "partial_rotary_factor"},
        {"{'rope_parameters':{'rope_type':'default','partial_rotary_factor':0.5}}",
         "partial_rotary_factor"},
        {"{'rope_scaling':{'rope_type':'longrope','factor':2}}", "longrope"},
    };
    (void)state;
    refused(cases, sizeof cases / sizeof cases[0], REMORA_E_UNSUPPORTED);
}

#define LLAMA3(factor, low, high, orig)                                                            \
    "{'rope_scaling':{'rope_type':'llama3','factor':" factor ",'low_freq_factor':" low             \
    ",'high_freq_factor':" high ",'original_max_position_embeddings':" orig "}}"

static void dense_numbers_wrong(void **state)
{
    static const char *const keys[] = {"num_hidden_layers",
                                       "vocab_size",
                                       "hidden_size",
                                       "intermediate_size",
                                       "max_position_embeddings",
                                       "num_attention_heads",
                                       "num_key_value_heads",
                                       "head_dim"};
    static const char *const values[] = {"0", "-1", "1.5", "'8'", "[8]", "true", "4294967297"};
    static const bad cases[] = {
        {"{'num_attention_heads':'absent'}", "num_attention_heads"},
        {"{'num_attention_heads':4097}", "num_attention_heads"},
        {"{'num_key_value_heads':3}", "num_key_value_heads"},
        {"{'num_key_value_heads':16}", "num_key_value_heads"},
        {"{'head_dim':63}", "head_dim"},
        {"{'head_dim':514}", "head_dim"},
        {"{'hidden_size':1020}", "hidden_size"},     /* is no multiple of the heads */
        {"{'hidden_size':8192}", "hidden_size"},     /* heads of 1024 */
        {"{'hidden_size':1032}", "head_dim is 129"}, /* odd */
        {"{'model_type':'llama','attention_bias':'no'}", "attention_bias"},
        {"{'use_sliding_window':'no'}", "use_sliding_window"},
        {"{'layer_types':'full_attention'}", "layer_types"},
        {"{'layer_types':['full_attention']}", "layer_types"},
        {"{'model_type':'qwen3','head_dim':null}", "head_dim is null"},
        {"{'use_sliding_window':null}", "use_sliding_window is null"},
        {"{'model_type':'llama','attention_bias':null}", "attention_bias is null"},
        {"{'rope_interleave':1}", "rope_interleave"},
        {"{'partial_rotary_factor':'1'}", "partial_rotary_factor"},
        {"{'rms_norm_eps':-1}", "rms_norm_eps"},
        {"{'rope_scaling':{'type':'yarn','factor':4,'attn_factor':0}}", "attn_factor"},
        {"{'rope_scaling':{'type':'yarn','factor':4,'attn_factor':1e3}}", "attn_factor"},
        {"{'rope_scaling':{'type':'yarn','factor':4,'attn_factor':'1'}}", "attn_factor"},
        {"{'rope_scaling':{'rope_type':'llama3'}}", "factor"},
        {LLAMA3("0.5", "1", "4", "8192"), "factor"},
        {LLAMA3("1e7", "1", "4", "8192"), "factor"},
        {LLAMA3("'8'", "1", "4", "8192"), "factor"},
        {LLAMA3("8", "0", "4", "8192"), "low_freq_factor"},
        {LLAMA3("8", "null", "4", "8192"), "low_freq_factor"},
        {LLAMA3("8", "4", "4", "8192"), "high_freq_factor"},
        {LLAMA3("8", "1", "null", "8192"), "high_freq_factor"},
        {LLAMA3("8", "1", "1e7", "8192"), "high_freq_factor"},
        {LLAMA3("8", "1", "4", "null"), "original_max_position_embeddings"},
        {LLAMA3("8", "1", "4", "1e10"), "original_max_position_embeddings"},
    };
    char patch[128];
    (void)state;
    for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++)
        for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
            snprintf(patch, sizeof patch, "{'%s':%s}", keys[k], values[i]);
            refused(&(bad){patch, keys[k]}, 1, REMORA_E_FORMAT);
        }
    refused(cases, sizeof cases / sizeof cases[0], REMORA_E_FORMAT);
}

static void dense_families(void **state)
{
    rmr_shape s;
    (void)state;
    good("{}", &s);
    assert_string_equal(s.family, "qwen2");
    assert_int_equal(s.attention, RMR_ATTENTION_GQA);
    assert_int_equal(s.gqa.heads, 8);
    assert_int_equal(s.gqa.kv_heads, 2);
    assert_int_equal(s.gqa.head_dim, 128);
    assert_int_equal(rmr_shape_heads(&s), 8);
    assert_int_equal(rmr_shape_rope(&s), 128);
    assert_int_equal(s.mla.heads, 0);
    assert_true(s.qkv_bias && !s.out_bias && !s.head_norm && !s.tied);
    assert_int_equal(s.rope_pairs, RMR_ROPE_HALVES);
    assert_true(!rmr_shape_is_moe(&s, 0) && s.n_mtp == 0 && s.eps == 1e-5f);
    is_close(s.gqa.scale, 1 / sqrt(128));
    good("{'model_type':'qwen2','attention_bias':false,'layer_types':null}",
         &s); /* not its field */
    assert_true(s.qkv_bias && !s.out_bias);
    good("{'head_dim':null,'num_key_value_heads':null,'attention_bias':null,'n_group':null}", &s);
    assert_true(s.gqa.head_dim == 128 && s.gqa.kv_heads == 8);
    good("{'model_type':'llama'}", &s);
    assert_true(!s.qkv_bias && !s.out_bias && !s.head_norm);
    good("{'model_type':'llama','attention_bias':true,'rope_interleave':true,'sliding_window':null,"
         "'use_sliding_window':'absent','num_key_value_heads':'absent','tie_word_embeddings':true,"
         "'partial_rotary_factor':1.0}",
         &s);
    assert_true(s.qkv_bias && s.out_bias && s.tied);
    assert_int_equal(s.gqa.kv_heads, 8);
    assert_int_equal(s.rope_pairs, RMR_ROPE_INTERLEAVED);
    good("{'model_type':'qwen3','hidden_size':100,'use_sliding_window':'absent',"
         "'layer_types':['full_attention','full_attention','full_attention']}",
         &s);
    assert_true(!s.qkv_bias && s.head_norm);
    assert_int_equal(s.gqa.head_dim, 128); /* whatever the hidden size is */
    good("{'model_type':'qwen3','head_dim':64,'attention_bias':true}", &s);
    assert_true(s.qkv_bias && s.out_bias);
    assert_int_equal(s.gqa.head_dim, 64);
    is_close(s.gqa.scale, 1.0 / 8);
}

/* Frequencies of Llama-3.1, computed independently in double precision: theta 500000, heads of 128,
 * 8 / 1 / 4 / 8192. */
static void llama3_scaling(void **state)
{
    static const freq table[] = {{0, 1},
                                 {1, 8.146172339e-01},
                                 {10, 1.286873734e-01},
                                 {20, 1.656044008e-02},
                                 {28, 3.211445995e-03},
                                 {29, 2.166570764e-03},
                                 {30, 1.371893568e-03},
                                 {31, 8.567514129e-04},
                                 {32, 5.248461610e-04},
                                 {33, 3.126937504e-04},
                                 {34, 1.785078128e-04},
                                 {35, 9.556212354e-05},
                                 {36, 7.784655274e-05},
                                 {40, 3.428102196e-05},
                                 {63, 3.068925989e-07}};
    rmr_shape s;
    (void)state;
    good(LLAMA3("8.0", "1.0", "4.0", "8192"), &s);
    frequencies_are(&s, table, sizeof table / sizeof table[0]);
    is_close(s.rope_amp, 1);
    is_close(s.gqa.scale, 1 / sqrt(128));
}

/* Cos and sin grow, the softmax scale does not (docs/models.md T14). */
static void yarn_of_qwen(void **state)
{
#define YARN "'type':'yarn','factor':4.0,'original_max_position_embeddings':32768"
    const double one = 0.1 * log(4) + 1;
    rmr_shape s;
    (void)state;
    good("{'max_position_embeddings':40960,'rope_scaling':{" YARN "}}", &s);
    assert_int_equal(s.max_context, 131072); /* QwQ-32B's recipe */
    good("{'max_position_embeddings':131072,'rope_scaling':{" YARN "}}", &s);
    assert_int_equal(s.max_context, 131072);
    good("{'max_position_embeddings':268435456,'rope_scaling':{'type':'yarn','factor':4.0}}", &s);
    assert_int_equal(s.max_context, 268435456);
    good("{'rope_scaling':{" YARN "}}", &s);
    is_close(s.rope_amp, one);
    is_close(s.gqa.scale, 1 / sqrt(128));
    assert_true(s.inv_freq[0] == 1.0f);
    is_close(s.inv_freq[63], pow(500000, -126.0 / 128) / 4);
    good("{'rope_scaling':{" YARN ",'mscale':1.0,'mscale_all_dim':0.5}}", &s);
    is_close(s.gqa.scale, 1 / sqrt(128));
    is_close(s.rope_amp, one / (0.05 * log(4) + 1));
    good("{'rope_scaling':{" YARN ",'attn_factor':0.8782488562869419}}", &s);
    is_close(s.rope_amp, 1); /* R1-0528-Qwen3-8B */
    good("{'rope_scaling':{" YARN ",'attention_factor':1.5,'attn_factor':0.5}}", &s);
    is_close(s.rope_amp, 1.5);
#undef YARN
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unsupported_options),
        cmocka_unit_test(numbers_out_of_range),
        cmocka_unit_test(inconsistent_or_wrong),
        cmocka_unit_test(the_base_is_read),
        cmocka_unit_test(defaults_of_the_families),
        cmocka_unit_test(yarn_of_v3),
        cmocka_unit_test(yarn_of_kimi),
        cmocka_unit_test(plain_rope),
        cmocka_unit_test(linear_and_dynamic),
        cmocka_unit_test(yarn_without_truncate),
        cmocka_unit_test(nulls),
        cmocka_unit_test(yarn_amplitudes),
        cmocka_unit_test_setup_teardown(dense_options_unsupported, use_dense, use_base),
        cmocka_unit_test_setup_teardown(dense_numbers_wrong, use_dense, use_base),
        cmocka_unit_test_setup_teardown(dense_families, use_dense, use_base),
        cmocka_unit_test_setup_teardown(llama3_scaling, use_dense, use_base),
        cmocka_unit_test_setup_teardown(yarn_of_qwen, use_dense, use_base),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
