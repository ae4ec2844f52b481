/* SPDX-License-Identifier: Apache-2.0 */
/* The fingerprint of remora_model_info tells models apart by what is computed: by every number of
 * the configuration that matters, by the types of weights and by their values; and by nothing else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "host.h"
#include "tiny.h"

enum { PRINT = 32, BLOBS = 8 };

typedef struct print {
    uint8_t bytes[PRINT];
} print;

static print print_of(const remora_source *src)
{
    const remora_model_opts o = {.struct_size = sizeof o, .flags = REMORA_MODEL_NO_WEIGHTS};
    remora_error err = HOST_ERROR;
    remora_model_info i = {.struct_size = sizeof i};
    remora_model *m;
    print p;
    REQUIRE_OK(remora_model_open(NULL, src, &o, &m, &err), &err);
    REQUIRE_OK(remora_model_get_info(m, &i, NULL), NULL);
    memcpy(p.bytes, i.fingerprint, PRINT);
    remora_model_free(m);
    return p;
}

static int same(print a, print b)
{
    return memcmp(a.bytes, b.bytes, PRINT) == 0;
}

static print print_of_tiny(const tiny_opts *o)
{
    tiny t;
    tiny_make(&t, o);
    const print p = print_of(&t.source);
    tiny_free(&t);
    return p;
}

/* That of t with other bytes in one of its files. */
static print print_with(const tiny *t, const char *name, const void *data, size_t size)
{
    remora_blob blobs[BLOBS];
    remora_source src = t->source;
    for (uint64_t i = 0; i < t->n; i++) {
        blobs[i] = t->blobs[i];
        if (strcmp(blobs[i].name, name) == 0) blobs[i] = (remora_blob){name, data, size};
    }
    src.blobs = blobs;
    return print_of(&src);
}

static print print_with_config(const tiny *t, const char *from, const char *to)
{
    const remora_blob *config = tiny_blob(t, "config.json");
    char text[4096], changed[4096];
    REQUIRE(config->size < sizeof text);
    memcpy(text, config->data, config->size);
    text[config->size] = 0;
    const char *at = strstr(text, from);
    if (at == NULL) {
        print_error("config.json has no %s\n", from);
        abort();
    }
    const int n = snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - text), text, to,
                           at + strlen(from));
    REQUIRE(n > 0 && (size_t)n < sizeof changed);
    return print_with(t, "config.json", changed, (size_t)n);
}

typedef struct change {
    const char *from, *to;
    int matters;
} change;

static void expect_changes(const tiny_opts *o, const change *c, size_t n)
{
    tiny t;
    print all[16];
    tiny_make(&t, o);
    all[0] = print_of(&t.source);
    for (size_t i = 0; i < n; i++) {
        all[i + 1] = print_with_config(&t, c[i].from, c[i].to);
        if (same(all[0], all[i + 1]) == c[i].matters)
            fail_msg("%s instead of %s: %s", c[i].to, c[i].from,
                     c[i].matters ? "the same fingerprint" : "another fingerprint");
        for (size_t k = 1; k <= i && c[i].matters; k++)
            if (same(all[k], all[i + 1])) fail_msg("%s is as %s", c[i].to, c[k - 1].to);
    }
    tiny_free(&t);
}
#define EXPECT_CHANGES(o, list) expect_changes(o, list, sizeof list / sizeof list[0])

static void numbers_of_the_configuration(void **state)
{
    static const change v3[] = {
        {"\"rms_norm_eps\":1e-06", "\"rms_norm_eps\":2e-06", 1},
        {"\"rope_theta\":10000", "\"rope_theta\":20000", 1},
        {"\"num_experts_per_tok\":2", "\"num_experts_per_tok\":3", 1},
        {"\"topk_group\":2", "\"topk_group\":1", 1},
        {"\"n_group\":3", "\"n_group\":2", 1},
        {"\"norm_topk_prob\":true", "\"norm_topk_prob\":false", 1},
        {"\"routed_scaling_factor\":2.5", "\"routed_scaling_factor\":1.5", 1},
        {"\"factor\":4", "\"factor\":8", 1},
        {"\"beta_fast\":32", "\"beta_fast\":8", 1},
        {"\"mscale\":1.0", "\"mscale\":0.7", 1},
        {"\"mscale_all_dim\":1.0", "\"mscale_all_dim\":0.7", 1},
        {"\"mscale\":1.0,\"mscale_all_dim\":1.0", "\"mscale\":0.7,\"mscale_all_dim\":0.7", 1},
        {"\"hidden_act\":\"silu\"", "\"hidden_act\":\"silu\",\"_name_or_path\":\"x\"", 0},
        {"\"bos_token_id\":264", "\"bos_token_id\":7", 0},
        {",", " ,\n", 0},
    };
    static const change v2[] = {
        {"\"norm_topk_prob\":false", "\"norm_topk_prob\":true", 1},
        {"\"routed_scaling_factor\":1.0", "\"routed_scaling_factor\":16.0", 1},
        {"\"rope_theta\":10000", "\"rope_theta\":10001", 1},
    };
    static const change llama[] = {
        {"\"rms_norm_eps\":1e-05", "\"rms_norm_eps\":1e-06", 1},
        {"\"factor\":8.0", "\"factor\":4.0", 1},
        {"\"low_freq_factor\":1.0", "\"low_freq_factor\":2.0", 1},
        {"\"rope_interleave\":false", "\"rope_interleave\":true", 1},
        {"\"use_sliding_window\":false", "\"use_sliding_window\":null", 0},
    };
    (void)state;
    EXPECT_CHANGES(&(tiny_opts){.v2 = 0}, v3);
    EXPECT_CHANGES(&(tiny_opts){.v2 = 1}, v2);
    EXPECT_CHANGES(&(tiny_opts){.dense = "llama"}, llama);
}

