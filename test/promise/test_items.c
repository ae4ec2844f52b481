/* SPDX-License-Identifier: Apache-2.0 */
/* P5, P6 inside of a region: work stops before any item of it, keeps what it has finished, and goes
 * on with the rest to the same bits. A cancel word that is always set makes every call do exactly
 * one item, with any number of threads. The library reads the clock once for each item, and the
 * clock is this program's: it counts, and sets the word at the k-th reading of a call, so that
 * calls do several items. What is compared is all that an evaluation leaves behind: logits, routing
 * counts and importance sums. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "groups.h"
#include "host.h"
#include "tiny.h"

static atomic_long readings, set_at; /* of the clock; the reading that sets the word, 0: none */
static int32_t word;

int clock_gettime(clockid_t id, struct timespec *t)
{
    const long n = atomic_fetch_add(&readings, 1) + 1;
    (void)id;
    if (n == atomic_load(&set_at)) __atomic_store_n(&word, 1, __ATOMIC_RELAXED);
    t->tv_sec = n / 1000000;
    t->tv_nsec = n % 1000000 * 1000;
    return 0;
}

/* The host's job system: one thread, so that what happens is the same in every run. */
static void REMORA_CALL run_all(void *user, uint32_t n, void(REMORA_CALL *fn)(void *, uint32_t),
                                void *arg)
{
    (void)user;
    for (uint32_t i = 0; i < n; i++) fn(arg, i);
}

/* A prompt, which takes the expanded form, then short appends: the first one sees several segments
 * of the cache, which decoding cuts into pieces. */
enum { CAP = 700, LONG = 4160, MAX_APPENDS = 4, MAX_SUMS = 1024 };

typedef struct story {
    uint32_t chunk, n_sessions, n_appends;
    size_t append[MAX_APPENDS];
} story;

typedef struct outcome {
    float *rows;
    size_t n;
    uint64_t routed; /* a digest of all counts */
    uint64_t sums;   /* of all sums */
    long stops;      /* calls that were stopped */
} outcome;

/* The threads that work, 0: two parts of the host's job system. And where it stops, 0: nowhere, 1:
 * behind every item, k: at the k-th reading of the clock in each call. */
typedef struct manner {
    int threads;
    long stop;
} manner;

static uint64_t digest(uint64_t d, const void *data, size_t n)
{
    const unsigned char *p = data;
    while (n-- > 0) d = (d ^ *p++) * UINT64_C(1099511628211);
    return d;
}

static remora_model *open_counting(remora_runtime *rt, const remora_source *src)
{
    remora_error err = HOST_ERROR;
    remora_model *m = NULL;
    const remora_model_opts o = {.struct_size = sizeof o, .flags = REMORA_MODEL_IMPORTANCE};
    REQUIRE_OK(remora_model_open(rt, src, &o, &m, &err), &err);
    REQUIRE_OK(remora_routing_enable(m, 1, NULL), NULL);
    return m;
}

static void count_up(remora_model *m, outcome *out)
{
    remora_importance info = {.struct_size = sizeof info};
    static double sums[MAX_SUMS];
    uint64_t counts[MAX_SUMS], count;
    size_t n;
    for (uint32_t layer = 0; layer < 64; layer++)
        if (remora_routing_read(m, layer, 0, counts, MAX_SUMS, &n, NULL) == REMORA_OK)
            out->routed = digest(out->routed, counts, n * sizeof *counts);
    for (uint32_t i = 0; remora_importance_get(m, i, &info, NULL) == REMORA_OK; i++)
        for (uint32_t k = 0; k < info.n_matrices; k++) {
            REQUIRE_OK(remora_importance_read(m, i, k, &count, sums, MAX_SUMS, &n, NULL), NULL);
            out->sums = digest(digest(out->sums, &count, sizeof count), sums, n * sizeof *sums);
        }
}

/* More stops than any story has: one that loses what it finished would never end. */
enum { MOST_STOPS = 100000 };

static void eval(remora_session *const *s, size_t n, long stop, outcome *out)
{
    remora_error err = HOST_ERROR;
    const remora_eval_opts o = {.struct_size = sizeof o, .cancel = stop > 0 ? &word : NULL};
    for (;; out->stops++) {
        __atomic_store_n(&word, stop == 1, __ATOMIC_RELAXED);
        atomic_store(&set_at, stop > 1 ? atomic_load(&readings) + stop : 0);
        const remora_status st = remora_eval(s, n, &o, &err);
        if (st == REMORA_OK) return;
        assert_int_equal(st, REMORA_E_CANCELLED);
        assert_true(stop > 0 && out->stops < MOST_STOPS);
    }
}

