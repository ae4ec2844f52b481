/* SPDX-License-Identifier: Apache-2.0 */
/* P30: a ceiling in bytes counts everything that a model and its sessions take, holds, and can be
 * changed while they evaluate. What is counted is compared with what the host's hooks see, to the
 * byte. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "host.h"
#include "tiny.h"

enum { CAPACITY = 300, N = 40, SESSIONS = 3 };

static uint64_t sum(const remora_memory *m)
{
    return m->host_weights + m->host_kv + m->host_scratch + m->host_other;
}

static uint64_t used(const remora_model *m)
{
    remora_memory now = {.struct_size = sizeof now};
    REQUIRE_OK(remora_model_get_memory(m, &now, NULL), NULL);
    return sum(&now);
}

static remora_status set(remora_model *m, uint64_t host)
{
    remora_error err = HOST_ERROR;
    const remora_status st = remora_model_set_budget(m, host, 0, &err);
    REQUIRE(st >= 0 || err.code == st);
    return st;
}

/* What the ceiling counts is what the model says that it takes, and nothing of it is spare. */
static void counts_are_exact(remora_model *m)
{
    const uint64_t all = used(m);
    assert_int_equal(set(m, all - 1), REMORA_E_NOMEM);
    assert_int_equal(set(m, all), REMORA_OK);
    assert_int_equal(used(m), all);
    assert_int_equal(set(m, 0), REMORA_OK);
}

typedef struct bed {
    tiny t;
    tmem mem;
    remora_runtime *rt;
    remora_model *m;
    remora_token ids[CAPACITY];
    float *rows; /* of N ids */
} bed;

static void bed_make(bed *b, const tiny_opts *o, int32_t threads)
{
    memset(b, 0, sizeof *b);
    tiny_make(&b->t, o);
    b->rt = host_runtime(&b->mem, threads, NULL);
    b->m = host_open(b->rt, &b->t.source);
    host_ids(b->ids, CAPACITY, host_vocab(b->m), 7);
    b->rows = host_logits(b->m, b->ids, N);
    assert_int_equal(set(b->m, used(b->m) - 1), REMORA_OK); /* nothing counts on its context */
    assert_int_equal(set(b->m, 0), REMORA_OK);
}

static void bed_free(bed *b)
{
    remora_model_free(b->m);
    remora_runtime_free(b->rt);
    assert_int_equal(atomic_load(&b->mem.bytes), 0);
    assert_int_equal(atomic_load(&b->mem.damage), 0);
    free(b->rows);
    tiny_free(&b->t);
}

static remora_status open_session(remora_model *m, uint32_t flags, uint32_t chunk,
                                  remora_session **s)
{
    const remora_session_opts o = {.struct_size = sizeof o,
                                   .flags = flags,
                                   .capacity = CAPACITY,
                                   .chunk = chunk,
                                   .kv_type = REMORA_KV_F32};
    return remora_session_create(m, &o, s, NULL);
}

static remora_session *session(remora_model *m, uint32_t flags, uint32_t chunk)
{
    remora_session *s;
    REQUIRE_OK(open_session(m, flags, chunk, &s), NULL);
    return s;
}

static void feed(remora_session *s, const remora_token *t, size_t n)
{
    remora_error err = HOST_ERROR;
    REQUIRE_OK(remora_session_append(s, t, n, REMORA_WANT_LAST, NULL), NULL);
    REQUIRE_OK(remora_eval(&s, 1, NULL, &err), &err);
}

/* The session's last row is that of the first N ids. */
static void row_is_right(const bed *b, const remora_session *s)
{
    const float *row;
    size_t n;
    REQUIRE_OK(remora_session_logits(s, 0, &row, &n, NULL), NULL);
    REQUIRE(memcmp(row, b->rows + (N - 1) * n, n * sizeof *row) == 0);
}

static remora_status half(remora_session *s)
{
    const remora_eval_opts o = {.struct_size = sizeof o, .budget_us = 1};
    return remora_eval(&s, 1, &o, NULL);
}

static void finish(remora_session *s)
{
    remora_error err = HOST_ERROR;
    REQUIRE_OK(remora_eval(&s, 1, NULL, &err), &err);
}

