/* SPDX-License-Identifier: Apache-2.0 */
/* P25: the host may fork() at any moment. In the child every call returns: a session that another
 * thread was using is E_BUSY for ever and can be freed, all others go on, with the bits that they
 * have in the parent. No clock decides anything here. test_p25_handles.c has samplers, budgets and
 * opening. */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "gate.h"
#include "host.h"
#include "sanitizers.h"
#include "tiny.h"

/* The allocators of the address and the thread sanitizer can be locked by another thread at the
 * moment of a fork(), and the child then waits in malloc() or free() for ever (gcc 12, clang 14):
 * threads that allocate and forks at random moments do not go together there. */
enum { N = 40, THREADS = 2, SLOTS = 3, FORKS = UNDER_ASAN || UNDER_TSAN ? 0 : 2000 };

static void nap(long us)
{
    const struct timespec t = {0, us * 1000};
    nanosleep(&t, NULL);
}

/* Append in pieces below 32 tokens, so that bits do not depend on them, and evaluate. */
static float *truth(remora_model *m, const remora_token *ids, size_t n)
{
    remora_error err = HOST_ERROR;
    remora_session *s = host_session(m, N, REMORA_KV_F32);
    for (size_t i = 0; i < n; i += 16)
        REQUIRE_OK(remora_session_append(s, ids + i, n - i < 16 ? n - i : 16,
                                         i + 16 >= n ? REMORA_WANT_LAST : 0, NULL),
                   NULL);
    REQUIRE_OK(remora_eval(&s, 1, NULL, &err), &err);
    float *row = host_rows(s, 1);
    remora_session_free(s);
    return row;
}

/* A session goes on: one more token, and the logits behind it. */
static void goes_on(remora_model *m, remora_session *s)
{
    remora_error err = HOST_ERROR;
    remora_session_info i = {.struct_size = sizeof i};
    remora_token ids[N];
    const remora_token t = 7;
    const float *row;
    size_t n;
    REQUIRE_OK(remora_session_get_info(s, &i, NULL), NULL);
    if (i.committed + i.pending == N) REQUIRE_OK(remora_session_trim(s, N / 2, NULL), NULL);
    REQUIRE_OK(remora_session_append(s, &t, 1, REMORA_WANT_LAST, NULL), NULL);
    REQUIRE_OK(remora_eval(&s, 1, NULL, &err), &err);
    REQUIRE_OK(remora_session_tokens(s, 0, ids, N, &n, NULL), NULL);
    REQUIRE_OK(remora_session_get_info(s, &i, NULL), NULL);
    REQUIRE(i.committed == n && i.n_rows > 0);
    REQUIRE_OK(remora_session_logits(s, i.n_rows - 1, &row, NULL, NULL), NULL);
    float *expect = truth(m, ids, n);
    REQUIRE(memcmp(row, expect, TINY_TEXT_VOCAB * sizeof *row) == 0);
    free(expect);
}

/* Every call on a session that another thread was using. */
static void is_busy(remora_session *s)
{
    remora_session_info i = {.struct_size = sizeof i};
    remora_stats st = {.struct_size = sizeof st};
    remora_session_opts o = {.struct_size = sizeof o};
    remora_generation_info g = {.struct_size = sizeof g};
    remora_session *fork = NULL;
    remora_token t = 1;
    const float *row;
    float x;
    remora_token_prob best;
    size_t n;
    REQUIRE(remora_session_append(s, &t, 1, 0, NULL) == REMORA_E_BUSY);
    REQUIRE(remora_session_sync(s, &t, 1, 0, NULL, NULL) == REMORA_E_BUSY);
    REQUIRE(remora_session_trim(s, 0, NULL) == REMORA_E_BUSY);
    REQUIRE(remora_session_fork(s, &fork, NULL) == REMORA_E_BUSY && fork == NULL);
    REQUIRE(remora_eval(&s, 1, NULL, NULL) == REMORA_E_BUSY);
    REQUIRE(remora_session_get_info(s, &i, NULL) == REMORA_E_BUSY);
    REQUIRE(remora_session_get_stats(s, &st, NULL) == REMORA_E_BUSY);
    REQUIRE(remora_session_get_options(s, &o, NULL) == REMORA_E_BUSY);
    REQUIRE(remora_session_get_generation(s, &g, NULL) == REMORA_E_BUSY);
    REQUIRE(remora_session_tokens(s, 0, &t, 1, &n, NULL) == REMORA_E_BUSY);
    REQUIRE(remora_session_logits(s, 0, &row, NULL, NULL) == REMORA_E_BUSY);
    REQUIRE(remora_session_top(s, 0, &best, 1, &n, NULL) == REMORA_E_BUSY);
    REQUIRE(remora_session_logprob(s, 0, 1, &x, NULL) == REMORA_E_BUSY);
    REQUIRE(remora_session_hidden(s, 0, &x, 1, &n, NULL) == REMORA_E_BUSY);
}

/* ---- at random moments ---- */

