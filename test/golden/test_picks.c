/* SPDX-License-Identifier: Apache-2.0 */
/* Generation where the backend finds the best logits of a row: the tokens are those that a host
 * picks from whole rows, and a row that no token was drawn from is there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>

#include <cmocka.h>

#include "guard_backend.h"
#include "host.h"
#include "tiny.h"

enum {
    N = 20 /* fewer than a prompt has */,
    MORE = 40,
    CAP = 128,
    VOCAB = 1000,
    WHOLE = 6 /* the sampler that needs both */,
    ALL = 8 /* that draws from all */
};

typedef struct world {
    tmem mem;
    remora_runtime *rt;
    tiny t;
    remora_model *m;
    remora_token ids[N];
} world;

static void world_make(world *w)
{
    *w = (world){0};
    const remora_runtime_opts o = host_runtime_opts(&w->mem, 2);
    REQUIRE_OK(guard_runtime_create(&o, &w->rt, NULL), NULL);
    tiny_make(&w->t, &(tiny_opts){.vocab = VOCAB, .no_tokenizer = 1});
    w->m = host_open(w->rt, &w->t.source);
    host_ids(w->ids, N, VOCAB, 5);
}

static void world_end(world *w)
{
    remora_model_free(w->m);
    GUARD_IS_CLEAN(w->rt);
    assert_int_equal(guard_get_stats(w->rt).live, 0);
    remora_runtime_free(w->rt);
    assert_int_equal(atomic_load(&w->mem.bytes), 0);
    tiny_free(&w->t);
}

/* ---- samplers ---- */

typedef struct kind {
    int n;
    remora_stage stage[4];
    unsigned long best, whole; /* rows of which the best are found at least; read whole at most */
} kind;

#define S(k, v, c)                                                                                 \
    {                                                                                              \
        .struct_size = sizeof(remora_stage), .kind = REMORA_STAGE_##k, .value = v, .count = c      \
    }

static const kind kinds[] = {
    {1, {S(TEMPERATURE, 0, 0)}, MORE, 0},
    {2, {S(TEMPERATURE, 0.8, 0), S(TOP_K, 0, 40)}, MORE, MORE / 2},
    {3, {S(TOP_K, 0, 12), S(TOP_P, 0.9, 0), S(TEMPERATURE, 1.5, 0)}, MORE, MORE / 2},
    {2, {S(TEMPERATURE, 0.02, 0), S(MIN_P, 0.1, 0)}, MORE, MORE / 2},
    {4,
     {S(REPEAT, 1.2, 64), S(FREQUENCY, 0.1, 30), S(PRESENCE, 0.2, 30), S(TEMPERATURE, 0, 0)},
     MORE,
     0},
    {2, {S(BIAS, -INFINITY, 3), S(TEMPERATURE, 0, 0)}, MORE, 0},
    {1, {S(MIN_P, 1e-9, 0)}, MORE, MORE}, /* none is unlikely enough */
    {2, {S(REPEAT, 0.9, 64), S(TEMPERATURE, 0, 0)}, 0, MORE},
    {1, {S(TEMPERATURE, 0.8, 0)}, MORE, MORE / 2},
    {0, {S(TEMPERATURE, 0, 0)}, MORE, MORE / 2},
    {3, {S(TOP_P, 1, 0), S(TEMPERATURE, 0.3, 0), S(TOP_P, 1, 0)}, MORE, MORE / 2},
    {2, {S(TEMPERATURE, 0.8, 0), S(TEMPERATURE, 0.8, 0)}, 0, MORE},
    {2, {S(TEMPERATURE, 0.02, 0), S(TOP_P, 0.9, 0)}, MORE, MORE / 2},
    {2, {S(PRESENCE, 0.1, 0), S(TOP_P, 0.9, 0)}, 0, MORE},
};

static remora_sampler *sampler_of(const world *w, const kind *k)
{
    remora_error err = HOST_ERROR;
    remora_sampler *p;
    REQUIRE_OK(remora_sampler_create(w->m, 11, &p, &err), &err);
    for (int i = 0; i < k->n; i++) REQUIRE_OK(remora_sampler_add(p, &k->stage[i], &err), &err);
    return p;
}

static remora_session *prompted(const world *w, uint32_t capacity)
{
    remora_error err = HOST_ERROR;
    remora_session *s = host_session(w->m, capacity, REMORA_KV_F32);
    REQUIRE_OK(remora_session_append(s, w->ids, N, REMORA_WANT_LAST, &err), &err);
    return s;
}

