/* SPDX-License-Identifier: Apache-2.0 */
/* Many threads on one model: forks, appends, evals, trims, syncs, samplers and frees, over one pool
 * of threads, with the routing counters on and read meanwhile. Every result is that of one thread
 * alone, to the bit. Made for the thread sanitizer (-Db_sanitize=thread), and run everywhere.
 * Argument, if any: how many rounds each thread does. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "host.h"
#include "tiny.h"

enum { THREADS = 6, PREFIX = 70, CAP = 160 };

static int n_rounds = 12;

/* What a round does, from its seed alone: a chain of steps on a fork of the common prefix, hashed.
 */
static uint64_t mix(uint64_t h, const void *data, size_t n)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < n; i++) h = (h ^ p[i]) * 1099511628211u;
    return h;
}

static uint64_t mix_rows(uint64_t h, remora_session *s)
{
    remora_session_info i = {.struct_size = sizeof i};
    REQUIRE(remora_session_get_info(s, &i, NULL) == REMORA_OK);
    for (uint32_t r = 0; r < i.n_rows; r++) {
        const float *row;
        size_t n;
        REQUIRE(remora_session_logits(s, r, &row, &n, NULL) == REMORA_OK);
        h = mix(h, row, n * sizeof *row);
    }
    return h;
}

static void eval(remora_session *s, uint32_t how)
{
    remora_error err = HOST_ERROR;
    const remora_eval_opts o = {
        .struct_size = sizeof o, .budget_us = how & 1 ? 1 : 0, .max_tokens = how & 2 ? 9 : 0};
    remora_status st;
    do {
        st = remora_eval(&s, 1, &o, &err);
        REQUIRE_OK(st, &err);
    } while (st == REMORA_MORE);
}

typedef struct shared {
    remora_model *m;
    remora_session *root; /* only read: forked under the lock, by one thread at a time */
    pthread_mutex_t lock;
    remora_token prefix[PREFIX];
} shared;

static remora_session *fork_root(shared *sh)
{
    remora_session *s = NULL;
    remora_error err = HOST_ERROR;
    REQUIRE(pthread_mutex_lock(&sh->lock) == 0);
    REQUIRE_OK(remora_session_fork(sh->root, &s, &err), &err);
    REQUIRE(pthread_mutex_unlock(&sh->lock) == 0);
    return s;
}

static uint64_t step(shared *sh, remora_session **sp, remora_sampler *p, uint64_t *seed, uint64_t h)
{
    remora_session *s = *sp, *k = NULL;
    remora_token t[CAP];
    remora_error err = HOST_ERROR;
    size_t n, reused;
    remora_session_info i = {.struct_size = sizeof i};
    const uint32_t what = host_random(seed) % 7;
    REQUIRE(remora_session_get_info(s, &i, NULL) == REMORA_OK);
    const uint64_t len = i.committed + i.pending;
    switch (what) {
    case 0: /* a few tokens, or a prompt */
    case 1:
        n = what == 0 ? 1 + host_random(seed) % 5 : 32 + host_random(seed) % 10;
        if (len + n > CAP) break;
        host_ids(t, n, TINY_TEXT_VOCAB, host_random(seed));
        REQUIRE_OK(remora_session_append(s, t, n, REMORA_WANT_ALL, NULL), NULL);
        eval(s, host_random(seed));
        h = mix_rows(h, s);
        break;
    case 2: /* shorter, into the shared pages */
        REQUIRE_OK(
            remora_session_trim(s, i.committed - host_random(seed) % (i.committed / 2), NULL),
            NULL);
        break;
    case 3: /* the copy goes on, the original ends */
        REQUIRE_OK(remora_session_fork(s, &k, &err), &err);
        remora_session_free(s);
        *sp = k;
        break;
    case 4:
        REQUIRE_OK(remora_session_sync(s, sh->prefix, PREFIX - host_random(seed) % 20,
                                       REMORA_WANT_LAST, &reused, NULL),
                   NULL);
        eval(s, host_random(seed));
        h = mix_rows(mix(h, &reused, sizeof reused), s);
        break;
    case 5: {
        const remora_gen_opts g = {.struct_size = sizeof g, .max_tokens = 4};
        if (len + 4 > CAP) break;
        REQUIRE_OK(remora_generate(s, p, &g, t, 4, &n, &err), &err);
        h = mix(h, t, n * sizeof *t);
        break;
    }
    default: /* text, meanwhile */
        REQUIRE_OK(remora_tokenize(sh->m, "the other 12", 12, 0, t, CAP, &n, NULL), NULL);
        h = mix(h, t, n * sizeof *t);
    }
    return h;
}

