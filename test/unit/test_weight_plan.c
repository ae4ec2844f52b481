/* SPDX-License-Identifier: Apache-2.0 */
/* What the checkpoint must hold for its config.json: tensors missing, in excess, of the wrong shape
 * or type, each named in the message; and what may be there without harm. A tiny model's header is
 * edited in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "host.h"
#include "tiny.h"

/* A tiny model taken apart: its two files as JSON and data. */
typedef struct edit {
    tiny made;
    json_t *config, *header;
    const char *data;
    size_t n_data;
    char *extra; /* more data behind it, zeros */
    size_t n_extra;
} edit;

static void edit_begin(edit *e, const tiny_opts *o)
{
    uint64_t n;
    memset(e, 0, sizeof *e);
    tiny_make(&e->made, o);
    const remora_blob *c = tiny_blob(&e->made, "config.json"),
                      *w = tiny_blob(&e->made, "model.safetensors");
    memcpy(&n, w->data, 8);
    e->config = json_loadb(c->data, (size_t)c->size, 0, NULL);
    e->header = json_loadb((const char *)w->data + 8, (size_t)n, 0, NULL);
    e->data = (const char *)w->data + 8 + n;
    e->n_data = (size_t)(w->size - 8 - n);
    assert_true(e->config != NULL && e->header != NULL);
}

static void edit_end(edit *e)
{
    json_decref(e->config);
    json_decref(e->header);
    tiny_free(&e->made);
}

static uint64_t last_n_params; /* of the last model that opened */

/* Open what the edit has become. */
static remora_status open_edited(const edit *e, remora_runtime *rt, uint32_t flags,
                                 remora_error *err)
{
    char *config = json_dumps(e->config, 0), *header = json_dumps(e->header, JSON_COMPACT);
    const uint64_t n = strlen(header);
    const size_t size = 8 + (size_t)n + e->n_data + e->n_extra;
    char *file = calloc(1, size);
    const remora_model_opts o = {.struct_size = sizeof o, .flags = flags};
    assert_true(config != NULL && file != NULL);
    memcpy(file, &n, 8);
    memcpy(file + 8, header, (size_t)n);
    memcpy(file + 8 + n, e->data, e->n_data);
    const remora_blob blobs[] = {{"config.json", config, strlen(config)},
                                 {"model.safetensors", file, size}};
    const remora_source src = {
        .struct_size = sizeof src, .kind = REMORA_SOURCE_MEMORY, .blobs = blobs, .n_blobs = 2};
    remora_model *opened = NULL;
    const remora_status st = remora_model_open(rt, &src, &o, &opened, err);
    if (st >= 0) {
        remora_model_info info = {.struct_size = sizeof info};
        assert_int_equal(remora_model_get_info(opened, &info, NULL), REMORA_OK);
        last_n_params = info.n_params;
    }
    remora_model_free(opened); /* the blobs go */
    free(config);
    free(header);
    free(file);
    return st;
}

static void expect(const edit *e, remora_status status, const char *named)
{
    for (uint32_t flags = 0; flags <= REMORA_MODEL_NO_WEIGHTS; flags += REMORA_MODEL_NO_WEIGHTS) {
        remora_error err = {.struct_size = sizeof err};
        const remora_status st = open_edited(e, NULL, flags, &err);
        if (st != status) fail_msg("%s: status %d (%s)", named, st, err.message);
        if (status < 0 && strstr(err.message, named) == NULL)
            fail_msg("%s is not in: %s", named, err.message);
    }
}

static void rename_tensor(edit *e, const char *from, const char *to)
{
    json_t *t = json_object_get(e->header, from);
    if (t == NULL) fail_msg("the tiny model has no %s", from);
    json_object_set(e->header, to, t);
    json_object_del(e->header, from);
}

