/* SPDX-License-Identifier: Apache-2.0 */
/* A step that a budget or a cancel word has stopped stays half done and goes on, whatever happens
 * to a session, until one of its own tokens goes. Whether it went on or was begun anew is seen in
 * the work that is left: the host's job system counts the parts that it is given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "groups.h"
#include "prompt.h"

enum { N = 70, CAP = 160, CHUNK = 32, THREADS = 2 };

static long n_parts;   /* that ran so far */
static long cancel_at; /* the word is set in this part; 0: in none */
static int32_t word;   /* the cancel word */

static void REMORA_CALL run_all(void *user, uint32_t n, void(REMORA_CALL *fn)(void *, uint32_t),
                                void *arg)
{
    (void)user;
    for (uint32_t i = 0; i < n; i++) {
        if (++n_parts == cancel_at) word = 1;
        fn(arg, i);
    }
}

typedef struct fixture {
    prompt p;
    long parts; /* that the prompt takes */
} fixture;

static remora_session *loaded(const fixture *f, size_t n)
{
    return host_loaded(f->p.m, CAP, CHUNK, f->p.ids, n);
}

/* Evaluate to the end; returns how many parts that took. */
static long finish(remora_session *const *s, size_t n)
{
    remora_error err = HOST_ERROR;
    const long before = n_parts;
    REQUIRE_OK(remora_eval(s, n, NULL, &err), &err);
    return n_parts - before;
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    const remora_runtime_opts o = {.struct_size = sizeof o, .n_threads = THREADS, .run = run_all};
    assert_non_null(f);
    prompt_make(&f->p, &o, N, 7);
    remora_session *s = loaded(f, N);
    f->parts = finish(&s, 1);
    remora_session_free(s);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    prompt_free(*state); /* the prompt is its beginning */
    free(*state);
    return 0;
}

/* Evaluate, and stop at the k-th part from here on. */
static remora_status eval_until(remora_session *const *s, size_t n, long k)
{
    const remora_eval_opts o = {.struct_size = sizeof o, .cancel = &word};
    remora_error err = HOST_ERROR;
    word = 0;
    cancel_at = n_parts + k;
    const remora_status st = remora_eval(s, n, &o, &err);
    cancel_at = 0;
    if (st < 0) assert_string_equal(err.message, "evaluation was cancelled");
    return st;
}

/* The rows that are there are those of an evaluation that nothing stopped. */
static void compare(const fixture *f, remora_session *s, size_t first_token, uint32_t n_rows)
{
    prompt_compare(&f->p, s, (uint32_t)first_token, n_rows);
}

/* A region that was stopped is given to the host again, in as many parts as there are threads at
 * most: 1 when the work of `all` parts took no more than that. */
static int goes_on(long all, long took, int stops)
{
    return took <= all + THREADS * stops;
}

/* An editor whose every key comes before the prompt is done. */
static void cancelled_again_and_again(void **state)
{
    fixture *f = *state;
    for (long k = 1; k < f->parts; k += 1 + k / 3) {
        remora_session *s = loaded(f, N);
        const long before = n_parts;
        remora_status st;
        int stops = 0;
        for (; (st = eval_until(&s, 1, k)) != REMORA_OK; stops++) {
            assert_int_equal(st, REMORA_E_CANCELLED);
            assert_int_equal(host_session_info(s).state, REMORA_MORE);
            assert_true(goes_on(f->parts, n_parts - before, stops));
        }
        assert_true(goes_on(f->parts, n_parts - before, stops)); /* nothing was done twice */
        compare(f, s, 0, N);
        remora_session_free(s);
    }
}

/* What happens between a stop and the call that goes on, and the tokens that are there then. */
typedef int change(fixture *f, remora_session *s);

static int nothing(fixture *f, remora_session *s)
{
    (void)f;
    (void)s;
    return N;
}

static int trim_to_all(fixture *f, remora_session *s)
{
    (void)f;
    assert_int_equal(remora_session_trim(s, N, NULL), REMORA_OK);
    return N;
}

static int trim_behind_the_step(fixture *f, remora_session *s)
{
    (void)f;
    assert_int_equal(remora_session_trim(s, CHUNK, NULL), REMORA_OK);
    return CHUNK;
}

static int sync_with_the_same(fixture *f, remora_session *s)
{
    assert_int_equal(remora_session_sync(s, f->p.ids, N, REMORA_WANT_LAST, NULL, NULL), REMORA_OK);
    return N;
}

