/* SPDX-License-Identifier: Apache-2.0 */
/* P23: the memory estimate is at least what is used and at most 3 % above it. What is used is what
 * the host's hooks see after opening the model, filling every session to its capacity with one row
 * wanted at the end, and evaluating.
 *
 * Here the estimate and what the model reports are what is used, to the byte: all three are sums of
 * what the same code counts and allocates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "groups.h"
#include "host.h"
#include "tiny.h"

enum { MAX_SESSIONS = 4 };

typedef struct load {
    uint32_t capacity, chunk;
    int32_t kv_type;
    uint32_t n_sessions;
    int32_t threads;
    uint32_t flags; /* of the model */
    uint32_t session_flags;
} load;

static const load loads[] = {
    {64, 0, REMORA_KV_F32, 1, 1, 0, 0},
    {64, 0, REMORA_KV_BF16, 1, 2, 0, 0},
    {700, 0, REMORA_KV_F32, 1, 2, 0, 0},
    {1500, 0, REMORA_KV_BF16, 1, 1, 0, 0},
    {1500, 64, REMORA_KV_F32, 1, 3, 0, 0},
    {256, 1, REMORA_KV_BF16, 1, 1, 0, 0},
    {512, 0, REMORA_KV_F32, 4, 2, 0, 0},
    {1000, 128, REMORA_KV_BF16, 4, 2, 0, 0},
    {2000, 300, REMORA_KV_F32, 2, 1, 0, 0},
    {33, 0, 0, 3, 2, 0, 0},
    {64, 0, REMORA_KV_INT8, 1, 1, 0, 0},
    {1500, 0, REMORA_KV_INT8, 2, 2, 0, 0},
    {64, 0, REMORA_KV_F32, 1, 1, REMORA_MODEL_IMPORTANCE, 0},
    {700, 0, REMORA_KV_BF16, 2, 2, 0, REMORA_SESSION_PAGES_AS_NEEDED},
    {33, 0, REMORA_KV_INT8, 3, 1, 0, REMORA_SESSION_PAGES_AS_NEEDED},
    {700, 0, REMORA_KV_BF16, 2, 2, 0, REMORA_SESSION_PREDICTION},
    {100, 64, REMORA_KV_F32, 1, 1, 0, REMORA_SESSION_PREDICTION},
};

static uint64_t sum(const remora_memory *m)
{
    return m->host_weights + m->host_kv + m->host_scratch + m->host_other;
}

static void fill(remora_model *m, const load *l, const remora_session_opts *so, remora_session **s)
{
    remora_error err = HOST_ERROR;
    static remora_token ids[4096];
    host_ids(ids, l->capacity, host_vocab(m), 1);
    for (uint32_t i = 0; i < l->n_sessions; i++) {
        REQUIRE_OK(remora_session_create(m, so, &s[i], &err), &err);
        REQUIRE_OK(remora_session_append(s[i], ids, l->capacity, REMORA_WANT_LAST, NULL), NULL);
        REQUIRE_OK(remora_eval(&s[i], 1, NULL, &err), &err);
    }
}

static int check(const char *name, const remora_source *src, const load *l)
{
    tmem mem = {0};
    remora_error err = HOST_ERROR;
    remora_memory est = {.struct_size = sizeof est}, now = est;
    remora_session *s[MAX_SESSIONS];
    const remora_session_opts so = {.struct_size = sizeof so,
                                    .flags = l->session_flags,
                                    .capacity = l->capacity,
                                    .chunk = l->chunk,
                                    .kv_type = l->kv_type};
    const remora_model_opts mo = {.struct_size = sizeof mo, .flags = l->flags};
    remora_model *m;
    remora_runtime *rt = host_runtime(&mem, l->threads, NULL);
    const remora_status st = remora_model_estimate(rt, src, &mo, &so, l->n_sessions, &est, &err);
    if (l->kv_type == REMORA_KV_INT8 && st == REMORA_E_UNSUPPORTED) { /* grouped attention */
        remora_runtime_free(rt);
        return 1;
    }
    REQUIRE_OK(st, &err);
    REQUIRE_OK(remora_model_open(rt, src, &mo, &m, &err), &err);
    fill(m, l, &so, s);
    const uint64_t used = (uint64_t)atomic_load(&mem.bytes), said = sum(&est);
    assert_int_equal(remora_model_get_memory(m, &now, NULL), REMORA_OK);
    const int ok = said == used && sum(&now) == used && now.host_mapped == est.host_mapped;
    if (!ok)
        print_message("%s, capacity %u, chunk %u, kv %d, %u sessions, %d threads: used %llu, "
                      "estimate %llu (%+.2f %%), reported %llu\n",
                      name, l->capacity, l->chunk, l->kv_type, l->n_sessions, l->threads,
                      (unsigned long long)used, (unsigned long long)said,
                      ((double)said / (double)used - 1) * 100, (unsigned long long)sum(&now));
    for (uint32_t i = 0; i < l->n_sessions; i++) remora_session_free(s[i]);
    remora_model_free(m);
    remora_runtime_free(rt);
    assert_int_equal(atomic_load(&mem.bytes), 0);
    return ok;
}

static void check_all(const char *name, const remora_source *src)
{
    int ok = 1;
    for (size_t i = 0; i < sizeof loads / sizeof loads[0]; i++) ok &= check(name, src, &loads[i]);
    assert_true(ok);
}

static void made_up(void **state)
{
    static const tiny_opts shapes[] = {
        {0},
        {.v2 = 1},
        {.layers = 12},
        {.width = 300, .vocab = 3000},
        {.dtype = "F32"},
        {.dense = "llama"},

    };
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        tiny t;
        char name[32];
        tiny_make(&t, &shapes[i]);
        snprintf(name, sizeof name, "made up %zu", i);
        check_all(name, &t.source);
        tiny_free(&t);
    }
}

static void fixtures(void **state)
{
    static const char *const names[] = {"v3",        "v2-lite",       "v2",    "kimi-k2",
                                        "moonlight", "glm4-moe-lite", "qwen2", "llama3"};
    char folder[1024], name[64];
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(name, sizeof name, "fixtures/%s", names[i]);
        assert_true(host_folder(folder, sizeof folder, name));
        const remora_source src = {
            .struct_size = sizeof src, .kind = REMORA_SOURCE_PATH, .path = folder};
        check_all(names[i], &src);
    }
}

static void krill(void **state)
{
    static const load l = {600, 0, REMORA_KV_BF16, 2, 2, 0, 0},
                      predicting = {600, 0, REMORA_KV_BF16, 2, 2, 0, REMORA_SESSION_PREDICTION};
    char folder[1024];
    (void)state;
    assert_true(host_folder(folder, sizeof folder, "krill"));
    const remora_source src = {
        .struct_size = sizeof src, .kind = REMORA_SOURCE_PATH, .path = folder};
    assert_true(check("krill", &src, &l));
    assert_true(check("krill with its prediction layer", &src, &predicting));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(made_up)};
    const struct CMUnitTest model_tests[] = {cmocka_unit_test(fixtures), cmocka_unit_test(krill)};
    return RUN_GROUPS("P23", tests, model_tests);
}