/* By the host's own loop over whole rows. */
static void pick_all(const world *w, const kind *k, remora_token *out)
{
    remora_sampler *p = sampler_of(w, k);
    remora_session *s = prompted(w, CAP);
    host_sample(s, p, out, MORE);
    remora_session_free(s);
    remora_sampler_free(p);
}

static void generate_all(const world *w, const kind *k, uint32_t drafts, size_t piece,
                         remora_token *out)
{
    const remora_gen_opts o = {.struct_size = sizeof o, .max_drafts = drafts};
    remora_error err = HOST_ERROR;
    remora_sampler *p = sampler_of(w, k);
    remora_session *s = prompted(w, CAP);
    for (size_t at = 0, n; at < MORE; at += n)
        REQUIRE_OK(
            remora_generate(s, p, &o, out + at, piece < MORE - at ? piece : MORE - at, &n, &err),
            &err);
    remora_session_free(s);
    remora_sampler_free(p);
}

static void tokens_are_those_of_whole_rows(void **state)
{
    remora_token want[MORE], got[MORE];
    world w;
    (void)state;
    world_make(&w);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        pick_all(&w, &kinds[i], want);
        const guard_stats before = guard_get_stats(w.rt);
        generate_all(&w, &kinds[i], 0, MORE, got);
        const guard_stats after = guard_get_stats(w.rt);
        const unsigned long best = after.best - before.best,
                            whole = (after.read - before.read) / VOCAB;
        if (memcmp(got, want, sizeof got) != 0) fail_msg("sampler %zu: other tokens", i);
        if (best < kinds[i].best || (kinds[i].best == 0 && best > 0) || whole > kinds[i].whole)
            fail_msg("sampler %zu: the best of %lu rows, %lu whole ones", i, best, whole);
        generate_all(&w, &kinds[i], 0, 1, got);
        assert_memory_equal(got, want, sizeof got);
        generate_all(&w, &kinds[i], 4, 7, got);
        assert_memory_equal(got, want, sizeof got);
    }
    world_end(&w);
}

/* Probabilities are of all logits. */
static void probabilities_need_whole_rows(void **state)
{
    static remora_token_prob probs[MORE * 3];
    const remora_gen_opts o = {.struct_size = sizeof o, .probs = probs, .n_best = 2};
    remora_error err = HOST_ERROR;
    remora_token out[MORE];
    size_t n;
    world w;
    (void)state;
    world_make(&w);
    remora_sampler *p = sampler_of(&w, &kinds[0]);
    remora_session *s = prompted(&w, CAP);
    REQUIRE_OK(remora_generate(s, p, &o, out, MORE, &n, &err), &err);
    assert_int_equal(guard_get_stats(w.rt).best, 0);
    for (size_t i = 0; i < MORE; i++) {
        assert_int_equal(probs[3 * i].token, out[i]);
        assert_true(probs[3 * i].logprob > -20 && probs[3 * i].logprob < 0);
        assert_memory_equal(&probs[3 * i], &probs[3 * i + 1], sizeof *probs);
    }
    remora_session_free(s);
    remora_sampler_free(p);
    world_end(&w);
}

/* ---- rows that no token was drawn from ---- */

/* Of the last tokens. */
static void rows_are_there(const world *w, remora_session *s, uint32_t n_rows)
{
    remora_error err = HOST_ERROR;
    remora_token ids[CAP];
    size_t n;
    REQUIRE_OK(remora_session_tokens(s, 0, ids, CAP, &n, &err), &err);
    float *const want = host_logits(w->m, ids, n), *const rows = host_rows(s, n_rows);
    assert_int_equal(host_session_info(s).n_rows, n_rows);
    assert_memory_equal(rows, want + (n - n_rows) * VOCAB, n_rows * VOCAB * sizeof *rows);
    free(want);
    free(rows);
}

static void row_at_the_end_of_the_capacity(void **state)
{
    remora_error err = HOST_ERROR;
    remora_token out[MORE];
    size_t n;
    world w;
    (void)state;
    world_make(&w);
    remora_sampler *p = sampler_of(&w, &kinds[0]);
    remora_session *s = prompted(&w, N + 2);
    assert_int_equal(remora_generate(s, p, NULL, out, MORE, &n, &err), REMORA_E_FULL);
    assert_int_equal(n, 2);
    rows_are_there(&w, s, 1);
    remora_session_free(s);
    s = host_loaded(w.m, N, 512, w.ids, N); /* the rows of all of its tokens are wanted */
    assert_int_equal(remora_generate(s, p, NULL, out, MORE, &n, &err), REMORA_E_FULL);
    assert_int_equal(n, 0);
    rows_are_there(&w, s, N);
    remora_session_free(s);
    remora_sampler_free(p);
    world_end(&w);
}