static int sync_behind_the_step(fixture *f, remora_session *s)
{
    remora_token t[CHUNK + 2];
    memcpy(t, f->p.ids, sizeof t);
    t[CHUNK] = (t[CHUNK] + 1) % TINY_TEXT_VOCAB;
    assert_int_equal(remora_session_sync(s, t, CHUNK + 2, REMORA_WANT_ALL, NULL, NULL), REMORA_OK);
    return CHUNK;
}

static int append_more(fixture *f, remora_session *s)
{
    assert_int_equal(remora_session_append(s, f->p.ids + N, 3, REMORA_WANT_ALL, NULL), REMORA_OK);
    return N;
}

static int fork_it(fixture *f, remora_session *s)
{
    remora_session *child;
    remora_error err = HOST_ERROR;
    REQUIRE_OK(remora_session_fork(s, &child, &err), &err);
    assert_int_equal(host_session_info(child).state, REMORA_OK);
    finish(&child, 1);
    compare(f, child, 0, N);
    remora_session_free(child);
    return N;
}

/* The step goes on: in all no part is run twice. */
static void kept(void **state)
{
    static change *const changes[] = {
        nothing,     trim_to_all, trim_behind_the_step, sync_with_the_same, sync_behind_the_step,
        append_more, fork_it};
    fixture *f = *state;
    for (size_t c = 0; c < sizeof changes / sizeof changes[0]; c++)
        for (long k = 7; k < f->parts / 5; k += 5) {
            remora_session *s = loaded(f, N), *whole = loaded(f, N);
            const long before = n_parts;
            assert_int_equal(eval_until(&s, 1, k), REMORA_E_CANCELLED);
            const long done = n_parts - before;
            assert_true(done >= k && host_session_info(s).committed == 0);
            const uint32_t n = (uint32_t)changes[c](f, s);
            assert_int_equal(host_session_info(s).state, REMORA_MORE);
            (void)changes[c](f, whole);
            const long rest = finish(&s, 1);
            assert_true(goes_on(finish(&whole, 1), done + rest, 1));
            const uint32_t rows = host_session_info(s).n_rows;
            assert_true(rows >= n);
            float *a = host_rows(s, rows), *b = host_rows(whole, rows);
            assert_memory_equal(a, b, rows * TINY_TEXT_VOCAB * sizeof *a);
            assert_memory_equal(a, f->p.expect, n * TINY_TEXT_VOCAB * sizeof *a);
            free(a);
            free(b);
            remora_session_free(s);
            remora_session_free(whole);
        }
}

/* The step goes with one of its tokens. */
static void dropped(void **state)
{
    fixture *f = *state;
    for (uint64_t keep = 0; keep <= CHUNK; keep += CHUNK - 1) {
        remora_session *s = loaded(f, N);
        assert_int_equal(eval_until(&s, 1, 9), REMORA_E_CANCELLED);
        assert_int_equal(host_session_info(s).state, REMORA_MORE);
        assert_int_equal(remora_session_trim(s, keep, NULL), REMORA_OK);
        assert_int_equal(host_session_info(s).state, REMORA_OK);
        const size_t more = N - (size_t)keep; /* a prompt, as the whole of it was */
        assert_int_equal(remora_session_append(s, f->p.ids + keep, more, REMORA_WANT_ALL, NULL),
                         REMORA_OK);
        finish(&s, 1);
        compare(f, s, 0, N);
        remora_session_free(s);
    }
}

/* Trim drops rows with their tokens and no others. */
static void rows_stay(void **state)
{
    fixture *f = *state;
    for (uint32_t keep = 0; keep <= N; keep += 10) {
        remora_session *s = loaded(f, N);
        const remora_eval_opts some = {.struct_size = sizeof some, .max_tokens = CHUNK};
        finish(&s, 1);
        assert_int_equal(remora_session_trim(s, N, NULL), REMORA_OK);
        compare(f, s, 0, N);
        assert_int_equal(remora_session_trim(s, keep, NULL), REMORA_OK);
        compare(f, s, 0, keep);
        remora_session_free(s);

        s = loaded(f, N); /* a part of the rows is still to come */
        assert_int_equal(remora_eval(&s, 1, &some, NULL), REMORA_MORE);
        assert_int_equal(remora_session_trim(s, keep, NULL), REMORA_OK);
        compare(f, s, 0, keep < CHUNK ? keep : CHUNK);
        finish(&s, 1);
        compare(f, s, 0, keep);
        remora_session_free(s);
    }
}

