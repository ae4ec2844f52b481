/* SPDX-License-Identifier: Apache-2.0 */
/* P5: a cancel word is honoured everywhere long work happens, within one item of work, and the
 * state stays defined. No clock decides anything here: a call whose word is set, and one with a
 * budget of a microsecond, does one item, so the word can be set between any two (test_items.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "groups.h"
#include "prompt.h"

enum { N = 70, CAP = 128 };

static int setup(void **state)
{
    const remora_runtime_opts o = host_runtime_opts(NULL, 2);
    assert_non_null(*state = malloc(sizeof(prompt)));
    prompt_make(*state, &o, N, 5);
    return 0;
}

static int teardown(void **state)
{
    prompt_free(*state);
    free(*state);
    return 0;
}

static remora_session *loaded(const prompt *f, uint32_t chunk)
{
    return host_loaded(f->m, CAP, chunk, f->ids, N);
}

static void finish_and_compare(prompt *f, remora_session *s)
{
    remora_error err = HOST_ERROR;
    REQUIRE_OK(remora_eval(&s, 1, NULL, &err), &err);
    prompt_compare(f, s, 0, N);
}

/* k items, then a call with the word set. Returns 0 when the work was over before. */
static int cancel_after(prompt *f, uint32_t chunk, int k)
{
    const int32_t word = 1;
    remora_session *s = loaded(f, chunk);
    const remora_eval_opts step = {.struct_size = sizeof step, .budget_us = 1};
    const remora_eval_opts stop = {.struct_size = sizeof stop, .cancel = &word};
    remora_error err = HOST_ERROR;
    remora_status st = REMORA_MORE;
    for (int i = 0; i < k && st == REMORA_MORE; i++) st = remora_eval(&s, 1, &step, &err);
    assert_true(st == REMORA_MORE || st == REMORA_OK);
    if (st == REMORA_MORE) {
        const remora_session_info before = host_session_info(s);
        const remora_status last = remora_eval(&s, 1, &stop, &err);
        const remora_session_info after = host_session_info(s);
        assert_true(after.committed >= before.committed);
        assert_int_equal(after.committed + after.pending, N);
        assert_int_equal(last, after.pending > 0 ? REMORA_E_CANCELLED : REMORA_OK);
        finish_and_compare(f, s);
    }
    remora_session_free(s);
    return st == REMORA_MORE;
}

static void eval_somewhere(void **state)
{
    static const uint32_t chunks[] = {0, 7, 64};
    for (size_t c = 0; c < 3; c++) {
        int k = 0;
        while (cancel_after(*state, chunks[c], k)) k += 1 + k / 8;
        /* about 20 operations in each of 3 layers; each of two threads does an item in a call */
        assert_true(k >= 30 * (c == 1 ? 10 : 1));
    }
}

/* After a cancel in the middle the host may also go elsewhere. */
static void sync_after_cancel(void **state)
{
    prompt *f = *state;
    const int32_t word = 1;
    remora_session *s = loaded(f, 7);
    const remora_eval_opts step = {.struct_size = sizeof step, .budget_us = 1};
    const remora_eval_opts stop = {.struct_size = sizeof stop, .cancel = &word};
    for (int i = 0; i < 9; i++) assert_int_equal(remora_eval(&s, 1, &step, NULL), REMORA_MORE);
    assert_int_equal(remora_eval(&s, 1, &stop, NULL), REMORA_E_CANCELLED);
    assert_int_equal(remora_session_trim(s, 0, NULL), REMORA_OK);
    REQUIRE_OK(remora_session_sync(s, f->ids, N, REMORA_WANT_ALL, NULL, NULL), NULL);
    finish_and_compare(f, s);
    remora_session_free(s);
}

/* A batch: the word stops all of it, and each session says how far it got. */
static void batch(void **state)
{
    prompt *f = *state;
    for (int k = 0; k < 12; k++) {
        const int32_t word = 1;
        remora_session *s[2] = {loaded(f, 32), loaded(f, 32)};
        const remora_eval_opts step = {.struct_size = sizeof step, .budget_us = 1};
        const remora_eval_opts stop = {.struct_size = sizeof stop, .cancel = &word};
        for (int i = 0; i < k; i++) assert_int_equal(remora_eval(s, 2, &step, NULL), REMORA_MORE);
        assert_int_equal(remora_eval(s, 2, &stop, NULL), REMORA_E_CANCELLED);
        finish_and_compare(f, s[1]);
        finish_and_compare(f, s[0]);
        remora_session_free(s[0]);
        remora_session_free(s[1]);
    }
}

