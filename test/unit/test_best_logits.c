/* SPDX-License-Identifier: Apache-2.0 */
/* Picks from the best logits of a row: the token, the generator and the history are those of a pick
 * from the whole row, or the pick says that it needs that one and has changed nothing. */
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
#include "tmem.h"

enum { N = 700, PARTS = 8, TRIES = 3000 };

static rmr_rng numbers;

static double below(double n)
{
    return rmr_rng_double(&numbers) * n;
}

static rmr_sampler *make(rmr_mem *mem)
{
    rmr_sampler *c = NULL;
    assert_int_equal(rmr_sampler_create(mem, N, rmr_rng_next(&numbers), &c, NULL), REMORA_OK);
    return c;
}

static void add(rmr_sampler *c, int32_t kind, double value, int64_t count)
{
    const remora_stage s = {.struct_size = sizeof s, .kind = kind, .value = value, .count = count};
    assert_int_equal(rmr_sampler_add(c, &s, NULL), REMORA_OK);
}

/* ---- rows ---- */

typedef enum rows_kind {
    ROWS_PLAIN,
    ROWS_TIES,     /* few different logits */
    ROWS_NARROW,   /* neighbours among floats, which a temperature makes equal */
    ROWS_EQUAL,    /* one logit */
    ROWS_FEW,      /* -infinity and NaN but for some */
    ROWS_INFINITE, /* some infinite ones */
    ROWS_NONE,     /* no candidate */
    ROWS_KINDS
} rows_kind;

static float logit_of(rows_kind kind)
{
    const double g = sqrt(-2.0 * log(below(1) + 1e-300)) * cos(below(6.283185307179586)) * 3.0;
    switch (kind) {
    case ROWS_TIES: return (float)floor(g);
    case ROWS_NARROW: return nextafterf(17.0f, 18.0f) + (float)floor(below(40)) * 0x1p-19f;
    case ROWS_EQUAL: return -2.5f;
    case ROWS_FEW: return below(40) < 1 ? (float)g : below(2) < 1 ? NAN : -INFINITY;
    case ROWS_INFINITE: return below(100) < 1 ? INFINITY : below(30) < 1 ? -INFINITY : (float)g;
    case ROWS_NONE: return below(2) < 1 ? NAN : -INFINITY;
    default: return (float)g;
    }
}

/* ---- what is the best of them, as a device gives it: the best of each part ---- */

typedef struct chosen {
    remora_token token[N];
    float logit[N];
    rmr_best_logits best;
} chosen;

static void take(chosen *c, remora_token t, const float *x)
{
    const size_t at = (size_t)below((double)++c->best.n); /* in any order */
    c->token[c->best.n - 1] = c->token[at];
    c->logit[c->best.n - 1] = c->logit[at];
    c->token[at] = t;
    c->logit[at] = x[t];
}

/* What those amount to that were not taken, as far off as it may be. */
static void weigh(chosen *c, const float *x, const char *taken)
{
    c->best.least = INFINITY;
    for (size_t i = 0; i < N; i++) {
        if (!(x[i] > -INFINITY)) continue;
        if (x[i] < c->best.least) c->best.least = x[i];
        if (!taken[i]) c->best.mass += exp(c->best.scale * ((double)x[i] - c->best.rest));
    }
    c->best.mass *= 1 + 1e-5 * (below(2) - 1);
}

/* `each` of the best of every part; with one part the best of all. */
static void choose(chosen *c, const float *x, size_t parts, size_t each, float scale)
{
    char taken[N] = {0};
    *c = (chosen){.best = {.token = c->token, .logit = c->logit, .rest = -INFINITY}};
    c->best.scale = scale;
    for (size_t p = 0; p < parts; p++)
        for (size_t k = 0; k < each; k++) {
            remora_token top = -1;
            for (size_t i = p; i < N; i += parts)
                if (!taken[i] && !isnan(x[i]) && (top < 0 || x[i] > x[top])) top = (remora_token)i;
            if (top < 0) break;
            taken[top] = 1;
            take(c, top, x);
        }
    for (size_t i = 0; i < N; i++)
        if (!taken[i] && x[i] > c->best.rest) c->best.rest = x[i];
    if (scale > 0) weigh(c, x, taken);
}

/* ---- samplers ---- */

static remora_status REMORA_CALL first_two(void *user, remora_token_prob *cand, size_t *n)
{
    (void)user, (void)cand;
    if (*n > 2) *n = 2;
    return REMORA_OK;
}

