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
#include "host.h"
#include "tiny.h"

enum { CAP = 64, SCRIPT = 40 };

typedef struct fixture {
    tiny t;
    remora_runtime *rt;
    remora_model *m;
    remora_session *s;
    remora_sampler *p;
    remora_token script[SCRIPT]; /* what the sampler picks, over and over */
    size_t n_script, step;
} fixture;

static remora_status REMORA_CALL force(void *user, remora_token_prob *c, size_t *n)
{
    fixture *f = user;
    const remora_token want = f->script[f->step++ % f->n_script];
    for (size_t i = 0; i < *n; i++)
        if (c[i].token == want) {
            c[0] = c[i];
            *n = 1;
            return REMORA_OK;
        }
    return REMORA_E_CALLBACK;
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    remora_error err = HOST_ERROR;
    const remora_stage stage = {
        .struct_size = sizeof stage, .kind = REMORA_STAGE_CALLBACK, .fn = force, .user = f};
    assert_non_null(f);
    tiny_make(&f->t, NULL);
    f->rt = host_runtime(NULL, 1, NULL);
    f->m = host_open(f->rt, &f->t.source);
    f->s = host_session(f->m, CAP, REMORA_KV_F32);
    REQUIRE_OK(remora_sampler_create(f->m, 1, &f->p, &err), &err);
    REQUIRE_OK(remora_sampler_add(f->p, &stage, &err), &err);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    remora_sampler_free(f->p);
    remora_session_free(f->s);
    remora_model_free(f->m);
    remora_runtime_free(f->rt);
    tiny_free(&f->t);
    free(f);
    return 0;
}

/* A timeline of one token, and the tokens that come next. */
static void begin(fixture *f, const remora_token *script, size_t n)
{
    const remora_token first = 'x';
    REQUIRE(n > 0 && n <= SCRIPT);
    memcpy(f->script, script, n * sizeof *script);
    f->n_script = n;
    f->step = 0;
    REQUIRE_OK(remora_session_trim(f->s, 0, NULL), NULL);
    REQUIRE_OK(remora_session_append(f->s, &first, 1, REMORA_WANT_LAST, NULL), NULL);
}

static const remora_token letters[] = {'a', 'b', 'c', 'd', 'e'};

/* One call for at most cap tokens; returns how many came. */
static size_t call(fixture *f, const remora_gen_opts *o, size_t cap, remora_status want)
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

static remora_generation_info info_of(const remora_session *s)
{
    remora_generation_info i = {.struct_size = sizeof i};
    REQUIRE_OK(remora_session_get_generation(s, &i, NULL), NULL);
    return i;
}

/* ---- where a generation begins ---- */

static void other_options_begin_one(void **state)
{
    fixture *f = *state;
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
        begin(f, letters, 5);
        assert_int_equal(call(f, &first, 5, REMORA_MORE), 5); /* and is abandoned */
        assert_int_equal(call(f, &o[i], 3, REMORA_MORE), 3);
        assert_int_equal(info_of(f->s).n_tokens, 3);
        o[i].flags = 0;
        assert_int_equal(call(f, &o[i], CAP, REMORA_END), o[i].max_tokens - 3);
        assert_int_equal(info_of(f->s).n_tokens, o[i].max_tokens);
    }
}

/* Options of a call alone do not, nor does an equal copy of the strings. */
static void options_of_a_call_do_not(void **state)
{
    fixture *f = *state;
    const int32_t zero = 0, one = 1;
    char a[] = "no such text", b[] = "no such text";
    const remora_text stop[] = {host_text(a)}, same[] = {host_text(b)};
    const remora_gen_opts first = {
        .struct_size = sizeof first, .max_tokens = 12, .stop = stop, .n_stop = 1};
    remora_gen_opts o = first;
    begin(f, letters, 5);
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
    fixture *f = *state;
    const remora_text none[] = {host_text("")};
    const remora_gen_opts o = {.struct_size = sizeof o, .max_tokens = 12};
    remora_gen_opts bad = o;
    begin(f, letters, 5);
    assert_int_equal(call(f, &o, 3, REMORA_MORE), 3);
    bad.stop = none;
    bad.n_stop = 1;
    assert_int_equal(call(f, &bad, 4, REMORA_E_ARG), 0);
    f->script[f->step % 5] = TINY_TEXT_VOCAB; /* no such token: the callback fails */
    assert_int_equal(call(f, &o, 4, REMORA_E_CALLBACK), 0);
    f->script[(f->step - 1) % 5] = 'z';
    assert_int_equal(info_of(f->s).n_tokens, 3);
    assert_int_equal(call(f, &o, CAP, REMORA_END), 9);
}

