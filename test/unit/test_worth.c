/* SPDX-License-Identifier: Apache-2.0 */
/* Whether drafts are made where they pay, and cost little where they do not. Times are numbers of
 * this test: a machine is a function that says what a step of so many rows takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "host.h"
#include "session.h"
#include "tiny.h"

typedef struct machine {
    double row;   /* time of a further row, of that of the first one */
    double knee;  /* rows behind which each takes as long as the first; 0: none */
    double noise; /* the time is so much longer or shorter, by chance */
} machine;

typedef struct outcome {
    double speed;  /* of plain decode */
    double drafts; /* of a step, at its end */
    uint64_t used;
} outcome;

static const double ONE = 1000;
static const rmr_worth_step alone = {1, 1, 0};

static double took(const machine *m, uint32_t rows)
{
    const double over = m->knee > 0 && rows > m->knee ? rows - m->knee : 0;
    return ONE * (1 + m->row * (rows - 1) + (1 - m->row) * over);
}

static uint32_t first_right(uint64_t *seed, int chance, uint32_t n)
{
    uint32_t i = 0;
    while (i < n && (int)(host_random(seed) % 100) < chance) i++;
    return i;
}

/* `tokens` tokens, with drafts that are right in `chance` of 100. */
static outcome go_on(rmr_worth *w, const machine *m, rmr_draft_source source, int chance,
                     uint64_t tokens)
{
    outcome o = {0};
    uint64_t seed = 5, made = 0, steps = 0;
    double time = 0, plain = 0;
    while (made < tokens) {
        const uint32_t k = rmr_worth_choose(w, &alone, source, RMR_MOST_DRAFTS, 0).n;
        const double noise = 1 + m->noise * ((double)(host_random(&seed) % 2001) / 1000 - 1);
        const double us = took(m, k + 1) * noise;
        const uint32_t right = first_right(&seed, chance, k);
        assert_true(k <= RMR_MOST_DRAFTS);
        rmr_worth_took(w, &(rmr_worth_step){1, 1, k}, k, source, (uint64_t)us, 0);
        rmr_worth_judge(w, right);
        time += us;
        plain += ONE * (1 + right) * noise;
        made += 1 + right;
        o.used += right;
        if (made * 4 > tokens * 3) {
            o.drafts += k;
            steps++;
        }
    }
    o.drafts /= steps > 0 ? (double)steps : 1;
    o.speed = plain / time;
    return o;
}

static outcome run(const machine *m, rmr_draft_source source, int chance, uint64_t tokens)
{
    rmr_worth w = {0};
    return go_on(&w, m, source, chance, tokens);
}

static const machine machines[] = {
    {.row = .5},
    {.row = .9},
    {.row = .05},
    {.row = .3, .knee = 8},
    {.row = .5, .noise = .3},
    {.row = 0},
    {.row = .05, .noise = .3},
};

static void wrong_drafts_cost_little(void **state)
{
    static const uint64_t lengths[] = {100, 300, 3000};
    (void)state;
    for (size_t i = 0; i < sizeof machines / sizeof *machines; i++)
        for (int source = 0; source < RMR_DRAFT_SOURCES; source++)
            for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
                const outcome o = run(&machines[i], (rmr_draft_source)source, 0, lengths[k]);
                if (o.speed < .98)
                    fail_msg("machine %zu, source %d, %llu tokens: %.3f of plain speed", i, source,
                             (unsigned long long)lengths[k], o.speed);
            }
}

/* The best number of drafts, computed, is what comes out, or one that is nearly as good. */
static void right_drafts_pay(void **state)
{
    static const int chances[] = {30, 60, 85, 95, 100};
    (void)state;
    for (size_t i = 0; i < sizeof machines / sizeof *machines; i++)
        for (size_t c = 0; c < sizeof chances / sizeof *chances; c++) {
            const double p = chances[c] / 100.0;
            double best = 1, tokens = 1, likely = p;
            for (uint32_t k = 1; k <= RMR_MOST_DRAFTS; k++, likely *= p) {
                tokens += likely;
                if (tokens * ONE / took(&machines[i], k + 1) > best)
                    best = tokens * ONE / took(&machines[i], k + 1);
            }
            const outcome o = run(&machines[i], RMR_DRAFT_HOOK, chances[c], 4000);
            if (o.speed < .9 * best || o.speed < .98)
                fail_msg("machine %zu, %d of 100: %.3f of plain speed, %.3f is possible", i,
                         chances[c], o.speed, best);
        }
}

static void what_was_good_ends(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof machines / sizeof *machines; i++) {
        rmr_worth w = {0};
        go_on(&w, &machines[i], RMR_DRAFT_LONG, 100, 2000);
        go_on(&w, &machines[i], RMR_DRAFT_LONG, 0, 300);
        const outcome after = go_on(&w, &machines[i], RMR_DRAFT_LONG, 0, 1000);
        if (machines[i].row > 0 && after.speed < .98)
            fail_msg("machine %zu: %.3f of plain speed", i, after.speed);
        const outcome again = go_on(&w, &machines[i], RMR_DRAFT_LONG, 100, 4000);
        if (machines[i].row < .9) assert_true(again.used > 1000);
    }
}