static uint64_t round_of(shared *sh, uint64_t seed)
{
    remora_error err = HOST_ERROR;
    remora_sampler *p = NULL, *q = NULL;
    uint64_t h = 14695981039346656037u;
    const remora_stage warm = {
        .struct_size = sizeof warm, .kind = REMORA_STAGE_PRESENCE, .value = 0.3};
    remora_session *s = fork_root(sh);
    REQUIRE_OK(remora_sampler_create(sh->m, seed, &p, &err), &err);
    REQUIRE_OK(remora_sampler_add(p, &warm, &err), &err);
    REQUIRE_OK(remora_sampler_clone(p, &q, NULL), NULL);
    remora_sampler_free(p);
    const int steps = 4 + (int)(host_random(&seed) % 8);
    for (int i = 0; i < steps; i++) h = step(sh, &s, q, &seed, h);
    h = mix_rows(h, s);
    remora_sampler_free(q);
    remora_session_free(s);
    return h;
}

static void shared_make(shared *sh, const tiny *t, tmem *mem, int32_t n_threads)
{
    remora_error err = HOST_ERROR;
    const remora_session_opts o = {.struct_size = sizeof o, .capacity = CAP, .chunk = 24};
    remora_runtime *rt = host_runtime(mem, n_threads, NULL);
    sh->m = host_open(rt, &t->source);
    remora_runtime_free(rt);
    REQUIRE(pthread_mutex_init(&sh->lock, NULL) == 0);
    host_ids(sh->prefix, PREFIX, TINY_TEXT_VOCAB, 1);
    REQUIRE_OK(remora_session_create(sh->m, &o, &sh->root, &err), &err);
    REQUIRE_OK(remora_session_append(sh->root, sh->prefix, PREFIX, REMORA_WANT_LAST, NULL), NULL);
    eval(sh->root, 0);
}

static void shared_free(shared *sh)
{
    remora_session_free(sh->root);
    remora_model_free(sh->m);
    pthread_mutex_destroy(&sh->lock);
}

/* ---- the threads ---- */

typedef struct worker {
    shared *sh;
    uint64_t first;
    const uint64_t *expect;
    int bad;
} worker;

static void *work(void *arg)
{
    worker *w = arg;
    for (int r = 0; r < n_rounds; r++)
        w->bad += round_of(w->sh, w->first + (uint64_t)r) != w->expect[r];
    return NULL;
}

static atomic_int over;

/* Looks at everything that may be looked at from any thread. */
static void *watch(void *arg)
{
    shared *sh = arg;
    uint64_t counts[16], total = 0;
    while (!atomic_load(&over)) {
        remora_memory mem = {.struct_size = sizeof mem};
        remora_model_info info = {.struct_size = sizeof info};
        char text[64];
        size_t n;
        REQUIRE(remora_model_get_memory(sh->m, &mem, NULL) == REMORA_OK);
        REQUIRE(remora_model_get_info(sh->m, &info, NULL) == REMORA_OK);
        REQUIRE(remora_model_meta(sh->m, "config.vocab_size", text, sizeof text, &n, NULL) ==
                REMORA_OK);
        REQUIRE(remora_routing_read(sh->m, 1, 0, counts, 16, &n, NULL) == REMORA_OK);
        REQUIRE(remora_routing_enable(sh->m, total++ % 64 != 0, NULL) == REMORA_OK);
    }
    return NULL;
}

static void many_threads(void **state)
{
    tiny t;
    tmem mem = {0};
    shared alone, together;
    pthread_t threads[THREADS], watcher;
    worker w[THREADS];
    (void)state;
    tiny_make(&t, NULL);
    shared_make(&alone, &t, NULL, 1);
    shared_make(&together, &t, &mem, 3);
    uint64_t *expect = malloc((size_t)THREADS * (size_t)n_rounds * sizeof *expect);
    assert_non_null(expect);
    for (int i = 0; i < THREADS * n_rounds; i++) expect[i] = round_of(&alone, (uint64_t)i);
    assert_int_equal(remora_routing_enable(together.m, 1, NULL), REMORA_OK);
    atomic_store(&over, 0);
    assert_int_equal(pthread_create(&watcher, NULL, watch, &together), 0);
    for (int i = 0; i < THREADS; i++) {
        w[i] = (worker){&together, (uint64_t)(i * n_rounds), expect + i * n_rounds, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &w[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(w[i].bad, 0);
    }
    atomic_store(&over, 1);
    assert_int_equal(pthread_join(watcher, NULL), 0);
    shared_free(&together);
    shared_free(&alone);
    assert_int_equal(atomic_load(&mem.bytes), 0);
    assert_int_equal(atomic_load(&mem.damage), 0);
    free(expect);
    tiny_free(&t);
}

/* ---- counters ---- */

enum { COUNTED = 64 };

static void *count(void *arg)
{
    shared *sh = arg;
    remora_session *s = fork_root(sh);
    for (int i = 0; i < COUNTED; i++) {
        const remora_token t = i;
        REQUIRE_OK(remora_session_append(s, &t, 1, REMORA_WANT_NONE, NULL), NULL);
        eval(s, 0);
        if (i % 20 == 0) REQUIRE_OK(remora_session_trim(s, PREFIX, NULL), NULL);
    }
    remora_session_free(s);
    return NULL;
}

/* No count is lost: each token picks exactly n_experts_used experts in each layer that has them. */
static void routing(void **state)
{
    tiny t;
    shared sh;
    pthread_t threads[THREADS];
    uint64_t counts[16], sum = 0;
    size_t n;
    (void)state;
    tiny_make(&t, NULL);
    shared_make(&sh, &t, NULL, 2);
    assert_int_equal(remora_routing_enable(sh.m, 1, NULL), REMORA_OK);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count, &sh), 0);
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(remora_routing_read(sh.m, 2, 1, counts, 16, &n, NULL), REMORA_OK);
    for (size_t i = 0; i < n; i++) sum += counts[i];
    assert_int_equal(sum, THREADS * COUNTED * 2);
    assert_int_equal(remora_routing_read(sh.m, 2, 0, counts, 16, &n, NULL), REMORA_OK);
    for (size_t i = 0; i < n; i++) assert_int_equal(counts[i], 0);
    shared_free(&sh);
    tiny_free(&t);
}

