/* SPDX-License-Identifier: Apache-2.0 */
/* P24: sync reuses the longest common prefix. (Fill-in-the-middle prompts come later.) A trace of
 * an editor: typing, deleting, pasting in the middle; after each the logits are those of a session
 * that was given the same tokens in the same pieces, and what is reused is counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "groups.h"
#include "host.h"
#include "tiny.h"

enum { CAP = 300 };

typedef struct fixture {
    tiny t;
    remora_runtime *rt;
    remora_model *m;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    tiny_make(&f->t, NULL);
    f->rt = host_runtime(NULL, 2, NULL);
    f->m = host_open(f->rt, &f->t.source);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    remora_model_free(f->m);
    remora_runtime_free(f->rt);
    tiny_free(&f->t);
    free(f);
    return 0;
}

static void eval(remora_session *s)
{
    remora_error err = HOST_ERROR;
    REQUIRE_OK(remora_eval(&s, 1, NULL, &err), &err);
}

static remora_stats stats_of(const remora_session *s)
{
    remora_stats st = {.struct_size = sizeof st};
    assert_int_equal(remora_session_get_stats(s, &st, NULL), REMORA_OK);
    return st;
}

/* The reference: trim and append by hand. */
static void by_hand(remora_session *s, const remora_token *t, size_t keep, size_t n)
{
    assert_int_equal(remora_session_trim(s, keep, NULL), REMORA_OK);
    REQUIRE_OK(remora_session_append(s, t + keep, n - keep, REMORA_WANT_LAST, NULL), NULL);
    eval(s);
}

static void same_state(remora_session *a, remora_session *b, size_t n)
{
    static remora_token ta[CAP], tb[CAP];
    size_t na, nb;
    float *ra = host_rows(a, 1), *rb = host_rows(b, 1);
    assert_memory_equal(ra, rb, TINY_TEXT_VOCAB * sizeof *ra);
    free(ra);
    free(rb);
    assert_int_equal(remora_session_tokens(a, 0, ta, CAP, &na, NULL), REMORA_OK);
    assert_int_equal(remora_session_tokens(b, 0, tb, CAP, &nb, NULL), REMORA_OK);
    assert_int_equal(na, n);
    assert_int_equal(nb, n);
    assert_memory_equal(ta, tb, n * sizeof *ta);
}

static void keystrokes(void **state)
{
    fixture *f = *state;
    remora_session *s = host_session(f->m, CAP, REMORA_KV_F32);
    remora_session *h = host_session(f->m, CAP, REMORA_KV_F32);
    static remora_token now[CAP], before[CAP];
    size_t n = 120, n_before = 0;
    uint64_t seed = 3, evaluated = 0, total = 0, kept = 0;
    host_ids(now, n, TINY_TEXT_VOCAB, 1);
    for (int key = 0; key < 200; key++) {
        size_t keep = 0, reused = 12345;
        while (keep < n && keep < n_before && now[keep] == before[keep]) keep++;
        const int same = keep == n && n_before == n; /* the row is there already */
        if (keep == n && !same) keep--;              /* its row is wanted */
        const uint64_t had = stats_of(s).prefill_tokens + stats_of(s).decode_tokens;
        REQUIRE_OK(remora_session_sync(s, now, n, REMORA_WANT_LAST, &reused, NULL), NULL);
        assert_int_equal(reused, keep);
        eval(s);
        const remora_stats st = stats_of(s);
        assert_int_equal(st.prefill_tokens + st.decode_tokens - had, n - keep);
        kept += keep;
        assert_int_equal(st.reused_tokens, kept);
        evaluated += n - keep;
        total += n;
        if (!same) by_hand(h, now, keep, n);
        same_state(s, h, n);
        memcpy(before, now, n * sizeof *now);
        n_before = n;
        const uint32_t what = host_random(&seed) % 10;
        if (what < 6 && n + 1 < CAP) { /* a letter at the end */
            now[n++] = (remora_token)(host_random(&seed) % TINY_TEXT_VOCAB);
        } else if (what < 8 &&
                   n > 122) { /* backspace, not into the prompt: its tokens keep their form */
            n -= 1 + host_random(&seed) % 2;
        } else if (n + 5 < CAP) { /* something near the end is replaced, and grows */
            const size_t at = n - 1 - host_random(&seed) % 20;
            memmove(now + at + 4, now + at, (n - at) * sizeof *now);
            for (size_t i = 0; i < 4; i++)
                now[at + i] = (remora_token)(host_random(&seed) % TINY_TEXT_VOCAB);
            n += 4;
        }
    }
    assert_true(evaluated * 10 < total); /* more than nine tenths came from the cache */
    remora_session_free(s);
    remora_session_free(h);
}

