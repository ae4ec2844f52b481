/* SPDX-License-Identifier: Apache-2.0 */
/* The sampler chain: every stage against a slow direct reading of its definition, the draw against
 * chi-square, the stream against pinned values, and everything a hostile caller can pass. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <float.h>
#include <math.h>

#include <cmocka.h>

#include "sampler.h"
#include "dexp.h"
#include "fpenv.h"
#include "rng.h"
#include "tmem.h"

enum { MAX_N = 5000 };

typedef struct fixture {
    tmem t;
    rmr_mem mem;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    if (f == NULL) return -1;
    f->mem.user = &f->t;
    f->mem.alloc = tmem_alloc;
    f->mem.resize = tmem_resize;
    f->mem.release = tmem_release;
    rmr_mem_init(&f->mem);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    const int bad = f->t.blocks != 0 || f->t.damage != 0 || f->mem.bytes != 0;
    free(f);
    return bad ? -1 : 0;
}

static rmr_sampler *make(void **state, uint32_t n_vocab, uint64_t seed)
{
    fixture *f = *state;
    rmr_sampler *c = NULL;
    assert_int_equal(rmr_sampler_create(&f->mem, n_vocab, seed, &c, NULL), REMORA_OK);
    assert_non_null(c);
    return c;
}

static remora_stage stage(int32_t kind, double value, int64_t count)
{
    const remora_stage s = {.struct_size = sizeof s, .kind = kind, .value = value, .count = count};
    return s;
}

static remora_status add(rmr_sampler *c, int32_t kind, double value, int64_t count)
{
    const remora_stage s = stage(kind, value, count);
    return rmr_sampler_add(c, &s, NULL);
}

static void must_add(rmr_sampler *c, int32_t kind, double value, int64_t count)
{
    assert_int_equal(add(c, kind, value, count), REMORA_OK);
}

static remora_token must_pick(rmr_sampler *c, const float *logits, size_t n)
{
    remora_token t = -7;
    assert_int_equal(rmr_sampler_pick(c, logits, n, &t, NULL), REMORA_OK);
    assert_in_range(t, 0, n - 1);
    return t;
}

/* Logits like a model's (a few high ones) or flat, on a coarse grid now and then so that ties
 * occur. */
static void random_logits(rmr_rng *r, float *x, size_t n, int ties)
{
    for (size_t i = 0; i < n; i++) {
        const double u = rmr_rng_double(r), v = rmr_rng_double(r);
        const double g = sqrt(-2.0 * log(u + 1e-300)) * cos(6.283185307179586 * v) * 3.0;
        x[i] = (float)(ties ? floor(g) : g);
    }
}

/* ---- arithmetic --------------------------------------------------------- */

static void test_generator_vectors(void **state)
{
    (void)state;
    static const uint64_t xo[10] = {41943041u,
                                    58720359u,
                                    3588806011781223u,
                                    3591011842654386u,
                                    9228616714210784205u,
                                    9973669472204895162u,
                                    14011001112246962877u,
                                    12406186145184390807u,
                                    15849039046786891736u,
                                    10450023813501588000u};
    static const uint64_t sm[3] = {1985237415132408290u, 2979275885539914483u,
                                   13511426838097143398u};
    rmr_rng r = {{1, 2, 3, 4}};
    uint64_t x = 1477776061723855037u;
    for (int i = 0; i < 10; i++) assert_true(rmr_rng_next(&r) == xo[i]);
    for (int i = 0; i < 3; i++) assert_true(rmr_rng_splitmix(&x) == sm[i]);
    rmr_rng_seed(&r, 0);
    for (int i = 0; i < 1000; i++) {
        const double u = rmr_rng_double(&r);
        assert_true(u >= 0.0 && u < 1.0);
    }
}

static double rel_err(double got, double want)
{
    return fabs(got - want) / fabs(want);
}

static uint64_t mix_bits(uint64_t h, double d)
{
    uint64_t u;
    memcpy(&u, &d, 8);
    return (h ^ u) * 0x100000001b3u;
}

/* The tolerance is the documented one plus a rounding of libm's own; the hash pins the bits on
 * every machine. */
static void test_exp_log_against_libm(void **state)
{
    (void)state;
    rmr_rng r;
    double worst_exp = 0, worst_log = 0;
    uint64_t h = 0xcbf29ce484222325u;
    rmr_rng_seed(&r, 1);
    for (int i = 0; i < 200000; i++) {
        const double x = (rmr_rng_double(&r) * 2 - 1) * (i % 2 ? 700.0 : 3.0);
        const double y = rmr_dexp((rmr_rng_double(&r) * 2 - 1) * (i % 2 ? 700.0 : 0.01));
        worst_exp = fmax(worst_exp, rel_err(rmr_dexp(x), exp(x)));
        if (y != 1.0) worst_log = fmax(worst_log, rel_err(rmr_dlog(y), log(y)));
        h = mix_bits(mix_bits(h, rmr_dexp(x)), rmr_dlog(y));
    }
    assert_true(worst_exp < 1.2e-15);
    assert_true(worst_log < 1.2e-15);
    assert_true(h == 0xb32687c74d0b93e6u);
}

static void test_exp_log_edges(void **state)
{
    (void)state;
    assert_true(rmr_dexp(0.0) == 1.0 && rmr_dexp(-0.0) == 1.0);
    assert_true(rmr_dexp(-INFINITY) == 0.0 && rmr_dexp(-1e308) == 0.0);
    assert_true(isinf(rmr_dexp(INFINITY)) && isinf(rmr_dexp(709.8)) && isinf(rmr_dexp(1e308)));
    assert_true(isnan(rmr_dexp(NAN)) && isnan(rmr_dlog(NAN)) && isnan(rmr_dlog(-1.0)));
    assert_true(rel_err(rmr_dexp(709.7), exp(709.7)) < 1e-14);
    assert_true(fabs(rmr_dexp(-745.0) - exp(-745.0)) <= 0x1p-1074);
    assert_true(fabs(rmr_dexp(-720.0) - exp(-720.0)) <= 0x1p-1073);
    assert_true(rmr_dlog(1.0) == 0.0 && rmr_dlog(0.0) == -INFINITY && isinf(rmr_dlog(INFINITY)));
    assert_true(rel_err(rmr_dlog(0x1p-1074), log(0x1p-1074)) < 1e-14);
    assert_true(rel_err(rmr_dlog(DBL_MAX), log(DBL_MAX)) < 1e-14);
}