static void add_tensor(edit *e, const char *name, const char *dtype, size_t rows, size_t cols,
                       size_t elem)
{
    const size_t from = e->n_data + e->n_extra;
    e->n_extra += rows * cols * elem;
    json_object_set_new(e->header, name,
                        json_pack("{s:s, s:[I,I], s:[I,I]}", "dtype", dtype, "shape",
                                  (json_int_t)rows, (json_int_t)cols, "data_offsets",
                                  (json_int_t)from, (json_int_t)(e->n_data + e->n_extra)));
}

static const tiny_opts v3 = {.no_tokenizer = 1}, v2 = {.no_tokenizer = 1, .v2 = 1},
                       llama = {.no_tokenizer = 1, .dense = "llama"},
                       qwen2 = {.no_tokenizer = 1, .dense = "qwen2"},
                       qwen3 = {.no_tokenizer = 1, .dense = "qwen3"};
static const tiny_opts *const kinds[] = {&v3, &v2, &llama, &qwen2, &qwen3};
enum { N_KINDS = sizeof kinds / sizeof kinds[0] };

/* ---- tests ---- */

static void unedited_models_open(void **state)
{
    static const tiny_opts forms[] = {{.no_tokenizer = 1, .form = TINY_BARE},
                                      {.no_tokenizer = 1, .form = TINY_SEES},
                                      {.no_tokenizer = 1, .form = TINY_FUSED}};
    (void)state;
    for (size_t i = 0; i < N_KINDS + sizeof forms / sizeof forms[0]; i++) {
        edit e;
        edit_begin(&e, i < N_KINDS ? kinds[i] : &forms[i - N_KINDS]);
        expect(&e, REMORA_OK, "");
        edit_end(&e);
    }
}

/* Each tensor in turn has another name. */
static void each_tensor_is_needed(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_KINDS; i++) {
        edit e;
        const char *key;
        json_t *t;
        edit_begin(&e, kinds[i]);
        json_t *all = json_deep_copy(e.header);
        json_object_foreach(all, key, t)
        {
            char other[256];
            snprintf(other, sizeof other, "%s_", key);
            rename_tensor(&e, key, other);
            expect(&e, REMORA_E_FORMAT, key);
            rename_tensor(&e, other, key);
        }
        json_decref(all);
        edit_end(&e);
    }
}

/* Each tensor in turn has its dimensions the other way round, one more, or both in one. */
static void each_shape_is_checked(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_KINDS; i++) {
        edit e;
        const char *key;
        json_t *t;
        edit_begin(&e, kinds[i]);
        json_object_foreach(e.header, key, t)
        {
            json_t *shape = json_incref(json_object_get(t, "shape"));
            const json_int_t a = json_integer_value(json_array_get(shape, 0));
            const json_int_t b = json_integer_value(json_array_get(shape, 1));
            if (json_array_size(shape) == 2) {
                json_object_set_new(t, "shape", json_pack("[I]", a * b));
                expect(&e, REMORA_E_FORMAT, key);
                json_object_set_new(t, "shape", json_pack("[I,I,I]", (json_int_t)1, a, b));
                expect(&e, REMORA_E_FORMAT, key);
                json_object_set_new(t, "shape", json_pack("[I,I]", b, a));
                if (a != b) expect(&e, REMORA_E_FORMAT, key);
            } else {
                json_object_set_new(t, "shape", json_pack("[I,I]", (json_int_t)1, a));
                expect(&e, REMORA_E_FORMAT, key);
                json_object_set_new(t, "shape", json_pack("[I,I]", a, (json_int_t)1));
                expect(&e, REMORA_E_FORMAT, key);
            }
            json_object_set_new(t, "shape", shape);
        }
        edit_end(&e);
    }
}

/* The config means other shapes than the file has. */
static void each_size_of_the_config_counts(void **state)
{
    static const char *const fields[] = {
        "hidden_size",           "vocab_size",       "kv_lora_rank",     "qk_nope_head_dim",
        "qk_rope_head_dim",      "v_head_dim",       "q_lora_rank",      "intermediate_size",
        "moe_intermediate_size", "n_routed_experts", "num_hidden_layers"};
    (void)state;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        for (int more = 2; more <= 6; more += 4) { /* 6 more experts still make groups of three */
            edit e;
            edit_begin(&e, &v3);
            const json_int_t v = json_integer_value(json_object_get(e.config, fields[i]));
            json_object_set_new(
                e.config, fields[i],
                json_integer(v + (strcmp(fields[i], "n_routed_experts") == 0 ? 3 : more)));
            expect(&e, REMORA_E_FORMAT, "");
            edit_end(&e);
        }
    }
}

