/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations as people have them, through the public header: a tiny model whose JSON files are
 * changed here and there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "host.h"
#include "tiny.h"

#define NO_SCALING "\"rope_scaling\":null"

enum { N_IDS = 24, MAX_BLOBS = 6 };

typedef struct world {
    tiny t;
    remora_blob blobs[MAX_BLOBS];
    char *texts[MAX_BLOBS]; /* that are not the tiny model's */
    remora_source src;
    remora_runtime *rt;
    int warnings;
    char warning[240];
} world;

static void REMORA_CALL on_log(void *user, int32_t level, const char *msg, size_t len)
{
    world *w = user;
    if (level != REMORA_LOG_WARN || len >= sizeof w->warning) return;
    memcpy(w->warning, msg, len + 1);
    w->warnings++;
}

static int begin(void **state)
{
    world *w = calloc(1, sizeof *w);
    const remora_runtime_opts o = {.struct_size = sizeof o,
                                   .n_threads = 1,
                                   .log = on_log,
                                   .log_user = w,
                                   .log_level = REMORA_LOG_WARN};
    tiny_make(&w->t, &(tiny_opts){.v2 = 1});
    memcpy(w->blobs, w->t.blobs, sizeof w->t.blobs);
    w->src = w->t.source;
    w->src.blobs = w->blobs;
    assert_int_equal(remora_runtime_create(&o, &w->rt, NULL), REMORA_OK);
    *state = w;
    return 0;
}

static int end(void **state)
{
    world *w = *state;
    for (int i = 0; i < MAX_BLOBS; i++) free(w->texts[i]);
    remora_runtime_free(w->rt);
    tiny_free(&w->t);
    free(w);
    return 0;
}

/* The file `name`, which is made where there is none, with `to` in place of its first `from`. */
static void change(world *w, const char *name, const char *from, const char *to)
{
    uint64_t i = 0;
    while (i < w->src.n_blobs && strcmp(w->blobs[i].name, name) != 0) i++;
    if (i == w->src.n_blobs) w->blobs[w->src.n_blobs++] = (remora_blob){name, "{\"last\":0}", 10};
    const size_t size = (size_t)w->blobs[i].size, room = size + strlen(to) + 1;
    char *old = calloc(1, size + 1), *text = malloc(room);
    memcpy(old, w->blobs[i].data, size);
    const char *at = strstr(old, from);
    assert_non_null(at);
    const int n = snprintf(text, room, "%.*s%s%s", (int)(at - old), old, to, at + strlen(from));
    free(old);
    free(w->texts[i]);
    w->texts[i] = text;
    w->blobs[i].data = text;
    w->blobs[i].size = (uint64_t)n;
}

static float *logits(world *w)
{
    remora_token ids[N_IDS];
    remora_model *m = host_open(w->rt, &w->src);
    host_ids(ids, N_IDS, host_vocab(m), 7);
    float *out = host_logits(m, ids, N_IDS);
    remora_model_free(m);
    return out;
}

static void must_fail(const world *w, remora_status st, const char *word)
{
    remora_error err = HOST_ERROR;
    remora_model *m = NULL;
    const remora_status got = remora_model_open(w->rt, &w->src, NULL, &m, &err);
    if (got != st || strstr(err.message, word) == NULL)
        fail_msg("status %d: %s (want %s)", got, err.message, word);
}

/* transformers writes int(1e30) for "no limit", and bare NaN and Infinity: in every JSON file they
 * are passed over where nobody reads the field. */
static void numbers_out_of_reach(void **state)
{
    static const char more[] = "{\"model_max_length\":1000000000000000019884624838656,\"x\":NaN,"
                               "\"y\":[Infinity,{\"z\":-Infinity}],\"w\":1e400,";
    static const char *const files[] = {"config.json", "tokenizer.json", "tokenizer_config.json",
                                        "generation_config.json"};
    world *w = *state;
    remora_model_info info = {.struct_size = sizeof info};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) change(w, files[i], "{", more);
    remora_model *m = host_open(w->rt, &w->src);
    assert_int_equal(remora_model_get_info(m, &info, NULL), REMORA_OK);
    assert_int_equal(info.has_tokenizer, 1);
    remora_model_free(m);
    assert_int_equal(w->warnings, 0);
}

/* In one that is read they name the field. */
static void numbers_that_are_read(void **state)
{
    world *w = *state;
    change(w, "config.json", "{", "{\"num_nextn_predict_layers\":1e400,");
    must_fail(w, REMORA_E_FORMAT,
              "config.json: num_nextn_predict_layers is NaN, infinite or outside 64 bits");
}

/* A rope_scaling beside the rope_parameters of transformers 5 is the one that counts. */
static void scaling_beside_parameters(void **state)
{
#define YARN                                                                                       \
    "\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4,\"original_max_position_embeddings\":64,"    \
    "\"mscale\":1.0,\"mscale_all_dim\":1.0}"
    world *w = *state;
    const size_t bytes = N_IDS * TINY_TEXT_VOCAB * sizeof(float);
    float *plain = logits(w);
    change(w, "config.json", NO_SCALING, YARN);
    float *scaled = logits(w);
    change(w, "config.json", "{", "{\"rope_parameters\":{\"rope_type\":\"default\"},");
    float *both = logits(w);
    assert_memory_not_equal(plain, scaled, bytes);
    assert_memory_equal(scaled, both, bytes);
    free(plain);
    free(scaled);
    free(both);
#undef YARN
}

static void scaling_without_a_type(void **state)
{
    world *w = *state;
    change(w, "config.json", NO_SCALING, "\"rope_scaling\":{\"factor\":4}");
    must_fail(w, REMORA_E_FORMAT, "config.json: rope_scaling has factor and no rope_type");
}

/* dynamic is no scaling as far as the model opens, and says that it ends there. */
static void dynamic(void **state)
{
    world *w = *state;
    const size_t bytes = N_IDS * TINY_TEXT_VOCAB * sizeof(float);
    float *plain = logits(w);
    assert_int_equal(w->warnings, 0);
    change(w, "config.json", NO_SCALING, "\"rope_scaling\":{\"type\":\"dynamic\",\"factor\":4}");
    float *same = logits(w);
    assert_memory_equal(plain, same, bytes);
    assert_int_equal(w->warnings, 1);
    assert_non_null(strstr(w->warning, "max_context is 2048"));
    free(plain);
    free(same);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(numbers_out_of_reach, begin, end),
        cmocka_unit_test_setup_teardown(numbers_that_are_read, begin, end),
        cmocka_unit_test_setup_teardown(scaling_beside_parameters, begin, end),
        cmocka_unit_test_setup_teardown(scaling_without_a_type, begin, end),
        cmocka_unit_test_setup_teardown(dynamic, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
