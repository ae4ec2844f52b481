/* SPDX-License-Identifier: Apache-2.0 */
/* The device fails: every call of its backend once, and every operation of a step. Always E_DEVICE
 * with a text, nothing leaked, and the next try has the right bits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "guard_backend.h"
#include "sweep.h"

enum { N = 45, MORE = 3, CAP = 128 };

static const tiny_opts kinds[] = {{0}, {.dense = "qwen3"}};

typedef struct world {
    tmem mem;
    remora_runtime *rt;
    tiny t;
    remora_token ids[N];
    float *expect; /* [N + MORE] rows */
    size_t width;
} world;

static void world_make(world *w, const tiny_opts *kind)
{
    *w = (world){0};
    const remora_runtime_opts o = host_runtime_opts(&w->mem, 2);
    REQUIRE_OK(guard_runtime_create(&o, &w->rt, NULL), NULL);
    tiny_make(&w->t, kind);
}

static void world_end(world *w)
{
    GUARD_IS_CLEAN(w->rt);
    assert_int_equal(guard_get_stats(w->rt).live, 0);
    remora_runtime_free(w->rt);
    assert_int_equal(atomic_load(&w->mem.bytes), 0);
    tiny_free(&w->t);
    free(w->expect);
}

static remora_status feed(remora_session *s, const remora_token *ids, size_t n, remora_error *err)
{
    const remora_status st = remora_session_append(s, ids, n, REMORA_WANT_ALL, NULL);
    return st < 0 ? st : remora_eval(&s, 1, NULL, err);
}

static void is_expected(const world *w, remora_session *s, uint32_t first, uint32_t n)
{
    float *rows = host_rows(s, n);
    assert_memory_equal(rows, w->expect + first * w->width, n * w->width * sizeof *rows);
    free(rows);
}

/* A prompt, and a few tokens more in a fork. The first failure ends it. */
static remora_status talk(const world *w, remora_model *m, remora_session **s, remora_session **f,
                          remora_error *err)
{
    const remora_session_opts o = {.struct_size = sizeof o, .capacity = CAP};
    remora_status st = remora_session_create(m, &o, s, err);
    if (st >= 0) st = feed(*s, w->ids, N, err);
    if (st >= 0 && w->expect != NULL) is_expected(w, *s, 0, N);
    if (st >= 0) st = remora_session_fork(*s, f, err);
    if (st >= 0) st = feed(*f, w->ids, MORE, err);
    if (st >= 0 && w->expect != NULL) is_expected(w, *f, N, MORE);
    return st;
}

/* From the files to the last logits: all that asks something of a device. */
static remora_status all(world *w, remora_error *err)
{
    remora_model *m = NULL;
    remora_session *s = NULL, *f = NULL;
    uint64_t counts[64];
    size_t n;
    const remora_model_opts o = {.struct_size = sizeof o, .flags = REMORA_MODEL_IMPORTANCE};
    remora_status st = remora_model_open(w->rt, &w->t.source, &o, &m, err);
    if (st >= 0) st = talk(w, m, &s, &f, err);
    if (st >= 0 && remora_routing_read(m, 1, 1, counts, 64, &n, NULL) == REMORA_E_DEVICE)
        st = rmr_error_set(err, REMORA_E_DEVICE, 0, "the counters are lost");
    remora_session_free(f);
    remora_session_free(s);
    remora_model_free(m);
    return st;
}

static void make_expected(world *w)
{
    remora_error err = HOST_ERROR;
    remora_model *m = host_open(w->rt, &w->t.source);
    remora_session *s = NULL, *f = NULL;
    w->width = host_vocab(m);
    host_ids(w->ids, N, host_vocab(m), 3);
    REQUIRE_OK(talk(w, m, &s, &f, &err), &err);
    /* the prompt's rows went when the fork was made of it: they are the session's */
    float *a = host_rows(s, N), *b = host_rows(f, MORE);
    w->expect = malloc((N + MORE) * w->width * sizeof *a);
    REQUIRE(w->expect != NULL);
    memcpy(w->expect, a, N * w->width * sizeof *a);
    memcpy(w->expect + N * w->width, b, MORE * w->width * sizeof *b);
    free(a);
    free(b);
    remora_session_free(f);
    remora_session_free(s);
    remora_model_free(m);
}

static void every_call(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < 2; kind++) {
        world w;
        long k = 1;
        world_make(&w, &kinds[kind]);
        make_expected(&w);
        for (int hit = 1; hit; k++) {
            remora_error err = HOST_ERROR;
            const long blocks = atomic_load(&w.mem.blocks);
            guard_fail(w.rt, k, 0);
            const remora_status st = all(&w, &err);
            hit = guard_failed(w.rt);
            guard_fail(w.rt, 0, 0);
            assert_int_equal(st, hit ? REMORA_E_DEVICE : REMORA_OK);
            assert_true(!hit || err.message[0] != 0);
            assert_int_equal(atomic_load(&w.mem.blocks), blocks);
            assert_int_equal(guard_get_stats(w.rt).live, 0);
        }
        assert_true(k > 100);
        world_end(&w);
    }
}

/* An evaluation that failed has done nothing: the same session goes on. */
static void every_operation(void **state)
{
    (void)state;
    for (size_t kind = 0; kind < 2; kind++) {
        world w;
        long k = 1;
        world_make(&w, &kinds[kind]);
        make_expected(&w);
        remora_model *m = host_open(w.rt, &w.t.source);
        for (int hit = 1; hit; k++) {
            remora_error err = HOST_ERROR;
            remora_session *s = host_session(m, CAP, REMORA_KV_BF16);
            guard_fail(w.rt, 0, k);
            const remora_status st = feed(s, w.ids, N, &err);
            hit = guard_failed(w.rt);
            guard_fail(w.rt, 0, 0);
            assert_int_equal(st, hit ? REMORA_E_DEVICE : REMORA_OK);
            if (hit) {
                assert_string_equal(err.message, "the device is lost in an operation");
                REQUIRE_OK(remora_eval(&s, 1, NULL, &err), &err);
            }
            is_expected(&w, s, 0, N);
            remora_session_free(s);
        }
        assert_true(k > 30);
        remora_model_free(m);
        world_end(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call),
        cmocka_unit_test(every_operation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