/* Sync of a half evaluated timeline, to a shorter one, to the same one, to nothing. */
static void corners(void **state)
{
    fixture *f = *state;
    enum { N = 64 };
    remora_token ids[N];
    size_t reused;
    remora_session *s = host_session(f->m, CAP, REMORA_KV_F32);
    remora_session_info i = {.struct_size = sizeof i};
    const remora_eval_opts some = {.struct_size = sizeof some, .max_tokens = 20};
    host_ids(ids, N, TINY_TEXT_VOCAB, 2);
    REQUIRE_OK(remora_session_append(s, ids, N, REMORA_WANT_LAST, NULL), NULL);
    assert_int_equal(remora_eval(&s, 1, &some, NULL), REMORA_MORE);
    REQUIRE_OK(remora_session_sync(s, ids, N, REMORA_WANT_LAST, &reused, NULL), NULL);
    assert_int_equal(reused, 20); /* the others were pending still */
    eval(s);
    REQUIRE_OK(remora_session_sync(s, ids, N, REMORA_WANT_LAST, &reused, NULL), NULL);
    assert_int_equal(reused, N); /* the same, and its row is there */
    REQUIRE_OK(remora_session_get_info(s, &i, NULL), NULL);
    assert_int_equal(i.pending, 0);
    REQUIRE_OK(remora_session_sync(s, ids, N, REMORA_WANT_NONE, &reused, NULL), NULL);
    assert_int_equal(reused, N);
    REQUIRE_OK(remora_session_sync(s, ids, 10, REMORA_WANT_NONE, &reused, NULL), NULL);
    assert_int_equal(reused, 10);
    assert_int_equal(remora_session_get_info(s, &i, NULL), REMORA_OK);
    assert_int_equal(i.committed, 10);
    assert_int_equal(i.pending, 0);
    REQUIRE_OK(remora_session_sync(s, NULL, 0, REMORA_WANT_LAST, &reused, NULL), NULL);
    assert_int_equal(reused, 0);
    assert_int_equal(remora_session_get_info(s, &i, NULL), REMORA_OK);
    assert_int_equal(i.committed + i.pending, 0);
    /* refused: the timeline is as before */
    REQUIRE_OK(remora_session_sync(s, ids, N, REMORA_WANT_LAST, NULL, NULL), NULL);
    eval(s);
    remora_token bad[N];
    memcpy(bad, ids, sizeof bad);
    bad[N - 1] = TINY_TEXT_VOCAB;
    assert_int_equal(remora_session_sync(s, bad, N, REMORA_WANT_LAST, &reused, NULL), REMORA_E_ARG);
    static remora_token longer[CAP + 1];
    assert_int_equal(remora_session_sync(s, longer, CAP + 1, 0, &reused, NULL), REMORA_E_FULL);
    assert_int_equal(remora_session_get_info(s, &i, NULL), REMORA_OK);
    assert_int_equal(i.committed, N);
    assert_int_equal(i.n_rows, 1);
    remora_session_free(s);
}

/* A fork keeps its own: what the original syncs to does not reach it. */
static void forks(void **state)
{
    fixture *f = *state;
    enum { N = 100 };
    remora_token ids[N], other[N];
    size_t reused;
    remora_session *s = host_session(f->m, CAP, REMORA_KV_F32), *k = NULL;
    host_ids(ids, N, TINY_TEXT_VOCAB, 2);
    memcpy(other, ids, sizeof ids);
    host_ids(other + 70, N - 70, TINY_TEXT_VOCAB, 4);
    REQUIRE_OK(remora_session_append(s, ids, N, REMORA_WANT_LAST, NULL), NULL);
    eval(s);
    REQUIRE_OK(remora_session_fork(s, &k, NULL), NULL);
    REQUIRE_OK(remora_session_sync(s, other, N, REMORA_WANT_LAST, &reused, NULL), NULL);
    assert_int_equal(reused, 70);
    eval(s);
    REQUIRE_OK(remora_session_append(k, ids, 5, REMORA_WANT_LAST, NULL), NULL);
    eval(k);
    remora_session *h = host_session(f->m, CAP, REMORA_KV_F32);
    REQUIRE_OK(remora_session_append(h, ids, N, 0, NULL), NULL);
    eval(h);
    REQUIRE_OK(remora_session_append(h, ids, 5, REMORA_WANT_LAST, NULL), NULL);
    eval(h);
    same_state(k, h, N + 5);
    remora_session_free(s);
    remora_session_free(k);
    remora_session_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keystrokes),
        cmocka_unit_test(corners),
        cmocka_unit_test(forks),
    };
    return RUN_GROUP("P24", tests, setup, teardown);
}