/* ---- the draw ------------------------------------------------------------ */

/* Chi-square of `draws` picks against softmax(logits / t). */
static double chi_square(void **state, const float *x, size_t n, double t, int draws)
{
    rmr_sampler *c = make(state, (uint32_t)n, 20260101);
    int *count = calloc(n, sizeof *count);
    double total = 0, chi = 0;
    assert_non_null(count);
    if (t != 1.0) must_add(c, REMORA_STAGE_TEMPERATURE, t, 0);
    for (int i = 0; i < draws; i++) count[must_pick(c, x, n)]++;
    for (size_t i = 0; i < n; i++) total += exp(x[i] / t);
    for (size_t i = 0; i < n; i++) {
        const double want = draws * exp(x[i] / t) / total;
        chi += (count[i] - want) * (count[i] - want) / want;
    }
    free(count);
    rmr_sampler_free(c);
    return chi;
}

/* Fixed seeds: the bounds are the 99.99 % points, and the values do not change from run to run. */
static void test_distribution(void **state)
{
    static const float x[8] = {0.0f, 1.0f, -1.0f, 2.0f, 0.5f, -2.0f, 1.5f, 0.25f};
    static float y[700];
    for (int i = 0; i < 700; i++) y[i] = (float)((i * 37) % 100) / 50.0f;
    assert_true(chi_square(state, x, 8, 1.0, 100000) < 29.9); /* 7 degrees of freedom */
    assert_true(chi_square(state, x, 8, 0.7, 100000) < 29.9);
    assert_true(chi_square(state, y, 700, 1.0, 100000) < 845.0); /* 699, three blocks */
}

static void test_pinned_stream(void **state)
{
    static const remora_token want[12] = {763, 283, 969, 665, 725, 510,
                                          111, 521, 197, 907, 471, 829};
    static float x[1000];
    rmr_rng r;
    rmr_rng_seed(&r, 99);
    for (int i = 0; i < 1000; i++) x[i] = (float)(rmr_rng_double(&r) * 8.0);
    rmr_sampler *c = make(state, 1000, 42);
    must_add(c, REMORA_STAGE_TEMPERATURE, 0.8, 0);
    must_add(c, REMORA_STAGE_TOP_P, 0.9, 0);
    for (int i = 0; i < 12; i++) assert_int_equal(must_pick(c, x, 1000), want[i]);
    rmr_sampler_free(c);
}

static void test_one_token(void **state)
{
    static const float x[1] = {-3.0f};
    rmr_sampler *c = make(state, 1, 5);
    assert_int_equal(must_pick(c, x, 1), 0);
    must_add(c, REMORA_STAGE_TOP_K, 0, 5);
    must_add(c, REMORA_STAGE_TOP_P, 0.5, 0);
    must_add(c, REMORA_STAGE_MIN_P, 1.0, 0);
    must_add(c, REMORA_STAGE_TEMPERATURE, 0.0, 0);
    assert_int_equal(must_pick(c, x, 1), 0);
    rmr_sampler_free(c);
}

/* ---- stages against their definitions ------------------------------------- */

typedef struct ref_item {
    remora_token token;
    double logit;
} ref_item;

typedef struct ref_list {
    ref_item it[MAX_N];
    size_t n;
    remora_token hist[2048];
    size_t n_hist;
} ref_list;

static int ref_order(const void *pa, const void *pb)
{
    const ref_item *a = pa, *b = pb;
    if (a->logit != b->logit) return a->logit > b->logit ? -1 : 1;
    return a->token < b->token ? -1 : a->token > b->token;
}

static double ref_max(const ref_list *l)
{
    double m = -INFINITY;
    for (size_t i = 0; i < l->n; i++) m = fmax(m, l->it[i].logit);
    return m;
}

static long double ref_prob(const ref_list *l, size_t i)
{
    long double total = 0;
    const double m = ref_max(l);
    for (size_t k = 0; k < l->n; k++) total += expl((long double)l->it[k].logit - m);
    return expl((long double)l->it[i].logit - m) / total;
}

static void ref_cut(ref_list *l, const remora_stage *s)
{
    qsort(l->it, l->n, sizeof l->it[0], ref_order);
    const long double best = ref_prob(l, 0), scale = best; /* p_i = best * e^(l_i - l_0) */
    long double sum = 0;
    size_t keep = 0;
    for (; keep < l->n; keep++) {
        const long double p = scale * expl((long double)l->it[keep].logit - l->it[0].logit);
        if (s->kind == REMORA_STAGE_TOP_K && keep >= (size_t)s->count) break;
        /* every candidate has a probability above 0, however small: 1 takes all */
        if (s->kind == REMORA_STAGE_TOP_P && s->value < 1 && sum >= (long double)s->value) break;
        if (s->kind == REMORA_STAGE_MIN_P && p < (long double)s->value * best) break;
        if (s->kind == REMORA_STAGE_TEMPERATURE && keep >= 1) break;
        sum += p;
    }
    l->n = keep;
}

static void ref_change(ref_list *l, const remora_stage *s)
{
    const size_t w = s->count > 0 && (size_t)s->count < l->n_hist ? (size_t)s->count : l->n_hist;
    for (size_t i = 0; i < l->n; i++) {
        int times = 0;
        double *x = &l->it[i].logit;
        for (size_t k = l->n_hist - w; k < l->n_hist; k++) times += l->hist[k] == l->it[i].token;
        switch (s->kind) {
        case REMORA_STAGE_TEMPERATURE: *x /= s->value; break;
        case REMORA_STAGE_REPEAT:
            if (times > 0) *x = *x > 0 ? *x / s->value : *x * s->value;
            break;
        case REMORA_STAGE_FREQUENCY: *x -= s->value * times; break;
        case REMORA_STAGE_PRESENCE: *x -= times > 0 ? s->value : 0; break;
        case REMORA_STAGE_BIAS:
            if (l->it[i].token == s->count) *x += s->value;
            break;
        default: break;
        }
        *x = (float)*x; /* the list holds floats between stages */
    }
    size_t m = 0;
    for (size_t i = 0; i < l->n; i++)
        if (l->it[i].logit > -INFINITY) l->it[m++] = l->it[i];
    l->n = m;
}

