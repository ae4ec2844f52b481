/* SPDX-License-Identifier: Apache-2.0 */
/* What handles say of themselves: where they come from, their options, their device and kernels. */
#define _GNU_SOURCE
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "host.h"
#include "tiny.h"

static void runtime(void **state)
{
    char sets[HOST_SETS][16];
    const uint32_t n = host_sets(sets);
    uint32_t there = 0;
    (void)state;
    for (uint32_t i = 0; i < n; i++) {
        const remora_option extra = host_option("x-isa", sets[i]);
        const remora_runtime_opts o = {.struct_size = sizeof o,
                                       .n_threads = 1 + (int32_t)i % 3,
                                       .extra = &extra,
                                       .n_extra = 1};
        remora_runtime_info info = {.struct_size = sizeof info};
        remora_runtime *rt = NULL;
        if (remora_runtime_create(&o, &rt, NULL) == REMORA_E_UNSUPPORTED) continue;
        REQUIRE_OK(remora_runtime_get_info(rt, &info, NULL), NULL);
        assert_string_equal(info.kernels, sets[i]);
        assert_int_equal(info.n_threads, 1 + i % 3);
        remora_runtime_free(rt);
        there++;
    }
    assert_true(there > 0);
}

/* Without a number there are as many threads as cores that the process may use. */
static void threads_by_default(void **state)
{
    cpu_set_t all, one;
    remora_runtime_info info = {.struct_size = sizeof info};
    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &all)) CPU_SET(i, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    remora_runtime *rt = host_runtime(NULL, 0, NULL);
    REQUIRE_OK(remora_runtime_get_info(rt, &info, NULL), NULL);
    assert_int_equal(info.n_threads, 1);
    assert_non_null(strstr(info.why, "threads: the cores that the process may use;"));
    remora_runtime_free(rt);
    assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
    rt = host_runtime(NULL, 0, NULL);
    REQUIRE_OK(remora_runtime_get_info(rt, &info, NULL), NULL);
    assert_in_range(info.n_threads, 1, CPU_COUNT(&all));
    remora_runtime_free(rt);
}

static void where_handles_come_from(void **state)
{
    remora_model_info info = {.struct_size = sizeof info};
    remora_device d = {.struct_size = sizeof d};
    remora_runtime_info of_own = {.struct_size = sizeof of_own};
    tiny t;
    (void)state;
    tiny_make(&t, NULL);
    remora_runtime *rt = host_runtime(NULL, 2, NULL);
    remora_model *m = host_open(rt, &t.source), *alone = host_open(NULL, &t.source);
    remora_session *s = host_session(m, 32, 0), *fork = NULL;
    REQUIRE_OK(remora_session_fork(s, &fork, NULL), NULL);
    assert_ptr_equal(remora_model_runtime(m), rt);
    assert_ptr_equal(remora_session_model(s), m);
    assert_ptr_equal(remora_session_model(fork), m);
    assert_ptr_not_equal(remora_model_runtime(alone), rt);
    REQUIRE_OK(remora_runtime_get_info(remora_model_runtime(alone), &of_own, NULL), NULL);
    assert_true(of_own.n_threads > 0);
    REQUIRE_OK(remora_model_get_info(m, &info, NULL), NULL);
    REQUIRE_OK(remora_device_get(rt, 0, &d, NULL), NULL);
    assert_string_equal(info.device, d.id);
    assert_string_equal(info.device, "cpu");
    remora_runtime_free(rt); /* they are there as long as the child is */
    remora_model_free(m);
    REQUIRE_OK(remora_model_get_info(remora_session_model(s), &info, NULL), NULL);
    assert_int_equal(remora_device_count(remora_model_runtime(remora_session_model(fork))), 1);
    remora_session_free(s);
    remora_session_free(fork);
    remora_model_free(alone);
    tiny_free(&t);
}

static void same(const remora_session *s, const remora_session_opts *want)
{
    remora_session_opts o = {.struct_size = sizeof o};
    REQUIRE_OK(remora_session_get_options(s, &o, NULL), NULL);
    assert_memory_equal(&o, want, sizeof o);
}

