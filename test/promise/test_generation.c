/* SPDX-License-Identifier: Apache-2.0 */
/* Generations through the public header: when one begins, why it ends. A sampler's callback says
 * which tokens come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "groups.h"
#include "scripted.h"

enum { CAP = SCRIPTED_CAPACITY };

static const remora_token letters[] = {'a', 'b', 'c', 'd', 'e'};

/* One call for at most cap tokens; returns how many came. */
static size_t call(scripted *f, const remora_gen_opts *o, size_t cap, remora_status want)
{
    remora_error err = HOST_ERROR;
    remora_token out[CAP];
    size_t n;
    const remora_status st = remora_generate(f->s, f->p, o, out, cap, &n, &err);
    if (st != want)
        fail_msg("%s instead of %s: %s", remora_status_name(st), remora_status_name(want),
                 st < 0 ? err.message : "");
    return n;
}

/* ---- where a generation begins ---- */

static void other_options_begin_one(void **state)
{
    scripted *f = *state;
    const remora_text stop[] = {host_text("no such text")}, other[] = {host_text("nor this one")};
    const remora_gen_opts first = {
        .struct_size = sizeof first, .max_tokens = 20, .stop = stop, .n_stop = 1};
    remora_gen_opts o[4];
    for (int i = 0; i < 4; i++) o[i] = first;
    o[0].max_tokens = 8;
    o[1].n_stop = 0;
    o[2].stop = other;
    o[3].flags = REMORA_GEN_NEW;
    for (int i = 0; i < 4; i++) {
        scripted_begin(f, letters, 5);
        assert_int_equal(call(f, &first, 5, REMORA_MORE), 5); /* and is abandoned */
        assert_int_equal(call(f, &o[i], 3, REMORA_MORE), 3);
        assert_int_equal(scripted_info(f).n_tokens, 3);
        o[i].flags = 0;
        assert_int_equal(call(f, &o[i], CAP, REMORA_END), o[i].max_tokens - 3);
        assert_int_equal(scripted_info(f).n_tokens, o[i].max_tokens);
    }
}

/* Options of a call alone do not, nor does an equal copy of the strings. */
static void options_of_a_call_do_not(void **state)
{
    scripted *f = *state;
    const int32_t zero = 0, one = 1;
    char a[] = "no such text", b[] = "no such text";
    const remora_text stop[] = {host_text(a)}, same[] = {host_text(b)};
    const remora_gen_opts first = {
        .struct_size = sizeof first, .max_tokens = 12, .stop = stop, .n_stop = 1};
    remora_gen_opts o = first;
    scripted_begin(f, letters, 5);
    assert_int_equal(call(f, &first, 3, REMORA_MORE), 3);
    a[0] = 'N'; /* was copied */
    o.stop = same;
    o.budget_us = 1000000000;
    o.cancel = &zero;
    assert_int_equal(call(f, &o, 4, REMORA_MORE), 4);
    o.cancel = &one;
    assert_int_equal(call(f, &o, 4, REMORA_E_CANCELLED), 0);
    o.cancel = NULL;
    assert_int_equal(call(f, &o, CAP, REMORA_END), 5);
}

/* What refuses a call leaves the generation as it was. */
static void errors_end_nothing(void **state)
{
    scripted *f = *state;
    const remora_text none[] = {host_text("")}, some[] = {host_text("no such text")};
    const remora_gen_opts o = {.struct_size = sizeof o, .max_tokens = 12};
    remora_gen_opts bad = o;
    scripted_begin(f, letters, 5);
    assert_int_equal(call(f, &o, 3, REMORA_MORE), 3);
    bad.stop = none;
    bad.n_stop = 1;
    assert_int_equal(call(f, &bad, 4, REMORA_E_ARG), 0);
    bad.stop = some;
    bad.flags = REMORA_GEN_NEW;
    tmem_arm(&f->mem, 1);
    assert_int_equal(call(f, &bad, 4, REMORA_E_NOMEM), 0);
    tmem_arm(&f->mem, 0);
    f->script[f->step % 5] = TINY_TEXT_VOCAB; /* no such token: the callback fails */
    assert_int_equal(call(f, &o, 4, REMORA_E_CALLBACK), 0);
    f->script[(f->step - 1) % 5] = 'z';
    assert_int_equal(scripted_info(f).n_tokens, 3);
    assert_int_equal(call(f, &o, CAP, REMORA_END), 9);
}