static void changes_of_the_timeline_end_one(void **state)
{
    fixture *f = *state;
    const remora_gen_opts o = {.struct_size = sizeof o, .max_tokens = 12};
    const remora_token more = 'y';
    remora_token all[CAP];
    size_t n;
    for (int i = 0; i < 3; i++) {
        begin(f, letters, 5);
        assert_int_equal(call(f, &o, 3, REMORA_MORE), 3);
        REQUIRE_OK(remora_session_tokens(f->s, 0, all, CAP, &n, NULL), NULL);
        if (i == 0) REQUIRE_OK(remora_session_append(f->s, &more, 1, REMORA_WANT_LAST, NULL), NULL);
        if (i == 1) REQUIRE_OK(remora_session_trim(f->s, n, NULL), NULL);
        if (i == 2)
            REQUIRE_OK(remora_session_sync(f->s, all, n, REMORA_WANT_LAST, NULL, NULL), NULL);
        assert_int_equal(info_of(f->s).n_tokens, 3);
        assert_int_equal(info_of(f->s).reason, REMORA_REASON_NONE);
        assert_int_equal(call(f, &o, CAP, REMORA_END), 12);
    }
}

/* ---- why one ends ---- */

static void expect(const fixture *f, int32_t reason, uint32_t stop, uint64_t n_tokens)
{
    const remora_generation_info i = info_of(f->s);
    assert_int_equal(i.reason, reason);
    assert_int_equal(i.stop, stop);
    assert_int_equal(i.n_tokens, n_tokens);
}

static void reasons(void **state)
{
    fixture *f = *state;
    static const remora_token turn[] = {'a', 'b', TINY_EOS, 'c'};
    const remora_text stop[] = {host_text("zz"), host_text("cd"), host_text("bcd"),
                                host_text("bcd"), host_text("<c1>")};
    remora_gen_opts o = {.struct_size = sizeof o, .max_tokens = 7};
    remora_session *fork;
    begin(f, letters, 5);
    assert_int_equal(call(f, &o, CAP, REMORA_END), 7);
    expect(f, REMORA_REASON_MAX_TOKENS, 0, 7);
    REQUIRE_OK(remora_session_fork(f->s, &fork, NULL), NULL);
    assert_int_equal(info_of(fork).reason, REMORA_REASON_NONE);
    assert_int_equal(info_of(fork).n_tokens, 0);
    remora_session_free(fork);
    begin(f, turn, 4);
    assert_int_equal(call(f, &o, CAP, REMORA_END), 3);
    expect(f, REMORA_REASON_END_OF_TURN, 0, 3);
    o.max_tokens = 3; /* and is the last one anyway */
    begin(f, turn, 4);
    assert_int_equal(call(f, &o, CAP, REMORA_END), 3);
    expect(f, REMORA_REASON_END_OF_TURN, 0, 3);
    o.max_tokens = 4;
    o.stop = stop;
    o.n_stop = 4;
    begin(f, letters, 5);
    assert_int_equal(call(f, &o, 3, REMORA_MORE), 3);
    expect(f, REMORA_REASON_NONE, 0, 3);
    assert_int_equal(call(f, &o, 3, REMORA_END), 1);
    expect(f, REMORA_REASON_STOP, 2, 4);
}

static void capacity(void **state)
{
    fixture *f = *state;
    const remora_gen_opts o = {.struct_size = sizeof o};
    begin(f, letters, 5);
    assert_int_equal(call(f, &o, CAP, REMORA_E_FULL), CAP - 1);
    expect(f, REMORA_REASON_CAPACITY, 0, CAP - 1);
    REQUIRE_OK(remora_session_trim(f->s, CAP - 4, NULL), NULL);
    expect(f, REMORA_REASON_CAPACITY, 0, CAP - 1);
    assert_int_equal(call(f, &o, CAP, REMORA_E_FULL), 4);
    expect(f, REMORA_REASON_CAPACITY, 0, 4);
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
    };
    return RUN_GROUP("generate", tests, setup, teardown);
}