static remora_status REMORA_CALL fail_once(void *user, remora_token_prob *cand, size_t *n)
{
    int *left = user;
    (void)cand, (void)n;
    return (*left)-- == 0 ? REMORA_E_CALLBACK : REMORA_OK;
}

static void row_of_a_pick_that_failed(void **state)
{
    remora_error err = HOST_ERROR;
    remora_token want[MORE], got[MORE];
    int left = MORE;
    kind k = {2, {S(TOP_K, 0, 5), S(CALLBACK, 0, 0)}, 0, 0};
    size_t n, more;
    world w;
    (void)state;
    k.stage[1].fn = fail_once;
    k.stage[1].user = &left;
    world_make(&w);
    pick_all(&w, &k, want);
    left = 3;
    remora_sampler *p = sampler_of(&w, &k);
    remora_session *s = prompted(&w, CAP);
    assert_int_equal(remora_generate(s, p, NULL, got, MORE, &n, &err), REMORA_E_CALLBACK);
    assert_int_equal(n, 3);
    rows_are_there(&w, s, 1);
    REQUIRE_OK(remora_generate(s, p, NULL, got + n, MORE - n, &more, &err), &err);
    assert_int_equal(n + more, MORE);
    assert_memory_equal(got, want, sizeof got);
    remora_session_free(s);
    remora_sampler_free(p);
    world_end(&w);
}

/* ---- the device fails ---- */

/* Each call once: the same call goes on, with the same tokens. */
static void a_call_fails(void **state)
{
    static const size_t ways[] = {0, WHOLE, ALL};
    remora_token want[MORE], got[MORE];
    world w;
    (void)state;
    world_make(&w);
    for (size_t way = 0; way < sizeof ways / sizeof ways[0]; way++) {
        const size_t i = ways[way];
        pick_all(&w, &kinds[i], want);
        int hit = 1;
        for (long k = 1; hit; k++) {
            remora_error err = HOST_ERROR;
            size_t n, more = 0;
            remora_sampler *p = sampler_of(&w, &kinds[i]);
            remora_session *s = prompted(&w, CAP);
            guard_fail(w.rt, k, 0);
            const remora_status st = remora_generate(s, p, NULL, got, 4, &n, &err);
            hit = guard_failed(w.rt);
            guard_fail(w.rt, 0, 0);
            assert_int_equal(st, hit ? REMORA_E_DEVICE : REMORA_MORE);
            assert_true(!hit || err.message[0] != 0);
            rows_are_there(&w, s, host_session_info(s).n_rows);
            REQUIRE_OK(remora_generate(s, p, NULL, got + n, 8 - n, &more, &err), &err);
            assert_memory_equal(got, want, 8 * sizeof *got);
            remora_session_free(s);
            remora_sampler_free(p);
            assert_true(hit || k > 20);
        }
    }
    world_end(&w);
}

/* The last row is lost on its way: the rows before it stay, whatever is cut off. */
static void a_row_is_lost(void **state)
{
    int lost = 0, hit = 1;
    world w;
    (void)state;
    world_make(&w);
    for (long k = 1; hit; k++) {
        remora_error err = HOST_ERROR;
        remora_token out;
        size_t n;
        remora_sampler *p = sampler_of(&w, &kinds[0]);
        remora_session *s = host_loaded(w.m, N, 512, w.ids, N);
        guard_fail(w.rt, k, 0);
        const remora_status st = remora_generate(s, p, NULL, &out, 1, &n, &err);
        hit = guard_failed(w.rt);
        guard_fail(w.rt, 0, 0);
        assert_int_equal(st, hit ? REMORA_E_DEVICE : REMORA_E_FULL);
        if (hit && host_session_info(s).pending == 0) {
            lost++;
            assert_int_equal(host_session_info(s).n_rows, N - 1);
            REQUIRE_OK(remora_session_trim(s, N - 1, &err), &err);
            rows_are_there(&w, s, N - 1);
        }
        remora_session_free(s);
        remora_sampler_free(p);
    }
    assert_true(lost > 0);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_are_those_of_whole_rows),
        cmocka_unit_test(probabilities_need_whole_rows),
        cmocka_unit_test(row_at_the_end_of_the_capacity),
        cmocka_unit_test(row_of_a_pick_that_failed),
        cmocka_unit_test(a_call_fails),
        cmocka_unit_test(a_row_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