/* ---- opening ---- */

static int32_t REMORA_CALL count_progress(void *user, uint64_t done, uint64_t total)
{
    (void)done, (void)total;
    ++*(int *)user;
    return 0;
}

static remora_status open_with(remora_runtime *rt, const remora_source *src, uint64_t host,
                               int *progress, remora_model **m, remora_error *err)
{
    const remora_model_opts o = {.struct_size = sizeof o,
                                 .host_budget = host,
                                 .progress_user = progress,
                                 .progress = count_progress};
    return remora_model_open(rt, src, &o, m, err);
}

/* The estimate is enough for what it is of, and one byte less is not. */
static void the_estimate_is_the_ceiling(void **state)
{
    static const tiny_opts shapes[] = {{0}, {.dense = "llama"}, {.vocab = 3000}};
    static const uint32_t kinds[] = {0, REMORA_SESSION_PAGES_AS_NEEDED};
    (void)state;
    for (size_t i = 0; i < 6; i++) {
        bed b;
        remora_model *m;
        remora_error err = HOST_ERROR;
        remora_memory est = {.struct_size = sizeof est};
        remora_session *s[SESSIONS];
        int progress = 0;
        const remora_session_opts so = {.struct_size = sizeof so,
                                        .flags = kinds[i % 2],
                                        .capacity = CAPACITY,
                                        .kv_type = REMORA_KV_F32};
        bed_make(&b, &shapes[i / 2], 2);
        REQUIRE_OK(remora_model_estimate(b.rt, &b.t.source, NULL, &so, SESSIONS, &est, &err), &err);
        for (int less = 0; less <= 1; less++) {
            REQUIRE_OK(
                open_with(b.rt, &b.t.source, sum(&est) - (uint64_t)less, &progress, &m, &err),
                &err);
            atomic_store(&b.mem.peak, atomic_load(&b.mem.bytes));
            const long long others = atomic_load(&b.mem.bytes) - (long long)used(m);
            remora_status st = REMORA_OK;
            int n = 0;
            while (st >= 0 && n < SESSIONS) {
                st = open_session(m, kinds[i % 2], 0, &s[n]);
                if (st < 0) break;
                st = remora_session_append(s[n++], b.ids, CAPACITY, REMORA_WANT_LAST, NULL);
                if (st >= 0) finish(s[n - 1]);
            }
            assert_int_equal(st, less ? REMORA_E_NOMEM : REMORA_OK);
            assert_true(n >= SESSIONS - 1);
            assert_true(atomic_load(&b.mem.peak) - others <= (long long)sum(&est) - less);
            REQUIRE_OK(remora_session_trim(s[0], 0, NULL), NULL);
            feed(s[0], b.ids, N);
            row_is_right(&b, s[0]);
            while (n > 0) remora_session_free(s[--n]);
            remora_model_free(m);
        }
        bed_free(&b);
    }
}

static void too_little_for_the_model(void **state)
{
    bed b;
    remora_error err = HOST_ERROR;
    remora_memory est = {.struct_size = sizeof est};
    (void)state;
    bed_make(&b, NULL, 1);
    const long blocks = atomic_load(&b.mem.blocks);
    REQUIRE_OK(remora_model_estimate(b.rt, &b.t.source, NULL, NULL, 0, &est, &err), &err);
    for (int k = 0; k < 3; k++) {
        const uint64_t ceilings[] = {sum(&est), sum(&est) - 1, est.host_weights - 1};
        remora_model *m = (void *)&b;
        int progress = 0;
        const remora_status st = open_with(b.rt, &b.t.source, ceilings[k], &progress, &m, &err);
        assert_int_equal(st, k == 0 ? REMORA_OK : REMORA_E_NOMEM);
        assert_int_equal(progress > 0, k < 2); /* no weight was read */
        if (k > 0) assert_null(m);
        if (k > 0) assert_non_null(strstr(err.message, "host_budget is"));
        remora_model_free(m);
        assert_int_equal(atomic_load(&b.mem.blocks), blocks);
    }
    bed_free(&b);
}