typedef struct ask {
    long calls, stop_at;
    int32_t *word; /* set it instead of saying stop */
} ask;

static int32_t on_progress(void *user, uint64_t done, uint64_t total)
{
    ask *a = user;
    REQUIRE(done <= total);
    if (++a->calls != a->stop_at) return 0;
    if (a->word == NULL) return 1;
    __atomic_store_n(a->word, 1, __ATOMIC_RELAXED);
    return 0;
}

/* Open with a callback that stops at its k-th call; returns how often it was called. */
static long open_and_stop(prompt *f, long k, int by_word)
{
    tmem mem = {0};
    int32_t word = 0;
    remora_error err = HOST_ERROR;
    ask a = {.stop_at = k, .word = by_word ? &word : NULL};
    remora_model *m = NULL;
    remora_runtime *rt = host_runtime(&mem, 1, NULL);
    const remora_model_opts o = {
        .struct_size = sizeof o, .cancel = &word, .progress = on_progress, .progress_user = &a};
    const long long before = atomic_load(&mem.bytes);
    const remora_status st = remora_model_open(rt, &f->t.source, &o, &m, &err);
    if (a.calls < k || k == 0) {
        assert_int_equal(st, REMORA_OK);
    } else {
        assert_int_equal(st, REMORA_E_CANCELLED);
        assert_int_equal(err.code, REMORA_E_CANCELLED);
        assert_null(m);
        assert_int_equal(a.calls, k); /* and is not asked again */
    }
    remora_model_free(m);
    assert_int_equal(atomic_load(&mem.bytes), before);
    remora_runtime_free(rt);
    assert_int_equal(atomic_load(&mem.blocks), 0);
    return a.calls;
}

/* Open is stopped by its callback, and by the word, at every call of the callback. Only a word that
 * is set in the last call comes too late: everything is done then. */
static void open_at_every_progress(void **state)
{
    const long calls = open_and_stop(*state, 0, 0);
    assert_true(calls > 10); /* about once a tensor */
    for (long k = 1; k <= calls; k++) (void)open_and_stop(*state, k, 0);
    for (long k = 1; k < calls; k++) (void)open_and_stop(*state, k, 1);
}

/* Generate: cancelled at every token and slice; the tokens together are those of one run. */
static void generate(void **state)
{
    enum { MAX = 12 };
    prompt *f = *state;
    remora_token expect[MAX], got[MAX + 4];
    size_t n_expect = 0, n;
    for (int run = 0; run < 20; run++) { /* run 0 is not cancelled */
        const int32_t word = 1;
        remora_error err = HOST_ERROR;
        remora_sampler *p = NULL;
        remora_session *s = host_session(f->m, CAP, REMORA_KV_F32);
        REQUIRE_OK(remora_sampler_create(f->m, 3, &p, &err), &err);
        REQUIRE_OK(remora_session_append(s, f->ids, 40, REMORA_WANT_LAST, NULL), NULL);
        const remora_gen_opts step = {.struct_size = sizeof step, .budget_us = 1};
        const remora_gen_opts stop = {.struct_size = sizeof stop, .cancel = &word};
        const remora_gen_opts all = {.struct_size = sizeof all};
        size_t have = 0;
        for (int i = 0; i < run && have < MAX; i++) {
            const remora_status st = remora_generate(s, p, &step, got + have, MAX - have, &n, &err);
            have += n;
            if (st == REMORA_END) break;
            assert_int_equal(st, REMORA_MORE);
        }
        if (run > 0 && have < MAX) {
            assert_int_equal(remora_generate(s, p, &stop, got + have, MAX - have, &n, &err),
                             REMORA_E_CANCELLED);
            have += n;
        }
        while (have < MAX) {
            const remora_status st = remora_generate(s, p, &all, got + have, MAX - have, &n, &err);
            assert_true(st >= 0);
            have += n;
            if (st == REMORA_END) break;
        }
        if (run == 0) {
            n_expect = have;
            memcpy(expect, got, have * sizeof *got);
        }
        assert_int_equal(have, n_expect);
        assert_memory_equal(got, expect, have * sizeof *got);
        remora_sampler_free(p);
        remora_session_free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eval_somewhere), cmocka_unit_test(sync_after_cancel),
        cmocka_unit_test(batch),          cmocka_unit_test(open_at_every_progress),
        cmocka_unit_test(generate),
    };
    return RUN_GROUP("P5", tests, setup, teardown);
}