static void each_size_of_a_dense_config_counts(void **state)
{
    static const struct {
        const char *field;
        json_int_t value;
    } cases[] = {{"hidden_size", 42},        {"vocab_size", 274},        {"head_dim", 10},
                 {"head_dim", 14},           {"head_dim", 24},           {"num_attention_heads", 4},
                 {"num_attention_heads", 8}, {"num_key_value_heads", 1}, {"num_key_value_heads", 3},
                 {"num_key_value_heads", 6}, {"intermediate_size", 50},  {"num_hidden_layers", 4}};
    (void)state;
    for (size_t k = 2; k < N_KINDS; k++)
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            edit e;
            edit_begin(&e, kinds[k]);
            json_object_set_new(e.config, cases[i].field, json_integer(cases[i].value));
            expect(&e, REMORA_E_FORMAT, "tensor");
            edit_end(&e);
        }
}

/* Biases and norms that the family or the config does not have, or has and the file does not. */
static void biases_are_as_the_config_says(void **state)
{
    static const struct {
        const tiny_opts *kind;
        const char *extra;
    } cases[] = {{&qwen2, "model.layers.1.self_attn.o_proj.bias"},
                 {&qwen2, "model.layers.1.self_attn.q_norm.weight"},
                 {&qwen3, "model.layers.0.self_attn.q_proj.bias"},
                 {&llama, "model.layers.0.self_attn.k_norm.weight"},
                 {&llama, "model.layers.0.mlp.up_proj.bias"},
                 {&llama, "model.layers.0.self_attn.kv_b_proj.weight"}};
    edit e;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        edit_begin(&e, cases[i].kind);
        add_tensor(&e, cases[i].extra, "BF16", 3, 5, 2);
        expect(&e, REMORA_E_UNSUPPORTED, cases[i].extra);
        edit_end(&e);
    }
    edit_begin(&e, &llama);
    json_object_set_new(e.config, "attention_bias", json_false());
    expect(&e, REMORA_E_UNSUPPORTED, "self_attn.k_proj.bias");
    edit_end(&e);
    edit_begin(&e, &qwen3);
    json_object_set_new(e.config, "attention_bias", json_true());
    expect(&e, REMORA_E_FORMAT, "model.layers.0.self_attn.q_proj.bias");
    edit_end(&e);
}

static void unknown_tensors_are_refused(void **state)
{
    static const char *const names[] = {
        "model.layers.0.self_attn.indexer.wk.weight",
        "model.layers.1.mlp.gate.weight_scale_inv",
        "model.layers.3.input_layernorm.weight", /* a fourth layer */
        "model.layers.1.mlp.experts.6.up_proj.weight",
        "vision.proj.weight",
        "model.layers.1.self_attn.q_proj.bias",
        "model.layers.01.extra",
        "model.layers.x",
        "lm_head.bias",
        ""};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        edit e;
        edit_begin(&e, &v3);
        add_tensor(&e, names[i], "BF16", 3, 5, 2);
        expect(&e, REMORA_E_UNSUPPORTED, names[i]);
        edit_end(&e);
    }
}