/* ---- cancelling and ending while others work ---- */

typedef struct canceller {
    shared *sh;
    int32_t word;
    atomic_int ready;
} canceller;

static void *evaluate_until_cancelled(void *arg)
{
    canceller *c = arg;
    remora_session *s = fork_root(c->sh);
    remora_token t[60];
    remora_status st;
    const remora_eval_opts o = {.struct_size = sizeof o, .cancel = &c->word};
    host_ids(t, 60, TINY_TEXT_VOCAB, 3);
    do {
        REQUIRE_OK(remora_session_trim(s, PREFIX, NULL), NULL);
        REQUIRE_OK(remora_session_append(s, t, 60, REMORA_WANT_LAST, NULL), NULL);
        st = remora_eval(&s, 1, &o, NULL);
        REQUIRE(st == REMORA_OK || st == REMORA_E_CANCELLED);
        atomic_fetch_add(&c->ready, 1);
    } while (st == REMORA_OK);
    eval(s, 0); /* goes on from where it was */
    remora_session_free(s);
    return NULL;
}

static void cancel(void **state)
{
    tiny t;
    shared sh;
    pthread_t threads[THREADS];
    canceller c[THREADS];
    (void)state;
    tiny_make(&t, NULL);
    shared_make(&sh, &t, NULL, 2);
    for (int i = 0; i < THREADS; i++) {
        c[i].sh = &sh;
        c[i].word = 0;
        atomic_init(&c[i].ready, 0);
        assert_int_equal(pthread_create(&threads[i], NULL, evaluate_until_cancelled, &c[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        while (atomic_load(&c[i].ready) < 2) sched_yield();
        __atomic_store_n(&c[i].word, 1, __ATOMIC_RELAXED);
    }
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    shared_free(&sh);
    tiny_free(&t);
}

/* Models open and close on one runtime while others are in use; the last handles are freed on
 * whatever thread they happen to be. */
static void *open_and_close(void *arg)
{
    struct {
        remora_runtime *rt;
        const tiny *t;
    } *a = arg;
    for (int i = 0; i < 4; i++) {
        remora_model *m = host_open(a->rt, &a->t->source);
        remora_session *s = host_session(m, 64, 0);
        const remora_token t[] = {1, 2, 3};
        remora_model_free(m);
        REQUIRE_OK(remora_session_append(s, t, 3, REMORA_WANT_LAST, NULL), NULL);
        eval(s, 0);
        remora_session_free(s);
    }
    return NULL;
}

static void open_while_busy(void **state)
{
    tiny t;
    tmem mem = {0};
    pthread_t threads[THREADS];
    (void)state;
    tiny_make(&t, NULL);
    struct {
        remora_runtime *rt;
        const tiny *t;
    } a = {host_runtime(&mem, 3, NULL), &t};
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, open_and_close, &a), 0);
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    remora_runtime_free(a.rt);
    assert_int_equal(atomic_load(&mem.bytes), 0);
    tiny_free(&t);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_threads),
        cmocka_unit_test(routing),
        cmocka_unit_test(cancel),
        cmocka_unit_test(open_while_busy),
    };
    if (argc > 1) n_rounds = atoi(argv[1]);
    if (n_rounds < 1) return 2;
    return cmocka_run_group_tests_name("stress", tests, NULL, NULL);
}