/* The first steps met a busy machine: what plain decode takes is held to be far more than it is. No
 * step of one row tells better while there are drafts, but steps of more rows do: the loss ends. */
static void a_bad_beginning_is_forgotten(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof machines / sizeof *machines; i++)
        for (int source = 0; source < RMR_DRAFT_SOURCES; source++) {
            rmr_worth w = {0};
            for (int k = 0; k < 3; k++)
                rmr_worth_took(&w, &alone, 0, RMR_DRAFT_HOOK, (uint64_t)(8 * ONE), 0);
            const outcome o = go_on(&w, &machines[i], (rmr_draft_source)source, 0, 3000);
            if (o.speed < .9)
                fail_msg("machine %zu, source %d: %.3f of plain speed", i, source, o.speed);
        }
}

/* Sessions that share steps: each has a worth of its own, and drafts that are right in `chance` of
 * 100. Their tokens per time, beside those without drafts. */
static double together(const machine *m, uint32_t n, int chance, uint64_t rounds, uint64_t *drafts)
{
    static rmr_worth w[40];
    uint64_t seed = 9, made = 0;
    double time = 0;
    memset(w, 0, sizeof w);
    *drafts = 0;
    for (uint64_t round = 0; round < rounds; round++) {
        rmr_worth_step step = {n, n, 0};
        uint32_t k[40];
        for (uint32_t i = 0; i < n; i++) {
            k[i] = rmr_worth_choose(&w[i], &step, RMR_DRAFT_LONG, RMR_MOST_DRAFTS, 0).n;
            step.drafts += k[i];
        }
        const double noise = 1 + m->noise * ((double)(host_random(&seed) % 2001) / 1000 - 1);
        const double us = 100 * took(m, n + step.drafts) * noise;
        for (uint32_t i = 0; i < n; i++) {
            const uint32_t right = first_right(&seed, chance, k[i]);
            rmr_worth_took(&w[i], &step, k[i], RMR_DRAFT_LONG, (uint64_t)us, 0);
            rmr_worth_judge(&w[i], right);
            made += 1 + right;
        }
        *drafts += step.drafts;
        time += us / noise;
    }
    return (double)made / time / (n / (100 * took(m, n)));
}

static void batches_gain_and_lose_little(void **state)
{
    static const uint32_t sessions[] = {2, 4, 16, 40};
    uint64_t drafts;
    (void)state;
    for (size_t i = 0; i < sizeof machines / sizeof *machines; i++)
        for (size_t k = 0; k < sizeof sessions / sizeof *sessions; k++) {
            const double wrong = together(&machines[i], sessions[k], 0, 1500, &drafts),
                         right = together(&machines[i], sessions[k], 95, 1500, &drafts);
            if (wrong < .98 || right < .98)
                fail_msg("machine %zu, %u sessions: %.3f and %.3f of plain speed", i, sessions[k],
                         wrong, right);
            if (machines[i].row < .1 && machines[i].noise == 0 && sessions[k] <= 16 && right < 1.5)
                fail_msg("machine %zu, %u sessions: right drafts give %.3f", i, sessions[k], right);
        }
}

/* One source that is bad does not spoil another. */
static void sources_are_apart(void **state)
{
    const machine m = {.row = .5};
    rmr_worth w = {0};
    (void)state;
    go_on(&w, &m, RMR_DRAFT_SHORT, 0, 2000);
    assert_true(rmr_worth_choose(&w, &alone, RMR_DRAFT_LONG, 8, 0).n > 0);
    assert_int_equal(rmr_worth_choose(&w, &alone, RMR_DRAFT_SHORT, 8, 0).n, 0);
}

static void none_that_are_late(void **state)
{
    const machine m = {.row = .1};
    rmr_worth w = {0};
    (void)state;
    assert_int_equal(rmr_worth_choose(&w, &alone, RMR_DRAFT_LONG, 8, 0).n,
                     0); /* nothing is known */
    go_on(&w, &m, RMR_DRAFT_LONG, 100, 2000);
    assert_true(rmr_worth_choose(&w, &alone, RMR_DRAFT_LONG, 8, 0).n == 8);
    assert_int_equal(rmr_worth_choose(&w, &alone, RMR_DRAFT_LONG, 0, 0).n, 0);
    const uint32_t in_time =
        rmr_worth_choose(&w, &alone, RMR_DRAFT_LONG, 8, (int64_t)(1.45 * ONE)).n;
    assert_true(in_time > 0 && in_time < 8);
    assert_int_equal(rmr_worth_choose(&w, &alone, RMR_DRAFT_LONG, 8, (int64_t)ONE + 1).n, 0);
    /* The token itself will be late: what matters is how many come of the time. */
    assert_int_equal(rmr_worth_choose(&w, &alone, RMR_DRAFT_LONG, 8, (int64_t)(ONE / 2)).n, 8);
}

