/* SPDX-License-Identifier: Apache-2.0 */
/* P28: worker threads block all signals, and a thread that cannot start means fewer threads. The
 * host is told of each thread on that thread. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "host.h"
#include "tiny.h"

enum { THREADS = 5, N = 40 };

/* ---- the system gives only so many threads (the linker's --wrap) ---- */

static int threads_left = -1; /* below 0: as many as there are */

int __real_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *), void *arg)
{
    if (threads_left == 0) return EAGAIN;
    if (threads_left > 0) threads_left--;
    return __real_pthread_create(t, a, fn, arg);
}

/* ---- what threads are told, and what they block ---- */

typedef struct seen {
    atomic_int calls[THREADS], others, not_blocked, on_caller;
    pthread_t caller;
} seen;

static void REMORA_CALL on_start(void *user, uint32_t index)
{
    seen *s = user;
    sigset_t mask;
    atomic_fetch_add(index >= 1 && index < THREADS ? &s->calls[index] : &s->others, 1);
    atomic_fetch_add(&s->on_caller, pthread_equal(pthread_self(), s->caller) != 0);
    REQUIRE(pthread_sigmask(SIG_BLOCK, NULL, &mask) == 0);
    for (int i = 1; i < SIGRTMIN; i++) /* those in between are the C library's own */
        if (i != SIGKILL && i != SIGSTOP && i < 32 && !sigismember(&mask, i))
            atomic_fetch_add(&s->not_blocked, 1);
    for (int i = SIGRTMIN; i <= SIGRTMAX; i++)
        if (!sigismember(&mask, i)) atomic_fetch_add(&s->not_blocked, 1);
}

/* Every thread but this one, as the system sees it: how many there are, and how many do not block
 * the ordinary signals. */
static int threads_that_listen(int *n)
{
    DIR *d = opendir("/proc/self/task");
    int listen = 0;
    REQUIRE(d != NULL);
    *n = 0;
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        char path[300], line[256];
        unsigned long long blocked = 0;
        if (e->d_name[0] == '.' || atoi(e->d_name) == (int)getpid()) continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", e->d_name);
        FILE *f = fopen(path, "r");
        if (f == NULL) continue;
        while (fgets(line, sizeof line, f) != NULL)
            if (sscanf(line, "SigBlk: %llx", &blocked) == 1) break;
        fclose(f);
        ++*n;
        listen +=
            (~blocked & 0x7fffffffull & ~(1ull << (SIGKILL - 1) | 1ull << (SIGSTOP - 1))) != 0;
    }
    closedir(d);
    return listen;
}

static void REMORA_CALL on_log(void *user, int32_t level, const char *msg, size_t len)
{
    if (level == REMORA_LOG_WARN) snprintf(user, 200, "%.*s", (int)len, msg);
}

static remora_runtime *make(seen *s, int32_t n_threads, char *log, remora_runtime_info *info)
{
    remora_error err = HOST_ERROR;
    remora_runtime *rt = NULL;
    const remora_runtime_opts o = {.struct_size = sizeof o,
                                   .n_threads = n_threads,
                                   .log = on_log,
                                   .log_user = log,
                                   .thread_start = on_start,
                                   .thread_start_user = s};
    memset(s, 0, sizeof *s);
    s->caller = pthread_self();
    REQUIRE_OK(remora_runtime_create(&o, &rt, &err), &err);
    info->struct_size = sizeof *info;
    REQUIRE_OK(remora_runtime_get_info(rt, info, NULL), NULL);
    return rt;
}

static void *nothing(void *arg)
{
    return arg;
}

/* A sanitizer has a thread of its own, which begins with the first one of the program. */
static void start_a_thread(void)
{
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, nothing, NULL) == 0);
    REQUIRE(pthread_join(thread, NULL) == 0);
}

static void workers_block_all_signals(void **state)
{
    seen s;
    char log[200] = "";
    remora_runtime_info info;
    tiny t;
    remora_token ids[N];
    sigset_t before, after;
    int n = 0, others = 0;
    (void)state;
    tiny_make(&t, NULL);
    host_ids(ids, N, TINY_TEXT_VOCAB, 1);
    start_a_thread();
    (void)threads_that_listen(&others);
    REQUIRE(pthread_sigmask(SIG_BLOCK, NULL, &before) == 0);
    remora_runtime *rt = make(&s, THREADS, log, &info);
    REQUIRE(pthread_sigmask(SIG_BLOCK, NULL, &after) == 0);
    assert_memory_equal(&before, &after, sizeof(long));
    remora_model *m = host_open(rt, &t.source);
    free(host_logits(m, ids, N));
    assert_int_equal(threads_that_listen(&n), 0);
    assert_int_equal(n - others, THREADS - 1);
    remora_model_free(m);
    remora_runtime_free(rt); /* all have started by now, for they have ended */
    for (int i = 1; i < THREADS; i++) assert_int_equal(atomic_load(&s.calls[i]), 1);
    assert_int_equal(atomic_load(&s.others), 0);
    assert_int_equal(atomic_load(&s.on_caller), 0);
    assert_int_equal(atomic_load(&s.not_blocked), 0);
    assert_int_equal(info.n_threads, THREADS);
    assert_non_null(strstr(info.why, "threads: as n_threads says; kernels: the best"));
    assert_string_equal(log, "");
    tiny_free(&t);
}

static void fewer_threads(void **state)
{
    tiny t;
    remora_token ids[N];
    (void)state;
    tiny_make(&t, NULL);
    host_ids(ids, N, TINY_TEXT_VOCAB, 1);
    remora_runtime *one = host_runtime(NULL, 1, NULL);
    remora_model *m1 = host_open(one, &t.source);
    float *expect = host_logits(m1, ids, N);
    for (int given = 0; given < THREADS; given++) {
        seen s;
        char log[200] = "", says[100];
        remora_runtime_info info;
        threads_left = given;
        remora_runtime *rt = make(&s, THREADS, log, &info);
        threads_left = -1;
        assert_int_equal(info.n_threads, given + 1);
        remora_model *m = host_open(rt, &t.source);
        float *got = host_logits(m, ids, N);
        assert_memory_equal(got, expect, N * TINY_TEXT_VOCAB * sizeof *got);
        free(got);
        remora_model_free(m);
        remora_runtime_free(rt);
        snprintf(says, sizeof says, "the system gives no more threads: calls compute with %d",
                 given + 1);
        assert_string_equal(log, given + 1 < THREADS ? says : "");
        assert_int_equal(strstr(info.why, "gives no more") != NULL, given + 1 < THREADS);
    }
    free(expect);
    remora_model_free(m1);
    remora_runtime_free(one);
    tiny_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(workers_block_all_signals),
        cmocka_unit_test(fewer_threads),
    };
    return cmocka_run_group_tests_name("P28", tests, NULL, NULL);
}