/* Stored rope tables and the scales of activations and caches: no parameters. */
static void known_extras_are_left_alone(void **state)
{
    static const char *const names[] = {
        "model.layers.0.self_attn.rotary_emb.inv_freq",
        "model.rotary_emb.inv_freq",
        "rotary_emb.inv_freq",
        "model.layers.0.self_attn.k_scale",
        "model.layers.0.self_attn.v_scale",
        "model.layers.0.self_attn.k_proj.k_scale",
        "model.layers.1.self_attn.attn.q_scale",
        "model.layers.1.self_attn.kv_scale",
        "model.layers.1.self_attn.prob_scale",
        "model.layers.1.self_attn.o_proj.input_scale",
        "model.layers.1.self_attn.o_proj.output_scale",
        "model.layers.2.mlp.experts.3.up_proj.input_scale",
        "model.layers.2.mlp.experts.3.up_proj.activation_scale",
        "model.layers.2.mlp.experts.gate_up_proj_activation_scale",
    };
    edit e;
    (void)state;
    edit_begin(&e, &v3);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        add_tensor(&e, names[i], "F32", 1, 4, 4);
    expect(&e, REMORA_OK, "");
    assert_int_equal(last_n_params, e.n_data / 2); /* bf16 */
    edit_end(&e);
}

/* Layers behind the last one that have what only prediction layers have, counted by the config or
 * not; a layer without is one too many, whatever the config counts. */
static void prediction_layers_are_left_alone(void **state)
{
    static const char *const only[] = {"eh_proj", "enorm", "hnorm", "shared_head.norm"};
    (void)state;
    for (size_t i = 0; i < sizeof only / sizeof only[0]; i++) {
        edit e;
        char name[80];
        edit_begin(&e, &v3);
        expect(&e, REMORA_OK, "");
        const uint64_t params = last_n_params;
        add_tensor(&e, "model.layers.3.input_layernorm.weight", "BF16", 3, 5, 2);
        expect(&e, REMORA_E_UNSUPPORTED, "model.layers.3.input_layernorm.weight");
        json_object_set_new(e.config, "num_nextn_predict_layers", json_integer(1));
        expect(&e, REMORA_E_UNSUPPORTED, "model.layers.3.input_layernorm.weight");
        snprintf(name, sizeof name, "model.layers.3.%s.weight", only[i]);
        add_tensor(&e, name, "BF16", 3, 5, 2);
        expect(&e, REMORA_OK, "");
        assert_int_equal(last_n_params, params + 30);
        json_object_set_new(e.config, "num_nextn_predict_layers", json_integer(0));
        expect(&e, REMORA_OK, "");
        json_object_del(e.config, "num_nextn_predict_layers");
        expect(&e, REMORA_OK, "");
        snprintf(name, sizeof name, "model.layers.4.%s.weight", only[i]); /* a second one */
        add_tensor(&e, name, "BF16", 3, 5, 2);
        add_tensor(&e, "mtp.0.eh_proj.weight", "BF16", 3, 5, 2);
        add_tensor(&e, "model.mtp.layers.0.eh_proj.weight", "BF16", 3, 5, 2);
        expect(&e, REMORA_OK, "");
        assert_int_equal(last_n_params, params + 75);
        snprintf(name, sizeof name, "model.layers.2.%s.weight", only[i]); /* a main layer's */
        add_tensor(&e, name, "BF16", 3, 5, 2);
        expect(&e, REMORA_E_UNSUPPORTED, name);
        edit_end(&e);
    }
}

/* All names as another kind of checkpoint has them. */
static void respell(edit *e, const char *body, const char *rest)
{
    const char *key;
    json_t *t, *out = json_object();
    json_object_foreach(e->header, key, t)
    {
        char name[256];
        const int in = strncmp(key, "model.", 6) == 0;
        snprintf(name, sizeof name, "%s%s", in ? body : rest, in ? key + 6 : key);
        json_object_set(out, name, t);
    }
    json_decref(e->header);
    e->header = out;
}

static const struct {
    const char *body, *rest, *other; /* the last: a tensor for images, where there may be one */
} spellings[] = {
    {"", "", NULL},
    {"language_model.model.", "language_model.", "vision_tower.encoder.blocks.0.wqkv.weight"},
    {"language_model.model.", "language_model.", "mm_projector.proj.0.weight"},
    {"model.language_model.", "", "model.visual.blocks.0.attn.qkv.weight"},
    {"language.model.", "language.", "image_newline"},
};