/* A clock may say anything, and steps have any number of rows. */
static void any_times(void **state)
{
    static const uint64_t us[] = {0, 1, UINT64_MAX, 7, UINT64_MAX / 2, 1000};
    uint64_t seed = 3;
    rmr_worth w = {0};
    (void)state;
    for (int i = 0; i < 5000; i++) {
        const rmr_draft_source source = (rmr_draft_source)(host_random(&seed) % RMR_DRAFT_SOURCES);
        const uint32_t most = host_random(&seed) % 40;
        const uint32_t rows = host_random(&seed) % 4 ? 1 : 1U << host_random(&seed) % 20;
        rmr_worth_step step = {1 + host_random(&seed) % rows, rows, host_random(&seed) % 50};
        const uint32_t k =
            rmr_worth_choose(&w, &step, source, most, (int64_t)(host_random(&seed) % 3)).n;
        assert_true(k <= most);
        step.drafts += k;
        rmr_worth_took(&w, &step, k, source, us[host_random(&seed) % 6],
                       us[host_random(&seed) % 6]);
        rmr_worth_judge(&w, host_random(&seed) % (k + 1));
        if (i % 7 == 0) rmr_worth_lost(&w, &step, us[host_random(&seed) % 6]);
        assert_true(w.purse >= -16 && w.purse <= 16);
    }
}

static uint32_t sevens(void *user, const remora_session *s, remora_token *out, uint32_t most)
{
    (void)user;
    (void)s;
    for (uint32_t i = 0; i < most; i++) out[i] = 7;
    return most;
}

static void add(remora_session *s, remora_token t)
{
    remora_error err = HOST_ERROR;
    REQUIRE_OK(remora_session_append(s, &t, 1, REMORA_WANT_LAST, &err), &err);
    REQUIRE_OK(remora_eval(&s, 1, NULL, &err), &err);
}

/* Drafts that nobody has judged stay with the session that has their rows: it learns that they were
 * right. Its fork has none of the rows, and neither learns nor pays for them. */
static void forks_do_not_judge(void **state)
{
    static const rmr_drafter drafter = {NULL, sevens, NULL};
    const remora_gen_opts o = {.struct_size = sizeof o, .max_drafts = 3};
    remora_error err = HOST_ERROR;
    const remora_token prompt[] = {'o', 'n', 'e'};
    remora_token t[2];
    remora_sampler *p;
    remora_session *f;
    size_t n;
    tiny files;
    (void)state;
    tiny_make(&files, NULL);
    remora_runtime *rt = host_runtime(NULL, 1, NULL);
    remora_model *m = host_open(rt, &files.source);
    remora_session *s = host_session(m, 64, REMORA_KV_BF16);
    REQUIRE_OK(remora_sampler_create(m, 1, &p, &err), &err);
    s->drafter = &drafter;
    REQUIRE_OK(remora_session_append(s, prompt, 3, REMORA_WANT_LAST, &err), &err);
    REQUIRE_OK(remora_generate(s, p, &o, t, 2, &n, &err), &err); /* the second token is pending */
    REQUIRE_OK(remora_session_trim(s, 4, &err), &err);
    assert_int_equal(s->worth.asked, 3);
    REQUIRE_OK(remora_session_fork(s, &f, &err), &err);
    const rmr_draft_record knew = f->worth.first[RMR_DRAFT_HOOK];
    const float purse = f->worth.purse;
    for (int i = 0; i < 2; i++) {
        add(s, 7);
        add(f, 7);
    }
    add(s, 8);
    add(f, 8);
    assert_true(s->worth.first[RMR_DRAFT_HOOK].right > knew.right);
    assert_memory_equal(&f->worth.first[RMR_DRAFT_HOOK], &knew, sizeof knew);
    assert_true(f->worth.purse > purse);
    remora_session_free(f);
    remora_session_free(s);
    remora_sampler_free(p);
    remora_model_free(m);
    remora_runtime_free(rt);
    tiny_free(&files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_drafts_cost_little),
        cmocka_unit_test(right_drafts_pay),
        cmocka_unit_test(what_was_good_ends),
        cmocka_unit_test(sources_are_apart),
        cmocka_unit_test(none_that_are_late),
        cmocka_unit_test(any_times),
        cmocka_unit_test(forks_do_not_judge),
        cmocka_unit_test(a_bad_beginning_is_forgotten),
        cmocka_unit_test(batches_gain_and_lose_little),
    };
    return cmocka_run_group_tests_name("worth", tests, NULL, NULL);
}
