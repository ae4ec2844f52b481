/* SPDX-License-Identifier: Apache-2.0 */
/* P27: every call runs in 128 kB of stack. A thread with no more makes all of them, alone, so that
 * what computes is on its stack too, with every kernel set that the machine has. A call that takes
 * more runs into the page below the stack, which ends the program. Calls for conversations and
 * holes in code are in test_chat_answers.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "host.h"
#include "small_stack.h"
#include "tiny.h"

enum { N = 70 };

typedef struct job {
    remora_source source;
    const char *isa, *path; /* path: where a pack is written */
} job;

static int has_text(const remora_model *m)
{
    remora_model_info i = {.struct_size = sizeof i};
    REQUIRE_OK(remora_model_get_info(m, &i, NULL), NULL);
    return (int)i.has_tokenizer;
}

static void texts(remora_model *m)
{
    static const char text[] = "Text, 12 numbers\nand <|User|> markup in it.";
    remora_token ids[128];
    remora_detok d = {{0}};
    char buf[512];
    size_t n, len;
    REQUIRE_OK(remora_tokenize(m, text, sizeof text - 1, REMORA_TEXT_BOS | REMORA_TEXT_SPECIAL, ids,
                               128, &n, NULL),
               NULL);
    REQUIRE_OK(remora_detok_push(m, &d, ids, n, buf, sizeof buf, &len, NULL), NULL);
    REQUIRE_OK(remora_detok_flush(m, &d, buf, sizeof buf, &len, NULL), NULL);
    REQUIRE_OK(remora_model_meta(m, "config.rope_theta", buf, sizeof buf, &len, NULL), NULL);
}

static void sessions(remora_model *m, int32_t kv)
{
    remora_error err = HOST_ERROR;
    remora_session *fork = NULL;
    remora_token ids[N];
    remora_token_prob top[8];
    const remora_session_opts o = {.struct_size = sizeof o, .capacity = 2 * N, .kv_type = kv};
    remora_session *s = NULL;
    float x;
    size_t n;
    host_ids(ids, N, TINY_TEXT_VOCAB, 5);
    if (remora_session_create(m, &o, &s, &err) == REMORA_E_UNSUPPORTED) return;
    REQUIRE_OK(remora_session_append(s, ids, N - 8, REMORA_WANT_ALL, NULL), NULL);
    for (int i = N - 8; i < N; i++)
        REQUIRE_OK(remora_session_append(s, ids + i, 1, REMORA_WANT_LAST, NULL), NULL);
    REQUIRE_OK(remora_eval(&s, 1, NULL, &err), &err);
    REQUIRE_OK(remora_session_top(s, N - 1, top, 8, &n, NULL), NULL);
    REQUIRE_OK(remora_session_logprob(s, N - 1, 3, &x, NULL), NULL);
    REQUIRE_OK(remora_session_fork(s, &fork, &err), &err);
    REQUIRE_OK(remora_session_trim(fork, N / 2, NULL), NULL);
    REQUIRE_OK(remora_session_sync(fork, ids, N, REMORA_WANT_LAST, NULL, NULL), NULL);
    REQUIRE_OK(remora_eval(&fork, 1, NULL, &err), &err);
    remora_session_free(fork);
    remora_session_free(s);
}

static void generate(remora_model *m)
{
    static const remora_stage stages[] = {
        {.struct_size = sizeof(remora_stage), .kind = REMORA_STAGE_REPEAT, .value = 1.1},
        {.struct_size = sizeof(remora_stage), .kind = REMORA_STAGE_TEMPERATURE, .value = 0.7},
        {.struct_size = sizeof(remora_stage), .kind = REMORA_STAGE_TOP_K, .count = 40},
        {.struct_size = sizeof(remora_stage), .kind = REMORA_STAGE_TOP_P, .value = 0.95},
        {.struct_size = sizeof(remora_stage), .kind = REMORA_STAGE_MIN_P, .value = 0.01},
    };
    remora_error err = HOST_ERROR;
    const remora_text stop = host_text("no such text");
    const remora_gen_opts o = {
        .struct_size = sizeof o, .max_tokens = 12, .stop = &stop, .n_stop = has_text(m) != 0};
    remora_sampler *p = NULL, *clone = NULL;
    remora_session *s = host_session(m, 2 * N, 0);
    remora_token ids[16];
    char text[64];
    size_t n;
    host_ids(ids, 9, TINY_TEXT_VOCAB, 6);
    REQUIRE_OK(remora_sampler_create(m, 1, &p, &err), &err);
    for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++)
        REQUIRE_OK(remora_sampler_add(p, &stages[i], &err), &err);
    REQUIRE_OK(remora_session_append(s, ids, 9, REMORA_WANT_LAST, NULL), NULL);
    REQUIRE_OK(remora_generate(s, p, &o, ids, 16, &n, &err), &err);
    REQUIRE_OK(remora_sampler_clone(p, &clone, &err), &err);
    if (has_text(m))
        REQUIRE_OK(remora_generate_text(s, clone, &o, text, sizeof text, &n, NULL, 0, NULL, &err),
                   &err);
    remora_session_free(s);
    remora_sampler_free(p);
    remora_sampler_free(clone);
}