static void names_are_spelt_in_several_ways(void **state)
{
    (void)state;
    for (size_t k = 0; k < N_KINDS; k++)
        for (size_t i = 0; i < sizeof spellings / sizeof spellings[0]; i++) {
            char name[128];
            edit e;
            edit_begin(&e, kinds[k]);
            expect(&e, REMORA_OK, "");
            const uint64_t params = last_n_params;
            respell(&e, spellings[i].body, spellings[i].rest);
            expect(&e, REMORA_OK, "");
            assert_int_equal(last_n_params, params);
            /* missing and in excess, by the names that are in the file */
            snprintf(name, sizeof name, "%snorm.weight", spellings[i].body);
            rename_tensor(&e, name, "lm_head.other");
            expect(&e, REMORA_E_FORMAT, name);
            rename_tensor(&e, "lm_head.other", name);
            snprintf(name, sizeof name, "%slayers.0.self_attn.x.weight", spellings[i].body);
            add_tensor(&e, name, "BF16", 3, 5, 2);
            expect(&e, REMORA_E_UNSUPPORTED, name);
            json_object_del(e.header, name);
            e.n_extra = 0;
            snprintf(name, sizeof name, "%slm_head.bias", spellings[i].rest);
            add_tensor(&e, name, "BF16", 3, 5, 2);
            expect(&e, REMORA_E_UNSUPPORTED, name);
            json_object_del(e.header, name);
            e.n_extra = 0;
            snprintf(name, sizeof name, "%slayers.3.eh_proj.weight", spellings[i].body);
            add_tensor(&e, name, "BF16", 3, 5, 2);
            expect(&e, REMORA_OK, "");
            edit_end(&e);
        }
}

typedef struct lines {
    char text[1024];
} lines;

static void REMORA_CALL add_line(void *user, int32_t level, const char *msg, size_t len)
{
    lines *l = user;
    const size_t n = strlen(l->text);
    if (level == REMORA_LOG_WARN)
        snprintf(l->text + n, sizeof l->text - n, "%.*s\n", (int)len, msg);
}

static void expect_warning(const edit *e, const char *named)
{
    lines log = {0};
    const remora_runtime_opts o = {.struct_size = sizeof o,
                                   .n_threads = 1,
                                   .log_user = &log,
                                   .log = add_line,
                                   .log_level = REMORA_LOG_INFO};
    remora_runtime *rt = NULL;
    remora_error err = HOST_ERROR;
    REQUIRE_OK(remora_runtime_create(&o, &rt, &err), &err);
    REQUIRE_OK(open_edited(e, rt, 0, &err), &err);
    if (strstr(log.text, named) == NULL) fail_msg("%s is not in: %s", named, log.text);
    remora_runtime_free(rt);
}

/* A model with images: its text model's configuration is inside of config.json, its other parts'
 * tensors are passed over, and a warning says so. */
static void the_text_part_of_a_larger_model(void **state)
{
    static const char *const keys[] = {"text_config", "language_config", "llm_config"};
    (void)state;
    for (size_t i = 1; i < sizeof spellings / sizeof spellings[0]; i++)
        for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
            edit e;
            edit_begin(&e, &v3);
            respell(&e, spellings[i].body, spellings[i].rest);
            json_t *text = e.config;
            e.config = json_pack("{s:s, s:O, s:{s:s}}", "model_type", "kimi_k25", keys[k], text,
                                 "vision_config", "model_type", "moonvit");
            add_tensor(&e, spellings[i].other, "F32", 3, 5, 4);
            expect(&e, REMORA_OK, "");
            assert_int_equal(last_n_params, e.n_data / 2);
            expect_warning(&e, spellings[i].other);
            /* what is wrong inside is said to be there; what is around it counts */
            json_t *hidden = json_incref(json_object_get(text, "hidden_size"));
            json_object_del(text, "hidden_size");
            expect(&e, REMORA_E_FORMAT, keys[k]);
            json_object_set_new(text, "hidden_size", hidden);
            json_object_set_new(e.config, "quantization_config",
                                json_pack("{s:s}", "quant_method", "awq"));
            expect(&e, REMORA_E_UNSUPPORTED, "awq");
            json_object_set_new(e.config, "quantization", json_pack("{s:i}", "bits", 4));
            expect(&e, REMORA_E_UNSUPPORTED, "MLX");
            json_object_set_new(e.config, keys[k], json_string("none"));
            expect(&e, REMORA_E_FORMAT, keys[k]);
            json_decref(text);
            edit_end(&e);
        }
}