typedef struct visitor {
    pthread_t thread;
    remora_model *m;
    uint64_t random;
    _Atomic int *stop;
    _Atomic(remora_session *) slot[SLOTS]; /* NULL while the thread makes or frees it */
} visitor;

static void put(visitor *u, uint32_t to, uint32_t from)
{
    remora_session *s = atomic_load(&u->slot[from]), *made = NULL;
    if (s == NULL)
        made = host_session(u->m, N, REMORA_KV_F32);
    else
        REQUIRE_OK(remora_session_fork(s, &made, NULL), NULL);
    atomic_store(&u->slot[to], made);
}

static void change(remora_session *s, uint32_t how)
{
    remora_error err = HOST_ERROR;
    remora_token ids[8];
    remora_session_info i = {.struct_size = sizeof i};
    const remora_eval_opts once = {.struct_size = sizeof once, .budget_us = how % 2};
    REQUIRE_OK(remora_session_get_info(s, &i, NULL), NULL);
    host_ids(ids, 8, TINY_TEXT_VOCAB, how);
    if (how % 4 == 0 || i.committed + i.pending > N - 8)
        REQUIRE_OK(remora_session_trim(s, how % (i.committed + i.pending + 1), NULL), NULL);
    else
        REQUIRE_OK(remora_session_append(s, ids, 1 + how % 8, how % 3, NULL), NULL);
    REQUIRE_OK(remora_eval(&s, 1, &once, &err), &err);
}

static void *use(void *arg)
{
    visitor *u = arg;
    while (!atomic_load(u->stop)) {
        const uint32_t r = host_random(&u->random), at = r % SLOTS;
        remora_session *s = atomic_load(&u->slot[at]);
        if (s == NULL)
            put(u, at, (at + 1) % SLOTS);
        else if (r / SLOTS % 8 == 0)
            remora_session_free(atomic_exchange(&u->slot[at], NULL));
        else
            change(s, r / SLOTS / 8 % 1024);
    }
    for (int i = 0; i < SLOTS; i++) remora_session_free(atomic_load(&u->slot[i]));
    return NULL;
}

static int was_in_use(remora_session *s)
{
    return remora_session_append(s, NULL, 0, 0, NULL) == REMORA_E_BUSY;
}

/* Returns how many sessions were in use. */
static int look_at_all(visitor *users, remora_model *m)
{
    int busy = 0;
    for (int i = 0; i < THREADS * SLOTS; i++) {
        remora_session *s = atomic_load(&users[i / SLOTS].slot[i % SLOTS]);
        if (s == NULL) continue;
        if (was_in_use(s)) {
            is_busy(s);
            busy++;
        } else {
            goes_on(m, s);
        }
    }
    for (int i = 0; i < THREADS * SLOTS; i++)
        remora_session_free(atomic_load(&users[i / SLOTS].slot[i % SLOTS]));
    return busy;
}

static void at_random_moments(void **state)
{
    tiny t;
    visitor users[THREADS];
    _Atomic int stop = 0;
    uint64_t random = 25;
    (void)state;
    tiny_make(&t, &(tiny_opts){.no_tokenizer = 1});
    remora_runtime *rt = host_runtime(NULL, 2, NULL);
    remora_model *m = host_open(rt, &t.source);
    remora_session *own = host_session(m, N, REMORA_KV_F32);
    for (int i = 0; i < THREADS; i++) {
        memset(&users[i], 0, sizeof users[i]);
        users[i].m = m;
        users[i].random = (uint64_t)i + 1;
        users[i].stop = &stop;
        REQUIRE(pthread_create(&users[i].thread, NULL, use, &users[i]) == 0);
    }
    for (int i = 0; i < FORKS; i++) {
        nap((long)(host_random(&random) % 300));
        if (!gate_in_child()) continue;
        goes_on(m, own);
        look_at_all(users, m);
        remora_session_free(own);
        remora_model_free(m);
        remora_runtime_free(rt);
        _exit(0);
    }
    atomic_store(&stop, 1);
    for (int i = 0; i < THREADS; i++) REQUIRE(pthread_join(users[i].thread, NULL) == 0);
    goes_on(m, own);
    remora_session_free(own);
    remora_model_free(m);
    remora_runtime_free(rt);
    tiny_free(&t);
}

/* ---- at known moments ---- */

static void REMORA_CALL run_gated(void *user, uint32_t n, void(REMORA_CALL *fn)(void *, uint32_t),
                                  void *arg)
{
    gate_pass(user);
    for (uint32_t i = 0; i < n; i++) fn(arg, i);
}

static void *evaluate(void *arg)
{
    remora_session *s = arg;
    REQUIRE_OK(remora_eval(&s, 1, NULL, NULL), NULL);
    return NULL;
}

/* An evaluation is inside a region of the host's job system, whose threads the child does not have:
 * there it is not asked. */