static void ref_run(ref_list *l, const remora_stage *s)
{
    const int cuts = s->kind == REMORA_STAGE_TOP_K || s->kind == REMORA_STAGE_TOP_P ||
                     s->kind == REMORA_STAGE_MIN_P ||
                     (s->kind == REMORA_STAGE_TEMPERATURE && s->value == 0.0);
    if (cuts)
        ref_cut(l, s);
    else
        ref_change(l, s);
}

/* The last stage of the chains under test: takes a picture of the candidates. */
typedef struct picture {
    remora_token_prob c[MAX_N];
    size_t n;
} picture;

static remora_status REMORA_CALL take_picture(void *user, remora_token_prob *cand, size_t *n)
{
    picture *p = user;
    p->n = *n;
    memcpy(p->c, cand, *n * sizeof *cand);
    return REMORA_OK;
}

static int prob_order(const void *pa, const void *pb)
{
    const remora_token_prob *a = pa, *b = pb;
    if (a->logit != b->logit) return a->logit > b->logit ? -1 : 1;
    return a->token < b->token ? -1 : a->token > b->token;
}

static void compare(picture *got, ref_list *want)
{
    assert_int_equal(got->n, want->n);
    qsort(got->c, got->n, sizeof got->c[0], prob_order);
    qsort(want->it, want->n, sizeof want->it[0], ref_order);
    if (want->n == 0) return;
    const long double best = ref_prob(want, 0);
    for (size_t i = 0; i < want->n; i++) {
        const double below = want->it[i].logit - want->it[0].logit;
        const double lp = (double)logl(best) + below;
        assert_int_equal(got->c[i].token, want->it[i].token);
        assert_true(got->c[i].logit == (float)want->it[i].logit);
        assert_true(fabs((double)got->c[i].logprob - lp) <= 1e-6 * fmax(1.0, fabs(lp)));
    }
}

static remora_stage random_stage(rmr_rng *r, size_t n)
{
    const double u = rmr_rng_double(r);
    const int64_t window = (int64_t)(rmr_rng_next(r) % 40);
    switch (rmr_rng_next(r) % 8) {
    case 0: return stage(REMORA_STAGE_TEMPERATURE, rmr_rng_next(r) % 9 ? 0.2 + 2 * u : 0.0, 0);
    case 1: return stage(REMORA_STAGE_TOP_K, 0, 1 + (int64_t)(rmr_rng_next(r) % (n + n / 4 + 1)));
    case 2: return stage(REMORA_STAGE_TOP_P, u > 0.95 ? 1.0 : u + 0.001, 0);
    case 3: return stage(REMORA_STAGE_MIN_P, u * u * u * u, 0);
    case 4: return stage(REMORA_STAGE_REPEAT, 0.5 + u, window);
    case 5: return stage(REMORA_STAGE_FREQUENCY, 2 * u - 0.5, window);
    case 6: return stage(REMORA_STAGE_PRESENCE, 2 * u - 0.5, window);
    default:
        return stage(REMORA_STAGE_BIAS, rmr_rng_next(r) % 3 ? 4 * u - 2 : -INFINITY,
                     (int64_t)(rmr_rng_next(r) % n));
    }
}

/* One random chain over one random row; the picture must be the reference's list. */
static void try_chain(void **state, rmr_rng *r, size_t n, int n_stages, ref_list *want,
                      picture *got)
{
    static float x[MAX_N];
    remora_stage shot = stage(REMORA_STAGE_CALLBACK, 0, 0);
    remora_token t;
    rmr_sampler *c = make(state, (uint32_t)n, rmr_rng_next(r));
    random_logits(r, x, n, rmr_rng_next(r) % 3 == 0);
    if (rmr_rng_next(r) % 4 == 0) x[rmr_rng_next(r) % n] = NAN;
    want->n = want->n_hist = 0;
    for (size_t i = 0; i < n; i++)
        if (!isnan(x[i])) want->it[want->n++] = (ref_item){(remora_token)i, x[i]};
    for (int i = (int)(rmr_rng_next(r) % 60); i > 0; i--)
        want->hist[want->n_hist++] = (remora_token)(rmr_rng_next(r) % n);
    for (int i = 0; i < n_stages; i++) {
        const remora_stage s = random_stage(r, n);
        assert_int_equal(rmr_sampler_add(c, &s, NULL), REMORA_OK);
        if (want->n > 0) ref_run(want, &s);
    }
    for (size_t i = 0; i < want->n_hist; i++)
        assert_int_equal(rmr_sampler_accept(c, want->hist[i], NULL), REMORA_OK);
    shot.fn = take_picture;
    shot.user = got;
    assert_int_equal(rmr_sampler_add(c, &shot, NULL), REMORA_OK);
    const remora_status st = rmr_sampler_pick(c, x, n, &t, NULL);
    assert_int_equal(st, want->n > 0 ? REMORA_OK : REMORA_E_NO_TOKEN);
    if (st == REMORA_OK) compare(got, want);
    rmr_sampler_free(c);
}

static void test_stages_against_reference(void **state)
{
    rmr_rng r;
    ref_list *want = malloc(sizeof *want);
    picture *got = malloc(sizeof *got);
    assert_non_null(want);
    assert_non_null(got);
    rmr_rng_seed(&r, 7);
    for (int i = 0; i < 3000; i++) {
        const size_t n = i % 50 == 0 ? MAX_N : 1 + rmr_rng_next(&r) % (i % 2 ? 20 : 700);
        try_chain(state, &r, n, 1 + (int)(rmr_rng_next(&r) % 4), want, got);
    }
    free(want);
    free(got);
}

static void test_greedy_ties_take_the_lower_id(void **state)
{
    static const float x[6] = {1.0f, 3.0f, 2.0f, 3.0f, NAN, 3.0f};
    rmr_sampler *c = make(state, 6, 1);
    must_add(c, REMORA_STAGE_TEMPERATURE, 0.0, 0);
    for (int i = 0; i < 20; i++) assert_int_equal(must_pick(c, x, 6), 1);
    rmr_sampler_free(c);
    c = make(state, 6, 1);
    must_add(c, REMORA_STAGE_TOP_K, 0, 2); /* 1 and 3, never 5 */
    for (int i = 0; i < 200; i++) {
        const remora_token t = must_pick(c, x, 6);
        assert_true(t == 1 || t == 3);
    }
    rmr_sampler_free(c);
}