static void add_random(rmr_sampler *c)
{
    const remora_stage call = {
        .struct_size = sizeof call, .kind = REMORA_STAGE_CALLBACK, .fn = first_two};
    switch ((int)below(11)) {
    case 0: add(c, REMORA_STAGE_TEMPERATURE, 0, 0); break;
    case 1:
    case 2: add(c, REMORA_STAGE_TEMPERATURE, 0.05 + below(2), 0); break;
    case 3:
    case 4: add(c, REMORA_STAGE_TOP_K, 0, 1 + (int64_t)below(60)); break;
    case 5: add(c, REMORA_STAGE_TOP_P, below(2) < 1 ? 1 : 0.1 + below(0.9), 0); break;
    case 6: add(c, REMORA_STAGE_MIN_P, below(0.5), 0); break;
    case 7: add(c, REMORA_STAGE_REPEAT, 0.8 + below(0.6), (int64_t)below(90)); break;
    case 8: add(c, REMORA_STAGE_FREQUENCY, below(1.2) - 0.2, (int64_t)below(90)); break;
    case 9:
        add(c, REMORA_STAGE_BIAS, below(2) < 1 ? -INFINITY : below(3) - 2, (int64_t)below(N));
        break;
    default: assert_int_equal(rmr_sampler_add(c, &call, NULL), REMORA_OK); break;
    }
}

static int same_numbers(const rmr_sampler *a, const rmr_sampler *b)
{
    const rmr_rng x = rmr_sampler_numbers(a), y = rmr_sampler_numbers(b);
    return memcmp(&x, &y, sizeof x) == 0;
}

/* Picks of two samplers of the same state. How many were from the best alone. */
static int compare(rmr_sampler *whole, rmr_sampler *best, const float *x, const chosen *c)
{
    remora_token a = -7, b = -7;
    const rmr_rng before = rmr_sampler_numbers(best);
    const remora_status st = rmr_sampler_pick_best(best, &c->best, &b, NULL);
    if (st == REMORA_MORE) {
        const rmr_rng after = rmr_sampler_numbers(best);
        assert_int_equal(b, -7);
        assert_memory_equal(&before, &after, sizeof before);
    }
    const remora_status want = rmr_sampler_pick(whole, x, N, &a, NULL);
    if (st == REMORA_MORE)
        assert_int_equal(rmr_sampler_pick(best, x, N, &b, NULL), want);
    else
        assert_int_equal(st, want);
    assert_int_equal(b, a);
    assert_true(same_numbers(whole, best));
    return st != REMORA_MORE;
}

/* What first cuts is top-p. */
static void add_top_p(rmr_sampler *c)
{
    for (int i = (int)below(3); i > 0; i--) add(c, REMORA_STAGE_TEMPERATURE, 0.3 + below(1), 0);
    add(c, REMORA_STAGE_TOP_P, below(2) < 1 ? 0.9 + below(0.0999) : 0.05 + below(0.9), 0);
    if (below(3) < 1) add_random(c);
}

static int try_one(rmr_mem *mem, rows_kind kind, int top_p)
{
    static float x[N];
    static chosen c;
    rmr_sampler *whole = make(mem), *best = NULL;
    int from_best = 0;
    if (top_p) add_top_p(whole);
    for (int i = top_p ? 0 : 1 + (int)below(5); i > 0; i--) add_random(whole);
    for (int i = 0; i < N; i++) x[i] = logit_of(kind);
    for (int i = (int)below(60); i > 0; i--) /* among them tokens that are likely */
        assert_int_equal(rmr_sampler_accept(whole, (remora_token)below(N), NULL), REMORA_OK);
    assert_int_equal(rmr_sampler_clone(whole, &best, NULL), REMORA_OK);
    const size_t parts = below(2) < 1 ? 1 : PARTS, each = 1 + (size_t)below(below(2) < 1 ? 4 : 90);
    choose(&c, x, parts, each, rmr_sampler_needs(whole).scale);
    for (int i = 0; i < 3; i++) from_best += compare(whole, best, x, &c);
    rmr_sampler_free(whole);
    rmr_sampler_free(best);
    return from_best;
}

static void picks_are_those_of_the_row(void **state)
{
    static const int least[ROWS_KINDS] = {4000, 4000, 1000, 40, 5000, 1200, 6500};
    tmem t = {0};
    rmr_mem mem = {.user = &t, .alloc = tmem_alloc, .resize = tmem_resize, .release = tmem_release};
    (void)state;
    rmr_mem_init(&mem);
    rmr_rng_seed(&numbers, 7);
    for (int kind = 0; kind < ROWS_KINDS; kind++) {
        int from_best = 0;
        for (int i = 0; i < TRIES; i++) from_best += try_one(&mem, (rows_kind)kind, i % 2);
        if (from_best < least[kind] || from_best > 3 * TRIES * 9 / 10)
            fail_msg("rows %d: %d of %d picks are from the best", kind, from_best, 3 * TRIES);
    }
    assert_int_equal(t.blocks, 0);
    assert_int_equal(t.damage, 0);
}

