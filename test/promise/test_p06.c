/* SPDX-License-Identifier: Apache-2.0 */
/* P6: a time budget is kept to within one item of work, and the result is the same as without one.
 *
 * Time is the test's own: its clock moves only when the library hands work to the host's job
 * system. So what a call took and what the longest item took are exact numbers, the same in every
 * run on every machine. */
#include "own_clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "groups.h"
#include "prompt.h"

enum { N = 90, CAP = 160, REGION_US = 7 };

/* The host's job system: one thread, and every region takes as long as it has parts. */
static void REMORA_CALL run_all(void *user, uint32_t n, void(REMORA_CALL *fn)(void *, uint32_t),
                                void *arg)
{
    (void)user;
    for (uint32_t i = n; i-- > 0;) fn(arg, i);
    now_us += REGION_US * n;
}

static int setup(void **state)
{
    const remora_runtime_opts o = {.struct_size = sizeof o, .n_threads = 3, .run = run_all};
    assert_non_null(*state = malloc(sizeof(prompt)));
    prompt_make(*state, &o, N, 6);
    return 0;
}

static int teardown(void **state)
{
    prompt_free(*state);
    free(*state);
    return 0;
}

static uint64_t longest_slice(const remora_session *s)
{
    remora_stats st = {.struct_size = sizeof st};
    assert_int_equal(remora_session_get_stats(s, &st, NULL), REMORA_OK);
    return st.longest_slice_us;
}

static remora_session *loaded(const prompt *f, uint32_t chunk)
{
    return host_loaded(f->m, CAP, chunk, f->ids, N);
}

static void compare_and_free(const prompt *f, remora_session *s)
{
    prompt_compare(f, s, 0, N);
    remora_session_free(s);
}

/* Evaluate to the end under a budget; returns the number of calls. */
static int eval_in_calls(remora_session *const *s, size_t n, int64_t budget)
{
    const remora_eval_opts o = {.struct_size = sizeof o, .budget_us = budget};
    remora_error err = HOST_ERROR;
    for (int calls = 1;; calls++) {
        const uint64_t start = now_us;
        const remora_status st = remora_eval(s, n, &o, &err);
        const uint64_t took = now_us - start;
        assert_true(st >= 0);
        assert_true(budget == 0 || took < (uint64_t)budget + longest_slice(s[0]));
        if (st == REMORA_OK) return calls;
        assert_int_equal(st, REMORA_MORE);
        assert_true(took + longest_slice(s[0]) >= (uint64_t)budget); /* and is made use of */
    }
}

static void eval(void **state)
{
    static const int64_t budgets[] = {1, 20, 100, 333, 1000, 5000, 1000000};
    static const uint32_t chunks[] = {0, 1, 7, 64};
    for (size_t b = 0; b < sizeof budgets / sizeof budgets[0]; b++)
        for (size_t c = 0; c < sizeof chunks / sizeof chunks[0]; c++) {
            remora_session *s = loaded(*state, chunks[c]);
            const int calls = eval_in_calls(&s, 1, budgets[b]);
            if (budgets[b] <= 100) assert_true(calls > 1);
            if (budgets[b] == 1000000) assert_int_equal(calls, 1);
            compare_and_free(*state, s);
        }
}

/* One item is a small part of the work: it is what a budget can be missed by. */
static void items_are_short(void **state)
{
    remora_session *s = loaded(*state, 0);
    const uint64_t start = now_us;
    assert_true(eval_in_calls(&s, 1, 1) >= 35); /* regions of more than one part */
    assert_true(longest_slice(s) > 0 && longest_slice(s) * 20 < now_us - start);
    compare_and_free(*state, s);
}

/* A budget makes no step smaller: a region takes as long for a few rows as for many, so smaller
 * steps would take longer in all. */
static void steps_are_as_long(void **state)
{
    static const int64_t budgets[] = {0, 1000000};
    uint64_t took[2];
    for (int i = 0; i < 2; i++) {
        remora_session *s = loaded(*state, 0);
        const uint64_t start = now_us;
        assert_int_equal(eval_in_calls(&s, 1, budgets[i]), 1);
        took[i] = now_us - start;
        compare_and_free(*state, s);
    }
    assert_in_range(took[1], took[0], took[0] * 5 / 4);
}