static void test_order_of_stages_counts(void **state)
{
    static const float x[3] = {2.0f, 1.9f, 0.0f};
    rmr_sampler *c = make(state, 3, 1);
    must_add(c, REMORA_STAGE_TOP_K, 0, 1);
    must_add(c, REMORA_STAGE_BIAS, -INFINITY, 0); /* bans the only one left */
    remora_token t = 77;
    assert_int_equal(rmr_sampler_pick(c, x, 3, &t, NULL), REMORA_E_NO_TOKEN);
    assert_int_equal(t, 77);
    rmr_sampler_free(c);
    c = make(state, 3, 1);
    must_add(c, REMORA_STAGE_BIAS, -INFINITY, 0);
    must_add(c, REMORA_STAGE_TOP_K, 0, 1);
    assert_int_equal(must_pick(c, x, 3), 1);
    rmr_sampler_free(c);
}

/* ---- history --------------------------------------------------------------- */

/* A presence penalty that nothing survives: greedy shows which tokens are inside the window. */
static void test_window_and_ring(void **state)
{
    static float x[64];
    for (int i = 0; i < 64; i++) x[i] = (float)-i;
    rmr_sampler *c = make(state, 64, 1);
    must_add(c, REMORA_STAGE_PRESENCE, 1000.0, 3);
    must_add(c, REMORA_STAGE_TEMPERATURE, 0.0, 0);
    for (int i = 0; i < 3 * RMR_SAMPLER_HISTORY; i++) {
        const remora_token t = must_pick(c, x, 64);
        assert_int_equal(t, i % 4);
        assert_int_equal(rmr_sampler_accept(c, t, NULL), REMORA_OK);
        if (i > 100) i += 4 * 997 - 1; /* let the ring turn over without a million picks */
        for (int k = 0; i > 100 && k < 996 * 4 + 3; k++)
            assert_int_equal(rmr_sampler_accept(c, (t + 1 + k) % 4, NULL), REMORA_OK);
    }
    rmr_sampler_free(c);
}

static void test_count_zero_is_the_whole_history(void **state)
{
    static float x[4] = {3, 2, 1, 0};
    rmr_sampler *c = make(state, 4, 1);
    must_add(c, REMORA_STAGE_PRESENCE, 1000.0, 0);
    must_add(c, REMORA_STAGE_TEMPERATURE, 0.0, 0);
    assert_int_equal(rmr_sampler_accept(c, 0, NULL), REMORA_OK);
    for (int i = 1; i < RMR_SAMPLER_HISTORY; i++)
        assert_int_equal(rmr_sampler_accept(c, 1, NULL), REMORA_OK);
    assert_int_equal(must_pick(c, x, 4), 2);
    assert_int_equal(rmr_sampler_accept(c, 1, NULL), REMORA_OK); /* token 0 falls out */
    assert_int_equal(must_pick(c, x, 4), 0);
    rmr_sampler_free(c);
}

static void test_longer_window_keeps_what_was_accepted(void **state)
{
    static float x[4] = {3, 2, 1, 0};
    rmr_sampler *c = make(state, 4, 1);
    must_add(c, REMORA_STAGE_PRESENCE, 0.0, 2);
    assert_int_equal(rmr_sampler_accept(c, 0, NULL), REMORA_OK);
    must_add(c, REMORA_STAGE_PRESENCE, 1000.0, RMR_SAMPLER_HISTORY + 10);
    must_add(c, REMORA_STAGE_TEMPERATURE, 0.0, 0);
    for (int i = 1; i < RMR_SAMPLER_HISTORY + 10; i++)
        assert_int_equal(rmr_sampler_accept(c, 1, NULL), REMORA_OK);
    assert_int_equal(must_pick(c, x, 4), 2);
    assert_int_equal(rmr_sampler_accept(c, 1, NULL), REMORA_OK);
    assert_int_equal(must_pick(c, x, 4), 0);
    rmr_sampler_reset(c, 1);
    assert_int_equal(must_pick(c, x, 4), 0);
    rmr_sampler_free(c);
}

/* ---- seeds, clones ----------------------------------------------------------- */

static void test_seed_clone_reset(void **state)
{
    static float x[300];
    remora_token first[50];
    int same = 0;
    rmr_rng r;
    rmr_rng_seed(&r, 3);
    random_logits(&r, x, 300, 0);
    rmr_sampler *a = make(state, 300, 11), *b = make(state, 300, 12), *k = NULL;
    for (int i = 0; i < 2; i++) {
        must_add(i ? b : a, REMORA_STAGE_FREQUENCY, 0.3, 20);
        must_add(i ? b : a, REMORA_STAGE_TOP_K, 0, 100);
    }
    for (int i = 0; i < 50; i++) {
        if (i == 25) assert_int_equal(rmr_sampler_clone(a, &k, NULL), REMORA_OK);
        first[i] = must_pick(a, x, 300);
        same += first[i] == must_pick(b, x, 300);
        assert_int_equal(rmr_sampler_accept(a, first[i], NULL), REMORA_OK);
        assert_int_equal(rmr_sampler_accept(b, first[i], NULL), REMORA_OK);
    }
    assert_true(same < 40); /* another seed is another stream */
    rmr_sampler_free(b);
    for (int i = 25; i < 50; i++) { /* the clone goes on from where it was made */
        assert_int_equal(must_pick(k, x, 300), first[i]);
        assert_int_equal(rmr_sampler_accept(k, first[i], NULL), REMORA_OK);
    }
    rmr_sampler_reset(a, 11);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(must_pick(a, x, 300), first[i]);
        assert_int_equal(rmr_sampler_accept(a, first[i], NULL), REMORA_OK);
    }
    rmr_sampler_free(a);
    must_add(k, REMORA_STAGE_TOP_K, 0, 1); /* the original's end does not touch the clone */
    must_pick(k, x, 300);
    rmr_sampler_free(k);
}

