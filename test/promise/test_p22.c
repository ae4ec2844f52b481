/* SPDX-License-Identifier: Apache-2.0 */
/* P22: one CPU result. Logits are bit-identical for every thread count, batch mix, chunk size,
 * budget and instruction set. A small model and few cases of everything; the large cross product
 * over all families is in test/golden. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "host.h"
#include "tiny.h"

enum { PROMPT = 70, SHORT = 4, N = PROMPT + SHORT, CAP = 128 };

/* The way the work is cut: none of it may matter. */
typedef struct way {
    uint32_t chunk;
    int64_t budget;
    uint64_t max_tokens;
    int companions; /* sessions evaluated in the same calls */
} way;

static void eval_all(remora_session *const *s, size_t n, const way *w)
{
    remora_error err = HOST_ERROR;
    const remora_eval_opts o = {
        .struct_size = sizeof o, .budget_us = w->budget, .max_tokens = w->max_tokens};
    remora_status st;
    do {
        st = remora_eval(s, n, &o, &err);
        REQUIRE_OK(st, &err);
    } while (st == REMORA_MORE);
}

/* A prompt and four tokens one by one: N rows of logits in all. */
static void run(remora_model *m, int32_t kv_type, const way *w, float *out)
{
    enum { MAX = 4 };
    remora_token ids[N], other[N];
    remora_session *s[MAX];
    remora_error err = HOST_ERROR;
    const uint32_t n_vocab = host_vocab(m);
    const remora_session_opts o = {
        .struct_size = sizeof o, .capacity = CAP, .chunk = w->chunk, .kv_type = kv_type};
    const int n = 1 + w->companions, me = w->companions / 2;
    host_ids(ids, N, n_vocab, 22);
    for (int i = 0; i < n; i++) REQUIRE_OK(remora_session_create(m, &o, &s[i], &err), &err);
    for (int step = 0; step <= SHORT; step++) {
        const size_t at = step == 0 ? 0 : (size_t)PROMPT + (size_t)step - 1;
        const size_t len = step == 0 ? PROMPT : 1;
        for (int i = 0; i < n; i++) {
            host_ids(other, N, n_vocab, (uint64_t)i);
            /* the companions' appends have lengths of their own */
            const size_t k = i == me ? len : (len + (size_t)(i * 13)) % 40 + 1;
            remora_session_info info = {.struct_size = sizeof info};
            assert_int_equal(remora_session_get_info(s[i], &info, NULL), REMORA_OK);
            if (i != me && info.committed + k > CAP) continue;
            REQUIRE_OK(
                remora_session_append(s[i], i == me ? ids + at : other, k, REMORA_WANT_ALL, NULL),
                NULL);
        }
        eval_all(s, (size_t)n, w);
        float *rows = host_rows(s[me], (uint32_t)len);
        memcpy(out + at * n_vocab, rows, len * n_vocab * sizeof *out);
        free(rows);
    }
    for (int i = 0; i < n; i++) remora_session_free(s[i]);
}

static const way ways[] = {
    {0, 0, 0, 0},  {1, 0, 0, 0},   {7, 0, 0, 0}, {64, 0, 0, 0}, {0, 1, 0, 0},
    {7, 1, 0, 0},  {0, 0, 10, 0},  {0, 0, 0, 1}, {0, 0, 0, 3},  {16, 0, 0, 2},
    {64, 1, 0, 3}, {0, 50, 33, 2}, {5, 0, 3, 1},
};

enum { THREADS = 4, WAYS = sizeof ways / sizeof ways[0] };

static const int32_t threads[THREADS] = {3, 1, 2, 5};