/* The first value of a tensor, in the file. */
static size_t value_at(const remora_blob *file, const char *name)
{
    const char *const bytes = file->data;
    uint64_t header;
    char key[96], *text;
    unsigned long begin;
    memcpy(&header, bytes, sizeof header);
    text = malloc(header + 1);
    REQUIRE(text != NULL);
    memcpy(text, bytes + sizeof header, header);
    text[header] = 0;
    snprintf(key, sizeof key, "\"%s\":{", name);
    const char *at = strstr(text, key);
    if (at == NULL || (at = strstr(at, "\"data_offsets\":[")) == NULL) fail_msg("no %s", name);
    REQUIRE(sscanf(at, "\"data_offsets\":[%lu", &begin) == 1);
    free(text);
    return sizeof header + (size_t)header + begin;
}

static void values_of_weights(void **state)
{
    static const char *const names[] = {"model.embed_tokens.weight",
                                        "lm_head.weight",
                                        "model.norm.weight",
                                        "model.layers.0.input_layernorm.weight",
                                        "model.layers.1.self_attn.q_a_proj.weight",
                                        "model.layers.2.self_attn.kv_b_proj.weight",
                                        "model.layers.2.mlp.gate.weight",
                                        "model.layers.1.mlp.gate.e_score_correction_bias",
                                        "model.layers.1.mlp.experts.0.up_proj.weight",
                                        "model.layers.1.mlp.shared_experts.down_proj.weight"};
    enum { N = sizeof names / sizeof names[0] };
    tiny t;
    print all[N + 1];
    (void)state;
    tiny_make(&t, NULL);
    const remora_blob *file = tiny_blob(&t, "model.safetensors");
    unsigned char *copy = malloc(file->size);
    assert_non_null(copy);
    memcpy(copy, file->data, file->size);
    all[N] = print_of(&t.source);
    for (int i = 0; i < N; i++) {
        const size_t at = value_at(file, names[i]);
        copy[at] ^= 1;
        all[i] = print_with(&t, "model.safetensors", copy, file->size);
        copy[at] ^= 1;
        if (same(all[i], all[N])) fail_msg("%s does not count", names[i]);
        for (int k = 0; k < i; k++) assert_false(same(all[k], all[i]));
    }
    free(copy);
    tiny_free(&t);
}

static void other_models(void **state)
{
    static const tiny_opts kinds[] = {{.v2 = 0},
                                      {.v2 = 1},
                                      {.dtype = "F32"},
                                      {.dtype = "F16"},
                                      {.layers = 4},
                                      {.width = 48},
                                      {.vocab = 280},
                                      {.dense = "llama"},
                                      {.dense = "qwen2"},
                                      {.dense = "qwen3"},
                                      {.dense = "llama", .interleave = 1}};
    enum { N = sizeof kinds / sizeof kinds[0] };
    print all[N];
    (void)state;
    for (int i = 0; i < N; i++) {
        all[i] = print_of_tiny(&kinds[i]);
        for (int k = 0; k < i; k++)
            if (same(all[k], all[i])) fail_msg("models %d and %d have one fingerprint", k, i);
    }
}

/* In which form a model is published, and what it takes text with. */
static void the_same_model(void **state)
{
    static const tiny_opts kinds[] = {
        {.form = TINY_BARE}, {.form = TINY_SEES}, {.no_tokenizer = 1}, {.advice = 1}};
    const print plain = print_of_tiny(NULL);
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (!same(plain, print_of_tiny(&kinds[i]))) fail_msg("model %zu is not the plain one", i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_of_the_configuration), cmocka_unit_test(values_of_weights),
        cmocka_unit_test(other_models), cmocka_unit_test(the_same_model)};
    return cmocka_run_group_tests_name("fingerprint", tests, NULL, NULL);
}
