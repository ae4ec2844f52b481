/* SPDX-License-Identifier: Apache-2.0 */
/* P10: sessions of one model run in parallel. (Races between them are the business of test/stress
 * under the thread sanitizer.) */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "host.h"
#include "tiny.h"

enum { N = 40, THREADS = 4 };

typedef struct meeting {
    pthread_mutex_t lock;
    pthread_cond_t all;
    int here, met, wanted, gave_up;
} meeting;

/* The host's job system, called from inside an eval: wait there until as many evals as wanted are
 * inside at the same time. If one had to wait for another to end, they would never meet; the wait
 * has an end only so that such a failure is seen. */
static void REMORA_CALL meet(void *user, uint32_t n, void(REMORA_CALL *fn)(void *, uint32_t),
                             void *arg)
{
    meeting *mt = user;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 20;
    pthread_mutex_lock(&mt->lock);
    mt->here++;
    if (mt->here >= mt->wanted) mt->met = 1;
    pthread_cond_broadcast(&mt->all);
    while (!mt->met && !mt->gave_up)
        mt->gave_up = pthread_cond_timedwait(&mt->all, &mt->lock, &until) != 0;
    mt->here--;
    pthread_mutex_unlock(&mt->lock);
    for (uint32_t i = 0; i < n; i++) fn(arg, i);
}

typedef struct job {
    remora_session *s;
    const float *expect;
} job;

static void *evaluate(void *arg)
{
    job *j = arg;
    remora_error err = HOST_ERROR;
    REQUIRE_OK(remora_eval(&j->s, 1, NULL, &err), &err);
    float *got = host_rows(j->s, N);
    REQUIRE(memcmp(got, j->expect, N * TINY_TEXT_VOCAB * sizeof *got) == 0);
    free(got);
    return NULL;
}

static void evals_meet(void **state)
{
    tiny t;
    remora_token ids[N];
    remora_error err = HOST_ERROR;
    remora_runtime *rt = NULL;
    pthread_t threads[THREADS];
    job jobs[THREADS];
    meeting mt = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, 1, 0};
    const remora_runtime_opts o = {
        .struct_size = sizeof o, .n_threads = 2, .run = meet, .run_user = &mt};
    (void)state;
    tiny_make(&t, NULL);
    host_ids(ids, N, TINY_TEXT_VOCAB, 8);
    REQUIRE_OK(remora_runtime_create(&o, &rt, &err), &err);
    remora_model *m = host_open(rt, &t.source);
    float *expect = host_logits(m, ids, N);
    for (int i = 0; i < THREADS; i++) {
        jobs[i] = (job){host_session(m, N, REMORA_KV_F32), expect};
        REQUIRE_OK(remora_session_append(jobs[i].s, ids, N, REMORA_WANT_ALL, NULL), NULL);
    }
    mt.met = 0;
    mt.wanted = THREADS;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, evaluate, &jobs[i]), 0);
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_true(mt.met);
    for (int i = 0; i < THREADS; i++) remora_session_free(jobs[i].s);
    free(expect);
    remora_model_free(m);
    remora_runtime_free(rt);
    tiny_free(&t);
}

/* The courtesy for misuse: a session that is inside a call answers E_BUSY to another thread, from
 * every function that would change it. */
static remora_session *busy_session;

static void REMORA_CALL poke(void *user, uint32_t n, void(REMORA_CALL *fn)(void *, uint32_t),
                             void *arg)
{
    remora_session *s = busy_session, *fork = NULL;
    const remora_token t = 1;
    if (s != NULL) { /* a job system's own thread would do the same */
        ++*(long *)user;
        REQUIRE(remora_session_append(s, &t, 1, 0, NULL) == REMORA_E_BUSY);
        REQUIRE(remora_session_sync(s, &t, 1, 0, NULL, NULL) == REMORA_E_BUSY);
        REQUIRE(remora_session_trim(s, 0, NULL) == REMORA_E_BUSY);
        REQUIRE(remora_session_fork(s, &fork, NULL) == REMORA_E_BUSY && fork == NULL);
        REQUIRE(remora_eval(&s, 1, NULL, NULL) == REMORA_E_BUSY);
    }
    for (uint32_t i = 0; i < n; i++) fn(arg, i);
}

static void busy(void **state)
{
    tiny t;
    remora_token ids[N];
    remora_error err = HOST_ERROR;
    remora_runtime *rt = NULL;
    long pokes = 0;
    const remora_runtime_opts o = {
        .struct_size = sizeof o, .n_threads = 2, .run = poke, .run_user = &pokes};
    (void)state;
    tiny_make(&t, NULL);
    host_ids(ids, N, TINY_TEXT_VOCAB, 8);
    REQUIRE_OK(remora_runtime_create(&o, &rt, &err), &err);
    remora_model *m = host_open(rt, &t.source);
    float *expect = host_logits(m, ids, N);
    job j = {host_session(m, N, REMORA_KV_F32), expect};
    REQUIRE_OK(remora_session_append(j.s, ids, N, REMORA_WANT_ALL, NULL), NULL);
    busy_session = j.s;
    evaluate(&j);
    busy_session = NULL;
    assert_true(pokes > 5);
    remora_session_free(j.s);
    free(expect);
    remora_model_free(m);
    remora_runtime_free(rt);
    tiny_free(&t);
}

/* Calls that only read a session take a const one, and run beside each other. */
typedef struct reader {
    const remora_session *s;
    remora_model *m;
    const float *expect; /* N rows of logits */
    const remora_token *ids;
} reader;