static void take_rows(remora_session *s, outcome *out, size_t n_vocab)
{
    remora_session_info i = {.struct_size = sizeof i};
    assert_int_equal(remora_session_get_info(s, &i, NULL), REMORA_OK);
    if (i.n_rows == 0) return;
    float *rows = host_rows(s, i.n_rows);
    out->rows = realloc(out->rows, (out->n + i.n_rows * n_vocab) * sizeof *rows);
    assert_non_null(out->rows);
    memcpy(out->rows + out->n, rows, i.n_rows * n_vocab * sizeof *rows);
    out->n += i.n_rows * n_vocab;
    free(rows);
}

/* What a story comes to. */
static outcome tell(const remora_source *src, int32_t kv, const story *t, manner how)
{
    outcome out = {.routed = 1, .sums = 1};
    remora_error err = HOST_ERROR;
    remora_session *s[MAX_APPENDS] = {NULL};
    remora_runtime *rt = NULL;
    const remora_runtime_opts own = {.struct_size = sizeof own,
                                     .n_threads = how.threads > 0 ? how.threads : 2,
                                     .run = how.threads > 0 ? NULL : run_all};
    REQUIRE_OK(remora_runtime_create(&own, &rt, &err), &err);
    remora_model *m = open_counting(rt, src);
    const uint32_t n_vocab = host_vocab(m);
    const uint32_t capacity = t->append[0] < CAP ? CAP : LONG + 40;
    const remora_session_opts o = {
        .struct_size = sizeof o, .capacity = capacity, .chunk = t->chunk, .kv_type = kv};
    for (uint32_t i = 0; i < t->n_sessions; i++)
        REQUIRE_OK(remora_session_create(m, &o, &s[i], &err), &err);
    for (uint32_t a = 0; a < t->n_appends; a++) {
        for (uint32_t i = 0; i < t->n_sessions; i++) {
            static remora_token ids[LONG];
            const size_t n = t->append[a] / (i + 1);
            host_ids(ids, n, n_vocab, 100 * i + a);
            REQUIRE_OK(remora_session_append(s[i], ids, n, n < 99 ? REMORA_WANT_ALL : 0, NULL),
                       NULL);
        }
        eval(s, t->n_sessions, how.stop, &out);
        for (uint32_t i = 0; i < t->n_sessions; i++) take_rows(s[i], &out, n_vocab);
    }
    count_up(m, &out);
    for (uint32_t i = 0; i < t->n_sessions; i++) remora_session_free(s[i]);
    remora_model_free(m);
    remora_runtime_free(rt);
    return out;
}

static const story stories[] = {
    {0, 1, 2, {40, 5, 0, 0}},  /* a prompt, and five tokens at once */
    {16, 3, 2, {35, 1, 0, 0}}, /* three sessions of both forms in one step */
    {0, 1, 3, {520, 1, 3, 0}}, /* three segments */
};
enum { STORIES = sizeof stories / sizeof *stories };

static void all_stops(const remora_source *src, int32_t kv, long least)
{
    static const manner manners[] = {{1, 1}, {2, 1}, {4, 1}, {0, 1}, {0, 7}, {0, 20}, {3, 30}};
    for (int t = 0; t < STORIES; t++) {
        const outcome whole = tell(src, kv, &stories[t], (manner){2, 0});
        for (size_t w = 0; w < sizeof manners / sizeof *manners; w++) {
            const outcome got = tell(src, kv, &stories[t], manners[w]);
            assert_int_equal(got.n, whole.n);
            if (memcmp(got.rows, whole.rows, got.n * sizeof *got.rows) != 0)
                fail_msg("other bits: story %d, manner %zu, kv %d", t, w, kv);
            assert_true(got.routed == whole.routed);
            assert_true(got.sums == whole.sums);
            assert_true(got.stops > (manners[w].stop == 1 ? least : 3));
            free(got.rows);
        }
        free(whole.rows);
    }
}

static void same_with_stops(const remora_source *src, const story *s, const outcome *whole,
                            manner how)
{
    const outcome got = tell(src, REMORA_KV_BF16, s, how);
    assert_int_equal(got.n, whole->n);
    assert_memory_equal(got.rows, whole->rows, got.n * sizeof *got.rows);
    assert_true(got.stops > 100);
    free(got.rows);
}

/* Rows that see so much of the cache that attention takes it in several regions: a prompt, and rows
 * of which there are so few that their segments are cut into pieces, or so many that they are not.
 */