static void what_is_for_later_is_refused(void **state)
{
    bed b;
    remora_error err = HOST_ERROR;
    remora_model *m;
    (void)state;
    bed_make(&b, NULL, 1);
    const remora_model_opts o = {.struct_size = sizeof o, .device_budget = 1};
    assert_int_equal(remora_model_open(b.rt, &b.t.source, &o, &m, &err), REMORA_E_UNSUPPORTED);
    assert_int_equal(remora_model_set_budget(b.m, 0, 1, &err), REMORA_E_UNSUPPORTED);
    assert_int_equal(remora_model_set_budget(NULL, 0, 0, &err), REMORA_E_ARG);
    remora_source src = b.t.source;
    src.flags = REMORA_SOURCE_READ_LATER;
    assert_int_equal(remora_model_open(b.rt, &src, NULL, &m, &err), REMORA_E_UNSUPPORTED);
    src.flags = 2;
    assert_int_equal(remora_model_open(b.rt, &src, NULL, &m, &err), REMORA_E_STRUCT);
    src.flags = 0;
    src.reserved = 1;
    assert_int_equal(remora_convert(b.rt, &src, "/tmp/none", NULL, &err), REMORA_E_STRUCT);
    bed_free(&b);
}

/* ---- an open model ---- */

/* Everything that can be made of a model is counted, and given back. */
static void everything_counts(void **state)
{
    bed b;
    remora_error err = HOST_ERROR;
    remora_session *s[3];
    remora_sampler *p, *clone;
    remora_token out[8];
    size_t n;
    const remora_stage penalty = {
        .struct_size = sizeof penalty, .kind = REMORA_STAGE_PRESENCE, .value = 0.1, .count = 99};
    (void)state;
    bed_make(&b, NULL, 2);
    counts_are_exact(b.m);
    const uint64_t before = used(b.m);
    s[0] = session(b.m, 0, 0);
    counts_are_exact(b.m);
    feed(s[0], b.ids, N);
    s[1] = session(b.m, REMORA_SESSION_PAGES_AS_NEEDED, 0);
    feed(s[1], b.ids, N);
    counts_are_exact(b.m);
    REQUIRE_OK(remora_session_fork(s[1], &s[2], &err), &err);
    REQUIRE_OK(remora_session_append(s[2], b.ids, N, REMORA_WANT_ALL | REMORA_WANT_HIDDEN, NULL),
               NULL);
    finish(s[2]);
    counts_are_exact(b.m);
    REQUIRE_OK(remora_sampler_create(b.m, 1, &p, &err), &err);
    REQUIRE_OK(remora_sampler_add(p, &penalty, &err), &err);
    REQUIRE_OK(remora_sampler_clone(p, &clone, NULL), NULL);
    counts_are_exact(b.m);
    assert_true(remora_generate(s[0], p, NULL, out, 8, &n, &err) >= 0);
    counts_are_exact(b.m);
    for (int i = 0; i < 3; i++) remora_session_free(s[i]);
    remora_sampler_free(p);
    remora_sampler_free(clone);
    assert_true(used(b.m) > before); /* the context stays until somebody needs its room */
    assert_int_equal(set(b.m, before), REMORA_OK);
    assert_int_equal(used(b.m), before);
    assert_int_equal(set(b.m, before - 1), REMORA_E_NOMEM);
    bed_free(&b);
}

/* Below the minimum nothing changes: what fitted before fits, and what did not does not. */
static void below_the_minimum_nothing_changes(void **state)
{
    bed b;
    remora_error err = HOST_ERROR;
    remora_session *s[2];
    char number[32];
    (void)state;
    bed_make(&b, NULL, 1);
    s[0] = session(b.m, 0, 0);
    const uint64_t one = used(b.m);
    s[1] = session(b.m, 0, 0);
    const uint64_t more = used(b.m) - one;
    remora_session_free(s[1]);
    assert_int_equal(set(b.m, one + more), REMORA_OK);
    assert_int_equal(remora_model_set_budget(b.m, one - 1, 0, &err), REMORA_E_NOMEM);
    snprintf(number, sizeof number, "need %llu bytes", (unsigned long long)one);
    assert_non_null(strstr(err.message, number));
    REQUIRE_OK(open_session(b.m, 0, 0, &s[1]), NULL);
    remora_session_free(s[1]);
    assert_int_equal(set(b.m, one + more - 1), REMORA_OK);
    assert_int_equal(open_session(b.m, 0, 0, &s[1]), REMORA_E_NOMEM);
    assert_null(s[1]);
    assert_int_equal(used(b.m), one);
    assert_int_equal(set(b.m, 0), REMORA_OK);
    REQUIRE_OK(open_session(b.m, 0, 0, &s[1]), NULL);
    feed(s[1], b.ids, N);
    row_is_right(&b, s[1]);
    for (int i = 0; i < 2; i++) remora_session_free(s[i]);
    bed_free(&b);
}