/* But not a trim or a sync that has nothing to change. */
static void changes_of_the_timeline_end_one(void **state)
{
    scripted *f = *state;
    const remora_gen_opts o = {.struct_size = sizeof o, .max_tokens = 12};
    const remora_token more = 'y';
    for (int i = 0; i < 7; i++) {
        remora_token all[CAP];
        size_t n, k = 0;
        scripted_begin(f, letters, 5);
        assert_int_equal(call(f, &o, 3, REMORA_MORE), 3);
        REQUIRE_OK(remora_session_tokens(f->s, 0, all, CAP, &n, NULL), NULL);
        if (i == 0) REQUIRE_OK(remora_session_append(f->s, &more, 1, REMORA_WANT_LAST, NULL), NULL);
        if (i == 1) REQUIRE_OK(remora_session_trim(f->s, n - 1, NULL), NULL);
        if (i == 2) all[n - 1] = more;
        if (i == 3) all[n++] = more;
        if (i >= 2 && i < 5) k = n - (i == 4);
        if (i == 5) REQUIRE_OK(remora_session_trim(f->s, n, NULL), NULL);
        if (i == 6) k = n;
        if (k > 0)
            REQUIRE_OK(remora_session_sync(f->s, all, k, REMORA_WANT_LAST, NULL, NULL), NULL);
        assert_int_equal(scripted_info(f).n_tokens, 3);
        assert_int_equal(scripted_info(f).reason, REMORA_REASON_NONE);
        assert_int_equal(call(f, &o, CAP, REMORA_END), i < 5 ? 12 : 9);
    }
}

/* ---- why one ends ---- */

static void expect(const scripted *f, int32_t reason, uint32_t stop, uint64_t n_tokens)
{
    const remora_generation_info i = scripted_info(f);
    assert_int_equal(i.reason, reason);
    assert_int_equal(i.stop, stop);
    assert_int_equal(i.n_tokens, n_tokens);
}

static void reasons(void **state)
{
    scripted *f = *state;
    static const remora_token turn[] = {'a', 'b', TINY_EOS, 'c'};
    const remora_text stop[] = {host_text("zz"), host_text("cd"), host_text("bcd"),
                                host_text("bcd"), host_text("<c1>")};
    remora_gen_opts o = {.struct_size = sizeof o, .max_tokens = 7};
    remora_session *fork;
    scripted_begin(f, letters, 5);
    assert_int_equal(call(f, &o, CAP, REMORA_END), 7);
    expect(f, REMORA_REASON_MAX_TOKENS, 0, 7);
    REQUIRE_OK(remora_session_fork(f->s, &fork, NULL), NULL);
    remora_generation_info i = {.struct_size = sizeof i};
    REQUIRE_OK(remora_session_get_generation(fork, &i, NULL), NULL);
    assert_true(i.reason == REMORA_REASON_NONE && i.n_tokens == 0);
    remora_session_free(fork);
    scripted_begin(f, turn, 4);
    assert_int_equal(call(f, &o, CAP, REMORA_END), 3);
    expect(f, REMORA_REASON_END_OF_TURN, 0, 3);
    o.max_tokens = 3; /* and is the last one anyway */
    scripted_begin(f, turn, 4);
    assert_int_equal(call(f, &o, CAP, REMORA_END), 3);
    expect(f, REMORA_REASON_END_OF_TURN, 0, 3);
    o.max_tokens = 4;
    o.stop = stop;
    o.n_stop = 4;
    scripted_begin(f, letters, 5);
    assert_int_equal(call(f, &o, 3, REMORA_MORE), 3);
    expect(f, REMORA_REASON_NONE, 0, 3);
    assert_int_equal(call(f, &o, 3, REMORA_END), 1);
    expect(f, REMORA_REASON_STOP, 2, 4);
}