static void long_context(void **state)
{
    static const tiny_opts kinds[] = {{.context = LONG + 64, .layers = 2, .v2 = 1},
                                      {.context = LONG + 64, .layers = 2, .dense = "qwen2"}};
    static const manner manners[] = {{1, 1}, {0, 9}};
    /* of the rows, from when attention took a row's whole cache in one item */
    static const uint64_t digests[] = {UINT64_C(0xadc030e68d361d3e), UINT64_C(0x7918a9842010b367)};
    const story far = {0, 1, 3, {LONG, 1, 20, 0}}, wide = {LONG, 1, 3, {LONG, 1, 20, 0}};
    (void)state;
    for (int i = 0; i < 2; i++) {
        tiny t;
        tiny_make(&t, &kinds[i]);
        const outcome whole = tell(&t.source, REMORA_KV_BF16, &far, (manner){2, 0});
        assert_true(digest(1, whole.rows, whole.n * sizeof *whole.rows) == digests[i]);
        for (size_t w = 0; w < sizeof manners / sizeof *manners; w++)
            same_with_stops(&t.source, &far, &whole, manners[w]);
        same_with_stops(&t.source, &wide, &whole, (manner){0, 9}); /* a prompt's rows in blocks */
        free(whole.rows);
        tiny_free(&t);
    }
}

/* So many rows, of products so wide, that a chunk of a product has only some of them. */
static void blocks_of_rows(void **state)
{
    const story steps = {0, 1, 2, {LONG, 3, 0, 0}}, at_once = {LONG, 1, 2, {LONG, 3, 0, 0}};
    tiny t;
    (void)state;
    tiny_make(&t, &(tiny_opts){.context = LONG + 64, .layers = 3, .width = 256, .v2 = 1});
    const outcome whole = tell(&t.source, REMORA_KV_BF16, &steps, (manner){2, 0});
    same_with_stops(&t.source, &at_once, &whole, (manner){1, 1});
    same_with_stops(&t.source, &at_once, &whole, (manner){0, 9});
    free(whole.rows);
    tiny_free(&t);
}

/* Latents so wide that a head's keys and values are rebuilt in several chunks. */
static void wide_latent(void **state)
{
    static const manner manners[] = {{1, 1}, {3, 1}, {0, 9}, {3, 30}};
    const story s = {0, 1, 2, {600, 40, 0, 0}};
    tiny t;
    (void)state;
    tiny_make(&t, &(tiny_opts){.layers = 2, .rank = 4096});
    const outcome whole = tell(&t.source, REMORA_KV_BF16, &s, (manner){1, 0});
    for (size_t w = 0; w < sizeof manners / sizeof *manners; w++)
        same_with_stops(&t.source, &s, &whole, manners[w]);
    free(whole.rows);
    tiny_free(&t);
}

static void latent(void **state)
{
    static const int32_t kinds[] = {REMORA_KV_F32, REMORA_KV_BF16, REMORA_KV_INT8};
    tiny t;
    (void)state;
    tiny_make(&t, NULL);
    for (int i = 0; i < 3; i++) all_stops(&t.source, kinds[i], 150);
    tiny_free(&t);
    tiny_make(&t, &(tiny_opts){.v2 = 1, .dtype = "F16"});
    all_stops(&t.source, REMORA_KV_F32, 150);
    tiny_free(&t);
}

static void grouped(void **state)
{
    tiny t;
    (void)state;
    tiny_make(&t, &(tiny_opts){.dense = "llama", .width = 37});
    all_stops(&t.source, REMORA_KV_BF16, 80);
    tiny_free(&t);
}

/* Weights of whole numbers: rows are quantised, and passed on between the products of experts. */
static void quantised(void **state)
{
    char dir[HOST_DIR], path[HOST_DIR + 16];
    tiny t;
    (void)state;
    host_dir_make(dir);
    snprintf(path, sizeof path, "%s/m.remora", dir);
    tiny_make(&t, &(tiny_opts){.width = 256});
    host_convert(NULL, &t.source, path, "q4", 0);
    const remora_source src = host_path_source(path);
    all_stops(&src, REMORA_KV_INT8, 150);
    tiny_free(&t);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(latent),      cmocka_unit_test(grouped),
        cmocka_unit_test(quantised),   cmocka_unit_test(long_context),
        cmocka_unit_test(wide_latent), cmocka_unit_test(blocks_of_rows)};
    return cmocka_run_group_tests_name("items", tests, NULL, NULL);
}