/* Two steps side by side have two contexts. The second one is given back when it is free, and while
 * it is in use the answer is MORE. */
static void contexts_make_room(void **state)
{
    bed b;
    remora_session *s[2];
    (void)state;
    bed_make(&b, NULL, 1);
    for (int i = 0; i < 2; i++) s[i] = session(b.m, 0, 64); /* all N tokens are one step */
    const uint64_t least = used(b.m);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(set(b.m, 0), REMORA_OK);
        for (int i = 0; i < 2; i++) {
            REQUIRE_OK(remora_session_trim(s[i], 0, NULL), NULL);
            REQUIRE_OK(remora_session_append(s[i], b.ids, N, REMORA_WANT_LAST, NULL), NULL);
            assert_int_equal(half(s[i]), REMORA_MORE);
        }
        const uint64_t both = used(b.m);
        assert_true(both > least);
        assert_int_equal(set(b.m, both), REMORA_OK);
        if (round == 0) { /* in use */
            assert_int_equal(set(b.m, least - 1), REMORA_E_NOMEM);
            assert_int_equal(set(b.m, least), REMORA_MORE);
            assert_int_equal(set(b.m, least), REMORA_MORE);
            assert_int_equal(used(b.m), both);
            finish(s[1]);
            assert_int_equal(used(b.m), least);
            assert_int_equal(set(b.m, least), REMORA_OK);
        } else { /* free */
            finish(s[1]);
            assert_int_equal(used(b.m), both);
            assert_int_equal(set(b.m, least), REMORA_OK);
            assert_int_equal(used(b.m), least);
        }
        row_is_right(&b, s[1]);
        /* the other one is in use, and there is no room for a second */
        REQUIRE_OK(remora_session_append(s[1], b.ids, 1, REMORA_WANT_LAST, NULL), NULL);
        assert_int_equal(half(s[1]), REMORA_E_NOMEM);
        finish(s[0]);
        row_is_right(&b, s[0]);
        finish(s[1]);
        counts_are_exact(b.m);
    }
    for (int i = 0; i < 2; i++) remora_session_free(s[i]);
    bed_free(&b);
}

/* A context that nobody counts on any more makes room for whatever is wanted. */
static void what_is_spare_makes_room(void **state)
{
    bed b;
    remora_error err = HOST_ERROR;
    remora_memory est = {.struct_size = sizeof est};
    (void)state;
    bed_make(&b, NULL, 1);
    const remora_session_opts so = {
        .struct_size = sizeof so, .capacity = CAPACITY, .chunk = 200, .kv_type = REMORA_KV_F32};
    REQUIRE_OK(remora_model_estimate(b.rt, &b.t.source, NULL, &so, 1, &est, &err), &err);
    assert_int_equal(set(b.m, sum(&est)), REMORA_OK);
    remora_session *s = session(b.m, 0, 50);
    feed(s, b.ids, N);
    remora_session_free(s);
    s = session(b.m, 0, 200); /* the context of the first one is too small */
    feed(s, b.ids, N);
    row_is_right(&b, s);
    assert_int_equal(used(b.m), sum(&est));
    remora_session_free(s);
    bed_free(&b);
}

/* Under a ceiling forks with pages as needed come to it page by page, and go on when one makes
 * room. */