static void batch(void **state)
{
    for (int64_t budget = 1; budget < 2000; budget *= 5) {
        remora_session *s[3] = {loaded(*state, 0), loaded(*state, 7), loaded(*state, 64)};
        assert_true(eval_in_calls(s, 3, budget) > 1);
        for (int i = 0; i < 3; i++) compare_and_free(*state, s[i]);
    }
}

/* Between the calls of a frame loop other things happen to the other sessions. */
static void interleaved(void **state)
{
    prompt *f = *state;
    remora_session *s[2] = {loaded(f, 0), loaded(f, 0)};
    const remora_eval_opts o = {.struct_size = sizeof o, .budget_us = 50};
    remora_status st[2] = {REMORA_MORE, REMORA_MORE};
    for (int i = 0; st[0] == REMORA_MORE || st[1] == REMORA_MORE; i++) {
        assert_true(i < 10000);
        st[i % 2] = remora_eval(&s[i % 2], 1, &o, NULL);
        assert_true(st[i % 2] >= 0);
    }
    compare_and_free(f, s[0]);
    compare_and_free(f, s[1]);
}

static void max_tokens(void **state)
{
    for (uint64_t max = 1; max < N; max = max * 2 + 1) {
        remora_session *s = loaded(*state, 0);
        const remora_eval_opts o = {.struct_size = sizeof o, .max_tokens = max};
        uint64_t at = 0;
        remora_status st = REMORA_MORE;
        while (st == REMORA_MORE) {
            remora_session_info i = {.struct_size = sizeof i};
            st = remora_eval(&s, 1, &o, NULL);
            assert_int_equal(remora_session_get_info(s, &i, NULL), REMORA_OK);
            assert_true(i.committed <= at + max && i.committed > at);
            at = i.committed;
        }
        assert_int_equal(st, REMORA_OK);
        assert_int_equal(at, N);
        compare_and_free(*state, s);
    }
}

/* Generation in frames gives the same tokens. */
static size_t generate_in_calls(prompt *f, int64_t budget, remora_token *out, size_t max)
{
    remora_error err = HOST_ERROR;
    remora_sampler *p = NULL;
    remora_session *s = host_session(f->m, CAP, REMORA_KV_F32);
    const remora_gen_opts o = {.struct_size = sizeof o, .budget_us = budget, .max_tokens = max};
    size_t have = 0;
    remora_status st = REMORA_MORE;
    REQUIRE_OK(remora_sampler_create(f->m, 11, &p, &err), &err);
    REQUIRE_OK(remora_session_append(s, f->ids, 60, REMORA_WANT_LAST, NULL), NULL);
    while (st == REMORA_MORE) {
        size_t n;
        const uint64_t start = now_us;
        st = remora_generate(s, p, &o, out + have, max - have, &n, &err);
        have += n;
        assert_true(st == REMORA_END || st == REMORA_MORE);
        if (budget > 0) assert_true(now_us - start < (uint64_t)budget + longest_slice(s));
    }
    remora_sampler_free(p);
    remora_session_free(s);
    return have;
}

static void generate(void **state)
{
    enum { MAX = 20 };
    remora_token expect[MAX], got[MAX];
    const size_t n = generate_in_calls(*state, 0, expect, MAX);
    assert_true(n > 5);
    for (int64_t budget = 1; budget < 20000; budget *= 3) {
        assert_int_equal(generate_in_calls(*state, budget, got, MAX), n);
        assert_memory_equal(got, expect, n * sizeof *got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eval),
        cmocka_unit_test(items_are_short),
        cmocka_unit_test(steps_are_as_long),
        cmocka_unit_test(batch),
        cmocka_unit_test(interleaved),
        cmocka_unit_test(max_tokens),
        cmocka_unit_test(generate),
    };
    return RUN_GROUP("P6", tests, setup, teardown);
}