/* ---- draws from all ---- */

typedef struct summed {
    const float *row;
    float top[N];
    double mass[N];
    long reads;
    rmr_row_masses m;
} summed;

static remora_status read_row(void *user, size_t first, size_t n, const float **out,
                              remora_error *err)
{
    summed *s = user;
    (void)err;
    assert_true(n > 0 && first + n <= N);
    s->reads++;
    *out = s->row + first;
    return REMORA_OK;
}

static float divided(float x, double t)
{
    const double y = (double)x / t;
    return y > FLT_MAX ? FLT_MAX : y < -FLT_MAX ? -FLT_MAX : (float)y;
}

/* From the last one to the first, so that sums are others. */
static void sum_runs(summed *s, const float *row, size_t run, double t)
{
    *s = (summed){.row = row};
    s->m = (rmr_row_masses){s->top, s->mass, (N + run - 1) / run, run, N, read_row, s};
    for (size_t r = 0; r < s->m.n; r++) {
        const size_t first = r * run, end = first + run < N ? first + run : N;
        s->top[r] = -INFINITY;
        for (size_t i = first; i < end; i++)
            if (row[i] > -INFINITY && divided(row[i], t) > s->top[r])
                s->top[r] = divided(row[i], t);
        for (size_t i = end; i-- > first;)
            if (row[i] > -INFINITY) s->mass[r] += exp((double)divided(row[i], t) - s->top[r]);
    }
}

/* How many of the picks were made by the masses. */
static int draw_some(rmr_mem *mem, rows_kind kind)
{
    static float x[N];
    static summed s;
    static const double temperatures[] = {1, 0.3, 0.77, 1.9, 1e-3, 1e-40};
    rmr_sampler *whole = make(mem), *best = NULL;
    int by_mass = 0;
    const double t = temperatures[(size_t)below(6)];
    if (t != 1 || below(2) < 1) add(whole, REMORA_STAGE_TEMPERATURE, t, 0);
    if (below(3) < 1) add(whole, REMORA_STAGE_TOP_P, 1, 0);
    for (int i = 0; i < N; i++) x[i] = logit_of(kind);
    assert_int_equal(rmr_sampler_clone(whole, &best, NULL), REMORA_OK);
    assert_true(rmr_sampler_divisor(best) == t);
    sum_runs(&s, x, below(2) < 1 ? 64 : 512, t);
    for (int i = 0; i < 5; i++) {
        remora_token a = -7, b = -7;
        const remora_status st = rmr_sampler_pick_by_mass(best, &s.m, &b, NULL),
                            want = rmr_sampler_pick(whole, x, N, &a, NULL);
        if (st == REMORA_MORE)
            assert_int_equal(rmr_sampler_pick(best, x, N, &b, NULL), want);
        else
            assert_int_equal(st, want);
        assert_int_equal(a, b);
        assert_true(same_numbers(whole, best));
        by_mass += st != REMORA_MORE;
    }
    rmr_sampler_free(whole);
    rmr_sampler_free(best);
    return by_mass;
}

static void draws_by_mass_are_those_of_the_row(void **state)
{
    tmem t = {0};
    rmr_mem mem = {.user = &t, .alloc = tmem_alloc, .resize = tmem_resize, .release = tmem_release};
    (void)state;
    rmr_mem_init(&mem);
    rmr_rng_seed(&numbers, 8);
    for (int kind = 0; kind < ROWS_KINDS; kind++) {
        int by_mass = 0;
        for (int i = 0; i < TRIES; i++) by_mass += draw_some(&mem, (rows_kind)kind);
        if (by_mass < (kind == ROWS_INFINITE || kind == ROWS_NONE ? 0 : 5 * TRIES * 3 / 4))
            fail_msg("rows %d: %d of %d picks are by masses", kind, by_mass, 5 * TRIES);
    }
    assert_int_equal(t.blocks, 0);
    assert_int_equal(t.damage, 0);
}

/* Two tokens, of which the first has the logit that puts its border as close to the sampler's next
 * number as floats can: most of these cannot be told. */