static void options(void **state)
{
    const remora_session_opts own = {.struct_size = sizeof own,
                                     .flags = REMORA_SESSION_PAGES_AS_NEEDED,
                                     .capacity = 96,
                                     .chunk = 17,
                                     .kv_type = REMORA_KV_INT8};
    const remora_session_opts f32 = {
        .struct_size = sizeof f32, .capacity = 48, .chunk = 48, .kv_type = REMORA_KV_F32};
    remora_model_info info = {.struct_size = sizeof info};
    remora_session_opts defaults = {.struct_size = sizeof defaults};
    tiny t;
    (void)state;
    tiny_make(&t, NULL);
    remora_model *m = host_open(NULL, &t.source);
    remora_session *s[4];
    REQUIRE_OK(remora_session_create(m, &own, &s[0], NULL), NULL);
    REQUIRE_OK(remora_session_fork(s[0], &s[1], NULL), NULL);
    REQUIRE_OK(remora_session_create(m, &f32, &s[2], NULL), NULL);
    REQUIRE_OK(remora_session_create(m, NULL, &s[3], NULL), NULL);
    same(s[0], &own);
    same(s[1], &own);
    same(s[2], &f32);
    REQUIRE_OK(remora_session_get_options(s[3], &defaults, NULL), NULL);
    REQUIRE_OK(remora_model_get_info(m, &info, NULL), NULL);
    assert_int_equal(defaults.capacity, info.max_context < 4096 ? info.max_context : 4096);
    assert_int_equal(defaults.chunk, 512);
    assert_int_equal(defaults.kv_type, REMORA_KV_BF16);
    assert_int_equal(defaults.flags, 0);
    for (int i = 0; i < 4; i++) remora_session_free(s[i]);
    remora_model_free(m);
    tiny_free(&t);
}

static void end_tokens(void **state)
{
    static const char several[] = "{\"eos_token_id\":[265,257]}";
    remora_token ids[8];
    remora_blob b[6];
    size_t n = 0, counted = 0;
    tiny t;
    (void)state;
    tiny_make(&t, NULL);
    memcpy(b, t.blobs, t.n * sizeof *b);
    b[t.n] = (remora_blob){"generation_config.json", several, sizeof several - 1};
    remora_source src = t.source;
    src.blobs = b;
    src.n_blobs = t.n + 1;
    remora_model *m = host_open(NULL, &src);
    REQUIRE_OK(remora_end_tokens(m, ids, 8, &n, NULL), NULL);
    assert_true(n > 1);
    for (remora_token id = 0; id < TINY_TEXT_VOCAB; id++)
        if (remora_token_flags(m, id) & REMORA_TOKEN_END_OF_TURN)
            assert_int_equal(ids[counted++], id);
    assert_int_equal(n, counted);
    assert_int_equal(remora_token_special(m, REMORA_SPECIAL_EOS), TINY_EOS);
    remora_model_free(m);
    tiny_free(&t);
}

/* Each number of the checkpoint counts once, and a tied head not again. */
static void parameters(void **state)
{
    static const tiny_opts kinds[] = {
        {.layers = 0}, {.v2 = 1}, {.dense = "llama"}, {.dense = "qwen2"}, {.form = TINY_FUSED}};
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        remora_model_info info = {.struct_size = sizeof info};
        uint64_t header;
        tiny t;
        tiny_make(&t, &kinds[i]);
        const remora_blob *b = tiny_blob(&t, "model.safetensors");
        memcpy(&header, b->data, sizeof header);
        remora_model *m = host_open(NULL, &t.source);
        REQUIRE_OK(remora_model_get_info(m, &info, NULL), NULL);
        assert_int_equal(info.n_params, (b->size - sizeof header - header) / 2); /* bf16 */
        remora_model_free(m);
        tiny_free(&t);
    }
}

/* ---- metadata beside the configuration ---- */

#define PLAIN "{% for m in messages %}\\n\\u00e9 \\\"x\\\": # - {{ m }}\\t{% endfor %}\\n "
#define PLAIN_TEXT "{% for m in messages %}\n\xc3\xa9 \"x\": # - {{ m }}\t{% endfor %}\n "
#define CONFIG(template)                                                                           \
    "{\"bos_token\":\"<bos>\",\"eos_token\":\"<eos>\",\"add_bos_token\":true," template "}"
#define GENERATION                                                                                 \
    "{\"temperature\":0.6,\"top_k\":20,\"do_sample\":true,\"eos_token_id\":[265,257],"             \
    "\"note\":\"0.50\"}"

/* Each key and its text; NULL: there is none. */
static void has(const remora_model *m, const char *const want[][2])
{
    char text[256];
    for (size_t i = 0; want[i][0] != NULL; i++) {
        const remora_status st = remora_model_meta(m, want[i][0], text, sizeof text, NULL, NULL);
        if (want[i][1] == NULL)
            assert_int_equal(st, REMORA_E_NOT_FOUND);
        else
            assert_int_equal(st, REMORA_OK);
        if (want[i][1] != NULL) assert_string_equal(text, want[i][1]);
    }
}