static void forks_share_a_ceiling(void **state)
{
    bed b;
    remora_error err = HOST_ERROR;
    remora_session *f[4];
    remora_session_info i = {.struct_size = sizeof i};
    remora_status st = REMORA_OK;
    uint64_t last = 0;
    (void)state;
    bed_make(&b, NULL, 1);
    remora_session *s = session(b.m, REMORA_SESSION_PAGES_AS_NEEDED, 0);
    feed(s, b.ids, N);
    for (int k = 0; k < 4; k++) REQUIRE_OK(remora_session_fork(s, &f[k], &err), &err);
    REQUIRE_OK(remora_session_get_info(s, &i, NULL), NULL);
    assert_int_equal(set(b.m, used(b.m) + 5 * i.kv_bytes / 2), REMORA_OK); /* 5 pages */
    for (int k = 0; k < 1000 && st == REMORA_OK; k++) {
        st = remora_session_append(f[k % 4], b.ids, 7, REMORA_WANT_LAST, &err);
        if (st == REMORA_OK) finish(f[k % 4]);
        last = (uint64_t)k % 4;
    }
    assert_int_equal(st, REMORA_E_NOMEM);
    assert_int_equal(err.code, REMORA_E_NOMEM);
    REQUIRE_OK(remora_session_get_info(f[last], &i, NULL), NULL);
    assert_int_equal(i.pending, 0);
    REQUIRE_OK(remora_session_trim(f[(last + 1) % 4], 0, NULL), NULL);
    feed(f[last], b.ids, 7);
    REQUIRE_OK(remora_session_trim(f[last], 0, NULL), NULL);
    feed(f[last], b.ids, N);
    row_is_right(&b, f[last]);
    for (int k = 0; k < 4; k++) remora_session_free(f[k]);
    remora_session_free(s);
    bed_free(&b);
}

/* ---- the k-th allocation fails ---- */

typedef struct one_try {
    bed *b;
    uint32_t flags;
} one_try;

static remora_status make_things(const one_try *t, remora_session **s, remora_sampler **p)
{
    const bed *b = t->b;
    const remora_stage penalty = {
        .struct_size = sizeof penalty, .kind = REMORA_STAGE_REPEAT, .value = 1.1};
    remora_status st = open_session(b->m, t->flags, 0, &s[0]);
    if (st >= 0) st = remora_session_append(s[0], b->ids, N, REMORA_WANT_ALL, NULL);
    if (st >= 0) st = remora_eval(s, 1, NULL, NULL);
    if (st >= 0) st = remora_session_fork(s[0], &s[1], NULL);
    if (st >= 0) st = remora_session_append(s[1], b->ids, 1, REMORA_WANT_LAST, NULL);
    if (st >= 0) st = remora_session_append(s[0], b->ids, 1, REMORA_WANT_LAST, NULL);
    if (st >= 0 && (st = half(s[0])) == REMORA_MORE) st = remora_eval(&s[1], 1, NULL, NULL);
    if (st >= 0) st = remora_sampler_create(b->m, 1, p, NULL);
    return st >= 0 ? remora_sampler_add(*p, &penalty, NULL) : st;
}

static int32_t sweep_body(void *arg, tmem *mem)
{
    const one_try *t = arg;
    remora_session *s[2] = {NULL, NULL};
    remora_sampler *p = NULL;
    const uint64_t before = used(t->b->m);
    const remora_status st = make_things(t, s, &p);
    tmem_arm(mem, 0);
    for (int i = 0; i < 2; i++) remora_session_free(s[i]);
    remora_sampler_free(p);
    REQUIRE(set(t->b->m, before) == REMORA_OK); /* contexts go */
    REQUIRE(used(t->b->m) == before && set(t->b->m, before - 1) == REMORA_E_NOMEM);
    REQUIRE(set(t->b->m, 0) == REMORA_OK);
    return st;
}

static void counts_survive_failures(void **state)
{
    (void)state;
    for (uint32_t flags = 0; flags <= REMORA_SESSION_PAGES_AS_NEEDED; flags++) {
        bed b;
        one_try t = {&b, flags};
        long k = 1;
        bed_make(&b, NULL, 1);
        const long blocks = atomic_load(&b.mem.blocks);
        for (;; k++) {
            tmem_arm(&b.mem, k);
            if (sweep_body(&t, &b.mem) >= 0) break;
            assert_int_equal(atomic_load(&b.mem.blocks), blocks);
        }
        assert_true(k > 20);
        bed_free(&b);
    }
}

