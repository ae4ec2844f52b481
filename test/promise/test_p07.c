/* SPDX-License-Identifier: Apache-2.0 */
/* P7: idle costs no CPU, and an oversubscribed machine changes no result. What the processor did is
 * read from its own account (getrusage), not from a clock: a thread that spins through the half
 * second of idleness would show up as 500 ms, sleeping ones as next to nothing. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <cmocka.h>

#include "host.h"
#include "tiny.h"

enum { N = 64 };

static long cpu_us(void)
{
    struct rusage u;
    REQUIRE(getrusage(RUSAGE_SELF, &u) == 0);
    return (long)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 + u.ru_utime.tv_usec +
           u.ru_stime.tv_usec;
}

static void sleep_ms(long ms)
{
    const struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

static void idle(void **state)
{
    tiny t;
    remora_token ids[N];
    (void)state;
    tiny_make(&t, NULL);
    host_ids(ids, N, TINY_TEXT_VOCAB, 1);
    remora_runtime *rt = host_runtime(NULL, 8, NULL);
    remora_model *m = host_open(rt, &t.source);
    free(host_logits(m, ids, N)); /* the workers were awake */
    sleep_ms(20);
    const long before = cpu_us();
    sleep_ms(500);
    assert_true(cpu_us() - before < 50000);
    remora_model_free(m);
    remora_runtime_free(rt);
    tiny_free(&t);
}

/* 16 threads, whatever the machine has, and two such runtimes at once. */
static void oversubscribed(void **state)
{
    tiny t;
    remora_token ids[N];
    (void)state;
    tiny_make(&t, NULL);
    host_ids(ids, N, TINY_TEXT_VOCAB, 2);
    remora_runtime *one = host_runtime(NULL, 1, NULL);
    remora_model *m1 = host_open(one, &t.source);
    float *expect = host_logits(m1, ids, N);
    for (int i = 0; i < 3; i++) {
        remora_runtime *a = host_runtime(NULL, 16, NULL), *b = host_runtime(NULL, 16, NULL);
        remora_model *ma = host_open(a, &t.source), *mb = host_open(b, &t.source);
        float *got_a = host_logits(ma, ids, N), *got_b = host_logits(mb, ids, N);
        assert_memory_equal(got_a, expect, N * TINY_TEXT_VOCAB * sizeof *expect);
        assert_memory_equal(got_b, expect, N * TINY_TEXT_VOCAB * sizeof *expect);
        free(got_a);
        free(got_b);
        remora_model_free(ma);
        remora_runtime_free(a);
        remora_model_free(mb);
        remora_runtime_free(b);
    }
    free(expect);
    remora_model_free(m1);
    remora_runtime_free(one);
    tiny_free(&t);
}

static void REMORA_CALL run_backwards(void *user, uint32_t n,
                                      void(REMORA_CALL *fn)(void *, uint32_t), void *arg)
{
    ++*(long *)user;
    for (uint32_t i = n; i-- > 0;) fn(arg, i);
}

/* The host's threads only: none of ours is created, and freeing ends those that were. */
static void threads(void **state)
{
    tiny t;
    remora_token ids[N];
    remora_error err = HOST_ERROR;
    long regions = 0;
    (void)state;
    const int own = host_thread_count();
    assert_true(own > 0);
    tiny_make(&t, NULL);
    host_ids(ids, N, TINY_TEXT_VOCAB, 3);
    remora_runtime *one = host_runtime(NULL, 1, NULL);
    remora_model *m1 = host_open(one, &t.source);
    float *expect = host_logits(m1, ids, N);
    assert_int_equal(host_thread_count(), own);
    remora_runtime *rt = NULL;
    const remora_runtime_opts o = {
        .struct_size = sizeof o, .n_threads = 6, .run = run_backwards, .run_user = &regions};
    REQUIRE_OK(remora_runtime_create(&o, &rt, &err), &err);
    remora_model *m = host_open(rt, &t.source);
    float *got = host_logits(m, ids, N);
    assert_int_equal(host_thread_count(), own);
    assert_true(regions > 10);
    assert_memory_equal(got, expect, N * TINY_TEXT_VOCAB * sizeof *expect);
    remora_model_free(m);
    remora_runtime_free(rt);
    rt = host_runtime(NULL, 4, NULL);
    assert_int_equal(host_thread_count(), own + 3);
    remora_runtime_free(rt);
    /* a joined thread may stay listed for a moment */
    for (int i = 0; i < 1000 && host_thread_count() != own; i++) sleep_ms(1);
    assert_int_equal(host_thread_count(), own);
    free(got);
    free(expect);
    remora_model_free(m1);
    remora_runtime_free(one);
    tiny_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idle),
        cmocka_unit_test(oversubscribed),
        cmocka_unit_test(threads),
    };
    return cmocka_run_group_tests_name("P7", tests, NULL, NULL);
}