/* A folder with these files, and the pack of it, say the same. */
static void folder_and_pack(const char *config, const char *generation, const char *jinja,
                            const char *const want[][2])
{
    char dir[HOST_DIR], path[64];
    remora_blob b[6];
    uint64_t n = 0;
    tiny t;
    tiny_make(&t, NULL);
    for (uint64_t i = 0; i < t.n; i++) {
        b[n++] = t.blobs[i];
        if (strcmp(b[i].name, "tokenizer_config.json") == 0)
            b[i] = (remora_blob){b[i].name, config, strlen(config)};
    }
    if (generation != NULL)
        b[n++] = (remora_blob){"generation_config.json", generation, strlen(generation)};
    if (jinja != NULL) b[n++] = (remora_blob){"chat_template.jinja", jinja, strlen(jinja)};
    remora_source src = t.source;
    src.blobs = b;
    src.n_blobs = n;
    remora_model *m = host_open(NULL, &src);
    has(m, want);
    remora_model_free(m);
    host_dir_make(dir);
    snprintf(path, sizeof path, "%s/a.remora", dir);
    host_convert(NULL, &src, path, NULL, 0);
    const remora_source pack = host_path_source(path);
    m = host_open(NULL, &pack);
    has(m, want);
    remora_model_free(m);
    REQUIRE(remove(path) == 0 && remove(dir) == 0);
    tiny_free(&t);
}

static void metadata(void **state)
{
    (void)state;
    static const char *const all[][2] = {{"generation.temperature", "0.6"},
                                         {"generation.top_k", "20"},
                                         {"generation.do_sample", "true"},
                                         {"generation.note", "0.50"},
                                         {"generation.eos_token_id", NULL}, /* a list */
                                         {"chat_template", PLAIN_TEXT},
                                         {"chat_template.default", NULL},
                                         {NULL, NULL}};
    folder_and_pack(CONFIG("\"chat_template\":\"" PLAIN "\""), GENERATION, NULL, all);
    static const char *const several[][2] = {{"chat_template", "A"},
                                             {"chat_template.tool_use", "B"},
                                             {"generation.top_k", NULL},
                                             {NULL, NULL}};
    folder_and_pack(CONFIG("\"chat_template\":[{\"name\":\"default\",\"template\":\"A\"},"
                           "{\"name\":\"tool_use\",\"template\":\"B\"},{\"name\":7},8]"),
                    NULL, NULL, several);
    static const char *const own_file[][2] = {{"chat_template", "C\n"}, {NULL, NULL}};
    folder_and_pack(CONFIG("\"chat_template\":\"A\""), NULL, "C\n", own_file);
    static const char *const none[][2] = {{"chat_template", NULL}, {NULL, NULL}};
    folder_and_pack(CONFIG("\"chat_template\":null"), NULL, NULL, none);
}

/* A host's storage that counts how often small JSON files are read from their beginning. */
typedef struct counted_io {
    host_io io;
    remora_source inner;
    atomic_int reads[3];
} counted_io;

static const char *const small_files[3] = {"config.json", "tokenizer_config.json",
                                           "generation_config.json"};

static remora_status counted_size(void *user, const char *name, uint64_t *size)
{
    counted_io *c = user;
    return c->inner.io_size(c->inner.io_user, name, size);
}

static remora_status counted_read(void *user, const char *name, uint64_t off, void *buf, uint64_t n)
{
    counted_io *c = user;
    for (int i = 0; i < 3; i++)
        if (off == 0 && strcmp(name, small_files[i]) == 0) atomic_fetch_add(&c->reads[i], 1);
    return c->inner.io_read(c->inner.io_user, name, off, buf, n);
}

/* Configuration, metadata and tokenizer read the same files. */
static void small_files_are_read_once(void **state)
{
    tiny t;
    (void)state;
    tiny_make(&t, &(tiny_opts){.advice = 1});
    counted_io c = {.io = {.blobs = t.blobs, .n = t.n}};
    c.inner = host_io_source(&c.io);
    remora_source src = c.inner;
    src.io_user = &c;
    src.io_size = counted_size;
    src.io_read = counted_read;
    remora_model *m = host_open(NULL, &src);
    for (int i = 0; i < 3; i++) assert_int_equal(c.reads[i], 1);
    remora_model_free(m);
    tiny_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(small_files_are_read_once),
                                       cmocka_unit_test(runtime),
                                       cmocka_unit_test(threads_by_default),
                                       cmocka_unit_test(where_handles_come_from),
                                       cmocka_unit_test(options),
                                       cmocka_unit_test(end_tokens),
                                       cmocka_unit_test(parameters),
                                       cmocka_unit_test(metadata)};
    return cmocka_run_group_tests_name("getters", tests, NULL, NULL);
}