/* A failed pick takes nothing from the generator: the stream after it is the stream without it. */
static void test_failure_changes_nothing(void **state)
{
    static float x[100], none[100];
    rmr_rng r;
    rmr_rng_seed(&r, 4);
    random_logits(&r, x, 100, 0);
    for (int i = 0; i < 100; i++) none[i] = i % 2 ? NAN : -INFINITY;
    rmr_sampler *a = make(state, 100, 8), *b = make(state, 100, 8);
    for (int i = 0; i < 30; i++) {
        remora_token t = 1234;
        assert_int_equal(rmr_sampler_pick(a, none, 100, &t, NULL), REMORA_E_NO_TOKEN);
        assert_int_equal(t, 1234);
        assert_int_equal(must_pick(a, x, 100), must_pick(b, x, 100));
    }
    rmr_sampler_free(a);
    rmr_sampler_free(b);
}

/* ---- numbers at the edge -------------------------------------------------------- */

static void test_infinite_logits(void **state)
{
    static const float x[5] = {1.0f, INFINITY, -INFINITY, INFINITY, FLT_MAX};
    int count[5] = {0};
    for (int with = 0; with < 3; with++) {
        rmr_sampler *c = make(state, 5, 9);
        if (with == 1) must_add(c, REMORA_STAGE_TEMPERATURE, 0.5, 0);
        if (with == 2) must_add(c, REMORA_STAGE_TOP_P, 0.9, 0);
        memset(count, 0, sizeof count);
        for (int i = 0; i < 200; i++) count[must_pick(c, x, 5)]++;
        assert_int_equal(count[1] + count[3], 200);
        assert_true(count[1] > 50 && count[3] > 50);
        rmr_sampler_free(c);
    }
}

static void test_extreme_temperatures(void **state)
{
    static const float x[4] = {-5.0f, -6.0f, -7.0f, -6.0f}, y[4] = {5, 6, 7, 6};
    static const double tiny[4] = {1e-300, 5e-324, 1e-40, 1e-6};
    static const float huge_row[3] = {FLT_MAX, -FLT_MAX, FLT_MAX / 2};
    int seen[4] = {0};
    for (int i = 0; i < 4; i++) {
        rmr_sampler *c = make(state, 4, 9);
        must_add(c, REMORA_STAGE_TEMPERATURE, tiny[i], 0);
        assert_int_equal(must_pick(c, x, 4), 0);
        assert_int_equal(must_pick(c, y, 4), 2);
        assert_int_equal(must_pick(c, huge_row, 3), 0);
        rmr_sampler_free(c);
    }
    rmr_sampler *c = make(state, 4, 9);
    must_add(c, REMORA_STAGE_TEMPERATURE, 1e300, 0); /* uniform */
    for (int i = 0; i < 400; i++) seen[must_pick(c, x, 4)]++;
    for (int i = 0; i < 4; i++) assert_true(seen[i] > 50);
    rmr_sampler_free(c);
}

static remora_status REMORA_CALL all_finite(void *user, remora_token_prob *cand, size_t *n)
{
    size_t finite = 0;
    for (size_t i = 0; i < *n; i++) finite += isfinite(cand[i].logit) != 0;
    *(size_t *)user = finite;
    return REMORA_OK;
}

static void test_huge_penalties_stay_finite(void **state)
{
    static const float x[2] = {-1.0f, -2.0f};
    size_t finite = 0;
    remora_stage s = stage(REMORA_STAGE_CALLBACK, 0, 0);
    s.fn = all_finite;
    s.user = &finite;
    rmr_sampler *c = make(state, 2, 9);
    must_add(c, REMORA_STAGE_REPEAT, 1e300, 0);
    must_add(c, REMORA_STAGE_BIAS, -1e300, 1);
    must_add(c, REMORA_STAGE_FREQUENCY, 1e308, 0);
    assert_int_equal(rmr_sampler_add(c, &s, NULL), REMORA_OK);
    for (int i = 0; i < 10; i++) assert_int_equal(rmr_sampler_accept(c, i % 2, NULL), REMORA_OK);
    must_pick(c, x, 2);
    assert_int_equal(finite, 2);
    rmr_sampler_free(c);
}

/* A draw at every place of the unit interval, with blocks of zero weight at both ends. */
static void test_zero_weight_blocks(void **state)
{
    static float x[1100];
    for (int i = 0; i < 1100; i++) x[i] = -2000.0f;
    x[600] = x[601] = 0.0f;
    rmr_sampler *c = make(state, 1100, 10);
    int low = 0;
    for (int i = 0; i < 1000; i++) {
        const remora_token t = must_pick(c, x, 1100);
        assert_true(t == 600 || t == 601);
        low += t == 600;
    }
    assert_true(low > 400 && low < 600);
    rmr_sampler_free(c);
}

/* The host's floating-point mode changes nothing and comes back; its callback runs in it. */
#if defined(__x86_64__)
#include <xmmintrin.h>

static remora_status REMORA_CALL note_mode(void *user, remora_token_prob *cand, size_t *n)
{
    (void)cand, (void)n;
    *(unsigned *)user = _mm_getcsr();
    return REMORA_OK;
}

static void test_host_fp_mode(void **state)
{
    static float x[500];
    rmr_rng r;
    unsigned mode = 0;
    remora_stage s = stage(REMORA_STAGE_CALLBACK, 0, 0);
    s.fn = note_mode;
    s.user = &mode;
    rmr_rng_seed(&r, 6);
    random_logits(&r, x, 500, 0);
    rmr_sampler *a = make(state, 500, 2), *b = make(state, 500, 2);
    assert_int_equal(rmr_sampler_add(a, &s, NULL), REMORA_OK);
    assert_int_equal(rmr_sampler_add(b, &s, NULL), REMORA_OK);
    const unsigned plain = _mm_getcsr(), odd = 0x1f80u | 0x8040u | 0x6000u; /* FTZ, DAZ, to zero */
    for (int i = 0; i < 50; i++) {
        remora_token ta = -1, tb = -2;
        const remora_status sa = rmr_sampler_pick(a, x, 500, &ta, NULL);
        _mm_setcsr(odd);
        const remora_status sb = rmr_sampler_pick(b, x, 500, &tb, NULL);
        const unsigned after = _mm_getcsr() & ~0x3fu;
        _mm_setcsr(plain);
        assert_int_equal(sa, REMORA_OK);
        assert_int_equal(sb, REMORA_OK);
        assert_int_equal(ta, tb);
        assert_int_equal(after, odd & ~0x3fu);
        assert_int_equal(mode & ~0x3fu, odd & ~0x3fu);
    }
    rmr_sampler_free(a);
    rmr_sampler_free(b);
}
#else
static void test_host_fp_mode(void **state)
{
    (void)state;
}
#endif