/* The first n_threads of the thread counts with the first set, one of them with every other set. */
static void compare(const remora_source *src, uint32_t n_vocab, int32_t kv_type, int n_threads,
                    const way *some, size_t n_some)
{
    const size_t bytes = (size_t)N * n_vocab * sizeof(float);
    char sets[HOST_SETS][16];
    const uint32_t all_sets = host_sets(sets);
    float *expect = malloc(bytes), *got = malloc(bytes);
    int n_sets = 0, have = 0;
    assert_true(expect != NULL && got != NULL);
    for (uint32_t i = all_sets; i-- > 0;)
        for (int k = 0; k < (n_sets > 0 ? 1 : n_threads); k++) {
            const remora_option extra = host_option("x-isa", sets[i]);
            const remora_runtime_opts o = {
                .struct_size = sizeof o, .n_threads = threads[k], .extra = &extra, .n_extra = 1};
            remora_runtime *rt = NULL;
            const remora_status st = remora_runtime_create(&o, &rt, NULL);
            if (st == REMORA_E_UNSUPPORTED) continue;
            assert_int_equal(st, REMORA_OK);
            remora_model *m = host_open(rt, src);
            n_sets += k == n_threads - 1;
            host_ran(sets[i]);
            for (size_t w = 0; w < n_some; w++) {
                const int first = !have && w == 0;
                run(m, kv_type, &some[w], first ? expect : got);
                have = 1;
                if (first) continue;
                if (memcmp(got, expect, bytes) != 0)
                    fail_msg("differs: %s, %d threads, way %zu", sets[i], threads[k], w);
            }
            remora_model_free(m);
            remora_runtime_free(rt);
        }
    assert_true(n_sets >= 1);
    free(expect);
    free(got);
}

static void all_ways(const tiny *t, int32_t kv_type)
{
    compare(&t->source, TINY_TEXT_VOCAB, kv_type, THREADS, ways, WAYS);
}

static void v3(void **state)
{
    tiny t;
    (void)state;
    tiny_make(&t, NULL);
    all_ways(&t, REMORA_KV_F32);
    all_ways(&t, REMORA_KV_BF16);
    all_ways(&t, REMORA_KV_INT8);
    tiny_free(&t);
}

static void v2_and_dtypes(void **state)
{
    static const char *const dtypes[] = {"F16", "F32"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        tiny t;
        tiny_make(&t, &(tiny_opts){.v2 = 1, .dtype = dtypes[i], .width = 37});
        all_ways(&t, i == 0 ? REMORA_KV_F32 : REMORA_KV_INT8);
        tiny_free(&t);
    }
}

/* Heads, widths and groups that are no multiple of a vector, in all shapes of grouped attention. */
static void grouped(void **state)
{
    static const tiny_opts kinds[] = {{.dense = "llama", .width = 37},
                                      {.dense = "qwen2", .interleave = 1},
                                      {.dense = "qwen3", .dtype = "F16"}};
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        tiny t;
        tiny_make(&t, &kinds[i]);
        all_ways(&t, REMORA_KV_F32);
        all_ways(&t, REMORA_KV_BF16);
        tiny_free(&t);
    }
}

/* Integer products of rows as long as those of large models: sets have rooms for so many rows of x
 * by so many columns, and here each pass fills them. */
static void wide(void **state)
{
    static const way whole[] = {{0, 0, 0, 0}, {12, 0, 0, 0}, {17, 0, 0, 0}, {20, 0, 0, 0}};
    char dir[HOST_DIR], path[HOST_DIR + 16];
    tiny t;
    (void)state;
    host_dir_make(dir);
    snprintf(path, sizeof path, "%s/wide.remora", dir);
    tiny_make(&t, &(tiny_opts){.width = 1024, .layers = 2});
    host_convert(NULL, &t.source, path, "q4", 0);
    const remora_source src = host_path_source(path);
    compare(&src, TINY_TEXT_VOCAB, REMORA_KV_BF16, 1, whole, sizeof whole / sizeof whole[0]);
    tiny_free(&t);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(v3), cmocka_unit_test(v2_and_dtypes),
                                       cmocka_unit_test(grouped), cmocka_unit_test(wide)};
    return cmocka_run_group_tests_name("P22", tests, NULL, NULL);
}