/* ---- threads ---- */

enum { ROUNDS = 60 };

typedef struct worker {
    const bed *b;
    uint64_t seed;
    int refused, done;
    atomic_int ended;
} worker;

/* Evaluates, forks and frees, and is refused now and then; results are right all the same. */
static void *work(void *arg)
{
    worker *w = arg;
    remora_session *s = session(w->b->m, REMORA_SESSION_PAGES_AS_NEEDED, 0), *f;
    for (int i = 0; i < ROUNDS; i++) {
        remora_status st = REMORA_OK;
        const size_t cut = 1 + host_random(&w->seed) % 31;
        f = NULL;
        REQUIRE(remora_session_trim(s, 0, NULL) == REMORA_OK);
        st = remora_session_append(s, w->b->ids, N, REMORA_WANT_LAST, NULL);
        while (st == REMORA_OK && (st = half(s)) == REMORA_MORE) st = REMORA_OK;
        if (st >= 0) row_is_right(w->b, s);
        if (st >= 0) st = remora_session_fork(s, &f, NULL);
        if (st >= 0) st = remora_session_append(f, w->b->ids, cut, REMORA_WANT_LAST, NULL);
        if (st >= 0) st = remora_eval(&f, 1, NULL, NULL);
        REQUIRE(st == REMORA_OK || st == REMORA_E_NOMEM);
        w->refused += st < 0;
        w->done += st >= 0;
        remora_session_free(f);
    }
    remora_session_free(s);
    atomic_store(&w->ended, 1);
    return NULL;
}

static void changed_while_two_evaluate(void **state)
{
    bed b;
    worker w[2];
    pthread_t threads[2];
    int n[3] = {0};
    uint64_t seed = 5;
    (void)state;
    bed_make(&b, NULL, 2);
    const uint64_t before = used(b.m);
    for (int i = 0; i < 2; i++) {
        w[i] = (worker){.b = &b, .seed = 77u + (unsigned)i};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &w[i]), 0);
    }
    while (!atomic_load(&w[0].ended) || !atomic_load(&w[1].ended)) {
        const uint64_t now = used(b.m), what = host_random(&seed) % 4;
        const uint64_t less = host_random(&seed) % (what == 1 ? 1000000 : 100);
        const remora_status st = set(b.m, what == 0 || less >= now ? 0 : now - less);
        REQUIRE(st == REMORA_OK || st == REMORA_MORE || st == REMORA_E_NOMEM);
        n[st == REMORA_OK ? 0 : st == REMORA_MORE ? 1 : 2]++;
        const struct timespec nap = {0, (long)(host_random(&seed) % 200000)};
        nanosleep(&nap, NULL);
    }
    assert_int_equal(set(b.m, 0), REMORA_OK);
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    print_message("set: %d OK, %d MORE, %d E_NOMEM; calls: %d refused, %d done\n", n[0], n[1], n[2],
                  w[0].refused + w[1].refused, w[0].done + w[1].done);
    assert_true(w[0].done + w[1].done > 0 && w[0].refused + w[1].refused > 0);
    assert_int_equal(set(b.m, before), REMORA_OK);
    counts_are_exact(b.m);
    assert_int_equal(used(b.m), before);
    bed_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_estimate_is_the_ceiling),
                                       cmocka_unit_test(too_little_for_the_model),
                                       cmocka_unit_test(what_is_for_later_is_refused),
                                       cmocka_unit_test(everything_counts),
                                       cmocka_unit_test(below_the_minimum_nothing_changes),
                                       cmocka_unit_test(contexts_make_room),
                                       cmocka_unit_test(what_is_spare_makes_room),
                                       cmocka_unit_test(forks_share_a_ceiling),
                                       cmocka_unit_test(counts_survive_failures),
                                       cmocka_unit_test(changed_while_two_evaluate)};
    return cmocka_run_group_tests_name("P30", tests, NULL, NULL);
}