static void a_border_that_is_close(void **state)
{
    int close = 0;
    rmr_mem mem;
    (void)state;
    memset(&mem, 0, sizeof mem);
    rmr_mem_init(&mem);
    rmr_rng_seed(&numbers, 9);
    for (int i = 0; i < 2000; i++) {
        rmr_sampler *c = make(&mem);
        const rmr_rng before = rmr_sampler_numbers(c);
        rmr_rng next = before;
        const double u = rmr_rng_double(&next);
        const float x[2] = {(float)log(u / (1 - u)), 0}, top = x[0] > 0 ? x[0] : 0;
        const double mass = exp(x[0] - top) + exp(0 - top);
        summed s = {.row = x};
        s.m = (rmr_row_masses){&top, &mass, 1, 2, 2, read_row, &s};
        remora_token a = -7, b = -7;
        const remora_status st = rmr_sampler_pick_by_mass(c, &s.m, &b, NULL);
        rmr_sampler_set_numbers(c, before);
        assert_int_equal(rmr_sampler_pick(c, x, 2, &a, NULL), REMORA_OK);
        assert_true(st == REMORA_MORE || a == b);
        if (fabs(u * mass - exp(x[0] - top)) < 0.9e-9 * mass) assert_int_equal(st, REMORA_MORE);
        close += st == REMORA_MORE;
        rmr_sampler_free(c);
    }
    assert_true(close > 200);
}

/* ---- how many are asked for ---- */

static void what_is_needed(void **state)
{
    static const struct {
        int n;
        remora_stage stage[3];
        uint32_t least, most; /* 0: the whole row */
        float scale;
        double divisor;
    } cases[] = {
#define S(k, v, c)                                                                                 \
    {.struct_size = sizeof(remora_stage), .kind = REMORA_STAGE_##k, .value = v, .count = c}
        {0, {S(TEMPERATURE, 0, 0)}, 0, 0, 0, 1},
        {1, {S(TEMPERATURE, 0, 0)}, 1, 1, 0, 0},
        {1, {S(TEMPERATURE, 0.7, 0)}, 0, 0, 0, 0.7},
        {2, {S(TEMPERATURE, 0.7, 0), S(TOP_K, 0, 40)}, 41, 60, 0, 0},
        {2, {S(TOP_K, 0, 600), S(TEMPERATURE, 0, 0)}, 0, 0, 0, 0},
        {2, {S(REPEAT, 1.1, 64), S(TEMPERATURE, 0, 0)}, 65, 400, 0, 0},
        {2, {S(REPEAT, 0.9, 64), S(TEMPERATURE, 0, 0)}, 0, 0, 0, 0},
        {2, {S(BIAS, 1, 3), S(TEMPERATURE, 0, 0)}, 0, 0, 0, 0},
        {2, {S(BIAS, -INFINITY, 3), S(TEMPERATURE, 0, 0)}, 2, 400, 0, 0},
        {2, {S(FREQUENCY, -1, 3), S(TOP_K, 0, 1)}, 0, 0, 0, 0},
        {2, {S(TOP_P, 0.9, 0), S(TOP_K, 0, 10)}, 100, 400, 1, 0},
        {3, {S(TEMPERATURE, 0.5, 0), S(TEMPERATURE, 4, 0), S(TOP_P, 0.9, 0)}, 100, 400, 0.5f, 0},
        {2, {S(TEMPERATURE, 1e-40, 0), S(TOP_P, 0.9, 0)}, 0, 0, 0, 0},
        {2, {S(TEMPERATURE, 0.5, 0), S(TEMPERATURE, 4, 0)}, 0, 0, 0, 0},
        {2, {S(REPEAT, 1.1, 64), S(TOP_P, 0.9, 0)}, 0, 0, 0, 0},
        {3, {S(TOP_P, 1, 0), S(TOP_K, 0, 10), S(TOP_P, 0.9, 0)}, 11, 60, 0, 0},
        {2, {S(TEMPERATURE, 0.7, 0), S(MIN_P, 0.05, 0)}, 100, 400, 0, 0},
        {1, {S(MIN_P, 0, 0)}, 0, 0, 0, 0},
#undef S
    };
    rmr_mem mem;
    (void)state;
    memset(&mem, 0, sizeof mem);
    rmr_mem_init(&mem);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rmr_sampler *c = make(&mem);
        for (int k = 0; k < cases[i].n; k++)
            assert_int_equal(rmr_sampler_add(c, &cases[i].stage[k], NULL), REMORA_OK);
        const rmr_sampler_wish w = rmr_sampler_needs(c);
        if (w.n < cases[i].least || w.n > cases[i].most) fail_msg("case %zu: %u", i, w.n);
        assert_true(fabsf(w.scale - cases[i].scale) < 1e-6f);
        assert_true(rmr_sampler_divisor(c) == cases[i].divisor);
        rmr_sampler_free(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(picks_are_those_of_the_row),
        cmocka_unit_test(draws_by_mass_are_those_of_the_row),
        cmocka_unit_test(a_border_that_is_close),
        cmocka_unit_test(what_is_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