static void read_row(const reader *r, uint32_t row, remora_sampler *p)
{
    static const size_t width = TINY_TEXT_VOCAB;
    const float *logits, *expect = r->expect + row * width;
    remora_token_prob best;
    remora_token t;
    float logprob, hidden[4096];
    size_t n;
    REQUIRE_OK(remora_session_logits(r->s, row, &logits, &n, NULL), NULL);
    REQUIRE(n == width && memcmp(logits, expect, n * sizeof *logits) == 0);
    REQUIRE_OK(remora_session_top(r->s, row, &best, 1, &n, NULL), NULL);
    REQUIRE(best.logit == expect[best.token]);
    REQUIRE_OK(remora_session_logprob(r->s, row, best.token, &logprob, NULL), NULL);
    REQUIRE(logprob == best.logprob);
    REQUIRE_OK(remora_sampler_pick(p, r->s, row, &t, NULL), NULL);
    REQUIRE(t == best.token);
    REQUIRE_OK(remora_session_hidden(r->s, row, hidden, 4096, &n, NULL), NULL);
}

static void *read_session(void *arg)
{
    const reader *r = arg;
    const remora_stage greedy = {.struct_size = sizeof greedy, .kind = REMORA_STAGE_TEMPERATURE};
    remora_sampler *p;
    REQUIRE_OK(remora_sampler_create(r->m, 1, &p, NULL), NULL);
    REQUIRE_OK(remora_sampler_add(p, &greedy, NULL), NULL);
    for (int round = 0; round < 20; round++) {
        remora_session_info i = {.struct_size = sizeof i};
        remora_stats stats = {.struct_size = sizeof stats};
        remora_token t[N];
        size_t n;
        for (uint32_t row = 0; row < N; row++) read_row(r, row, p);
        REQUIRE_OK(remora_session_get_info(r->s, &i, NULL), NULL);
        REQUIRE_OK(remora_session_get_stats(r->s, &stats, NULL), NULL);
        REQUIRE(i.committed == N && stats.prefill_tokens == N);
        REQUIRE_OK(remora_session_tokens(r->s, 0, t, N, &n, NULL), NULL);
        REQUIRE(n == N && memcmp(t, r->ids, sizeof t) == 0);
    }
    remora_sampler_free(p);
    return NULL;
}

static void readers(void **state)
{
    tiny t;
    remora_token ids[N];
    pthread_t threads[THREADS];
    (void)state;
    tiny_make(&t, NULL);
    host_ids(ids, N, TINY_TEXT_VOCAB, 8);
    remora_model *m = host_open(NULL, &t.source);
    float *expect = host_logits(m, ids, N);
    remora_session *s = host_session(m, N, REMORA_KV_F32);
    REQUIRE_OK(remora_session_append(s, ids, N, REMORA_WANT_ALL | REMORA_WANT_HIDDEN, NULL), NULL);
    REQUIRE_OK(remora_eval(&s, 1, NULL, NULL), NULL);
    reader r = {s, m, expect, ids};
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_session, &r), 0);
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    remora_session_free(s);
    free(expect);
    remora_model_free(m);
    tiny_free(&t);
}

/* A pick reads the session too, also while it is in a callback. */
typedef struct picking {
    pthread_barrier_t inside, read;
    remora_sampler *p;
    const remora_session *s;
} picking;

static remora_status REMORA_CALL stay_inside(void *user, remora_token_prob *cand, size_t *n)
{
    picking *k = user;
    (void)cand;
    (void)n;
    pthread_barrier_wait(&k->inside);
    pthread_barrier_wait(&k->read);
    return REMORA_OK;
}

static void *pick_slowly(void *arg)
{
    const picking *k = arg;
    remora_token t;
    REQUIRE_OK(remora_sampler_pick(k->p, k->s, 0, &t, NULL), NULL);
    return NULL;
}

static void readers_during_a_pick(void **state)
{
    tiny t;
    remora_token ids[N];
    pthread_t thread;
    picking k;
    (void)state;
    tiny_make(&t, NULL);
    host_ids(ids, N, TINY_TEXT_VOCAB, 8);
    remora_model *m = host_open(NULL, &t.source);
    float *expect = host_logits(m, ids, N);
    remora_session *s = host_session(m, N, REMORA_KV_F32);
    const remora_stage slow = {
        .struct_size = sizeof slow, .kind = REMORA_STAGE_CALLBACK, .fn = stay_inside, .user = &k};
    REQUIRE_OK(remora_session_append(s, ids, N, REMORA_WANT_ALL | REMORA_WANT_HIDDEN, NULL), NULL);
    REQUIRE_OK(remora_eval(&s, 1, NULL, NULL), NULL);
    k.s = s;
    REQUIRE(pthread_barrier_init(&k.inside, NULL, 2) == 0);
    REQUIRE(pthread_barrier_init(&k.read, NULL, 2) == 0);
    REQUIRE_OK(remora_sampler_create(m, 1, &k.p, NULL), NULL);
    REQUIRE_OK(remora_sampler_add(k.p, &slow, NULL), NULL);
    REQUIRE(pthread_create(&thread, NULL, pick_slowly, &k) == 0);
    pthread_barrier_wait(&k.inside);
    reader r = {s, m, expect, ids};
    read_session(&r);
    pthread_barrier_wait(&k.read);
    REQUIRE(pthread_join(thread, NULL) == 0);
    pthread_barrier_destroy(&k.inside);
    pthread_barrier_destroy(&k.read);
    remora_sampler_free(k.p);
    remora_session_free(s);
    free(expect);
    remora_model_free(m);
    tiny_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(evals_meet),
        cmocka_unit_test(busy),
        cmocka_unit_test(readers),
        cmocka_unit_test(readers_during_a_pick),
    };
    return cmocka_run_group_tests_name("P10", tests, NULL, NULL);
}