/* ---- host callbacks ---------------------------------------------------------------- */

enum {
    DO_NOTHING,
    DO_FAIL,
    DO_POSITIVE,
    DO_GROW,
    DO_BAD_TOKEN,
    DO_NEGATIVE,
    DO_EMPTY,
    DO_NAN,
    DO_SWAP
};

static remora_status REMORA_CALL misbehave(void *user, remora_token_prob *cand, size_t *n)
{
    const int what = *(const int *)user;
    const remora_token_prob first = cand[0];
    switch (what) {
    case DO_FAIL: return REMORA_E_INTERNAL;
    case DO_POSITIVE: return REMORA_MORE;
    case DO_GROW: ++*n; break;
    case DO_BAD_TOKEN: cand[0].token = 10; break;
    case DO_NEGATIVE: cand[0].token = REMORA_TOKEN_NONE; break;
    case DO_EMPTY: *n = 0; break;
    case DO_NAN:
        for (size_t i = 0; i < *n; i++) cand[i].logit = NAN;
        break;
    case DO_SWAP: /* reorder and leave one */
        cand[0] = cand[*n - 1];
        cand[*n - 1] = first;
        *n = 1;
        break;
    default: break;
    }
    return REMORA_OK;
}

/* Behind the end of a cut list lie old candidates that look valid. */
static void test_callback_cannot_grow_a_cut_list(void **state)
{
    static const float x[10] = {0};
    int what = DO_GROW;
    remora_token t = 55;
    remora_stage s = stage(REMORA_STAGE_CALLBACK, 0, 0);
    s.fn = misbehave;
    s.user = &what;
    rmr_sampler *c = make(state, 10, 1);
    must_add(c, REMORA_STAGE_TOP_K, 0, 5);
    assert_int_equal(rmr_sampler_add(c, &s, NULL), REMORA_OK);
    assert_int_equal(rmr_sampler_pick(c, x, 10, &t, NULL), REMORA_E_CALLBACK);
    assert_int_equal(t, 55);
    rmr_sampler_free(c);
}

static void test_callback_misuse(void **state)
{
    static const float x[10] = {0};
    static const remora_status want[9] = {REMORA_OK,         REMORA_E_CALLBACK, REMORA_E_CALLBACK,
                                          REMORA_E_CALLBACK, REMORA_E_CALLBACK, REMORA_E_CALLBACK,
                                          REMORA_E_NO_TOKEN, REMORA_E_NO_TOKEN, REMORA_OK};
    int what = DO_NOTHING;
    remora_stage s = stage(REMORA_STAGE_CALLBACK, 0, 0);
    s.fn = misbehave;
    s.user = &what;
    for (int later = 0; later < 2; later++) {
        rmr_sampler *c = make(state, 10, 1);
        assert_int_equal(rmr_sampler_add(c, &s, NULL), REMORA_OK);
        if (later) must_add(c, REMORA_STAGE_PRESENCE, 1.0, 0);
        if (later) must_add(c, REMORA_STAGE_BIAS, 1.0, 3);
        if (later) must_add(c, REMORA_STAGE_TOP_K, 0, 5);
        assert_int_equal(rmr_sampler_accept(c, 9, NULL), REMORA_OK);
        for (what = DO_NOTHING; what <= DO_SWAP; what++) {
            remora_token t = 55;
            assert_int_equal(rmr_sampler_pick(c, x, 10, &t, NULL), want[what]);
            if (want[what] < 0) assert_int_equal(t, 55);
            if (what == DO_SWAP) assert_int_equal(t, 9);
            const int keep = what;
            what = DO_NOTHING;
            must_pick(c, x, 10); /* still usable */
            what = keep;
        }
        rmr_sampler_free(c);
    }
}

/* ---- hostile arguments, memory ---------------------------------------------------- */

static void test_bad_stages(void **state)
{
    static const struct {
        int32_t kind;
        double value;
        int64_t count;
        remora_status want;
    } bad[] = {
        {REMORA_STAGE_TEMPERATURE, -0.1, 0, REMORA_E_ARG},
        {REMORA_STAGE_TEMPERATURE, NAN, 0, REMORA_E_ARG},
        {REMORA_STAGE_TEMPERATURE, INFINITY, 0, REMORA_E_ARG},
        {REMORA_STAGE_TOP_K, 0, 0, REMORA_E_ARG},
        {REMORA_STAGE_TOP_K, 0, -1, REMORA_E_ARG},
        {REMORA_STAGE_TOP_K, 0, INT64_MIN, REMORA_E_ARG},
        {REMORA_STAGE_TOP_P, 0.0, 0, REMORA_E_ARG},
        {REMORA_STAGE_TOP_P, 1.0001, 0, REMORA_E_ARG},
        {REMORA_STAGE_TOP_P, NAN, 0, REMORA_E_ARG},
        {REMORA_STAGE_MIN_P, -0.01, 0, REMORA_E_ARG},
        {REMORA_STAGE_MIN_P, 1.5, 0, REMORA_E_ARG},
        {REMORA_STAGE_MIN_P, NAN, 0, REMORA_E_ARG},
        {REMORA_STAGE_REPEAT, 0.0, 0, REMORA_E_ARG},
        {REMORA_STAGE_REPEAT, -1.0, 0, REMORA_E_ARG},
        {REMORA_STAGE_REPEAT, INFINITY, 0, REMORA_E_ARG},
        {REMORA_STAGE_REPEAT, NAN, 0, REMORA_E_ARG},
        {REMORA_STAGE_REPEAT, 1.1, -1, REMORA_E_ARG},
        {REMORA_STAGE_REPEAT, 1.1, RMR_SAMPLER_HISTORY_MAX + 1, REMORA_E_ARG},
        {REMORA_STAGE_FREQUENCY, NAN, 0, REMORA_E_ARG},
        {REMORA_STAGE_FREQUENCY, 1.0, INT64_MAX, REMORA_E_ARG},
        {REMORA_STAGE_PRESENCE, -INFINITY, 0, REMORA_E_ARG},
        {REMORA_STAGE_PRESENCE, 1.0, INT64_MIN, REMORA_E_ARG},
        {REMORA_STAGE_BIAS, 1.0, -1, REMORA_E_ARG},
        {REMORA_STAGE_BIAS, 1.0, 10, REMORA_E_ARG},
        {REMORA_STAGE_BIAS, 1.0, (int64_t)1 << 32, REMORA_E_ARG},
        {REMORA_STAGE_BIAS, NAN, 1, REMORA_E_ARG},
        {REMORA_STAGE_BIAS, INFINITY, 1, REMORA_E_ARG},
        {REMORA_STAGE_CALLBACK, 0, 0, REMORA_E_ARG},
        {0, 0, 0, REMORA_E_UNSUPPORTED},
        {-1, 0, 0, REMORA_E_UNSUPPORTED},
        {9, 0, 0, REMORA_E_UNSUPPORTED},
        {11, 0, 0, REMORA_E_UNSUPPORTED},
        {INT32_MAX, 0, 0, REMORA_E_UNSUPPORTED},
    };
    static const float x[10] = {0};
    rmr_sampler *c = make(state, 10, 1);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        remora_error err = {.struct_size = sizeof err};
        const remora_stage s = stage(bad[i].kind, bad[i].value, bad[i].count);
        assert_int_equal(rmr_sampler_add(c, &s, &err), bad[i].want);
        assert_int_equal(err.code, bad[i].want);
        assert_true(strlen(err.message) > 10);
        must_pick(c, x, 10);
    }
    assert_int_equal(rmr_sampler_add(c, NULL, NULL), REMORA_E_ARG);
    rmr_sampler_free(c);
}