/* A row that stays is picked from: what is generated after a trim is what it would have been. */
static void generate_from_a_row_that_stays(void **state)
{
    fixture *f = *state;
    const remora_gen_opts one = {.struct_size = sizeof one, .max_tokens = 1};
    for (uint64_t keep = 1; keep < 6; keep++) {
        remora_token picked[2];
        for (int i = 0; i < 2; i++) {
            remora_sampler *p = NULL;
            size_t n;
            remora_session *s = host_session(f->p.m, CAP, REMORA_KV_F32);
            REQUIRE_OK(remora_sampler_create(f->p.m, keep, &p, NULL), NULL);
            REQUIRE_OK(remora_session_append(s, f->p.ids, i == 0 ? 9 : keep, REMORA_WANT_ALL, NULL),
                       NULL);
            finish(&s, 1);
            assert_int_equal(remora_session_trim(s, keep, NULL), REMORA_OK);
            const long before = n_parts;
            assert_int_equal(remora_generate(s, p, &one, &picked[i], 1, &n, NULL), REMORA_END);
            assert_int_equal(n_parts, before); /* nothing was evaluated */
            remora_sampler_free(p);
            remora_session_free(s);
        }
        assert_int_equal(picked[0], picked[1]);
    }
}

/* A batch: its first session holds the step, and it goes on when the tokens of all are there. */
static void batch(void **state)
{
    fixture *f = *state;
    for (int who = -1; who < 3; who++) { /* the session that is trimmed; -1: none */
        remora_session *s[3] = {loaded(f, 10), loaded(f, 10), loaded(f, N)};
        remora_session *whole[3] = {loaded(f, 10), loaded(f, 10), loaded(f, N)};
        const long all = finish(whole, 3);
        const long before = n_parts;
        assert_int_equal(eval_until(s, 3, 12), REMORA_E_CANCELLED);
        const long done = n_parts - before;
        assert_int_equal(host_session_info(s[0]).state, REMORA_MORE);
        assert_int_equal(host_session_info(s[1]).state, REMORA_OK);
        for (int i = 0; i < 3; i++)
            assert_int_equal(remora_session_trim(s[i], i < 2 ? 10 : N, NULL), 0);
        assert_int_equal(remora_session_append(s[2], f->p.ids + N, 1, REMORA_WANT_NONE, NULL),
                         REMORA_OK);
        assert_int_equal(remora_session_trim(s[2], N, NULL), REMORA_OK);
        if (who >= 0) {
            const size_t n = who < 2 ? 10 : N;
            assert_int_equal(remora_session_trim(s[who], 0, NULL), REMORA_OK);
            assert_int_equal(remora_session_append(s[who], f->p.ids, n, REMORA_WANT_ALL, NULL),
                             REMORA_OK);
        }
        const long rest = finish(s, 3);
        assert_true(who < 0 ? goes_on(all, done + rest, 1) : rest == all);
        for (int i = 0; i < 3; i++) {
            const uint32_t n = host_session_info(s[i]).n_rows;
            float *a = host_rows(s[i], n), *b = host_rows(whole[i], n);
            assert_memory_equal(a, b, n * TINY_TEXT_VOCAB * sizeof *a);
            free(a);
            free(b);
            remora_session_free(s[i]);
            remora_session_free(whole[i]);
        }
    }
}

/* A generation that is cancelled in its prompt: the next call goes on with the prompt. */
static void generation(void **state)
{
    fixture *f = *state;
    const remora_gen_opts o = {.struct_size = sizeof o, .max_tokens = 1, .cancel = &word};
    remora_sampler *p = NULL;
    remora_token t;
    size_t n;
    REQUIRE_OK(remora_sampler_create(f->p.m, 1, &p, NULL), NULL);
    remora_session *s = loaded(f, N);
    const long before = n_parts;
    remora_status st;
    int stops = 0;
    do {
        word = 0;
        cancel_at = n_parts + 20;
        st = remora_generate(s, p, &o, &t, 1, &n, NULL);
        if (st < 0) assert_int_equal(host_session_info(s).state, REMORA_MORE);
        assert_true(goes_on(f->parts, n_parts - before, ++stops));
    } while (st == REMORA_E_CANCELLED);
    assert_int_equal(st, REMORA_END);
    cancel_at = 0;
    remora_session_free(s);
    remora_sampler_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cancelled_again_and_again),
        cmocka_unit_test(kept),
        cmocka_unit_test(dropped),
        cmocka_unit_test(rows_stay),
        cmocka_unit_test(generate_from_a_row_that_stays),
        cmocka_unit_test(batch),
        cmocka_unit_test(generation),
    };
    return RUN_GROUP("half done", tests, setup, teardown);
}
