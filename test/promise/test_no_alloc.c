/* SPDX-License-Identifier: Apache-2.0 */
/* After a session was created nothing is allocated: not by decoding at growing depth, nor by
 * prompts, batches, generations, forks' first writes, trims and evals that run out of budget. Both
 * the host's hooks and the C library's allocator, as the library calls it, are counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "host.h"
#include "tiny.h"

enum { CAPACITY = 700, BATCH = 12, THREADS = 2 };

/* Calls of the library's own objects: the link wraps these names. */
static atomic_long libc_calls;
void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
int __real_posix_memalign(void **p, size_t align, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
int __wrap_posix_memalign(void **p, size_t align, size_t n);

void *__wrap_malloc(size_t n)
{
    atomic_fetch_add(&libc_calls, 1);
    return __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    atomic_fetch_add(&libc_calls, 1);
    return __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    atomic_fetch_add(&libc_calls, 1);
    return __real_realloc(p, n);
}

int __wrap_posix_memalign(void **p, size_t align, size_t n)
{
    atomic_fetch_add(&libc_calls, 1);
    return __real_posix_memalign(p, align, n);
}

typedef struct bed {
    tmem mem;
    remora_runtime *rt;
    remora_model *m;
    remora_session *s[BATCH];
    remora_token ids[CAPACITY];
    long hook_calls, c_calls;
} bed;

static void start_count(bed *b)
{
    b->hook_calls = atomic_load(&b->mem.calls);
    b->c_calls = atomic_load(&libc_calls);
}

static void nothing_was_allocated(const bed *b, const char *what)
{
    const long hooks = atomic_load(&b->mem.calls) - b->hook_calls,
               c = atomic_load(&libc_calls) - b->c_calls;
    if (hooks != 0 || c != 0)
        fail_msg("%s: %ld allocations by the hooks, %ld by the C library", what, hooks, c);
}

static void open_bed(bed *b, const tiny *t, int32_t kv_type)
{
    memset(b, 0, sizeof *b);
    b->rt = host_runtime(&b->mem, THREADS, NULL);
    b->m = host_open(b->rt, &t->source);
    for (int i = 0; i < BATCH; i++) b->s[i] = host_session(b->m, CAPACITY, kv_type);
    host_ids(b->ids, CAPACITY, host_vocab(b->m), 1);
}

static void close_bed(bed *b)
{
    for (int i = 0; i < BATCH; i++) remora_session_free(b->s[i]);
    remora_model_free(b->m);
    remora_runtime_free(b->rt);
    assert_int_equal(atomic_load(&b->mem.blocks), 0);
}

static void feed(bed *b, remora_session **s, size_t n_sessions, size_t n)
{
    remora_error err = HOST_ERROR;
    for (size_t i = 0; i < n_sessions; i++)
        REQUIRE_OK(remora_session_append(s[i], b->ids, n, REMORA_WANT_LAST, NULL), NULL);
    REQUIRE_OK(remora_eval(s, n_sessions, NULL, &err), &err);
}

static void decode_to_capacity(bed *b)
{
    start_count(b);
    for (int i = 0; i < CAPACITY; i++) feed(b, b->s, 1, 1);
    nothing_was_allocated(b, "decoding to the capacity");
    REQUIRE_OK(remora_session_trim(b->s[0], 0, NULL), NULL);
    feed(b, b->s, 1, CAPACITY); /* in two steps: above the chunk */
    nothing_was_allocated(b, "trimming, and a prompt as long as the capacity");
    REQUIRE_OK(remora_session_trim(b->s[0], 10, NULL), NULL);
}

static void batches(bed *b)
{
    start_count(b);
    feed(b, b->s, BATCH, 40);
    for (int i = 0; i < 40; i++) feed(b, b->s, BATCH, 1);
    nothing_was_allocated(b, "a batch of twelve");
    const remora_eval_opts bit = {.struct_size = sizeof bit, .budget_us = 1};
    remora_error err = HOST_ERROR;
    remora_status st = REMORA_MORE;
    for (int i = 0; i < BATCH; i++)
        REQUIRE_OK(remora_session_append(b->s[i], b->ids, 33, REMORA_WANT_LAST, NULL), NULL);
    while (st == REMORA_MORE) st = remora_eval(b->s, BATCH, &bit, &err);
    REQUIRE_OK(st, &err);
    nothing_was_allocated(b, "evals with a budget");
}

static void forks(bed *b)
{
    remora_error err = HOST_ERROR;
    remora_session *f;
    REQUIRE_OK(remora_session_fork(b->s[1], &f, &err), &err);
    start_count(b);
    for (int i = 0; i < 70; i++) feed(b, &f, 1, 1);
    REQUIRE_OK(remora_session_trim(f, 20, NULL), NULL); /* into what it shares */
    feed(b, &f, 1, CAPACITY - 20);
    remora_session_info i = {.struct_size = sizeof i};
    REQUIRE_OK(remora_session_get_info(b->s[1], &i, NULL), NULL);
    feed(b, &b->s[1], 1, CAPACITY - (size_t)i.committed);
    nothing_was_allocated(b, "a fork and what it was forked from");
    remora_session_free(f);
}

/* Pages as needed: append takes them, and then nothing more is taken. */
static void pages_as_needed(bed *b, int32_t kv_type)
{
    const remora_session_opts o = {.struct_size = sizeof o,
                                   .flags = REMORA_SESSION_PAGES_AS_NEEDED,
                                   .capacity = CAPACITY,
                                   .kv_type = kv_type};
    remora_error err = HOST_ERROR;
    remora_session *s[2];
    REQUIRE_OK(remora_session_create(b->m, &o, &s[0], &err), &err);
    feed(b, s, 1, 50);
    REQUIRE_OK(remora_session_fork(s[0], &s[1], &err), &err);
    REQUIRE_OK(remora_session_trim(s[1], 20, NULL), NULL); /* into what it shares */
    for (int i = 0; i < 80; i++) {
        const long before = atomic_load(&b->mem.calls);
        for (int k = 0; k < 2; k++)
            REQUIRE_OK(remora_session_append(s[k], b->ids, 1, REMORA_WANT_LAST, NULL), NULL);
        if (i == 0) assert_true(atomic_load(&b->mem.calls) > before); /* a copy of a shared page */
        start_count(b);
        REQUIRE_OK(remora_eval(s, 2, NULL, &err), &err);
        nothing_was_allocated(b, "evaluating with pages as needed");
    }
    for (int k = 0; k < 2; k++) remora_session_free(s[k]);
}

static void generations(bed *b)
{
    const remora_text stops[] = {host_text("no such text anywhere")};
    remora_error err = HOST_ERROR;
    remora_sampler *p;
    remora_token out[64];
    size_t n;
    const remora_stage stage = {
        .struct_size = sizeof stage, .kind = REMORA_STAGE_REPEAT, .value = 1.1};
    remora_gen_opts g = {.struct_size = sizeof g, .max_tokens = 64};
    REQUIRE_OK(remora_sampler_create(b->m, 1, &p, &err), &err);
    REQUIRE_OK(remora_sampler_add(p, &stage, &err), &err);
    start_count(b);
    REQUIRE_OK(remora_generate(b->s[2], p, &g, out, 64, &n, &err), &err);
    nothing_was_allocated(b, "generating");
    g.stop = stops; /* the first call of a generation makes room for the end of its text */
    g.n_stop = 1;
    REQUIRE_OK(remora_generate(b->s[3], p, &g, out, 1, &n, &err), &err);
    start_count(b);
    REQUIRE_OK(remora_generate(b->s[3], p, &g, out, 63, &n, &err), &err);
    nothing_was_allocated(b, "generating with a stop string");
    char text[64];
    remora_status st = remora_generate_text(b->s[4], p, &g, text, 64, &n, NULL, 0, NULL, &err);
    start_count(b);
    while (st == REMORA_MORE)
        st = remora_generate_text(b->s[4], p, &g, text, 64, &n, NULL, 0, NULL, &err);
    REQUIRE_OK(st, &err);
    nothing_was_allocated(b, "generating text");
    remora_sampler_free(p);
}

static void nothing_after_creation(void **state)
{
    static const tiny_opts shapes[] = {{0}, {.v2 = 1}, {.dense = "llama"}};
    static const int32_t types[] = {REMORA_KV_BF16, REMORA_KV_F32, REMORA_KV_INT8};
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        tiny t;
        tiny_make(&t, &shapes[i]);
        for (size_t k = 0; k < sizeof types / sizeof types[0]; k++) {
            bed b;
            if (shapes[i].dense != NULL && types[k] == REMORA_KV_INT8) continue; /* no latents */
            open_bed(&b, &t, types[k]);
            decode_to_capacity(&b);
            batches(&b);
            forks(&b);
            pages_as_needed(&b, types[k]);
            generations(&b);
            close_bed(&b);
        }
        tiny_free(&t);
    }
}

/* The counters do count. */
static void creation_allocates(void **state)
{
    tiny t;
    bed b;
    (void)state;
    tiny_make(&t, NULL);
    open_bed(&b, &t, 0);
    start_count(&b);
    remora_session *s = host_session(b.m, CAPACITY, 0);
    assert_true(atomic_load(&b.mem.calls) > b.hook_calls);
    assert_true(atomic_load(&libc_calls) > b.c_calls);
    remora_session_free(s);
    close_bed(&b);
    tiny_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_after_creation),
                                       cmocka_unit_test(creation_allocates)};
    return cmocka_run_group_tests_name("no allocation", tests, NULL, NULL);
}