static void capacity(void **state)
{
    scripted *f = *state;
    const remora_gen_opts o = {.struct_size = sizeof o};
    scripted_begin(f, letters, 5);
    assert_int_equal(call(f, &o, CAP, REMORA_E_FULL), CAP - 1);
    expect(f, REMORA_REASON_CAPACITY, 0, CAP - 1);
    REQUIRE_OK(remora_session_trim(f->s, CAP - 4, NULL), NULL);
    expect(f, REMORA_REASON_CAPACITY, 0, CAP - 1);
    assert_int_equal(call(f, &o, CAP, REMORA_E_FULL), 4);
    expect(f, REMORA_REASON_CAPACITY, 0, 4);
}

/* ---- probabilities ---- */

enum { GUARD = -77 };

/* Compare what came for the next token of the timeline with what its row says. */
static void check_probs(remora_session *twin, remora_token t, const remora_token_prob *probs,
                        uint32_t n_best)
{
    static remora_token_prob top[TINY_TEXT_VOCAB];
    const float *row;
    float logprob;
    size_t n;
    REQUIRE_OK(remora_eval(&twin, 1, NULL, NULL), NULL);
    REQUIRE_OK(remora_session_logits(twin, 0, &row, NULL, NULL), NULL);
    REQUIRE_OK(remora_session_logprob(twin, 0, t, &logprob, NULL), NULL);
    REQUIRE_OK(remora_session_top(twin, 0, top, n_best, &n, NULL), NULL);
    assert_int_equal(probs[0].token, t);
    assert_true(probs[0].logit == row[t] && probs[0].logprob == logprob);
    assert_int_equal(n, n_best);
    assert_memory_equal(probs + 1, top, n_best * sizeof *top);
    REQUIRE_OK(remora_session_append(twin, &t, 1, REMORA_WANT_LAST, NULL), NULL);
}

/* A generation of 9 tokens, as tokens or as text. */
static void with_probs(scripted *f, uint32_t n_best, size_t cap, int is_text)
{
    static remora_token_prob probs[4 * (TINY_TEXT_VOCAB + 1) + 1];
    const remora_gen_opts o = {
        .struct_size = sizeof o, .max_tokens = 9, .probs = probs, .n_best = n_best};
    const remora_token first = 'x';
    remora_session *twin = host_session(f->m, CAP, REMORA_KV_F32);
    remora_status st = REMORA_MORE;
    size_t all = 0;
    REQUIRE_OK(remora_session_append(twin, &first, 1, REMORA_WANT_LAST, NULL), NULL);
    scripted_begin(f, letters, 5);
    while (st == REMORA_MORE) {
        remora_error err = HOST_ERROR;
        remora_token out[4];
        char text[16];
        size_t n = 0, n_text;
        probs[cap * (n_best + 1)].token = GUARD;
        st = is_text ? remora_generate_text(f->s, f->p, &o, text, sizeof text, &n_text, out, cap,
                                            &n, &err)
                     : remora_generate(f->s, f->p, &o, out, cap, &n, &err);
        REQUIRE_OK(st, &err);
        for (size_t i = 0; i < n; i++) check_probs(twin, out[i], probs + i * (n_best + 1), n_best);
        assert_int_equal(probs[cap * (n_best + 1)].token, GUARD);
        all += n;
    }
    assert_int_equal(all, 9);
    remora_session_free(twin);
}

static void probabilities(void **state)
{
    static const uint32_t n_best[] = {0, 1, 5, TINY_TEXT_VOCAB};
    for (size_t i = 0; i < sizeof n_best / sizeof *n_best; i++)
        for (size_t cap = 1; cap <= 4; cap++)
            for (int is_text = 0; is_text < 2; is_text++)
                with_probs(*state, n_best[i], cap, is_text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_options_begin_one),
        cmocka_unit_test(options_of_a_call_do_not),
        cmocka_unit_test(errors_end_nothing),
        cmocka_unit_test(changes_of_the_timeline_end_one),
        cmocka_unit_test(reasons),
        cmocka_unit_test(capacity),
        cmocka_unit_test(probabilities),
    };
    return RUN_GROUP("generate", tests, scripted_setup, scripted_teardown);
}