static void types_that_are_read(void **state)
{
    static const struct {
        const char *dtype;
        remora_status status;
    } cases[] = {{"F16", REMORA_OK}, {"I16", REMORA_E_UNSUPPORTED}, {"U16", REMORA_E_UNSUPPORTED}};
    static const char *const names[] = {
        "model.embed_tokens.weight", "model.layers.1.self_attn.kv_b_proj.weight",
        "model.layers.1.mlp.gate.e_score_correction_bias", "model.norm.weight",
        "model.layers.2.mlp.shared_experts.up_proj.weight"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
            edit e;
            edit_begin(&e, &v3);
            json_object_set_new(json_object_get(e.header, names[i]), "dtype",
                                json_string(cases[k].dtype));
            expect(&e, cases[k].status, names[i]);
            edit_end(&e);
        }
    }
    /* experts are stacked: all of one type */
    edit e;
    edit_begin(&e, &v3);
    json_object_set_new(json_object_get(e.header, "model.layers.1.mlp.experts.4.up_proj.weight"),
                        "dtype", json_string("F16"));
    expect(&e, REMORA_E_UNSUPPORTED, "model.layers.1.mlp.experts.4.up_proj.weight");
    edit_end(&e);
}

/* Experts of one layer in two tensors, as transformers 5 has them. */
static void fused_experts(void **state)
{
    const size_t experts = 6, inner = 16, hidden = 40;
    static const char gate_up[] = "model.layers.1.mlp.experts.gate_up_proj",
                      down[] = "model.layers.1.mlp.experts.down_proj";
    static const char *const projections[] = {"gate_proj", "up_proj", "down_proj"};
    edit e;
    (void)state;
    edit_begin(&e, &v3);
    expect(&e, REMORA_OK, "");
    const uint64_t params = last_n_params;
    for (size_t i = 0; i < 3 * experts; i++) { /* what they replace lies somewhere */
        char from[80], to[80];
        snprintf(from, sizeof from, "model.layers.1.mlp.experts.%zu.%s.weight", i / 3,
                 projections[i % 3]);
        snprintf(to, sizeof to, "mtp.%zu.%s.weight", i / 3, projections[i % 3]);
        rename_tensor(&e, from, to);
    }
    add_tensor(&e, gate_up, "BF16", experts * 2 * inner, hidden, 2);
    expect(&e, REMORA_E_FORMAT, down);
    add_tensor(&e, down, "BF16", experts * hidden, inner, 2);
    expect(&e, REMORA_OK, "");
    assert_int_equal(last_n_params, params + experts * 3 * inner * hidden);
    json_t *shape = json_object_get(json_object_get(e.header, gate_up), "shape");
    json_array_clear(shape);
    json_array_append_new(shape, json_integer((json_int_t)experts));
    json_array_append_new(shape, json_integer((json_int_t)(2 * inner)));
    json_array_append_new(shape, json_integer((json_int_t)hidden));
    expect(&e, REMORA_OK, "");
    json_array_set_new(shape, 1, json_integer((json_int_t)hidden)); /* transposed, as others do */
    json_array_set_new(shape, 2, json_integer((json_int_t)(2 * inner)));
    expect(&e, REMORA_E_FORMAT, gate_up);
    edit_end(&e);
}