static void test_bad_arguments(void **state)
{
    fixture *f = *state;
    static const float x[11] = {0};
    remora_token t = 5;
    rmr_sampler *c = (rmr_sampler *)&t, *k = (rmr_sampler *)&t;
    remora_stage s = stage(REMORA_STAGE_TOP_K, 0, 1);
    assert_int_equal(rmr_sampler_create(&f->mem, 0, 1, &c, NULL), REMORA_E_ARG);
    assert_null(c);
    assert_int_equal(rmr_sampler_create(&f->mem, 0x80000000u, 1, &c, NULL), REMORA_E_ARG);
    c = make(state, 10, 1);
    assert_int_equal(rmr_sampler_pick(NULL, x, 10, &t, NULL), REMORA_E_ARG);
    assert_int_equal(rmr_sampler_pick(c, NULL, 10, &t, NULL), REMORA_E_ARG);
    assert_int_equal(rmr_sampler_pick(c, x, 10, NULL, NULL), REMORA_E_ARG);
    assert_int_equal(rmr_sampler_pick(c, x, 0, &t, NULL), REMORA_E_ARG);
    assert_int_equal(rmr_sampler_pick(c, x, 11, &t, NULL), REMORA_E_ARG);
    assert_int_equal(rmr_sampler_pick(c, x, SIZE_MAX, &t, NULL), REMORA_E_ARG);
    assert_int_equal(t, 5);
    assert_int_equal(rmr_sampler_accept(NULL, 1, NULL), REMORA_E_ARG);
    assert_int_equal(rmr_sampler_accept(c, -1, NULL), REMORA_E_ARG);
    assert_int_equal(rmr_sampler_accept(c, 10, NULL), REMORA_E_ARG);
    assert_int_equal(rmr_sampler_accept(c, INT32_MIN, NULL), REMORA_E_ARG);
    assert_int_equal(rmr_sampler_add(NULL, &s, NULL), REMORA_E_ARG);
    assert_int_equal(rmr_sampler_clone(NULL, &k, NULL), REMORA_E_ARG);
    assert_null(k);
    assert_int_equal(rmr_sampler_clone(c, NULL, NULL), REMORA_E_ARG);
    rmr_sampler_reset(NULL, 1);
    rmr_sampler_free(NULL);
    assert_int_equal(must_pick(c, x, 1), 0); /* a shorter row is fine */
    rmr_sampler_free(c);
}

static void test_pick_does_not_allocate(void **state)
{
    fixture *f = *state;
    static float x[MAX_N];
    rmr_rng r;
    rmr_rng_seed(&r, 5);
    random_logits(&r, x, MAX_N, 0);
    rmr_sampler *c = make(state, MAX_N, 1);
    must_add(c, REMORA_STAGE_REPEAT, 1.1, 100);
    must_add(c, REMORA_STAGE_BIAS, 1.0, 7);
    must_add(c, REMORA_STAGE_TOP_P, 0.99, 0);
    must_add(c, REMORA_STAGE_MIN_P, 0.001, 0);
    must_add(c, REMORA_STAGE_TEMPERATURE, 1.3, 0);
    tmem_arm(&f->t, 0);
    for (int i = 0; i < 20; i++) {
        const remora_token t = must_pick(c, x, MAX_N);
        assert_int_equal(rmr_sampler_accept(c, t, NULL), REMORA_OK);
    }
    rmr_sampler_reset(c, 3);
    assert_int_equal(f->t.calls, 0);
    rmr_sampler_free(c);
}

/* Everything that allocates, with one allocation failing; what was there before must go on working.
 */
static remora_status use_all(rmr_mem *mem, rmr_sampler **c, rmr_sampler **k)
{
    static const float x[10] = {1, 2, 3};
    static const int32_t kinds[3] = {REMORA_STAGE_REPEAT, REMORA_STAGE_TOP_K,
                                     REMORA_STAGE_PRESENCE};
    remora_token t;
    RMR_TRY(rmr_sampler_create(mem, 10, 1, c, NULL));
    for (int i = 0; i < 12; i++) {
        const remora_stage s =
            stage(kinds[i % 3], i % 3 == 1 ? 0 : 1.5, i == 11 ? RMR_SAMPLER_HISTORY + 1 : 1 + i);
        const remora_status st = rmr_sampler_add(*c, &s, NULL);
        RMR_TRY(rmr_sampler_pick(*c, x, 10, &t, NULL));
        RMR_TRY(rmr_sampler_accept(*c, t, NULL));
        RMR_TRY(st);
    }
    const remora_status st = rmr_sampler_clone(*c, k, NULL);
    if (st < 0 && *k != NULL) return REMORA_OK; /* a rule broken: shows as an unexpected success */
    RMR_TRY(rmr_sampler_pick(*c, x, 10, &t, NULL));
    return st;
}