static void an_eval_is_under_way(void **state)
{
    tiny t;
    gate g;
    pthread_t thread;
    remora_token ids[N];
    remora_runtime *rt = NULL;
    const remora_runtime_opts o = {
        .struct_size = sizeof o, .n_threads = 3, .run = run_gated, .run_user = &g};
    (void)state;
    gate_init(&g);
    tiny_make(&t, NULL);
    host_ids(ids, N, TINY_TEXT_VOCAB, 3);
    REQUIRE_OK(remora_runtime_create(&o, &rt, NULL), NULL);
    remora_model *m = host_open(rt, &t.source);
    remora_session *used = host_session(m, N, REMORA_KV_F32),
                   *other = host_session(m, N, REMORA_KV_F32);
    REQUIRE_OK(remora_session_append(used, ids, N, REMORA_WANT_LAST, NULL), NULL);
    REQUIRE_OK(remora_session_append(other, ids, 20, REMORA_WANT_NONE, NULL), NULL);
    gate_arm(&g);
    REQUIRE(pthread_create(&thread, NULL, evaluate, used) == 0);
    REQUIRE(gate_wait_inside(&g));
    if (gate_in_child()) {
        is_busy(used);
        goes_on(m, other);
        is_busy(used);
        REQUIRE(g.calls_in_child == 0);
        remora_session_free(used);
        goes_on(m, other);
        remora_session_free(other);
        remora_model_free(m);
        remora_runtime_free(rt);
        _exit(0);
    }
    gate_let_go(&g);
    REQUIRE(pthread_join(thread, NULL) == 0);
    goes_on(m, other);
    remora_session_free(other);
    remora_session_free(used);
    remora_model_free(m);
    remora_runtime_free(rt);
    tiny_free(&t);
}

static void *make_session(void *arg)
{
    remora_session_free(host_session(arg, N, REMORA_KV_F32));
    return NULL;
}

/* Another thread is before or behind the k-th call of the allocator of making and freeing a
 * session, with whatever lock it has then. */
static void locks_are_held(void **state)
{
    tiny t;
    gated_mem gm = {0};
    pthread_t thread;
    remora_runtime *rt = NULL;
    const remora_runtime_opts o = {.struct_size = sizeof o,
                                   .n_threads = 2,
                                   .alloc_user = &gm,
                                   .alloc = gated_alloc,
                                   .resize = gated_resize,
                                   .dealloc = gated_dealloc};
    (void)state;
    gate_init(&gm.gate);
    tiny_make(&t, NULL);
    REQUIRE_OK(remora_runtime_create(&o, &rt, NULL), NULL);
    remora_model *m = host_open(rt, &t.source);
    remora_session *own = host_session(m, N, REMORA_KV_F32);
    const long before = gm.passes;
    make_session(m);
    const long passes = gm.passes - before;
    assert_true(passes > 16);
    for (long k = 1; k <= passes; k++) {
        gate_arm(&gm.gate);
        gm.at = gm.passes + k;
        REQUIRE(pthread_create(&thread, NULL, make_session, m) == 0);
        REQUIRE(gate_wait_inside(&gm.gate));
        if (gate_in_child()) {
            remora_session *fork = NULL;
            goes_on(m, own);
            REQUIRE_OK(remora_session_fork(own, &fork, NULL), NULL);
            goes_on(m, fork);
            remora_session_free(own);
            goes_on(m, fork);
            remora_session_free(fork);
            remora_model_free(m);
            remora_runtime_free(rt);
            _exit(0);
        }
        gate_let_go(&gm.gate);
        REQUIRE(pthread_join(thread, NULL) == 0);
    }
    remora_session_free(own);
    remora_model_free(m);
    remora_runtime_free(rt);
    assert_int_equal(atomic_load(&gm.mem.bytes), 0);
    tiny_free(&t);
}

/* Nobody else was inside: the child has all of it, and the last free returns every byte there. A
 * model opens in it too, on the calling thread alone. */
static void nothing_is_under_way(void **state)
{
    tiny t;
    tmem mem = {0};
    (void)state;
    tiny_make(&t, NULL);
    remora_runtime *rt = host_runtime(&mem, 4, NULL);
    remora_model *m = host_open(rt, &t.source);
    remora_session *s = host_session(m, N, REMORA_KV_F32);
    goes_on(m, s);
    if (gate_in_child()) {
        remora_model *second = host_open(rt, &t.source);
        remora_session *other = host_session(second, N, REMORA_KV_F32);
        goes_on(second, other);
        goes_on(m, s);
        if (gate_in_child()) { /* and so on */
            goes_on(m, s);
            _exit(0);
        }
        remora_session_free(other);
        remora_model_free(second);
        remora_session_free(s);
        remora_model_free(m);
        remora_runtime_free(rt);
        REQUIRE(atomic_load(&mem.bytes) == 0 && atomic_load(&mem.damage) == 0);
        _exit(0);
    }
    goes_on(m, s);
    remora_session_free(s);
    remora_model_free(m);
    remora_runtime_free(rt);
    assert_int_equal(atomic_load(&mem.bytes), 0);
    tiny_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_under_way),
        cmocka_unit_test(an_eval_is_under_way),
        cmocka_unit_test(locks_are_held),
        cmocka_unit_test(at_random_moments),
    };
    return cmocka_run_group_tests_name("P25", tests, NULL, NULL);
}