/* A tied head is the embedding; one that is stored all the same is used. */
static void tied_head(void **state)
{
    edit e;
    (void)state;
    edit_begin(&e, &v3);
    json_object_set_new(e.config, "tie_word_embeddings", json_true());
    expect(&e, REMORA_OK, "");
    rename_tensor(&e, "lm_head.weight", "model.layers.9.self_attn.rotary_emb.inv_freq");
    expect(&e, REMORA_OK, "");
    json_object_set_new(e.config, "tie_word_embeddings", json_false());
    expect(&e, REMORA_E_FORMAT, "lm_head.weight");
    edit_end(&e);
}

/* A value that is not finite, in each tensor in turn, by every way in: named when the model is
 * opened and when it is converted, also where the tensor would be used as it lies in memory. */
static void weights_that_are_not_finite(void **state)
{
    static const uint16_t bad[] = {0x7fc0, 0x7f80, 0xff80}; /* bf16: NaN and the infinities */
    (void)state;
    for (size_t k = 0; k < N_KINDS; k++) {
        edit e;
        size_t n = 0;
        const char *key;
        json_t *t;
        edit_begin(&e, kinds[k]);
        json_object_foreach(e.header, key, t)
        {
            const json_int_t end =
                json_integer_value(json_array_get(json_object_get(t, "data_offsets"), 1));
            uint16_t *last = (uint16_t *)(uintptr_t)(e.data + end - 2), was;
            memcpy(&was, last, 2);
            memcpy(last, &bad[n++ % 3], 2);
            for (uint32_t flags = 0; flags <= REMORA_MODEL_NO_MMAP; flags += REMORA_MODEL_NO_MMAP) {
                remora_error err = HOST_ERROR;
                assert_int_equal(open_edited(&e, NULL, flags, &err), REMORA_E_FORMAT);
                if (strstr(err.message, key) == NULL) fail_msg("no %s in: %s", key, err.message);
            }
            remora_error err = HOST_ERROR;
            assert_int_equal(
                remora_convert(NULL, &e.made.source, "/tmp/remora-not-finite.remora", NULL, &err),
                REMORA_E_FORMAT);
            if (strstr(err.message, key) == NULL) fail_msg("no %s in: %s", key, err.message);
            memcpy(last, &was, 2);
        }
        expect(&e, REMORA_OK, "");
        edit_end(&e);
    }
}

/* Numbers that ask for tables of more tensors than the file has must not size anything. */
static void huge_counts_cost_nothing(void **state)
{
    edit e;
    tmem t = {0};
    remora_error err = {.struct_size = sizeof err};
    (void)state;
    edit_begin(&e, &v3);
    json_object_set_new(e.config, "n_group", json_integer(1));
    json_object_set_new(e.config, "topk_group", json_integer(1));
    json_object_set_new(e.config, "n_routed_experts", json_integer(65536));
    json_object_set_new(e.config, "num_hidden_layers", json_integer(1024));
    remora_runtime *rt = host_runtime(&t, 1, NULL);
    assert_int_equal(open_edited(&e, rt, 0, &err), REMORA_E_FORMAT);
    remora_runtime_free(rt);
    assert_true(atomic_load(&t.peak) < 16 << 20);
    assert_int_equal(atomic_load(&t.blocks), 0);
    edit_end(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unedited_models_open),
        cmocka_unit_test(each_tensor_is_needed),
        cmocka_unit_test(each_shape_is_checked),
        cmocka_unit_test(each_size_of_the_config_counts),
        cmocka_unit_test(each_size_of_a_dense_config_counts),
        cmocka_unit_test(biases_are_as_the_config_says),
        cmocka_unit_test(unknown_tensors_are_refused),
        cmocka_unit_test(known_extras_are_left_alone),
        cmocka_unit_test(prediction_layers_are_left_alone),
        cmocka_unit_test(names_are_spelt_in_several_ways),
        cmocka_unit_test(the_text_part_of_a_larger_model),
        cmocka_unit_test(types_that_are_read),
        cmocka_unit_test(fused_experts),
        cmocka_unit_test(tied_head),
        cmocka_unit_test(weights_that_are_not_finite),
        cmocka_unit_test(huge_counts_cost_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