static int32_t sweep_body(void *arg, tmem *t)
{
    rmr_sampler *c = NULL, *k = NULL;
    const remora_status st = use_all(arg, &c, &k);
    if (atomic_load(&t->calls) >= atomic_load(&t->fail_at) && st != REMORA_E_NOMEM)
        atomic_fetch_add(&t->damage, 1);
    rmr_sampler_free(c);
    rmr_sampler_free(k);
    return st;
}

static void test_allocation_sweep(void **state)
{
    fixture *f = *state;
    const long runs = tmem_sweep(&f->t, sweep_body, &f->mem);
    assert_true(runs >= 12);
}

/* ---- top and logprob ------------------------------------------------------------------ */

static void check_top(const float *x, size_t n, size_t cap)
{
    static remora_token_prob out[MAX_N + 1], all[MAX_N];
    size_t got = 99;
    long double total = 0;
    float max = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        all[i] = (remora_token_prob){(remora_token)i, isnan(x[i]) ? -INFINITY : x[i], 0};
        max = fmaxf(max, all[i].logit);
    }
    for (size_t i = 0; i < n; i++) total += expl((long double)all[i].logit - max);
    qsort(all, n, sizeof all[0], prob_order);
    memset(out, 0xEE, sizeof out);
    rmr_top(x, n, out, cap, &got);
    assert_int_equal(got, cap < n ? cap : n);
    for (size_t i = 0; i < got; i++) {
        const double lp = (double)((long double)all[i].logit - max - logl(total));
        assert_int_equal(out[i].token, all[i].token);
        assert_true(out[i].logit == all[i].logit);
        if (isinf(lp))
            assert_true(out[i].logprob == -INFINITY);
        else
            assert_true(fabs(out[i].logprob - lp) <= 1e-6 * fmax(1.0, fabs(lp)));
        assert_true(out[i].logprob == rmr_logprob(x, n, out[i].token));
    }
    assert_int_equal(out[got].token, (remora_token)0xEEEEEEEE); /* nothing beyond */
}

/* A token of the row and the best ones: to the bit what the two functions say. */
static void check_token_and_top(const float *x, size_t n, remora_token t, size_t k)
{
    static remora_token_prob out[MAX_N + 2], top[MAX_N];
    size_t got;
    memset(out, 0xEE, sizeof out);
    rmr_token_and_top(x, n, t, out, k);
    rmr_top(x, n, top, k, &got);
    assert_int_equal(out[0].token, t);
    assert_true(out[0].logit == (isnan(x[t]) ? -INFINITY : x[t]));
    assert_true(out[0].logprob == rmr_logprob(x, n, t));
    assert_memory_equal(out + 1, top, k * sizeof *top);
    assert_int_equal(out[1 + k].token, (remora_token)0xEEEEEEEE);
}

static void test_top_and_logprob(void **state)
{
    (void)state;
    static float x[MAX_N];
    static const float none[3] = {NAN, -INFINITY, NAN}, two[3] = {INFINITY, 0, INFINITY};
    remora_token_prob out[3];
    size_t got = 0;
    rmr_rng r;
    rmr_rng_seed(&r, 12);
    for (int i = 0; i < 200; i++) {
        const size_t n = i == 0 ? MAX_N : 1 + rmr_rng_next(&r) % 600;
        random_logits(&r, x, n, i % 3 == 0);
        if (n > 3) x[1] = NAN, x[2] = -INFINITY;
        check_top(x, n, rmr_rng_next(&r) % (n + 3));
        check_top(x, n, n);
        check_token_and_top(x, n, (remora_token)(rmr_rng_next(&r) % n), rmr_rng_next(&r) % (n + 1));
        check_token_and_top(x, n, (remora_token)(rmr_rng_next(&r) % n), 0);
    }
    static const float far[2] = {0, 2000};
    check_token_and_top(far, 2, 0, 0);
    check_token_and_top(none, 3, 1, 0);
    check_token_and_top(two, 3, 1, 2);
    rmr_top(none, 3, out, 3, &got);
    assert_int_equal(got, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(out[i].token, i);
        assert_true(out[i].logprob == -INFINITY);
    }
    rmr_top(two, 3, out, 2, &got);
    assert_int_equal(out[1].token, 2);
    assert_true(fabs((double)out[1].logprob + log(2.0)) < 1e-7);
    rmr_top(two, 3, NULL, 0, &got);
    assert_int_equal(got, 0);
    assert_true(rmr_logprob(two, 3, 3) == -INFINITY && rmr_logprob(two, 3, -1) == -INFINITY);
    assert_true(rmr_logprob(two, 3, 1) == -INFINITY && rmr_logprob(none, 3, 0) == -INFINITY);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_generator_vectors),
        CASE(test_exp_log_against_libm),
        CASE(test_exp_log_edges),
        CASE(test_distribution),
        CASE(test_pinned_stream),
        CASE(test_one_token),
        CASE(test_stages_against_reference),
        CASE(test_greedy_ties_take_the_lower_id),
        CASE(test_order_of_stages_counts),
        CASE(test_window_and_ring),
        CASE(test_count_zero_is_the_whole_history),
        CASE(test_longer_window_keeps_what_was_accepted),
        CASE(test_seed_clone_reset),
        CASE(test_failure_changes_nothing),
        CASE(test_infinite_logits),
        CASE(test_extreme_temperatures),
        CASE(test_huge_penalties_stay_finite),
        CASE(test_zero_weight_blocks),
        CASE(test_host_fp_mode),
        CASE(test_callback_misuse),
        CASE(test_callback_cannot_grow_a_cut_list),
        CASE(test_bad_stages),
        CASE(test_bad_arguments),
        CASE(test_pick_does_not_allocate),
        CASE(test_allocation_sweep),
        CASE(test_top_and_logprob),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