/* A constraint of each kind is compiled and obeyed. */
static void constrained(remora_model *m)
{
    static const struct {
        int32_t kind;
        const char *source;
    } all[] = {
        {REMORA_CONSTRAINT_JSON_SCHEMA,
         "{\"type\": \"object\", \"required\": [\"at\"], \"properties\": {\"at\": {\"format\": "
         "\"date-time\"}, \"n\": {\"multipleOf\": 7}, \"of\": {\"$ref\": \"#\"}}}"},
        {REMORA_CONSTRAINT_GBNF, "root ::= \"(\" root? \")\" root?"},
        {REMORA_CONSTRAINT_LARK, "start: \"[\" start* \"]\" | /[a-z]{1,9}/"},
        {REMORA_CONSTRAINT_REGEX, "((a|b)*c){2,40}"},
    };
    const remora_gen_opts o = {.struct_size = sizeof o, .max_tokens = 24};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        remora_error err = HOST_ERROR;
        remora_constraint *c = NULL;
        remora_sampler *p = NULL;
        remora_session *s = host_session(m, 2 * N, 0);
        remora_token ids[24];
        size_t n;
        const remora_constraint_opts how = {
            .struct_size = sizeof how, .kind = all[i].kind, .source = host_text(all[i].source)};
        host_ids(ids, 9, TINY_TEXT_VOCAB, 7);
        REQUIRE_OK(remora_constraint_create(m, &how, &c, &err), &err);
        REQUIRE_OK(remora_sampler_create(m, 1 + i, &p, &err), &err);
        REQUIRE_OK(remora_sampler_constrain(p, c, &err), &err);
        remora_constraint_free(c);
        REQUIRE_OK(remora_session_append(s, ids, 9, REMORA_WANT_LAST, NULL), NULL);
        REQUIRE_OK(remora_generate(s, p, &o, ids, 24, &n, &err), &err);
        REQUIRE(n > 0);
        remora_session_free(s);
        remora_sampler_free(p);
    }
}

/* With compression, whose library is not ours. */
static void packs(remora_runtime *rt, const job *j)
{
    remora_error err = HOST_ERROR;
    const remora_source pack = host_path_source(j->path);
    host_convert(rt, &j->source, j->path, "q4", 3);
    REQUIRE_OK(remora_verify(rt, &pack, NULL, NULL, &err), &err);
    remora_model_free(host_open(rt, &pack));
    unlink(j->path);
}

static void *all_calls(void *arg)
{
    const job *j = arg;
    remora_error err = HOST_ERROR;
    remora_memory mem = {.struct_size = sizeof mem};
    remora_runtime *rt = host_runtime(NULL, 1, j->isa);
    REQUIRE_OK(remora_model_estimate(rt, &j->source, NULL, NULL, 2, &mem, &err), &err);
    remora_model *m = host_open(rt, &j->source);
    if (has_text(m)) {
        texts(m);
        constrained(m);
    }
    for (int32_t kv = 0; kv <= REMORA_KV_F32; kv++) sessions(m, kv);
    generate(m);
    packs(rt, j);
    remora_model_free(m);
    remora_runtime_free(rt);
    return NULL;
}

static void with_all_sets(const remora_source *source)
{
    char names[HOST_SETS][16], dir[HOST_DIR], path[HOST_DIR + 16];
    const uint32_t n_sets = host_sets(names);
    host_dir_make(dir);
    snprintf(path, sizeof path, "%s/m.remora", dir);
    for (uint32_t set = 0; set < n_sets; set++) {
        const remora_option isa = host_option("x-isa", names[set]);
        const remora_runtime_opts o = {
            .struct_size = sizeof o, .n_threads = 1, .extra = &isa, .n_extra = 1};
        remora_runtime *rt = NULL;
        if (remora_runtime_create(&o, &rt, NULL) != REMORA_OK) continue; /* not this machine's */
        remora_runtime_free(rt);
        job j = {*source, names[set], path};
        printf("%s: %zu kB of stack\n", j.isa, small_stack_run(all_calls, &j));
    }
    rmdir(dir);
}

static void from_memory(void **state)
{
    static const tiny_opts kinds[] = {{.v2 = 0}, {.v2 = 1}, {.dense = "llama"}, {.tiktoken = 1}};
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        tiny t;
        tiny_make(&t, &kinds[i]);
        with_all_sets(&t.source);
        tiny_free(&t);
    }
}

static const char *given; /* a GGUF file, as gguf.sh gives it */

static void from_files(void **state)
{
    tiny t;
    char folder[64];
    (void)state;
    tiny_make(&t, NULL);
    tiny_folder_make(&t, folder, sizeof folder);
    const remora_source source = host_path_source(given != NULL ? given : folder);
    with_all_sets(&source);
    tiny_folder_free(&t, folder);
    tiny_free(&t);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(from_files), cmocka_unit_test(from_memory)};
    const struct CMUnitTest files[] = {cmocka_unit_test(from_files)};
    given = argc > 2 ? argv[2] : NULL;
    if (given != NULL) return cmocka_run_group_tests_name("P27", files, NULL, NULL);
    return cmocka_run_group_tests_name("P27", tests, NULL, NULL);
}
